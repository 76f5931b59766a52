//! HBONE with Envoy on the other side, as Istio configures its sidecars and waypoints for it.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Instant;

use mesh_tests::LaptopMesh;
use mesh_tests::laptop::free_address;
use serde_json::{Value, json};

use super::config::{Wire, bootstrap, cluster, kind, tls};
use super::{curl, envoy};
use crate::certificates::Leaf;
use crate::door::Door;
use crate::nginx::Nginx;
use crate::place::mesh;
use crate::programs::{Daemon, LIMIT, PAUSE, free_port, must, run};
use crate::proxy::Proxy;

/// Istio's port.
const HBONE: u16 = 15008;

fn router() -> Value {
    json!([{"name": "envoy.filters.http.router", "typed_config": {
        "@type": kind("filters.http.router.v3.Router"),
    }}])
}

/// Bytes in, a CONNECT to `target` through the proxy at `to` out.
fn tunneler(listen: u16, to: SocketAddr, target: &str, leaf: &Leaf) -> Value {
    let mut next = cluster(to, Wire::Http2);
    let names = json!({"prefix": "spiffe://cluster.local/ns/default/sa/web"});
    next["transport_socket"] = json!({
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": kind("transport_sockets.tls.v3.UpstreamTlsContext"),
            "common_tls_context": tls(leaf, &json!(["h2"]), &names),
        },
    });
    let chain = json!({"filters": [{"name": "envoy.filters.network.tcp_proxy", "typed_config": {
        "@type": kind("filters.network.tcp_proxy.v3.TcpProxy"),
        "stat_prefix": "tunnel", "cluster": "next",
        "tunneling_config": {"hostname": target, "headers_to_add": [
            {"header": {"key": "baggage", "value": "service.name=outsider"}},
        ]},
    }}]});
    let listen = SocketAddr::from(([127, 0, 0, 1], listen));
    bootstrap(listen, &json!([]), &chain, &next)
}

/// Ends tunnels on an address and carries them to an application, as Istio's `connect_terminate`.
fn terminator(listen: SocketAddr, app: SocketAddr, leaf: &Leaf) -> Value {
    let names = json!({"prefix": "spiffe://cluster.local/"});
    let seen = json!([{"name": "envoy.access_loggers.stdout", "typed_config": {
        "@type": kind("access_loggers.stream.v3.StdoutAccessLog"),
        "log_format": {"text_format_source": {"inline_string":
            "seen %DOWNSTREAM_PEER_URI_SAN% %REQ(:METHOD)% %REQ(:AUTHORITY)% %REQ(BAGGAGE)%\n"}},
    }}]);
    let chain = json!({
        "filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": {
            "@type": kind("filters.network.http_connection_manager.v3.HttpConnectionManager"),
            "stat_prefix": "hbone", "codec_type": "HTTP2", "access_log": seen,
            "http2_protocol_options": {"allow_connect": true},
            "upgrade_configs": [{"upgrade_type": "CONNECT"}],
            "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [{
                "match": {"connect_matcher": {}},
                "route": {"cluster": "next", "timeout": "0s", "upgrade_configs": [
                    {"upgrade_type": "CONNECT", "connect_config": {}},
                ]},
            }]}]},
            "http_filters": router(),
        }}],
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {
                "@type": kind("transport_sockets.tls.v3.DownstreamTlsContext"),
                "common_tls_context": tls(leaf, &json!(["h2"]), &names),
                "require_client_certificate": true,
            },
        },
    });
    bootstrap(listen, &json!([]), &chain, &cluster(app, Wire::Http1))
}

/// An Envoy that ends tunnels that are asked for by POST, in plain text, and carries them to an
/// application; its port.
pub(crate) async fn post_terminator(app: u16) -> (Daemon, u16) {
    plain_terminator("HTTP1", app).await
}

/// An Envoy that ends tunnels that are asked for by CONNECT or POST over HTTP/2, in plain text.
pub(crate) async fn http2_terminator(app: u16) -> (Daemon, u16) {
    plain_terminator("HTTP2", app).await
}

async fn plain_terminator(codec: &str, app: u16) -> (Daemon, u16) {
    let port = free_port();
    let route = |matcher: Value, config: Value| {
        json!({"match": matcher, "route": {"cluster": "next", "timeout": "0s", "upgrade_configs": [
            {"upgrade_type": "CONNECT", "connect_config": config},
        ]}})
    };
    let post = json!({"prefix": "/", "headers": [
        {"name": ":method", "string_match": {"exact": "POST"}},
    ]});
    let mut routes = vec![route(post, json!({"allow_post": true}))];
    let mut manager = json!({
        "@type": kind("filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "tunnels", "codec_type": codec,
        "access_log": [{"name": "envoy.access_loggers.stdout", "typed_config": {
            "@type": kind("access_loggers.stream.v3.StdoutAccessLog"),
            "log_format": {"text_format_source": {"inline_string":
                "seen %REQ(:METHOD)% %REQ(:PATH)% %REQ(:AUTHORITY)%\n"}},
        }}],
        "http_filters": router(),
    });
    if codec == "HTTP2" {
        routes.insert(0, route(json!({"connect_matcher": {}}), json!({})));
        manager["http2_protocol_options"] = json!({"allow_connect": true});
        manager["upgrade_configs"] = json!([{"upgrade_type": "CONNECT"}]);
    }
    manager["route_config"] =
        json!({"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]});
    let chain = json!({"filters": [{
        "name": "envoy.filters.network.http_connection_manager", "typed_config": manager,
    }]});
    let local = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
    let next = cluster(local(app), Wire::Http1);
    let config = bootstrap(local(port), &json!([]), &chain, &next);
    (envoy(&config, Daemon::directory(), port).await, port)
}

/// Waits until Envoy has printed all of these.
pub(crate) async fn has_seen(envoy: &Daemon, all: &[String]) {
    let deadline = Instant::now() + LIMIT;
    while !all.iter().all(|one| envoy.printed().contains(one)) {
        assert!(Instant::now() < deadline, "{all:?}: {}", envoy.printed());
        tokio::time::sleep(PAUSE).await;
    }
}

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
  rules: [{from: [{source: {principals: [cluster.local/ns/default/sa/outsider]}}]}]
";

async fn tunnel(mesh: &LaptopMesh, account: &str, to: SocketAddr, target: &str) -> (Daemon, u16) {
    let directory = Daemon::directory();
    let port = free_port();
    let leaf = Leaf::issue(mesh, account, directory.path());
    let config = tunneler(port, to, target, &leaf);
    (envoy(&config, directory, port).await, port)
}

#[tokio::test(flavor = "multi_thread")]
async fn envoy_calls_ours_through_hbone() {
    let nginx = Nginx::start().await;
    let mesh = mesh("", CONFIG).await;
    let ip = free_address().unwrap().ip();
    let app = format!("127.0.0.1:{}", nginx.port);
    let inbound = format!("8080={ip}:8080={app},8081={ip}:8081={app}");
    let (addresses, listen) = (ip.to_string(), SocketAddr::new(ip, HBONE));
    let more = [
        "--addresses",
        &addresses,
        "--register",
        "--inbound",
        &inbound,
        "--hbone",
        &listen.to_string(),
    ];
    let _proxy = Proxy::start(&mesh, "web", "web", &more);
    mesh.settle().await.unwrap();
    for port in [8080, 8081] {
        let target = format!("{ip}:{port}");
        let (daemon, at) = tunnel(&mesh, "outsider", listen, &target).await;
        // Two requests on one tunnel, one of them large.
        let base = format!("http://127.0.0.1:{at}");
        let urls = [format!("{base}/hello"), format!("{base}/large.bin")];
        let mut command = curl(&["-o", "-", &urls[0], "-o", "/dev/null", &urls[1]]);
        command.args(["-w", "%{size_download};"]);
        let said = run(command).await;
        assert_eq!(
            said.out,
            "hello\n6;8388608;",
            "{port}: {said:?}\n{}",
            daemon.printed()
        );
        if port == 8080 {
            let head = must(curl(&[&format!("{base}/head")])).await;
            let identity = "URI=spiffe://cluster.local/ns/default/sa/outsider";
            assert!(head.contains(identity), "{head}");
        }
        let (_daemon, at) = tunnel(&mesh, "stranger", listen, &target).await;
        let url = format!("http://127.0.0.1:{at}/hello");
        let said = run(curl(&["-o", "/dev/null", "-w", "%{http_code}", &url])).await;
        assert_eq!(said.out, if port == 8080 { "403" } else { "000" });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ours_calls_envoy_through_hbone() {
    let nginx = Nginx::start().await;
    let mesh = mesh("", "").await;
    let ip = free_address().unwrap().ip();
    let directory = Daemon::directory();
    let leaf = Leaf::issue(&mesh, "ambient", directory.path());
    let app = SocketAddr::from(([127, 0, 0, 1], nginx.port));
    let config = terminator(SocketAddr::new(ip, HBONE), app, &leaf);
    let file = directory.path().join("envoy.json");
    std::fs::write(&file, config.to_string()).unwrap();
    let daemon = Daemon::start(super::command(&file), directory, SocketAddr::new(ip, HBONE)).await;
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
        let mut command: Command = curl(&["-o", "-", &door.url("/hello")]);
        command.args(["-o", "/dev/null", &door.url("/large.bin")]);
        command.args(["-w", "%{size_download};"]);
        let said = run(command).await;
        assert_eq!(
            said.out,
            "hello\n6;8388608;",
            "{port}: {said:?}\n{}",
            daemon.printed()
        );
    }
    // Envoy tells of a tunnel when it has ended.
    drop(mesh);
    let seen = |port: u16| {
        format!("seen spiffe://cluster.local/ns/default/sa/client CONNECT {ip}:{port} k8s.")
    };
    has_seen(&daemon, &[seen(8080), seen(8081)]).await;
}
