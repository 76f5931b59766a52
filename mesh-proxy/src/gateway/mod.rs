//! The ingress gateway: listeners as the configuration names them, requests by host and route.

mod http;

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use mesh_proxy_core::detect::Detected;

use crate::detect::{First, first_bytes};
use crate::http::{HEAD_TIMEOUT, Version};
use crate::net::{self, Stream};
use crate::telemetry::Listener;
use crate::worker::{DRAIN_GRACE, Worker};

// A port that could not be bound may be free later.
const AGAIN: Duration = Duration::from_secs(2);

/// Opens and closes listeners as the Gateway resource changes, until the proxy drains.
pub async fn listen(worker: Rc<Worker>) {
    let mut epoch = worker.shared.epoch();
    let mut open: BTreeMap<u16, CancellationToken> = BTreeMap::new();
    loop {
        let failed = follow(&worker, &mut open);
        let again = async {
            if failed {
                tokio::time::sleep(AGAIN).await;
            } else {
                pending::<()>().await;
            }
        };
        tokio::select! {
            () = worker.shared.drain.started() => return,
            () = again => {}
            changed = epoch.changed() => if changed.is_err() {
                return worker.shared.drain.started().await;
            },
        }
    }
}

// Returns whether a listener could not be opened.
fn follow(worker: &Rc<Worker>, open: &mut BTreeMap<u16, CancellationToken>) -> bool {
    let snapshot = worker.shared.snapshot();
    let wanted: BTreeSet<u16> = snapshot
        .gateway()
        .map(|gateway| gateway.listeners.keys().copied().collect())
        .unwrap_or_default();
    open.retain(|port, token| {
        let keep = wanted.contains(port);
        if !keep {
            token.cancel();
        }
        keep
    });
    let mut failed = false;
    for port in wanted {
        if open.contains_key(&port) {
            continue;
        }
        let settings = &worker.shared.settings;
        let Some(bound) = moved(port, settings.gateway_port_offset) else {
            tracing::error!(
                port,
                offset = settings.gateway_port_offset,
                "the gateway's port is out of range"
            );
            continue;
        };
        let address = SocketAddr::new(settings.gateway_listen, bound);
        match net::bind(address) {
            Ok(listener) => {
                let token = CancellationToken::new();
                let end = ended(worker, token.clone());
                worker.accept_until(
                    Listener::Gateway,
                    listener,
                    move |worker, stream| serve(worker, stream, port),
                    end,
                );
                open.insert(port, token);
                tracing::info!(%address, port, "gateway listens");
            }
            Err(error) => {
                failed = true;
                tracing::error!(%address, %error, "the gateway cannot listen");
            }
        }
    }
    failed
}

/// The port that is bound for a port of the configuration.
fn moved(port: u16, offset: i32) -> Option<u16> {
    let bound = u16::try_from(i32::from(port).checked_add(offset)?).ok()?;
    (bound != 0).then_some(bound)
}

fn ended(worker: &Rc<Worker>, token: CancellationToken) -> impl Future<Output = ()> + 'static {
    let drain = worker.shared.drain.clone();
    async move {
        tokio::select! {
            () = token.cancelled() => {}
            () = async {
                drain.started().await;
                tokio::time::sleep(DRAIN_GRACE).await;
            } => {}
        }
    }
}

async fn serve(worker: Rc<Worker>, mut stream: Stream, port: u16) {
    let version = match first_bytes(&mut stream, HEAD_TIMEOUT).await {
        Ok(First::Client(Detected::Http2)) => Version::Http2,
        // What is no HTTP gets HTTP's answer.
        Ok(First::Client(_)) => Version::Http1,
        Ok(First::Closed | First::Silent) | Err(_) => return,
    };
    http::serve(worker, stream, version, port).await;
}
