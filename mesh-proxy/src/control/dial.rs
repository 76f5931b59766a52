//! gRPC channels to the control plane over our own sockets and TLS.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

use crate::net::{ConnectError, Dialer, Stream, TcpStream, connect, lookup};
use crate::settings::ControlAddress;
use crate::tls::{self, TlsError};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
// A peer that vanished without a word is noticed after both of these.
const KEEP_ALIVE: Duration = Duration::from_secs(30);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);
const WINDOW: u32 = 1 << 20;

/// Why there is no connection to the control plane.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// No socket.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The name has no address.
    #[error("{host} has no address: {source}")]
    Lookup {
        /// The name.
        host: String,
        /// What the resolver says.
        source: std::io::Error,
    },
    /// No TLS.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No gRPC.
    #[error("gRPC: {0}")]
    Channel(#[from] tonic::transport::Error),
}

/// One connection. It is not made again when it breaks: the caller dials anew with the
/// certificate and roots of that moment.
pub(crate) async fn dial(
    address: &ControlAddress,
    name: &str,
    config: Arc<ClientConfig>,
    dialer: Dialer,
) -> Result<Channel, DialError> {
    let stream = open(address, dialer).await?;
    let (stream, _) = tls::connect(stream, config, name, CONNECT_TIMEOUT).await?;
    let mut stream = Some(TokioIo::new(stream));
    let connector = service_fn(move |_: http::Uri| {
        let stream = stream
            .take()
            .ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotConnected));
        std::future::ready(stream)
    });
    let endpoint = Endpoint::from_static("http://meshd")
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_connection_window_size(WINDOW)
        .initial_stream_window_size(WINDOW);
    Ok(endpoint.connect_with_connector(connector).await?)
}

async fn open(address: &ControlAddress, dialer: Dialer) -> Result<Stream, DialError> {
    match address {
        ControlAddress::Unix(path) => Ok(Dialer::connect_unix(path, CONNECT_TIMEOUT).await?.into()),
        ControlAddress::Tcp { host, port } => Ok(connect_any(host, *port, dialer).await?.into()),
    }
}

// Tries the name's addresses in turn.
async fn connect_any(host: &str, port: u16, dialer: Dialer) -> Result<TcpStream, DialError> {
    let failed = |source| DialError::Lookup {
        host: host.to_owned(),
        source,
    };
    let addresses: Vec<SocketAddr> = lookup(host, port).await.map_err(failed)?;
    let mut last = None;
    for address in addresses {
        match connect(address, CONNECT_TIMEOUT, dialer).await {
            Ok(stream) => return Ok(stream),
            Err(error) => last = Some(error),
        }
    }
    Err(last.map_or_else(
        || failed(std::io::Error::from(std::io::ErrorKind::NotFound)),
        DialError::Connect,
    ))
}
