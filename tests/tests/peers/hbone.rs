//! HBONE, with an HTTP/2 that others wrote on the other side: the Python package `h2`.

use std::net::SocketAddr;
use std::time::Instant;

use mesh_tests::LaptopMesh;
use mesh_tests::laptop::free_address;

use crate::certificates::Leaf;
use crate::door::Door;
use crate::nginx::Nginx;
use crate::place::mesh;
use crate::programs::{Daemon, LIMIT, PAUSE, ask, must, program, script};
use crate::proxy::Proxy;

/// Istio's port.
const HBONE: u16 = 15008;

const CONFIG: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{name: http, port: 8080}, {name: tcp, port: 8081}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: callers}
spec:
  selector: {matchLabels: {app: web}}
  rules:
  - from: [{source: {principals: [cluster.local/ns/default/sa/outsider]}}]
    to: [{operation: {ports: ['8080', '8081']}}]
";

/// What comes of a request for `/hello` through a tunnel to `target`.
pub(crate) async fn hello(mesh: &LaptopMesh, proxy: &str, target: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let leaf = Leaf::issue(mesh, "outsider", directory.path());
    let said = call(&leaf, proxy, &[target.to_owned()]).await;
    said["streams"][0]["data"].as_str().unwrap().to_owned()
}

async fn call(leaf: &Leaf, proxy: &str, targets: &[String]) -> serde_json::Value {
    let mut command = script("hbone.py");
    command
        .args(["client", proxy])
        .args([&leaf.chain, &leaf.key, &leaf.roots])
        .args(targets);
    ask(command).await
}

#[tokio::test(flavor = "multi_thread")]
async fn others_come_in() {
    let nginx = Nginx::start().await;
    let mesh = mesh("", CONFIG).await;
    let ip = free_address().unwrap().ip();
    let app = format!("127.0.0.1:{}", nginx.port);
    let inbound = format!("8080={ip}:8080={app},8081={ip}:8081={app}");
    let (addresses, listen) = (ip.to_string(), format!("{ip}:{HBONE}"));
    let more = [
        "--addresses",
        &addresses,
        "--register",
        "--inbound",
        &inbound,
        "--hbone",
        &listen,
    ];
    let _proxy = Proxy::start(&mesh, "web", "web", &more);
    mesh.settle().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let call = async |account: &str, targets: &[String]| {
        let leaf = Leaf::issue(&mesh, account, directory.path());
        call(&leaf, &listen, targets).await
    };
    let to = |port: u16| format!("{ip}:{port}");
    // HTTP that is looked into, bytes that are not, one that is reset in the middle, and what
    // leads nowhere, all at once.
    let mut targets = vec![to(8081) + "!", to(9999), "10.1.1.1:80".to_owned()];
    for _ in 0..20 {
        targets.extend([to(8080), to(8081)]);
    }
    let said = call("outsider", &targets).await;
    assert_eq!(
        said["server"][0],
        "spiffe://cluster.local/ns/default/sa/web"
    );
    let streams = said["streams"].as_array().unwrap();
    for stream in &streams[1..3] {
        assert_eq!(
            (stream["status"].as_str(), stream["reason"].as_str()),
            (Some("421"), Some("misdirected_request")),
            "{stream}"
        );
    }
    assert_eq!(streams[0]["status"], "200");
    for stream in &streams[3..] {
        assert_eq!(stream["ended"], true, "{stream}");
        let data = stream["data"].as_str().unwrap();
        assert!(
            data.starts_with("HTTP/1.1 200") && data.ends_with("hello\n"),
            "{data}"
        );
    }
    // Another identity: HTTP gets HTTP's answer, bytes an answer to the CONNECT.
    let said = call("stranger", &[to(8080), to(8081)]).await;
    let data = said["streams"][0]["data"].as_str().unwrap();
    assert!(data.starts_with("HTTP/1.1 403"), "{said}");
    assert_eq!(said["streams"][1]["status"], "403", "{said}");
    assert_eq!(said["streams"][1]["reason"], "authorization_not_allowed");
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_go_out() {
    let nginx = Nginx::start().await;
    let mesh = mesh("", "").await;
    let ip = free_address().unwrap().ip();
    let directory = Daemon::directory();
    let leaf = Leaf::issue(&mesh, "ambient", directory.path());
    let listen = SocketAddr::new(ip, HBONE);
    let mut command = script("hbone.py");
    command
        .args(["server", &listen.to_string()])
        .args([&leaf.chain, &leaf.key, &leaf.roots])
        .arg(format!("127.0.0.1:{}", nginx.port));
    let server = Daemon::start(command, directory, listen).await;
    let entry = format!(
        "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: ambient}}
spec:
  hosts: [ambient.example.com]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}, {{number: 81, name: tcp, protocol: TCP}}]
  endpoints:
  - {{address: {ip}, serviceAccount: ambient, ports: {{http: 8080, tcp: 8081}}, labels: {{networking.istio.io/tunnel: http}}}}
"
    );
    mesh.apply("entry.yaml", Some(&entry)).await.unwrap();
    for port in [80, 81] {
        let door = Door::open(&mesh, "ambient.example.com", port).await;
        let mut command = std::process::Command::new(program("curl"));
        command
            .env_clear()
            .args(["-q", "-sS", "--max-time", "30"])
            .args(["-H", "Host: ambient.example.com"])
            .args([door.url("/hello"), door.url("/head")]);
        let said = must(command).await;
        assert!(said.starts_with("hello\n"), "{said}");
        // Labels are for proxies, not for what is behind them.
        assert!(!said.contains("x-mesh-peer"), "{said}");
    }
    for seen in [
        "connection spiffe://cluster.local/ns/default/sa/client".to_owned(),
        format!("CONNECT {ip}:8080 "),
        format!("CONNECT {ip}:8081 "),
        "k8s.namespace.name=default".to_owned(),
    ] {
        let deadline = Instant::now() + LIMIT;
        while !server.printed().contains(&seen) {
            assert!(Instant::now() < deadline, "{seen}: {}", server.printed());
            tokio::time::sleep(PAUSE).await;
        }
    }
    // All of a worker's tunnels share a connection.
    let connections = server.printed().matches("connection ").count();
    assert!(connections <= 2, "{}", server.printed());
}
