//! The application beside this proxy.

use std::rc::Rc;
use std::time::Duration;

use http::request::Parts;
use http::{HeaderValue, Response};
use http_body::Body as _;
use hyper::upgrade::OnUpgrade;
use mesh_proxy_core::Reason;

use super::pool::Pool;
use super::send::{Failed, Origin, Sending};
use super::{Delivery, Tracking};
use crate::clock;
use crate::http::headers::{Hop, X_MESH_UNPROCESSED};
use crate::http::{BodySource, Exchange, Incoming, ResponseBody, Version, respond};
use crate::net::Dialer;
use crate::worker::Worker;

/// Time to connect to the application (Istio's inbound clusters: 10 s).
pub const APP_CONNECT: Duration = Duration::from_secs(10);

/// A request for the application.
pub struct AppCall {
    /// Open connections to it.
    pub pool: Rc<Pool>,
    /// Where it is.
    pub address: std::net::SocketAddr,
    /// How it is called.
    pub dialer: Dialer,
    /// What it speaks.
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

/// Sends a request to the application. A connection that the application closed while it was
/// idle costs a second try, not a failure. An application that cannot be reached is told to the
/// caller's proxy as such: it may try another endpoint.
pub async fn call_app(worker: &Rc<Worker>, call: AppCall) -> Response<ResponseBody> {
    let AppCall {
        pool,
        address,
        dialer,
        version,
        mut parts,
        incoming,
        hop,
        mut exchange,
    } = call;
    let client_upgrade = parts
        .extensions
        .remove::<OnUpgrade>()
        .filter(|_| hop.upgrade.is_some());
    let body = (!incoming.is_end_stream()).then(|| BodySource::new(incoming));
    if let Some(body) = &body {
        exchange.set_body(body.clone());
    }
    let sending = Sending {
        worker,
        pool: &pool,
        origin: Origin::App(address, dialer),
        version: if client_upgrade.is_some() {
            Version::Http1
        } else {
            version
        },
        repeatable: parts.method.is_idempotent() && client_upgrade.is_none(),
        head: &parts,
        body: body.as_ref(),
        hop: &hop,
    };
    let sent_at = clock::monotonic();
    match sending.send().await {
        Ok(answer) => {
            exchange.upstream.service_time = Some(clock::monotonic().duration_since(sent_at));
            exchange.upstream.local = answer.lease.local;
            let delivery = Delivery {
                exchange,
                upgrade: client_upgrade,
                tracking: Tracking::none(),
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
