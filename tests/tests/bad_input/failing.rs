//! Applications that do not do their part.

use mesh_tests::echo::Echo;
use mesh_tests::laptop::LIMIT;
use mesh_tests::{LaptopMesh, Running, meshctl};

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
  - name: lost
    labels: {{app: lost}}
    ports: [{{name: http, port: 9000}}]
    command: [sleep, '1000']
    dir: /no/such/directory
",
        echo.address().port()
    );
    let mesh = LaptopMesh::start(&text, &[]).unwrap();
    for name in [
        "default/ends",
        "default/silent",
        "default/absent",
        "default/lost",
    ] {
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
    for name in ["ends", "silent", "absent", "lost"] {
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
        "application of default/lost cannot be started: its directory /no/such/directory is not there",
    ] {
        assert!(printed.contains(part), "`{part}` is not in:\n{printed}");
    }
    all_gone(&state).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mesh_file_named_without_a_directory_starts_its_applications_there() {
    let directory = tempfile::tempdir().unwrap();
    let text = "apiVersion: mesh.dev/v1alpha1\nkind: Mesh\nmetadata: {name: here}\nspec:\n  workloads:\n  \
                - {name: here, command: [sh, -c, 'pwd > where; exec sleep 1000']}\n";
    std::fs::write(directory.path().join("mesh.yaml"), text).unwrap();
    let mut command = std::process::Command::new(meshctl());
    command.args(["up", "mesh.yaml", "--state", "s"]);
    let mut up = Running::spawn(command.current_dir(directory.path())).unwrap();
    let ready = up.wait_for("ready", LIMIT).unwrap();
    assert!(!ready.contains("except"), "{ready}");
    let place = directory.path().canonicalize().unwrap();
    until("the application's directory", async || {
        let text = std::fs::read_to_string(place.join("where")).ok()?;
        (text.trim() == place.to_str().unwrap()).then_some(())
    })
    .await;
    up.stop(LIMIT).unwrap();
    all_gone(&directory.path().join("s")).await;
}
