//! Opening connections.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream, UdpSocket, UnixStream};

use super::listen::keep_alive;

/// How connections are opened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dialer {
    /// Packet mark (SO_MARK) of the connection, needs CAP_NET_ADMIN.
    pub mark: Option<u32>,
    /// Address to come from.
    pub source: Option<IpAddr>,
}

/// Why no connection came about.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The peer did not answer in time.
    #[error("connection to {to} timed out")]
    Timeout {
        /// The peer.
        to: String,
    },
    /// The connection was refused, or there is no way to the peer.
    #[error("connection to {to} failed: {source}")]
    Failed {
        /// The peer.
        to: String,
        /// What the kernel says.
        source: io::Error,
    },
}

/// Opens a TCP connection, with Nagle's algorithm off.
///
/// # Errors
/// If it fails or takes longer than `timeout`.
pub async fn connect(
    to: SocketAddr,
    timeout: Duration,
    dialer: Dialer,
) -> Result<TcpStream, ConnectError> {
    let failed = |source| ConnectError::Failed {
        to: to.to_string(),
        source,
    };
    let attempt = async {
        let socket = if to.is_ipv4() {
            TcpSocket::new_v4()?
        } else {
            TcpSocket::new_v6()?
        };
        if let Some(mark) = dialer.mark {
            SockRef::from(&socket).set_mark(mark)?;
        }
        if let Some(source) = dialer.source {
            // The port is chosen at connect time, so that one source port serves many peers.
            setsockopt(&socket, sockopt::IpBindAddressNoPort, &true).map_err(io::Error::from)?;
            socket.bind(SocketAddr::new(source, 0))?;
        }
        let stream = socket.connect(to).await?;
        stream.set_nodelay(true)?;
        keep_alive(&stream);
        Ok(stream)
    };
    match tokio::time::timeout(timeout, attempt).await {
        Ok(result) => result.map_err(failed),
        Err(_) => Err(ConnectError::Timeout { to: to.to_string() }),
    }
}

impl Dialer {
    /// Opens a connection to a Unix socket.
    ///
    /// # Errors
    /// If it fails or takes longer than `timeout`.
    pub async fn connect_unix(path: &Path, timeout: Duration) -> Result<UnixStream, ConnectError> {
        let to = || path.display().to_string();
        match tokio::time::timeout(timeout, UnixStream::connect(path)).await {
            Ok(Ok(stream)) => Ok(stream),
            Ok(Err(source)) => Err(ConnectError::Failed { to: to(), source }),
            Err(_) => Err(ConnectError::Timeout { to: to() }),
        }
    }
}

/// A socket for datagrams to one peer and from it, on a port of its own; with a packet mark if
/// one is given.
///
/// # Errors
/// If there is no way to the peer.
pub async fn datagrams_to(peer: SocketAddr, mark: Option<u32>) -> io::Result<UdpSocket> {
    let any: IpAddr = if peer.is_ipv4() {
        Ipv4Addr::UNSPECIFIED.into()
    } else {
        Ipv6Addr::UNSPECIFIED.into()
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    if let Some(mark) = mark {
        SockRef::from(&socket).set_mark(mark)?;
    }
    socket.connect(peer).await?;
    Ok(socket)
}

/// The addresses of a host, from the system's resolver.
///
/// # Errors
/// If the name cannot be resolved.
pub async fn lookup(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}
