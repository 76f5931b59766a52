//! Clients that want to do harm: they are refused, the proxy's memory stays as it is, and others
//! do not notice. They speak HTTP/2 by hand, since no library lets them.

use std::net::SocketAddr;
use std::time::Duration;

use mesh_tests::laptop::free_address;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::backend::Backend;
use crate::load::{Load, Shape};
use crate::place::{HOST, Place};
use crate::proxy::{listens, resident};

/// The others.
const OTHERS: Shape = Shape {
    keeping: 3,
    opening: 1,
    pause: Duration::from_millis(5),
};

/// What the proxy may keep of five attacks, each of which sends tens of MiB, KiB.
const GROWTH: u64 = 16 * 1024;

/// What an attacker sends before he gives up, bytes.
const MOST: usize = 32 << 20;

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// `GET http://HOST/` in HPACK.
fn get() -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x84, 0x01, u8::try_from(HOST.len()).unwrap()];
    block.extend(HOST.as_bytes());
    block
}

/// A field with a value of `length` x, which goes into the table or not. The length takes two
/// octets after its prefix.
fn field(indexed: bool, length: usize) -> Vec<u8> {
    let mut block = vec![if indexed { 0x40 } else { 0x00 }, 2, b'x', b'y', 0x7f];
    let rest = length - 127;
    block.push(u8::try_from(rest % 128).unwrap() | 0x80);
    block.push(u8::try_from(rest / 128).unwrap());
    block.extend(vec![b'x'; length]);
    block
}

/// Opens a connection of HTTP/2.
async fn open(at: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    stream.write_all(&frame(4, 0, 0, &[])).await.unwrap();
    stream
}

/// Sends until the proxy closes the connection. Bytes that it took.
async fn sent_until_closed(
    mut stream: TcpStream,
    mut next: impl FnMut() -> Vec<u8>,
) -> Option<usize> {
    let mut sent = 0;
    let mut sink = vec![0; 64 * 1024];
    while sent < MOST {
        let bytes = next();
        tokio::select! {
            written = stream.write_all(&bytes) => match written {
                Ok(()) => sent += bytes.len(),
                Err(_) => return Some(sent),
            },
            () = tokio::time::sleep(Duration::from_secs(10)) => return None,
        }
        // It may say why, and it may close its side first.
        while let Ok(read) = stream.try_read(&mut sink) {
            if read == 0 {
                return Some(sent);
            }
        }
    }
    None
}

async fn rapid_reset(at: SocketAddr) {
    let mut stream = 1;
    let next = move || {
        let mut bytes = Vec::new();
        for _ in 0..50 {
            bytes.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &get()));
            bytes.extend(frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()));
            stream += 2;
        }
        bytes
    };
    let taken = sent_until_closed(open(at).await, next).await;
    assert!(taken.is_some(), "rapid resets are let through");
}

async fn continuation_flood(at: SocketAddr, payload: &[u8]) {
    let mut stream = open(at).await;
    let begin = frame(HEADERS, END_STREAM, 1, &get());
    stream.write_all(&begin).await.unwrap();
    let next = || frame(CONTINUATION, 0, 1, payload).repeat(4);
    let taken = sent_until_closed(stream, next).await;
    assert!(
        taken.is_some_and(|taken| taken < 8 << 20),
        "{taken:?} bytes of CONTINUATION are let through"
    );
}

/// Few octets that are many once they are decoded.
async fn header_bomb(at: SocketAddr) {
    let mut first = get();
    first.extend(field(true, 3000));
    let mut stream = open(at).await;
    stream
        .write_all(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &first))
        .await
        .unwrap();
    let mut number = 1;
    let next = move || {
        number += 2;
        let mut block = get();
        // The field in the table, 16 000 times: 48 MB.
        block.extend(vec![0xbe; 16_000]);
        frame(HEADERS, END_HEADERS | END_STREAM, number, &block)
    };
    let mut sink = vec![0; 64 * 1024];
    let mut next = next;
    for _ in 0..20 {
        if stream.write_all(&next()).await.is_err() {
            return;
        }
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read(&mut sink)).await;
        if !matches!(read, Ok(Ok(1..))) {
            assert!(read.is_ok(), "a header bomb gets no answer");
            return;
        }
    }
}

/// Asks for answers and does not read them.
async fn ping_flood(at: SocketAddr) {
    let mut stream = open(at).await;
    let pings = frame(PING, 0, 0, &[7; 8]).repeat(1000);
    for _ in 0..500 {
        let written = stream.write_all(&pings);
        match tokio::time::timeout(Duration::from_millis(500), written).await {
            Ok(Ok(())) => {}
            // Cut, or not read any more.
            Ok(Err(_)) | Err(_) => return,
        }
    }
}

async fn endless_head(at: SocketAddr) {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let begin = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n");
    stream.write_all(begin.as_bytes()).await.unwrap();
    let line = format!("X-Long: {}\r\n", "x".repeat(4000));
    let taken = sent_until_closed(stream, || line.clone().into_bytes()).await;
    assert!(
        taken.is_some_and(|taken| taken < 8 << 20),
        "{taken:?} bytes of a head are let through"
    );
}

/// Asks for much and reads nothing, until it is dropped.
async fn slow_reader(at: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let request = format!("GET /bytes/67108864 HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

async fn attack(at: SocketAddr) {
    let large = field(false, 16_000);
    tokio::join!(
        rapid_reset(at),
        rapid_reset(at),
        continuation_flood(at, &large),
        continuation_flood(at, &[]),
        header_bomb(at),
        ping_flood(at),
        endless_head(at),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn attackers_are_refused_and_others_do_not_notice() {
    let place = Place::new();
    let backend = Backend::start(4096, Duration::ZERO).await;
    let address = free_address().unwrap();
    let gateway = place.gateway(address, backend.address()).start();
    listens(address).await;
    let others = Load::start(address, OTHERS);
    others.more(50).await;
    let before = resident(gateway.id());
    for _ in 0..5 {
        attack(address).await;
        others.more(20).await;
    }
    let most = resident(gateway.id());
    // What the allocator keeps of freed memory goes back a moment later.
    let back = async {
        while resident(gateway.id()) > before + GROWTH {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let back = tokio::time::timeout(Duration::from_secs(60), back).await;
    let after = resident(gateway.id());
    println!(
        "memory: {before} KiB before, {most} KiB while attacked, {after} KiB after five attacks"
    );
    assert!(
        back.is_ok(),
        "the proxy had {before} KiB before, and keeps {after} KiB after five attacks"
    );
    others.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_cost_little() {
    const READERS: u64 = 40;
    let place = Place::new();
    let backend = Backend::start(4096, Duration::ZERO).await;
    let address = free_address().unwrap();
    let gateway = place.gateway(address, backend.address()).start();
    listens(address).await;
    let others = Load::start(address, OTHERS);
    others.more(50).await;
    let before = resident(gateway.id());
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(slow_reader(address).await);
    }
    crate::proxy::until("all of them are served", || backend.served() >= READERS).await;
    // Time for all that would be buffered.
    others.more(200).await;
    let after = resident(gateway.id());
    println!("memory: {before} KiB, with {READERS} slow readers {after} KiB");
    // 64 MiB are waiting for each of them.
    assert!(
        after < before + READERS * 1024,
        "the proxy had {before} KiB, and has {after} KiB with {READERS} slow readers"
    );
    others.stop().await;
}
