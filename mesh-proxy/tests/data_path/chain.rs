//! Both sidecars, with the mesh's mutual TLS between them.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use mesh_api::v1::{MtlsMode, Protocol};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::config::{Config, service};
use crate::explicit::connect;
use crate::peers::{App, Client, read_head, within};
use crate::proxy::{PORT, Proxy, proxy};

struct Chain {
    client: Proxy,
    server: Proxy,
}

fn chain(app: &App, protocol: Protocol) -> Chain {
    let inbound = Config::default().inbound(PORT, protocol, MtlsMode::Strict);
    let server = proxy(inbound).account("server").app(app.address).start();
    let service = service("app", 80, protocol).mesh(server.served(), "server");
    Chain {
        client: proxy(Config::default().service(service))
            .account("client")
            .start(),
        server,
    }
}

#[tokio::test]
async fn grpc_passes_with_its_trailers() {
    let app = crate::http2::grpc().await;
    let chain = chain(&app, Protocol::Grpc);
    let mut client = crate::http2::client(chain.client.explicit).await;
    for _ in 0..3 {
        let request = Request::post("http://app/pkg.Service/Method")
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::from(&[0_u8, 0, 0, 0, 0][..]))
            .unwrap();
        let response = within(client.send_request(request)).await.unwrap();
        let collected = within(response.into_body().collect()).await.unwrap();
        assert_eq!(collected.trailers().unwrap()["grpc-status"], "5");
    }
    assert_eq!(app.connections(), 1);
    for proxy in [&chain.client, &chain.server] {
        let metrics = proxy.telemetry.metrics();
        assert!(
            metrics.contains("request_protocol=\"grpc\"")
                && metrics.contains("grpc_response_status=\"5\"")
        );
    }
}

#[tokio::test]
async fn websockets_pass() {
    let app = App::raw(|mut stream| async move {
        read_head(&mut stream).await;
        let answer =
            "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    })
    .await;
    let chain = chain(&app, Protocol::Http);
    let mut client = Client::to(chain.client.explicit).await;
    client.send("GET http://app/ HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    let head = within(read_head(&mut client.0)).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    client.send("ping").await;
    let mut pong = [0; 4];
    within(client.0.read_exact(&mut pong)).await.unwrap();
    assert_eq!(&pong, b"ping");
    client.0.shutdown().await.unwrap();
    assert_eq!(client.rest().await.unwrap(), "");
}

#[tokio::test]
async fn a_peer_that_closes_its_http2_connections_costs_nothing() {
    // Answers one request per connection.
    let app = App::raw(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        if let Some(Ok((_, mut respond))) = connection.accept().await {
            respond
                .send_response(http::Response::new(()), true)
                .unwrap();
            connection.graceful_shutdown();
            while connection.accept().await.is_some() {}
        }
    })
    .await;
    let chain = chain(&app, Protocol::Http2);
    let mut client = crate::http2::client(chain.client.explicit).await;
    for _ in 0..5 {
        let request = Request::get("http://app/")
            .body(Full::<Bytes>::default())
            .unwrap();
        assert_eq!(
            within(client.send_request(request)).await.unwrap().status(),
            200
        );
    }
    assert_eq!(app.connections(), 5);
}

#[tokio::test]
async fn the_applications_own_tls_passes_inside() {
    let app = App::raw(|mut stream| async move {
        let mut hello = vec![0; 16 * 1024];
        assert!(stream.read(&mut hello).await.unwrap() > 0);
        assert_eq!(hello[0], 22);
        stream.write_all(b"seen").await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = stream.read_to_end(&mut hello).await;
    })
    .await;
    let chain = chain(&app, Protocol::Tls);
    let mut tunnel = connect(&chain.client, "app:80").await;
    // A ClientHello for `app`, as a client of the application would begin.
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let mut session =
        rustls::ClientConnection::new(std::sync::Arc::new(config), "app".try_into().unwrap())
            .unwrap();
    let mut hello = Vec::new();
    session.write_tls(&mut hello).unwrap();
    tunnel.0.write_all(&hello).await.unwrap();
    let mut seen = [0; 4];
    within(tunnel.0.read_exact(&mut seen)).await.unwrap();
    assert_eq!(&seen, b"seen");
}

#[tokio::test]
async fn requests_in_a_row_use_one_connection_on_each_hop() {
    let app = App::echo("a").await;
    let chain = chain(&app, Protocol::Http);
    let mut client = Client::to(chain.client.explicit).await;
    for _ in 0..20 {
        client
            .send("POST http://app/ HTTP/1.1\r\nHost: app\r\nContent-Length: 4\r\n\r\nbody")
            .await;
        assert!(client.answer().await.body.ends_with("\nbody"));
    }
    assert_eq!(app.connections(), 1);
    assert_eq!(chain.server.drain.running().http, 1);
}
