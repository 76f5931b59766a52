mod forged;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use rustls::{ClientConfig, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;
use crate::testing::{LeafSpec, RATINGS, REVIEWS, TestRoot};
use crate::tls::{Alpn, Expect, accept, connect};

const LONG: Duration = Duration::from_secs(20);
const NAME: &str = "reviews.default.svc.cluster.local";

/// Octets pass in pieces of random sizes, and often not at once.
struct Chopped<IO> {
    io: IO,
    // Of a linear congruential generator.
    seed: u64,
    most: usize,
}

impl<IO> Chopped<IO> {
    fn new(io: IO, seed: u64, most: usize) -> Self {
        Self { io, seed, most }
    }

    fn next(&mut self, below: usize) -> usize {
        self.seed = self
            .seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.seed >> 33).unwrap() % below
    }

    // How much passes now.
    fn turn(&mut self, cx: &Context<'_>) -> Poll<usize> {
        if self.next(4) == 0 {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let most = self.most;
        Poll::Ready(1 + self.next(most))
    }
}

impl<IO: AsyncRead + Unpin> AsyncRead for Chopped<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let count = ready!(self.turn(cx)).min(buffer.remaining());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(count));
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut part))?;
        let filled = part.filled().len();
        buffer.advance(filled);
        Poll::Ready(Ok(()))
    }
}

impl<IO: AsyncWrite + Unpin> AsyncWrite for Chopped<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let count = ready!(self.turn(cx)).min(octets.len());
        Pin::new(&mut self.io).poll_write(cx, &octets[..count])
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

struct Configs {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
}

// The peer's keys can be had, for the tests that forge records; ours stay as they are.
fn configs(version: Option<&'static rustls::SupportedProtocolVersion>) -> Configs {
    let root = TestRoot::new();
    let server = root.mesh(&LeafSpec {
        uris: &[REVIEWS],
        ..LeafSpec::default()
    });
    let client = root.mesh(&LeafSpec {
        uris: &[RATINGS],
        ..LeafSpec::default()
    });
    let mut server = ServerConfig::clone(&server.server());
    let mut client = ClientConfig::clone(&client.client(Alpn::Http1, &Expect::Mesh).unwrap());
    server.enable_secret_extraction = true;
    client.enable_secret_extraction = true;
    if let Some(version) = version {
        let leaf = root.leaf(&LeafSpec {
            uris: &[REVIEWS],
            dns: &[NAME],
            ..LeafSpec::default()
        });
        let mut roots = rustls::RootCertStore::empty();
        roots.add(root.der.clone()).unwrap();
        server = ServerConfig::builder_with_protocol_versions(&[version])
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(leaf)));
        client = ClientConfig::builder_with_protocol_versions(&[version])
            .with_root_certificates(roots)
            .with_no_client_auth();
    }
    Configs {
        server: Arc::new(server),
        client: Arc::new(client),
    }
}

type Theirs<IO> = tokio_rustls::TlsStream<IO>;

// A pair: ours, and rustls with buffers of its own as the peer. There has to be room for a server's
// tickets, which the client does not wait for.
async fn pair<A, B>(configs: &Configs, we_serve: bool, near: A, far: B) -> (TlsStream<A>, Theirs<B>)
where
    A: AsyncRead + AsyncWrite + Unpin,
    B: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(NAME).unwrap();
    if we_serve {
        let connector = tokio_rustls::TlsConnector::from(Arc::clone(&configs.client));
        let (ours, theirs) = tokio::join!(
            accept(near, Arc::clone(&configs.server), LONG),
            connector.connect(name, far),
        );
        let (ours, peer) = ours.unwrap();
        assert_eq!(peer.server_name.as_deref(), Some(NAME));
        (ours, theirs.unwrap().into())
    } else {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::clone(&configs.server));
        let (ours, theirs) = tokio::join!(
            connect(near, Arc::clone(&configs.client), NAME, LONG),
            acceptor.accept(far),
        );
        (ours.unwrap().0, theirs.unwrap().into())
    }
}

fn octets(length: usize, salt: u8) -> Vec<u8> {
    (0..length)
        .map(|at| u8::try_from(at % 251).unwrap() ^ salt)
        .collect()
}

// Writes in pieces of such sizes, in turns; flushes after some of them.
async fn write_pieces<W: AsyncWrite + Unpin>(to: &mut W, octets: &[u8], sizes: &[usize]) {
    let mut rest = octets;
    for size in sizes.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, later) = rest.split_at((*size).min(rest.len()));
        to.write_all(piece).await.unwrap();
        if size % 3 == 0 {
            to.flush().await.unwrap();
        }
        rest = later;
    }
    to.shutdown().await.unwrap();
}

async fn read_pieces<R: AsyncRead + Unpin>(from: &mut R, sizes: &[usize]) -> Vec<u8> {
    let mut all = Vec::new();
    for size in sizes.iter().cycle() {
        let mut piece = vec![0; *size];
        let count = from.read(&mut piece).await.unwrap();
        if count == 0 {
            break;
        }
        all.extend_from_slice(&piece[..count]);
    }
    all
}

#[derive(Debug, Clone)]
struct Exchange {
    we_serve: bool,
    version12: bool,
    room: usize,
    seed: u64,
    most: usize,
    up: usize,
    down: usize,
    writes: Vec<usize>,
    reads: Vec<usize>,
}

fn exchanges() -> impl Strategy<Value = Exchange> {
    let sizes = || prop::collection::vec(prop_oneof![1_usize..40, 1_usize..70_000], 1..8);
    (
        any::<(bool, bool, u64)>(),
        (8_192_usize..100_000, 1_usize..40_000),
        (0_usize..200_000, 0_usize..200_000),
        sizes(),
        sizes(),
    )
        .prop_map(|(flags, (room, most), (up, down), writes, reads)| {
            // So that tiny steps do not take minutes.
            let scale = writes.iter().chain(&reads).chain([&most]).min();
            let limit = scale.unwrap() * 3000;
            Exchange {
                we_serve: flags.0,
                version12: flags.1,
                seed: flags.2,
                room,
                most,
                up: up.min(limit),
                down: down.min(limit),
                writes,
                reads,
            }
        })
}

// Both write all they have and end it, while both read to the end.
async fn exchange(configs: &Configs, it: &Exchange) {
    let (near, far) = duplex(it.room);
    let near = Chopped::new(near, it.seed, it.most);
    let far = Chopped::new(far, !it.seed, it.most);
    let (ours, theirs) = pair(configs, it.we_serve, near, far).await;
    let (up, down) = (octets(it.up, 7), octets(it.down, 99));
    let (mut our_reader, mut our_writer) = tokio::io::split(ours);
    let (mut their_reader, mut their_writer) = tokio::io::split(theirs);
    let ((), (), got_up, got_down) = tokio::join!(
        write_pieces(&mut our_writer, &up, &it.writes),
        write_pieces(&mut their_writer, &down, &it.writes),
        read_pieces(&mut their_reader, &it.reads),
        read_pieces(&mut our_reader, &it.reads),
    );
    assert!(got_up == up, "{} of {}", got_up.len(), up.len());
    assert!(got_down == down, "{} of {}", got_down.len(), down.len());
    let ours = our_reader.unsplit(our_writer);
    assert!(ours.0.plain.is_empty() && ours.0.incoming.is_empty() && ours.0.output.is_empty());
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn whatever_the_pieces_all_octets_arrive_in_order() {
    let runtime = runtime();
    let versions = [configs(None), configs(Some(&rustls::version::TLS12))];
    let config = ProptestConfig {
        cases: 48,
        ..ProptestConfig::default()
    };
    proptest!(config, |(it in exchanges())| {
        let configs = &versions[usize::from(it.version12)];
        runtime
            .block_on(async { tokio::time::timeout(LONG, exchange(configs, &it)).await })
            .expect("stalls");
    });
}

#[tokio::test]
async fn one_side_may_end_long_before_the_other() {
    for we_serve in [true, false] {
        let (near, far) = duplex(4096);
        let (mut ours, mut theirs) = pair(&configs(None), we_serve, near, far).await;
        theirs.write_all(b"the end").await.unwrap();
        theirs.shutdown().await.unwrap();
        let mut text = String::new();
        ours.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "the end");
        assert_eq!(ours.read(&mut [0; 8]).await.unwrap(), 0, "and stays so");
        let sent = octets(100_000, 3);
        let (write, got) = tokio::join!(
            async {
                ours.write_all(&sent).await?;
                ours.shutdown().await
            },
            async {
                let mut got = Vec::new();
                theirs.read_to_end(&mut got).await.map(|_| got)
            },
        );
        write.unwrap();
        assert!(got.unwrap() == sent);
    }
}

#[tokio::test]
async fn this_side_may_end_and_read_on() {
    for we_serve in [true, false] {
        let (near, far) = duplex(4096);
        let (mut ours, mut theirs) = pair(&configs(None), we_serve, near, far).await;
        ours.shutdown().await.unwrap();
        assert_eq!(theirs.read(&mut [0; 8]).await.unwrap(), 0);
        let error = ours.write(b"x").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        theirs.write_all(b"still here").await.unwrap();
        theirs.shutdown().await.unwrap();
        let mut text = String::new();
        ours.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "still here");
    }
}

fn refresh<IO>(theirs: &mut Theirs<IO>) {
    match theirs {
        Theirs::Client(theirs) => theirs.get_mut().1.refresh_traffic_keys().unwrap(),
        Theirs::Server(theirs) => theirs.get_mut().1.refresh_traffic_keys().unwrap(),
    }
}

#[tokio::test]
async fn keys_change_both_ways_while_data_flows() {
    for we_serve in [true, false] {
        let (near, far) = duplex(64 * 1024);
        let (mut ours, mut theirs) = pair(&configs(None), we_serve, near, far).await;
        for round in 0..40_u8 {
            refresh(&mut theirs);
            let sent = octets(3000, round);
            theirs.write_all(&sent).await.unwrap();
            theirs.flush().await.unwrap();
            let mut got = vec![0; sent.len()];
            ours.read_exact(&mut got).await.unwrap();
            assert!(got == sent);
            // With the new keys of this side, which the peer asked for.
            ours.write_all(&got).await.unwrap();
            ours.flush().await.unwrap();
            theirs.read_exact(&mut got).await.unwrap();
            assert!(got == sent);
        }
        // Asked for, and answered by the end.
        refresh(&mut theirs);
        theirs.write_all(b"x").await.unwrap();
        theirs.flush().await.unwrap();
        ours.read_exact(&mut [0]).await.unwrap();
        ours.shutdown().await.unwrap();
        assert_eq!(theirs.read(&mut [0; 8]).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn who_reads_little_makes_the_sender_wait() {
    let (near, far) = duplex(16 * 1024);
    let (mut ours, theirs) = pair(&configs(None), true, near, far).await;
    let sent = octets(2_000_000, 1);
    let (mut reader, mut writer) = tokio::io::split(theirs);
    let send = async {
        writer.write_all(&sent).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let read = async {
        let mut got = Vec::new();
        loop {
            let mut piece = [0; 100];
            let count = ours.read(&mut piece).await.unwrap();
            if count == 0 {
                break;
            }
            got.extend_from_slice(&piece[..count]);
            assert!(ours.0.plain.len() <= RECORD, "{}", ours.0.plain.len());
            assert!(ours.0.incoming.len() <= RECORD);
        }
        assert!(got == sent);
        ours.shutdown().await.unwrap();
    };
    let mut rest = [0; 8];
    let ((), (), rest) = tokio::join!(send, read, reader.read(&mut rest));
    assert_eq!(rest.unwrap(), 0);
}

#[tokio::test]
async fn a_peer_who_does_not_read_is_waited_for() {
    let (near, far) = duplex(16 * 1024);
    let (mut ours, mut theirs) = pair(&configs(None), false, near, far).await;
    let piece = octets(300_000, 5);
    let mut written = 0;
    let full = poll_fn(|cx| {
        loop {
            match Pin::new(&mut ours).poll_write(cx, &piece[written..]) {
                Poll::Ready(count) => written += count.unwrap(),
                Poll::Pending => return Poll::Ready(()),
            }
        }
    });
    full.await;
    assert!(written <= WRITE, "{written}");
    let mut got = vec![0; written];
    let (flush, read) = tokio::join!(ours.flush(), theirs.read_exact(&mut got));
    flush.unwrap();
    read.unwrap();
    assert!(got == piece[..written]);
}
