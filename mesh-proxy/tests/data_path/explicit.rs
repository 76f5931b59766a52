//! The explicit proxy: CONNECT, SOCKS5, and what is neither.

use mesh_api::v1::Protocol;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::config::{Config, service};
use crate::peers::{App, Client, NAME, read_head, within};
use crate::proxy::{Proxy, proxy};

async fn shouting() -> App {
    App::raw(|mut stream| async move {
        let mut line = [0; 5];
        if stream.read_exact(&mut line).await.is_ok() {
            stream.write_all(&line.to_ascii_uppercase()).await.unwrap();
        }
    })
    .await
}

/// A tunnel through CONNECT.
pub async fn connect(proxy: &Proxy, to: &str) -> Client {
    let mut client = Client::to(proxy.explicit).await;
    client
        .send(&format!("CONNECT {to} HTTP/1.1\r\nHost: {to}\r\n\r\n"))
        .await;
    let head = within(read_head(&mut client.0)).await;
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    client
}

/// A tunnel through SOCKS5.
pub async fn socks(proxy: &Proxy, host: &str, port: u16) -> (Client, u8) {
    let mut stream = TcpStream::connect(proxy.explicit).await.unwrap();
    let mut request = vec![5, 1, 0, 5, 1, 0, 3, u8::try_from(host.len()).unwrap()];
    request.extend_from_slice(host.as_bytes());
    request.extend_from_slice(&port.to_be_bytes());
    stream.write_all(&request).await.unwrap();
    let mut answer = [0; 12];
    within(stream.read_exact(&mut answer)).await.unwrap();
    assert_eq!(answer[..3], [5, 0, 5]);
    (Client(stream), answer[3])
}

#[tokio::test]
async fn connect_carries_bytes() {
    let app = shouting().await;
    let proxy =
        proxy(Config::default().service(service("app", 7, Protocol::Tcp).plain(app.address)))
            .start();
    let mut client = connect(&proxy, "app:7").await;
    client.send("hello").await;
    assert_eq!(client.rest().await.unwrap(), "HELLO");
}

#[tokio::test]
async fn connect_carries_requests_that_are_routed() {
    let (one, other) = (App::echo("one").await, App::echo("other").await);
    let config = Config::default()
        .service(service("one", 80, Protocol::Http).plain(one.address))
        .service(service("other", 80, Protocol::Http).plain(other.address));
    let proxy = proxy(config).start();
    let mut client = connect(&proxy, "one:80").await;
    for (host, name) in [("one", "one"), ("other", "other"), ("one:80", "one")] {
        client
            .send(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
        assert_eq!(client.answer().await.header(NAME), Some(name));
    }
}

#[tokio::test]
async fn socks_carries_bytes_and_requests() {
    let (app, http) = (shouting().await, App::echo("http").await);
    let config = Config::default()
        .service(service("app", 7, Protocol::Tcp).plain(app.address))
        .service(service("http", 80, Protocol::Auto).plain(http.address));
    let proxy = proxy(config).start();
    let (mut client, answer) = socks(&proxy, "app", 7).await;
    assert_eq!(answer, 0);
    client.send("hello").await;
    assert_eq!(client.rest().await.unwrap(), "HELLO");
    let (mut client, _) = socks(&proxy, "http", 80).await;
    client.send("GET / HTTP/1.1\r\nHost: http\r\n\r\n").await;
    assert_eq!(client.answer().await.header(NAME), Some("http"));
}

#[tokio::test]
async fn socks_says_that_a_destination_is_not_configured() {
    let proxy = proxy(Config::default()).start();
    let (_, answer) = socks(&proxy, "unknown", 7).await;
    assert_eq!(answer, 1);
}

#[tokio::test]
async fn undeclared_destinations_pass_or_not() {
    let app = App::echo("outside").await;
    let shout = shouting().await;
    let undeclared = Config::default()
        .undeclared(&app.address.to_string())
        .undeclared(&shout.address.to_string())
        .undeclared(&format!("localhost:{}", app.address.port()));
    let open = proxy(undeclared.clone()).start();
    let mut client = Client::to(open.explicit).await;
    let answer = client.get(&format!("http://{}/", app.address)).await;
    assert_eq!(answer.header(NAME), Some("outside"));
    let answer = client
        .get(&format!("http://localhost:{}/", app.address.port()))
        .await;
    assert_eq!(answer.header(NAME), Some("outside"));
    let mut tunnel = connect(&open, &shout.address.to_string()).await;
    tunnel.send("hello").await;
    assert_eq!(tunnel.rest().await.unwrap(), "HELLO");

    let closed = proxy(undeclared.registry_only()).start();
    let mut client = Client::to(closed.explicit).await;
    let answer = client.get(&format!("http://{}/", app.address)).await;
    assert_eq!(
        (answer.status(), answer.reason()),
        (502, "undeclared_destination")
    );
    let mut tunnel = connect(&closed, &shout.address.to_string()).await;
    tunnel.send("hello").await;
    assert!(
        tunnel.rest().await.map_or(true, |rest| rest.is_empty()),
        "must be reset"
    );
}

#[tokio::test]
async fn a_proxy_does_not_call_itself() {
    let config = Config::default();
    let first = proxy(config.clone()).start();
    let named = format!("localhost:{}", first.explicit.port());
    let config = config
        .undeclared(&first.explicit.to_string())
        .undeclared(&named);
    first.adjuster.set(config.snapshot());
    let mut client = Client::to(first.explicit).await;
    for address in [first.explicit.to_string(), named] {
        let answer = client.get(&format!("http://{address}/")).await;
        assert_eq!((answer.status(), answer.reason()), (508, "loop_detected"));
    }
}

#[tokio::test]
async fn an_unknown_host_in_a_tunnel_goes_where_the_tunnel_leads() {
    let app = App::echo("a").await;
    let config = Config::default()
        .service(service("app", 80, Protocol::Http).plain(app.address))
        .undeclared("odd:80");
    let proxy = proxy(config).start();
    let mut client = connect(&proxy, "app:80").await;
    client.send("GET / HTTP/1.1\r\nHost: odd\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!(answer.header(NAME), Some("a"));
    assert!(answer.body.contains("host: odd\n"));
}
