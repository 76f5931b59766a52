//! Requests that hide others: refused by the first proxy that sees them, with a reason, and
//! nothing of them reaches an application. `mesh_proxy_core::http1` has the whole table of shapes.

use mesh_api::v1::{MtlsMode, Protocol};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::config::{Config, service};
use crate::peers::{App, Client, read_head};
use crate::proxy::{PORT, Proxy, proxy};

const HIDDEN: &str = "GET http://app/hidden HTTP/1.1\r\nHost: app\r\n\r\n";

fn in_front_of(app: &App) -> Proxy {
    let config = Config::default()
        .service(service("app", 80, Protocol::Http).plain(app.address))
        .inbound(PORT, Protocol::Http, MtlsMode::Permissive);
    proxy(config).account("server").app(app.address).start()
}

#[tokio::test]
async fn requests_in_requests_are_refused() {
    let app = App::echo("a").await;
    let proxy = in_front_of(&app);
    let shapes = [
        // CL.TE and TE.CL, and what another may take for chunked.
        (
            "Content-Length: 4\r\nTransfer-Encoding: chunked",
            "0\r\n\r\n",
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 4",
            "0\r\n\r\n",
        ),
        ("Transfer-Encoding: xchunked", "0\r\n\r\n"),
        ("Transfer-Encoding : chunked", "0\r\n\r\n"),
        ("Transfer-Encoding:\x0bchunked", "0\r\n\r\n"),
        ("Transfer-Encoding: chunked, identity", "0\r\n\r\n"),
        ("Transfer-Encoding: gzip, chunked", "0\r\n\r\n"),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
            "0\r\n\r\n",
        ),
        ("X: y\r\n Transfer-Encoding: chunked", "0\r\n\r\n"),
        ("X: y\rTransfer-Encoding: chunked", "0\r\n\r\n"),
        // CL.CL
        ("Content-Length: 0\r\nContent-Length: 44", ""),
        ("Content-Length: 0, 44", ""),
        ("Content-Length: +0", ""),
        ("Content-Length: 0x0", ""),
        // Hosts
        ("Host: other", ""),
        ("Host : other", ""),
        ("Bad Name: x", ""),
    ];
    for address in [proxy.explicit, proxy.served()] {
        for (fields, body) in shapes {
            let mut client = Client::to(address).await;
            client
                .send(&format!(
                    "POST http://app/ HTTP/1.1\r\nHost: app\r\n{fields}\r\n\r\n{body}{HIDDEN}"
                ))
                .await;
            let all = client.rest().await.unwrap();
            let answers = all.matches("HTTP/1.1 ").count();
            assert!(all.starts_with("HTTP/1.1 400 "), "{fields:?}: {all}");
            assert_eq!(answers, 1, "{fields:?}: {all}");
            let reason = all.contains("x-mesh-reason: downstream_protocol_error")
                || all.contains("x-mesh-reason: host_invalid");
            assert!(
                reason && all.contains("connection: close"),
                "{fields:?}: {all}"
            );
        }
    }
    assert_eq!(app.connections(), 0);
    let metrics = proxy.telemetry.metrics();
    assert!(metrics.contains("response_flags=\"DPE\""), "{metrics}");
}

#[tokio::test]
async fn bad_chunks_end_the_request_and_the_connection() {
    let app = App::echo("a").await;
    let proxy = in_front_of(&app);
    for chunks in [
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello!\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "00000000000000005\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\nX: y\n\r\n",
    ] {
        let mut client = Client::to(proxy.explicit).await;
        client
            .send(&format!("POST http://app/ HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}{HIDDEN}"))
            .await;
        let all = client.rest().await.unwrap_or_default();
        assert!(
            !all.contains(" 200 ") && !all.contains("hidden"),
            "{chunks:?}: {all}"
        );
        assert!(all.matches("HTTP/1.1 ").count() <= 1, "{chunks:?}: {all}");
    }
}

#[tokio::test]
async fn answers_that_hide_others_are_refused() {
    for fields in [
        "Content-Length: 2\r\nTransfer-Encoding: chunked",
        "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: two",
        "Transfer-Encoding: gzip, chunked",
        "X : y\r\nContent-Length: 2",
    ] {
        let app = App::raw(move |mut stream| async move {
            read_head(&mut stream).await;
            let answer = format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\nok");
            stream.write_all(answer.as_bytes()).await.unwrap();
            let _ = stream.read(&mut [0; 1]).await;
        })
        .await;
        let proxy = in_front_of(&app);
        let answer = Client::to(proxy.explicit).await.get("http://app/").await;
        assert_eq!(
            (answer.status(), answer.reason()),
            (502, "upstream_protocol_error"),
            "{fields:?}"
        );
    }
}

// What a server sends behind its answer is not the answer to the next request.
#[tokio::test]
async fn a_second_answer_is_nobodys() {
    let app = App::raw(|mut stream| async move {
        loop {
            let head = read_head(&mut stream).await;
            if head.is_empty() {
                return;
            }
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nmineHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nforged";
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    })
    .await;
    let proxy = in_front_of(&app);
    let mut client = Client::to(proxy.explicit).await;
    for _ in 0..3 {
        assert_eq!(client.get("http://app/").await.body, "mine");
    }
    assert_eq!(app.connections(), 3);
}
