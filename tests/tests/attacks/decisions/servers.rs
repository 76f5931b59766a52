//! What runs beside the mesh.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::attribute;

/// Spans with the names of the services that sent them.
pub(super) type Spans = Arc<Mutex<Vec<(String, Value)>>>;

/// A collector of OpenTelemetry.
pub(super) async fn collect(tasks: &mut JoinSet<()>) -> (Spans, SocketAddr) {
    let spans = Spans::default();
    let collected = Arc::clone(&spans);
    let address = answer(tasks, move |_, body| {
        let message: Value = serde_json::from_slice(&body).unwrap_or_default();
        for resource in message["resourceSpans"].as_array().into_iter().flatten() {
            let service = attribute(&resource["resource"], "service.name");
            let service = service.as_str().unwrap_or_default();
            let scopes = resource["scopeSpans"].as_array().into_iter().flatten();
            let new = scopes.flat_map(|scope| scope["spans"].as_array().into_iter().flatten());
            let new = new.map(|span| (service.to_owned(), span.clone()));
            collected.lock().unwrap().extend(new);
        }
        StatusCode::OK
    });
    (spans, address.await)
}

/// A server of HTTP that answers by what it makes of path and body.
pub(super) async fn answer(
    tasks: &mut JoinSet<()>,
    decide: impl Fn(&str, Bytes) -> StatusCode + Clone + Send + 'static,
) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((stream, _)) = listener.accept().await {
            let decide = decide.clone();
            connections.spawn(async move {
                let service = service_fn(move |request: Request<Incoming>| {
                    let decide = decide.clone();
                    async move {
                        let path = request.uri().path().to_owned();
                        let body = request.into_body().collect().await;
                        let body = body.map(Collected::to_bytes).unwrap_or_default();
                        let mut answer = Response::new(Full::new(Bytes::from_static(b"{}")));
                        *answer.status_mut() = decide(&path, body);
                        Ok::<_, Infallible>(answer)
                    }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    address
}

/// A server of bytes: it says what it hears.
pub(super) async fn repeat(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        connections.spawn(async move {
            let (mut read, mut write) = stream.split();
            let _ = tokio::io::copy(&mut read, &mut write).await;
        });
    }
}
