//! Applications that do not do their part.

use mesh_tests::LaptopMesh;
use mesh_tests::echo::Echo;

use crate::fixture::{all_gone, get, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn applications_that_fail_are_named_and_the_others_serve() {
    let echo = Echo::start("good").await.unwrap();
    let text = format!(
        "\
apiVersion: mesh.dev/v1alpha1
kind: Mesh
metadata: {{name: failing}}
spec:
  workloads:
  - {{name: client, labels: {{app: client}}}}
  - name: good
    labels: {{app: good}}
    ports: [{{name: http, port: 9000, appPort: {}}}]
  - name: ends
    labels: {{app: ends}}
    ports: [{{name: http, port: 9000}}]
    command: [sh, -c, 'echo the disk is full >&2; exit 3']
  - name: silent
    labels: {{app: silent}}
    ports: [{{name: http, port: 9000}}]
    command: [sh, -c, 'echo waiting for the moon; exec sleep 1000']
  - name: absent
    labels: {{app: absent}}
    ports: [{{name: http, port: 9000}}]
    command: [/no/such/program]
",
        echo.address().port()
    );
    let mesh = LaptopMesh::start(&text, &[]).unwrap();
    for name in ["default/ends", "default/silent", "default/absent"] {
        assert!(mesh.ready().contains(name), "{}", mesh.ready());
    }
    assert!(!mesh.ready().contains("default/good"), "{}", mesh.ready());
    let status = |name: &'static str| {
        let mesh = &mesh;
        async move {
            let host = format!("{name}:9000");
            mesh.send("client", get(&format!("http://{host}/"), &host))
                .await
                .unwrap()
                .status
                .as_u16()
        }
    };
    assert_eq!(status("good").await, 200);
    for name in ["ends", "silent", "absent"] {
        // The control plane learns of it, and the caller need not wait for an answer.
        until(name, async || (status(name).await == 503).then_some(())).await;
    }
    assert_eq!(status("good").await, 200);
    let state = mesh.state();
    let printed = mesh.stop().unwrap();
    for part in [
        "application of default/ends ended (exit code 3)",
        "the disk is full",
        "application of default/silent runs but does not listen on 127.0.0.1:",
        "waiting for the moon",
        "application of default/absent ended",
        "/no/such/program",
        "No such file or directory",
    ] {
        assert!(printed.contains(part), "`{part}` is not in:\n{printed}");
    }
    all_gone(&state).await;
}
