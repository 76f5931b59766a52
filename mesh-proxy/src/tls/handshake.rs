//! Handshakes with a deadline, and what they tell of the peer.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mesh_api::{ResourceName, SpiffeId};
use mesh_proxy_core::Snapshot;
use rustls::client::UnbufferedClientConnection;
use rustls::server::{ClientHello, ResolvesServerCert, UnbufferedServerConnection};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, CommonState, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};

use super::leaf::{Leaf, LeafError};
use super::mesh::Alpn;
use super::stream::TlsStream;
use crate::clock;

/// What a handshake told of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerInfo {
    /// The peer's identity, if it has a certificate with one. Always there between mesh peers.
    pub identity: Option<SpiffeId>,
    /// SHA-256 of the peer's certificate (the `Hash` of `x-forwarded-client-cert`).
    pub certificate_hash: Option<[u8; 32]>,
    /// What the connection carries, if ALPN was agreed on and says so.
    pub alpn: Option<Alpn>,
    /// Server name that the client asked for; only on the server side.
    pub server_name: Option<String>,
}

/// Why there is no TLS connection.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The peer was too slow.
    #[error("the TLS handshake took too long")]
    Timeout,
    /// The handshake failed: the certificate was refused, or the peer speaks something else.
    #[error("TLS handshake: {0}")]
    Handshake(#[source] io::Error),
    /// The server's name cannot be sent.
    #[error("`{0}` cannot be a server name")]
    ServerName(String),
    /// A resumed session's certificate has expired since.
    #[error("the certificate of the peer has expired")]
    Expired,
    /// The peer's certificate says nothing usable.
    #[error(transparent)]
    Leaf(#[from] LeafError),
}

/// Whether the trust domain of a peer that has proved its identity is taken still.
pub(crate) fn takes_still(snapshot: &Snapshot, identity: &SpiffeId) -> bool {
    // Before the control plane has said it, the handshake knows.
    snapshot.mesh().takes_domain(identity.trust_domain()) || !snapshot.holds(&ResourceName::Mesh)
}

/// The server side of a handshake.
///
/// # Errors
/// [`TlsError`].
pub async fn accept<IO>(
    io: IO,
    config: Arc<ServerConfig>,
    timeout: Duration,
) -> Result<(TlsStream<IO>, PeerInfo), TlsError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let asked = Arc::new(Asked {
        resolver: Arc::clone(&config.cert_resolver),
        name: Mutex::default(),
    });
    let mut config = ServerConfig::clone(&config);
    config.cert_resolver = Arc::clone(&asked) as Arc<dyn ResolvesServerCert>;
    let session = UnbufferedServerConnection::new(Arc::new(config)).map_err(refused)?;
    let stream = within(timeout, TlsStream::accept(io, session)).await?;
    let server_name = asked.name();
    let peer = peer_info(stream.get_ref().1, server_name)?;
    Ok((stream, peer))
}

/// The client side of a handshake. `server_name` is sent as SNI; Istio's form
/// `outbound_.9080_.v1_.host` is a valid one.
///
/// # Errors
/// [`TlsError`].
pub async fn connect<IO>(
    io: IO,
    config: Arc<ClientConfig>,
    server_name: &str,
    timeout: Duration,
) -> Result<(TlsStream<IO>, PeerInfo), TlsError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(server_name.to_owned())
        .map_err(|_| TlsError::ServerName(server_name.to_owned()))?;
    let session = UnbufferedClientConnection::new(config, name).map_err(refused)?;
    let stream = within(timeout, TlsStream::connect(io, session)).await?;
    let peer = peer_info(stream.get_ref().1, None)?;
    Ok((stream, peer))
}

// Hears the server name on its way to the certificates: sessions without buffers do not tell it.
#[derive(Debug)]
struct Asked {
    resolver: Arc<dyn ResolvesServerCert>,
    name: Mutex<Option<String>>,
}

impl Asked {
    fn name(&self) -> Option<String> {
        let mut name = self.name.lock().unwrap_or_else(PoisonError::into_inner);
        name.take()
    }
}

impl ResolvesServerCert for Asked {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(str::to_owned);
        *self.name.lock().unwrap_or_else(PoisonError::into_inner) = name;
        self.resolver.resolve(hello)
    }

    fn only_raw_public_keys(&self) -> bool {
        self.resolver.only_raw_public_keys()
    }
}

fn refused(error: rustls::Error) -> TlsError {
    TlsError::Handshake(io::Error::new(io::ErrorKind::InvalidData, error))
}

async fn within<S>(
    timeout: Duration,
    handshake: impl Future<Output = io::Result<S>>,
) -> Result<S, TlsError> {
    match tokio::time::timeout(timeout, handshake).await {
        Ok(result) => result.map_err(TlsError::Handshake),
        Err(_) => Err(TlsError::Timeout),
    }
}

fn peer_info(session: &CommonState, server_name: Option<String>) -> Result<PeerInfo, TlsError> {
    let alpn = session.alpn_protocol().and_then(Alpn::from_token);
    let Some(der) = session.peer_certificates().and_then(<[_]>::first) else {
        return Ok(PeerInfo {
            identity: None,
            certificate_hash: None,
            alpn,
            server_name,
        });
    };
    let leaf = Leaf::parse(der)?;
    // rustls checks the validity in full handshakes only, not when a session is resumed.
    if session.handshake_kind() == Some(rustls::HandshakeKind::Resumed)
        && leaf.not_after < clock::wall()
    {
        return Err(TlsError::Expired);
    }
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, der);
    Ok(PeerInfo {
        identity: leaf.identity().ok(),
        certificate_hash: digest.as_ref().try_into().ok(),
        alpn,
        server_name,
    })
}
