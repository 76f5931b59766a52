//! The ingress gateway: listeners as the configuration names them, TLS by server name, requests
//! by host and route.

mod arrived;
mod balancer;
mod http;
mod tcp;
mod tls;
mod xfcc;

use std::collections::{BTreeMap, BTreeSet};
use std::future::pending;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use mesh_api::Hostname;
use mesh_proxy_core::detect::Detected;
use mesh_proxy_core::ir::{ListenerId, Protocol, ServerCertificate};
use mesh_proxy_core::{Reason, Snapshot};

use crate::clock;
use crate::detect::{First, first_bytes};
use crate::hand_over::Offered;
use crate::http::{HEAD_TIMEOUT, Version};
use crate::net::{self, StdTcpListener, Stream};
use crate::telemetry::{Found, Listener};
use crate::worker::Worker;
use arrived::Arrived;

// A port that could not be bound may be free later, a file may be there.
const AGAIN: Duration = Duration::from_secs(2);

/// Time for a client's TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Opens and closes listeners as the Gateway resource changes, until the proxy drains. Those of
/// `inherited` that the resource wants are open already; the others close.
pub async fn listen(worker: Rc<Worker>, inherited: Vec<StdTcpListener>) {
    let mut epoch = worker.shared.epoch();
    let mut certificate = worker.shared.identity.generation();
    let mut ports = Ports {
        inherited,
        ..Ports::default()
    };
    let mut told = false;
    loop {
        ports.follow(&worker);
        if !told && ports.configured {
            worker.shared.open_ports.opened();
            told = true;
        }
        let again = async {
            if ports.may_serve_later {
                tokio::time::sleep(AGAIN).await;
            } else {
                pending::<()>().await;
            }
        };
        let renewed = async {
            if certificate.changed().await.is_err() {
                pending::<()>().await;
            }
        };
        tokio::select! {
            () = worker.shared.drain.started() => return,
            () = again => {}
            () = renewed => {}
            changed = epoch.changed() => if changed.is_err() {
                return worker.shared.drain.started().await;
            },
        }
    }
}

/// The ports of the configuration, in the view of one worker.
#[derive(Default)]
struct Ports {
    open: BTreeMap<ListenerId, CancellationToken>,
    // Taken over from a predecessor.
    inherited: Vec<StdTcpListener>,
    troubles: Found,
    // Whether there is a configuration to follow.
    configured: bool,
    // Whether one of them may be over without a change of the configuration.
    may_serve_later: bool,
}

// === impl Ports ===

impl Ports {
    /// Opens and closes listeners as the snapshot wants it, and looks whether its servers of TLS
    /// can serve.
    fn follow(&mut self, worker: &Rc<Worker>) {
        let snapshot = worker.shared.snapshot();
        self.configured = snapshot.gateway().is_some();
        let wanted: BTreeSet<ListenerId> = snapshot
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
        self.troubles.begin();
        self.may_serve_later = false;
        for port in wanted {
            if self.open.contains_key(&port) {
                continue;
            }
            match bind(worker, port, &mut self.inherited) {
                Ok(token) => {
                    self.open.insert(port, token);
                }
                Err(error) => {
                    self.may_serve_later |= matches!(error, Closed::Bind { .. });
                    let known = &worker.shared.telemetry.troubles;
                    self.troubles.note(known, trouble(port), &error.to_string());
                }
            }
        }
        self.inherited.clear();
        self.follow_tls(worker, &snapshot);
        self.troubles.end(&worker.shared.telemetry.troubles);
    }

    fn follow_tls(&mut self, worker: &Rc<Worker>, snapshot: &Snapshot) {
        let shared = &worker.shared;
        shared.gateway_tls.retain(snapshot);
        let listeners = snapshot
            .gateway()
            .into_iter()
            .flat_map(|gateway| gateway.listeners.values());
        let servers =
            listeners.flat_map(|listener| listener.tls.iter().map(|server| (listener.id, server)));
        for (listener, server) in servers {
            let serving = shared
                .gateway_tls
                .serving(server, snapshot, shared.identity.current());
            let Some(error) = serving.trouble else {
                continue;
            };
            // Files come and change without any news.
            self.may_serve_later |= matches!(
                server.termination.as_ref().map(|ends| &ends.certificate),
                Some(ServerCertificate::Files(_))
            );
            let names: Vec<&str> = server.sni_hosts.iter().map(Hostname::as_str).collect();
            let names = names.join(", ");
            let consequence = if serving.config.is_some() {
                "the last good certificate stays in use"
            } else {
                "TLS handshakes are refused"
            };
            let name = format!("gateway port {:05} tls {names}", listener.port);
            let text = format!("the gateway's port {listener} for {names}: {error}; {consequence}");
            self.troubles.note(&shared.telemetry.troubles, name, &text);
        }
    }
}

/// Why a port of the configuration is not served.
#[derive(Debug, thiserror::Error)]
enum Closed {
    #[error("the gateway cannot serve port {port}: {port} moved by {offset} is no port")]
    Range { port: ListenerId, offset: i32 },
    #[error("the gateway cannot serve port {port}: cannot listen on {address}: {source}")]
    Bind {
        port: ListenerId,
        address: SocketAddr,
        source: std::io::Error,
    },
}

/// Name of the trouble with a port.
fn trouble(port: ListenerId) -> String {
    match port.bind {
        Some(address) => format!("gateway port {:05} on {address}", port.port),
        None => format!("gateway port {:05}", port.port),
    }
}

/// Opens the listener of a port, or takes those that were handed over, and serves it until the
/// token ends it.
fn bind(
    worker: &Rc<Worker>,
    port: ListenerId,
    inherited: &mut Vec<StdTcpListener>,
) -> Result<CancellationToken, Closed> {
    let settings = &worker.shared.settings;
    let offset = settings.gateway_port_offset;
    let bound = moved(port.port, offset).ok_or(Closed::Range { port, offset })?;
    let address = SocketAddr::new(port.bind.unwrap_or(settings.gateway_listen), bound);
    let is_of_port = |listener: &mut StdTcpListener| listener.local_addr().ok() == Some(address);
    let mut listeners: Vec<_> = inherited.extract_if(.., is_of_port).collect();
    if listeners.is_empty() {
        listeners.push(net::bind(address).map_err(|source| Closed::Bind {
            port,
            address,
            source,
        })?);
    }
    let token = CancellationToken::new();
    for listener in listeners {
        let sockets = &worker.shared.sockets;
        let offered = sockets.offer("gateway", Some(address), &listener);
        worker.accept_until(
            Listener::Gateway,
            listener,
            move |worker, stream| serve(worker, stream, port),
            ended(worker, token.clone(), offered),
        );
    }
    tracing::info!(%address, %port, "gateway listens");
    Ok(token)
}

/// The port that is bound for a port of the configuration.
fn moved(port: u16, offset: i32) -> Option<u16> {
    let bound = u16::try_from(i32::from(port).checked_add(offset)?).ok()?;
    (bound != 0).then_some(bound)
}

fn ended(
    worker: &Rc<Worker>,
    token: CancellationToken,
    offered: Offered,
) -> impl Future<Output = ()> + 'static {
    let drain = worker.shared.drain.clone();
    async move {
        let _offered = offered;
        tokio::select! {
            () = token.cancelled() => {}
            () = drain.listeners_end() => {}
        }
    }
}

async fn serve(worker: Rc<Worker>, mut stream: Stream, listener: ListenerId) {
    let (Some(remote), Some(local)) = (stream.peer_addr(), stream.local_addr()) else {
        return;
    };
    let snapshot = worker.shared.snapshot();
    let served = snapshot
        .gateway()
        .and_then(|gateway| gateway.listeners.get(&listener));
    let told = snapshot.gateway().map(|gateway| gateway.topology);
    let topology = worker
        .shared
        .settings
        .topology
        .over(told.unwrap_or_default());
    let mut arrived = Arrived {
        worker,
        at: clock::monotonic(),
        listener,
        remote,
        client: remote,
        local,
        topology,
        over: None,
    };
    let Some(served) = served else {
        return tcp::carriage(&arrived, &stream).refuse(stream, Reason::NotConfigured, "");
    };
    if topology.proxy_protocol {
        match balancer::client(&mut stream).await {
            Ok(client) => arrived.client = client.unwrap_or(remote),
            Err(error) => {
                let carriage = tcp::carriage(&arrived, &stream);
                let reason = Reason::DownstreamProtocolError;
                return carriage.refuse(stream, reason, &error.to_string());
            }
        }
    }
    let shared = Arc::clone(&arrived.worker.shared);
    if let Some(gateway) = snapshot.gateway()
        && let Err(limit) =
            shared
                .admission
                .connection(&shared, &gateway.admission, arrived.asker())
    {
        let failure = format!("{} {}", limit.policy, limit.name);
        let carriage = tcp::carriage(&arrived, &stream);
        return carriage.refuse(stream, Reason::RateLimited, &failure);
    }
    if served.protocol == Protocol::Tcp {
        // The server may be the one that speaks first.
        return Box::pin(tcp::serve(Rc::new(arrived), stream)).await;
    }
    let over_tls = served.protocol == Protocol::Tls || !served.tls.is_empty();
    let first = match first_bytes(&mut stream, HEAD_TIMEOUT).await {
        Ok(First::Client(detected)) => detected,
        Ok(First::Closed | First::Silent) | Err(_) => return,
    };
    let version = match first {
        Detected::Tls(hello) if over_tls => {
            return Box::pin(tls::serve(arrived, stream, hello.sni)).await;
        }
        _ if served.protocol == Protocol::Tls => {
            let reason = Reason::DownstreamTlsFailure;
            return tcp::carriage(&arrived, &stream).refuse(stream, reason, "");
        }
        Detected::Http2 => Version::Http2,
        // What is no HTTP gets HTTP's answer.
        _ => Version::Http1,
    };
    Box::pin(http::serve(Rc::new(arrived), stream, version)).await;
}
