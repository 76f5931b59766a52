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
    let mut ports = Ports::default();
    loop {
        ports.follow(&worker);
        let again = async {
            if ports.may_open_later {
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

/// The ports of the configuration, in the view of one worker.
#[derive(Default)]
struct Ports {
    open: BTreeMap<u16, CancellationToken>,
    failing: BTreeSet<u16>,
    // Whether one of those that fail may be free later.
    may_open_later: bool,
}

// === impl Ports ===

impl Ports {
    /// Opens and closes listeners as the snapshot wants it.
    fn follow(&mut self, worker: &Rc<Worker>) {
        let snapshot = worker.shared.snapshot();
        let wanted: BTreeSet<u16> = snapshot
            .gateway()
            .map(|gateway| gateway.listeners.keys().copied().collect())
            .unwrap_or_default();
        self.open.retain(|port, token| {
            let keep = wanted.contains(port);
            if !keep {
                token.cancel();
            }
            keep
        });
        let troubles = &worker.shared.telemetry.troubles;
        for gone in self.failing.difference(&wanted) {
            troubles.over(&trouble(*gone));
        }
        self.failing.clear();
        self.may_open_later = false;
        for port in wanted {
            if self.open.contains_key(&port) {
                continue;
            }
            match bind(worker, port) {
                Ok(token) => {
                    self.open.insert(port, token);
                    troubles.over(&trouble(port));
                }
                Err(error) => {
                    self.failing.insert(port);
                    self.may_open_later |= matches!(error, Closed::Bind { .. });
                    if troubles.note(&trouble(port), &error.to_string()) {
                        tracing::error!("{error}");
                    }
                }
            }
        }
    }
}

/// Why a port of the configuration is not served.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error("the gateway cannot serve port {port}: {port} moved by {offset} is no port")]
    Range { port: u16, offset: i32 },
    #[error("the gateway cannot serve port {port}: cannot listen on {address}: {source}")]
    Bind {
        port: u16,
        address: SocketAddr,
        source: std::io::Error,
    },
}

/// Name of the trouble with a port.
fn trouble(port: u16) -> String {
    format!("gateway port {port:05}")
}

/// Opens the listener of a port and serves it until the token ends it.
fn bind(worker: &Rc<Worker>, port: u16) -> Result<CancellationToken, Closed> {
    let settings = &worker.shared.settings;
    let offset = settings.gateway_port_offset;
    let bound = moved(port, offset).ok_or(Closed::Range { port, offset })?;
    let address = SocketAddr::new(settings.gateway_listen, bound);
    let listener = net::bind(address).map_err(|source| Closed::Bind {
        port,
        address,
        source,
    })?;
    let token = CancellationToken::new();
    let end = ended(worker, token.clone());
    worker.accept_until(
        Listener::Gateway,
        listener,
        move |worker, stream| serve(worker, stream, port),
        end,
    );
    tracing::info!(%address, port, "gateway listens");
    Ok(token)
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
