//! What to do with a connection or a request: the only module that composes the others.
//!
//! Every function answers at once. If a resource is missing, [`Step::Need`] names it: the shell
//! fetches it and asks again with the next snapshot.

pub mod alpn;
mod announce;
mod app;
mod forwarded;
mod gateway;
pub mod hbone;
mod http;
mod inbound;
mod opaque;
mod outbound;
mod tls;
mod version;

use std::sync::Arc;
use std::time::Duration;

use ::http::uri::PathAndQuery;
use mesh_api::{Hostname, ResourceName};

use crate::filter::{CorsGrant, FaultDecision, LocalResponse};
use crate::ir::{Cluster, Destination, HttpRoute, Origin, RetryPolicy};

pub use announce::{
    TunnelAnswer, proxy_header, tunnel_answer, tunnel_head, tunnel_request, tunnels_over_http2,
};
pub use app::{APP_CONNECT, app_cluster, app_is_declared};
pub use forwarded::forwarded_client;
pub use gateway::{
    GatewayPoint, Over, gateway_ask, gateway_authorize, gateway_authorize_tcp, gateway_http,
    gateway_server, gateway_tcp,
};
pub(crate) use gateway::{choose_gateway_tcp, lookup_gateway};
pub(crate) use http::{Found, Lookup, decide_http, lookup_outbound};
pub use http::{apply_request, apply_response, outbound_http};
pub use inbound::{
    Accept, InboundPortPlan, inbound_ask, inbound_connection, inbound_http, inbound_tcp,
    inbound_transport, normalise_path, request_checks, set_params,
};
pub(crate) use inbound::{ask, authorize, set_path};
pub use opaque::{OpaqueVerdict, gateway_opaque, inbound_opaque};
pub(crate) use opaque::{declares_opaque, opaque};
pub use outbound::{
    AddressPlan, TcpAction, TcpPlan, TcpTarget, outbound_address, outbound_destination,
    outbound_tcp,
};
pub(crate) use outbound::{TcpChoice, choose_tcp, pick_tcp};
pub use tls::{PeerName, UpstreamTls, upstream_tls};
pub use version::{Speech, speaks_http2};

/// A decision, or what is missing for it.
#[derive(Clone, Debug)]
pub enum Step<T> {
    /// This resource is missing. Subscribe to it, wait, ask again.
    Need(ResourceName),
    /// Decided.
    Ready(T),
}

/// What to do with one request.
#[derive(Clone, Debug)]
pub struct HttpPlan {
    /// The route that it takes; absent if none matches or nobody declared the destination.
    pub route: Option<Arc<HttpRoute>>,
    /// Faults, before the action: wait for the delay, then answer with the abort.
    pub fault: FaultDecision,
    /// What happens.
    pub action: HttpAction,
    // For the response.
    destination: Option<Arc<Destination>>,
    cors: Option<CorsGrant>,
}

/// What happens with a request.
#[derive(Clone, Debug)]
pub enum HttpAction {
    /// It is sent on.
    Forward(ForwardPlan),
    /// It is answered.
    Respond(Box<LocalResponse>),
    /// It goes where the client asked to go: nobody declared the destination, and the mesh lets
    /// it pass (Istio: ALLOW_ANY). No timeout, no retry, plain.
    Passthrough {
        /// Host that the client asked for.
        host: Hostname,
        /// Port that the client asked for.
        port: u16,
    },
}

/// How a request is sent on.
#[derive(Clone, Debug)]
pub struct ForwardPlan {
    /// To one of these endpoints.
    pub cluster: Arc<Cluster>,
    /// Time for the whole request with all tries.
    pub timeout: Option<Duration>,
    /// Retries; absent is none.
    pub retry: Option<Arc<RetryPolicy>>,
    /// Copies go to these, too; their answers are thrown away.
    pub mirrors: Vec<Arc<Cluster>>,
    route: Option<Arc<HttpRoute>>,
    destination: Option<Arc<Destination>>,
    path: Option<PathAndQuery>,
}

// === impl Step ===

impl<T> Step<T> {
    /// Applies a function to the decision.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Step<U> {
        match self {
            Self::Need(name) => Step::Need(name),
            Self::Ready(decision) => Step::Ready(f(decision)),
        }
    }

    /// The decision, if there is one.
    pub fn ready(self) -> Option<T> {
        match self {
            Self::Need(_) => None,
            Self::Ready(decision) => Some(decision),
        }
    }
}

// === impl HttpPlan ===

impl HttpPlan {
    /// Name of the route for logs, may be empty.
    pub fn route_name(&self) -> &str {
        self.route.as_ref().map_or("", |route| &route.name)
    }

    /// Place of the route in the configuration.
    pub fn origin(&self) -> Option<&Arc<Origin>> {
        self.route.as_ref()?.origin.as_ref()
    }
}

#[cfg(test)]
mod tests;
