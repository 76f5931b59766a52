//! HTTP connections of clients.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use http::header::CONNECTION;
use http::{HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio_util::task::TaskTracker;

use super::ResponseBody;
use crate::drain::Drain;
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

/// Runs hyper's tasks on the worker's own thread.
#[derive(Clone)]
pub struct LocalExecutor(pub TaskTracker);

/// Serves HTTP on connections of one worker.
pub struct Server {
    http1: http1::Builder,
    http2: http2::Builder<LocalExecutor>,
}

// === impl LocalExecutor ===

impl<F: Future<Output: 'static> + 'static> Executor<F> for LocalExecutor {
    fn execute(&self, task: F) {
        self.0.spawn_local(task);
    }
}

// === impl Server ===

impl Server {
    /// A server whose tasks belong to `tasks`.
    pub fn new(tasks: TaskTracker) -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_header_size(MAX_HEAD)
            .max_buf_size(READ_BUFFER)
            .preserve_header_case(true)
            .auto_date_header(false);
        let mut http2 = http2::Builder::new(LocalExecutor(tasks));
        http2
            .timer(TokioTimer::new())
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(u32::try_from(MAX_HEAD).unwrap_or(u32::MAX))
            .keep_alive_interval(PING)
            .keep_alive_timeout(PING_TIMEOUT)
            .auto_date_header(false);
        Self { http1, http2 }
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
    ) -> hyper::Result<()>
    where
        H: Fn(Request<Incoming>) -> F + 'static,
        F: Future<Output = Response<ResponseBody>> + 'static,
    {
        let io = TokioIo::new(stream);
        // Told to HTTP/1 clients with each answer from that moment on; HTTP/2 has GOAWAY for it.
        let closing = (version == Version::Http1).then(|| Rc::new(drain.clone()));
        let service = service_fn(move |request| {
            let answer = handle(request);
            let closing = closing.clone();
            async move {
                let mut response = answer.await;
                let closing = closing.is_some_and(|drain| drain.is_draining());
                if closing && response.status() != StatusCode::SWITCHING_PROTOCOLS {
                    response
                        .headers_mut()
                        .insert(CONNECTION, HeaderValue::from_static("close"));
                }
                Ok::<_, Infallible>(response)
            }
        });
        match version {
            Version::Http1 => {
                let mut connection = pin!(self.http1.serve_connection(io, service).with_upgrades());
                tokio::select! {
                    biased;
                    result = connection.as_mut() => return result,
                    () = drain.started() => {}
                }
                tokio::select! {
                    biased;
                    result = connection.as_mut() => return result,
                    () = drain.idle_ends() => connection.as_mut().graceful_shutdown(),
                    () = drain.closed() => return Ok(()),
                }
                tokio::select! { result = connection => result, () = drain.closed() => Ok(()) }
            }
            Version::Http2 => {
                let mut connection = pin!(self.http2.serve_connection(io, service));
                tokio::select! {
                    biased;
                    result = connection.as_mut() => return result,
                    () = drain.started() => connection.as_mut().graceful_shutdown(),
                }
                tokio::select! { result = connection => result, () = drain.closed() => Ok(()) }
            }
        }
    }
}
