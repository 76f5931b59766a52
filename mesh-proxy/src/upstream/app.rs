//! The application beside this proxy.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Response};
use http_body::Body as _;
use mesh_proxy_core::Reason;
use mesh_proxy_core::ir::Cluster;

use super::pool::Pool;
use super::send::{Failed, Origin, Sending};
use super::{Allowed, Count, Delivery, DialError, Member, Target, Tracking, Upstreams};
use crate::clock;
use crate::http::headers::{Hop, X_MESH_UNPROCESSED};
use crate::http::upgrade::OnUpgrade;
use crate::http::{BodySource, Exchange, Incoming, ResponseBody, Version, respond};
use crate::net::Dialer;
use crate::worker::Worker;

pub use mesh_proxy_core::plan::APP_CONNECT;

/// A request for the application. Boxed where it is handed on: futures keep room for their
/// arguments.
pub struct AppCall {
    /// How it gets there.
    pub way: AppWay,
    /// What the application speaks.
    pub version: Version,
    /// The request's head.
    pub parts: Parts,
    /// The request's body.
    pub incoming: Incoming,
    /// What the removed hop-by-hop fields said.
    pub hop: Hop,
    /// The request's record.
    pub exchange: Box<Exchange>,
}

/// How requests get to the application.
#[derive(Clone)]
pub enum AppWay {
    /// To its address.
    Direct {
        /// Open connections to it.
        pool: Rc<Pool>,
        /// The address.
        address: std::net::SocketAddr,
        /// How it is called.
        dialer: Dialer,
    },
    /// To the one endpoint of a cluster, within its limits.
    Target(Rc<Target>),
}

// A way that a request has leave to take.
enum Leave {
    Direct {
        pool: Rc<Pool>,
        address: std::net::SocketAddr,
        dialer: Dialer,
    },
    Limited {
        allowed: Allowed,
        member: Rc<Member>,
        connect_timeout: Duration,
    },
}

/// Sends a request to the application. A connection that the application closed while it was
/// idle costs a second try, not a failure. An application that cannot be reached is told to the
/// caller's proxy as such: it may try another endpoint.
pub async fn call_app(worker: &Rc<Worker>, mut call: Box<AppCall>) -> Response<ResponseBody> {
    let upgrade = call
        .parts
        .extensions
        .remove::<OnUpgrade>()
        .filter(|_| call.hop.upgrade.is_some());
    let incoming = std::mem::replace(&mut call.incoming, Incoming::Empty);
    let body = (!incoming.is_end_stream()).then(|| BodySource::new(incoming));
    if let Some(body) = &body {
        call.exchange.set_body(body.clone());
    }
    let leave = match Leave::take(&call.way) {
        Ok(leave) => leave,
        Err(reason) => return respond::fail(reason, "", call.exchange),
    };
    let (pool, origin) = leave.origin();
    let sending = Sending {
        worker,
        pool,
        origin,
        version: if upgrade.is_some() {
            Version::Http1
        } else {
            call.version
        },
        repeatable: call.parts.method.is_idempotent() && upgrade.is_none(),
        head: &call.parts,
        body: body.as_ref(),
        hop: &call.hop,
    };
    let sent_at = clock::monotonic();
    let mut tracking = Tracking::none();
    let sent = async {
        if sending.version == Version::Http1 {
            let turn = leave.turn().await.map_err(DialError::Limit);
            tracking.hold(turn.map_err(Failed::Dial)?);
        }
        sending.send().await
    };
    let sent = sent.await;
    tracking.hold(leave.into_count());
    let mut exchange = call.exchange;
    match sent {
        Ok(answer) => {
            exchange.upstream.service_time = Some(clock::monotonic().duration_since(sent_at));
            exchange.upstream.local = answer.lease.local;
            let delivery = Delivery {
                exchange,
                upgrade,
                tracking,
                deadline: None,
            };
            // Only this proxy may say that the application got nothing.
            delivery.respond(worker, answer, |parts| {
                parts.headers.remove(X_MESH_UNPROCESSED);
            })
        }
        Err(failed) => fail(failed, body.as_ref(), exchange),
    }
}

fn fail(
    failed: Failed,
    body: Option<&BodySource>,
    mut exchange: Box<Exchange>,
) -> Response<ResponseBody> {
    match failed {
        // Another endpoint would not be asked, either: there is enough to do.
        Failed::Dial(DialError::Limit(reason)) => respond::fail(reason, "", exchange),
        Failed::Dial(error) => {
            exchange.upstream.failure = Some(error.to_string());
            let mut response = respond::fail(Reason::UpstreamConnectFailure, "", exchange);
            response
                .headers_mut()
                .insert(X_MESH_UNPROCESSED, HeaderValue::from_static("1"));
            response
        }
        Failed::Send(_) if body.is_some_and(BodySource::client_failed) => {
            respond::fail(Reason::DownstreamDisconnected, "", exchange)
        }
        Failed::Send(failed) => {
            exchange.upstream.failure = Some(failed.error.to_string());
            respond::fail(failed.reason(), "", exchange)
        }
    }
}

// === impl Leave ===

impl Leave {
    fn take(way: &AppWay) -> Result<Self, Reason> {
        Ok(match way {
            AppWay::Direct {
                pool,
                address,
                dialer,
            } => Self::Direct {
                pool: Rc::clone(pool),
                address: *address,
                dialer: *dialer,
            },
            AppWay::Target(target) => Self::Limited {
                allowed: target.admit()?,
                member: target.only()?,
                connect_timeout: target.connect_timeout(),
            },
        })
    }

    fn origin(&self) -> (&Rc<Pool>, Origin<'_>) {
        match self {
            Self::Direct {
                pool,
                address,
                dialer,
            } => (pool, Origin::App(*address, *dialer)),
            Self::Limited {
                member,
                connect_timeout,
                ..
            } => (&member.pool, Origin::Endpoint(member, *connect_timeout)),
        }
    }

    // Waits until the request may have a connection of its own, as HTTP/1 needs it.
    async fn turn(&self) -> Result<Option<Count>, Reason> {
        match self {
            Self::Direct { .. } => Ok(None),
            Self::Limited { allowed, .. } => allowed.turn().await,
        }
    }

    fn into_count(self) -> Option<Count> {
        match self {
            Self::Direct { .. } => None,
            Self::Limited { allowed, .. } => allowed.into_count(),
        }
    }
}

// === impl Upstreams ===

impl Upstreams {
    /// The same cluster as before, if it has not changed.
    pub fn app_cluster(&self, cluster: Cluster) -> Arc<Cluster> {
        let mut known = self.app_clusters.borrow_mut();
        if let Some(known) = known.get(&cluster.id).filter(|known| ***known == cluster) {
            return Arc::clone(known);
        }
        let cluster = Arc::new(cluster);
        known.insert(cluster.id.clone(), Arc::clone(&cluster));
        cluster
    }

    /// The state of such a cluster, brought up to date.
    pub fn app_target(&self, cluster: &Arc<Cluster>) -> Rc<Target> {
        self.known_target(cluster, clock::monotonic())
    }
}
