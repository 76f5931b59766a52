//! What a proxy lets in, and how it looks after endpoints (kind `ResiliencePolicy`).

use std::hash::Hasher;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method};
use mesh_api::SpiffeId;

use super::{HttpMatch, Origin};
use crate::route::{RequestView, matches, with_field};

/// What a proxy lets in besides authorization.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    /// Rates; whatever is asked for must be within all that match it.
    pub limits: Arc<[Arc<RateLimit>]>,
    /// Protection against overload.
    pub overload: OverloadPolicy,
}

/// A rate of requests or connections.
#[derive(Clone, Debug)]
pub struct RateLimit {
    /// The policy: `<namespace>/<name>`.
    pub policy: Arc<str>,
    /// Name of the limit in the policy.
    pub name: Arc<str>,
    /// Place in the configuration.
    pub origin: Option<Arc<Origin>>,
    /// Connections are counted, not requests.
    pub connections: bool,
    /// Ports that it is for; empty for all.
    pub ports: Box<[u16]>,
    /// Any of these; empty matches everything.
    pub matches: Vec<HttpMatch>,
    /// The rate.
    pub rate: Rate,
    /// By what it is counted; empty counts all together.
    pub keys: Box<[RateKey]>,
    /// Keys counted by themselves at a time.
    pub max_keys: usize,
    /// Only counted, nothing is refused.
    pub shadow: bool,
    /// Header fields of the answer to what is refused.
    pub response_headers: Vec<(HeaderName, HeaderValue)>,
}

/// So many in an interval, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rate {
    /// In each interval; at least 1.
    pub amount: u32,
    /// The interval.
    pub interval: Duration,
    /// At once; at least 1.
    pub burst: u32,
}

/// What a rate is counted by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RateKey {
    /// Value of a header field.
    Header(HeaderName),
    /// Path without the query.
    Path,
    /// Identity of the caller.
    SourceIdentity,
    /// Address of the caller.
    SourceIp,
    /// Method.
    Method,
    /// Host.
    Host,
}

/// What a limit is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// The identity that the caller proved.
    pub identity: Option<&'a SpiffeId>,
    /// Address of the caller.
    pub source: std::net::IpAddr,
    /// Port of the workload or listener.
    pub port: u16,
    /// The request; absent for connections.
    pub request: Option<&'a RequestView<'a>>,
}

/// Early refusal of requests that would only wait.
#[derive(Clone, Debug, PartialEq)]
pub struct OverloadPolicy {
    /// The policy: `<namespace>/<name>`; absent for the proxy's own.
    pub policy: Option<Arc<str>>,
    /// Place in the configuration.
    pub origin: Option<Arc<Origin>>,
    /// Nothing is ever refused.
    pub disabled: bool,
    /// Only counted, nothing is refused.
    pub shadow: bool,
    /// Requests at a time for each port, whatever they take.
    pub max_requests: u32,
    /// So many are let in in any case.
    pub min_requests: u32,
    /// How many times its usual time an answer may take before requests are held to queue.
    pub latency_ratio: f64,
    /// Answers within this time are never held to be slow.
    pub latency_floor: Duration,
    /// Whether the number follows the time that answers take; absent for as usual: that of a
    /// sidecar does, that of a gateway does not.
    pub adaptive: Option<bool>,
}

/// How clients look after the endpoints of a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// The policy: `<namespace>/<name>`.
    pub policy: Arc<str>,
    /// Place in the configuration.
    pub origin: Option<Arc<Origin>>,
    /// What is sent.
    pub probe: Probe,
    /// Time between two checks of an endpoint.
    pub interval: Duration,
    /// Time for an answer.
    pub timeout: Duration,
    /// Part of the interval by which each pause varies, in percent.
    pub jitter_percent: u32,
    /// Failures in a row that take an endpoint out; at least 1.
    pub unhealthy_threshold: u32,
    /// Successes in a row that bring it back; at least 1.
    pub healthy_threshold: u32,
}

/// What a health check sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A request.
    Http {
        /// Method.
        method: Method,
        /// Path with query.
        path: PathAndQuery,
        /// Host; absent for the service's.
        host: Option<HeaderValue>,
        /// Statuses that are good.
        expected: Vec<RangeInclusive<u16>>,
    },
    /// `grpc.health.v1.Health/Check`.
    Grpc {
        /// Service that is asked about; empty for the server as a whole.
        service: Arc<str>,
    },
    /// Nothing: a connection is enough.
    Tcp,
}

// === impl RateLimit ===

impl RateLimit {
    /// Whether it is for connections (without a request), or for this request.
    pub fn takes(&self, subject: &Subject<'_>) -> bool {
        let port = self.ports.is_empty() || self.ports.contains(&subject.port);
        match subject.request {
            _ if !port => false,
            None => self.connections,
            Some(_) if self.connections => false,
            Some(view) => {
                self.matches.is_empty()
                    || self.matches.iter().any(|part| matches(part, view).is_ok())
            }
        }
    }

    /// Writes what it is counted by. A field that is not there counts as an empty one.
    pub fn hash_key(&self, subject: &Subject<'_>, hasher: &mut impl Hasher) {
        let mut part = |bytes: &[u8]| {
            hasher.write_usize(bytes.len());
            hasher.write(bytes);
        };
        let view = subject.request;
        for key in &self.keys {
            match (key, view) {
                (RateKey::Header(name), Some(view)) => {
                    with_field(&view.parts().headers, name, |value| {
                        part(value.unwrap_or_default());
                    });
                }
                (RateKey::Path, Some(view)) => part(view.path().as_bytes()),
                (RateKey::Method, Some(view)) => part(view.method().as_bytes()),
                (RateKey::Host, Some(view)) => {
                    let host = crate::filter::without_port(view.authority());
                    part(host.to_ascii_lowercase().as_bytes());
                }
                (RateKey::SourceIdentity, _) => {
                    part(subject.identity.map_or("", SpiffeId::as_str).as_bytes());
                }
                (RateKey::SourceIp, _) => match subject.source.to_canonical() {
                    std::net::IpAddr::V4(ip) => part(&ip.octets()),
                    std::net::IpAddr::V6(ip) => part(&ip.octets()),
                },
                (RateKey::Header(_) | RateKey::Path | RateKey::Method | RateKey::Host, None) => {}
            }
        }
    }
}

impl std::fmt::Display for RateKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Header(name) => write!(f, "header {name}"),
            Self::Path => f.write_str("path"),
            Self::SourceIdentity => f.write_str("identity of the caller"),
            Self::SourceIp => f.write_str("address of the caller"),
            Self::Method => f.write_str("method"),
            Self::Host => f.write_str("host"),
        }
    }
}

// === impl OverloadPolicy ===

impl OverloadPolicy {
    /// Requests at a time for each port by default: what a proxy can hold with some kilobytes
    /// for each.
    pub const MAX_REQUESTS: u32 = 16_384;
    /// Let in in any case by default.
    pub const MIN_REQUESTS: u32 = 20;
    /// Default of `latency_ratio`.
    pub const LATENCY_RATIO: f64 = 4.0;
    /// Default of `latency_floor`.
    pub const LATENCY_FLOOR: Duration = Duration::from_millis(50);
}

impl Default for OverloadPolicy {
    fn default() -> Self {
        Self {
            policy: None,
            origin: None,
            disabled: false,
            shadow: false,
            max_requests: Self::MAX_REQUESTS,
            min_requests: Self::MIN_REQUESTS,
            latency_ratio: Self::LATENCY_RATIO,
            latency_floor: Self::LATENCY_FLOOR,
            adaptive: None,
        }
    }
}
