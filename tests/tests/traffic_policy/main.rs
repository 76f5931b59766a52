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
mod requests;

use std::fmt::Write as _;
use std::fs;
use std::time::{Duration, Instant};

use app::App;
use bytes::Bytes;
use http::Request;
use mesh_tests::LaptopMesh;
use mesh_tests::laptop::{Answer, LIMIT};

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
        let mesh = LaptopMesh::start(&text, &[("test.yaml", config)]).unwrap();
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

    /// The response flags in the client's log of so many requests for a path, once they are there.
    async fn log(&self, path: &str, count: usize) -> Vec<String> {
        let file = self.mesh.state().join("proxies/default.client/access.log");
        let deadline = Instant::now() + LIMIT;
        loop {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let mut flags = Vec::new();
            for line in text.lines() {
                let mut parts = line.split('"').skip(1);
                if parts.next().and_then(|head| head.split(' ').nth(1)) == Some(path) {
                    let said = parts.next().unwrap_or_default();
                    flags.extend(said.split(' ').nth(2).map(str::to_owned));
                }
            }
            if flags.len() >= count {
                return flags;
            }
            assert!(Instant::now() < deadline, "{path}: {text}");
            tokio::time::sleep(PAUSE).await;
        }
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
