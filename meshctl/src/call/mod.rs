//! HTTP requests of the command line: to admin endpoints, through sidecars, to gateways.

mod admin;
mod caller;
mod inside;
mod relay;

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::clock;
use crate::cluster::{PodPort, PodPortError};

pub use admin::{Admin, AdminError};
pub use caller::{Caller, CallerError};
pub use inside::{Inside, InsideError, serve_caller};
pub use relay::relay;

/// Answers longer than this are an error; the largest is a proxy's whole configuration.
const LONGEST_BODY: usize = 64 * 1024 * 1024;

/// Where a request is sent first.
#[derive(Clone, Debug)]
pub enum Via {
    /// Straight to this address.
    Address(SocketAddr),
    /// To the host and port of its URL.
    Direct,
    /// As a client of this HTTP proxy.
    Proxy(SocketAddr),
    /// To this Unix socket.
    Unix(PathBuf),
    /// To a port of a pod, its loopback included, by port-forward.
    Pod(Box<PodPort>),
    /// By a helper process inside of other namespaces, to the host and port of its URL there.
    Inside(Inside),
}

/// A connection that bytes go through both ways.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A whole answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code.
    pub status: StatusCode,
    /// Header.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// Time from connecting to the body's last byte.
    pub took: Duration,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody listens, or the like.
    #[error("cannot connect: {0}")]
    Connect(std::io::Error),
    /// The connection broke, or what came is no HTTP.
    #[error("no answer: {0}")]
    Http(#[from] hyper::Error),
    /// The answer did not come in time.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The body is too long or broke off.
    #[error("the answer broke off: {0}")]
    Body(Box<dyn std::error::Error + Send + Sync>),
    /// The URL names no host.
    #[error("the URL has no host")]
    NoHost,
    /// Part of the request cannot be sent.
    #[error("the request cannot be sent: {0}")]
    Request(#[from] http::Error),
    /// The pod's port cannot be reached.
    #[error(transparent)]
    Pod(#[from] PodPortError),
    /// The helper process.
    #[error(transparent)]
    Inside(#[from] InsideError),
}

// === impl Via ===

impl Via {
    /// Opens a connection for bytes of any kind.
    ///
    /// # Errors
    /// If nobody listens there, or there is no way for bytes of any kind.
    pub async fn open(&self) -> Result<Box<dyn Stream>, CallError> {
        Ok(match self {
            Self::Address(address) | Self::Proxy(address) => Box::new(connect(*address).await?),
            Self::Unix(path) => Box::new(
                UnixStream::connect(path)
                    .await
                    .map_err(CallError::Connect)?,
            ),
            Self::Pod(port) => Box::new(port.connect().await?),
            Self::Direct | Self::Inside(_) => return Err(CallError::NoHost),
        })
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Direct => f.write_str("the host of its URL"),
            Self::Proxy(address) => write!(f, "the proxy {address}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
            Self::Pod(port) => write!(f, "{port}"),
            Self::Inside(inside) => write!(f, "{inside}"),
        }
    }
}

// === impl Answer ===

impl Answer {
    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header's value, empty if it is absent or no text.
    pub fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }
}

/// Sends a request over a connection of its own and reads the whole answer.
///
/// # Errors
/// If there is none within `timeout`.
pub async fn call(
    via: &Via,
    request: Request<Full<Bytes>>,
    timeout: Duration,
) -> Result<Answer, CallError> {
    tokio::time::timeout(timeout, call_untimed(via, request))
        .await
        .map_err(|_| CallError::Timeout(timeout))?
}

async fn call_untimed(via: &Via, mut request: Request<Full<Bytes>>) -> Result<Answer, CallError> {
    let began = clock::instant();
    set_host(&mut request)?;
    let response = match via {
        Via::Unix(path) => {
            origin_form(&mut request)?;
            let stream = UnixStream::connect(path)
                .await
                .map_err(CallError::Connect)?;
            exchange(stream, request).await?
        }
        Via::Address(address) => {
            origin_form(&mut request)?;
            exchange(connect(*address).await?, request).await?
        }
        // RFC 9112 section 3.2.2: a proxy gets the absolute form.
        Via::Proxy(address) => exchange(connect(*address).await?, request).await?,
        Via::Direct => {
            let host = request.uri().host().ok_or(CallError::NoHost)?.to_owned();
            let port = request.uri().port_u16().unwrap_or(80);
            origin_form(&mut request)?;
            let target = (host.trim_start_matches('[').trim_end_matches(']'), port);
            let stream = TcpStream::connect(target)
                .await
                .map_err(CallError::Connect)?;
            exchange(stream, request).await?
        }
        Via::Pod(port) => {
            origin_form(&mut request)?;
            let mut stream = port.connect().await?;
            let complaint = stream.take_complaint();
            match exchange(stream, request).await {
                Ok(response) => response,
                // That nobody listens there shows as a connection that ends at once.
                Err(error) => {
                    return Err(match port.complaint(complaint).await {
                        Some(complaint) => complaint.into(),
                        None => error,
                    });
                }
            }
        }
        Via::Inside(inside) => return inside.call(request).await,
    };
    let (head, body) = response;
    let (head, ()) = head.into_parts();
    Ok(Answer {
        status: head.status,
        headers: head.headers,
        body,
        took: began.elapsed(),
    })
}

async fn connect(address: SocketAddr) -> Result<TcpStream, CallError> {
    let stream = TcpStream::connect(address)
        .await
        .map_err(CallError::Connect)?;
    // A refusal only costs latency.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn exchange(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    request: Request<Full<Bytes>>,
) -> Result<(Response<()>, Bytes), CallError> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let answer = async {
        let (head, body) = sender.send_request(request).await?.into_parts();
        let body = read(body).await?;
        Ok((Response::from_parts(head, ()), body))
    };
    tokio::pin!(answer);
    tokio::pin!(connection);
    tokio::select! {
        answer = &mut answer => answer,
        // It ends first when the peer closes; the answer is complete or an error by then.
        _ = &mut connection => answer.await,
    }
}

async fn read(body: Incoming) -> Result<Bytes, CallError> {
    Ok(Limited::new(body, LONGEST_BODY)
        .collect()
        .await
        .map_err(CallError::Body)?
        .to_bytes())
}

fn set_host(request: &mut Request<Full<Bytes>>) -> Result<(), CallError> {
    if !request.headers().contains_key(header::HOST) {
        let authority = request
            .uri()
            .authority()
            .map_or("localhost", |authority| authority.as_str());
        let value = HeaderValue::from_str(authority).map_err(http::Error::from)?;
        request.headers_mut().insert(header::HOST, value);
    }
    Ok(())
}

fn origin_form(request: &mut Request<Full<Bytes>>) -> Result<(), CallError> {
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    *request.uri_mut() = path.parse().map_err(http::Error::from)?;
    Ok(())
}

#[cfg(test)]
mod tests;
