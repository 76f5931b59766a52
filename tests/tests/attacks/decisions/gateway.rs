//! Decisions of gateways.

use std::io::ErrorKind;
use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, StatusCode};
use mesh_tests::laptop::{exchange, free_address};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Case, Decider, Place, attribute, comes_back, servers};
use crate::told::counted;

const CONFIG: &str = "\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: entry, namespace: default}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 61000, name: http, protocol: HTTP}, hosts: ['*']}
  - {port: {number: 61001, name: tcp, protocol: TCP}, hosts: ['*']}
  - {port: {number: 61002, name: tcp-shut, protocol: TCP}, hosts: ['*']}
  - {port: {number: 61003, name: tls, protocol: TLS}, hosts: ['*.example.com'], tls: {mode: PASSTHROUGH}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: entry, namespace: default}
spec:
  hosts: ['*']
  gateways: [entry]
  http: [{route: [{destination: {host: echo, port: {number: 9000}}}]}]
  tcp: [{match: [{port: 61001}, {port: 61002}], route: [{destination: {host: bytes, port: {number: 7000}}}]}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: entry-tls, namespace: default}
spec:
  hosts: ['*.example.com']
  gateways: [entry]
  tls: [{match: [{port: 61003, sniHosts: ['*.example.com']}], route: [{destination: {host: bytes, port: {number: 7000}}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ask, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  action: CUSTOM
  provider: {name: ext}
  rules: [{to: [{operation: {ports: ['61000'], paths: [/asked, /refused]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: open, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  rules:
  - to: [{operation: {ports: ['61000'], paths: [/open, /tried, /asked, /refused]}}]
  - to: [{operation: {ports: ['61001']}}]
  - when: [{key: connection.sni, values: [open.example.com]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: shut, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  action: DENY
  rules:
  - to: [{operation: {ports: ['61000'], paths: [/admin]}}]
  - to: [{operation: {ports: ['61002']}}]
  - when: [{key: connection.sni, values: [shut.example.com]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: trial, namespace: istio-system, annotations: {istio.io/dry-run: 'true'}}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  action: DENY
  rules:
  - to: [{operation: {ports: ['61000'], paths: [/tried]}}]
  - to: [{operation: {ports: ['61001']}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: seen, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  action: AUDIT
  rules:
  - to: [{operation: {ports: ['61000'], paths: [/tried]}}]
  - to: [{operation: {ports: ['61001']}}]
";

const GATEWAY: Decider = Decider {
    namespace: "istio-system",
    workload: "istio-ingressgateway",
    explained: "/caller/outbound/authorization",
};

/// What a client asks for, the status it gets, and what is decided.
const REQUESTS: [(&str, u16, &str); 6] = [
    (
        "/open",
        200,
        "allow ns[istio-system]-policy[open]-rule[0], shadow_allow ns[istio-system]-policy[open]-rule[0]",
    ),
    (
        "/admin",
        403,
        "deny ns[istio-system]-policy[shut]-rule[0], shadow_deny ns[istio-system]-policy[shut]-rule[0]",
    ),
    (
        "/tried",
        200,
        "allow ns[istio-system]-policy[open]-rule[0], audit ns[istio-system]-policy[seen]-rule[0], shadow_deny ns[istio-system]-policy[trial]-rule[0]",
    ),
    ("/other", 403, "deny, shadow_deny"),
    (
        "/asked",
        200,
        "authorizer_allow ns[istio-system]-policy[ask]-rule[0], allow ns[istio-system]-policy[open]-rule[0], shadow_allow ns[istio-system]-policy[open]-rule[0]",
    ),
    (
        "/refused",
        403,
        "authorizer_deny ns[istio-system]-policy[ask]-rule[0]",
    ),
];

/// The number of a port, the server name that a client asks for there, whether it gets through,
/// and what is decided.
const CONNECTIONS: [(u16, Option<&str>, bool, &str); 4] = [
    (
        61001,
        None,
        true,
        "allow ns[istio-system]-policy[open]-rule[1], audit ns[istio-system]-policy[seen]-rule[1], shadow_deny ns[istio-system]-policy[trial]-rule[1]",
    ),
    (
        61002,
        None,
        false,
        "deny ns[istio-system]-policy[shut]-rule[1], shadow_deny ns[istio-system]-policy[shut]-rule[1]",
    ),
    (
        61003,
        Some("open.example.com"),
        true,
        "allow ns[istio-system]-policy[open]-rule[2], shadow_allow ns[istio-system]-policy[open]-rule[2]",
    ),
    (
        61003,
        Some("shut.example.com"),
        false,
        "deny ns[istio-system]-policy[shut]-rule[2], shadow_deny ns[istio-system]-policy[shut]-rule[2]",
    ),
];

/// A mesh with an authorizer and a gateway, and where its port 61000 listens; the others follow.
async fn start() -> (Place, SocketAddr, JoinSet<()>) {
    let mut tasks = JoinSet::new();
    let authorizer = servers::answer(&mut tasks, |path, _| {
        if path == "/check/refused" {
            StatusCode::FORBIDDEN
        } else {
            StatusCode::OK
        }
    });
    let authorizer = authorizer.await.port();
    let first = free_address().unwrap();
    let ports: Vec<String> = (0..4)
        .map(|index| {
            let listen = at(first, 61000 + index);
            format!("{{port: {}, listen: '{listen}'}}", 61000 + index)
        })
        .collect();
    let ports = ports.join(", ");
    let spec = format!(
        "  meshConfig: {{extensionProviders: [{{name: ext, envoyExtAuthzHttp: {{service: authz.default.svc.cluster.local, port: 7001, pathPrefix: /check}}}}]}}
  gateways:
  - {{name: istio-ingressgateway, labels: {{istio: ingressgateway}}, ports: [{ports}]}}
"
    );
    let workloads = format!(
        "  - {{name: authz, serviceAccount: authz, labels: {{app: authz}}, ports: [{{name: http, port: 7001, appPort: {authorizer}}}]}}\n"
    );
    let place = Place::start((&spec, &workloads), CONFIG).await;
    (place, first, tasks)
}

/// Where a port listens, if this is where 61000 does.
fn at(first: SocketAddr, port: u16) -> SocketAddr {
    SocketAddr::new(first.ip(), first.port() + (port - 61000))
}

/// A connection to a port of the gateway. None: it was reset at once.
async fn connect(to: SocketAddr) -> Option<TcpStream> {
    match TcpStream::connect(to).await {
        Ok(stream) => Some(stream),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{to}");
            None
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateways_decisions_about_requests_are_named_everywhere() {
    let (place, address, _tasks) = start().await;
    for (path, status, _) in REQUESTS {
        let request = Request::get(path).header("host", "shop.example.com");
        let request = request.body(Bytes::new()).unwrap();
        let stream = connect(address).await.unwrap();
        let answer = exchange(stream, request).await.unwrap();
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
    for (path, _, told) in REQUESTS {
        let case = Case {
            from: "istio-ingressgateway",
            url: format!("http://{address}{path}"),
            opaque: false,
            told,
        };
        place.tells(&GATEWAY, &case).await;
    }
    // Asking `explain` decides nothing.
    let denied = "mesh_authz_decisions_total{decision=\"deny\"";
    let counted = counted(&place.mesh, "istio-ingressgateway", denied).await;
    assert_eq!(counted, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateways_decisions_about_connections_are_named_everywhere() {
    let (place, address, _tasks) = start().await;
    for (port, name, passes, _) in CONNECTIONS {
        let said = name.map_or_else(|| b"\x01\x02bytes".to_vec(), crate::place::client_hello);
        let passed = match connect(at(address, port)).await {
            Some(stream) => comes_back(stream, &said).await,
            None => false,
        };
        assert_eq!(passed, passes, "{port} {name:?}");
    }
    for (port, name, passes, told) in CONNECTIONS {
        let listen = at(address, port);
        let case = Case {
            from: "istio-ingressgateway",
            url: match name {
                Some(name) => format!("https://{name}:{}/", listen.port()),
                None => format!("http://{listen}/"),
            },
            opaque: true,
            told,
        };
        let span = place.tells(&GATEWAY, &case).await;
        assert_eq!(span["kind"], 2, "{span:#}");
        assert_eq!(
            span["status"]["code"],
            if passes { 0 } else { 2 },
            "{span:#}"
        );
        assert_eq!(span["parentSpanId"], serde_json::Value::Null);
        if let Some(name) = name {
            assert_eq!(attribute(&span, "server.address"), name);
        }
    }
}
