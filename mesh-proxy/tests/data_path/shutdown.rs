//! Draining.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use mesh_api::v1::Protocol;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::config::{Config, service};
use crate::peers::{App, Client, read_head, within};
use crate::proxy::proxy;

#[tokio::test]
async fn clients_are_told_and_lose_nothing() {
    let app = App::echo("a").await;
    let proxy =
        proxy(Config::default().service(service("app", 80, Protocol::Http).plain(app.address)))
            .start();
    let mut old = Client::to(proxy.explicit).await;
    assert_eq!(old.get("http://app/").await.header("connection"), None);
    proxy.drain.start();
    // A connection that is open already, and one that comes late.
    let answer = old.get("http://app/").await;
    assert_eq!(
        (answer.status(), answer.header("connection")),
        (200, Some("close"))
    );
    assert_eq!(old.rest().await.unwrap(), "");
    let mut late = Client::to(proxy.explicit).await;
    assert_eq!(late.get("http://app/").await.status(), 200);
}

#[tokio::test]
async fn requests_under_way_finish() {
    let (go, wait) = tokio::sync::watch::channel(false);
    let app = App::raw(move |mut stream| {
        let mut wait = wait.clone();
        async move {
            read_head(&mut stream).await;
            wait.wait_for(|go| *go).await.unwrap();
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone")
                .await
                .unwrap();
            let _ = stream.read(&mut [0; 1]).await;
        }
    })
    .await;
    let proxy =
        proxy(Config::default().service(service("app", 80, Protocol::Http).plain(app.address)))
            .start();
    let mut one = Client::to(proxy.explicit).await;
    one.send("GET http://app/ HTTP/1.1\r\nHost: app\r\n\r\n")
        .await;
    let mut two = crate::http2::client(proxy.explicit).await;
    let request = Request::get("http://app/")
        .body(Full::<Bytes>::default())
        .unwrap();
    let two = tokio::spawn(two.send_request(request));
    crate::peers::until(|| app.connections() >= 1 && proxy.drain.running().http == 2).await;
    proxy.drain.start();
    go.send(true).unwrap();
    assert_eq!(one.answer().await.body, "done");
    let _ = within(two).await.unwrap();
    within(proxy.drain.idle()).await;
    proxy.drain.end();
    within(proxy.drain.deaf()).await;
    // Idle connections to servers do not hold the worker up.
    within(proxy.ended()).await;
}

#[tokio::test]
async fn a_draining_proxy_serves_who_comes_until_it_ends() {
    let app = App::echo("a").await;
    let proxy =
        proxy(Config::default().service(service("app", 80, Protocol::Http).plain(app.address)))
            .start();
    // The workload's own connection, idle: it may send something that must not be repeated.
    let mut idle = Client::to(proxy.explicit).await;
    assert_eq!(idle.get("http://app/").await.status(), 200);
    proxy.drain.start();
    let mut late = Client::to(proxy.explicit).await;
    let answer = late.get("http://app/").await;
    assert_eq!(
        (answer.status(), answer.header("connection")),
        (200, Some("close"))
    );
    proxy.drain.end();
    within(proxy.drain.deaf()).await;
    assert!(
        tokio::net::TcpStream::connect(proxy.explicit)
            .await
            .is_err()
    );
    // What is idle ends with the drain, what runs would not.
    assert_eq!(idle.rest().await.unwrap(), "");
    drop(late);
    within(proxy.drain.idle()).await;
    within(proxy.ended()).await;
}
