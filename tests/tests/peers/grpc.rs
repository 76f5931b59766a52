//! gRPC: server and client of the Python package `grpcio`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};

use mesh_tests::LaptopMesh;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};

use crate::door::Door;
use crate::place::{Family, mesh, workload};
use crate::programs::{Daemon, LIMIT, ask, free_port, must, program, script};

async fn server(name: &str) -> (Daemon, u16) {
    server_at(name, Ipv4Addr::LOCALHOST.into()).await
}

/// A server that says its name, on an address.
pub(crate) async fn server_at(name: &str, ip: IpAddr) -> (Daemon, u16) {
    let port = free_port();
    let address = SocketAddr::new(ip, port);
    let mut command = script("grpc_server.py");
    command.args([&address.to_string(), name]);
    (
        Daemon::start(command, Daemon::directory(), address).await,
        port,
    )
}

fn client(door: &Door, arguments: &[&str]) -> Command {
    let mut command = script("grpc_client.py");
    command
        .args([&door.address().to_string(), "echo:9000"])
        .args(arguments);
    command
}

/// Calls `echo:9000` in the way that the client's script knows by this name.
pub(crate) async fn call(door: &Door, arguments: &[&str]) -> Value {
    ask(client(door, arguments)).await
}

/// What `kinds` gives.
pub(crate) fn all_kinds() -> Value {
    json!({
        "unary": 1_000_002,
        "trailer": "trailer",
        "server stream": true,
        "client stream": 2_000_000,
        "both": 50,
        "ended": true,
        "at once": true,
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_every_kind_pass() {
    // Declared, and found out by its first bytes.
    for (family, name) in [
        (Family::Four, "grpc"),
        (Family::Four, "any"),
        (Family::Six, "any"),
    ] {
        let (_server, port) = server_at("a", family.loopback()).await;
        let served = family.serve("echo", name, 9000, port).await;
        let door = Door::through(served.proxy, "echo", 9000).await;
        assert_eq!(call(&door, &["kinds"]).await, all_kinds(), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn statuses_and_deadlines_arrive_as_they_were_sent() {
    for family in Family::BOTH {
        let (_server, port) = server_at("a", family.loopback()).await;
        let served = family.serve("echo", "grpc", 9000, port).await;
        let door = Door::through(served.proxy, "echo", 9000).await;
        let said = call(&door, &["status"]).await;
        let codes = said.as_object().unwrap();
        assert!(codes.len() > 16, "{said}");
        for (code, answer) in codes {
            match code.as_str() {
                "first" => assert_eq!(answer, "first"),
                "then" => assert_eq!(*answer, json!(["DATA_LOSS", "after the first"])),
                "no such method" => assert_eq!(answer[0], "UNIMPLEMENTED"),
                code => assert_eq!(*answer, json!([code, "with détails / 100 %"])),
            }
        }
        let said = call(&door, &["deadline"]).await;
        let left = said["left"].as_f64().unwrap();
        assert_eq!(said["code"], "DEADLINE_EXCEEDED", "{said}");
        assert!(left > 0.2 && left <= 1.0, "{said}");
        assert!(said["took"].as_f64().unwrap() < 3.0, "{said}");
        let said = call(&door, &["cancel"]).await;
        assert_eq!(
            said,
            json!({"first": "first", "code": "CANCELLED", "in time": true})
        );
    }
}

// `nghttp` shows the frames: one header block that ends the stream, and no empty body before it.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_of_trailers_only_stays_one_header_block() {
    for family in Family::BOTH {
        let (_server, port) = server_at("a", family.loopback()).await;
        let served = family.serve("echo", "grpc", 9000, port).await;
        let door = Door::through(served.proxy, "echo", 9000).await;
        let directory = Daemon::directory();
        let message = directory.path().join("message");
        std::fs::write(&message, [0; 5]).unwrap();
        let mut command = Command::new(program("nghttp"));
        command
            .args(["-v", "-n", "-t", "30", "-H", ":authority: echo:9000"])
            .args(["-H", ":method: POST", "-H", "te: trailers"])
            .args(["-H", "content-type: application/grpc", "-d"])
            .arg(message)
            .arg(door.url("/peer.Test/None"));
        let said = must(command).await;
        let (_, answer) = said
            .split_once(":status: 200")
            .unwrap_or_else(|| panic!("{said}"));
        let (fields, after) = answer
            .split_once("recv HEADERS frame")
            .unwrap_or_else(|| panic!("{said}"));
        assert!(fields.contains("grpc-status: 12"), "{said}");
        assert!(after.contains("END_STREAM"), "{said}");
        assert!(!said.contains("recv DATA frame"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_mesh_answers_is_a_status_of_grpc() {
    let (_server, port) = server("a").await;
    let config = "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: echo}
spec:
  hosts: [echo]
  http:
  - match: [{uri: {exact: /peer.Test/Slow}}]
    timeout: 500ms
    route: [{destination: {host: echo}}]
  - match: [{uri: {exact: /peer.Test/Silent}}]
    timeout: 200ms
    route: [{destination: {host: echo}}]
  - match: [{uri: {exact: /peer.Test/Abort}}]
    route: [{destination: {host: echo, subset: none}}]
  - match: [{uri: {exact: /peer.Test/Both}}]
    fault: {abort: {percentage: {value: 100}, httpStatus: 503}}
    route: [{destination: {host: echo}}]
  - route: [{destination: {host: echo}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: echo}
spec:
  host: echo
  subsets: [{name: none, labels: {version: none}}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: echo}
spec:
  selector: {matchLabels: {app: echo}}
  action: DENY
  rules: [{to: [{operation: {paths: [/peer.Test/Metadata]}}]}]
";
    let mesh = mesh(&workload("echo", "grpc", 9000, port), config).await;
    let door = Door::open(&mesh, "echo", 9000).await;
    let code = async |method: &str| call(&door, &["one", method]).await[0].clone();
    assert_eq!(code("Unary").await, "OK");
    assert_eq!(code("Silent").await, "DEADLINE_EXCEEDED");
    assert_eq!(code("Abort").await, "UNAVAILABLE");
    assert_eq!(code("Both").await, "UNAVAILABLE");
    assert_eq!(code("Metadata").await, "PERMISSION_DENIED");
    // The route's time, which is shorter than the client's, is what the server is told.
    let said = call(&door, &["deadline", "30"]).await;
    assert_eq!(said["code"], "DEADLINE_EXCEEDED", "{said}");
    let left = said["left"].as_f64().unwrap();
    assert!(left > 0.0 && left <= 0.5, "{said}");
}

fn endpoints(mesh: &LaptopMesh, names: &[&str]) -> String {
    let endpoints: String = names
        .iter()
        .map(|name| {
            let address = mesh.workload(name).unwrap()["address"].as_str().unwrap();
            format!(
                "  - {{address: {address}, serviceAccount: {name}, \
                 labels: {{security.istio.io/tlsMode: istio}}}}\n"
            )
        })
        .collect();
    format!(
        "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: all}}
spec:
  hosts: [all.example.com]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 9000, name: grpc, protocol: GRPC}}]
  endpoints:
{endpoints}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_of_one_connection_are_spread_over_all_endpoints() {
    let ((a, a_port), (b, b_port), (c, c_port)) =
        tokio::join!(server("a"), server("b"), server("c"));
    let workloads = [("a", a_port), ("b", b_port), ("c", c_port)]
        .map(|(name, port)| workload(name, "grpc", 9000, port));
    let mesh = mesh(&workloads.concat(), "").await;
    mesh.apply("all.yaml", Some(&endpoints(&mesh, &["a", "b"])))
        .await
        .unwrap();
    let door = Door::open(&mesh, "all.example.com", 9000).await;
    let counts = call(&door, &["spread", "a,b", "5"]).await;
    for name in ["a", "b"] {
        assert!(counts[name].as_u64().unwrap_or(0) >= 5, "{counts}");
    }
    // A connection that is there already finds the endpoint that comes later.
    let mut child = tokio::process::Command::from(client(&door, &["until", "a,b,c"]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let some = tokio::time::timeout(LIMIT, lines.next_line())
        .await
        .unwrap();
    assert_eq!(some.unwrap().as_deref(), Some("some"));
    mesh.apply("all.yaml", Some(&endpoints(&mesh, &["a", "b", "c"])))
        .await
        .unwrap();
    let mut said = String::new();
    let mut out = child.stdout.take().unwrap();
    tokio::time::timeout(LIMIT, out.read_to_string(&mut said))
        .await
        .unwrap()
        .unwrap();
    let error = lines.next_line().await.unwrap();
    assert_eq!(said.trim(), r#"["a", "b", "c"]"#, "{error:?}");
    drop((a, b, c));
}
