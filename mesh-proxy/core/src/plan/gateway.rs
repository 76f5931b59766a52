//! Connections and requests that a gateway accepted.

use std::sync::Arc;

use ::http::request::Parts;
use mesh_api::{Hostname, ResourceName};
use rand::Rng;
use smallvec::SmallVec;

use super::forwarded::forwarded_scheme;
use super::outbound::pick_tcp;
use super::{Found, HttpPlan, Lookup, Step, TcpChoice, TcpPlan, authorize, decide_http};
use crate::authz::{Asked, Caller, Verdict};
use crate::filter;
use crate::ir::{GatewayListener, Inside, ListenerId, TlsServer};
use crate::reason::Reason;
use crate::route::{self, Observe, RequestView};
use crate::snapshot::Snapshot;

/// Where a connection reached a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayPoint<'a> {
    /// The listener.
    pub listener: ListenerId,
    /// What the connection speaks.
    pub over: Over<'a>,
}

/// What a connection to a gateway speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Over<'a> {
    /// No TLS.
    Plain,
    /// TLS.
    Tls {
        /// The server name that the client asks for, lower case.
        sni: Option<&'a str>,
    },
}

// === impl GatewayPoint ===

impl From<u16> for GatewayPoint<'_> {
    /// Plain text on the port.
    fn from(port: u16) -> Self {
        ListenerId::from(port).into()
    }
}

impl From<ListenerId> for GatewayPoint<'_> {
    /// Plain text on the listener.
    fn from(listener: ListenerId) -> Self {
        Self {
            listener,
            over: Over::Plain,
        }
    }
}

impl GatewayPoint<'_> {
    /// `http` or `https`.
    pub const fn scheme(&self) -> &'static str {
        match self.over {
            Over::Plain => "http",
            Over::Tls { .. } => "https",
        }
    }

    fn listener<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s GatewayListener> {
        snapshot.gateway()?.listeners.get(&self.listener)
    }

    /// Whether a connection for this host would meet another server: clients with HTTP/2 use one
    /// connection for all hosts of its certificate, unless they are told (RFC 9110 section 7.4).
    fn is_elsewhere(&self, snapshot: &Snapshot, host: &str) -> bool {
        let (Some(server), Some(listener)) = (self.server(snapshot), self.listener(snapshot))
        else {
            return false;
        };
        let other = listener.tls.find(Some(host));
        other.is_some_and(|other| !Arc::ptr_eq(server, other))
    }

    fn server<'s>(&self, snapshot: &'s Snapshot) -> Option<&'s Arc<TlsServer>> {
        match self.over {
            Over::Plain => None,
            Over::Tls { sni } => self.listener(snapshot)?.tls.find(sni),
        }
    }
}

/// The server of TLS that takes a connection. None: the connection is closed.
pub fn gateway_server<'s>(
    snapshot: &'s Snapshot,
    point: &GatewayPoint<'_>,
) -> Option<&'s Arc<TlsServer>> {
    point.server(snapshot)
}

/// Decides about one request, whose head is cleaned: what proxies say in it that nobody trusts is
/// gone.
pub fn gateway_http<'a>(
    snapshot: &Snapshot,
    point: impl Into<GatewayPoint<'a>>,
    request: &Parts,
    rng: &mut (impl Rng + ?Sized),
) -> Step<HttpPlan> {
    let point = point.into();
    let scheme = forwarded_scheme(&request.headers).unwrap_or(point.scheme());
    let view = RequestView::in_form(request, snapshot.mesh().path_form).by_scheme(scheme);
    let found = match lookup_gateway(snapshot, &point, &view, &mut ()) {
        Ok(found) => found,
        Err(name) => return Step::Need(name),
    };
    let called = point
        .listener(snapshot)
        .map_or(point.listener.port, GatewayListener::called_port);
    Step::Ready(decide_http(snapshot, &found, &view, called, rng))
}

pub(crate) fn lookup_gateway<'s>(
    snapshot: &'s Snapshot,
    point: &GatewayPoint<'_>,
    request: &RequestView<'_>,
    observe: &mut impl Observe,
) -> Lookup<'s> {
    if snapshot.gateway().is_none() {
        return Err(ResourceName::Gateway);
    }
    let Ok(host) = filter::without_port(request.authority()).parse::<Hostname>() else {
        return Ok(Found::HostInvalid);
    };
    let hosts = match point.over {
        Over::Plain => point.listener(snapshot).map(|listener| &listener.hosts),
        Over::Tls { .. } => match point.server(snapshot).map(|server| &server.inside) {
            Some(Inside::Http(hosts)) => Some(hosts),
            Some(Inside::Tcp(_)) | None => None,
        },
    };
    let Some(served) = hosts.and_then(|hosts| hosts.find(host.as_str())) else {
        return Ok(if point.is_elsewhere(snapshot, host.as_str()) {
            Found::Misdirected
        } else {
            Found::NoRoute
        });
    };
    if served.https_redirect && request.scheme() != "https" {
        return Ok(Found::HttpsRedirect);
    }
    Ok(route::select(&served.http, request, observe).map_or(Found::NoRoute, Found::Route))
}

/// Decides about a connection of opaque bytes: what is inside TLS that the gateway has ended, what
/// is passed through to the destination, or what came without TLS.
pub fn gateway_tcp<'a>(
    snapshot: &Snapshot,
    point: impl Into<GatewayPoint<'a>>,
    rng: &mut (impl Rng + ?Sized),
) -> TcpPlan {
    let choice = choose_gateway_tcp(snapshot, &point.into());
    pick_tcp(snapshot, &choice, rng)
}

pub(crate) fn choose_gateway_tcp<'s>(
    snapshot: &'s Snapshot,
    point: &GatewayPoint<'_>,
) -> TcpChoice<'s> {
    let routes = match point.over {
        Over::Plain => point.listener(snapshot).map(|listener| &listener.tcp),
        Over::Tls { .. } => match point.server(snapshot).map(|server| &server.inside) {
            Some(Inside::Tcp(routes)) => Some(routes),
            Some(Inside::Http(_)) | None => None,
        },
    };
    match routes.and_then(|routes| routes.first()) {
        Some(route) => TcpChoice::Route {
            destinations: &route.destinations,
            origin: route.origin.as_ref(),
        },
        None => TcpChoice::Refuse(Reason::RouteNotFound),
    }
}

/// Which external authorizers a gateway has to ask about a request, or about a connection of
/// opaque bytes. They come before [`gateway_authorize`].
pub fn gateway_ask(
    snapshot: &Snapshot,
    caller: &Caller<'_>,
    request: Option<&Parts>,
) -> SmallVec<[Asked; 1]> {
    let policies = snapshot.gateway().map(|gateway| &gateway.policies);
    super::ask(snapshot, policies, caller, request, &mut ())
}

/// Whether a gateway may serve a request.
pub fn gateway_authorize(snapshot: &Snapshot, caller: &Caller<'_>, request: &Parts) -> Verdict {
    authorize_at_gateway(snapshot, caller, Some(request))
}

/// Whether a gateway may serve a connection of opaque bytes.
pub fn gateway_authorize_tcp(snapshot: &Snapshot, caller: &Caller<'_>) -> Verdict {
    authorize_at_gateway(snapshot, caller, None)
}

fn authorize_at_gateway(
    snapshot: &Snapshot,
    caller: &Caller<'_>,
    request: Option<&Parts>,
) -> Verdict {
    authorize(
        snapshot,
        snapshot.gateway().map(|gateway| &gateway.policies),
        caller,
        request,
        &mut (),
    )
}
