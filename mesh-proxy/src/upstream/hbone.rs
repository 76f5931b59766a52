//! Connections that go through the endpoint's proxy, by HTTP/2 CONNECT over the mesh's mutual TLS
//! (HBONE). Those to one proxy share a connection.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use http::response::Parts;
use mesh_proxy_core::http2::{Config, OpenError};
use mesh_proxy_core::plan::hbone;
use tokio_util::task::TaskTracker;

use super::{Connector, DialError};
use crate::clock;
use crate::http::headers::X_MESH_REASON;
use crate::http2::{self, Ends, Handle, Opening, StreamError, Tunnel};
use crate::identity::Identity;
use crate::net::{ConnectError, Stream};
use crate::telemetry::TlsSide;
use crate::tls::{self, Alpn, Expect};

/// Tunnels that share a connection. As many stalled ones do not fill its window.
const MOST_TUNNELS: usize = 100;

/// Octets of one tunnel that may be under way or unread.
pub const TUNNEL_WINDOW: u32 = 256 * 1024;
/// Those of all tunnels of a connection.
pub const CONNECTION_WINDOW: u32 = 32 * 1024 * 1024;
/// Largest head of a CONNECT or of its answer.
pub const MAX_HEAD: u32 = 16 * 1024;

// Notices proxies that are gone without a word.
const PING: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(20);

// How long a connection without tunnels is kept.
const MAX_IDLE: Duration = Duration::from_secs(90);

/// The connections that tunnels share.
pub(super) struct Tunnels {
    proxies: RefCell<HashMap<Key, Rc<Proxy>>>,
    tasks: TaskTracker,
}

/// A proxy, and who it has proved to be.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    address: SocketAddr,
    expect: Expect,
}

#[derive(Default)]
struct Proxy {
    open: RefCell<Vec<Shared>>,
    // Held while a connection is opened, so that all wait for the same.
    opening: tokio::sync::Mutex<()>,
}

struct Shared {
    handle: Handle,
    // New tunnels go over connections made with the present certificate.
    identity: Arc<Identity>,
    local: Option<SocketAddr>,
    used: Instant,
}

// === impl Tunnels ===

impl Tunnels {
    pub(super) fn new(tasks: TaskTracker) -> Self {
        Self {
            proxies: RefCell::default(),
            tasks,
        }
    }

    /// What their connections' tasks belong to.
    pub(super) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    /// Closes connections that nobody uses.
    pub(super) fn sweep(&self, now: Instant) {
        self.proxies.borrow_mut().retain(|_, proxy| {
            let mut open = proxy.open.borrow_mut();
            open.retain_mut(|shared| {
                if shared.handle.open_streams() > 0 {
                    shared.used = now;
                }
                shared.handle.can_open() != Err(OpenError::Closed)
                    && now.saturating_duration_since(shared.used) < MAX_IDLE
            });
            !open.is_empty() || Rc::strong_count(proxy) > 1
        });
    }

    fn proxy(&self, address: SocketAddr, expect: &Expect) -> Rc<Proxy> {
        let key = Key {
            address,
            expect: expect.clone(),
        };
        Rc::clone(self.proxies.borrow_mut().entry(key).or_default())
    }
}

// === impl Proxy ===

impl Proxy {
    // The oldest with room: the younger ones can end.
    fn checkout(&self, identity: &Arc<Identity>) -> Option<(Handle, Option<SocketAddr>)> {
        let mut open = self.open.borrow_mut();
        open.retain(|shared| {
            shared.handle.can_open() != Err(OpenError::Closed)
                && Arc::ptr_eq(&shared.identity, identity)
        });
        let shared = open.iter_mut().find(|shared| {
            shared.handle.can_open().is_ok() && shared.handle.open_streams() < MOST_TUNNELS
        })?;
        shared.used = clock::monotonic();
        Some((shared.handle.clone(), shared.local))
    }

    // Nothing new goes over connections that do not answer.
    fn forget(&self) {
        self.open.borrow_mut().clear();
    }
}

// === impl Connector ===

impl Connector {
    /// Opens a tunnel to `to` through the proxy at `proxy`.
    ///
    /// # Errors
    /// [`DialError`].
    pub(super) async fn tunnel(
        &self,
        to: SocketAddr,
        proxy: SocketAddr,
        expect: &Expect,
        deadline: Instant,
    ) -> Result<Stream, DialError> {
        let known = self.tunnels.proxy(proxy, expect);
        let open = self.tunnel_through(&known, to, (proxy, expect), deadline);
        match tokio::time::timeout_at(deadline.into(), open).await {
            Ok(result) => result,
            Err(_) => {
                known.forget();
                Err(DialError::Connect(ConnectError::Timeout {
                    to: proxy.to_string(),
                }))
            }
        }
    }

    async fn tunnel_through(
        &self,
        known: &Proxy,
        to: SocketAddr,
        (proxy, expect): (SocketAddr, &Expect),
        deadline: Instant,
    ) -> Result<Stream, DialError> {
        let baggage: Option<HeaderValue> = hbone::baggage(&self.own_labels);
        let head = hbone::request(to, baggage.as_ref());
        let mut again = true;
        loop {
            let (handle, local) = self
                .shared_connection(known, (proxy, expect), deadline)
                .await?;
            match handle.tunnel(&head).await {
                Ok(Ok(tunnel)) => return Ok(connection(tunnel, local, to)),
                Ok(Err(answer)) => {
                    return Err(DialError::Hbone {
                        proxy,
                        problem: refusal(&answer),
                    });
                }
                // The proxy was about to close the connection, nothing went through yet.
                Err(StreamError::Unprocessed | StreamError::Disconnected) if again => {
                    again = false;
                }
                Err(error) => {
                    return Err(DialError::Hbone {
                        proxy,
                        problem: error.to_string(),
                    });
                }
            }
        }
    }

    async fn shared_connection(
        &self,
        known: &Proxy,
        (proxy, expect): (SocketAddr, &Expect),
        deadline: Instant,
    ) -> Result<(Handle, Option<SocketAddr>), DialError> {
        let identity = || {
            self.shared
                .identity
                .current()
                .ok_or(DialError::NoCertificate)
        };
        if let Some(found) = known.checkout(&identity()?) {
            return Ok(found);
        }
        let _turn = known.opening.lock().await;
        let identity = identity()?;
        if let Some(found) = known.checkout(&identity) {
            return Ok(found);
        }
        let left = || deadline.saturating_duration_since(clock::monotonic());
        let stream = self.connect(proxy, left()).await?;
        let config = identity
            .client(Alpn::Hbone, expect)
            .map_err(DialError::Config)?;
        // An address is no server name: none is sent, as ztunnel expects.
        let name = proxy.ip().to_string();
        let stream = self.finish(
            TlsSide::Client,
            tls::connect(stream, config, &name, left()).await,
        )?;
        let local = stream.local_addr();
        let handle = http2::connect(stream, opening(), &self.tunnels.tasks);
        known.open.borrow_mut().push(Shared {
            handle: handle.clone(),
            identity,
            local,
            used: clock::monotonic(),
        });
        Ok((handle, local))
    }
}

fn connection(tunnel: Tunnel, local: Option<SocketAddr>, to: SocketAddr) -> Stream {
    tunnel.between(Ends {
        local,
        remote: Some(to),
    })
}

fn refusal(answer: &Parts) -> String {
    let reason = answer.headers.get(X_MESH_REASON);
    match reason.and_then(|reason| reason.to_str().ok()) {
        Some(reason) => format!("{} ({reason})", answer.status),
        None => answer.status.to_string(),
    }
}

/// What a connection that carries tunnels is opened with.
pub(super) fn opening() -> Opening {
    Opening {
        config: Config {
            stream_window: TUNNEL_WINDOW,
            connection_window: CONNECTION_WINDOW,
            // Servers open none.
            max_streams: 0,
            max_head: MAX_HEAD,
        },
        interval: PING,
        timeout: PING_TIMEOUT,
    }
}
