//! Every decision has the name of its policy and rule, wherever one looks: in the access log, in
//! metrics, in traces and in `meshctl explain`; what is tried out has it, too.

mod gateway;
mod servers;
mod sidecar;

use std::process::Command;
use std::time::Instant;

use http::Uri;
use mesh_tests::echo::Echo;
use mesh_tests::laptop::LIMIT;
use mesh_tests::{LaptopMesh, meshctl};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::told::{until_counted, until_logged};
use servers::Spans;

/// A mesh in which things are decided, and a collector of all spans.
struct Place {
    mesh: LaptopMesh,
    spans: Spans,
    _echo: Echo,
    _tasks: JoinSet<()>,
}

/// A proxy that decides.
struct Decider {
    namespace: &'static str,
    workload: &'static str,
    /// Where `explain` tells of its decision.
    explained: &'static str,
}

/// Something that is decided about.
struct Case {
    /// Who asks `explain`.
    from: &'static str,
    url: String,
    /// Opaque bytes, not a request.
    opaque: bool,
    /// What is decided, as the log and the trace have it.
    told: &'static str,
}

// === impl Place ===

impl Place {
    /// Beside the workloads of all attacks there is `bytes`, which says what it hears.
    async fn start((spec, workloads): (&str, &str), config: &str) -> Self {
        let echo = Echo::start("echo").await.unwrap();
        let bytes = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = bytes.local_addr().unwrap().port();
        let workloads = format!(
            "  - {{name: bytes, serviceAccount: bytes, labels: {{app: bytes}}, ports: [{{name: tcp, port: 7000, appPort: {port}}}]}}\n{workloads}"
        );
        let text = crate::place::mesh_file(&echo, spec, &workloads);
        let mut tasks = JoinSet::new();
        tasks.spawn(servers::repeat(bytes));
        let (spans, address) = servers::collect(&mut tasks).await;
        let mut command = Command::new(meshctl());
        command
            .env("MESH_TRACING", format!("http://{address}"))
            .env("MESH_TRACING_SAMPLING", "100");
        Self {
            mesh: LaptopMesh::launch(command, &text, &[("config.yaml", config)]).unwrap(),
            spans,
            _echo: echo,
            _tasks: tasks,
        }
    }

    /// The access log, the metrics, the trace and `explain` tell of a decision alike. Gives the
    /// span.
    async fn tells(&self, by: &Decider, case: &Case) -> Value {
        let log = format!("{}.{}", by.namespace, by.workload);
        let authz = format!(" authz=\"{}\"", case.told);
        until_logged(&self.mesh, &log, &[&authz]).await;
        for said in case.told.split(", ") {
            until_counted(&self.mesh, by.workload, &series(said), 1).await;
        }
        let explained = self.explained(by, case).await;
        if case.told.contains("authorizer_deny") {
            // It does not know what authorizers say, and tells what would be decided after them.
            let asked = case.told.replace("_deny", "");
            assert!(explained.starts_with(&asked), "{explained}: {}", case.url);
        } else {
            let told = case.told.replace("authorizer_allow", "authorizer");
            assert_eq!(explained, told, "{}", case.url);
        }
        self.until_traced(by, case).await
    }

    /// The span by which a proxy tells of what it decided.
    async fn until_traced(&self, by: &Decider, case: &Case) -> Value {
        let service = format!("{}.{}", by.workload, by.namespace);
        let url: Uri = case.url.parse().unwrap();
        let is_of_case = |span: &Value| {
            attribute(span, "mesh.authz") == case.told
                && if case.opaque {
                    attribute(span, "network.transport") == "tcp"
                } else {
                    attribute(span, "url.path") == url.path()
                }
        };
        let deadline = Instant::now() + LIMIT;
        loop {
            let spans = self.spans.lock().unwrap().clone();
            let mut own = spans.iter().filter(|(sender, _)| *sender == service);
            if let Some((_, span)) = own.find(|(_, span)| is_of_case(span)) {
                return span.clone();
            }
            assert!(Instant::now() < deadline, "{}: {spans:#?}", case.told);
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }

    /// What `meshctl explain` says of it, in the words of the log.
    async fn explained(&self, by: &Decider, case: &Case) -> String {
        let output = tokio::process::Command::new(meshctl())
            .args(["explain", "-o", "json", "--from", case.from, &case.url])
            .arg("--state")
            .arg(self.mesh.state())
            .output()
            .await
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        let report = told.pointer(by.explained);
        assert!(report.is_some(), "no {}: {told:#}", by.explained);
        in_words(report.unwrap())
    }
}

/// The metric that counts `deny ns[default]-policy[no-admin]-rule[0]`.
fn series(said: &str) -> String {
    let (decision, by) = said.split_once(' ').unwrap_or((said, ""));
    let (policy, rule) = match by.split(['[', ']']).collect::<Vec<_>>()[..] {
        [_, namespace, _, name, _, rule, _] => (format!("{namespace}/{name}"), rule),
        _ => (String::new(), ""),
    };
    format!(
        "mesh_authz_decisions_total{{decision=\"{decision}\",policy=\"{policy}\",rule=\"{rule}\"}}"
    )
}

fn in_words(report: &Value) -> String {
    let name = |by: &Value| match by["policy"].as_str().and_then(|name| name.split_once('/')) {
        Some((namespace, name)) => format!(" ns[{namespace}]-policy[{name}]-rule[{}]", by["rule"]),
        None => String::new(),
    };
    let verb = |of: &Value| {
        if of["allowed"] == true {
            "allow"
        } else {
            "deny"
        }
    };
    let verdict = &report["verdict"];
    let asked = report["asked"].as_array().into_iter().flatten();
    let mut said: Vec<String> = asked
        .map(|asked| format!("authorizer{}", name(asked)))
        .collect();
    said.push(format!("{}{}", verb(verdict), name(verdict)));
    if let Some(audit) = verdict["audit"].as_str() {
        said.push(format!("audit {audit}"));
    }
    if let Some(shadow) = verdict.get("shadow") {
        said.push(format!("shadow_{}{}", verb(shadow), name(shadow)));
    }
    said.join(", ")
}

/// An attribute that is text.
fn attribute(of: &Value, key: &str) -> Value {
    let mut attributes = of["attributes"].as_array().into_iter().flatten();
    let found = attributes.find(|attribute| attribute["key"] == key);
    found.map_or(Value::Null, |found| found["value"]["stringValue"].clone())
}

/// Whether what is said to `bytes` comes back.
async fn comes_back(mut stream: TcpStream, said: &[u8]) -> bool {
    // It may be cut before it is taken.
    let _ = stream.write_all(said).await;
    let mut heard = vec![0; said.len()];
    let read = stream.read_exact(&mut heard);
    let read = tokio::time::timeout(LIMIT, read).await.unwrap();
    read.is_ok() && heard == said
}
