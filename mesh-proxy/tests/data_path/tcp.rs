//! Opaque bytes.

use mesh_api::v1::{MtlsMode, Protocol};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::config::{Config, service};
use crate::explicit::{connect, socks};
use crate::peers::{App, Client, until, within};
use crate::proxy::{PORT, proxy, vacant};

// Reads to the end, then answers: needs half-close.
async fn counting() -> App {
    App::raw(|mut stream| async move {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.unwrap();
        stream
            .write_all(all.len().to_string().as_bytes())
            .await
            .unwrap();
    })
    .await
}

async fn greeting() -> App {
    App::raw(|mut stream| async move {
        stream.write_all(b"220 hello\r\n").await.unwrap();
        let mut line = [0; 4];
        stream.read_exact(&mut line).await.unwrap();
        stream.write_all(b"bye").await.unwrap();
    })
    .await
}

#[tokio::test]
async fn half_close_passes_through_two_proxies_and_tls() {
    let app = counting().await;
    let server_config = Config::default().inbound(PORT, Protocol::Tcp, MtlsMode::Strict);
    let server = proxy(server_config)
        .account("server")
        .app(app.address)
        .start();
    let config =
        Config::default().service(service("app", 7, Protocol::Tcp).mesh(server.served(), "server"));
    let client = proxy(config).account("client").start();
    let mut tunnel = connect(&client, "app:7").await;
    tunnel.send(&"x".repeat(1 << 20)).await;
    tunnel.0.shutdown().await.unwrap();
    assert_eq!(tunnel.rest().await.unwrap(), (1 << 20).to_string());
}

#[tokio::test]
async fn servers_may_speak_first_on_undeclared_ports() {
    let app = greeting().await;
    let server_config = Config::default().inbound(PORT, Protocol::Auto, MtlsMode::Permissive);
    let server = proxy(server_config)
        .account("server")
        .app(app.address)
        .start();
    // Plain text and over the mesh's TLS, through all protocol detection there is.
    let config = Config::default()
        .service(service("plain", 25, Protocol::Auto).plain(server.served()))
        .service(service("mesh", 25, Protocol::Auto).mesh(server.served(), "server"));
    let client = proxy(config).account("client").start();
    for host in ["plain", "mesh"] {
        let (mut tunnel, _) = socks(&client, host, 25).await;
        let mut greeting = [0; 11];
        crate::peers::within(tunnel.0.read_exact(&mut greeting))
            .await
            .unwrap();
        assert_eq!(&greeting, b"220 hello\r\n", "{host}");
        tunnel.send("QUIT").await;
        assert_eq!(tunnel.rest().await.unwrap(), "bye", "{host}");
    }
}

#[tokio::test]
async fn another_endpoint_is_tried_before_the_first_byte() {
    let app = counting().await;
    let dead = vacant();
    let config = Config::default().service(
        service("app", 7, Protocol::Tcp)
            .plain(dead.address)
            .plain(app.address),
    );
    let proxy = proxy(config).start();
    for _ in 0..4 {
        let mut tunnel = connect(&proxy, "app:7").await;
        tunnel.send("abc").await;
        tunnel.0.shutdown().await.unwrap();
        assert_eq!(tunnel.rest().await.unwrap(), "3");
    }
}

#[tokio::test]
async fn unreachable_servers_reset_the_client() {
    let dead = vacant();
    let proxy =
        proxy(Config::default().service(service("app", 7, Protocol::Tcp).plain(dead.address)))
            .start();
    let mut tunnel = connect(&proxy, "app:7").await;
    tunnel.rest().await.unwrap_err();
    assert!(proxy.telemetry.metrics().contains("response_flags=\"UF\""));
}

#[tokio::test]
async fn an_application_sees_no_empty_connection_on_a_declared_port() {
    // Tells what came on each connection.
    let (told, mut begun) = tokio::sync::mpsc::unbounded_channel();
    let app = App::raw(move |mut stream| {
        let told = told.clone();
        async move {
            let mut all = Vec::new();
            // A connection in vain has nothing.
            let _ = stream.read_to_end(&mut all).await;
            let _ = told.send(all);
            let _ = stream.write_all(b"seen").await;
        }
    })
    .await;
    let config = Config::default().inbound(PORT, Protocol::Tcp, MtlsMode::Permissive);
    let server = proxy(config).account("server").app(app.address).start();
    let hello = [
        &b"\x16\x03\x01\0\x05\x01\0\0\x01\0"[..],
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x00\x01\x02\x03",
    ];
    for (count, first) in hello.iter().enumerate() {
        let mut client = Client::to(server.served()).await;
        // The way to the application is there before the client's first bytes.
        until(|| app.connections() == count + 1).await;
        client.0.write_all(first).await.unwrap();
        client.0.shutdown().await.unwrap();
        assert_eq!(within(begun.recv()).await.unwrap(), *first);
        assert_eq!(client.rest().await.unwrap(), "seen");
    }
    assert_eq!(app.connections(), hello.len());
}

#[tokio::test]
async fn an_application_sees_no_empty_connection_of_a_late_mesh_client() {
    let app = counting().await;
    let config = Config::default().inbound(PORT, Protocol::Tcp, MtlsMode::Permissive);
    let server = proxy(config).account("server").app(app.address).start();
    // A client of the mesh whose handshake begins late.
    let relay = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let between = relay.local_addr().unwrap();
    let config =
        Config::default().service(service("app", 7, Protocol::Tcp).mesh(between, "server"));
    let client = proxy(config).account("client").start();
    let relayed = async {
        let (mut near, _) = relay.accept().await.unwrap();
        let mut far = tokio::net::TcpStream::connect(server.served())
            .await
            .unwrap();
        until(|| app.connections() == 1).await;
        let _ = tokio::io::copy_bidirectional(&mut near, &mut far).await;
    };
    let call = async {
        let mut tunnel = connect(&client, "app:7").await;
        tunnel.send("hello").await;
        tunnel.0.shutdown().await.unwrap();
        assert_eq!(tunnel.rest().await.unwrap(), "5");
    };
    let ((), ()) = within(async { tokio::join!(relayed, call) }).await;
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn megabytes_pass_both_ways_at_once_through_two_proxies_and_tls() {
    const SIZE: usize = 32 << 20;
    let app = App::raw(|mut stream| async move {
        let (mut read, mut write) = stream.split();
        let got = async {
            let mut chunk = vec![0; 256 * 1024];
            let mut got = 0;
            while let Ok(count @ 1..) = read.read(&mut chunk).await {
                assert!(chunk[..count].iter().all(|octet| *octet == 1));
                got += count;
            }
            got
        };
        let send = async {
            write.write_all(&vec![2; SIZE]).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let (got, ()) = tokio::join!(got, send);
        assert_eq!(got, SIZE);
    })
    .await;
    let server_config = Config::default().inbound(PORT, Protocol::Tcp, MtlsMode::Strict);
    let server = proxy(server_config)
        .account("server")
        .app(app.address)
        .start();
    let config =
        Config::default().service(service("app", 7, Protocol::Tcp).mesh(server.served(), "server"));
    let client = proxy(config).account("client").start();
    let mut tunnel = connect(&client, "app:7").await;
    let (mut read, mut write) = tunnel.0.split();
    let send = async {
        write.write_all(&vec![1; SIZE]).await.unwrap();
        write.shutdown().await.unwrap();
    };
    let mut got = Vec::new();
    let receive = async { read.read_to_end(&mut got).await.unwrap() };
    within(async { tokio::join!(send, receive) }).await;
    assert_eq!(got.len(), SIZE);
    assert!(got.iter().all(|octet| *octet == 2));
}
