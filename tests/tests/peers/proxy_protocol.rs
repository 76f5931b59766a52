//! The PROXY protocol in front of a gateway, spoken by HAProxy.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;

use mesh_tests::laptop::free_address;

use crate::certificates::Own;
use crate::nginx::Nginx;
use crate::place::{mesh, workload};
use crate::programs::{Daemon, free_port, must, program, run};
use crate::proxy::Proxy;
use crate::tls::s_server;

/// HAProxy in front of addresses, the port of its listener for each of them and each version.
pub(crate) struct Balancer {
    pub(crate) one: Vec<u16>,
    pub(crate) two: Vec<u16>,
    _daemon: Daemon,
}

// === impl Balancer ===

impl Balancer {
    pub(crate) async fn start(behind: &[SocketAddr]) -> Self {
        let mut text = "\
global
  maxconn 100
defaults
  mode tcp
  timeout connect 10s
  timeout client 30s
  timeout server 30s
"
        .to_owned();
        let mut ports = [Vec::new(), Vec::new()];
        for (version, list) in ["send-proxy", "send-proxy-v2"].iter().zip(&mut ports) {
            for to in behind {
                let port = free_port();
                text += &format!(
                    "listen {port}\n  bind 127.0.0.1:{port}\n  bind ::1:{port}\n  server gateway {to} {version}\n"
                );
                list.push(port);
            }
        }
        let directory = Daemon::directory();
        let file = directory.path().join("haproxy.cfg");
        fs::write(&file, text).unwrap();
        let mut command = Command::new(program("haproxy"));
        command.arg("-db").arg("-f").arg(file);
        let first = SocketAddr::from(([127, 0, 0, 1], ports[0][0]));
        let daemon = Daemon::start(command, directory, first).await;
        let [one, two] = ports;
        Self {
            one,
            two,
            _daemon: daemon,
        }
    }
}

const CONFIG: &str = "\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: entry}
spec:
  selector: {app: entry}
  servers:
  - {port: {number: 8080, name: http, protocol: HTTP}, hosts: ['*']}
  - {port: {number: 8443, name: tls, protocol: TLS}, hosts: [bank.example.com], tls: {mode: PASSTHROUGH}}
  - {port: {number: 8081, name: tcp, protocol: TCP}, hosts: ['*']}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: entry}
spec:
  hosts: ['*']
  gateways: [entry]
  http:
  - route: [{destination: {host: web, port: {number: 8080}}}]
  tcp:
  - match: [{port: 8081}]
    route: [{destination: {host: raw, port: {number: 8081}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: bank}
spec:
  hosts: [bank.example.com]
  gateways: [entry]
  tls:
  - match: [{port: 8443, sniHosts: [bank.example.com]}]
    route: [{destination: {host: bank, port: {number: 8443}}}]
";

fn curl(arguments: &[&str]) -> Command {
    let mut command = Command::new(program("curl"));
    command
        .env_clear()
        .args(["-q", "-sS", "--max-time", "30"])
        .args(arguments);
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn gateways_learn_the_client_behind_a_balancer() {
    let (nginx, other) = (Nginx::start().await, Nginx::start().await);
    let own = Own::new(&["bank.example.com"]);
    let (_bank, bank_port) = s_server(&own, "bank.example.com").await;
    let ip = free_address().unwrap().ip();
    let ports = [8080, 8443, 8081].map(|port| SocketAddr::new(ip, port));
    let workloads = [
        workload("web", "http", 8080, nginx.port),
        workload("raw", "tcp", 8081, other.port),
        workload("bank", "tls", 8443, bank_port),
    ];
    let mesh = mesh(&workloads.concat(), CONFIG).await;
    let listen = ip.to_string();
    let more = [
        "--kind",
        "gateway",
        "--gateway-proxy-protocol",
        "--gateway-listen",
        &listen,
    ];
    let _gateway = Proxy::start(&mesh, "entry", "entry", &more);
    mesh.settle().await.unwrap();
    let balancer = Balancer::start(&ports).await;
    let root = own.root().display().to_string();
    for version in [&balancer.one, &balancer.two] {
        let [http, tls, tcp] = version[..] else {
            panic!("three ports")
        };
        for (client, at) in [("127.0.0.5", "127.0.0.1"), ("::1", "[::1]")] {
            let url = format!("http://{at}:{http}/who");
            let seen = must(curl(&["--interface", client, &url])).await;
            let forwarded = seen.split('|').nth(1).unwrap();
            assert_eq!(forwarded, client, "{seen}");
        }
        // Whoever has forged a header besides is behind the one that the balancer tells.
        let url = format!("http://127.0.0.1:{http}/who");
        let seen = must(curl(&[
            "--interface",
            "127.0.0.6",
            "-H",
            "X-Forwarded-For: 9.9.9.9",
            &url,
        ]))
        .await;
        assert_eq!(
            seen.split('|').nth(1).unwrap(),
            "9.9.9.9,127.0.0.6",
            "{seen}"
        );
        let url = format!("http://127.0.0.1:{tcp}/hello");
        assert_eq!(must(curl(&[&url])).await, "hello\n");
        let resolve = format!("bank.example.com:{tls}:127.0.0.1");
        let url = format!("https://bank.example.com:{tls}/");
        let page = must(curl(&["--resolve", &resolve, "--cacert", &root, &url])).await;
        assert!(page.contains("s_server"), "{page}");
    }
    // Who does not speak it is not served: anything could be in front of the gateway.
    let said = run(curl(&[&format!("http://{}/who", ports[0])])).await;
    assert!(!said.ok && said.out.is_empty(), "{said:?}");
}
