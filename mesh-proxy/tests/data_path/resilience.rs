//! Retries, time limits, ejection, connections that die.

use mesh_api::v1::{Forward, MtlsMode, Protocol, Retry, http_route::Action};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::config::{Config, forward, retry, route, service};
use crate::peers::{App, Client, NAME, read_head};
use crate::proxy::{PORT, Proxy, proxy, vacant};

fn with_forward(apps: &[std::net::SocketAddr], forward: Forward) -> Proxy {
    let mut service = service("app", 80, Protocol::Http).route(route(Action::Forward(forward)));
    for app in apps {
        service = service.plain(*app);
    }
    proxy(Config::default().service(service)).start()
}

async fn silent() -> App {
    App::raw(|mut stream| async move {
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await
}

#[tokio::test]
async fn failed_connections_are_retried_elsewhere() {
    let app = App::echo("a").await;
    let dead = vacant();
    let mut to = forward("app", 80);
    to.retry = Some(retry(2));
    let proxy = with_forward(&[dead.address, app.address], to);
    let mut client = Client::to(proxy.explicit).await;
    for _ in 0..10 {
        client
            .send("POST http://app/ HTTP/1.1\r\nHost: app\r\nContent-Length: 4\r\n\r\nbody")
            .await;
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.header(NAME)), (200, Some("a")));
        assert!(answer.body.ends_with("\nbody"));
    }
}

#[tokio::test]
async fn without_a_policy_nothing_is_retried() {
    let dead = vacant();
    let proxy = with_forward(&[dead.address], forward("app", 80));
    let answer = Client::to(proxy.explicit).await.get("http://app/").await;
    assert_eq!(
        (answer.status(), answer.reason()),
        (503, "upstream_connect_failure")
    );
    let metrics = proxy.telemetry.metrics();
    assert!(metrics.contains("response_flags=\"UF\""), "{metrics}");
}

#[tokio::test]
async fn exhausted_retries_are_told() {
    let dead = vacant();
    let mut to = forward("app", 80);
    to.retry = Some(retry(2));
    let proxy = with_forward(&[dead.address], to);
    let answer = Client::to(proxy.explicit).await.get("http://app/").await;
    assert_eq!(answer.status(), 503);
    let metrics = proxy.telemetry.metrics();
    assert!(metrics.contains("response_flags=\"UF,URX\""), "{metrics}");
}

#[tokio::test]
async fn statuses_are_retried_with_the_whole_body() {
    let count = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let app = App::raw(move |mut stream| {
        let count = std::sync::Arc::clone(&count);
        async move {
            loop {
                if read_head(&mut stream).await.is_empty() {
                    return;
                }
                let mut body = [0; 4];
                stream.read_exact(&mut body).await.unwrap();
                let first = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0;
                let (status, text) = if first {
                    (503, "no")
                } else {
                    (200, std::str::from_utf8(&body).unwrap())
                };
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{text}",
                    text.len()
                );
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    })
    .await;
    let mut to = forward("app", 80);
    to.retry = Some(retry(1));
    let proxy = with_forward(&[app.address], to);
    let mut client = Client::to(proxy.explicit).await;
    client
        .send("POST http://app/ HTTP/1.1\r\nHost: app\r\nContent-Length: 4\r\n\r\nbody")
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status(), &*answer.body), (200, "body"));
}

#[tokio::test]
async fn requests_time_out() {
    let app = silent().await;
    let proxy = with_forward(
        &[app.address],
        Forward {
            timeout_ms: 50,
            ..forward("app", 80)
        },
    );
    let answer = Client::to(proxy.explicit).await.get("http://app/").await;
    assert_eq!((answer.status(), answer.reason()), (504, "request_timeout"));
    assert!(proxy.telemetry.metrics().contains("response_flags=\"UT\""));
}

#[tokio::test]
async fn tries_time_out_and_the_next_one_may_succeed() {
    let (slow, app) = (silent().await, App::echo("a").await);
    let per_try = Retry {
        per_try_timeout_ms: 400,
        ..retry(3)
    };
    let to = Forward {
        retry: Some(per_try),
        ..forward("app", 80)
    };
    let proxy = with_forward(&[slow.address, app.address], to);
    let mut client = Client::to(proxy.explicit).await;
    // The retry budget's reserve is three.
    for _ in 0..3 {
        assert_eq!(client.get("http://app/").await.header(NAME), Some("a"));
    }
    let alone = Retry {
        per_try_timeout_ms: 20,
        ..retry(1)
    };
    let proxy = with_forward(
        &[slow.address],
        Forward {
            retry: Some(alone),
            ..forward("app", 80)
        },
    );
    let answer = Client::to(proxy.explicit).await.get("http://app/").await;
    assert_eq!((answer.status(), answer.reason()), (504, "per_try_timeout"));
}

#[tokio::test]
async fn a_body_that_is_too_slow_is_cut() {
    let app = App::raw(|mut stream| async move {
        read_head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nbegin")
            .await
            .unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let proxy = with_forward(
        &[app.address],
        Forward {
            timeout_ms: 100,
            ..forward("app", 80)
        },
    );
    let mut client = Client::to(proxy.explicit).await;
    client
        .send("GET http://app/ HTTP/1.1\r\nHost: app\r\n\r\n")
        .await;
    let all = client.rest().await.unwrap_or_default();
    assert!(all.is_empty() || all.ends_with("begin"), "{all}");
}

// Answers the first request of a connection, and hangs up on the second one.
async fn hanging_up() -> App {
    App::raw(|mut stream| async move {
        read_head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            .await
            .unwrap();
        let _ = stream.read_u8().await;
    })
    .await
}

#[tokio::test]
async fn dead_idle_connections_cost_no_repeatable_request() {
    let app = hanging_up().await;
    let proxy = with_forward(&[app.address], forward("app", 80));
    let mut client = Client::to(proxy.explicit).await;
    for _ in 0..5 {
        let answer = client.get("http://app/").await;
        assert_eq!((answer.status(), &*answer.body), (200, "ok"));
    }
    assert_eq!(app.connections(), 5);
}

#[tokio::test]
async fn what_may_not_be_repeated_is_not() {
    let app = hanging_up().await;
    let proxy = with_forward(&[app.address], forward("app", 80));
    let mut client = Client::to(proxy.explicit).await;
    assert_eq!(client.get("http://app/").await.status(), 200);
    client
        .send("POST http://app/ HTTP/1.1\r\nHost: app\r\nContent-Length: 0\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.status(), answer.reason()),
        (503, "upstream_connection_closed")
    );
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn the_applications_dead_idle_connections_cost_nothing_either() {
    let app = hanging_up().await;
    let config = Config::default().inbound(PORT, Protocol::Http, MtlsMode::Permissive);
    let server = proxy(config).account("server").app(app.address).start();
    let mut client = Client::to(server.served()).await;
    for _ in 0..5 {
        client.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n").await;
        let answer = client.answer().await;
        assert_eq!((answer.status(), &*answer.body), (200, "ok"));
    }
}

#[tokio::test]
async fn endpoints_that_keep_failing_are_ejected() {
    let app = App::echo("a").await;
    let broken = App::raw(|stream| async move { drop(stream) }).await;
    let mut to = forward("app", 80);
    to.retry = Some(retry(3));
    let proxy = with_forward(&[broken.address, app.address], to);
    let mut client = Client::to(proxy.explicit).await;
    // The retry budget does not cover for an endpoint that takes half of the requests.
    for _ in 0..20 {
        client.get("http://app/").await;
    }
    let before = broken.connections();
    for _ in 0..60 {
        assert_eq!(client.get("http://app/").await.header(NAME), Some("a"));
    }
    assert!(
        broken.connections() < before + 10,
        "{before} before, {} after",
        broken.connections()
    );
}

#[tokio::test]
async fn an_absent_application_is_passed_over() {
    let app = App::echo("a").await;
    let dead = vacant();
    let inbound = Config::default().inbound(PORT, Protocol::Http, MtlsMode::Strict);
    let down = proxy(inbound.clone())
        .account("server")
        .app(dead.address)
        .start();
    let up = proxy(inbound).account("server").app(app.address).start();
    let service = service("app", 80, Protocol::Http)
        .mesh(down.served(), "server")
        .mesh(up.served(), "server");
    let client = proxy(Config::default().service(service))
        .account("client")
        .start();
    let mut connection = Client::to(client.explicit).await;
    for _ in 0..6 {
        connection
            .send("POST http://app/ HTTP/1.1\r\nHost: app\r\nContent-Length: 4\r\n\r\nbody")
            .await;
        let answer = connection.answer().await;
        assert_eq!(
            (answer.status(), answer.header(NAME)),
            (200, Some("a")),
            "{answer:?}"
        );
    }
}
