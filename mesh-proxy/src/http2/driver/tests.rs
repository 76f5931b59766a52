use std::future::poll_fn;

use mesh_proxy_core::http2::{Config, Connection};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::time::Instant;

use super::*;

const INTERVAL: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(20);

/// A connection that has more to say than fits into the socket, and its peer.
fn full() -> (Driver, UnixStream) {
    let (near, far) = UnixStream::pair().unwrap();
    let config = Config {
        stream_window: 65_535,
        connection_window: 65_535,
        max_streams: 1,
        max_head: 1000,
    };
    let link = Link::new(Connection::server(config));
    link.with(|state| state.output().extend_from_slice(&vec![0; 4 << 20]));
    (Driver::new(near.into(), link, INTERVAL, TIMEOUT), far)
}

async fn run(mut driver: Driver) -> ConnectionEnd {
    poll_fn(|cx| {
        driver.poll_read(cx, &mut drop);
        driver.poll_write(cx)
    })
    .await
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up() {
    let (driver, _far) = full();
    let start = Instant::now();
    assert!(matches!(run(driver).await, ConnectionEnd::Silent));
    assert!(start.elapsed() <= INTERVAL * 2 + TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_little_at_a_time_is_not() {
    let (driver, mut far) = full();
    let slow = async {
        let mut left = 4 << 20;
        let mut some = vec![0; 256 << 10];
        while left > 0 {
            tokio::time::sleep(INTERVAL / 2).await;
            left -= far.read(&mut some).await.unwrap().min(left);
        }
    };
    tokio::select! {
        end = run(driver) => panic!("ended: {end}"),
        () = slow => {}
    }
}
