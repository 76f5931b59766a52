//! Calls to the workload: accept → detect → TLS → authorization → the application.

mod app;
mod hbone;
mod http;
mod tcp;
mod xfcc;

use std::cell::Cell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::http::HeaderValue;
use mesh_proxy_core::authz::Caller;
use mesh_proxy_core::detect::Detected;
use mesh_proxy_core::ir::{MtlsMode, Protocol, TlsServer};
use mesh_proxy_core::labels::{PeerLabels, Reporter, SecurityPolicy};
use mesh_proxy_core::plan::{self, Accept, InboundPortPlan};
use mesh_proxy_core::{Reason, Snapshot};

use crate::admission::Asker;
use crate::authz::Passed;
use crate::clock;
use crate::detect::{First, Race, first_bytes, race};
use crate::http::Version;
use crate::net::{self, Stream};
use crate::settings::InboundBinding;
use crate::telemetry::{TlsResult, TlsSide};
use crate::tls::{self, Alpn, PeerInfo};
use crate::upstream::Carriage;
use crate::worker::Worker;
use tcp::Unmet;

pub(crate) use app::{App, loopback_alias};
pub use hbone::serve as serve_hbone;

/// Time for a client's TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How a connection came to the proxy.
#[derive(Clone, Copy, Debug)]
pub enum Arrival {
    /// On the listener of one port.
    Explicit(InboundBinding),
    /// Redirected; the kernel knows where it was going.
    Transparent,
    /// On a listener that a Sidecar asks for.
    Bound(SocketAddr),
}

/// One connection to the workload.
pub(crate) struct Inbound {
    worker: Rc<Worker>,
    /// When it was accepted.
    arrived: Instant,
    /// Where the caller was going: the workload's port.
    destination: SocketAddr,
    app: App,
    remote: SocketAddr,
    local: SocketAddr,
    /// Who calls, as the client's proxy has said already.
    caller: Option<Arc<PeerLabels>>,
    /// Whether TLS for callers outside of the mesh was taken off.
    over_tls: Cell<bool>,
    /// A connection to the application that was opened before it was known what is spoken, for
    /// the first who dials.
    spare: Cell<Option<Box<Stream>>>,
    /// Authorizers that have let it pass as opaque bytes.
    passed: Passed,
}

/// Serves one accepted connection until it ends.
pub async fn serve(worker: Rc<Worker>, stream: Stream, arrival: Arrival) {
    let (Some(remote), Some(local)) = (stream.peer_addr(), stream.local_addr()) else {
        return;
    };
    let (destination, app) = match arrival {
        Arrival::Explicit(binding) => {
            // Not the socket's own port: that may be another one in tests and containers.
            let destination = SocketAddr::new(local.ip(), binding.port);
            (destination, App::at(binding.app))
        }
        Arrival::Transparent => match stream.tcp().map(net::original_destination) {
            Some(Ok(Some(original))) => (original, App::captured(original)),
            // Made to the listener itself: relaying it would come back here.
            _ => return net::reset(stream),
        },
        Arrival::Bound(listener) => {
            let destination = SocketAddr::new(local.ip(), listener.port());
            (destination, App::at(app::beside(destination)))
        }
    };
    let snapshot = worker.shared.snapshot();
    let app = app.declared(&worker, &snapshot, destination.port());
    let loops = matches!(arrival, Arrival::Bound(listener) if app.is_behind(listener));
    let inbound = Rc::new(Inbound {
        worker,
        arrived: clock::monotonic(),
        destination,
        app,
        remote,
        local,
        caller: None,
        over_tls: Cell::new(false),
        spare: Cell::new(None),
        passed: Passed::default(),
    });
    if loops {
        return inbound.refuse(stream, Reason::LoopDetected, "");
    }
    inbound.run(stream).await;
}

// === impl Inbound ===

impl Inbound {
    async fn run(self: Rc<Self>, mut stream: Stream) {
        let snapshot = self.worker.shared.snapshot();
        let Some(port) = plan::inbound_connection(&snapshot, self.destination.port()) else {
            return self.refuse(stream, Reason::NotConfigured, "");
        };
        if let Err(refused) = self.connection_rate(&snapshot) {
            return self.refuse(stream, Reason::RateLimited, &refused);
        }
        let timeout = self.worker.shared.settings.detect_timeout;
        let may_race =
            port.mtls != MtlsMode::Strict && !port.protocol.is_http() && port.tls.is_none();
        let first = if may_race && self.tcp_verdict(None).may_pass() {
            let keeps = |detected: &Detected| keeps(&port, detected);
            match Box::pin(self.race(&mut stream, timeout, keeps, None)).await {
                Ok(Race::First(first)) => first,
                Ok(Race::Client(detected, server)) => {
                    self.spare.set(Some(Box::new(server)));
                    First::Client(detected)
                }
                Ok(Race::Server(server)) => {
                    return Box::pin(self.carry(stream, server, None)).await;
                }
                Ok(Race::Failed(unmet)) => return self.turn_away(stream, None, unmet),
                Err(_) => return,
            }
        } else {
            match first_bytes(&mut stream, timeout).await {
                Ok(first) => first,
                Err(_) => return,
            }
        };
        let detected = match first {
            First::Client(detected) => detected,
            First::Closed => return,
            First::Silent => return self.refuse(stream, Reason::DetectionTimeout, ""),
        };
        if let Some(server) = port.tls.as_ref().filter(|_| port.mtls == MtlsMode::Disable) {
            return match detected {
                Detected::Tls(_) => Box::pin(self.take_off(stream, &port, server)).await,
                _ => self.refuse(stream, Reason::DownstreamTlsFailure, ""),
            };
        }
        match plan::inbound_transport(port.mtls, &detected) {
            Accept::Terminate => Box::pin(self.terminate(stream, &port)).await,
            Accept::Plaintext => Box::pin(self.inner(stream, &port, Some(detected), None)).await,
            Accept::Passthrough => Box::pin(self.tcp(stream, None)).await,
            Accept::Refuse(reason) => self.refuse(stream, reason, ""),
        }
    }

    // Ends the TLS of a caller outside of the mesh (Istio: Sidecar.ingress.tls). Its certificate,
    // if one was asked for, is no identity of the mesh.
    async fn take_off(self: Rc<Self>, stream: Stream, port: &InboundPortPlan, server: &TlsServer) {
        let shared = &self.worker.shared;
        let serving =
            shared
                .gateway_tls
                .serving(server, &shared.snapshot(), shared.identity.current());
        let Some(config) = serving.config else {
            let failure = serving.trouble.map(|trouble| trouble.to_string());
            let failure = failure.unwrap_or_default();
            return self.refuse(stream, Reason::NoCertificate, &failure);
        };
        let result = tls::accept(stream, config, HANDSHAKE).await;
        let outcome = if result.is_ok() {
            TlsResult::Ok
        } else {
            TlsResult::Failed
        };
        let stages = &shared.telemetry.stages;
        stages.handshake(TlsSide::Server, outcome);
        match result {
            Ok((tls, _)) => {
                self.over_tls.set(true);
                self.inner(tls.into(), port, None, None).await;
            }
            Err(error) => {
                stages.reason(Reason::DownstreamTlsFailure);
                tracing::debug!(%error, remote = %self.remote, "TLS handshake of a caller failed");
            }
        }
    }

    async fn terminate(self: Rc<Self>, stream: Stream, port: &InboundPortPlan) {
        let Some(identity) = self.worker.shared.identity.current() else {
            return self.refuse(stream, Reason::NoCertificate, "");
        };
        let result = Box::pin(tls::accept(stream, identity.server(), HANDSHAKE)).await;
        let outcome = if result.is_ok() {
            TlsResult::Ok
        } else {
            TlsResult::Failed
        };
        let stages = &self.worker.shared.telemetry.stages;
        stages.handshake(TlsSide::Server, outcome);
        match result {
            Ok((tls, peer)) => {
                let peer = Some(Rc::new(peer));
                Box::pin(self.inner(tls.into(), port, None, peer)).await;
            }
            Err(error) => {
                stages.reason(Reason::DownstreamTlsFailure);
                tracing::debug!(%error, remote = %self.remote, "TLS handshake of a caller failed");
            }
        }
    }

    // What is inside of TLS, or came without it.
    async fn inner(
        self: Rc<Self>,
        mut stream: Stream,
        port: &InboundPortPlan,
        detected: Option<Detected>,
        peer: Option<Rc<PeerInfo>>,
    ) {
        let told = peer.as_ref().and_then(|peer| peer.alpn);
        let version = match (port.protocol, told, detected) {
            (Protocol::Tcp | Protocol::Tls, _, _) => None,
            (_, Some(Alpn::Http1), _) => Some(Version::Http1),
            (_, Some(Alpn::Http2), _) => Some(Version::Http2),
            (_, _, Some(detected)) => http_version(port.protocol, &detected),
            (protocol, _, None) => {
                match Box::pin(self.detect_inner(&mut stream, protocol, peer.as_deref())).await {
                    Inner::Client(detected) => http_version(protocol, &detected),
                    Inner::Server(server) => {
                        return Box::pin(self.carry(stream, server, peer)).await;
                    }
                    Inner::Unmet(unmet) => {
                        return self.turn_away(stream, peer.as_deref(), unmet);
                    }
                    Inner::Ended => return,
                }
            }
        };
        match version {
            Some(version) => Box::pin(http::serve(self, stream, version, peer)).await,
            None => Box::pin(self.tcp(stream, peer)).await,
        }
    }

    async fn detect_inner(
        &self,
        stream: &mut Stream,
        protocol: Protocol,
        peer: Option<&PeerInfo>,
    ) -> Inner {
        let timeout = self.worker.shared.settings.detect_timeout;
        let may_race = protocol == Protocol::Auto && self.tcp_verdict(peer).may_pass();
        let first = if may_race {
            let keeps = |detected: &Detected| http_version(protocol, detected).is_none();
            match self.race(stream, timeout, keeps, peer).await {
                Ok(Race::First(first)) => first,
                Ok(Race::Client(detected, server)) => {
                    self.spare.set(Some(Box::new(server)));
                    First::Client(detected)
                }
                Ok(Race::Server(server)) => return Inner::Server(server),
                Ok(Race::Failed(unmet)) => return Inner::Unmet(unmet),
                Err(_) => return Inner::Ended,
            }
        } else {
            match first_bytes(stream, timeout).await {
                Ok(first) => first,
                Err(_) => return Inner::Ended,
            }
        };
        match first {
            First::Client(detected) => Inner::Client(detected),
            First::Closed | First::Silent => Inner::Ended,
        }
    }

    async fn race(
        &self,
        stream: &mut Stream,
        timeout: Duration,
        keeps: impl Fn(&Detected) -> bool,
        peer: Option<&PeerInfo>,
    ) -> std::io::Result<Race<Unmet>> {
        let habits = &self.worker.inbound_habits;
        let port = self.destination.port();
        let times = (habits.patience(&port), timeout);
        let raced = race(stream, times, keeps, self.meet(peer)).await?;
        if let Some(speaker) = raced.speaker(stream) {
            habits.learn(&port, speaker);
        }
        Ok(raced)
    }

    fn asker<'a>(&self, peer: Option<&'a PeerInfo>) -> Asker<'a> {
        Asker {
            identity: peer.and_then(|peer| peer.identity.as_ref()),
            source: self.remote.ip(),
            port: self.destination.port(),
        }
    }

    // An error names the limit that is exceeded.
    fn connection_rate(&self, snapshot: &Snapshot) -> Result<(), String> {
        let shared = &self.worker.shared;
        let Some(inbound) = snapshot.inbound() else {
            return Ok(());
        };
        let asker = self.asker(None);
        let checked = shared
            .admission
            .connection(shared, &inbound.admission, asker);
        checked.map_err(|limit| format!("{} {}", limit.policy, limit.name))
    }

    // Its transport says nothing of the workload's own mutual TLS.
    fn is_tunnel(&self) -> bool {
        self.caller.is_some()
    }

    fn caller<'a>(&self, peer: Option<&'a PeerInfo>) -> Caller<'a> {
        Caller {
            identity: peer.and_then(|peer| peer.identity.as_ref()),
            source: self.remote.ip(),
            client: self.remote.ip(),
            destination: self.destination,
            sni: peer.and_then(|peer| peer.server_name.as_deref()),
        }
    }

    /// Who calls: told by the peer's certificate and, over mutual TLS only, by its sidecar.
    fn source_labels(
        &self,
        peer: Option<&PeerInfo>,
        told: Option<&HeaderValue>,
    ) -> Arc<PeerLabels> {
        if let Some(caller) = &self.caller {
            return Arc::clone(caller);
        }
        match peer.and_then(|peer| peer.identity.as_ref()) {
            Some(identity) => crate::http::peer::decode(told, identity),
            None => PeerLabels::unknown(),
        }
    }

    fn refuse(&self, stream: Stream, reason: Reason, failure: &str) {
        self.carriage(&stream, None).refuse(stream, reason, failure);
    }

    fn carriage(&self, stream: &Stream, peer: Option<&PeerInfo>) -> Box<Carriage> {
        let mut carriage = Carriage::begin(&self.worker, Reporter::Destination, stream);
        carriage.since(self.arrived);
        let labels = http::Labels::of(&self.worker, self.destination.port());
        carriage.destination = labels.destination;
        carriage.service = labels.service;
        carriage.source = self.source_labels(peer, None);
        carriage.security = security(peer);
        carriage.server_name = peer
            .and_then(|peer| peer.server_name.clone())
            .unwrap_or_default();
        carriage.cluster = cluster_name(self.destination.port());
        carriage.host = self.app.name();
        carriage
    }
}

enum Inner {
    Client(Detected),
    Server(Stream),
    Unmet(Unmet),
    Ended,
}

pub(crate) fn security(peer: Option<&PeerInfo>) -> SecurityPolicy {
    if peer.is_some() {
        SecurityPolicy::MutualTls
    } else {
        SecurityPolicy::None
    }
}

/// Whether the trust domain of a peer that has proved its identity is taken still.
fn trusts(snapshot: &Snapshot, peer: Option<&PeerInfo>) -> bool {
    let identity = peer.and_then(|peer| peer.identity.as_ref());
    identity.is_none_or(|identity| tls::takes_still(snapshot, identity))
}

// Istio's name of the cluster in front of the application.
pub(crate) fn cluster_name(port: u16) -> String {
    format!("inbound|{port}||")
}

// Whether what a client begins with, or what is inside of it, is surely carried as bytes.
fn keeps(port: &InboundPortPlan, detected: &Detected) -> bool {
    let opaque = matches!(port.protocol, Protocol::Tcp | Protocol::Tls);
    match plan::inbound_transport(port.mtls, detected) {
        Accept::Terminate => opaque,
        Accept::Plaintext => opaque || http_version(port.protocol, detected).is_none(),
        Accept::Passthrough => true,
        Accept::Refuse(_) => false,
    }
}

// A port that is declared as HTTP gets HTTP's answer to what is none.
fn http_version(protocol: Protocol, detected: &Detected) -> Option<Version> {
    match detected {
        Detected::Http1 => Some(Version::Http1),
        Detected::Http2 => Some(Version::Http2),
        _ if protocol.is_http() => Some(Version::Http1),
        _ => None,
    }
}
