//! What DestinationRules say of protocols, toward servers outside of the mesh that others wrote:
//! versions of HTTP, tunnels through forward proxies, the PROXY protocol.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::Command;

use mesh_tests::LaptopMesh;

use crate::door::Door;
use crate::envoy::{has_seen, http2_terminator, post_terminator};
use crate::nginx::Nginx;
use crate::place::mesh;
use crate::programs::{Daemon, free_port, must, program, run};

/// A service outside of the mesh on a port of 127.0.0.1, and a policy toward it.
fn outside(host: &str, number: u16, protocol: &str, at: u16, policy: &str) -> String {
    let name = host.replace('.', "-");
    let rule = if policy.is_empty() {
        String::new()
    } else {
        format!(
            "---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}}}
spec: {{host: {host}, trafficPolicy: {policy}}}
"
        )
    };
    format!(
        "---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{host}]
  resolution: STATIC
  ports: [{{number: {number}, name: port, protocol: {protocol}}}]
  endpoints: [{{address: 127.0.0.1, ports: {{port: {at}}}}}]
{rule}"
    )
}

/// What curl gets through the sidecar of `client`: its output and a status code.
async fn curl(mesh: &LaptopMesh, host: &str, port: u16, more: &[&str], path: &str) -> String {
    let door = Door::open(mesh, host, port).await;
    let mut command = Command::new(program("curl"));
    command
        .env_clear()
        .args(["-q", "-sS", "--max-time", "30", "-w", "%{http_code}"])
        .args(["-H", &format!("Host: {host}")])
        .args(more)
        .arg(door.url(path));
    run(command).await.out
}

/// nghttpd, which speaks HTTP/2 and nothing else.
async fn nghttpd() -> (Daemon, u16) {
    let directory = Daemon::directory();
    fs::write(directory.path().join("hello"), "hello\n").unwrap();
    let port = free_port();
    let mut command = Command::new(program("nghttpd"));
    command
        .args(["--no-tls", "-a", "127.0.0.1", "-d"])
        .arg(directory.path())
        .arg(port.to_string());
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    (Daemon::start(command, directory, address).await, port)
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_of_http_are_as_the_policy_says() {
    const UPGRADE: &str = "{connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}";
    const AS_CLIENT: &str = "{connectionPool: {http: {useClientProtocol: true}}}";
    let (_two, two) = nghttpd().await;
    let one = Nginx::start().await;
    let config = [
        outside("declared.example.com", 80, "HTTP", two, ""),
        outside("upgraded.example.com", 80, "HTTP", two, UPGRADE),
        outside("client-one.example.com", 80, "HTTP2", one.port, AS_CLIENT),
        outside("client-two.example.com", 80, "HTTP", two, AS_CLIENT),
    ]
    .concat();
    let mesh = mesh("", &config).await;
    let get = async |host: &str, more: &[&str]| curl(&mesh, host, 80, more, "/hello").await;
    let two = ["--http2-prior-knowledge"];
    // A port of HTTP is called by HTTP/1.1, whatever the client speaks.
    for version in [&[][..], &two] {
        assert!(!get("declared.example.com", version).await.ends_with("200"));
        assert_eq!(get("upgraded.example.com", version).await, "hello\n200");
    }
    // A port of HTTP/2 that is called as the client calls.
    assert_eq!(get("client-one.example.com", &[]).await, "hello\n200");
    assert!(!get("client-one.example.com", &two).await.ends_with("200"));
    assert_eq!(get("client-two.example.com", &two).await, "hello\n200");
    assert!(!get("client-two.example.com", &[]).await.ends_with("200"));
}

/// A forward proxy.
pub(crate) async fn tinyproxy(ip: IpAddr, allowed: u16) -> (Daemon, u16) {
    let directory = Daemon::directory();
    let port = free_port();
    let file = directory.path().join("tinyproxy.conf");
    let text = format!(
        "Port {port}\nListen {ip}\nAllow {ip}\nConnectPort {allowed}\nLogLevel Connect\nTimeout 60\nMaxClients 20\n"
    );
    fs::write(&file, text).unwrap();
    let mut command = Command::new(program("tinyproxy"));
    command.arg("-d").arg("-c").arg(file);
    let address = SocketAddr::new(ip, port);
    (Daemon::start(command, directory, address).await, port)
}

#[tokio::test(flavor = "multi_thread")]
async fn tunnels_lead_through_a_forward_proxy() {
    let nginx = Nginx::start().await;
    let (proxy, port) = tinyproxy(Ipv4Addr::LOCALHOST.into(), nginx.port).await;
    let tunnel = |to: u16| {
        format!("{{tunnel: {{protocol: CONNECT, targetHost: 127.0.0.1, targetPort: {to}}}}}")
    };
    let config = [
        outside("proxy.example.com", 3128, "TCP", port, &tunnel(nginx.port)),
        // What the forward proxy does not allow.
        outside("strict.example.com", 3128, "TCP", port, &tunnel(1)),
        outside("far.example.com", 7000, "TCP", 1, ""),
        "---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: far}
spec:
  hosts: [far.example.com]
  tcp: [{route: [{destination: {host: proxy.example.com, port: {number: 3128}}}]}]
"
        .to_owned(),
    ]
    .concat();
    let mesh = mesh("", &config).await;
    assert_eq!(
        curl(&mesh, "far.example.com", 7000, &[], "/hello").await,
        "hello\n200"
    );
    let printed = proxy.printed();
    let line = format!("CONNECT 127.0.0.1:{}", nginx.port);
    assert!(printed.contains(&line), "{printed}");
    let refused = curl(&mesh, "strict.example.com", 3128, &[], "/hello").await;
    assert_eq!(refused, "000");
}

// Envoy takes nothing but HTTP/2 here.
#[tokio::test(flavor = "multi_thread")]
async fn tunnels_go_over_http2_where_the_policy_says_so() {
    let nginx = Nginx::start().await;
    let (envoy, port) = http2_terminator(nginx.port).await;
    let policy = |protocol: &str, more: &str| {
        format!(
            "{{{more}tunnel: {{protocol: {protocol}, targetHost: end.example.com, targetPort: 443}}}}"
        )
    };
    const UPGRADE: &str = "connectionPool: {http: {h2UpgradePolicy: UPGRADE}}, ";
    let config = [
        outside(
            "connect.example.com",
            3128,
            "TCP",
            port,
            &policy("CONNECT", UPGRADE),
        ),
        outside(
            "post.example.com",
            3128,
            "TCP",
            port,
            &policy("POST", UPGRADE),
        ),
        outside("one.example.com", 3128, "TCP", port, &policy("CONNECT", "")),
    ]
    .concat();
    let mesh = mesh("", &config).await;
    let large = crate::nginx::large();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("large");
    fs::write(&file, &large).unwrap();
    let data = format!("@{}", file.display());
    for (host, seen) in [
        ("connect.example.com", "seen CONNECT - end.example.com:443"),
        ("post.example.com", "seen POST / end.example.com:443"),
    ] {
        let get = async |path: &str| curl(&mesh, host, 3128, &[], path).await;
        assert_eq!(get("/hello").await, "hello\n200");
        // Much in both directions, and an answer that ends with the connection.
        let more = ["-H", "Expect:", "--data-binary", &data, "-o", "/dev/null"];
        let more = [&more[..], &["-w", "%{size_download} %{http_code}"]].concat();
        let said = curl(&mesh, host, 3128, &more, "/body").await;
        assert_eq!(said, format!("{} 200", large.len()), "{host}");
        assert_eq!(get("/closed").await, "one\ntwo\n200");
        has_seen(&envoy, &[seen.to_owned()]).await;
    }
    let refused = curl(&mesh, "one.example.com", 3128, &[], "/hello").await;
    assert_eq!(refused, "000");
}

#[tokio::test(flavor = "multi_thread")]
async fn tunnels_are_asked_for_by_post() {
    let nginx = Nginx::start().await;
    let (envoy, port) = post_terminator(nginx.port).await;
    let policy = |port: u16| {
        format!("{{tunnel: {{protocol: POST, targetHost: end.example.com, targetPort: {port}}}}}")
    };
    let config = [
        outside("proxy.example.com", 3128, "TCP", port, &policy(443)),
        // nginx takes no POST there.
        outside("wrong.example.com", 3128, "TCP", nginx.port, &policy(443)),
    ]
    .concat();
    let mesh = mesh("", &config).await;
    let get = async |path: &str| curl(&mesh, "proxy.example.com", 3128, &[], path).await;
    assert_eq!(get("/hello").await, "hello\n200");
    // Much in both directions, and an answer that ends with the connection.
    let large = crate::nginx::large();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("large");
    fs::write(&file, &large).unwrap();
    let data = format!("@{}", file.display());
    let more = ["-H", "Expect:", "--data-binary", &data, "-o", "/dev/null"];
    let more = [&more[..], &["-w", "%{size_download} %{http_code}"]].concat();
    let said = curl(&mesh, "proxy.example.com", 3128, &more, "/body").await;
    assert_eq!(said, format!("{} 200", large.len()));
    assert_eq!(get("/closed").await, "one\ntwo\n200");
    let line = "seen POST / end.example.com:443".to_owned();
    has_seen(&envoy, &[line]).await;
    let refused = curl(&mesh, "wrong.example.com", 3128, &[], "/hello").await;
    assert_eq!(refused, "000");
}

/// HAProxy that wants to be told who calls, in front of an application, for requests and for bytes.
async fn told(app: u16) -> (Daemon, u16, u16) {
    let (http, tcp) = (free_port(), free_port());
    let text = format!(
        "\
global
  maxconn 100
defaults
  timeout connect 10s
  timeout client 30s
  timeout server 30s
listen http
  mode http
  option forwardfor
  bind 127.0.0.1:{http} accept-proxy
  server app 127.0.0.1:{app}
listen tcp
  mode tcp
  bind 127.0.0.1:{tcp} accept-proxy
  tcp-request content reject unless {{ src 127.0.0.9 }}
  server app 127.0.0.1:{app}
"
    );
    let directory = Daemon::directory();
    let file = directory.path().join("haproxy.cfg");
    fs::write(&file, text).unwrap();
    let mut command = Command::new(program("haproxy"));
    command.arg("-db").arg("-f").arg(file);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, http));
    let daemon = Daemon::start(command, directory, address).await;
    (daemon, http, tcp)
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_told_the_client_by_the_proxy_protocol() {
    let nginx = Nginx::start().await;
    let (_haproxy, http, tcp) = told(nginx.port).await;
    // nginx reads the header itself, too.
    let settings = "real_ip_header proxy_protocol; set_real_ip_from 127.0.0.1;";
    let reads = Nginx::on(Ipv4Addr::LOCALHOST.into(), " proxy_protocol", settings).await;
    let mut config = String::new();
    for version in ["V1", "V2"] {
        let policy = format!("{{proxyProtocol: {{version: {version}}}}}");
        let name = version.to_lowercase();
        config += &outside(
            &format!("http-{name}.example.com"),
            80,
            "HTTP",
            http,
            &policy,
        );
        config += &outside(&format!("tcp-{name}.example.com"), 81, "TCP", tcp, &policy);
        config += &outside(
            &format!("nginx-{name}.example.com"),
            82,
            "HTTP",
            reads.port,
            &policy,
        );
    }
    let mesh = mesh("", &config).await;
    let proxy = format!("socks5h://{}", mesh.explicit("client").unwrap());
    let get = async |client: &str, url: &str| {
        let mut command = Command::new(program("curl"));
        command
            .env_clear()
            .args(["-q", "-sS", "--max-time", "30", "--interface", client])
            .args(["-x", &proxy, url]);
        must(command).await
    };
    for name in ["v1", "v2"] {
        for client in ["127.0.0.9", "127.0.0.8"] {
            let seen = get(client, &format!("http://http-{name}.example.com/who")).await;
            assert!(
                seen.contains(&format!("|{client}|")) || seen.contains(client),
                "{seen}"
            );
            let seen = get(client, &format!("http://nginx-{name}.example.com:82/who")).await;
            assert!(seen.starts_with(&format!("{client}|")), "{seen}");
        }
        // HAProxy rejects bytes of all but one client.
        let seen = get(
            "127.0.0.9",
            &format!("http://tcp-{name}.example.com:81/hello"),
        )
        .await;
        assert_eq!(seen, "hello\n");
        let mut command = Command::new(program("curl"));
        command
            .env_clear()
            .args(["-q", "-sS", "--max-time", "30", "--interface", "127.0.0.8"])
            .args([
                "-x",
                &proxy,
                &format!("http://tcp-{name}.example.com:81/hello"),
            ]);
        assert!(!run(command).await.ok);
    }
}
