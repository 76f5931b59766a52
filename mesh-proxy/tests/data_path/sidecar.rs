//! What a Sidecar asks for: ports with listeners, endpoints and limits of their own, and listeners
//! for the workload's calls.

use std::net::SocketAddr;
use std::sync::Arc;

use mesh_api::v1::app_endpoint::Kind;
use mesh_api::v1::{
    AppEndpoint, ConnectionPool, EgressListener, InboundListener, InboundPort, MtlsMode, Protocol,
    ServerTlsFiles, TlsServer, TlsServerMode,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixListener, UnixStream};

use crate::config::{Config, service};
use crate::peers::{App, Client, NAME, until, within};
use crate::proxy::{Proxy, Vacant, proxy, vacant};

impl Config {
    /// A port of which a Sidecar says more.
    fn port(self, port: InboundPort) -> Self {
        let number = u16::try_from(port.port).unwrap();
        let mut config = self.inbound(number, port.protocol(), port.mtls());
        let ports = &mut config.inbound.as_mut().unwrap().ports;
        *ports.last_mut().unwrap() = port;
        config
    }

    /// A listener for the workload's own calls.
    fn egress(self, listener: EgressListener) -> Self {
        let mut config = self.at("");
        config.inbound.as_mut().unwrap().egress.push(listener);
        config
    }
}

fn listening(port: &Vacant, protocol: Protocol, kind: Kind) -> InboundPort {
    InboundPort {
        port: port.address.port().into(),
        protocol: protocol.into(),
        mtls: MtlsMode::Permissive.into(),
        listener: Some(InboundListener {
            bind: "127.0.0.1".to_owned(),
            always: true,
        }),
        endpoint: Some(AppEndpoint {
            kind: Some(kind),
            prefer_ipv6: false,
        }),
        ..Default::default()
    }
}

fn loopback(app: &App) -> Kind {
    Kind::LoopbackPort(app.address.port().into())
}

fn served(port: InboundPort) -> Proxy {
    proxy(Config::default().port(port))
        .account("server")
        .start()
}

/// Listeners open a moment after the configuration has come.
async fn reach(address: SocketAddr) -> Client {
    within(async {
        loop {
            match TcpStream::connect(address).await {
                Ok(stream) => return Client(stream),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

async fn get(address: SocketAddr) -> crate::peers::Answer {
    let mut client = reach(address).await;
    client.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n").await;
    client.answer().await
}

#[tokio::test]
async fn a_port_has_a_listener_as_long_as_the_configuration_says_so() {
    let (app, port) = (App::echo("a").await, vacant());
    let proxy = served(listening(&port, Protocol::Http, loopback(&app)));
    let answer = get(port.address).await;
    assert_eq!((answer.status(), answer.header(NAME)), (200, Some("a")));
    proxy.adjuster.set(Config::default().at("").snapshot());
    within(async {
        while TcpStream::connect(port.address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn an_application_may_be_a_unix_socket() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let app = tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => head.push(byte),
                    // Opened in case the server speaks first, before the client did.
                    Err(_) => break,
                }
            }
            if head.is_empty() {
                continue;
            }
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\nunix";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    for protocol in [Protocol::Http, Protocol::Tcp] {
        let port = vacant();
        let kind = Kind::UnixPath(path.display().to_string());
        let _proxy = served(listening(&port, protocol, kind));
        let answer = get(port.address).await;
        assert_eq!((answer.status(), answer.body.as_str()), (200, "unix"));
    }
    app.abort();
}

#[tokio::test]
async fn a_listener_that_leads_to_itself_is_refused() {
    let port = vacant();
    let itself = Kind::LoopbackPort(port.address.port().into());
    let proxy = served(listening(&port, Protocol::Tcp, itself));
    let mut client = reach(port.address).await;
    client.rest().await.unwrap_err();
    // A reset may come before the client knows that it is connected; then it tries again.
    let reason = "mesh_reasons_total{reason=\"loop_detected\"}";
    until(|| proxy.telemetry.metrics().contains(reason)).await;
}

#[tokio::test]
async fn requests_to_the_application_are_limited() {
    let (app, port) = (
        App::raw(|stream| async move { drop_late(stream).await }).await,
        vacant(),
    );
    let proxy = served(InboundPort {
        connection_pool: Some(ConnectionPool {
            max_requests: 1,
            ..Default::default()
        }),
        ..listening(&port, Protocol::Http, loopback(&app))
    });
    let mut first = reach(port.address).await;
    first.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n").await;
    until(|| app.connections() == 1).await;
    let answer = get(port.address).await;
    assert_eq!(
        (answer.status(), answer.reason()),
        (503, "too_many_requests")
    );
    assert_eq!(answer.header("x-mesh-unprocessed"), None);
    assert!(proxy.telemetry.metrics().contains("response_flags=\"UO\""));
    drop(first);
}

#[tokio::test]
async fn limits_that_change_hold_on_open_connections() {
    let (app, port) = (App::raw(drop_late).await, vacant());
    let with = |max_requests: u32| {
        let pool = (max_requests > 0).then(|| ConnectionPool {
            max_requests,
            ..Default::default()
        });
        InboundPort {
            connection_pool: pool,
            ..listening(&port, Protocol::Http, loopback(&app))
        }
    };
    let echo = App::echo("a").await;
    let proxy = served(InboundPort {
        endpoint: listening(&port, Protocol::Http, loopback(&echo)).endpoint,
        ..with(0)
    });
    // Open before anything is limited, and in use.
    let mut kept = reach(port.address).await;
    kept.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n").await;
    assert_eq!(kept.answer().await.header(NAME), Some("a"));
    proxy
        .adjuster
        .set(Config::default().port(with(1)).snapshot());
    let mut first = reach(port.address).await;
    first.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n").await;
    until(|| app.connections() == 1).await;
    kept.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n").await;
    let answer = kept.answer().await;
    assert_eq!(
        (answer.status(), answer.reason()),
        (503, "too_many_requests")
    );
    // And gone again, while the first request is still there.
    proxy
        .adjuster
        .set(Config::default().port(with(2)).snapshot());
    kept.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n").await;
    until(|| app.connections() == 2).await;
    drop(first);
}

/// A listener that accepts nothing, with as many connections as it takes.
fn deaf() -> (socket2::Socket, SocketAddr, Vec<std::net::TcpStream>) {
    use socket2::{Domain, Socket, Type};
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
    socket.bind(&any.into()).unwrap();
    socket.listen(0).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let mut queued = Vec::new();
    let wait = std::time::Duration::from_millis(500);
    while let Ok(stream) = std::net::TcpStream::connect_timeout(&address, wait) {
        queued.push(stream);
        assert!(queued.len() < 100, "everything is accepted");
    }
    (socket, address, queued)
}

#[tokio::test]
async fn an_application_that_does_not_answer_is_given_up_when_the_sidecar_says() {
    let (_socket, address, _queued) = tokio::task::spawn_blocking(deaf).await.unwrap();
    for protocol in [Protocol::Http, Protocol::Tcp] {
        let port = vacant();
        let proxy = served(InboundPort {
            connect_timeout_ms: 100,
            ..listening(&port, protocol, Kind::LoopbackPort(address.port().into()))
        });
        let began = std::time::Instant::now();
        let mut client = reach(port.address).await;
        client.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n").await;
        if protocol == Protocol::Http {
            let answer = client.answer().await;
            assert_eq!(
                (answer.status(), answer.reason()),
                (503, "upstream_connect_failure")
            );
        } else {
            client.rest().await.unwrap_err();
            let reason = "mesh_reasons_total{reason=\"upstream_connect_timeout\"}";
            until(|| proxy.telemetry.metrics().contains(reason)).await;
        }
        // The default is ten seconds.
        assert!(began.elapsed() < std::time::Duration::from_secs(8));
    }
}

// Says nothing until the client is gone.
async fn drop_late(mut stream: TcpStream) {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all).await;
}

#[tokio::test]
async fn connections_to_the_application_are_limited_and_age() {
    let (app, port) = (App::raw(drop_late).await, vacant());
    let proxy = served(InboundPort {
        connection_pool: Some(ConnectionPool {
            max_connections: 1,
            max_connection_duration_ms: 300,
            ..Default::default()
        }),
        ..listening(&port, Protocol::Tcp, loopback(&app))
    });
    let mut first = reach(port.address).await;
    first.send("x").await;
    until(|| app.connections() == 1).await;
    let mut second = reach(port.address).await;
    second.rest().await.unwrap_err();
    let metrics = proxy.telemetry.metrics();
    assert!(
        metrics.contains("mesh_reasons_total{reason=\"too_many_connections\"}"),
        "{metrics}"
    );
    first.rest().await.unwrap_err();
    let metrics = proxy.telemetry.metrics();
    assert!(
        metrics.contains("mesh_reasons_total{reason=\"max_connection_duration\"}"),
        "{metrics}"
    );
}

#[tokio::test]
async fn trap_51_callers_outside_of_the_mesh_have_tls_where_it_is_said_so() {
    let directory = tempfile::tempdir().unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["app.example.com".to_owned()]).unwrap();
    let leaf = params.self_signed(&key).unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(path("c.pem"), leaf.pem()).unwrap();
    std::fs::write(path("k.pem"), key.serialize_pem()).unwrap();
    let (app, port) = (App::echo("a").await, vacant());
    let proxy = served(InboundPort {
        mtls: MtlsMode::Disable.into(),
        tls: Some(TlsServer {
            sni_hosts: vec!["*".to_owned()],
            mode: TlsServerMode::Simple.into(),
            protocol: Protocol::Http.into(),
            files: Some(ServerTlsFiles {
                certificate: path("c.pem"),
                private_key: path("k.pem"),
                ..Default::default()
            }),
            ..Default::default()
        }),
        ..listening(&port, Protocol::Http, loopback(&app))
    });
    let mut roots = rustls::RootCertStore::empty();
    roots.add(leaf.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = reach(port.address).await.0;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let name = "app.example.com".try_into().unwrap();
    let mut stream = within(connector.connect(name, stream)).await.unwrap();
    let request = "GET / HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let _ = within(stream.read_to_string(&mut answer)).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("x-forwarded-proto: https"), "{answer}");
    let mut plain = reach(port.address).await;
    plain.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n").await;
    let _ = plain.rest().await;
    let refused = "mesh_reasons_total{reason=\"downstream_tls_failure\"} 1";
    until(|| proxy.telemetry.metrics().contains(refused)).await;
}

#[tokio::test]
async fn the_workload_calls_on_listeners_of_its_own() {
    let (app, bytes) = (App::echo("a").await, App::raw(drop_late).await);
    let (requests, opaque) = (vacant(), vacant());
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("out.sock");
    let egress = |bind: &str, port: u16, protocol: Protocol, to: Option<(&str, u16)>| {
        let (host, service_port) = to.unwrap_or_default();
        EgressListener {
            bind: bind.to_owned(),
            port: port.into(),
            protocol: protocol.into(),
            host: host.to_owned(),
            service_port: service_port.into(),
            always: true,
        }
    };
    let port = requests.address.port();
    let config = Config::default()
        .service(service("app", port, Protocol::Http).plain(app.address))
        .service(service("web", 80, Protocol::Http).plain(app.address))
        .service(service("db", 5432, Protocol::Tcp).plain(bytes.address))
        .egress(egress("127.0.0.1", port, Protocol::Http, None))
        .egress(egress(
            "",
            opaque.address.port(),
            Protocol::Tcp,
            Some(("db", 5432)),
        ))
        .egress(egress(
            &format!("unix://{}", path.display()),
            0,
            Protocol::Http,
            None,
        ));
    let proxy = proxy(config).start();
    let answer = get(requests.address).await;
    assert_eq!((answer.status(), answer.header(NAME)), (200, Some("a")));
    let mut tunnel = reach(opaque.address).await;
    tunnel.send("x").await;
    until(|| bytes.connections() == 1).await;
    let mut local = within(async {
        loop {
            match UnixStream::connect(&path).await {
                Ok(stream) => return stream,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await;
    let request = "GET / HTTP/1.1\r\nHost: web\r\nConnection: close\r\n\r\n";
    local.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    within(local.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    proxy.drain.start();
    drop(tunnel);
    drop(proxy);
    assert!(!path.exists());
}
