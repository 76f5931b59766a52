//! A newer process takes over from a running one.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, Instant};

use mesh_tests::laptop::{LIMIT, free_address};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::backend::{Backend, Health, STREAM};
use crate::load::{Asked, At, Connection, Load, Shape, one};
use crate::place::{HOST, Place, duration};
use crate::proxy::{Plan, Proxy, listens, murder, share_sockets, until};

const SHAPE: Shape = Shape {
    keeping: 6,
    opening: 3,
    pause: Duration::ZERO,
};

/// Replaces a process by one of the same plan; the older one ends by itself.
async fn replace(old: &mut Proxy, plan: &Plan) {
    let replaced = succeed(old, plan);
    ends_replaced(replaced);
}

/// Starts a process of the same plan, and gives the one that it took over from.
fn succeed(old: &mut Proxy, plan: &Plan) -> Proxy {
    let next = tokio::task::block_in_place(|| plan.start());
    assert_eq!(next.addresses(), old.addresses());
    std::mem::replace(old, next)
}

fn ends_replaced(mut old: Proxy) {
    let (status, printed) = tokio::task::block_in_place(|| old.ended());
    assert!(status.success(), "{printed}");
    assert!(
        printed.contains("a newer process serves in this one's place"),
        "{printed}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_while_both_sides_are_replaced() {
    let place = Place::new();
    let backend = Backend::start(64, Duration::ZERO).await;
    let mut pair = place.pair(backend.address(), "");
    let explicit = pair.client.explicit();
    let load = Load::start(explicit, SHAPE);
    let end = Instant::now() + duration(Duration::from_secs(8));
    let mut rounds = 0;
    while rounds == 0 || Instant::now() < end {
        // Under way while the processes change.
        let slow = tokio::spawn(async move {
            one(
                &explicit.into(),
                Asked::get("/takes/1500"),
                &mut None,
                false,
            )
            .await
        });
        load.more(50).await;
        replace(&mut pair.server, &pair.server_plan).await;
        load.more(50).await;
        replace(&mut pair.client, &pair.client_plan).await;
        slow.await.unwrap().unwrap();
        rounds += 1;
    }
    load.more(50).await;
    let requests = load.stop().await;
    println!("{requests} requests, {rounds} rounds of two replacements");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_is_replaced_with_more_and_with_fewer_threads() {
    let place = Place::new();
    let backend = Backend::start(64, Duration::ZERO).await;
    let address = free_address().unwrap();
    let plan = place.gateway(address, backend.address());
    let mut gateway = plan.with("--concurrency", "2").start();
    listens(address).await;
    let load = Load::start(address, SHAPE);
    for threads in ["1", "3", "1"] {
        load.more(50).await;
        replace(&mut gateway, &plan.with("--concurrency", threads)).await;
    }
    load.more(50).await;
    load.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_process_that_dies_changes_nothing() {
    let place = Place::new();
    let backend = Backend::start(64, Duration::ZERO).await;
    let mut pair = place.pair(backend.address(), "");
    let load = Load::start(pair.client.explicit(), SHAPE);
    load.more(20).await;
    // It has the sockets, and no configuration.
    let mut newer = pair.client_plan.start_in_vain();
    share_sockets(pair.client.id(), newer.id()).await;
    load.more(50).await;
    murder(newer.id());
    let (status, _) = tokio::task::block_in_place(|| newer.wait(Duration::from_secs(30))).unwrap();
    assert!(!status.success());
    load.more(50).await;
    // The next one finds everything as it was.
    replace(&mut pair.client, &pair.client_plan).await;
    load.more(50).await;
    load.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_drains_already_hands_over() {
    let place = Place::new();
    let backend = Backend::start(64, Duration::ZERO).await;
    let mut pair = place.pair(backend.address(), "");
    let load = Load::start(pair.client.explicit(), SHAPE);
    load.more(20).await;
    // As supervisors do: the older one is told to end, then the newer one is started.
    let plan = pair.client_plan.clone();
    let old = pair.client;
    let addresses = old.addresses();
    let stopping = tokio::task::spawn_blocking(move || old.stop());
    pair.client = tokio::task::block_in_place(|| plan.start());
    assert_eq!(pair.client.addresses(), addresses);
    load.more(50).await;
    stopping.await.unwrap();
    load.more(50).await;
    load.stop().await;
}

/// The file of a socket that somebody listens on.
async fn inode(path: &Path) -> u64 {
    until("somebody listens on the Unix socket", || {
        std::os::unix::net::UnixStream::connect(path).is_ok()
    })
    .await;
    std::fs::metadata(path).unwrap().ino()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unix_sockets_that_a_sidecar_asks_for_are_handed_over() {
    let place = Place::new();
    let backend = Backend::start(64, Duration::ZERO).await;
    let mut pair = place.pair(backend.address(), "");
    let path = place.socket();
    let file = inode(&path).await;
    let load = Load::start(path.as_path(), SHAPE);
    for threads in ["1", "3", "2"] {
        load.more(50).await;
        let plan = pair.client_plan.with("--concurrency", threads);
        replace(&mut pair.client, &plan).await;
        assert_eq!(inode(&path).await, file, "it is another socket");
    }
    load.more(50).await;
    load.stop().await;
    tokio::task::block_in_place(|| pair.client.stop());
    assert!(!path.exists(), "the last one leaves its file");
}

/// An answer that never ends, with something of it.
async fn streaming(at: At) -> Box<dyn Connection> {
    let mut stream = at.connect().await.unwrap();
    let request = format!("GET http://{HOST}{STREAM} HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    goes_on(&mut stream).await;
    stream
}

async fn goes_on(stream: &mut Box<dyn Connection>) {
    let mut octets = [0; 4096];
    // What waits to be read is of before.
    for _ in 0..3 {
        let read = tokio::time::timeout(LIMIT, stream.read(&mut octets));
        assert_ne!(read.await.unwrap().unwrap(), 0, "the stream ends");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_are_served_to_their_end_by_who_began_them() {
    let place = Place::new();
    let backend = Backend::start(64, Duration::ZERO).await;
    let mut pair = place.pair(backend.address(), "");
    inode(&place.socket()).await;
    let mut streams = Vec::new();
    for at in [
        At::from(pair.client.explicit()),
        place.socket().as_path().into(),
    ] {
        streams.push(streaming(at).await);
    }
    let mut old = vec![
        succeed(&mut pair.server, &pair.server_plan),
        succeed(&mut pair.client, &pair.client_plan),
    ];
    // Twice, so that three processes of a kind are there.
    old.push(succeed(&mut pair.server, &pair.server_plan));
    old.push(succeed(&mut pair.client, &pair.client_plan));
    streams.push(streaming(pair.client.explicit().into()).await);
    for stream in &mut streams {
        goes_on(stream).await;
    }
    backend.is_now(Health::Fails);
    for mut stream in streams {
        let mut rest = Vec::new();
        let end = async {
            while !rest.ends_with(b"0\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut rest).await.unwrap(), 0, "it is cut");
            }
        };
        tokio::time::timeout(LIMIT, end).await.unwrap();
    }
    old.into_iter().for_each(ends_replaced);
}
