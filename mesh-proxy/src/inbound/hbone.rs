//! Calls to the workload that come by HTTP/2 CONNECT over the mesh's mutual TLS (HBONE), many over
//! one connection: accept → TLS → tunnel → as any other connection from there.
//!
//! HBONE is mutual TLS: a port that takes plain text only takes what comes inside of it, as in
//! Istio.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use http::{HeaderValue, Response};
use mesh_proxy_core::Reason;
use mesh_proxy_core::http2::Config;
use mesh_proxy_core::ir::Protocol;
use mesh_proxy_core::labels::Reporter;
use mesh_proxy_core::plan::{self, hbone};

use super::{App, HANDSHAKE, Inbound};
use crate::authz::Passed;
use crate::clock;
use crate::http::headers::X_MESH_REASON;
use crate::http2::{self, Answer, Ends, Offer, Patience};
use crate::net::Stream;
use crate::settings::{InboundBinding, InboundMode};
use crate::telemetry::{TlsResult, TlsSide};
use crate::tls::{self, PeerInfo};
use crate::upstream::{CONNECTION_WINDOW, Carriage, MAX_TUNNEL_HEAD, TUNNEL_WINDOW};
use crate::worker::Worker;

/// Tunnels of one connection.
const MAX_TUNNELS: u32 = 1024;

// Notices clients that are gone without a word.
const PING: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// One connection with its tunnels.
struct Trunk {
    worker: Rc<Worker>,
    peer: Rc<PeerInfo>,
    remote: SocketAddr,
    // Addresses that tunnels may lead to.
    own: Vec<IpAddr>,
    bindings: Rc<[InboundBinding]>,
}

/// Serves one accepted connection until it ends. Without capture, `bindings` say where the
/// application answers for its ports.
pub async fn serve(worker: Rc<Worker>, stream: Stream, bindings: Rc<[InboundBinding]>) {
    let (Some(remote), Some(local)) = (stream.peer_addr(), stream.local_addr()) else {
        return;
    };
    let Some(identity) = worker.shared.identity.current() else {
        worker.shared.telemetry.stages.reason(Reason::NoCertificate);
        return;
    };
    let accepted = tls::accept(stream, identity.hbone(), HANDSHAKE).await;
    let outcome = if accepted.is_ok() {
        TlsResult::Ok
    } else {
        TlsResult::Failed
    };
    let stages = &worker.shared.telemetry.stages;
    stages.handshake(TlsSide::Server, outcome);
    let (tls, peer) = match accepted {
        Ok(accepted) => accepted,
        Err(error) => {
            tracing::debug!(%error, %remote, "TLS handshake of an HBONE client failed");
            return;
        }
    };
    let trunk = Rc::new(Trunk {
        own: own_addresses(&worker, local.ip()),
        // What its ALPN and server name say is of the tunnels, not of what they carry.
        peer: Rc::new(PeerInfo {
            alpn: None,
            server_name: None,
            ..peer
        }),
        remote,
        bindings,
        worker: Rc::clone(&worker),
    });
    let accept = |offer| {
        let task = Rc::clone(&trunk).arrive(offer);
        worker.tasks.spawn_local(task);
    };
    let config = Config {
        stream_window: TUNNEL_WINDOW,
        connection_window: CONNECTION_WINDOW,
        max_streams: MAX_TUNNELS,
        max_head: MAX_TUNNEL_HEAD,
    };
    let patience = Patience {
        interval: PING,
        timeout: PING_TIMEOUT,
    };
    let drain = &worker.shared.drain;
    if let Err(error) = http2::serve_tunnels(tls.into(), config, patience, drain, accept).await {
        tracing::debug!(%error, %remote, "connection of an HBONE client ended");
    }
}

// Where calls are captured, a loopback address leads past the capture, to what the pod shows to
// nobody. Elsewhere only ports that are listed lead anywhere.
fn own_addresses(worker: &Worker, local: IpAddr) -> Vec<IpAddr> {
    let settings = &worker.shared.settings;
    let mut own = settings.addresses.clone();
    let captured = matches!(settings.inbound, InboundMode::Transparent(_));
    if !(captured && local.is_loopback() || own.contains(&local)) {
        own.push(local);
    }
    own
}

// === impl Trunk ===

impl Trunk {
    async fn arrive(self: Rc<Self>, offer: Offer) {
        let Offer {
            head,
            tunnel,
            answer,
        } = offer;
        let destination = hbone::destination(&head, &self.own);
        let reached = destination.and_then(|to| Ok((to, self.app(to)?)));
        let (destination, app) = match reached {
            Ok(reached) => reached,
            Err(reason) => {
                tracing::debug!(%reason, remote = %self.remote, uri = %head.uri, "tunnel refused");
                refuse(answer, reason);
                let stream = tunnel.between(Ends {
                    local: None,
                    remote: Some(self.remote),
                });
                let carriage = Carriage::begin(&self.worker, Reporter::Destination, &stream);
                return carriage.refused(reason, "");
            }
        };
        let stream = tunnel.between(Ends {
            local: Some(destination),
            remote: Some(self.remote),
        });
        let told = head.headers.get(hbone::BAGGAGE);
        let identity = self.peer.identity.as_ref();
        let snapshot = self.worker.shared.snapshot();
        let inbound = Rc::new(Inbound {
            app: app.declared(&self.worker, &snapshot, destination.port()),
            worker: Rc::clone(&self.worker),
            arrived: clock::monotonic(),
            destination,
            remote: self.remote,
            local: destination,
            caller: identity.map(|identity| hbone::told(told, identity)),
            over_tls: Cell::new(false),
            spare: Cell::new(None),
            passed: Passed::default(),
        });
        inbound.through(stream, answer, Rc::clone(&self.peer)).await;
    }

    fn app(&self, destination: SocketAddr) -> Result<App, Reason> {
        let settings = &self.worker.shared.settings;
        if let InboundMode::Transparent(own) = settings.inbound {
            let listeners = [Some(own), settings.outbound, settings.hbone];
            let mut listeners = listeners.into_iter().flatten();
            if listeners.any(|listener| listener.port() == destination.port()) {
                return Err(Reason::LoopDetected);
            }
            return Ok(App::captured(destination));
        }
        let mut bindings = self.bindings.iter();
        let binding = bindings.find(|binding| binding.port == destination.port());
        let binding = binding.ok_or(Reason::MisdirectedRequest)?;
        Ok(App::at(binding.app))
    }
}

// === impl Inbound ===

impl Inbound {
    /// Serves what comes through a tunnel. Where opaque bytes are all there can be, the client
    /// hears at once whether they arrive.
    async fn through(self: Rc<Self>, stream: Stream, answer: Answer, peer: Rc<PeerInfo>) {
        let snapshot = self.worker.shared.snapshot();
        let Some(port) = plan::inbound_connection(&snapshot, self.destination.port()) else {
            refuse(answer, Reason::NotConfigured);
            return self.refuse(stream, Reason::NotConfigured, "");
        };
        if let Err(refused) = self.connection_rate(&snapshot) {
            refuse(answer, Reason::RateLimited);
            return self.refuse(stream, Reason::RateLimited, &refused);
        }
        if !matches!(port.protocol, Protocol::Tcp | Protocol::Tls) {
            answer.accept();
            return self.inner(stream, &port, None, Some(peer)).await;
        }
        match Box::pin(self.meet(Some(&peer))).await {
            Ok(server) => {
                answer.accept();
                self.carry(stream, server, Some(peer)).await;
            }
            Err(unmet) => {
                refuse(answer, unmet.reason());
                self.turn_away(stream, Some(&peer), unmet);
            }
        }
    }
}

fn refuse(answer: Answer, reason: Reason) {
    let (mut parts, ()) = Response::new(()).into_parts();
    parts.status = reason.status();
    parts
        .headers
        .insert(X_MESH_REASON, HeaderValue::from_static(reason.as_str()));
    answer.refuse(&parts);
}
