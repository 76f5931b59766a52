//! TLS that the mesh passes through, found by its server name: openssl's server, curl and
//! openssl's client.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};

use mesh_tests::LaptopMesh;
use mesh_tests::laptop::free_address;
use tokio::io::AsyncWriteExt as _;

use crate::certificates::Own;
use crate::door::Door;
use crate::place::{mesh, mesh_with_gateways, workload};
use crate::programs::{Daemon, LIMIT, free_port, program, run};

/// openssl's server with a certificate for `name`, which answers requests with a page about the
/// connection.
pub(crate) async fn s_server(own: &Own, name: &str) -> (Daemon, u16) {
    s_server_at(own, name, Ipv4Addr::LOCALHOST.into()).await
}

/// The same on another address.
pub(crate) async fn s_server_at(own: &Own, name: &str, ip: IpAddr) -> (Daemon, u16) {
    let port = free_port();
    let address = SocketAddr::new(ip, port);
    let mut command = Command::new(program("openssl"));
    command
        .args(["s_server", "-www", "-accept", &address.to_string(), "-cert"])
        .arg(own.file(&format!("{name}.crt")))
        .arg("-key")
        .arg(own.file(&format!("{name}.key")));
    (
        Daemon::start(command, Daemon::directory(), address).await,
        port,
    )
}

/// Asks for a page of `https://<name>/` at an address.
async fn page(own: &Own, name: &str, at: SocketAddr) -> Result<String, String> {
    let mut command = Command::new(program("curl"));
    command
        .env_clear()
        .args(["-q", "-sS", "--max-time", "30", "--resolve"])
        .arg(format!("{name}:{}:{}", at.port(), at.ip()))
        .arg("--cacert")
        .arg(own.root())
        .arg(format!("https://{name}:{}/", at.port()));
    let said = run(command).await;
    if said.ok { Ok(said.out) } else { Err(said.err) }
}

/// The certificate's name that openssl's client is shown at an address for a server name.
async fn shown(own: &Own, name: Option<&str>, at: SocketAddr) -> String {
    let mut command = tokio::process::Command::new(program("openssl"));
    command.args(["s_client", "-connect", &at.to_string(), "-CAfile"]);
    command.arg(own.root());
    match name {
        Some(name) => command.args(["-servername", name, "-verify_hostname", name]),
        None => command.arg("-noservername"),
    };
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    // Ends the connection in order once it is there.
    let _ = input.write_all(b"Q\n").await;
    let output = tokio::time::timeout(LIMIT, child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    drop(input);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

struct Servers {
    own: Own,
    ports: [u16; 2],
    _running: [Daemon; 2],
}

const NAMES: [&str; 2] = ["red.example.com", "blue.example.com"];

// === impl Servers ===

impl Servers {
    async fn start() -> Self {
        let own = Own::new(&NAMES);
        let (red, red_port) = s_server(&own, NAMES[0]).await;
        let (blue, blue_port) = s_server(&own, NAMES[1]).await;
        Self {
            own,
            ports: [red_port, blue_port],
            _running: [red, blue],
        }
    }

    fn workloads(&self, port: &str) -> String {
        let [red, blue] = self.ports;
        workload("red", port, 8443, red) + &workload("blue", port, 8443, blue)
    }

    /// Each name leads to its own server, and the connection is not looked into.
    async fn check(&self, at: SocketAddr) {
        for name in NAMES {
            let page = page(&self.own, name, at).await.unwrap();
            assert!(page.contains("s_server"), "{page}");
            let said = shown(&self.own, Some(name), at).await;
            assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        }
    }
}

const ROUTES: &str = "  - match: [{port: 8443, sniHosts: [red.example.com]}]
    route: [{destination: {host: red, port: {number: 8443}}}]
  - match: [{port: 8443, sniHosts: ['blue.example.com']}]
    route: [{destination: {host: blue, port: {number: 8443}}}]
";

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_passes_tls_on_by_its_server_name() {
    let servers = Servers::start().await;
    let entry = free_address().unwrap();
    let config = format!(
        "\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: entry}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
  - port: {{number: 8443, name: tls, protocol: TLS}}
    hosts: ['*.example.com']
    tls: {{mode: PASSTHROUGH}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: entry}}
spec:
  hosts: [red.example.com, blue.example.com]
  gateways: [entry]
  tls:
{ROUTES}"
    );
    let gateway = format!(
        "- {{name: gateway, labels: {{istio: ingressgateway}}, ports: [{{port: 8443, listen: '{entry}'}}]}}"
    );
    let _mesh = mesh_with_gateways(&servers.workloads("tls"), &gateway, &config).await;
    servers.check(entry).await;
    // Of no server, and of none in particular: refused with an alert.
    for name in [Some("green.example.com"), Some("example.com"), None] {
        let said = shown(&servers.own, name, entry).await;
        assert!(
            said.contains("no peer certificate available"),
            "{name:?}: {said}"
        );
    }
}

fn sidecar_routes() -> String {
    format!(
        "\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: colours}}
spec:
  hosts: [red.example.com, blue.example.com]
  tls:
{ROUTES}---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: colours}}
spec:
  hosts: [red.example.com, blue.example.com]
  ports: [{{number: 8443, name: tls, protocol: TLS}}]
  resolution: NONE
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sidecar_routes_tls_by_its_server_name() {
    let servers = Servers::start().await;
    // On a port that is declared, and on one where TLS is detected.
    for port in ["tls", "any"] {
        let mesh = mesh(&servers.workloads(port), &sidecar_routes()).await;
        for (name, other) in [(NAMES[0], NAMES[1]), (NAMES[1], NAMES[0])] {
            let door = Door::open(&mesh, name, 8443).await;
            let said = shown(&servers.own, Some(name), door.address()).await;
            assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
            // By the name in the connection, whatever way it came.
            let said = shown(&servers.own, Some(other), door.address()).await;
            assert!(said.contains("Verify return code: 0 (ok)"), "{said}");
        }
        straight(&servers, &mesh).await;
    }
}

/// Without routes by name, a service takes whatever its client asks for.
async fn straight(servers: &Servers, mesh: &LaptopMesh) {
    let door = Door::open(mesh, "red", 8443).await;
    let page = page(&servers.own, NAMES[0], door.address()).await.unwrap();
    assert!(page.contains("s_server"), "{page}");
    let said = shown(&servers.own, None, door.address()).await;
    assert!(said.contains("BEGIN CERTIFICATE"), "{said}");
}
