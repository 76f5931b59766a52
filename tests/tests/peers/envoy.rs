//! Istio's wire format between sidecars, with Envoy in the place of one of them, configured as
//! Istio configures it: tokens of ALPN, server names, certificates with a SPIFFE identity.

mod config;
mod hbone;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use mesh_tests::LaptopMesh;

use crate::certificates::Leaf;
use crate::door::Door;
use crate::nginx::Nginx;
use crate::place::{Family, mesh, workload};
use crate::programs::{Daemon, LIMIT, PAUSE, free_port, must, program, python, run};
use config::{Client, Server, Wire};

pub(crate) use hbone::{has_seen, http2_terminator, post_terminator};

/// A running Envoy.
async fn envoy(config: &serde_json::Value, directory: tempfile::TempDir, port: u16) -> Daemon {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    envoy_at(config, directory, address).await
}

async fn envoy_at(
    config: &serde_json::Value,
    directory: tempfile::TempDir,
    address: SocketAddr,
) -> Daemon {
    let file = directory.path().join("envoy.json");
    std::fs::write(&file, config.to_string()).unwrap();
    Daemon::start(command(&file), directory, address).await
}

/// Runs Envoy on a file of configuration.
fn command(file: &Path) -> Command {
    let mut command = Command::new(python("envoy"));
    command
        .args([
            "--concurrency",
            "1",
            "--use-dynamic-base-id",
            "-l",
            "warning",
        ])
        .args([
            "--disable-hot-restart",
            "--file-flush-interval-msec",
            "10",
            "-c",
        ])
        .arg(file);
    command.env_remove("ENVOY_UID");
    command
}

fn curl(arguments: &[&str]) -> Command {
    let mut command = Command::new(program("curl"));
    command
        .env_clear()
        .args(["-q", "-sS", "--max-time", "30", "-H", "Host: web:8080"])
        .args(arguments);
    command
}

fn inbound(mesh: &LaptopMesh, name: &str, port: u16) -> SocketAddr {
    let ip = mesh.workload(name).unwrap()["address"].as_str().unwrap();
    SocketAddr::new(ip.parse().unwrap(), port)
}

/// An Envoy that calls a workload with the identity it gets from a socket, and its port.
pub(crate) async fn envoy_as_client(
    mesh: &LaptopMesh,
    name: &str,
    number: u16,
    socket: &Path,
) -> (Daemon, u16) {
    let directory = Daemon::directory();
    let port = free_port();
    let client = Client {
        listen: port,
        wire: Wire::Http1,
        to: inbound(mesh, name, number),
        server_name: format!("outbound_.{number}_._.{name}.default.svc.cluster.local"),
        server: format!("spiffe://cluster.local/ns/default/sa/{name}"),
        // Not used: the socket gives another.
        leaf: Leaf::issue(mesh, "nobody", directory.path()),
    };
    let config = client.config_with_secrets(socket);
    (envoy(&config, directory, port).await, port)
}

/// Who may call what: Istio's caller, known by its certificate only.
const POLICY: &str = "\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: callers, namespace: default}
spec:
  rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/istio-client]}}]}]
";

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_of_istio_calls_ours() {
    let (one, two) = (Nginx::start().await, Nginx::http2(1000).await);
    let (raw, any) = (Nginx::start().await, Nginx::start().await);
    let workloads = [
        workload("web", "http", 8080, one.port),
        workload("raw", "tcp", 8081, raw.port),
        workload("two", "grpc", 8082, two.port),
        workload("any", "any", 8083, any.port),
    ];
    let mesh = mesh(&workloads.concat(), POLICY).await;
    for (wire, name, number) in [
        (Wire::Http1, "web", 8080),
        (Wire::Http2, "web", 8080),
        (Wire::Tcp, "raw", 8081),
        (Wire::Http2, "two", 8082),
        (Wire::Http1, "any", 8083),
        (Wire::Tcp, "any", 8083),
    ] {
        let directory = Daemon::directory();
        let port = free_port();
        let host = format!("{name}.default.svc.cluster.local");
        let client = Client {
            listen: port,
            wire,
            to: inbound(&mesh, name, number),
            server_name: format!("outbound_.{number}_._.{host}"),
            server: format!("spiffe://cluster.local/ns/default/sa/{name}"),
            leaf: Leaf::issue(&mesh, "istio-client", directory.path()),
        };
        let daemon = envoy(&client.config(), directory, port).await;
        let at = format!("http://127.0.0.1:{port}/hello");
        let said = run(curl(&["-w", "%{http_code}", &at])).await;
        assert_eq!(
            said.out,
            "hello\n200",
            "{wire:?} to {name}: {said:?}\n{}",
            daemon.printed()
        );
        if wire != Wire::Tcp && name != "two" {
            let who = must(curl(&[&format!("http://127.0.0.1:{port}/head")])).await;
            let identity = "URI=spiffe://cluster.local/ns/default/sa/istio-client";
            assert!(who.contains(identity), "{who}");
        }
    }
    // A caller of another identity, and a server that is not who it should be.
    for (account, server) in [("stranger", "web"), ("istio-client", "other")] {
        let directory = Daemon::directory();
        let port = free_port();
        let client = Client {
            listen: port,
            wire: Wire::Http1,
            to: inbound(&mesh, "web", 8080),
            server_name: "outbound_.8080_._.web.default.svc.cluster.local".to_owned(),
            server: format!("spiffe://cluster.local/ns/default/sa/{server}"),
            leaf: Leaf::issue(&mesh, account, directory.path()),
        };
        let _envoy = envoy(&client.config(), directory, port).await;
        let at = format!("http://127.0.0.1:{port}/hello");
        let code = must(curl(&["-o", "/dev/null", "-w", "%{http_code}", &at])).await;
        assert_eq!(code, if account == "stranger" { "403" } else { "503" });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_of_istio_calls_ours_over_ipv6() {
    let nginx = Nginx::on(Family::Six.loopback(), "", "").await;
    let http = Family::Six.serve("web", "http", 8080, nginx.port).await;
    let tcp = Family::Six.serve("web", "tcp", 8080, nginx.port).await;
    for (wire, served) in [
        (Wire::Http1, &http),
        (Wire::Http2, &http),
        (Wire::Tcp, &tcp),
    ] {
        assert!(served.inbound.is_ipv6());
        let directory = Daemon::directory();
        let port = free_port();
        let client = Client {
            listen: port,
            wire,
            to: served.inbound,
            server_name: "outbound_.8080_._.web.default.svc.cluster.local".to_owned(),
            server: "spiffe://cluster.local/ns/default/sa/web".to_owned(),
            leaf: Leaf::issue(&served.mesh, "istio-client", directory.path()),
        };
        let daemon = envoy(&client.config(), directory, port).await;
        let at = format!("http://127.0.0.1:{port}/hello");
        let said = run(curl(&["-w", "%{http_code}", &at])).await;
        assert_eq!(said.out, "hello\n200", "{wire:?}: {}", daemon.printed());
    }
}

/// A service with one endpoint, which is a sidecar of Istio's.
fn entry(name: &str, protocol: &str, at: SocketAddr, account: &str) -> String {
    format!(
        "\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{name}.example.com]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 8080, name: {name}, protocol: {protocol}}}]
  endpoints:
  - address: '{}'
    ports: {{{name}: {}}}
    serviceAccount: {account}
    labels: {{security.istio.io/tlsMode: istio}}
",
        at.ip(),
        at.port()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_calls_a_sidecar_of_istio() {
    let one = Nginx::start().await;
    let mesh = mesh("", "").await;
    for (name, protocol, account, family) in [
        ("http", "HTTP", "istio-server", Family::Four),
        ("http2", "HTTP2", "istio-server", Family::Four),
        ("tcp", "TCP", "istio-server", Family::Four),
        ("wrong", "HTTP", "somebody", Family::Four),
        ("http-six", "HTTP", "istio-server", Family::Six),
        ("tcp-six", "TCP", "istio-server", Family::Six),
    ] {
        let directory = Daemon::directory();
        let at = family.at(free_port());
        let server = Server {
            listen: at,
            app: one.port,
            wire: if protocol == "TCP" {
                Wire::Tcp
            } else {
                Wire::Http1
            },
            leaf: Leaf::issue(&mesh, "istio-server", directory.path()),
        };
        let daemon = envoy_at(&server.config(), directory, at).await;
        let entry = entry(name, protocol, at, account);
        mesh.apply("entry.yaml", Some(&entry)).await.unwrap();
        let host = format!("{name}.example.com");
        let door = Door::open(&mesh, &host, 8080).await;
        let host = format!("Host: {host}");
        let mut command = curl(&["-o", "/dev/null", "-w", "%{http_code}", "-H", &host]);
        command.arg(door.url("/hello"));
        let code = run(command).await.out;
        if name == "wrong" {
            assert_eq!(code, "503", "an identity that is not the endpoint's");
            continue;
        }
        assert_eq!(code, "200", "{name}:\n{}", daemon.printed());
        // What Envoy has seen of the caller: its identity and the server name.
        let seen = format!(
            "seen spiffe://cluster.local/ns/default/sa/client outbound_.8080_._.{name}.example.com"
        );
        let deadline = Instant::now() + LIMIT;
        while !daemon.printed().contains(&seen) {
            assert!(Instant::now() < deadline, "{}", daemon.printed());
            tokio::time::sleep(PAUSE).await;
        }
    }
}
