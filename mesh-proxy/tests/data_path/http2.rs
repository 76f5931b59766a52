//! HTTP/2 and what looks like gRPC.

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh_api::v1::Protocol;
use tokio::net::TcpStream;

use crate::config::{Config, service};
use crate::peers::{App, Client, NAME, within};
use crate::proxy::{Proxy, proxy};

/// A client that speaks HTTP/2 with prior knowledge.
pub async fn client(address: std::net::SocketAddr) -> SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(address).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (sender, connection) = within(handshake).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn in_front_of(app: &App, protocol: Protocol) -> Proxy {
    proxy(Config::default().service(service("app", 80, protocol).plain(app.address))).start()
}

#[tokio::test]
async fn passes_to_servers_of_http2() {
    let app = App::echo_http2("a").await;
    let proxy = in_front_of(&app, Protocol::Http2);
    let mut client = client(proxy.explicit).await;
    for _ in 0..3 {
        let request = Request::post("http://app/x")
            .body(Full::from("body"))
            .unwrap();
        let response = within(client.send_request(request)).await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.version()),
            (200, Version::HTTP_2)
        );
        let text = within(response.into_body().collect())
            .await
            .unwrap()
            .to_bytes();
        let text = String::from_utf8(text.to_vec()).unwrap();
        assert!(
            text.starts_with("POST http://app/x HTTP/2.0") && text.ends_with("\nbody"),
            "{text}"
        );
    }
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn many_requests_share_one_connection() {
    let app = App::echo_http2("a").await;
    let proxy = in_front_of(&app, Protocol::Http2);
    let client = client(proxy.explicit).await;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let mut client = client.clone();
        running.spawn(async move {
            let request = Request::get("http://app/").body(Full::default()).unwrap();
            let response = within(client.send_request(request)).await.unwrap();
            within(response.into_body().collect()).await.unwrap();
        });
    }
    while let Some(result) = running.join_next().await {
        result.unwrap();
    }
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn http1_clients_reach_servers_of_http2() {
    let app = App::echo_http2("a").await;
    let proxy = in_front_of(&app, Protocol::Grpc);
    let mut client = Client::to(proxy.explicit).await;
    let answer = client.get("http://app/x").await;
    assert_eq!((answer.status(), answer.header(NAME)), (200, Some("a")));
    assert!(
        answer.body.starts_with("GET http://app/x HTTP/2.0"),
        "{answer:?}"
    );
}

/// An application that answers each request by an empty message and trailers.
pub async fn grpc() -> App {
    App::raw(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            let head = http::Response::builder()
                .header("content-type", "application/grpc")
                .body(())
                .unwrap();
            let mut send = respond.send_response(head, false).unwrap();
            send.send_data(Bytes::from_static(&[0, 0, 0, 0, 0]), false)
                .unwrap();
            let mut trailers = http::HeaderMap::new();
            trailers.insert("grpc-status", "5".parse().unwrap());
            trailers.insert("grpc-message", "gone".parse().unwrap());
            send.send_trailers(trailers).unwrap();
        }
    })
    .await
}

#[tokio::test]
async fn grpc_trailers_pass() {
    let app = grpc().await;
    let proxy = in_front_of(&app, Protocol::Grpc);
    let mut client = client(proxy.explicit).await;
    let request = Request::post("http://app/pkg.Service/Method")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Full::from(&[0_u8, 0, 0, 0, 0][..]))
        .unwrap();
    let response = within(client.send_request(request)).await.unwrap();
    let collected = within(response.into_body().collect()).await.unwrap();
    let trailers = collected.trailers().unwrap();
    assert_eq!(
        (&trailers["grpc-status"], &trailers["grpc-message"]),
        (&"5".parse().unwrap(), &"gone".parse().unwrap())
    );
    let metrics = proxy.telemetry.metrics();
    assert!(metrics.contains("grpc_response_status=\"5\""), "{metrics}");
}

#[tokio::test]
async fn grpc_trailers_reach_http1_clients_that_take_them() {
    let app = grpc().await;
    let proxy = in_front_of(&app, Protocol::Grpc);
    let mut client = Client::to(proxy.explicit).await;
    client
        .send("POST http://app/s/m HTTP/1.1\r\nHost: app\r\nTE: trailers\r\nContent-Type: application/grpc\r\nContent-Length: 0\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert!(
        answer
            .body
            .ends_with("grpc-status: 5\r\ngrpc-message: gone\r\n\r\n"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn failures_are_grpc_statuses_for_grpc() {
    let proxy = proxy(Config::default().service(service("app", 80, Protocol::Grpc))).start();
    let mut client = client(proxy.explicit).await;
    let request = Request::post("http://app/s/m")
        .header("content-type", "application/grpc+proto")
        .body(Full::default())
        .unwrap();
    let response = within(client.send_request(request)).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], "14");
    assert_eq!(response.headers()["x-mesh-reason"], "no_healthy_endpoint");
    assert!(
        within(response.into_body().collect())
            .await
            .unwrap()
            .to_bytes()
            .is_empty()
    );
}
