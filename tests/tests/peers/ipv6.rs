//! The same over IPv6: both sidecars, the gateway and the applications on ::1, and mixtures.

use std::net::{Ipv6Addr, SocketAddr};
use std::process::Command;

use mesh_tests::LaptopMesh;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::certificates::Own;
use crate::door::{Door, connect};
use crate::nginx::Nginx;
use crate::place::{mesh, workload};
use crate::policy::tinyproxy;
use crate::programs::{LIMIT, free_port, must, program};
use crate::proxy::Proxy;
use crate::proxy_protocol::Balancer;
use crate::tls::s_server_at;
use crate::{grpc, hbone, websocket};

/// A port of the workload and of its sidecar, and the application's.
struct Port {
    name: &'static str,
    number: u16,
    app: SocketAddr,
}

fn client(mesh: &LaptopMesh) -> Proxy {
    let more = ["--addresses", "::1", "--explicit", "[::1]:0"];
    Proxy::start(mesh, "six-client", "six-client", &more)
}

fn server(mesh: &LaptopMesh, name: &str, app: &str, ports: &[Port], hbone: &str) -> Proxy {
    let inbound: Vec<String> = ports
        .iter()
        .map(|port| format!("{0}=[::1]:{0}={1}", port.number, port.app))
        .collect();
    let more = [
        "--addresses",
        "::1",
        "--register",
        "--inbound",
        &inbound.join(","),
        "--hbone",
        hbone,
    ];
    Proxy::start(mesh, name, app, &more)
}

fn service(name: &str, ports: &[Port]) -> String {
    let ports: Vec<String> = ports
        .iter()
        .map(|port| format!("{{name: {}, port: {}}}", port.name, port.number))
        .collect();
    format!(
        "apiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: default}}\n\
         spec: {{selector: {{app: {name}}}, ports: [{}]}}\n",
        ports.join(", ")
    )
}

fn gateway(entry: u16, http: u16) -> String {
    format!(
        "\
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: entry}}
spec:
  selector: {{app: entry}}
  servers: [{{port: {{number: {entry}, name: http, protocol: HTTP}}, hosts: ['*']}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: entry}}
spec:
  hosts: ['*']
  gateways: [entry]
  http: [{{route: [{{destination: {{host: six, port: {{number: {http}}}}}}}]}}]
"
    )
}

fn app(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv6Addr::LOCALHOST, port))
}

async fn curl(arguments: Vec<String>) -> String {
    let mut command = Command::new(program("curl"));
    command
        .env_clear()
        .args(["-q", "-sS", "--max-time", "30"])
        .args(arguments);
    must(command).await
}

/// Requests through the explicit proxy, to ports of `six` and to an address that nobody has
/// declared.
async fn asked_by_curl(proxy: SocketAddr, own: &Own, [http, tls, undeclared]: [u16; 3]) {
    for scheme in ["http", "socks5h"] {
        let via = ["-x".to_owned(), format!("{scheme}://{proxy}")];
        for url in [
            format!("http://six:{http}/hello"),
            format!("http://[::1]:{undeclared}/hello"),
        ] {
            assert_eq!(curl([&via[..], &[url]].concat()).await, "hello\n");
        }
        let secret = [
            "--cacert".to_owned(),
            own.root().display().to_string(),
            format!("https://six:{tls}/"),
        ];
        let page = curl([&via[..], &secret].concat()).await;
        assert!(page.contains("s_server"), "{page}");
    }
}

/// A server that speaks first, and halves that end for themselves.
async fn greeted(proxy: SocketAddr, port: u16, greeter: &TcpListener) {
    let mut near = connect(proxy, "six", port).await;
    let (mut far, _) = tokio::time::timeout(LIMIT, greeter.accept())
        .await
        .unwrap()
        .unwrap();
    far.write_all(b"hello").await.unwrap();
    let mut word = [0; 5];
    tokio::time::timeout(LIMIT, near.read_exact(&mut word))
        .await
        .unwrap()
        .unwrap();
    near.write_all(b"bye").await.unwrap();
    near.shutdown().await.unwrap();
    let mut rest = String::new();
    tokio::time::timeout(LIMIT, far.read_to_string(&mut rest))
        .await
        .unwrap()
        .unwrap();
    assert_eq!((&word, rest.as_str()), (b"hello", "bye"));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_on_the_loopback_address_of_ipv6() {
    let nginx = Nginx::on(Ipv6Addr::LOCALHOST.into(), "", "").await;
    let own = Own::new(&["six"]);
    let (_bank, bank) = s_server_at(&own, "six", Ipv6Addr::LOCALHOST.into()).await;
    let greeter = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await.unwrap();
    let greeting = greeter.local_addr().unwrap();
    let port = |name, app| Port {
        name,
        number: free_port(),
        app,
    };
    let (_chat, chat) = websocket::server(Ipv6Addr::LOCALHOST.into()).await;
    let (_calls, calls) = grpc::server_at("a", Ipv6Addr::LOCALHOST.into()).await;
    let two = Nginx::on(Ipv6Addr::LOCALHOST.into(), " http2", "").await;
    let ports = [
        port("http", app(nginx.port)),
        port("tls", app(bank)),
        port("any", greeting),
        port("http-chat", app(chat)),
        port("grpc", app(calls)),
        port("http2", app(two.port)),
    ];
    let entry = free_port();
    let mesh = mesh(
        "",
        &(service("six", &ports) + &gateway(entry, ports[0].number)),
    )
    .await;
    let more = [
        "--kind",
        "gateway",
        "--addresses",
        "::1",
        "--gateway-listen",
        "::1",
    ];
    let _gateway = Proxy::start(&mesh, "entry", "entry", &more);
    let hbone = format!("[::1]:{}", free_port());
    let _server = server(&mesh, "six-1", "six", &ports, &hbone);
    let client = client(&mesh);
    mesh.settle().await.unwrap();
    let proxy = client.explicit.unwrap();
    assert!(proxy.is_ipv6());
    let [http, tls, any, chat, calls, two] = ports.map(|port| port.number);

    let through_gateway = format!("http://[::1]:{entry}/hello");
    assert_eq!(curl(vec![through_gateway]).await, "hello\n");
    asked_by_curl(proxy, &own, [http, tls, nginx.port]).await;
    let door = Door::through(proxy, "six", chat).await;
    websocket::talk("six", door.address(), "0").await;
    let door = Door::through(proxy, "six", calls).await;
    assert_eq!(grpc::call(&door, &["kinds"]).await, grpc::all_kinds());
    greeted(proxy, any, &greeter).await;
    let door = Door::through(proxy, "six", two).await;
    let mut command = Command::new(program("h2load"));
    command.args(["-t1", "-n200", "-c2", "-m8", "-H", ":authority: six"]);
    command.arg(door.url("/hello"));
    let said = must(command).await;
    assert!(said.contains("status codes: 200 2xx"), "{said}");
    let said = hbone::hello(&mesh, &hbone, &format!("[::1]:{http}")).await;
    assert!(said.ends_with("hello\n"), "{said}");
}

/// A service outside of the mesh on a port of ::1, and a policy toward it.
fn outside(name: &str, protocol: &str, at: u16, policy: &str) -> String {
    format!(
        "\
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{name}.example.com]
  resolution: STATIC
  ports: [{{number: 80, name: port, protocol: {protocol}}}]
  endpoints: [{{address: '::1', ports: {{port: {at}}}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: {name}}}
spec: {{host: {name}.example.com, trafficPolicy: {policy}}}
"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn balancers_and_tunnels_on_the_loopback_address_of_ipv6() {
    let ip = Ipv6Addr::LOCALHOST.into();
    let nginx = Nginx::on(ip, "", "").await;
    let settings = "real_ip_header proxy_protocol; set_real_ip_from ::1;";
    let reads = Nginx::on(ip, " proxy_protocol", settings).await;
    let (forward, forward_port) = tinyproxy(ip, nginx.port).await;
    let tunnel = format!(
        "{{tunnel: {{protocol: CONNECT, targetHost: '::1', targetPort: {}}}}}",
        nginx.port
    );
    let (entry, target) = (free_port(), free_port());
    let ports = [Port {
        name: "http",
        number: target,
        app: app(nginx.port),
    }];
    let config = [
        service("six", &ports) + &gateway(entry, target),
        outside("one", "HTTP", reads.port, "{proxyProtocol: {version: V1}}"),
        outside("two", "HTTP", reads.port, "{proxyProtocol: {version: V2}}"),
        outside("forward", "TCP", forward_port, &tunnel),
    ];
    let mesh = mesh("", &config.concat()).await;
    let more = ["--kind", "gateway", "--addresses", "::1"];
    let listen = ["--gateway-proxy-protocol", "--gateway-listen", "::1"];
    let _gateway = Proxy::start(&mesh, "entry", "entry", &[&more[..], &listen].concat());
    let _server = server(&mesh, "six-1", "six", &ports, "[::1]:0");
    let client = client(&mesh);
    mesh.settle().await.unwrap();
    // In: HAProxy tells the gateway.
    let balancer = Balancer::start(&[app(entry)]).await;
    for port in [balancer.one[0], balancer.two[0]] {
        let seen = curl(vec![format!("http://[::1]:{port}/who")]).await;
        assert_eq!(seen.split('|').nth(1), Some("::1"), "{seen}");
    }
    // Out: nginx is told.
    let via = [
        "-x".to_owned(),
        format!("socks5h://{}", client.explicit.unwrap()),
    ];
    for name in ["one", "two"] {
        let url = [format!("http://{name}.example.com/who")];
        let seen = curl([&via[..], &url].concat()).await;
        assert!(seen.starts_with("::1|"), "{seen}");
    }
    let url = ["http://forward.example.com/hello".to_owned()];
    assert_eq!(curl([&via[..], &url].concat()).await, "hello\n");
    let line = format!("CONNECT [::1]:{}", nginx.port);
    assert!(forward.printed().contains(&line), "{}", forward.printed());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_service_has_endpoints_of_both_families() {
    let four = Nginx::start().await;
    let six = Nginx::on(Ipv6Addr::LOCALHOST.into(), "", "").await;
    let number = free_port();
    let ports = [Port {
        name: "http",
        number,
        app: app(six.port),
    }];
    // `web` of the mesh file listens on an address of IPv4.
    let mesh = mesh(&workload("web", "http", number, four.port), "").await;
    let _server = server(&mesh, "web-six", "web", &ports, "[::1]:0");
    let client = client(&mesh);
    mesh.settle().await.unwrap();
    for proxy in [client.explicit.unwrap(), mesh.explicit("client").unwrap()] {
        let door = Door::through(proxy, "web", number).await;
        let mut seen = [false, false];
        for _ in 0..200 {
            let mut command = Command::new(program("curl"));
            command.env_clear().args([
                "-q",
                "-sS",
                "--max-time",
                "30",
                "-H",
                "Host: web",
                &door.url("/who"),
            ]);
            let who = must(command).await;
            seen[usize::from(who.starts_with("::1|"))] = true;
            if seen == [true, true] {
                break;
            }
        }
        assert_eq!(seen, [true, true], "through {proxy}");
    }
}
