use std::convert::Infallible;

use hyper::service::service_fn;
use tokio::net::{TcpListener, UnixListener};

use super::*;

/// Answers every request with its target and Host.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let host = request.headers()[header::HOST].to_str().unwrap().to_owned();
    let status = if request.uri().path() == "/bad" {
        418
    } else {
        200
    };
    let body = serde_json::json!({"target": request.uri().to_string(), "host": host}).to_string();
    Ok(Response::builder()
        .status(status)
        .body(Full::from(body))
        .unwrap())
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
    let service = service_fn(echo);
    hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await
        .unwrap();
}

fn get(url: &str) -> Request<Full<Bytes>> {
    Request::get(url).body(Full::default()).unwrap()
}

const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::test]
async fn each_way_uses_its_form_of_the_target() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    for (via, url, target, host) in [
        (
            Via::Proxy(address),
            "http://reviews:9080/a?b=c".to_owned(),
            "http://reviews:9080/a?b=c",
            "reviews:9080".to_owned(),
        ),
        (
            Via::Address(address),
            "http://reviews:9080/a".to_owned(),
            "/a",
            "reviews:9080".to_owned(),
        ),
        (
            Via::Direct,
            format!("http://{address}/a"),
            "/a",
            address.to_string(),
        ),
    ] {
        let (answer, ()) = tokio::join!(call(&via, get(&url), PATIENCE), async {
            serve(listener.accept().await.unwrap().0).await;
        });
        let seen: serde_json::Value = serde_json::from_slice(&answer.unwrap().body).unwrap();
        assert_eq!(seen["target"], target);
        assert_eq!(seen["host"], host);
    }
}

#[tokio::test]
async fn admin_errors_name_the_endpoint() {
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("s");
    let admin = Admin::new("the control plane", &socket);
    let error = admin
        .get::<serde_json::Value>("/x")
        .await
        .unwrap_err()
        .to_string();
    assert!(error.contains("cannot ask the control plane"), "{error}");

    let listener = UnixListener::bind(&socket).unwrap();
    let (answer, ()) = tokio::join!(admin.get::<serde_json::Value>("/v1/status"), async {
        serve(listener.accept().await.unwrap().0).await;
    });
    assert_eq!(answer.unwrap()["target"], "/v1/status");
    let (answer, ()) = tokio::join!(admin.get::<serde_json::Value>("/bad"), async {
        serve(listener.accept().await.unwrap().0).await;
    });
    assert!(matches!(answer, Err(AdminError::Status { status, .. }) if status.as_u16() == 418));
    let (answer, ()) = tokio::join!(admin.get::<u32>("/v1/status"), async {
        serve(listener.accept().await.unwrap().0).await;
    });
    assert!(matches!(answer, Err(AdminError::Format { .. })));
}
