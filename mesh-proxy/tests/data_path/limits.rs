//! Connection pools: what overflow answers, what waits, how long connections live.

use std::net::SocketAddr;
use std::sync::Arc;

use mesh_api::v1::{
    ConnectionPool, Forward, Http2Keepalive, Protocol, ProxyProtocol, Retry, RetryBudget,
    TrafficPolicy, Tunnel, http_route::Action,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::Semaphore;

use crate::config::{Config, Service, forward, retry, route, service};
use crate::explicit::connect;
use crate::http2;
use crate::peers::{App, Client, NAME, read_head, until, within};
use crate::proxy::{Proxy, proxy};

/// Answers a request for each permit that it is given; counts those that came.
struct Held {
    app: App,
    permits: Arc<Semaphore>,
    came: Arc<Semaphore>,
}

async fn held() -> Held {
    let permits = Arc::new(Semaphore::new(0));
    let came = Arc::new(Semaphore::new(0));
    let (leave, arrived) = (Arc::clone(&permits), Arc::clone(&came));
    let app = App::raw(move |mut stream| {
        let (leave, arrived) = (Arc::clone(&leave), Arc::clone(&arrived));
        async move {
            while !read_head(&mut stream).await.is_empty() {
                arrived.add_permits(1);
                leave.acquire().await.unwrap().forget();
                stream
                    .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                    .await
                    .unwrap();
            }
        }
    })
    .await;
    Held { app, permits, came }
}

impl Held {
    async fn has(&self, requests: usize) {
        until(|| self.came.available_permits() >= requests).await;
    }
}

fn limited(addresses: &[SocketAddr], pool: ConnectionPool) -> Proxy {
    let mut app = service("app", 80, Protocol::Http).pool(pool);
    for address in addresses {
        app = app.plain(*address);
    }
    proxy(Config::default().service(app)).start()
}

async fn ask(proxy: &Proxy) -> Client {
    let mut client = Client::to(proxy.explicit).await;
    client
        .send("GET http://app/ HTTP/1.1\r\nHost: app\r\n\r\n")
        .await;
    client
}

#[tokio::test]
async fn requests_beyond_the_limit_are_refused() {
    let held = held().await;
    let proxy = limited(
        &[held.app.address],
        ConnectionPool {
            max_requests: 2,
            ..Default::default()
        },
    );
    let (mut first, mut second) = (ask(&proxy).await, ask(&proxy).await);
    held.has(2).await;
    let refused = ask(&proxy).await.answer().await;
    assert_eq!(
        (refused.status(), refused.reason()),
        (503, "too_many_requests")
    );
    let metrics = proxy.telemetry.metrics();
    assert!(metrics.contains("response_flags=\"UO\""), "{metrics}");
    held.permits.add_permits(3);
    assert_eq!(first.answer().await.status(), 200);
    assert_eq!(second.answer().await.status(), 200);
    assert_eq!(
        ask(&proxy).await.answer().await.status(),
        200,
        "there is room again"
    );
}

#[tokio::test]
async fn one_connection_and_one_that_waits() {
    // As in Istio's task on circuit breaking: the third of three at a time is refused.
    let held = held().await;
    let proxy = limited(
        &[held.app.address],
        ConnectionPool {
            max_connections: 1,
            max_pending_requests: 1,
            ..Default::default()
        },
    );
    let mut first = ask(&proxy).await;
    held.has(1).await;
    let mut second = Client::to(proxy.explicit).await;
    let mut third = Client::to(proxy.explicit).await;
    for client in [&mut second, &mut third] {
        client
            .send("GET http://app/ HTTP/1.1\r\nHost: app\r\n\r\n")
            .await;
    }
    // One of the two waits, the other one is told at once.
    let refused = tokio::select! {
        answer = second.answer() => answer,
        answer = third.answer() => answer,
    };
    assert_eq!(
        (refused.status(), refused.reason()),
        (503, "too_many_pending_requests")
    );
    held.permits.add_permits(2);
    assert_eq!(first.answer().await.status(), 200);
    held.has(2).await;
    assert_eq!(held.app.connections(), 1);
}

#[tokio::test]
async fn connections_are_handed_over_between_endpoints() {
    let (one, two) = (App::echo("one").await, App::echo("two").await);
    let proxy = limited(
        &[one.address, two.address],
        ConnectionPool {
            max_connections: 1,
            ..Default::default()
        },
    );
    // Round robin: each request finds the only connection open to the other endpoint.
    let mut client = Client::to(proxy.explicit).await;
    let mut names = Vec::new();
    for _ in 0..6 {
        let answer = client.get("http://app/").await;
        names.push(answer.header(NAME).unwrap_or_default().to_owned());
    }
    assert_eq!(
        names.iter().filter(|name| *name == "one").count(),
        3,
        "{names:?}"
    );
}

#[tokio::test]
async fn connections_of_opaque_bytes_beyond_the_limit_are_reset() {
    let app = App::raw(|mut stream| async move {
        let _ = stream.write_all(b"hello").await;
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let pool = ConnectionPool {
        max_connections: 1,
        ..Default::default()
    };
    let config = service("app", 7, Protocol::Tcp)
        .plain(app.address)
        .pool(pool);
    let proxy = proxy(Config::default().service(config)).start();
    let mut first = connect(&proxy, "app:7").await;
    let mut hello = [0; 5];
    within(first.0.read_exact(&mut hello)).await.unwrap();
    let mut second = connect(&proxy, "app:7").await;
    second.rest().await.unwrap_err();
    assert!(proxy.telemetry.metrics().contains("response_flags=\"UO\""));
    first.0.shutdown().await.unwrap();
    first.rest().await.unwrap();
    let mut third = connect(&proxy, "app:7").await;
    within(third.0.read_exact(&mut hello)).await.unwrap();
    assert_eq!(app.connections(), 2);
}

#[tokio::test]
async fn silent_and_old_connections_of_opaque_bytes_are_closed() {
    for (pool, flag, reason) in [
        (
            ConnectionPool {
                tcp_idle_timeout_ms: 50,
                ..Default::default()
            },
            "SI",
            "idle_timeout",
        ),
        (
            ConnectionPool {
                max_connection_duration_ms: 50,
                ..Default::default()
            },
            "DT",
            "max_connection_duration",
        ),
    ] {
        let app = App::raw(|mut stream| async move {
            let _ = stream.read_to_end(&mut Vec::new()).await;
        })
        .await;
        let config = service("app", 7, Protocol::Tcp)
            .plain(app.address)
            .pool(pool);
        let proxy = proxy(Config::default().service(config)).start();
        let mut tunnel = connect(&proxy, "app:7").await;
        let _ = tunnel.rest().await;
        let told = || {
            let metrics = proxy.telemetry.metrics();
            metrics.contains(&format!("response_flags=\"{flag}\""))
                && metrics.contains(&format!("mesh_reasons_total{{reason=\"{reason}\"}}"))
        };
        until(told).await;
    }
}

#[tokio::test]
async fn connections_wear_out() {
    let app = App::echo("a").await;
    let proxy = limited(
        &[app.address],
        ConnectionPool {
            max_requests_per_connection: 2,
            ..Default::default()
        },
    );
    let mut client = Client::to(proxy.explicit).await;
    for _ in 0..6 {
        assert_eq!(client.get("http://app/").await.status(), 200);
    }
    assert_eq!(app.connections(), 3);
}

#[tokio::test]
async fn connections_of_http2_wear_out() {
    let app = App::echo_http2("a").await;
    let pool = ConnectionPool {
        max_requests_per_connection: 2,
        http2_keepalive: Some(Http2Keepalive {
            interval_ms: 10_000,
            timeout_ms: 10_000,
        }),
        ..Default::default()
    };
    let config = service("app", 80, Protocol::Http2)
        .plain(app.address)
        .pool(pool);
    let proxy = proxy(Config::default().service(config)).start();
    let mut client = Client::to(proxy.explicit).await;
    for _ in 0..6 {
        assert_eq!(client.get("http://app/").await.status(), 200);
    }
    assert_eq!(app.connections(), 3);
}

#[tokio::test]
async fn versions_follow_the_policy() {
    let upgrade = ConnectionPool {
        upgrade_to_http2: true,
        ..Default::default()
    };
    let as_client = ConnectionPool {
        use_client_protocol: true,
        ..Default::default()
    };
    let ask = |service: Service| {
        let proxy = proxy(Config::default().service(service)).start();
        async move {
            let running = proxy;
            let mut client = Client::to(running.explicit).await;
            client.get("http://app/").await.status()
        }
    };
    let two = App::echo_http2("two").await;
    let upgraded = service("app", 80, Protocol::Http)
        .plain(two.address)
        .pool(upgrade);
    assert_eq!(ask(upgraded).await, 200);
    let one = App::echo("one").await;
    let kept = service("app", 80, Protocol::Http2)
        .plain(one.address)
        .pool(as_client);
    assert_eq!(ask(kept).await, 200);
}

#[tokio::test]
async fn retries_stay_within_the_limits() {
    let with = |policy: TrafficPolicy, address| {
        let to = Forward {
            retry: Some(Retry {
                backoff_base_ms: 1,
                ..retry(5)
            }),
            ..forward("app", 80)
        };
        let app = service("app", 80, Protocol::Http)
            .plain(address)
            .route(route(Action::Forward(to)))
            .policy(policy);
        proxy(Config::default().service(app)).start()
    };
    let broken = App::http(|_| async {
        http::Response::builder()
            .status(503)
            .body(http_body_util::Full::default())
            .unwrap()
    })
    .await;
    // No share and no minimum: not one retry, whatever the mesh's own budget would allow.
    let none = TrafficPolicy {
        retry_budget: Some(RetryBudget {
            percent: 0.0,
            min_retry_concurrency: 0,
        }),
        ..Default::default()
    };
    let proxy = with(none, broken.address);
    let answer = Client::to(proxy.explicit).await.get("http://app/").await;
    assert_eq!(answer.status(), 503);
    let metrics = proxy.telemetry.metrics();
    assert!(metrics.contains("response_flags=\"UO\""), "{metrics}");
    // One at a time is enough for one client, beyond the mesh's own reserve of three.
    let one = TrafficPolicy {
        retry_budget: Some(RetryBudget {
            percent: 0.0,
            min_retry_concurrency: 1,
        }),
        ..Default::default()
    };
    let proxy = with(one, broken.address);
    let answer = Client::to(proxy.explicit).await.get("http://app/").await;
    assert_eq!(answer.status(), 503);
    let metrics = proxy.telemetry.metrics();
    assert!(metrics.contains("response_flags=\"URX\""), "{metrics}");
}

#[tokio::test]
async fn limits_hold_for_http2_clients_too() {
    let held = held().await;
    let proxy = limited(
        &[held.app.address],
        ConnectionPool {
            max_requests: 1,
            ..Default::default()
        },
    );
    let client = http2::client(proxy.explicit).await;
    let request = || {
        http::Request::get("http://app/")
            .body(http_body_util::Full::default())
            .unwrap()
    };
    let first = tokio::spawn({
        let mut client = client.clone();
        let request = request();
        async move { client.send_request(request).await }
    });
    held.has(1).await;
    let refused = within(client.clone().send_request(request()))
        .await
        .unwrap();
    assert_eq!(refused.status(), 503);
    held.permits.add_permits(1);
    assert_eq!(within(first).await.unwrap().unwrap().status(), 200);
}

/// Tells the first line of every connection.
async fn first_line() -> (App, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let (told, lines) = tokio::sync::mpsc::unbounded_channel();
    let app = App::raw(move |mut stream| {
        let told = told.clone();
        async move {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                match stream.read_u8().await {
                    Ok(byte) => line.push(byte),
                    Err(_) => return,
                }
            }
            let _ = told.send(String::from_utf8_lossy(&line).into_owned());
            while !read_head(&mut stream).await.is_empty() {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
                stream.write_all(answer).await.unwrap();
            }
        }
    })
    .await;
    (app, lines)
}

#[tokio::test]
async fn servers_are_told_of_each_client() {
    let (app, mut lines) = first_line().await;
    let policy = TrafficPolicy {
        proxy_protocol: ProxyProtocol::V1.into(),
        ..Default::default()
    };
    let config = service("app", 80, Protocol::Http)
        .plain(app.address)
        .policy(policy);
    let proxy = proxy(Config::default().service(config)).start();
    for _ in 0..2 {
        let mut client = Client::to(proxy.explicit).await;
        let own = client.0.local_addr().unwrap();
        for _ in 0..3 {
            assert_eq!(client.get("http://app/").await.status(), 200);
        }
        let line = within(lines.recv()).await.unwrap();
        let start = format!("PROXY TCP4 {} {} {} ", own.ip(), own.ip(), own.port());
        assert!(line.starts_with(&start), "{line}");
    }
    assert_eq!(app.connections(), 2, "one for each client");
}

#[tokio::test]
async fn opaque_bytes_go_through_tunnels() {
    let open = App::raw(|mut stream| async move {
        let head = read_head(&mut stream).await;
        assert!(
            head.starts_with("CONNECT end.example.com:9000 HTTP/1.1\r\n"),
            "{head}"
        );
        stream
            .write_all(b"HTTP/1.1 200 OK\r\nVia: x\r\n\r\nhello")
            .await
            .unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        stream.write_all(&all).await.unwrap();
    })
    .await;
    let closed = App::raw(|mut stream| async move {
        read_head(&mut stream).await;
        let _ = stream.write_all(b"HTTP/1.1 403 no\r\n\r\n").await;
    })
    .await;
    let through = |app: &App| {
        let policy = TrafficPolicy {
            tunnel: Some(Tunnel {
                host: "end.example.com".into(),
                port: 9000,
                post: false,
            }),
            ..Default::default()
        };
        let config = service("app", 7, Protocol::Tcp)
            .plain(app.address)
            .policy(policy);
        proxy(Config::default().service(config)).start()
    };
    let proxy = through(&open);
    let mut tunnel = connect(&proxy, "app:7").await;
    tunnel.send(" world").await;
    tunnel.0.shutdown().await.unwrap();
    assert_eq!(tunnel.rest().await.unwrap(), "hello world");
    let proxy = through(&closed);
    let mut refused = connect(&proxy, "app:7").await;
    refused.rest().await.unwrap_err();
    assert!(proxy.telemetry.metrics().contains("response_flags=\"UF\""));
}
