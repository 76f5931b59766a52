//! Connections that go on as something else than HTTP (RFC 9110 section 7.8): WebSocket,
//! CONNECT and others.

use std::future::pending;
use std::sync::{Arc, Mutex, PoisonError};

use mesh_proxy_core::Reason;
use tokio::sync::oneshot;

use super::Exchange;
use crate::drain::Work;
use crate::net::{Ending, RelayMeter, Stream, relay};
use crate::upstream::{LIMITS, Tracking};
use crate::worker::Worker;

/// The connection of a message, once HTTP has ended on it; among the extensions of requests that
/// ask for it and of responses that agree. Cheap to clone; the first who waits gets it.
#[derive(Clone, Debug)]
pub struct OnUpgrade(Arc<Mutex<Option<oneshot::Receiver<Stream>>>>);

/// Gives the connection to who waits for it.
#[derive(Debug)]
pub(crate) struct Successor(oneshot::Sender<Stream>);

/// Waits for the end of HTTP on a connection and takes its stream, with what was read already.
/// `None` if the connection went on as HTTP, or broke before.
pub async fn stream(upgrade: OnUpgrade) -> Option<Stream> {
    let waiting = upgrade
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .take();
    waiting?.await.ok()
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
        let (Some(mut client), Some(mut server)) = tokio::join!(stream(client), stream(server))
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

// === impl OnUpgrade ===

impl OnUpgrade {
    pub(crate) fn pair() -> (Successor, Self) {
        let (sender, receiver) = oneshot::channel();
        (
            Successor(sender),
            Self(Arc::new(Mutex::new(Some(receiver)))),
        )
    }

    pub(crate) fn now(stream: Stream) -> Self {
        let (successor, upgrade) = Self::pair();
        successor.take_over(stream);
        upgrade
    }
}

// === impl Successor ===

impl Successor {
    /// Closes the connection if nobody waits any more.
    pub(crate) fn take_over(self, stream: Stream) {
        drop(self.0.send(stream));
    }
}
