//! Limits, ejection, affinity and preferences toward a destination.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderName;
use mesh_api::Hostname;

/// Limits of one proxy toward one cluster, over all its workers (Istio:
/// ConnectionPoolSettings). What is absent is not limited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolLimits {
    /// Open connections.
    pub max_connections: Option<u32>,
    /// Requests that wait for a connection.
    pub max_pending_requests: Option<u32>,
    /// Requests under way.
    pub max_requests: Option<u32>,
    /// Retries under way.
    pub max_retries: Option<u32>,
    /// Retries under way, as a share of the requests; replaces the mesh's own retry budget.
    pub retry_budget: Option<RetryShare>,
}

/// How many retries may be under way at a time (Istio: RetryBudget).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryShare {
    /// Share of the requests under way, in millionths.
    pub per_million: u32,
    /// Always allowed, however few requests there are.
    pub min_concurrency: u32,
}

/// How connections to the endpoints of a cluster are kept. What is absent is the proxy's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PoolSettings {
    /// Requests that one connection carries in its life.
    pub max_requests_per_connection: Option<u32>,
    /// Streams at a time on one HTTP/2 connection.
    pub max_concurrent_streams: Option<u32>,
    /// Age at which a connection takes no more requests; one of opaque bytes is cut.
    pub max_connection_duration: Option<Duration>,
    /// Time without requests after which an HTTP connection is closed.
    pub http_idle_timeout: Option<Duration>,
    /// Pings of HTTP/2 connections.
    pub http2_keepalive: Option<Http2Keepalive>,
    /// Silence after which a connection of opaque bytes is closed; a century is never.
    pub tcp_idle_timeout: Option<Duration>,
    /// Probes of silent TCP connections.
    pub tcp_keepalive: Option<TcpKeepalive>,
}

/// Pings of HTTP/2 connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Http2Keepalive {
    /// Time between pings; absent is never.
    pub interval: Option<Duration>,
    /// Time for the answer.
    pub timeout: Duration,
}

/// Probes of silent TCP connections. What is absent is the operating system's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct TcpKeepalive {
    /// Probes without an answer until the connection is given up.
    pub probes: Option<u32>,
    /// Silence before the first probe.
    pub time: Option<Duration>,
    /// Time between probes.
    pub interval: Option<Duration>,
}

/// Which version of HTTP servers are spoken to in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum HttpUpgrade {
    /// As the port declares; where it leaves it open, as the client does.
    #[default]
    AsDeclared,
    /// HTTP/2, unless the client asks for another protocol (Istio: h2UpgradePolicy).
    Http2,
    /// As the client does, whatever the port declares (Istio: useClientProtocol).
    AsClient,
}

/// A version of the PROXY protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// A tunnel through an HTTP proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tunnel {
    /// Host at its end.
    pub host: Hostname,
    /// Port at its end.
    pub port: u16,
    /// Asked for by POST, not by CONNECT: the bytes are bodies.
    pub post: bool,
}

/// Ejection of endpoints that fail (Istio: OutlierDetection). Counts that are 0 are off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OutlierPolicy {
    /// Errors 5xx in a row.
    pub consecutive_5xx: u32,
    /// Errors 502, 503 and 504 in a row.
    pub consecutive_gateway: u32,
    /// Failures to connect and timeouts in a row, if they are split off.
    pub consecutive_local: u32,
    /// Failures to connect and timeouts count by themselves, not as errors 5xx.
    pub split_local: bool,
    /// How often ejected endpoints are looked at.
    pub interval: Duration,
    /// Time out of the choice, times the number of ejections.
    pub base_ejection: Duration,
    /// Nobody is ejected while at least this share is, in percent.
    pub max_ejection_percent: u32,
    /// Ejection is void while less than this share is healthy, in percent.
    pub min_health_percent: u32,
}

/// Affinity of requests to endpoints (Istio: ConsistentHashLB).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashPolicy {
    /// What is hashed.
    pub key: HashKey,
    /// How endpoints are found by it.
    pub table: HashTableKind,
}

/// What is hashed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HashKey {
    /// Value of a header field.
    Header(HeaderName),
    /// Value of a cookie.
    Cookie(HashCookie),
    /// Address of the client.
    SourceIp,
    /// Value of a query parameter.
    Query(Arc<str>),
}

/// A cookie that keeps a client with its endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HashCookie {
    /// Its name.
    pub name: Arc<str>,
    /// What stands behind the value of a cookie that is set: `; Max-Age=…; Path=…`. Absent if
    /// none is set.
    pub set: Option<Arc<str>>,
}

/// How endpoints are found by a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashTableKind {
    /// Ketama, with at least so many points.
    Ring {
        /// Least number of points.
        minimum_size: u64,
    },
    /// Maglev with a table of this size, a prime number.
    Maglev {
        /// Size of the table.
        size: u32,
    },
}

/// Slow start of new endpoints (Istio: WarmupConfiguration).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Warmup {
    /// How long.
    pub duration: Duration,
    /// Share at the start, from 0 to 1.
    pub minimum: f64,
    /// 1 grows steadily; more grows faster at first.
    pub aggression: f64,
}

/// Which localities are preferred (Istio: LocalityLoadBalancerSetting).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalityPolicy {
    /// Shares of localities, the first that fits counts; none: priorities by nearness.
    pub distribute: Vec<LocalityShares>,
    /// Which region takes over from which.
    pub failover: Vec<(Arc<str>, Arc<str>)>,
    /// Labels that make an endpoint near, with the value if it is not the client's own.
    pub failover_priority: Vec<(Arc<str>, Option<Arc<str>>)>,
    /// The client's zone is used as far as that loads it no more than the others, from so many
    /// healthy endpoints in the region on (Istio: ZoneAwareLoadBalancerSetting).
    pub zone_aware: Option<u32>,
}

/// Where the traffic of clients in one locality goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalityShares {
    /// Locality of the client, `*` for the rest of it.
    pub from: Arc<str>,
    /// Localities of endpoints with their percent.
    pub to: Vec<(Arc<str>, u32)>,
}

/// Where a proxy is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// `region/zone/subzone`; may be empty.
    pub locality: Arc<str>,
    /// Name of its node; may be empty.
    pub node: Arc<str>,
    /// Name of its cluster; may be empty.
    pub cluster: Arc<str>,
    /// Labels of its workload.
    pub labels: BTreeMap<String, String>,
}

// Numbers come from text and are no results of arithmetic: equal text gives equal numbers.
impl Eq for Warmup {}

// === impl HashPolicy ===

impl HashPolicy {
    /// Name of the kind of key, as Istio calls it.
    pub fn key_name(&self) -> &'static str {
        match self.key {
            HashKey::Header(_) => "httpHeaderName",
            HashKey::Cookie(_) => "httpCookie",
            HashKey::SourceIp => "useSourceIp",
            HashKey::Query(_) => "httpQueryParameterName",
        }
    }
}
