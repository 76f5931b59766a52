//! Handshakes with a deadline, and what they tell of the peer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use mesh_api::SpiffeId;
use rustls::{ClientConfig, CommonState, ServerConfig};
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use super::leaf::{Leaf, LeafError};
use super::mesh::Alpn;
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

/// The server side of a handshake.
///
/// # Errors
/// [`TlsError`].
pub async fn accept<IO>(
    io: IO,
    config: Arc<ServerConfig>,
    timeout: Duration,
) -> Result<(server::TlsStream<IO>, PeerInfo), TlsError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let stream = within(timeout, TlsAcceptor::from(config).accept(io)).await?;
    let (_, session) = stream.get_ref();
    let server_name = session.server_name().map(str::to_owned);
    let peer = peer_info(session, server_name)?;
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
) -> Result<(client::TlsStream<IO>, PeerInfo), TlsError>
where
    IO: AsyncRead + AsyncWrite + Unpin,
{
    let name = ServerName::try_from(server_name.to_owned())
        .map_err(|_| TlsError::ServerName(server_name.to_owned()))?;
    let stream = within(timeout, TlsConnector::from(config).connect(name, io)).await?;
    let peer = peer_info(stream.get_ref().1, None)?;
    Ok((stream, peer))
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
