//! Connections that go on as something else than HTTP (RFC 9110 section 7.8): WebSocket,
//! CONNECT and others.

use std::future::pending;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use mesh_proxy_core::Reason;

use super::Exchange;
use crate::drain::Work;
use crate::net::{Ending, RelayMeter, Stream, relay};
use crate::upstream::{LIMITS, Tracking};
use crate::worker::Worker;

/// Waits for the end of HTTP on a connection and takes its stream, with what was read already.
///
/// # Errors
/// If the connection broke before.
pub async fn stream(upgrade: OnUpgrade) -> hyper::Result<Option<Stream>> {
    upgrade.await.map(take_back)
}

/// Joins both connections after the server has agreed to go on as something else. The request
/// lasts until they end.
pub fn join(
    worker: &Worker,
    client: OnUpgrade,
    server: OnUpgrade,
    mut exchange: Box<Exchange>,
    tracking: Tracking,
) {
    let hold = worker.hold(Work::Http);
    worker.tasks.spawn_local(async move {
        let _hold = hold;
        let (Ok(Some(mut client)), Ok(Some(mut server))) =
            tokio::join!(stream(client), stream(server))
        else {
            tracking.failed();
            return;
        };
        let meter = RelayMeter::default();
        let ending = relay(&mut client, &mut server, LIMITS, &meter, pending()).await;
        exchange.add_carried(meter.from_client(), meter.from_server());
        match ending {
            Ending::Closed | Ending::Client(_) | Ending::Cancelled => tracking.finished(),
            Ending::Idle => {
                exchange.fail(Reason::IdleTimeout);
                tracking.finished();
            }
            Ending::Server(_) => {
                exchange.fail(Reason::UpstreamConnectionClosed);
                tracking.failed();
            }
        }
        exchange.finish();
    });
}

// All connections of this crate are made from `TokioIo<Stream>`, on HTTP/1.
fn take_back(upgraded: Upgraded) -> Option<Stream> {
    let parts = upgraded.downcast::<TokioIo<Stream>>().ok()?;
    let mut stream = parts.io.into_inner();
    stream.put_back(&parts.read_buf);
    Some(stream)
}
