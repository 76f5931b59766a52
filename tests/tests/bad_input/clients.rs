//! Clients that do not behave, at every listener of a mesh.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use http::{HeaderName, HeaderValue};
use mesh_api::v1::TrustBundleRequest;
use mesh_ca::listen::{ListenAddress, Socket};
use mesh_tests::laptop::LIMIT;
use mesh_tests::meshctl;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

use crate::fixture::{Fixture, ask, get, processes};
use crate::identity::control;

/// Clients at once of each kind.
const CROWD: usize = 100;
/// How long an honest client may wait while others misbehave.
const PATIENCE: Duration = Duration::from_secs(5);

struct Listener {
    name: &'static str,
    address: ListenAddress,
    /// What an honest client asks; none at the control plane's own, which speaks gRPC over TLS.
    asks: Option<(&'static str, &'static str)>,
}

// === impl Listener ===

impl Listener {
    fn all(fixture: &Fixture) -> Vec<Self> {
        let tcp = |address: std::net::SocketAddr| ListenAddress::Tcp(address.to_string());
        let unix = |path: PathBuf| ListenAddress::Unix(path);
        let state = fixture.mesh.state();
        let mut metrics = fixture.inbound("echo-a");
        metrics.set_port(15090);
        let listener = |name, address, asks| Self {
            name,
            address,
            asks,
        };
        vec![
            listener(
                "explicit proxy",
                tcp(fixture.mesh.explicit("client").unwrap()),
                Some(("http://echo:9000/x", "echo:9000")),
            ),
            listener(
                "inbound",
                tcp(fixture.inbound("echo-a")),
                Some(("/x", "echo:9000")),
            ),
            listener(
                "gateway",
                tcp(fixture.gateway),
                Some(("/x", "shop.example")),
            ),
            listener("metrics", tcp(metrics), Some(("/metrics", "localhost"))),
            listener("meshd", unix(state.join("meshd.sock")), None),
            listener(
                "admin of meshd",
                unix(state.join("meshd-admin.sock")),
                Some(("/v1/status", "localhost")),
            ),
            listener(
                "admin of a proxy",
                unix(state.join("proxies/default.client/admin.sock")),
                Some(("/v1/status", "localhost")),
            ),
        ]
    }

    /// An honest client is answered.
    async fn answers(&self) {
        let answered = tokio::time::timeout(PATIENCE, async {
            match self.asks {
                Some((uri, host)) => {
                    let answer = ask(&self.address, get(uri, host)).await.unwrap();
                    assert_eq!(answer.status, 200, "{}: {answer:?}", self.name);
                }
                None => {
                    let mut client = control(&self.address, None).await.unwrap();
                    client.trust_bundle(TrustBundleRequest {}).await.unwrap();
                }
            }
        });
        assert!(answered.await.is_ok(), "{} does not answer", self.name);
    }

    /// Sends bytes and no more; all that comes back.
    async fn send(&self, bytes: &[u8]) -> String {
        let mut socket = Socket::connect(&self.address).await.unwrap();
        let mut all = Vec::new();
        // It may end the connection at any moment.
        if socket.write_all(bytes).await.is_ok() {
            let _ = socket.shutdown().await;
        }
        let read = tokio::time::timeout(LIMIT, socket.read_to_end(&mut all)).await;
        assert!(read.is_ok(), "{} does not end", self.name);
        String::from_utf8_lossy(&all).into_owned()
    }

    fn head(&self) -> String {
        let (uri, host) = self.asks.unwrap_or(("/", "meshd"));
        format!("GET {uri} HTTP/1.1\r\nHost: {host}\r\n")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_refused_everywhere() {
    let fixture = Fixture::start().await;
    let mut traffic = fixture.traffic();
    let before = processes(&fixture.mesh.state());
    let hello_without_end = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 not as long as it says";
    let garbage: [&[u8]; 10] = [
        b"",
        b"\x00\x01\x02\x03\xff\xfe\r\n\r\n",
        b"\r\n\r\n\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\nHost: echo:9000\r\n\r\n",
        b"\x16\x03\x01\xff\xff\x01 no hello",
        hello_without_end,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x05\xff",
        b"\x05\x01\x00\x05\x01\x00\x03\xff",
    ];
    for listener in Listener::all(&fixture) {
        for bytes in garbage {
            let answer = listener.send(bytes).await;
            assert!(
                !answer.contains(" 200 "),
                "{}: {bytes:?}: {answer}",
                listener.name
            );
            listener.answers().await;
        }
    }
    traffic.more(5).await.unwrap();
    traffic.stop().await.unwrap();
    assert_eq!(
        processes(&fixture.mesh.state()),
        before,
        "nothing had to be started again"
    );
    fixture.mesh.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heads_that_are_too_large_are_refused_everywhere() {
    let fixture = Fixture::start().await;
    let mut traffic = fixture.traffic();
    for listener in Listener::all(&fixture) {
        let Some((uri, host)) = listener.asks else {
            continue;
        };
        let long = format!("X-Long: {}\r\n", "x".repeat(1 << 20));
        let many = "X-Many: 1\r\n".repeat(10_000);
        for fields in [long, many] {
            let answer = listener
                .send(format!("GET {uri} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n").as_bytes())
                .await;
            let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 431 ");
            assert!(refused, "{}: {answer}", listener.name);
            listener.answers().await;
        }
    }
    // The control plane's own, over HTTP/2.
    let meshd = ListenAddress::Unix(fixture.mesh.state().join("meshd.sock"));
    let mut client = control(&meshd, None).await.unwrap();
    let mut request = tonic::Request::new(TrustBundleRequest {});
    let long = HeaderValue::from_str(&"x".repeat(1 << 20)).unwrap();
    request
        .metadata_mut()
        .as_mut()
        .insert(HeaderName::from_static("x-long"), long);
    let refused = tokio::time::timeout(LIMIT, client.trust_bundle(request))
        .await
        .unwrap();
    assert!(refused.is_err(), "{refused:?}");
    control(&meshd, None)
        .await
        .unwrap()
        .trust_bundle(TrustBundleRequest {})
        .await
        .unwrap();
    traffic.more(5).await.unwrap();
    traffic.stop().await.unwrap();
    fixture.mesh.stop().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_say_nothing_or_little_keep_nobody_waiting() {
    let fixture = Fixture::start().await;
    let mut traffic = fixture.traffic();
    for listener in Listener::all(&fixture) {
        let mut held = Vec::new();
        for number in 0..CROWD {
            // Silent; with half a head; with half a handshake.
            for bytes in [
                &b""[..],
                listener.head().as_bytes(),
                b"\x16\x03\x01\x02\x00\x01\x00",
            ] {
                let mut socket = Socket::connect(&listener.address).await.unwrap();
                socket.write_all(bytes).await.unwrap();
                if number % 2 == 0 {
                    socket.shutdown().await.unwrap();
                }
                held.push(socket);
            }
        }
        let _slow = slow(&listener).await;
        for _ in 0..10 {
            listener.answers().await;
        }
        traffic.more(2).await.unwrap();
    }
    traffic.stop().await.unwrap();
    fixture.mesh.stop().unwrap();
}

/// Clients that send their heads byte by byte, without end.
async fn slow(listener: &Listener) -> JoinSet<()> {
    let mut all = JoinSet::new();
    for _ in 0..CROWD / 5 {
        let mut socket = Socket::connect(&listener.address).await.unwrap();
        let head = listener.head();
        all.spawn(async move {
            let mut ticks = tokio::time::interval(Duration::from_millis(20));
            for byte in head.bytes().chain(b"X-Slow: 1\r\n".iter().copied().cycle()) {
                ticks.tick().await;
                if socket.write_all(&[byte]).await.is_err() {
                    return;
                }
            }
        });
    }
    all
}

/// Most systems let a process have 1024 descriptors until it asks for more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_silent_clients_than_descriptors_at_the_start() {
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -Sn 256; exec \"$0\" \"$@\""])
        .arg(meshctl());
    let fixture = Fixture::launch(command).await;
    for listener in Listener::all(&fixture) {
        let mut held = Vec::new();
        for _ in 0..300 {
            held.push(Socket::connect(&listener.address).await.unwrap());
        }
        listener.answers().await;
    }
    fixture.mesh.stop().unwrap();
}
