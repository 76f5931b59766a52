//! A small mesh: a client, one service of two versions, a gateway in front.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use mesh_ca::listen::{ListenAddress, Socket};
use mesh_tests::echo::{Echo, Seen};
use mesh_tests::laptop::{Answer, LIMIT, exchange, free_address};
use mesh_tests::{LaptopMesh, Traffic, meshctl};

/// Between two looks at something that is awaited.
const PAUSE: Duration = Duration::from_millis(20);

const BASE: &str = "\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: echo}
spec:
  host: echo
  subsets:
  - {name: a, labels: {version: a}}
  - {name: b, labels: {version: b}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: entry}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 61000, name: http, protocol: HTTP}, hosts: ['*']}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: entry}
spec:
  hosts: ['*']
  gateways: [entry]
  http:
  - route: [{destination: {host: echo}}]
";

pub(crate) struct Fixture {
    pub(crate) mesh: LaptopMesh,
    pub(crate) gateway: SocketAddr,
    _echoes: [Echo; 2],
}

// === impl Fixture ===

impl Fixture {
    /// All requests for `echo` from inside go to version a.
    pub(crate) async fn start() -> Self {
        Self::launch(Command::new(meshctl())).await
    }

    pub(crate) async fn launch(command: Command) -> Self {
        let echoes = [
            Echo::start("a").await.unwrap(),
            Echo::start("b").await.unwrap(),
        ];
        let gateway = free_address().unwrap();
        let text = mesh_file(&echoes, gateway);
        let files = [("10-base.yaml", BASE), ("20-echo.yaml", &routed_to("a"))];
        let mesh = LaptopMesh::launch(command, &text, &files).unwrap();
        Self {
            mesh,
            gateway,
            _echoes: echoes,
        }
    }

    /// Which version answers the client now.
    pub(crate) async fn version(&self) -> String {
        let answer = self.mesh.send("client", to_echo()).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        seen(&answer).server
    }

    /// Requests of the client to the service, none of which may fail.
    pub(crate) fn traffic(&self) -> Traffic {
        let explicit = self.mesh.explicit("client").unwrap();
        Traffic::start(explicit, to_echo, mesh_tests::traffic::is_ok)
    }

    /// Where others reach a version of the service: its sidecar.
    pub(crate) fn inbound(&self, workload: &str) -> SocketAddr {
        let address = self.mesh.workload(workload).unwrap()["address"]
            .as_str()
            .unwrap();
        SocketAddr::new(address.parse().unwrap(), 9000)
    }
}

fn mesh_file(echoes: &[Echo; 2], gateway: SocketAddr) -> String {
    let [a, b] = [echoes[0].address().port(), echoes[1].address().port()];
    format!(
        "\
apiVersion: mesh.dev/v1alpha1
kind: Mesh
metadata: {{name: bad-input}}
spec:
  workloads:
  - {{name: client, serviceAccount: client, labels: {{app: client}}}}
  - name: echo-a
    serviceAccount: echo
    labels: {{app: echo, version: a}}
    ports: [{{name: http, port: 9000, appPort: {a}}}]
  - name: echo-b
    serviceAccount: echo
    labels: {{app: echo, version: b}}
    ports: [{{name: http, port: 9000, appPort: {b}}}]
  gateways:
  - name: istio-ingressgateway
    labels: {{istio: ingressgateway}}
    ports: [{{port: 61000, listen: '{gateway}'}}]
"
    )
}

/// The object that sends all requests for `echo` to one version.
pub(crate) fn routed_to(version: &str) -> String {
    format!(
        "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: echo}}
spec:
  hosts: [echo]
  http:
  - route: [{{destination: {{host: echo, subset: {version}}}}}]
"
    )
}

pub(crate) fn to_echo() -> Request<Bytes> {
    get("http://echo:9000/x", "echo:9000")
}

pub(crate) fn get(uri: &str, host: &str) -> Request<Bytes> {
    Request::builder()
        .uri(uri)
        .header("host", host)
        .body(Bytes::new())
        .unwrap()
}

pub(crate) fn seen(answer: &Answer) -> Seen {
    serde_json::from_slice(&answer.body).unwrap()
}

/// Sends a request over a new connection.
pub(crate) async fn ask(
    address: &ListenAddress,
    request: Request<Bytes>,
) -> anyhow::Result<Answer> {
    exchange(Socket::connect(address).await?, request).await
}

/// Looks until there is something to see.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Runs `meshctl` to its end: exit code, standard output, standard error. What its user has, a
/// cluster or another mesh, is out of sight.
pub(crate) fn run<S: AsRef<std::ffi::OsStr>>(
    arguments: impl IntoIterator<Item = S>,
) -> (i32, String, String) {
    let output = Command::new(meshctl())
        .args(arguments)
        .env_remove("KUBECONFIG")
        .env_remove("XDG_STATE_HOME")
        .env("HOME", "/nonexistent")
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().unwrap_or(-1),
        text(&output.stdout),
        text(&output.stderr),
    )
}

/// Processes whose arguments or environment name a state directory: the mesh's own, and the
/// applications, whose PATH begins in it.
pub(crate) fn processes(state: &Path) -> Vec<(i32, String)> {
    let state = state.display().to_string();
    let entries = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let read = |name: &str| {
            let bytes =
                std::fs::read(PathBuf::from(format!("/proc/{pid}/{name}"))).unwrap_or_default();
            String::from_utf8_lossy(&bytes).replace('\0', " ")
        };
        let command = read("cmdline");
        (command.contains(&state) || read("environ").contains(&state)).then_some((pid, command))
    })
    .collect()
}

/// Waits until no process of a mesh is left.
pub(crate) async fn all_gone(state: &Path) {
    until("the end of all processes", async || {
        let left = processes(state);
        left.is_empty().then_some(())
    })
    .await;
}
