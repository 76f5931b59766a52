//! HTTP/1 through a client's sidecar alone.

use std::time::Duration;

use http::Response;
use http_body_util::Full;
use mesh_api::v1::Protocol;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::config::{Config, service};
use crate::peers::{App, Client, read_head, within};
use crate::proxy::{Proxy, proxy};

fn in_front_of(app: &App) -> Proxy {
    proxy(Config::default().service(service("app", 80, Protocol::Http).plain(app.address))).start()
}

#[tokio::test]
async fn connections_are_kept_on_both_sides() {
    let app = App::echo("a").await;
    let proxy = in_front_of(&app);
    let mut client = Client::to(proxy.explicit).await;
    for _ in 0..5 {
        let answer = client.get("http://app/path?x=1").await;
        assert_eq!(answer.status(), 200);
        assert!(
            answer.body.starts_with("GET /path?x=1 HTTP/1.1\n"),
            "{}",
            answer.body
        );
        assert!(answer.body.contains("host: app\n"));
        assert!(answer.body.contains("x-request-id: "));
        assert!(answer.body.contains("x-forwarded-proto: http\n"));
    }
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn origin_form_is_routed_by_host() {
    let app = App::echo("a").await;
    let proxy = in_front_of(&app);
    let mut client = Client::to(proxy.explicit).await;
    client.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n").await;
    assert_eq!(client.answer().await.status(), 200);
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!((answer.status(), answer.reason()), (400, "host_invalid"));
}

#[tokio::test]
async fn bodies_pass_in_chunks_and_by_length() {
    let app = App::echo("a").await;
    let proxy = in_front_of(&app);
    let mut client = Client::to(proxy.explicit).await;
    client.send("POST http://app/ HTTP/1.1\r\nHost: app\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    client.send("6\r\n world\r\n0\r\n\r\n").await;
    let answer = client.answer().await;
    assert!(
        answer.body.contains("transfer-encoding: chunked\n")
            && answer.body.ends_with("\nhello world"),
        "{answer:?}"
    );
    client
        .send("POST http://app/ HTTP/1.1\r\nHost: app\r\nContent-Length: 3\r\n\r\nabc")
        .await;
    let answer = client.answer().await;
    assert!(
        answer.body.contains("content-length: 3\n") && answer.body.ends_with("\nabc"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn megabytes_pass_both_ways() {
    let app = App::echo("a").await;
    let proxy = in_front_of(&app);
    let size = 3 << 20;
    let mut client = Client::to(proxy.explicit).await;
    client
        .send(&format!(
            "PUT http://app/ HTTP/1.1\r\nHost: app\r\nContent-Length: {size}\r\n\r\n"
        ))
        .await;
    client.send(&"x".repeat(size)).await;
    let answer = client.answer().await;
    assert_eq!(
        answer.body.bytes().filter(|b| *b == b'x').count() / 1000,
        size / 1000
    );
}

#[tokio::test]
async fn answers_without_body() {
    let app = App::http(|request| async move {
        let builder = Response::builder().header("etag", "1");
        match request.uri().path() {
            "/304" => builder.status(304).body(Full::default()).unwrap(),
            "/204" => builder.status(204).body(Full::default()).unwrap(),
            _ => builder.body(Full::from("twelve bytes")).unwrap(),
        }
    })
    .await;
    let proxy = in_front_of(&app);
    let mut client = Client::to(proxy.explicit).await;
    client
        .send("HEAD http://app/ HTTP/1.1\r\nHost: app\r\n\r\n")
        .await;
    let head = within(read_head(&mut client.0)).await;
    assert!(
        head.starts_with("HTTP/1.1 200") && head.to_lowercase().contains("content-length: 12"),
        "{head}"
    );
    for status in [304, 204] {
        client
            .send(&format!(
                "GET http://app/{status} HTTP/1.1\r\nHost: app\r\n\r\n"
            ))
            .await;
        let head = within(read_head(&mut client.0)).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{head}");
        assert!(
            !head.to_lowercase().contains("content-length") && head.contains("etag"),
            "{head}"
        );
    }
    // Nothing was left behind on the connection.
    assert_eq!(client.get("http://app/").await.body, "twelve bytes");
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn header_case_is_kept_and_hop_fields_are_not() {
    let app = App::raw(|mut stream| async move {
        let head = read_head(&mut stream).await;
        let length = head.len();
        let answer = format!(
            "HTTP/1.1 200 OK\r\nX-CamelCase: 1\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\nContent-Length: {length}\r\n\r\n{head}"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
    let proxy = in_front_of(&app);
    let mut client = Client::to(proxy.explicit).await;
    client
        .send("GET http://app/ HTTP/1.1\r\nHost: app\r\nX-FooBar: 1\r\nConnection: X-Gone, keep-alive\r\nX-Gone: 1\r\nProxy-Authorization: x\r\nProxy-Connection: y\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert!(
        answer.body.contains("\r\nX-FooBar: 1\r\n"),
        "{}",
        answer.body
    );
    let lower = answer.body.to_lowercase();
    for gone in ["x-gone", "proxy-", "connection:"] {
        assert!(!lower.contains(gone), "{gone} in {}", answer.body);
    }
    assert!(
        answer.head.contains("\r\nX-CamelCase: 1\r\n"),
        "{}",
        answer.head
    );
    let lower = answer.head.to_lowercase();
    assert!(
        !lower.contains("x-hop") && !lower.contains("keep-alive"),
        "{}",
        answer.head
    );
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let app = App::raw(|mut stream| async move {
        let mut asked = read_head(&mut stream).await;
        while !asked.ends_with("X-Sum: 1\r\n\r\n") && !asked.ends_with("x-sum: 1\r\n\r\n") {
            asked.push(char::from(stream.read_u8().await.unwrap()));
        }
        let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n2\r\nok\r\n0\r\nX-End: yes\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
    let proxy = in_front_of(&app);
    let mut client = Client::to(proxy.explicit).await;
    client
        .send("POST http://app/ HTTP/1.1\r\nHost: app\r\nTE: trailers\r\nConnection: TE\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert!(
        answer
            .body
            .to_lowercase()
            .ends_with("0\r\nx-end: yes\r\n\r\n"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn upgrades_become_tunnels() {
    let app = App::raw(|mut stream| async move {
        let head = read_head(&mut stream).await.to_lowercase();
        assert!(head.contains("upgrade: websocket") && head.contains("connection: upgrade"), "{head}");
        let answer = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nfirst";
        stream.write_all(answer.as_bytes()).await.unwrap();
        let mut bytes = [0; 4];
        stream.read_exact(&mut bytes).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
    })
    .await;
    let proxy = in_front_of(&app);
    let mut client = Client::to(proxy.explicit).await;
    client.send("GET http://app/ HTTP/1.1\r\nHost: app\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    let head = within(read_head(&mut client.0)).await;
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    assert!(head.to_lowercase().contains("upgrade: websocket"), "{head}");
    client.send("ping").await;
    assert_eq!(client.rest().await.unwrap(), "firstping");
}

#[tokio::test]
async fn expectations_are_met_by_the_proxy() {
    let app = App::echo("a").await;
    let proxy = in_front_of(&app);
    let mut client = Client::to(proxy.explicit).await;
    client.send("PUT http://app/ HTTP/1.1\r\nHost: app\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n").await;
    let head = within(read_head(&mut client.0)).await;
    assert!(head.starts_with("HTTP/1.1 100"), "{head}");
    client.send("ok").await;
    let answer = client.answer().await;
    assert!(
        answer.body.ends_with("\nok") && !answer.body.contains("expect"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn old_clients_are_served_by_the_explicit_proxy() {
    let app = App::echo("a").await;
    let proxy = in_front_of(&app);
    let mut client = Client::to(proxy.explicit).await;
    client.send("GET http://app/ HTTP/1.0\r\n\r\n").await;
    let all = client.rest().await.unwrap();
    assert!(
        all.starts_with("HTTP/1.0 200") && all.contains("GET / HTTP/1.1\n"),
        "{all}"
    );
}

#[tokio::test]
async fn an_answer_may_come_before_the_body_has_ended() {
    let app = App::raw(|mut stream| async move {
        read_head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n")
            .await
            .unwrap();
        let mut sink = Vec::new();
        let _ = stream.read_to_end(&mut sink).await;
    })
    .await;
    let proxy = in_front_of(&app);
    let mut client = Client::to(proxy.explicit).await;
    client
        .send("PUT http://app/ HTTP/1.1\r\nHost: app\r\nContent-Length: 1000000\r\n\r\nbegin")
        .await;
    assert_eq!(client.answer().await.status(), 413);
}

#[tokio::test]
async fn answers_that_end_with_the_connection() {
    let app = App::raw(|mut stream| async move {
        read_head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")
            .await
            .unwrap();
    })
    .await;
    let proxy = in_front_of(&app);
    let mut client = Client::to(proxy.explicit).await;
    let answer = client.get("http://app/").await;
    assert_eq!(
        (answer.status(), answer.header("transfer-encoding")),
        (200, Some("chunked"))
    );
    assert!(answer.body.contains("until the end"));
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off() {
    let app = App::raw(|mut stream| async move {
        read_head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort")
            .await
            .unwrap();
    })
    .await;
    let proxy = in_front_of(&app);
    let mut client = Client::to(proxy.explicit).await;
    client
        .send("GET http://app/ HTTP/1.1\r\nHost: app\r\n\r\n")
        .await;
    let all = client.rest().await.unwrap_or_default();
    assert!(!all.ends_with("0\r\n\r\n"), "{all}");
}

#[tokio::test]
async fn slow_answers_have_no_time_limit_of_the_proxys_own() {
    let app = App::raw(|mut stream| async move {
        read_head(&mut stream).await;
        tokio::time::timeout(Duration::from_millis(300), stream.read_u8())
            .await
            .unwrap_err();
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nslow")
            .await
            .unwrap();
        let _ = stream.read(&mut [0; 1]).await;
    })
    .await;
    let proxy = in_front_of(&app);
    let mut client = Client::to(proxy.explicit).await;
    assert_eq!(client.get("http://app/").await.body, "slow");
}
