//! Open HTTP connections to one server.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioIo, TokioTimer};
use mesh_proxy_core::Reason;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::http::{LocalExecutor, RequestBody, Version};
use crate::net::Stream;

/// How long an idle HTTP/1 connection is kept. Shorter than [`crate::http::HEAD_TIMEOUT`].
pub const MAX_IDLE: Duration = Duration::from_secs(45);

/// An HTTP/1 connection that was idle for longer carries no request that must not be sent
/// twice: the server may be closing it in this moment, and nobody could tell whether it still
/// read the request. Draining proxies close idle connections only after more than this.
pub const MAX_IDLE_UNREPEATABLE: Duration = Duration::from_secs(1);

/// Idle connections to one server.
const MAX_IDLE_CONNECTIONS: usize = 256;

const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
const PING: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// The connections to one server, of one worker.
pub struct Pool {
    idle: RefCell<Vec<Idle>>,
    shared: RefCell<Option<Shared>>,
    // Held while the one HTTP/2 connection is opened, so that all wait for the same.
    opening: tokio::sync::Mutex<()>,
    tasks: TaskTracker,
}

struct Idle {
    sender: http1::SendRequest<RequestBody>,
    since: Instant,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
}

struct Shared {
    sender: http2::SendRequest<RequestBody>,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
}

/// A connection for one request.
pub struct Lease {
    pool: Rc<Pool>,
    sender: Sender,
    /// Whether it has carried a request before.
    pub reused: bool,
    /// This side's address.
    pub local: Option<SocketAddr>,
    /// The server's address.
    pub remote: Option<SocketAddr>,
}

enum Sender {
    Http1(http1::SendRequest<RequestBody>),
    Http2(http2::SendRequest<RequestBody>),
}

/// Why a request got no response.
pub struct SendError {
    /// What hyper says.
    pub error: hyper::Error,
    /// The request, if not a byte of it was sent.
    pub unsent: Option<Box<Request<RequestBody>>>,
}

// === impl Pool ===

impl Pool {
    /// An empty pool whose connections belong to `tasks`.
    pub fn new(tasks: TaskTracker) -> Rc<Self> {
        Rc::new(Self {
            idle: RefCell::default(),
            shared: RefCell::default(),
            opening: tokio::sync::Mutex::default(),
            tasks,
        })
    }

    /// An open connection, if there is one that may carry the request.
    pub fn checkout(self: &Rc<Self>, version: Version, repeatable: bool) -> Option<Lease> {
        match version {
            Version::Http1 => self.checkout_http1(repeatable),
            Version::Http2 => self.checkout_http2(),
        }
    }

    fn checkout_http1(self: &Rc<Self>, repeatable: bool) -> Option<Lease> {
        let mut idle = self.idle.borrow_mut();
        // The newest first: it is the least likely to be closed, and the others can grow old.
        let found = loop {
            let candidate = idle.pop()?;
            if candidate.sender.is_ready() {
                break candidate;
            }
        };
        if !repeatable && clock::monotonic().duration_since(found.since) > MAX_IDLE_UNREPEATABLE {
            idle.push(found);
            return None;
        }
        Some(Lease {
            pool: Rc::clone(self),
            sender: Sender::Http1(found.sender),
            reused: true,
            local: found.local,
            remote: found.remote,
        })
    }

    fn checkout_http2(self: &Rc<Self>) -> Option<Lease> {
        let mut shared = self.shared.borrow_mut();
        let connection = shared.as_ref()?;
        if connection.sender.is_closed() {
            *shared = None;
            return None;
        }
        Some(Lease {
            pool: Rc::clone(self),
            sender: Sender::Http2(connection.sender.clone()),
            reused: true,
            local: connection.local,
            remote: connection.remote,
        })
    }

    /// Waits for its turn to open an HTTP/2 connection; [`Self::checkout`] may then find the
    /// one that another opened.
    pub async fn opening(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.opening.lock().await
    }

    /// Begins HTTP on a new connection.
    ///
    /// # Errors
    /// If HTTP/2 cannot begin.
    pub async fn begin(self: &Rc<Self>, stream: Stream, version: Version) -> hyper::Result<Lease> {
        let (local, remote) = (stream.local_addr(), stream.peer_addr());
        let io = TokioIo::new(stream);
        let sender = match version {
            Version::Http1 => {
                let (sender, connection) = http1::Builder::new()
                    .preserve_header_case(true)
                    .max_buf_size(MAX_BUFFER)
                    .handshake(io)
                    .await?;
                self.tasks.spawn_local(async move {
                    if let Err(error) = connection.with_upgrades().await {
                        tracing::trace!(%error, "upstream connection ended");
                    }
                });
                Sender::Http1(sender)
            }
            Version::Http2 => {
                let (sender, connection) = http2::Builder::new(LocalExecutor(self.tasks.clone()))
                    .timer(TokioTimer::new())
                    .initial_stream_window_size(STREAM_WINDOW)
                    .initial_connection_window_size(CONNECTION_WINDOW)
                    .max_header_list_size(MAX_HEAD)
                    .keep_alive_interval(PING)
                    .keep_alive_timeout(PING_TIMEOUT)
                    .handshake(io)
                    .await?;
                self.tasks.spawn_local(async move {
                    if let Err(error) = connection.await {
                        tracing::trace!(%error, "upstream connection ended");
                    }
                });
                *self.shared.borrow_mut() = Some(Shared {
                    sender: sender.clone(),
                    local,
                    remote,
                });
                Sender::Http2(sender)
            }
        };
        Ok(Lease {
            pool: Rc::clone(self),
            sender,
            reused: false,
            local,
            remote,
        })
    }

    /// Closes connections that are idle for too long or broken. Returns whether any is left.
    pub fn sweep(&self, now: Instant) -> bool {
        let mut idle = self.idle.borrow_mut();
        idle.retain(|one| {
            one.sender.is_ready() && now.saturating_duration_since(one.since) < MAX_IDLE
        });
        if idle.is_empty() {
            *idle = Vec::new();
        }
        let mut shared = self.shared.borrow_mut();
        if shared
            .as_ref()
            .is_some_and(|connection| connection.sender.is_closed())
        {
            *shared = None;
        }
        !idle.is_empty() || shared.is_some()
    }

    /// Forgets all connections: what runs on them finishes, nothing new begins.
    pub fn clear(&self) {
        self.idle.borrow_mut().clear();
        *self.shared.borrow_mut() = None;
    }

    fn put_back(
        &self,
        sender: http1::SendRequest<RequestBody>,
        local: Option<SocketAddr>,
        remote: Option<SocketAddr>,
    ) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MAX_IDLE_CONNECTIONS {
            idle.push(Idle {
                sender,
                since: clock::monotonic(),
                local,
                remote,
            });
        }
    }
}

// A response's head, and the start of its body.
const MAX_BUFFER: usize = 256 * 1024;
const MAX_HEAD: u32 = 128 * 1024;

// === impl Lease ===

impl Lease {
    /// The version that the connection speaks.
    pub fn version(&self) -> Version {
        match self.sender {
            Sender::Http1(_) => Version::Http1,
            Sender::Http2(_) => Version::Http2,
        }
    }

    /// Sends a request and waits for the head of the response. Dropping the future gives the
    /// request up.
    ///
    /// # Errors
    /// [`SendError`]; it gives the request back if nothing of it was sent.
    pub async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, SendError> {
        let result = match &mut self.sender {
            Sender::Http1(sender) => sender.try_send_request(request).await,
            Sender::Http2(sender) => sender.try_send_request(request).await,
        };
        result.map_err(|mut failed| {
            self.forget();
            SendError {
                unsent: failed.take_message().map(Box::new),
                error: failed.into_error(),
            }
        })
    }

    /// Gives the connection back after the response has ended.
    pub fn release(self) {
        let Self {
            pool,
            sender: Sender::Http1(mut sender),
            local,
            remote,
            ..
        } = self
        else {
            return;
        };
        if sender.is_ready() {
            pool.put_back(sender, local, remote);
        } else if !sender.is_closed() {
            let tasks = pool.tasks.clone();
            tasks.spawn_local(async move {
                // Ready once the rest of the request is sent; an error once it is closed.
                if sender.ready().await.is_ok() {
                    pool.put_back(sender, local, remote);
                }
            });
        }
    }

    // A shared connection that failed takes no more requests.
    fn forget(&self) {
        if let Sender::Http2(sender) = &self.sender {
            let mut shared = self.pool.shared.borrow_mut();
            if shared
                .as_ref()
                .is_some_and(|connection| connection.sender.is_closed() || sender.is_closed())
            {
                *shared = None;
            }
        }
    }
}

// === impl SendError ===

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError")
            .field("error", &self.error)
            .field("unsent", &self.unsent.is_some())
            .finish()
    }
}

impl SendError {
    /// Whether the connection ended before a byte of the response: it was most likely being
    /// closed while it was idle.
    pub fn is_stale(&self) -> bool {
        let error = &self.error;
        self.unsent.is_some()
            || error.is_canceled()
            || error.is_closed()
            || error.is_incomplete_message()
            || is_broken(error)
    }

    /// The cause, as clients, logs and metrics are told.
    pub fn reason(&self) -> Reason {
        match h2_reason(&self.error) {
            Some(_) => Reason::UpstreamReset,
            None if self.error.is_parse() => Reason::UpstreamProtocolError,
            None => Reason::UpstreamConnectionClosed,
        }
    }

    /// Whether the server did nothing with the request and said so (RFC 9113 section 8.7).
    pub fn is_refused(&self) -> bool {
        h2_reason(&self.error) == Some(h2::Reason::REFUSED_STREAM)
    }
}

fn h2_reason(error: &hyper::Error) -> Option<h2::Reason> {
    find::<h2::Error>(error)?.reason()
}

fn is_broken(error: &hyper::Error) -> bool {
    find::<io::Error>(error).is_some_and(|io| {
        matches!(
            io.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::ConnectionAborted
        )
    })
}

fn find<E: Error + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut source = error.source();
    while let Some(inner) = source {
        if let Some(found) = inner.downcast_ref::<E>() {
            return Some(found);
        }
        source = inner.source();
    }
    None
}
