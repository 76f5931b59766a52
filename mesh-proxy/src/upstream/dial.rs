//! Opening the connection to one endpoint: its address, TCP, TLS.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_proxy_core::Reason;
use mesh_proxy_core::ir::EndpointAddress;
use mesh_proxy_core::labels::PeerLabels;
use mesh_proxy_core::resilience::Resource;
use tokio::io::AsyncWriteExt as _;
use tokio_util::task::TaskTracker;

use super::Member;
use super::hbone::Tunnels;
use super::resolve::Resolver;
use crate::clock;
use crate::net::{self, ConnectError, Dialer, Stream};
use crate::shared::Shared;
use crate::telemetry::{TlsResult, TlsSide};
use crate::tls::{
    self, Alpn, Expect, Origination, OriginationError, PeerInfo, TlsError, TlsStream,
};

/// How a connection is secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secure {
    /// Not at all.
    Plain,
    /// By the mesh's mutual TLS.
    Mesh {
        /// Server name to present.
        sni: Arc<str>,
        /// Who the server must be.
        expect: Expect,
    },
    /// By TLS with files (SIMPLE, MUTUAL).
    Files {
        /// Server name to present and, unless other names are given, to expect.
        sni: Arc<str>,
        /// What to present and to trust. The protocol is set for each connection.
        origination: Box<Origination>,
    },
    /// Through the endpoint's proxy, by HBONE.
    Hbone {
        /// Port of the proxy, at the endpoint's address.
        port: u16,
        /// Who the proxy must be.
        expect: Expect,
        /// How what goes through is secured.
        inside: Box<Self>,
    },
}

/// Opens connections for one worker.
pub struct Connector {
    pub(super) shared: Arc<Shared>,
    resolver: Resolver,
    dialer: Dialer,
    turn: Cell<usize>,
    // This proxy's own listeners for outgoing calls.
    own: RefCell<Vec<SocketAddr>>,
    pub(super) tunnels: Tunnels,
    // What a tunnel's proxy is told of this workload.
    pub(super) own_labels: PeerLabels,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The name has no address.
    #[error("{host} cannot be resolved: {source}")]
    Name {
        /// The name.
        host: String,
        /// What the resolver says.
        source: io::Error,
    },
    /// No connection.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It would come back to this proxy.
    #[error("{0} is this proxy itself")]
    Loop(SocketAddr),
    /// No TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// TLS cannot even be tried.
    #[error(transparent)]
    Origination(#[from] OriginationError),
    /// rustls refuses the mesh's own certificate or roots.
    #[error("TLS: {0}")]
    Config(rustls::Error),
    /// The proxy has no certificate yet.
    #[error("the proxy has no certificate yet")]
    NoCertificate,
    /// The endpoint is to be a tunnel and is none.
    #[error("the endpoint gives no tunnel to {0}")]
    Tunnel(String),
    /// The endpoint's proxy lets nothing through.
    #[error("{proxy} opens no tunnel: {problem}")]
    Hbone {
        /// Address of the proxy.
        proxy: SocketAddr,
        /// What it answers, or what went wrong.
        problem: String,
    },
    /// No more is allowed.
    #[error("{0}")]
    Limit(Reason),
}

// === impl Secure ===

impl Secure {
    /// Whether the mesh's mutual TLS is between the proxies.
    pub fn is_mesh(&self) -> bool {
        matches!(self, Self::Mesh { .. } | Self::Hbone { .. })
    }
}

// === impl Connector ===

impl Connector {
    /// A connector with the sockets' options of the proxy's own connections. Connections that
    /// tunnels share belong to `tasks`.
    pub fn new(shared: Arc<Shared>, resolver: Resolver, tasks: TaskTracker) -> Self {
        let dialer = Dialer {
            mark: shared.settings.own_mark,
            source: None,
        };
        Self {
            own_labels: shared.client.peer(),
            shared,
            resolver,
            dialer,
            turn: Cell::new(0),
            own: RefCell::default(),
            tunnels: Tunnels::new(tasks),
        }
    }

    /// Connections to this address would come back as calls of the workload.
    pub fn avoid(&self, own: SocketAddr) {
        self.own.borrow_mut().push(own);
    }

    /// Opens a connection, with all its handshakes within `timeout`.
    ///
    /// # Errors
    /// [`DialError`].
    pub async fn dial(
        &self,
        address: &EndpointAddress,
        secure: &Secure,
        alpn: Alpn,
        timeout: Duration,
    ) -> Result<Stream, DialError> {
        self.dial_announcing(address, secure, alpn, (timeout, &[]))
            .await
    }

    /// As [`Self::dial`]; `first` is sent ahead of everything.
    async fn dial_announcing(
        &self,
        address: &EndpointAddress,
        secure: &Secure,
        alpn: Alpn,
        (timeout, first): (Duration, &[u8]),
    ) -> Result<Stream, DialError> {
        let deadline = clock::monotonic() + timeout;
        let (mut stream, secure) = match (secure, address) {
            (
                Secure::Hbone {
                    port,
                    expect,
                    inside,
                },
                EndpointAddress::Ip(to),
            ) => {
                let proxy = SocketAddr::new(to.ip(), *port);
                (self.tunnel(*to, proxy, expect, deadline).await?, &**inside)
            }
            _ => (self.open(address, deadline).await?, secure),
        };
        if !first.is_empty() {
            let sent = stream.write_all(first).await;
            sent.map_err(|source| ConnectError::Failed {
                to: address.to_string(),
                source,
            })?;
        }
        self.secured(stream, secure, alpn, deadline).await
    }

    /// Does the handshakes.
    pub(super) async fn secured(
        &self,
        stream: Stream,
        secure: &Secure,
        alpn: Alpn,
        deadline: Instant,
    ) -> Result<Stream, DialError> {
        let left = || deadline.saturating_duration_since(clock::monotonic());
        match secure {
            // A tunnel through a tunnel is none that anybody asks for.
            Secure::Plain | Secure::Hbone { .. } => Ok(stream),
            Secure::Mesh { sni, expect } => {
                let identity = self
                    .shared
                    .identity
                    .current()
                    .ok_or(DialError::NoCertificate)?;
                let config = identity
                    .client_to(alpn, expect, stream.peer_addr())
                    .map_err(DialError::Config)?;
                self.finish(
                    TlsSide::Client,
                    tls::connect(stream, config, sni, left()).await,
                )
            }
            Secure::Files { sni, origination } => {
                let mut origination = Origination::clone(origination);
                origination.alpn = alpn;
                let credential = origination.credential.as_ref().and_then(|credential| {
                    let snapshot = self.shared.snapshot();
                    snapshot.credential(&credential.name).cloned()
                });
                let originator = &self.shared.originator;
                let config = originator.client_with(&origination, credential)?;
                self.finish(
                    TlsSide::Origination,
                    tls::connect(stream, config, sni, left()).await,
                )
            }
        }
    }

    /// Opens a connection to an endpoint as its cluster's policy says: waits until one more may be
    /// open, and counts it until it is closed.
    ///
    /// # Errors
    /// [`DialError`]; [`DialError::Limit`] if too many requests wait already.
    pub async fn endpoint(
        &self,
        member: &Member,
        alpn: Alpn,
        timeout: Duration,
    ) -> Result<Stream, DialError> {
        let Some(gate) = &member.gate else {
            return self.to_member(member, alpn, timeout).await;
        };
        let _pending = gate.take(Resource::Pending).map_err(DialError::Limit)?;
        let count = gate.connection().await;
        let mut stream = self.to_member(member, alpn, timeout).await?;
        stream.hold(Box::new(count));
        Ok(stream)
    }

    /// As [`Self::endpoint`], for opaque bytes: nobody waits.
    ///
    /// # Errors
    /// [`DialError`]; [`DialError::Limit`] if no more may be open.
    pub async fn endpoint_now(
        &self,
        member: &Member,
        timeout: Duration,
    ) -> Result<Stream, DialError> {
        let count = match &member.gate {
            Some(gate) => Some(gate.take(Resource::Connection).map_err(DialError::Limit)?),
            None => None,
        };
        let mut stream = match member.tunnel() {
            Some(tunnel) => Box::pin(self.through(member, tunnel, timeout)).await?,
            None => self.to_member(member, Alpn::Tcp, timeout).await?,
        };
        if let Some(count) = count {
            stream.hold(Box::new(count));
        }
        Ok(stream)
    }

    /// Opens a connection to an endpoint, whatever the limits of its cluster.
    pub(super) async fn to_member(
        &self,
        member: &Member,
        alpn: Alpn,
        timeout: Duration,
    ) -> Result<Stream, DialError> {
        let first = member.announcement.as_deref().unwrap_or_default();
        let (address, secure) = (&member.endpoint.address, &member.secure);
        let stream = match (member.endpoint.source, address) {
            (source @ Some(_), EndpointAddress::Ip(to)) => {
                let dialer = Dialer {
                    source,
                    ..self.dialer
                };
                self.dial_from(*to, dialer, timeout).await?
            }
            _ => {
                self.dial_announcing(address, secure, alpn, (timeout, first))
                    .await?
            }
        };
        if let Some(probes) = &member.settings.tcp_keepalive {
            stream.probe(probes.time, probes.interval, probes.probes);
        }
        Ok(stream)
    }

    /// Opens a plain connection from a given source address (the way to the application in
    /// transparent mode).
    ///
    /// # Errors
    /// [`DialError::Connect`].
    pub async fn dial_from(
        &self,
        to: SocketAddr,
        dialer: Dialer,
        timeout: Duration,
    ) -> Result<Stream, DialError> {
        Ok(net::connect(to, timeout, dialer).await?.into())
    }

    pub(super) fn finish(
        &self,
        side: TlsSide,
        result: Result<(TlsStream<Stream>, PeerInfo), TlsError>,
    ) -> Result<Stream, DialError> {
        let outcome = if result.is_ok() {
            TlsResult::Ok
        } else {
            TlsResult::Failed
        };
        self.shared.telemetry.stages.handshake(side, outcome);
        Ok(result?.0.into())
    }

    async fn open(
        &self,
        address: &EndpointAddress,
        deadline: Instant,
    ) -> Result<Stream, DialError> {
        let left = || deadline.saturating_duration_since(clock::monotonic());
        match address {
            EndpointAddress::Ip(ip) => self.connect(*ip, left()).await,
            EndpointAddress::Unix(path) => Ok(Dialer::connect_unix(Path::new(&**path), left())
                .await?
                .into()),
            EndpointAddress::Name { host, port } => {
                let name_error = |source| DialError::Name {
                    host: host.to_string(),
                    source,
                };
                let found = tokio::time::timeout(left(), self.resolver.lookup(host, *port)).await;
                let found = found
                    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
                    .map_err(name_error)?;
                let turn = self.turn.get();
                self.turn.set(turn.wrapping_add(1));
                let mut last = DialError::Connect(ConnectError::Timeout {
                    to: host.to_string(),
                });
                // All addresses are used in turn; one that does not answer is passed over.
                for step in 0..found.len() {
                    let Some(ip) = found.get((turn + step) % found.len()) else {
                        break;
                    };
                    match self.connect(*ip, left()).await {
                        Ok(stream) => return Ok(stream),
                        Err(error) => last = error,
                    }
                    if left().is_zero() {
                        break;
                    }
                }
                Err(last)
            }
        }
    }

    pub(super) async fn connect(
        &self,
        ip: SocketAddr,
        timeout: Duration,
    ) -> Result<Stream, DialError> {
        let is_own = |own: &SocketAddr| {
            own.port() == ip.port()
                && (own.ip() == ip.ip() || own.ip().is_unspecified() && ip.ip().is_loopback())
        };
        if self.own.borrow().iter().any(is_own) {
            return Err(DialError::Loop(ip));
        }
        Ok(net::connect(ip, timeout, self.dialer).await?.into())
    }
}

// === impl DialError ===

impl DialError {
    /// The cause, as clients, logs and metrics are told.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Name { .. } => Reason::UpstreamNameUnresolved,
            Self::Connect(ConnectError::Timeout { .. }) => Reason::UpstreamConnectTimeout,
            Self::Connect(ConnectError::Failed { .. }) => Reason::UpstreamConnectFailure,
            Self::Tls(TlsError::Timeout) => Reason::UpstreamConnectTimeout,
            Self::Tls(error) if is_wrong_identity(error) => Reason::UpstreamIdentityMismatch,
            Self::Tls(_) | Self::Origination(_) | Self::Config(_) => Reason::UpstreamTlsFailure,
            Self::NoCertificate => Reason::NoCertificate,
            Self::Limit(reason) => *reason,
            Self::Loop(_) => Reason::LoopDetected,
            Self::Tunnel(_) | Self::Hbone { .. } => Reason::UpstreamConnectFailure,
        }
    }
}

// This side refused the server's certificate.
fn is_wrong_identity(error: &TlsError) -> bool {
    let TlsError::Handshake(io) = error else {
        return matches!(error, TlsError::Leaf(_));
    };
    let inner = io
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(
        inner,
        Some(rustls::Error::InvalidCertificate(
            rustls::CertificateError::Other(_)
        ))
    )
}
