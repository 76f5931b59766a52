//! One HTTP request on a connection of its own, as probes, scrapes and commands make it.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, response};
use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use crate::net::{self, ConnectError, Dialer};
use crate::settings::{InboundMode, Settings};
use crate::tls::{Alpn, Origination, OriginationError, Originator};

/// A request without a body.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    /// Header fields, with the host.
    pub(crate) headers: HeaderMap,
    /// Most bytes that are read of the answer.
    pub(crate) limit: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("{0} cannot be resolved: {1}")]
    Name(String, io::Error),
    #[error("TLS: {0}")]
    Tls(#[from] OriginationError),
    #[error("TLS: {0}")]
    Handshake(io::Error),
    #[error("HTTP: {0}")]
    Http(#[from] hyper::Error),
    #[error("the answer has more than {0} bytes")]
    TooLong(usize),
    #[error("`{0}` cannot be asked for")]
    Request(String),
    #[error("it takes longer than {0:?}")]
    Timeout(Duration),
}

const CONNECT: Duration = Duration::from_secs(5);

/// Sends a request and reads the answer whole.
pub(crate) async fn exchange<IO>(io: IO, call: &Call) -> Result<(response::Parts, Bytes), CallError>
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut request = Request::builder()
        .method(call.method.clone())
        .uri(&call.path)
        .body(Empty::<Bytes>::new())
        .map_err(|_| CallError::Request(call.path.clone()))?;
    *request.headers_mut() = call.headers.clone();
    request
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("close"));
    let (mut sender, connection) = http1::handshake(TokioIo::new(io)).await?;
    let mut answer = pin!(async {
        let (parts, body) = sender.send_request(request).await?.into_parts();
        let body = Limited::new(body, call.limit).collect().await;
        Ok((
            parts,
            body.map_err(|error| unread(error, call.limit))?.to_bytes(),
        ))
    });
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        // What it has read until its end is still there.
        _ = connection => answer.await,
    }
}

fn unread(error: Box<dyn std::error::Error + Send + Sync>, limit: usize) -> CallError {
    if error.is::<LengthLimitError>() {
        return CallError::TooLong(limit);
    }
    match error.downcast::<hyper::Error>() {
        Ok(error) => CallError::Http(*error),
        Err(error) => CallError::Handshake(io::Error::other(error)),
    }
}

/// The same over a new connection, with TLS that checks no certificate if `tls` asks for it.
pub(crate) async fn call(
    to: SocketAddr,
    dialer: Dialer,
    tls: Option<&Originator>,
    call: &Call,
) -> Result<(response::Parts, Bytes), CallError> {
    let stream = net::connect(to, CONNECT, dialer).await?;
    let Some(originator) = tls else {
        return exchange(stream, call).await;
    };
    let config = originator.client(&Origination {
        names: Vec::new(),
        roots: None,
        client: None,
        insecure: true,
        alpn: Alpn::Http1,
        crl: None,
        credential: None,
    })?;
    let name = ServerName::IpAddress(to.ip().into());
    let stream = TlsConnector::from(config)
        .connect(name, stream)
        .await
        .map_err(CallError::Handshake)?;
    exchange(stream, call).await
}

/// Where the application is, as its callers see it: at the pod's own address, to which only a
/// connection from the loopback alias of the capture's rules leads past the proxy.
pub(crate) fn application(settings: &Settings) -> (IpAddr, Dialer) {
    let ip = settings
        .addresses
        .first()
        .copied()
        .unwrap_or(Ipv4Addr::LOCALHOST.into());
    (ip, way_to(settings, ip))
}

/// How an address is called: the pod's own past the proxy.
pub(crate) fn way_to(settings: &Settings, ip: IpAddr) -> Dialer {
    let captured = matches!(settings.inbound, InboundMode::Transparent(_));
    let source =
        (captured && settings.addresses.contains(&ip)).then(|| crate::inbound::loopback_alias(ip));
    Dialer {
        mark: settings.own_mark,
        source,
    }
}

/// The loopback addresses, where an application may serve its metrics.
pub(super) const LOOPBACK: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::LOCALHOST),
    IpAddr::V6(Ipv6Addr::LOCALHOST),
];

/// `host:port` as the Host field has it.
pub(crate) fn host_field(host: &str, port: u16) -> Option<(http::HeaderName, HeaderValue)> {
    let text = match host.parse::<IpAddr>() {
        Ok(ip) => SocketAddr::new(ip, port).to_string(),
        Err(_) => format!("{host}:{port}"),
    };
    Some((HOST, HeaderValue::try_from(text).ok()?))
}
