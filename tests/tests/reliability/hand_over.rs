//! A newer process takes over from a running one.

use std::time::{Duration, Instant};

use mesh_tests::laptop::free_address;

use crate::backend::Backend;
use crate::load::{Load, Shape, one};
use crate::place::{HOST, Place, duration};
use crate::proxy::{Plan, Proxy, listens, murder, share_sockets};

const SHAPE: Shape = Shape {
    keeping: 6,
    opening: 3,
    pause: Duration::ZERO,
};

/// Replaces a process by one of the same plan; the older one ends by itself.
async fn replace(old: &mut Proxy, plan: &Plan) {
    let next = tokio::task::block_in_place(|| plan.start());
    assert_eq!(next.addresses(), old.addresses());
    let mut old = std::mem::replace(old, next);
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
        let slow =
            tokio::spawn(async move { one(explicit, HOST, "/takes/1500", &mut None, false).await });
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
    let mut gateway = plan.with(&["--concurrency", "2"]).start();
    listens(address).await;
    let load = Load::start(address, SHAPE);
    for threads in ["1", "3", "1"] {
        load.more(50).await;
        replace(&mut gateway, &plan.with(&["--concurrency", threads])).await;
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
