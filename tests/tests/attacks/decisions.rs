//! Every decision has the name of its policy and rule, wherever one looks: in the access log, in
//! metrics, in traces and in `meshctl explain`; what is tried out has it, too.

use std::convert::Infallible;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use mesh_tests::echo::Echo;
use mesh_tests::laptop::LIMIT;
use mesh_tests::{LaptopMesh, meshctl};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::told::{counted, until_counted, until_logged};

const POLICIES: &str = "\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: open, namespace: default}
spec:
  selector: {matchLabels: {app: echo}}
  rules: [{to: [{operation: {paths: [/never]}}]}, {to: [{operation: {paths: [/open, /tried]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-admin, namespace: default}
spec:
  selector: {matchLabels: {app: echo}}
  action: DENY
  rules: [{to: [{operation: {paths: [/never]}}]}, {to: [{operation: {paths: [/admin]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: trial, namespace: default, annotations: {istio.io/dry-run: 'true'}}
spec:
  selector: {matchLabels: {app: echo}}
  action: DENY
  rules: [{to: [{operation: {paths: [/tried]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: seen, namespace: default}
spec:
  selector: {matchLabels: {app: echo}}
  action: AUDIT
  rules: [{to: [{operation: {paths: [/tried]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: tcp-client, namespace: default}
spec:
  selector: {matchLabels: {app: bytes}}
  rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/client]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: tcp-thief, namespace: default}
spec:
  selector: {matchLabels: {app: bytes}}
  action: DENY
  rules: [{from: [{source: {principals: [cluster.local/ns/other/sa/thief]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: tcp-trial, namespace: default, annotations: {istio.io/dry-run: 'true'}}
spec:
  selector: {matchLabels: {app: bytes}}
  action: DENY
  rules: [{from: [{source: {namespaces: [default]}}]}]
";

/// Whether it is allowed, by which policy and rule; and what would be decided, by which policy.
type Explained = (
    bool,
    Option<(&'static str, u64)>,
    Option<(bool, &'static str)>,
);

/// What decides about a request or connection of a caller.
struct Case {
    from: &'static str,
    url: &'static str,
    status: u16,
    /// As the log and the trace have it.
    told: &'static str,
    /// As the metric has it: decision, policy and rule.
    counted: &'static [(&'static str, &'static str, &'static str)],
    /// As `explain` has it.
    explained: Explained,
}

const REQUESTS: [Case; 4] = [
    Case {
        from: "client",
        url: "http://echo:9000/open",
        status: 200,
        told: "allow ns[default]-policy[open]-rule[1], shadow_allow ns[default]-policy[open]-rule[1]",
        counted: &[("allow", "default/open", "1")],
        explained: (
            true,
            Some(("default/open", 1)),
            Some((true, "default/open")),
        ),
    },
    Case {
        from: "client",
        url: "http://echo:9000/admin",
        status: 403,
        told: "deny ns[default]-policy[no-admin]-rule[1], shadow_deny ns[default]-policy[no-admin]-rule[1]",
        counted: &[("deny", "default/no-admin", "1")],
        explained: (false, Some(("default/no-admin", 1)), None),
    },
    Case {
        from: "client",
        url: "http://echo:9000/tried",
        status: 200,
        told: "allow ns[default]-policy[open]-rule[1], audit ns[default]-policy[seen]-rule[0], shadow_deny ns[default]-policy[trial]-rule[0]",
        counted: &[
            ("audit", "default/seen", "0"),
            ("shadow_deny", "default/trial", "0"),
        ],
        explained: (
            true,
            Some(("default/open", 1)),
            Some((false, "default/trial")),
        ),
    },
    Case {
        from: "client",
        url: "http://echo:9000/other",
        status: 403,
        told: "deny, shadow_deny",
        counted: &[("deny", "", "")],
        explained: (false, None, None),
    },
];

const CONNECTIONS: [Case; 2] = [
    Case {
        from: "client",
        url: "http://bytes:7000/",
        status: 200,
        told: "allow ns[default]-policy[tcp-client]-rule[0], shadow_deny ns[default]-policy[tcp-trial]-rule[0]",
        counted: &[
            ("allow", "default/tcp-client", "0"),
            ("shadow_deny", "default/tcp-trial", "0"),
        ],
        explained: (
            true,
            Some(("default/tcp-client", 0)),
            Some((false, "default/tcp-trial")),
        ),
    },
    Case {
        from: "thief",
        url: "http://bytes.default:7000/",
        status: 403,
        told: "deny ns[default]-policy[tcp-thief]-rule[0], shadow_deny ns[default]-policy[tcp-thief]-rule[0]",
        counted: &[("deny", "default/tcp-thief", "0")],
        explained: (false, Some(("default/tcp-thief", 0)), None),
    },
];

struct Place {
    mesh: LaptopMesh,
    spans: Arc<Mutex<Vec<Value>>>,
    _echo: Echo,
    _tasks: JoinSet<()>,
}

// === impl Place ===

impl Place {
    async fn start() -> Self {
        let echo = Echo::start("echo").await.unwrap();
        let bytes = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let collector = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let text = format!(
            "\
apiVersion: mesh.dev/v1alpha1
kind: Mesh
metadata: {{name: deciding}}
spec:
  workloads:
  - {{name: client, serviceAccount: client, labels: {{app: client}}}}
  - {{name: thief, namespace: other, serviceAccount: thief, labels: {{app: thief}}}}
  - name: echo
    serviceAccount: echo
    labels: {{app: echo}}
    ports: [{{name: http, port: 9000, appPort: {}}}]
  - name: bytes
    serviceAccount: bytes
    labels: {{app: bytes}}
    ports: [{{name: tcp, port: 7000, appPort: {}}}]
",
            echo.address().port(),
            bytes.local_addr().unwrap().port()
        );
        let mut command = Command::new(meshctl());
        let address = collector.local_addr().unwrap();
        command
            .env("MESH_TRACING", format!("http://{address}"))
            .env("MESH_TRACING_SAMPLING", "100");
        let spans = Arc::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(collect(collector, Arc::clone(&spans)));
        tasks.spawn(repeat(bytes));
        Self {
            mesh: LaptopMesh::launch(command, &text, &[("policies.yaml", POLICIES)]).unwrap(),
            spans,
            _echo: echo,
            _tasks: tasks,
        }
    }

    /// The attribute of the span by which the server's sidecar tells of a request.
    async fn until_traced(&self, path: &str) -> Value {
        let deadline = Instant::now() + LIMIT;
        loop {
            let spans = self.spans.lock().unwrap().clone();
            let mut servers = spans.iter().filter(|span| span["kind"] == 2);
            let found = servers.find(|span| attribute(span, "url.path") == path);
            if let Some(span) = found {
                return attribute(span, "mesh.authz");
            }
            assert!(Instant::now() < deadline, "{path}: {spans:?}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// What the proxies say by `meshctl explain` of what was asked and done.
    async fn explained(&self, case: &Case) -> Value {
        let output = tokio::process::Command::new(meshctl())
            .args(["explain", "-o", "json", "--from", case.from, case.url])
            .arg("--state")
            .arg(self.mesh.state())
            .output()
            .await
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let verdict = told.pointer("/callees/0/report/inbound/verdict");
        verdict.cloned().unwrap()
    }

    async fn decided_as_told(&self, case: &Case, server: &str) {
        let authz = format!(" authz=\"{}\"", case.told);
        until_logged(&self.mesh, &format!("default.{server}"), &[&authz]).await;
        for (decision, policy, rule) in case.counted {
            let series = format!(
                "mesh_authz_decisions_total{{decision=\"{decision}\",policy=\"{policy}\",rule=\"{rule}\"}}"
            );
            until_counted(&self.mesh, server, &series, 1).await;
        }
        let verdict = self.explained(case).await;
        let (allowed, by, shadow) = case.explained;
        let by = by.map(|(policy, rule)| (policy.into(), rule.into()));
        let (policy, rule) = by.unwrap_or_default();
        let said = [&verdict["allowed"], &verdict["policy"], &verdict["rule"]];
        let wanted: [Value; 3] = [allowed.into(), policy, rule];
        assert_eq!(said, [&wanted[0], &wanted[1], &wanted[2]], "{verdict}");
        if let Some((allowed, policy)) = shadow {
            assert_eq!(verdict["shadow"]["allowed"], allowed, "{verdict}");
            assert_eq!(verdict["shadow"]["policy"], policy, "{verdict}");
        }
    }
}

fn attribute(of: &Value, key: &str) -> Value {
    let mut attributes = of["attributes"].as_array().into_iter().flatten();
    let found = attributes.find(|attribute| attribute["key"] == key);
    found.map_or(Value::Null, |found| found["value"]["stringValue"].clone())
}

/// A collector of OpenTelemetry.
async fn collect(listener: TcpListener, spans: Arc<Mutex<Vec<Value>>>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let spans = Arc::clone(&spans);
        connections.spawn(async move {
            let service = service_fn(move |request: Request<Incoming>| {
                let spans = Arc::clone(&spans);
                async move {
                    let body = request.into_body().collect().await;
                    let body = body.map(Collected::to_bytes).unwrap_or_default();
                    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
                    let resources = message["resourceSpans"].as_array().into_iter().flatten();
                    let scopes = resources.flat_map(|one| one["scopeSpans"].as_array().cloned());
                    for scope in scopes.flatten() {
                        let new = scope["spans"].as_array().cloned();
                        spans.lock().unwrap().extend(new.unwrap_or_default());
                    }
                    Ok::<_, Infallible>(Response::new(Full::new(Bytes::from_static(b"{}"))))
                }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// A server of bytes: it says what it hears.
async fn repeat(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        connections.spawn(async move {
            let (mut read, mut write) = stream.split();
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
    }
}

/// Bytes through the explicit proxy of a workload; whether they came back.
async fn say(mesh: &LaptopMesh, from: &str, to: &str) -> bool {
    let mut stream = TcpStream::connect(mesh.explicit(from).unwrap())
        .await
        .unwrap();
    let head = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{head:?}");
    // It may be cut before it is taken.
    let _ = stream.write_all(b"\x01\x02bytes").await;
    let mut said = [0; 7];
    let heard = stream.read_exact(&mut said);
    let heard = tokio::time::timeout(LIMIT, heard).await.unwrap();
    heard.is_ok() && said == *b"\x01\x02bytes"
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_about_requests_are_named_everywhere() {
    let place = Place::start().await;
    for case in &REQUESTS {
        let request = Request::get(case.url).body(Bytes::new()).unwrap();
        let answer = place.mesh.send(case.from, request).await.unwrap();
        assert_eq!(answer.status, case.status, "{}", case.url);
    }
    for case in &REQUESTS {
        place.decided_as_told(case, "echo").await;
        let path = case.url.trim_start_matches("http://echo:9000");
        let traced = place.until_traced(path).await;
        assert_eq!(traced, case.told, "{path}");
    }
    // Asking `explain` decides nothing.
    let denied = "mesh_authz_decisions_total{decision=\"deny\"";
    assert_eq!(counted(&place.mesh, "echo", denied).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_about_connections_are_named_everywhere() {
    let place = Place::start().await;
    for case in &CONNECTIONS {
        let to = case.url.trim_start_matches("http://");
        let came = say(&place.mesh, case.from, to.trim_end_matches('/')).await;
        assert_eq!(came, case.status == 200, "{}", case.from);
    }
    for case in &CONNECTIONS {
        place.decided_as_told(case, "bytes").await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_tells_that_nobody_makes_tunnels() {
    let place = Place::start().await;
    let output = tokio::process::Command::new(meshctl())
        .args(["explain", "--from", "client", "-X", "CONNECT"])
        .arg("http://echo:9000/")
        .arg("--state")
        .arg(place.mesh.state())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let error = String::from_utf8_lossy(&output.stderr);
    for line in [
        "answered with 400 because of downstream_protocol_error",
        "authorization  denied because of route_not_found",
    ] {
        assert!(said.contains(line), "{said}{error}");
    }
}
