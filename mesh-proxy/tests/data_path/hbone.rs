//! Connections by HTTP/2 CONNECT over the mesh's mutual TLS.

use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use http::{Method, Request, Uri};
use mesh_api::v1::{
    AuthorizationAction, AuthorizationOperation, AuthorizationRule, AuthorizationSource, MtlsMode,
    Protocol,
};
use mesh_proxy::tls::{self, Alpn, Expect};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::config::{Config, policy, service, spiffe};
use crate::explicit::{connect, socks};
use crate::peers::{App, Client, until, within};
use crate::proxy::{CA, PORT, Proxy, proxy};

fn server(app: &App, config: Config) -> Proxy {
    proxy(config).account("server").app(app.address).start()
}

fn client(server: &Proxy, port: u16, protocol: Protocol) -> Proxy {
    let service = service("app", port, protocol).hbone(server.hbone(), PORT, "server");
    let config = Config::default().service(service);
    proxy(config).account("client").start()
}

fn inbound(protocol: Protocol, mode: MtlsMode) -> Config {
    Config::default().inbound(PORT, protocol, mode)
}

/// Only the client may, and only to this path.
fn guarded(path: &str) -> mesh_api::v1::AuthorizationPolicy {
    let rule = AuthorizationRule {
        from: vec![AuthorizationSource {
            principals: vec![spiffe("client").replace("spiffe://", "")],
            ..Default::default()
        }],
        to: vec![AuthorizationOperation {
            paths: vec![path.to_owned()],
            ..Default::default()
        }],
        ..Default::default()
    };
    policy("guarded", AuthorizationAction::Allow, rule)
}

async fn counting() -> App {
    App::raw(|mut stream| async move {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        let count = all.len().to_string();
        stream.write_all(count.as_bytes()).await.unwrap();
    })
    .await
}

#[tokio::test]
async fn requests_are_authorised_and_counted_as_over_mutual_tls() {
    let app = App::echo("a").await;
    // What disables the workload's own mutual TLS says nothing of HBONE.
    for mode in [MtlsMode::Strict, MtlsMode::Permissive, MtlsMode::Disable] {
        let server = server(&app, inbound(Protocol::Http, mode).policy(guarded("/open")));
        let client = client(&server, 80, Protocol::Http);
        let mut user = Client::to(client.explicit).await;
        let answer = user.get("http://app/open").await;
        assert_eq!(answer.status(), 200, "{mode:?} {answer:?}");
        let uri = format!("URI={}", spiffe("client"));
        assert!(answer.body.contains(&uri), "{answer:?}");
        assert!(!answer.body.contains("x-mesh-peer"), "{answer:?}");
        let answer = user.get("http://app/closed").await;
        assert_eq!(
            (answer.status(), answer.reason()),
            (403, "authorization_not_allowed")
        );
        let metrics = server.telemetry.metrics();
        let of_request = |line: &&str| {
            line.starts_with("istio_requests_total")
                && line.contains("connection_security_policy=\"mutual_tls\"")
                && line.contains("source_workload=\"test\"")
                && line.contains(&spiffe("client"))
        };
        assert!(metrics.lines().any(|line| of_request(&line)), "{metrics}");
        assert!(metrics.contains("mesh_accept_total{listener=\"hbone\"} 1"));
    }
}

#[tokio::test]
async fn many_connections_share_one_and_half_close() {
    let app = counting().await;
    let server = server(&app, inbound(Protocol::Tcp, MtlsMode::Strict));
    let client = client(&server, 7, Protocol::Tcp);
    let mut tunnels = Vec::new();
    for _ in 0..20 {
        tunnels.push(connect(&client, "app:7").await);
    }
    for (index, tunnel) in tunnels.iter_mut().enumerate() {
        tunnel.send(&"x".repeat((1 << 20) + index)).await;
        tunnel.0.shutdown().await.unwrap();
    }
    for (index, tunnel) in tunnels.iter_mut().enumerate() {
        let count = ((1 << 20) + index).to_string();
        assert_eq!(tunnel.rest().await.unwrap(), count);
    }
    assert_eq!(app.connections(), 20);
    let metrics = server.telemetry.metrics();
    assert!(
        metrics.contains("mesh_accept_total{listener=\"hbone\"} 1"),
        "{metrics}"
    );
}

#[tokio::test]
async fn servers_may_speak_first() {
    let app = App::raw(|mut stream| async move {
        stream.write_all(b"220 hello\r\n").await.unwrap();
        let mut line = [0; 4];
        stream.read_exact(&mut line).await.unwrap();
        stream.write_all(b"bye").await.unwrap();
    })
    .await;
    let server = server(&app, inbound(Protocol::Auto, MtlsMode::Permissive));
    let client = client(&server, 25, Protocol::Auto);
    let (mut tunnel, _) = socks(&client, "app", 25).await;
    let mut greeting = [0; 11];
    within(tunnel.0.read_exact(&mut greeting)).await.unwrap();
    assert_eq!(&greeting, b"220 hello\r\n");
    tunnel.send("QUIT").await;
    assert_eq!(tunnel.rest().await.unwrap(), "bye");
}

#[tokio::test]
async fn a_reset_is_passed_on_both_ways() {
    let app = App::raw(|mut stream| async move {
        let mut byte = [0];
        if stream.read_exact(&mut byte).await.is_ok() && byte == *b"r" {
            stream.set_zero_linger().unwrap();
            return;
        }
        // Until the client is gone: anything but an orderly end.
        stream.write_all(b"?").await.unwrap();
        assert!(stream.read_exact(&mut byte).await.is_err());
    })
    .await;
    let server = server(&app, inbound(Protocol::Tcp, MtlsMode::Strict));
    let client = client(&server, 7, Protocol::Tcp);
    let mut tunnel = connect(&client, "app:7").await;
    tunnel.send("r").await;
    let error = tunnel.rest().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let mut tunnel = connect(&client, "app:7").await;
    tunnel.send("w").await;
    within(tunnel.0.read_exact(&mut [0])).await.unwrap();
    tunnel.0.set_zero_linger().unwrap();
    drop(tunnel);
    let reset = "mesh_reasons_total{reason=\"downstream_disconnected\"}";
    until(|| server.telemetry.metrics().contains(reset)).await;
}

#[tokio::test]
async fn slow_readers_hold_back_their_sender_only() {
    let app = App::raw(|mut stream| async move {
        let mut byte = [0];
        stream.read_exact(&mut byte).await.unwrap();
        if byte == *b"m" {
            let _ = stream.write_all(&vec![b'x'; 8 << 20]).await;
        } else {
            stream.write_all(b"quick").await.unwrap();
        }
    })
    .await;
    let server = server(&app, inbound(Protocol::Tcp, MtlsMode::Strict));
    let client = client(&server, 7, Protocol::Tcp);
    let mut slow = connect(&client, "app:7").await;
    slow.send("m").await;
    within(slow.0.read_exact(&mut [0])).await.unwrap();
    let mut quick = connect(&client, "app:7").await;
    quick.send("q").await;
    assert_eq!(quick.rest().await.unwrap(), "quick");
    assert_eq!(slow.rest().await.unwrap().len(), (8 << 20) - 1);
}

#[tokio::test]
async fn a_draining_proxy_keeps_tunnels_and_takes_no_more_on_the_connection() {
    let app = counting().await;
    let server = server(&app, inbound(Protocol::Tcp, MtlsMode::Strict));
    let client = client(&server, 7, Protocol::Tcp);
    let mut tunnel = connect(&client, "app:7").await;
    tunnel.send("abc").await;
    server.drain.start();
    // The next ones go over another connection, while the listener is still there.
    let opened = || {
        let metrics = server.telemetry.metrics();
        metrics.contains("mesh_accept_total{listener=\"hbone\"} 2")
    };
    within(async {
        while !opened() {
            let mut other = connect(&client, "app:7").await;
            other.0.shutdown().await.unwrap();
            assert_eq!(other.rest().await.unwrap(), "0");
        }
    })
    .await;
    tunnel.send("def").await;
    tunnel.0.shutdown().await.unwrap();
    assert_eq!(tunnel.rest().await.unwrap(), "6");
}

async fn trunk(server: &Proxy) -> SendRequest<Bytes> {
    let identity = CA.identity("client");
    let expect = Expect::Identity(spiffe("server").parse().unwrap());
    let config = identity.client(Alpn::Hbone, &expect).unwrap();
    let stream = TcpStream::connect(server.hbone()).await.unwrap();
    let connected = tls::connect(stream, config, "127.0.0.1", Duration::from_secs(5)).await;
    let (send, connection) = h2::client::handshake(connected.unwrap().0).await.unwrap();
    tokio::spawn(connection);
    send
}

async fn ask(server: &Proxy, method: Method, target: &str) -> (u16, String) {
    let mut send = trunk(server).await.ready().await.unwrap();
    let mut request = Request::new(());
    *request.method_mut() = method;
    *request.uri_mut() = target.parse::<Uri>().unwrap();
    let (response, _body) = send.send_request(request, false).unwrap();
    let response = within(response).await.unwrap();
    let reason = response.headers().get("x-mesh-reason");
    let reason = reason.map_or("", |reason| reason.to_str().unwrap());
    (response.status().as_u16(), reason.to_owned())
}

#[tokio::test]
async fn what_leads_nowhere_is_refused_by_name() {
    let app = counting().await;
    let denied = policy(
        "nobody",
        AuthorizationAction::Deny,
        AuthorizationRule::default(),
    );
    let config = inbound(Protocol::Tcp, MtlsMode::Strict).policy(denied);
    let server = server(&app, config);
    let cases = [
        (
            Method::CONNECT,
            "127.0.0.1:9080",
            403,
            "authorization_denied",
        ),
        (
            Method::CONNECT,
            "127.0.0.1:9081",
            421,
            "misdirected_request",
        ),
        (Method::CONNECT, "10.9.8.7:9080", 421, "misdirected_request"),
        (Method::CONNECT, "app:9080", 400, "host_invalid"),
        (
            Method::GET,
            "https://app/",
            400,
            "downstream_protocol_error",
        ),
    ];
    for (method, target, status, reason) in cases {
        let got = ask(&server, method, target).await;
        assert_eq!(got, (status, reason.to_owned()), "{target}");
    }
    assert_eq!(app.connections(), 0);
    let metrics = server.telemetry.metrics();
    assert!(metrics.contains("mesh_reasons_total{reason=\"authorization_denied\"} 1"));

    // The client's proxy tells its own client.
    let client = client(&server, 7, Protocol::Tcp);
    let mut tunnel = connect(&client, "app:7").await;
    tunnel.rest().await.unwrap_err();
    assert!(client.telemetry.metrics().contains("response_flags=\"UF\""));
}

#[tokio::test]
async fn nobody_comes_in_without_a_certificate_of_the_mesh() {
    let app = counting().await;
    let server = server(&app, inbound(Protocol::Tcp, MtlsMode::Permissive));
    let mut plain = Client::to(server.hbone()).await;
    plain.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    let _ = plain.rest().await;
    let failed = "mesh_tls_handshakes_total{side=\"server\",result=\"failed\"} 1";
    until(|| server.telemetry.metrics().contains(failed)).await;
    assert_eq!(app.connections(), 0);
}

#[tokio::test]
async fn a_proxy_that_is_not_who_it_should_be_gets_nothing() {
    let app = counting().await;
    let server = server(&app, inbound(Protocol::Tcp, MtlsMode::Strict));
    let service = service("app", 7, Protocol::Http).hbone(server.hbone(), PORT, "somebody");
    let client = proxy(Config::default().service(service))
        .account("client")
        .start();
    let mut user = Client::to(client.explicit).await;
    let answer = user.get("http://app:7/").await;
    assert_eq!(answer.reason(), "upstream_identity_mismatch");
}
