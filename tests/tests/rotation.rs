//! The rotation of the root in a running mesh of real processes: no request fails and no stream
//! breaks; who cannot be reached holds it up and is named; a killed control plane goes on with it.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test says what went wrong by failing"
)]

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use mesh_tests::echo::Echo;
use mesh_tests::laptop::LIMIT;
use mesh_tests::{LaptopMesh, Traffic, meshctl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Between two looks at something that is awaited.
const PAUSE: Duration = Duration::from_millis(20);

const STRICT: &str = "\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
";

struct Fixture {
    mesh: LaptopMesh,
    _echo: Echo,
    _bytes: JoinHandle<()>,
}

// === impl Fixture ===

impl Fixture {
    /// A client, a server of HTTP and one of bytes, all with mutual TLS between their sidecars.
    async fn start() -> Self {
        let echo = Echo::start("echo").await.unwrap();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let bytes = listener.local_addr().unwrap();
        let mesh = mesh_file(echo.address(), bytes);
        Self {
            mesh: LaptopMesh::start(&mesh, &[("strict.yaml", STRICT)]).unwrap(),
            _echo: echo,
            _bytes: tokio::spawn(serve_bytes(listener)),
        }
    }

    async fn ca(&self) -> Value {
        self.mesh.meshd("/v1/ca").await.unwrap()
    }

    fn rotate(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(meshctl());
        command
            .args(["ca", "rotate", "--state"])
            .arg(self.mesh.state())
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Waits until a rotation looks like this.
    async fn until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + LIMIT;
        let mut last = Value::Null;
        while Instant::now() < deadline {
            // The control plane may be starting.
            if let Ok(status) = self.mesh.meshd("/v1/ca").await {
                if is(&status["rotation"]) {
                    return status;
                }
                last = status;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("not in time: {what}: {last:#}");
    }

    fn traffic(&self) -> Traffic {
        let explicit = self.mesh.explicit("client").unwrap();
        Traffic::start(explicit, to_echo, mesh_tests::traffic::is_ok)
    }

    /// Process of a workload's proxy.
    fn proxy(&self, name: &str) -> Pid {
        pid(&self.mesh.workload(name).unwrap()["proxyPid"])
    }

    fn control_plane(&self) -> Option<Pid> {
        let record = std::fs::read(self.mesh.state().join("mesh.json")).unwrap();
        let record: Value = serde_json::from_slice(&record).unwrap();
        let known = !record["controlPlanePid"].is_null();
        known.then(|| pid(&record["controlPlanePid"]))
    }
}

fn pid(value: &Value) -> Pid {
    Pid::from_raw(value.as_i64().unwrap().try_into().unwrap())
}

fn mesh_file(echo: SocketAddr, bytes: SocketAddr) -> String {
    format!(
        "\
apiVersion: mesh.dev/v1alpha1
kind: Mesh
metadata: {{name: rotation}}
spec:
  workloads:
  - {{name: client, serviceAccount: client, labels: {{app: client}}}}
  - name: echo
    serviceAccount: echo
    labels: {{app: echo}}
    ports: [{{name: http, port: 9000, appPort: {}}}]
  - name: bytes
    serviceAccount: bytes
    labels: {{app: bytes}}
    ports: [{{name: tcp, port: 9001, appPort: {}}}]
",
        echo.port(),
        bytes.port()
    )
}

fn to_echo() -> Request<Bytes> {
    Request::builder()
        .uri("http://echo:9000/x")
        .header("host", "echo:9000")
        .body(Bytes::new())
        .unwrap()
}

/// Sends each byte back.
async fn serve_bytes(listener: TcpListener) {
    loop {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::spawn(async move {
            let (mut read, mut write) = stream.split();
            // The client goes when the test ends.
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
    }
}

/// One stream of bytes that is never opened anew.
struct LongStream {
    round_trips: watch::Receiver<u64>,
    task: JoinHandle<String>,
}

// === impl LongStream ===

impl LongStream {
    async fn open(mesh: &LaptopMesh) -> Self {
        let mut stream = TcpStream::connect(mesh.explicit("client").unwrap())
            .await
            .unwrap();
        stream
            .write_all(b"CONNECT bytes:9001 HTTP/1.1\r\nhost: bytes:9001\r\n\r\n")
            .await
            .unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        assert!(
            head.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&head)
        );
        let (sender, round_trips) = watch::channel(0);
        let task = tokio::spawn(async move {
            let mut number = 0_u64;
            loop {
                number += 1;
                if let Err(error) = stream.write_u64(number).await {
                    return error.to_string();
                }
                match stream.read_u64().await {
                    Ok(back) if back == number => sender.send_replace(number),
                    Ok(back) => return format!("{back} in place of {number}"),
                    Err(error) => return error.to_string(),
                };
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        Self { round_trips, task }
    }

    /// Waits for more round trips on the same stream.
    async fn goes_on(&mut self) {
        let goal = *self.round_trips.borrow() + 20;
        let reached = tokio::time::timeout(LIMIT, self.round_trips.wait_for(|n| *n >= goal)).await;
        if !matches!(reached, Ok(Ok(_))) {
            self.task.abort();
            panic!("the long stream broke: {reached:?}");
        }
    }
}

fn names(blockers: &Value) -> BTreeSet<&str> {
    let blockers = blockers.as_array().unwrap().iter();
    blockers.map(|one| one["name"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_under_load_fails_no_request_and_breaks_no_stream() {
    let fixture = Fixture::start().await;
    let mut traffic = fixture.traffic();
    let mut stream = LongStream::open(&fixture.mesh).await;
    traffic.more(20).await.unwrap();
    stream.goes_on().await;
    let before = fixture.ca().await;
    assert_eq!(
        (before["connected"].as_u64(), &before["rotation"]),
        (Some(3), &Value::Null)
    );

    let plan = fixture.rotate(&["--dry-run"]).output().await.unwrap();
    let text = String::from_utf8(plan.stdout).unwrap();
    assert!(
        plan.status.success() && text.contains("3 holders"),
        "{text}"
    );
    assert_eq!(fixture.ca().await, before, "a dry run changes nothing");

    let done = fixture
        .rotate(&["--timeout", "60s"])
        .output()
        .await
        .unwrap();
    let text = String::from_utf8(done.stdout).unwrap();
    assert!(
        done.status.success(),
        "{text} {}",
        String::from_utf8_lossy(&done.stderr)
    );
    // Quick steps may be over before the command looks.
    assert!(text.contains("done: root"), "{text}");
    let after = fixture.ca().await;
    assert_ne!(after["signingRoot"], before["signingRoot"]);
    assert_eq!(
        after["trustedRoots"],
        Value::from(vec![after["signingRoot"].clone()])
    );
    assert_eq!(after["connected"], 3);

    // By the new root alone, on the same stream and on new connections.
    traffic.more(50).await.unwrap();
    stream.goes_on().await;
    traffic.stop().await.unwrap();
    assert!(!stream.task.is_finished());
    // The old keys are gone, and what others read says whom to trust.
    let ca = fixture.mesh.state().join("ca");
    assert!(!ca.join("root.key").exists() && !ca.join("generations/0").exists());
    let roots = std::fs::read_to_string(ca.join("root.pem")).unwrap();
    assert_eq!(roots.matches("BEGIN CERTIFICATE").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_cannot_be_reached_is_waited_for_by_name_and_a_killed_control_plane_goes_on() {
    let fixture = Fixture::start().await;
    let mut traffic = fixture.traffic();
    traffic.more(5).await.unwrap();
    let old = fixture.ca().await["signingRoot"].clone();
    // A proxy that says nothing any more, as behind a broken network.
    let silent = fixture.proxy("bytes");
    kill(silent, Signal::SIGSTOP).unwrap();
    let late = fixture.rotate(&["--timeout", "2s"]).output().await.unwrap();
    let text = String::from_utf8(late.stdout).unwrap();
    assert!(
        !late.status.success() && text.contains("default/bytes"),
        "{text}"
    );
    let status = fixture
        .until("the others have acknowledged", |rotation| {
            rotation["blockedBy"] == 1
        })
        .await;
    let rotation = &status["rotation"];
    assert_eq!(rotation["phase"], "distributing");
    assert_eq!(names(&rotation["blockers"]), ["default/bytes"].into());
    assert_eq!(
        status["signingRoot"], old,
        "nothing is signed by a root that not all trust"
    );

    if let Some(control_plane) = fixture.control_plane() {
        kill(control_plane, Signal::SIGKILL).unwrap();
    }
    let status = fixture
        .until("the control plane knows them again", |rotation| {
            rotation["blockedBy"] == 1
        })
        .await;
    let rotation = &status["rotation"];
    assert_eq!(rotation["phase"], "distributing");
    let blockers = rotation["blockers"].as_array().unwrap();
    assert_eq!(blockers[0]["name"], "default/bytes");
    assert_eq!(blockers[0]["connected"], false);

    kill(silent, Signal::SIGCONT).unwrap();
    let status = fixture.until("the rotation ends", Value::is_null).await;
    assert_ne!(status["signingRoot"], old);
    assert_eq!(status["trustedRoots"].as_array().unwrap().len(), 1);
    traffic.more(20).await.unwrap();
    traffic.stop().await.unwrap();
    LongStream::open(&fixture.mesh).await.goes_on().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotation_is_taken_back_while_somebody_is_silent() {
    let fixture = Fixture::start().await;
    let mut traffic = fixture.traffic();
    traffic.more(5).await.unwrap();
    let before = fixture.ca().await;
    let silent = fixture.proxy("bytes");
    kill(silent, Signal::SIGSTOP).unwrap();
    let late = fixture.rotate(&["--timeout", "1s"]).output().await.unwrap();
    assert!(!late.status.success());
    let undone = fixture.rotate(&["--abort"]).output().await.unwrap();
    assert!(
        undone.status.success(),
        "{}",
        String::from_utf8_lossy(&undone.stderr)
    );
    kill(silent, Signal::SIGCONT).unwrap();
    let after = fixture.ca().await;
    for field in ["signingRoot", "trustedRoots", "rotation"] {
        assert_eq!(after[field], before[field]);
    }
    traffic.more(20).await.unwrap();
    traffic.stop().await.unwrap();
}
