//! HTTP connections of clients.

use std::future::Future;
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response};
use mesh_proxy_core::Reason;
use mesh_proxy_core::http1::Malformed;
use mesh_proxy_core::http2::Config;

use super::{Incoming, ResponseBody};
use crate::drain::Drain;
use crate::net::Stream;
use crate::{http1, http2};

/// Largest head of a request in bytes, as in Envoy; more is answered by 431.
pub const MAX_HEAD: usize = 60 * 1024;

/// How long a client may take for a head, and how long an HTTP/1 connection may be idle. Longer
/// than the proxies keep an idle connection to each other, so that those never race.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(90);

const STREAM_WINDOW: u32 = 256 * 1024;

// h2 closes a connection when small unread frames exceed half of this window; streams of small
// gRPC messages need room.
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

const MAX_STREAMS: u32 = 1024;

// Notices clients that are gone without a word.
const PING: Duration = Duration::from_secs(60);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// The version that a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.0 or 1.1.
    Http1,
    /// HTTP/2 with prior knowledge or by ALPN.
    Http2,
}

impl Version {
    /// Of a message: a connection may go over from HTTP/1 to HTTP/2.
    pub fn of(version: http::Version) -> Self {
        if version == http::Version::HTTP_2 {
            Self::Http2
        } else {
            Self::Http1
        }
    }
}

/// Something that a client sent and that is no request.
#[derive(Clone, Copy, Debug)]
pub struct NoRequest {
    /// The cause, as logs, metrics and the client are told.
    pub reason: Reason,
    /// What is wrong.
    pub why: Wrong,
}

/// What is wrong with it, in words.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub enum Wrong {
    /// In HTTP/1.
    #[error(transparent)]
    Http1(Malformed),
    /// In HTTP/2.
    #[error("{0}")]
    Http2(&'static str),
}

/// How a connection of a client ended, if not in order.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// On HTTP/1.
    #[error(transparent)]
    Http1(#[from] http1::ConnectionEnd),
    /// On HTTP/2.
    #[error(transparent)]
    Http2(#[from] http2::ConnectionEnd),
}

/// Answers the requests of one connection until it ends. What is no request is answered by
/// `refuse`, which gets a head that stands for it; over HTTP/2 the client gets the protocol's
/// answer, which is a reset or 431, in place of that one. While the proxy drains, running
/// requests finish and the connection closes, an idle HTTP/1 connection only after
/// [`Drain::idle_ends`]: its client may be sending in this moment. What still runs at the end is
/// cut.
///
/// # Errors
/// If the client breaks the protocol or the connection.
pub async fn serve<H, F, R>(
    stream: Stream,
    version: Version,
    drain: &Drain,
    handle: H,
    refuse: R,
) -> Result<(), ServeError>
where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<ResponseBody>>,
    R: Fn(&Parts, NoRequest) -> Response<ResponseBody>,
{
    if version == Version::Http2 {
        return Box::pin(serve_http2(stream, drain, None, (handle, refuse))).await;
    }
    let refuse_http1 = |parts: &Parts, malformed: Malformed| {
        let why = NoRequest {
            reason: malformed.reason(),
            why: Wrong::Http1(malformed),
        };
        refuse(parts, why)
    };
    let allowance = http1::Allowance {
        head: MAX_HEAD,
        patience: HEAD_TIMEOUT,
        // With TLS, ALPN is the way (RFC 7540 section 3.2).
        http2: !stream.is_tls(),
    };
    match http1::serve(stream, allowance, drain, &handle, refuse_http1).await? {
        None => Ok(()),
        Some((stream, first)) => {
            Box::pin(serve_http2(stream, drain, Some(first), (handle, refuse))).await
        }
    }
}

async fn serve_http2<H, F, R>(
    stream: Stream,
    drain: &Drain,
    first: Option<http2::Upgraded>,
    (handle, refuse): (H, R),
) -> Result<(), ServeError>
where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<ResponseBody>>,
    R: Fn(&Parts, NoRequest) -> Response<ResponseBody>,
{
    let config = Config {
        stream_window: STREAM_WINDOW,
        connection_window: CONNECTION_WINDOW,
        max_streams: MAX_STREAMS,
        max_head: u32::try_from(MAX_HEAD).unwrap_or(u32::MAX),
    };
    let patience = http2::Patience {
        interval: PING,
        timeout: PING_TIMEOUT,
    };
    // It is recorded as in HTTP/1; what the client gets the connection has written already.
    let record = |reason, why| {
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.version = http::Version::HTTP_2;
        let why = Wrong::Http2(why);
        refuse(&parts, NoRequest { reason, why }).into_body().skip();
    };
    Ok(http2::serve(stream, config, patience, drain, first, (handle, record)).await?)
}
