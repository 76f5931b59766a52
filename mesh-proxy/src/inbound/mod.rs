//! Calls to the workload: accept → detect → TLS → authorization → the application.

mod http;
mod tcp;
mod xfcc;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use mesh_proxy_core::Reason;
use mesh_proxy_core::authz::Caller;
use mesh_proxy_core::detect::Detected;
use mesh_proxy_core::ir::{MtlsMode, Protocol};
use mesh_proxy_core::labels::{Reporter, SecurityPolicy};
use mesh_proxy_core::plan::{self, Accept, InboundPortPlan};

use crate::detect::{First, Race, first_bytes, race};
use crate::http::Version;
use crate::net::{self, Dialer, Stream};
use crate::settings::InboundBinding;
use crate::telemetry::{TlsResult, TlsSide};
use crate::tls::{self, Alpn, PeerInfo};
use crate::upstream::{Carriage, DialError};
use crate::worker::Worker;

/// Time for a client's TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How a connection came to the proxy.
#[derive(Clone, Copy, Debug)]
pub enum Arrival {
    /// On the listener of one port.
    Explicit(InboundBinding),
    /// Redirected; the kernel knows where it was going.
    Transparent,
}

/// One connection to the workload.
pub(crate) struct Inbound {
    worker: Rc<Worker>,
    /// Where the caller was going: the workload's port.
    destination: SocketAddr,
    app: App,
    remote: SocketAddr,
    local: SocketAddr,
}

/// Where the application is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct App {
    /// Its address.
    pub(crate) address: SocketAddr,
    /// How it is called.
    pub(crate) source: Option<IpAddr>,
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
            (
                destination,
                App {
                    address: binding.app,
                    source: None,
                },
            )
        }
        Arrival::Transparent => match stream.tcp().map(net::original_destination) {
            Some(Ok(Some(original))) => (
                original,
                App {
                    address: original,
                    source: Some(loopback_alias(original.ip())),
                },
            ),
            // Made to the listener itself: relaying it would come back here.
            _ => return net::reset(stream),
        },
    };
    Rc::new(Inbound {
        worker,
        destination,
        app,
        remote,
        local,
    })
    .run(stream)
    .await;
}

/// The capture's rules know connections from here as the sidecar's own (Istio: 127.0.0.6, ::6).
pub(crate) fn loopback_alias(original: IpAddr) -> IpAddr {
    match original {
        IpAddr::V4(_) => Ipv4Addr::new(127, 0, 0, 6).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6).into(),
    }
}

// === impl Inbound ===

impl Inbound {
    async fn run(self: Rc<Self>, mut stream: Stream) {
        let snapshot = self.worker.shared.snapshot();
        let Some(port) = plan::inbound_connection(&snapshot, self.destination.port()) else {
            return self.refuse(stream, Reason::NotConfigured, "");
        };
        let timeout = self.worker.shared.settings.detect_timeout;
        let may_race = port.mtls != MtlsMode::Strict && !port.protocol.is_http();
        let first = if may_race && self.tcp_verdict(None).is_ok() {
            match self.race(&mut stream, timeout).await {
                Ok(Race::First(first)) => first,
                Ok(Race::Server(server)) => return self.carry(stream, server, None).await,
                Ok(Race::Failed(error)) => {
                    return self.refuse(stream, error.reason(), &error.to_string());
                }
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
        match plan::inbound_transport(port.mtls, &detected) {
            Accept::Terminate => self.terminate(stream, &port).await,
            Accept::Plaintext => self.inner(stream, &port, Some(detected), None).await,
            Accept::Passthrough => self.tcp(stream, None).await,
            Accept::Refuse(reason) => self.refuse(stream, reason, ""),
        }
    }

    async fn terminate(self: Rc<Self>, stream: Stream, port: &InboundPortPlan) {
        let Some(identity) = self.worker.shared.identity.current() else {
            return self.refuse(stream, Reason::NoCertificate, "");
        };
        let result = tls::accept(stream, identity.server(), HANDSHAKE).await;
        let outcome = if result.is_ok() {
            TlsResult::Ok
        } else {
            TlsResult::Failed
        };
        self.worker
            .shared
            .telemetry
            .stages
            .handshake(TlsSide::Server, outcome);
        match result {
            Ok((tls, peer)) => {
                self.inner(tls.into(), port, None, Some(Rc::new(peer)))
                    .await;
            }
            Err(error) => {
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
            (protocol, _, None) => match self
                .detect_inner(&mut stream, protocol, peer.as_deref())
                .await
            {
                Inner::Client(detected) => http_version(protocol, &detected),
                Inner::Server(server) => return self.carry(stream, server, peer).await,
                Inner::Ended => return,
            },
        };
        match version {
            Some(version) => http::serve(self, stream, version, peer).await,
            None => self.tcp(stream, peer).await,
        }
    }

    async fn detect_inner(
        &self,
        stream: &mut Stream,
        protocol: Protocol,
        peer: Option<&PeerInfo>,
    ) -> Inner {
        let timeout = self.worker.shared.settings.detect_timeout;
        let may_race = protocol == Protocol::Auto && self.tcp_verdict(peer).is_ok();
        let first = if may_race {
            match self.race(stream, timeout).await {
                Ok(Race::First(first)) => first,
                Ok(Race::Server(server)) => return Inner::Server(server),
                Ok(Race::Failed(_)) | Err(_) => return Inner::Ended,
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
    ) -> std::io::Result<Race<DialError>> {
        let habits = &self.worker.inbound_habits;
        let port = self.destination.port();
        let raced = race(stream, habits.patience(&port), timeout, self.dial()).await?;
        if let Some(speaker) = raced.speaker(stream) {
            habits.learn(&port, speaker);
        }
        Ok(raced)
    }

    fn caller<'a>(&self, peer: Option<&'a PeerInfo>) -> Caller<'a> {
        Caller {
            identity: peer.and_then(|peer| peer.identity.as_ref()),
            source: self.remote.ip(),
            destination: self.destination,
            sni: peer.and_then(|peer| peer.server_name.as_deref()),
        }
    }

    fn refuse(&self, stream: Stream, reason: Reason, failure: &str) {
        self.carriage(&stream, None).refuse(stream, reason, failure);
    }

    fn carriage(&self, stream: &Stream, peer: Option<&PeerInfo>) -> Carriage {
        let mut carriage = Carriage::begin(&self.worker, Reporter::Destination, stream);
        let labels = http::Labels::of(&self.worker, self.destination.port());
        carriage.destination = labels.destination;
        carriage.service = labels.service;
        carriage.source = http::source_labels(peer, None);
        carriage.security = security(peer);
        carriage.server_name = peer
            .and_then(|peer| peer.server_name.clone())
            .unwrap_or_default();
        carriage.cluster = cluster_name(self.destination.port());
        carriage.host = self.app.address.to_string();
        carriage
    }

    fn dialer(&self) -> Dialer {
        Dialer {
            mark: self.worker.shared.settings.own_mark,
            source: self.app.source,
        }
    }
}

enum Inner {
    Client(Detected),
    Server(Stream),
    Ended,
}

pub(crate) fn security(peer: Option<&PeerInfo>) -> SecurityPolicy {
    if peer.is_some() {
        SecurityPolicy::MutualTls
    } else {
        SecurityPolicy::None
    }
}

// Istio's name of the cluster in front of the application.
pub(crate) fn cluster_name(port: u16) -> String {
    format!("inbound|{port}||")
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
