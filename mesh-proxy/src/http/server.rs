//! HTTP connections of clients.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use mesh_proxy_core::http2::Config;

use super::{Incoming, ResponseBody};
use crate::drain::Drain;
use crate::http2;
use crate::net::Stream;

/// Largest head of a request in bytes, as in Envoy; more is answered by 431.
pub const MAX_HEAD: usize = 60 * 1024;

/// How long a client may take for a head, and how long an HTTP/1 connection may be idle. Longer
/// than the proxies keep an idle connection to each other, so that those never race.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(90);

// Room for one head of the largest size and the start of a body.
const READ_BUFFER: usize = 64 * 1024;

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

/// How a connection of a client ended, if not in order.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// On HTTP/1.
    #[error(transparent)]
    Http1(#[from] hyper::Error),
    /// On HTTP/2.
    #[error(transparent)]
    Http2(#[from] http2::ConnectionEnd),
}

/// Serves HTTP on connections of one worker.
pub struct Server {
    http1: http1::Builder,
}

// === impl Server ===

impl Server {
    /// A server.
    #[expect(clippy::new_without_default, reason = "it holds settings, not nothing")]
    pub fn new() -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_header_size(MAX_HEAD)
            .max_buf_size(READ_BUFFER)
            .preserve_header_case(true)
            .auto_date_header(false);
        Self { http1 }
    }

    /// Answers the requests of one connection until it ends. While the proxy drains, running
    /// requests finish and the connection closes, an idle HTTP/1 connection only after
    /// [`Drain::idle_ends`]: its client may be sending in this moment. What still runs at the end is
    /// cut.
    ///
    /// # Errors
    /// If the client breaks the protocol or the connection.
    pub async fn serve<H, F>(
        &self,
        stream: Stream,
        version: Version,
        drain: &Drain,
        handle: H,
    ) -> Result<(), ServeError>
    where
        H: Fn(Request<Incoming>) -> F + 'static,
        F: Future<Output = Response<ResponseBody>> + 'static,
    {
        if version == Version::Http2 {
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
            let end = http2::serve(stream, config, patience, drain, handle).await;
            return end.map_err(Into::into);
        }
        let io = TokioIo::new(stream);
        // Told to clients with each answer from that moment on; HTTP/2 has GOAWAY for it.
        let closing = Rc::new(drain.clone());
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let answer = handle(request.map(Incoming::Http1));
            let closing = Rc::clone(&closing);
            async move {
                let mut response = answer.await;
                if closing.is_draining() && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    response
                        .headers_mut()
                        .insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        });
        let mut connection = pin!(self.http1.serve_connection(io, service).with_upgrades());
        tokio::select! {
            biased;
            result = connection.as_mut() => return Ok(result?),
            () = drain.started() => {}
        }
        tokio::select! {
            biased;
            result = connection.as_mut() => return Ok(result?),
            () = drain.idle_ends() => connection.as_mut().graceful_shutdown(),
            () = drain.closed() => return Ok(()),
        }
        tokio::select! { result = connection => Ok(result?), () = drain.closed() => Ok(()) }
    }
}
