//! Traffic policies from their YAML to what a server sees: Istio's kinds and our own are compiled
//! by the control plane of a mesh, carried out by its proxies, and looked at from both ends.

#![expect(
    clippy::unwrap_used,
    reason = "a test says what went wrong by failing, in its helpers, too"
)]

mod admission;
mod app;
mod egress;
mod endpoints;
mod faults;
mod gateway_api;
mod localities;
mod requests;
mod telemetry;
mod warmup;

use std::fmt::Write as _;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use app::App;
use bytes::Bytes;
use http::Request;
use mesh_tests::laptop::{Answer, LIMIT};
use mesh_tests::{LaptopMesh, meshctl};

/// Between two looks at something that is awaited.
const PAUSE: Duration = Duration::from_millis(10);

/// A mesh of a client, whose calls go to servers outside of the mesh.
struct Place {
    mesh: LaptopMesh,
}

/// A server behind a host: what is said of it beside its address.
type Endpoint<'a> = (&'a App, &'a str);

// === impl Place ===

impl Place {
    /// With these workloads beside the client, in the form of the mesh file.
    fn start(workloads: &str, config: &str) -> Self {
        Self::start_with(&[], workloads, config)
    }

    /// The same with settings of all proxies, as variables of the environment.
    fn start_with(settings: &[(&str, &str)], workloads: &str, config: &str) -> Self {
        let text = format!(
            "\
apiVersion: mesh.dev/v1alpha1
kind: Mesh
metadata: {{name: policies}}
spec:
  workloads:
  - {{name: client, serviceAccount: client, labels: {{app: client}}}}
{workloads}"
        );
        let mut command = Command::new(meshctl());
        command.envs(settings.iter().copied());
        let mesh = LaptopMesh::launch(command, &text, &[("test.yaml", config)]).unwrap();
        Self { mesh }
    }

    /// No object is wrong.
    async fn is_sound(&self) {
        let problems = self.mesh.meshd("/v1/problems").await.unwrap();
        let errors = problems
            .get("problems")
            .and_then(serde_json::Value::as_array)
            .into_iter()
            .flatten();
        let errors = errors.filter(|problem| problem["severity"] == "SEVERITY_ERROR");
        assert_eq!(errors.count(), 0, "{problems:#}");
    }

    /// What the client gets for a path of a host, with these header fields.
    async fn get(&self, url: &str, headers: &[(&str, &str)]) -> Answer {
        self.call("GET", url, headers).await
    }

    async fn call(&self, method: &str, url: &str, headers: &[(&str, &str)]) -> Answer {
        let host = url.split('/').next().unwrap();
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{url}"))
            .header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Bytes::new()).unwrap();
        self.mesh.send("client", request).await.unwrap()
    }

    /// The client's log of so many requests for a path, once it is there: what stands in quotes,
    /// and between them.
    async fn lines(&self, path: &str, count: usize) -> Vec<Vec<String>> {
        let file = self.mesh.state().join("proxies/default.client/access.log");
        let deadline = Instant::now() + LIMIT;
        loop {
            let text = fs::read_to_string(&file).unwrap_or_default();
            // The last one may be on its way.
            let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
            let lines = whole.lines().map(|line| line.split('"').map(str::to_owned));
            let is_asked = |line: &Vec<String>| {
                let head = line.get(1).and_then(|head| head.split(' ').nth(1));
                head == Some(path)
            };
            let lines: Vec<_> = lines.map(Iterator::collect).filter(is_asked).collect();
            if lines.len() >= count {
                return lines;
            }
            assert!(Instant::now() < deadline, "{path}: {text}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The response flags in the client's log of so many requests for a path.
    async fn log(&self, path: &str, count: usize) -> Vec<String> {
        let lines = self.lines(path, count).await;
        let said = lines.iter().filter_map(|line| line.get(2));
        let flags = said.filter_map(|said| said.split(' ').nth(2));
        flags.map(str::to_owned).collect()
    }

    /// The response flags in the client's log of the first request for a path.
    async fn flags(&self, path: &str) -> String {
        self.log(path, 1).await.swap_remove(0)
    }

    /// Its status, and the reason if a proxy has answered.
    async fn outcome(&self, url: &str) -> (u16, String) {
        outcome(&self.get(url, &[]).await)
    }
}

fn outcome(answer: &Answer) -> (u16, String) {
    (answer.status.as_u16(), header(answer, "x-mesh-reason"))
}

fn refused(status: u16, reason: &str) -> (u16, String) {
    (status, reason.to_owned())
}

fn served() -> (u16, String) {
    refused(200, "")
}

fn header(answer: &Answer, name: &str) -> String {
    let value = answer.headers.get(name);
    value.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

/// Which server has answered.
fn by(answer: &Answer) -> String {
    header(answer, app::NAME)
}

/// A host of HTTP outside of the mesh, in front of these servers.
fn host(name: &str, endpoints: &[Endpoint<'_>]) -> String {
    let mut list = String::new();
    for (app, more) in endpoints {
        let comma = if more.is_empty() { "" } else { ", " };
        let port = app.port();
        write!(
            list,
            "\n  - {{address: 127.0.0.1, ports: {{http: {port}}}{comma}{more}}}"
        )
        .unwrap();
    }
    let object = name.replace('.', "-");
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {object}}}
spec:
  hosts: [{name}]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: {list}
"
    )
}

/// An object of Istio's, for a host.
fn object(kind: &str, host: &str, spec: &str) -> String {
    let name = host.replace('.', "-");
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: {kind}
metadata: {{name: {name}}}
spec: {spec}
"
    )
}

/// A VirtualService with these routes.
fn routes(host: &str, http: &str) -> String {
    object(
        "VirtualService",
        host,
        &format!("\n  hosts: [{host}]\n  http: {http}"),
    )
}

/// A DestinationRule with this policy.
fn policy(host: &str, policy: &str) -> String {
    let spec = format!("{{host: {host}, trafficPolicy: {policy}}}");
    object("DestinationRule", host, &spec)
}
