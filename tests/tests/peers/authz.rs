//! External authorizers: a server of `grpcio` with the classes of Envoy's own protocol files, and
//! the HTTP server of Python's standard library.

use std::net::{Ipv4Addr, SocketAddr};

use http::Request;
use mesh_tests::LaptopMesh;
use mesh_tests::echo::{Echo, Seen};
use mesh_tests::laptop::Answer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::door::{Door, connect_as};
use crate::place::Family;
use crate::programs::{Daemon, LIMIT, free_port, script};
use crate::tcp::{redis, redis_cli};

const POLICY: &str = "\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ask, namespace: default}
spec:
  selector: {matchLabels: {app: echo}}
  action: CUSTOM
  provider: {name: ext}
  rules: [{to: [{operation: {paths: [/guarded*]}}]}]
";

async fn authorizer(kind: &str) -> (Daemon, u16) {
    let port = free_port();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut command = script("authz_server.py");
    command.args([&address.to_string(), kind]);
    (
        Daemon::start(command, Daemon::directory(), address).await,
        port,
    )
}

fn start(echo: &Echo, authorizer: u16, port: &str, provider: &str) -> LaptopMesh {
    let app = echo.address().port();
    let text = format!(
        "\
apiVersion: mesh.dev/v1alpha1
kind: Mesh
metadata: {{name: authorized}}
spec:
  meshConfig: {{extensionProviders: [{{name: ext, {provider}}}]}}
  workloads:
  - {{name: client, serviceAccount: client, labels: {{app: client}}}}
  - name: echo
    serviceAccount: echo
    labels: {{app: echo}}
    ports: [{{name: http, port: 9000, appPort: {app}}}]
  - name: authz
    serviceAccount: authz
    labels: {{app: authz}}
    ports: [{{name: {port}, port: 7000, appPort: {authorizer}}}]
"
    );
    LaptopMesh::start(&text, &[("policy.yaml", POLICY)]).unwrap()
}

async fn ask(mesh: &LaptopMesh, path: &str, user: &str) -> Answer {
    let request = Request::post(format!("http://echo:9000{path}"))
        .header("host", "echo:9000")
        .header("x-user", user)
        .header("x-gone", "1")
        .body(bytes::Bytes::from_static(b"0123456789"))
        .unwrap();
    mesh.send("client", request).await.unwrap()
}

fn told(answer: &Answer) -> Option<String> {
    let seen: Seen = serde_json::from_slice(&answer.body).unwrap();
    let mut fields = seen.headers.into_iter();
    fields.find_map(|(name, value)| (name == "x-told").then_some(value))
}

async fn denied(mesh: &LaptopMesh) {
    let answer = ask(mesh, "/guarded", "you").await;
    assert_eq!(answer.status.as_u16(), 401);
    assert_eq!(&answer.body[..], b"who are you?");
    assert_eq!(
        answer.headers["x-mesh-reason"],
        "external_authorization_denied"
    );
    assert_eq!(ask(mesh, "/open", "you").await.status.as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn envoys_authorizers_decide_over_grpc() {
    let (echo, (_authorizer, port)) =
        (Echo::start("echo").await.unwrap(), authorizer("grpc").await);
    let provider = "envoyExtAuthzGrpc: {service: authz.default.svc.cluster.local, port: 7000, timeout: 5s, includeRequestBodyInCheck: {maxRequestBytes: 4, allowPartialMessage: true}}";
    let mesh = start(&echo, port, "grpc", provider);
    let answer = ask(&mesh, "/guarded?a=b", "me").await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    assert_eq!(answer.headers["x-ticket"], "t");
    let principal = |name: &str| format!("spiffe://cluster.local/ns/default/sa/{name}");
    let want = format!(
        "POST echo:9000 /guarded?a=b 0123 {} {} 9000",
        principal("client"),
        principal("echo")
    );
    assert_eq!(told(&answer), Some(want));
    let seen: Seen = serde_json::from_slice(&answer.body).unwrap();
    assert!(!seen.headers.iter().any(|(name, _)| name == "x-gone"));
    denied(&mesh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn authorizers_decide_over_http() {
    let (echo, (_authorizer, port)) =
        (Echo::start("echo").await.unwrap(), authorizer("http").await);
    let provider = "envoyExtAuthzHttp: {service: authz.default.svc.cluster.local, port: 7000, timeout: 5s, pathPrefix: /check, includeRequestHeadersInCheck: [x-user], headersToUpstreamOnAllow: [x-told], headersToDownstreamOnAllow: [x-ticket], includeRequestBodyInCheck: {maxRequestBytes: 100}}";
    let mesh = start(&echo, port, "http", provider);
    let answer = ask(&mesh, "/guarded?a=b", "me").await;
    assert_eq!(answer.status.as_u16(), 200, "{answer:?}");
    assert_eq!(answer.headers["x-ticket"], "t");
    let want = "POST /check/guarded?a=b 0123456789".to_owned();
    assert_eq!(told(&answer), Some(want));
    denied(&mesh).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn envoys_authorizers_decide_about_connections() {
    let ((_redis, cache), (_authorizer, port)) =
        tokio::join!(redis(Family::Four), authorizer("grpc"));
    let text = format!(
        "\
apiVersion: mesh.dev/v1alpha1
kind: Mesh
metadata: {{name: authorized}}
spec:
  meshConfig: {{extensionProviders: [{{name: ext, envoyExtAuthzGrpc: {{service: authz.default.svc.cluster.local, port: 7000, timeout: 5s}}}}]}}
  workloads:
  - {{name: client, serviceAccount: client}}
  - {{name: stranger, serviceAccount: stranger}}
  - name: cache
    serviceAccount: cache
    labels: {{app: cache}}
    ports: [{{name: tcp, port: 6379, appPort: {cache}}}]
  - name: authz
    serviceAccount: authz
    labels: {{app: authz}}
    ports: [{{name: grpc, port: 7000, appPort: {port}}}]
"
    );
    let policy = "\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: ask, namespace: default}
spec:
  selector: {matchLabels: {app: cache}}
  action: CUSTOM
  provider: {name: ext}
  rules: [{to: [{operation: {ports: ['6379']}}]}]
";
    let mesh = LaptopMesh::start(&text, &[("policy.yaml", policy)]).unwrap();
    let door = Door::open(&mesh, "cache", 6379).await;
    for n in 1..=3 {
        let counted = redis_cli(door.address(), &["INCR", "n"]).await;
        assert_eq!(counted, format!("{n}\n"));
    }
    let mut refused = connect_as(&mesh, "stranger", "cache", 6379).await;
    let mut answer = Vec::new();
    let read = async {
        refused.write_all(b"PING\r\n").await?;
        refused.read_to_end(&mut answer).await
    };
    // A reset, or an end without a byte.
    let read = tokio::time::timeout(LIMIT, read).await.unwrap();
    assert!(read.is_err() || answer.is_empty(), "{answer:?}");
}
