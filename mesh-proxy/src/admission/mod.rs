//! What the proxy lets in besides authorization: rates, and no more than the server can do.

mod overload;
mod rates;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use mesh_api::SpiffeId;
use mesh_proxy_core::Reason;
use mesh_proxy_core::filter::LocalResponse;
use mesh_proxy_core::ir::{self, RateLimit, Subject};
use mesh_proxy_core::route::RequestView;

use crate::clock;
use crate::http::{Exchange, ResponseBody, respond};
use crate::shared::Shared;
pub use overload::{Gate, Permit};
use rates::{Rates, RouteRates};

const X_ENVOY_RATELIMITED: HeaderName = HeaderName::from_static("x-envoy-ratelimited");
// draft-ietf-httpapi-ratelimit-headers-03, as Envoy and many gateways send them.
const RATELIMIT_LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const RATELIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RATELIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// The state of limits, over all workers: a configured number is the number of the whole proxy.
#[derive(Default)]
pub struct Admission {
    rates: Rates,
    routes: RouteRates,
    gates: overload::Gates,
}

/// Who asks to be let in.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    /// The identity that the caller proved.
    pub identity: Option<&'a SpiffeId>,
    /// Its address.
    pub source: IpAddr,
    /// Port of the workload or listener.
    pub port: u16,
}

/// Why a request is not let in.
pub enum Refused {
    /// A rate is exceeded.
    Rate {
        /// Which.
        limit: Arc<RateLimit>,
        /// Until the next one may come.
        seconds: u64,
    },
    /// There is more to do than the server can.
    Overload,
}

// === impl Admission ===

impl Admission {
    /// The requests under way on a port.
    pub fn gate(&self, port: u16) -> Arc<Gate> {
        self.gates.of(port)
    }

    /// Whether one more connection may come.
    ///
    /// # Errors
    /// The rate that it exceeds.
    pub fn connection(
        &self,
        shared: &Shared,
        policy: &ir::Admission,
        asker: Asker<'_>,
    ) -> Result<(), Arc<RateLimit>> {
        if policy.limits.is_empty() {
            return Ok(());
        }
        let subject = asker.about(None);
        self.rates
            .check(shared, &policy.limits, &subject)
            .map_err(|(limit, _)| limit)
    }

    /// Lets a request in: within all rates, and if the server can do more. What is given counts
    /// it until its answer begins.
    ///
    /// # Errors
    /// Why it must not come in.
    pub fn request(
        &self,
        shared: &Shared,
        policy: &ir::Admission,
        (gate, adapts): (&Arc<Gate>, bool),
        (asker, parts): (Asker<'_>, &Parts),
    ) -> Result<Permit, Refused> {
        if !policy.limits.is_empty() {
            let view = RequestView::new(parts);
            let subject = asker.about(Some(&view));
            let checked = self.rates.check(shared, &policy.limits, &subject);
            checked.map_err(Refused::rate)?;
        }
        let adapts = policy.overload.adaptive.unwrap_or(adapts);
        let probe = is_health_probe(parts);
        let permit = gate.admit((&policy.overload, adapts), probe, clock::monotonic());
        let stages = &shared.telemetry.stages.resilience;
        match permit {
            Some(permit) => Ok(permit),
            None if policy.overload.shadow => {
                stages.overloaded(true);
                Ok(Permit::uncounted())
            }
            None => {
                stages.overloaded(false);
                Err(Refused::Overload)
            }
        }
    }

    /// Whether a request is within the rates of its route.
    ///
    /// # Errors
    /// The rate that it exceeds.
    pub fn route(
        &self,
        shared: &Shared,
        limits: &[Arc<RateLimit>],
        (source, parts): (IpAddr, &Parts),
    ) -> Result<(), Refused> {
        let view = RequestView::new(parts);
        // Who calls is either this workload, or a client of the gateway without an identity.
        let subject = Subject {
            identity: None,
            source,
            port: 0,
            request: Some(&view),
        };
        let checked = self.routes.check(shared, limits, &subject);
        checked.map_err(Refused::rate)
    }
}

// === impl Asker ===

impl<'a> Asker<'a> {
    fn about(self, request: Option<&'a RequestView<'a>>) -> Subject<'a> {
        Subject {
            identity: self.identity,
            source: self.source,
            port: self.port,
            request,
        }
    }
}

// === impl Refused ===

impl Refused {
    fn rate((limit, after): (Arc<RateLimit>, Duration)) -> Self {
        Self::Rate {
            limit,
            seconds: after.as_secs() + u64::from(after.subsec_nanos() > 0),
        }
    }

    /// The answer.
    pub fn answer(&self, exchange: Box<Exchange>) -> Response<ResponseBody> {
        let grpc = exchange.is_grpc();
        let local = match self {
            Self::Overload => respond::failure(Reason::ServerOverloaded, "", grpc),
            Self::Rate { limit, seconds } => rate_limited(limit, *seconds, grpc),
        };
        respond::send(local, exchange)
    }
}

fn rate_limited(limit: &RateLimit, seconds: u64, grpc: bool) -> LocalResponse {
    // Envoy's words, then whose limit it was.
    let body = format!("local_rate_limited: {} {}", limit.policy, limit.name);
    let reason = Reason::RateLimited;
    let mut local = LocalResponse::new(reason, reason.status(), Bytes::from(body), grpc);
    let headers: &mut HeaderMap = &mut local.headers;
    headers.insert(RETRY_AFTER, HeaderValue::from(seconds.max(1)));
    headers.insert(RATELIMIT_LIMIT, HeaderValue::from(limit.rate.amount));
    headers.insert(RATELIMIT_REMAINING, HeaderValue::from(0));
    headers.insert(RATELIMIT_RESET, HeaderValue::from(seconds.max(1)));
    headers.insert(X_ENVOY_RATELIMITED, HeaderValue::from_static("true"));
    for (name, value) in &limit.response_headers {
        headers.insert(name.clone(), value.clone());
    }
    local
}

/// Whether a request only asks how the server is. A few of those get in when others do not: a
/// server that is held to be dead because it is busy leaves its work to others, who are then
/// busier still.
fn is_health_probe(parts: &Parts) -> bool {
    let agent = parts.headers.get(http::header::USER_AGENT);
    let agent = agent.map(HeaderValue::as_bytes).unwrap_or_default();
    agent.starts_with(b"kube-probe/")
        || agent.starts_with(crate::upstream::HEALTH_CHECKER.as_bytes())
        || agent.starts_with(b"Envoy/HC")
        || parts.uri.path() == "/grpc.health.v1.Health/Check"
}
