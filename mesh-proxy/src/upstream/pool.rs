//! Open HTTP connections to one server.

use std::cell::RefCell;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use http::{Request, Response};
use mesh_proxy_core::Reason;
use mesh_proxy_core::http2::{Config, ErrorCode, OpenError};
use mesh_proxy_core::ir::PoolSettings;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::http::{Incoming, RequestBody, TransportError, Version};
use crate::http1::{self, MessageError};
use crate::http2::{self, Opening, StreamError};
use crate::net::Stream;

/// How long an idle HTTP/1 connection is kept. Shorter than [`crate::http::HEAD_TIMEOUT`].
pub const MAX_IDLE: Duration = Duration::from_secs(45);

/// An HTTP/1 connection that was idle for longer carries no request that must not be sent
/// twice: the server may be closing it in this moment, and nobody could tell whether it still
/// read the request. Draining proxies close idle connections only after more than this.
pub const MAX_IDLE_UNREPEATABLE: Duration = Duration::from_secs(1);

/// How long an idle HTTP/2 connection is kept (Istio: one hour).
const MAX_IDLE_SHARED: Duration = Duration::from_secs(3600);

/// Idle connections to one server.
const MAX_IDLE_CONNECTIONS: usize = 256;

/// The connections to one server, of one worker.
pub struct Pool {
    idle: RefCell<Vec<Idle>>,
    shared: RefCell<Vec<Shared>>,
    // Held while an HTTP/2 connection is opened, so that all wait for the same.
    opening: tokio::sync::Mutex<()>,
    settings: PoolSettings,
    tasks: TaskTracker,
}

struct Idle {
    sender: http1::Handle,
    since: Instant,
    life: Life,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
}

struct Shared {
    sender: http2::Handle,
    used: Instant,
    life: Life,
    local: Option<SocketAddr>,
    remote: Option<SocketAddr>,
}

// What counts against a connection by its policy.
#[derive(Clone, Copy)]
struct Life {
    born: Instant,
    requests: u32,
}

/// A connection for one request.
pub struct Lease {
    pool: Rc<Pool>,
    sender: Sender,
    life: Life,
    /// Whether it has carried a request before.
    pub reused: bool,
    /// This side's address.
    pub local: Option<SocketAddr>,
    /// The server's address.
    pub remote: Option<SocketAddr>,
}

enum Sender {
    Http1(http1::Handle),
    Http2(http2::Handle),
}

/// A request whose response is awaited. Dropped before, it is given up.
pub enum Waiting {
    /// Over HTTP/1.
    Http1(http1::Waiting),
    /// Over HTTP/2.
    Http2(http2::Waiting),
}

/// Why a request got no response.
#[derive(Debug)]
pub struct SendError {
    /// What went wrong.
    pub error: TransportError,
    /// Whether the server saw nothing of the request.
    pub unsent: bool,
}

// === impl Pool ===

impl Pool {
    /// An empty pool whose connections belong to `tasks`.
    pub fn new(tasks: TaskTracker) -> Rc<Self> {
        Self::with_settings(PoolSettings::default(), tasks)
    }

    /// The same, with what a policy says of its connections.
    pub fn with_settings(settings: PoolSettings, tasks: TaskTracker) -> Rc<Self> {
        Rc::new(Self {
            settings,
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
            if candidate.sender.is_ready() && self.may_carry(candidate.life) {
                break candidate;
            }
        };
        if !repeatable && clock::monotonic().duration_since(found.since) > MAX_IDLE_UNREPEATABLE {
            idle.push(found);
            return None;
        }
        Some(Lease {
            pool: Rc::clone(self),
            life: found.life.one_more(),
            sender: Sender::Http1(found.sender),
            reused: true,
            local: found.local,
            remote: found.remote,
        })
    }

    // The oldest with room: the younger ones can grow old and end.
    fn checkout_http2(self: &Rc<Self>) -> Option<Lease> {
        let mut shared = self.shared.borrow_mut();
        shared.retain(|one| {
            one.sender.can_open() != Err(OpenError::Closed) && self.may_carry(one.life)
        });
        let most = self.settings.max_concurrent_streams.unwrap_or(u32::MAX);
        let has_room = |one: &&mut Shared| {
            one.sender.can_open().is_ok() && one.sender.open_streams() < most as usize
        };
        let found = shared.iter_mut().find(has_room)?;
        found.life = found.life.one_more();
        found.used = clock::monotonic();
        Some(Lease {
            pool: Rc::clone(self),
            life: found.life,
            sender: Sender::Http2(found.sender.clone()),
            reused: true,
            local: found.local,
            remote: found.remote,
        })
    }

    // Whether the policy lets a connection carry one more request.
    fn may_carry(&self, life: Life) -> bool {
        let settings = &self.settings;
        let worn = settings
            .max_requests_per_connection
            .is_some_and(|most| life.requests >= most);
        let old = settings
            .max_connection_duration
            .is_some_and(|age| clock::monotonic().saturating_duration_since(life.born) >= age);
        !worn && !old
    }

    /// Waits for its turn to open an HTTP/2 connection; [`Self::checkout`] may then find the
    /// one that another opened.
    pub async fn opening(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.opening.lock().await
    }

    /// Begins HTTP on a new connection.
    pub fn begin(self: &Rc<Self>, stream: Stream, version: Version) -> Lease {
        let (local, remote) = (stream.local_addr(), stream.peer_addr());
        let life = Life {
            born: clock::monotonic(),
            requests: 1,
        };
        let sender = match version {
            Version::Http1 => Sender::Http1(http1::connect(stream, &self.tasks)),
            Version::Http2 => {
                let sender = http2::connect(stream, self.opening_settings(), &self.tasks);
                self.shared.borrow_mut().push(Shared {
                    sender: sender.clone(),
                    used: life.born,
                    life,
                    local,
                    remote,
                });
                Sender::Http2(sender)
            }
        };
        Lease {
            pool: Rc::clone(self),
            sender,
            life,
            reused: false,
            local,
            remote,
        }
    }

    fn opening_settings(&self) -> Opening {
        let pings = self.settings.http2_keepalive;
        Opening {
            config: Config {
                stream_window: STREAM_WINDOW,
                connection_window: CONNECTION_WINDOW,
                // Servers open none.
                max_streams: 0,
                max_head: MAX_HEAD,
            },
            interval: pings
                .map_or(Some(PING), |pings| pings.interval)
                .unwrap_or(Duration::MAX),
            timeout: pings.map_or(PING_TIMEOUT, |pings| pings.timeout),
        }
    }

    /// Closes connections that are idle for too long or broken. Returns whether any is left.
    pub fn sweep(&self, now: Instant) -> bool {
        let mut idle = self.idle.borrow_mut();
        let most = self.settings.http_idle_timeout.unwrap_or(MAX_IDLE);
        idle.retain(|one| {
            let silent = now.saturating_duration_since(one.since);
            one.sender.is_ready() && silent < most && self.may_carry(one.life)
        });
        if idle.is_empty() {
            *idle = Vec::new();
        }
        let mut shared = self.shared.borrow_mut();
        shared.retain(|one| one.sender.can_open() != Err(OpenError::Closed));
        // What a burst has opened beside the first is closed again once it is idle.
        let most = self.settings.http_idle_timeout.unwrap_or(MAX_IDLE_SHARED);
        let mut kept = 0;
        shared.retain_mut(|one| {
            if one.sender.open_streams() > 0 {
                one.used = now;
            }
            kept += 1;
            let silent = now.saturating_duration_since(one.used);
            silent.is_zero() || kept == 1 && silent < most
        });
        !idle.is_empty() || !shared.is_empty()
    }

    /// Forgets all connections: what runs on them finishes, nothing new begins.
    pub fn clear(&self) {
        self.idle.borrow_mut().clear();
        self.shared.borrow_mut().clear();
    }

    fn put_back(
        &self,
        sender: http1::Handle,
        life: Life,
        (local, remote): (Option<SocketAddr>, Option<SocketAddr>),
    ) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MAX_IDLE_CONNECTIONS && self.may_carry(life) {
            if idle.is_empty() {
                // Most servers are called by one at a time.
                idle.reserve_exact(1);
            }
            idle.push(Idle {
                sender,
                life,
                since: clock::monotonic(),
                local,
                remote,
            });
        }
    }
}

// === impl Life ===

impl Life {
    fn one_more(self) -> Self {
        Self {
            requests: self.requests.saturating_add(1),
            ..self
        }
    }
}

// === impl Waiting ===

impl Waiting {
    /// The head of the response.
    ///
    /// # Errors
    /// [`SendError`]; it says whether the server saw anything of the request.
    pub fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<Incoming>, SendError>> {
        match self {
            Self::Http1(waiting) => waiting.poll_answer(cx).map_err(|error| SendError {
                error: error.into(),
                unsent: false,
            }),
            Self::Http2(waiting) => waiting.poll_answer(cx).map_err(SendError::from),
        }
    }
}

// The server did nothing with the request (RFC 9113 section 8.7).
const REFUSED: StreamError = StreamError::Reset(ErrorCode::REFUSED_STREAM);

const STREAM_WINDOW: u32 = 256 * 1024;
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;
const MAX_HEAD: u32 = 128 * 1024;
const PING: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

// === impl Lease ===

impl Lease {
    /// The version that the connection speaks.
    pub fn version(&self) -> Version {
        match self.sender {
            Sender::Http1(_) => Version::Http1,
            Sender::Http2(_) => Version::Http2,
        }
    }

    /// Sends a request. What is not there yet of its body follows when it comes.
    ///
    /// # Errors
    /// [`SendError`]; it says whether the server saw anything of the request.
    pub fn begin(&self, request: Request<RequestBody>) -> Result<Waiting, SendError> {
        match &self.sender {
            Sender::Http1(sender) => {
                let begun = sender.begin(request).map(Waiting::Http1);
                begun.map_err(|(error, unsent)| SendError {
                    error: error.into(),
                    unsent,
                })
            }
            Sender::Http2(sender) => Ok(Waiting::Http2(sender.begin(request)?)),
        }
    }

    /// Gives the connection back after the response has ended.
    pub fn release(self) {
        let Self {
            pool,
            sender: Sender::Http1(sender),
            life,
            local,
            remote,
            ..
        } = self
        else {
            return;
        };
        // If the server answered before it had the whole request, the rest of it is sent on, and
        // the connection then closed.
        if sender.is_over() {
            pool.put_back(sender, life, (local, remote));
        }
    }
}

// === impl SendError ===

impl From<StreamError> for SendError {
    fn from(error: StreamError) -> Self {
        Self {
            unsent: matches!(error, StreamError::Unprocessed | REFUSED),
            error: error.into(),
        }
    }
}

impl SendError {
    /// Whether the connection ended before a byte of the response: it was most likely being
    /// closed while it was idle.
    pub fn is_stale(&self) -> bool {
        self.unsent
            || match &self.error {
                TransportError::Http1(error) => is_broken(error),
                TransportError::Http2(error) => *error == StreamError::Disconnected,
            }
    }

    /// The cause, as clients, logs and metrics are told.
    pub fn reason(&self) -> Reason {
        match &self.error {
            TransportError::Http2(StreamError::Reset(_)) => Reason::UpstreamReset,
            TransportError::Http2(StreamError::Broken(_)) => Reason::UpstreamProtocolError,
            TransportError::Http1(MessageError::Malformed(_)) => Reason::UpstreamProtocolError,
            _ => Reason::UpstreamConnectionClosed,
        }
    }

    /// Whether the server did nothing with the request and said so (RFC 9113 section 8.7).
    pub fn is_refused(&self) -> bool {
        matches!(self.error, TransportError::Http2(REFUSED))
    }
}

fn is_broken(error: &MessageError) -> bool {
    match error {
        MessageError::Closed | MessageError::Incomplete => true,
        MessageError::Io(error) => matches!(
            error.kind(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::ConnectionAborted
        ),
        MessageError::GivenUp | MessageError::Malformed(_) => false,
    }
}
