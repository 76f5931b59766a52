//! Decisions of sidecars.

use bytes::Bytes;
use http::Request;
use mesh_tests::{LaptopMesh, meshctl};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Case, Decider, Place, attribute, comes_back};
use crate::told::counted;

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

/// What the client asks for, the status it gets, and what is decided.
const REQUESTS: [(&str, u16, &str); 4] = [
    (
        "/open",
        200,
        "allow ns[default]-policy[open]-rule[1], shadow_allow ns[default]-policy[open]-rule[1]",
    ),
    (
        "/admin",
        403,
        "deny ns[default]-policy[no-admin]-rule[1], shadow_deny ns[default]-policy[no-admin]-rule[1]",
    ),
    (
        "/tried",
        200,
        "allow ns[default]-policy[open]-rule[1], audit ns[default]-policy[seen]-rule[0], shadow_deny ns[default]-policy[trial]-rule[0]",
    ),
    ("/other", 403, "deny, shadow_deny"),
];

/// Who calls, by which name, as which account, whether it gets through, and what is decided.
const CONNECTIONS: [(&str, &str, &str, bool, &str); 2] = [
    (
        "client",
        "bytes:7000",
        "spiffe://cluster.local/ns/default/sa/client",
        true,
        "allow ns[default]-policy[tcp-client]-rule[0], shadow_deny ns[default]-policy[tcp-trial]-rule[0]",
    ),
    (
        "thief",
        "bytes.default:7000",
        "spiffe://cluster.local/ns/other/sa/thief",
        false,
        "deny ns[default]-policy[tcp-thief]-rule[0], shadow_deny ns[default]-policy[tcp-thief]-rule[0]",
    ),
];

async fn start() -> Place {
    Place::start(("", ""), POLICIES).await
}

fn sidecar(workload: &'static str) -> Decider {
    Decider {
        namespace: "default",
        workload,
        explained: "/callees/0/report/inbound",
    }
}

/// A connection through the explicit proxy of a workload.
async fn connect(mesh: &LaptopMesh, from: &str, to: &str) -> TcpStream {
    let explicit = mesh.explicit(from).unwrap();
    let mut stream = TcpStream::connect(explicit).await.unwrap();
    let head = format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{head:?}");
    stream
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_about_requests_are_named_everywhere() {
    let place = start().await;
    let url = |path| format!("http://echo:9000{path}");
    for (path, status, _) in REQUESTS {
        let request = Request::get(url(path)).body(Bytes::new()).unwrap();
        let answer = place.mesh.send("client", request).await.unwrap();
        assert_eq!(answer.status, status, "{path}");
    }
    for (path, _, told) in REQUESTS {
        let case = Case {
            from: "client",
            url: url(path),
            opaque: false,
            told,
        };
        let span = place.tells(&sidecar("echo"), &case).await;
        assert_eq!(span["kind"], 2, "{span:#}");
    }
    // Asking `explain` decides nothing.
    let denied = "mesh_authz_decisions_total{decision=\"deny\"";
    assert_eq!(counted(&place.mesh, "echo", denied).await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisions_about_connections_are_named_everywhere() {
    let place = start().await;
    for (from, to, _, passes, _) in CONNECTIONS {
        let stream = connect(&place.mesh, from, to).await;
        assert_eq!(comes_back(stream, b"\x01\x02bytes").await, passes, "{from}");
    }
    for (from, to, account, passes, told) in CONNECTIONS {
        let case = Case {
            from,
            url: format!("http://{to}/"),
            opaque: true,
            told,
        };
        let span = place.tells(&sidecar("bytes"), &case).await;
        assert_eq!(span["kind"], 2, "{span:#}");
        assert_eq!(
            span["status"]["code"],
            if passes { 0 } else { 2 },
            "{span:#}"
        );
        assert_eq!(attribute(&span, "mesh.source_principal"), account);
        let called = "bytes.default.svc.cluster.local";
        assert_eq!(attribute(&span, "server.address"), called);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn explain_tells_that_nobody_makes_tunnels() {
    let place = start().await;
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
