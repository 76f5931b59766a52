//! How a client treats a destination.

use std::sync::Arc;
use std::time::Duration;

use mesh_api::ResourceName;

use super::{
    HashPolicy, HealthCheck, HttpUpgrade, LocalityPolicy, Origin, OutlierPolicy, PoolLimits,
    PoolSettings, ProxyProtocol, Tunnel, Warmup,
};

/// How a client treats one port of a subset (Istio: TrafficPolicy), fully resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrafficPolicy {
    /// How endpoints are chosen.
    pub load_balancer: LoadBalancer,
    /// Time to open a connection.
    pub connect_timeout: Duration,
    /// How the connection is secured.
    pub tls: Arc<ClientTls>,
    /// The rest of it.
    pub traffic: Arc<TrafficSettings>,
    /// The DestinationRule; absent for the mesh's defaults.
    pub origin: Option<Arc<Origin>>,
}

/// Limits, ejection, affinity and preferences; most destinations have none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrafficSettings {
    /// How much may be under way.
    pub limits: PoolLimits,
    /// How connections are kept.
    pub pool: PoolSettings,
    /// Which version of HTTP is spoken.
    pub http: HttpUpgrade,
    /// Ejection as configured; absent for the balancer's own.
    pub outliers: Option<OutlierPolicy>,
    /// Statuses of answers that are errors for ejection, in place of 5xx; empty for 5xx.
    pub error_statuses: Arc<[u16]>,
    /// Affinity.
    pub hash: Option<HashPolicy>,
    /// Slow start.
    pub warmup: Option<Warmup>,
    /// Which localities are preferred; absent: all are alike.
    pub locality: Option<LocalityPolicy>,
    /// Header that is sent ahead of each connection.
    pub proxy_protocol: Option<ProxyProtocol>,
    /// Where connections of opaque bytes go through the destination.
    pub tunnel: Option<Tunnel>,
    /// How endpoints are looked after; absent for passively only.
    pub health_check: Option<Arc<HealthCheck>>,
}

/// How endpoints are chosen (Istio: LoadBalancerSettings.simple).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoadBalancer {
    /// Two at random, the one with less load and latency.
    LeastRequest,
    /// In turn.
    RoundRobin,
    /// At random.
    Random,
    /// The address that the client was going to.
    Passthrough,
}

/// How a client secures a connection (Istio: ClientTLSSettings).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ClientTls {
    /// The mesh's mutual TLS where the endpoint takes it, plain text elsewhere.
    Auto,
    /// Plain text.
    Disable,
    /// TLS with the server's certificate only.
    Simple(TlsFiles),
    /// TLS with a client certificate from files.
    Mutual(TlsFiles),
    /// The mesh's mutual TLS always.
    IstioMutual {
        /// Server name to present; absent for the mesh's own form.
        sni: Option<Arc<str>>,
        /// Names that the server may present; empty takes the endpoint's identity.
        subject_alt_names: Arc<[Arc<str>]>,
    },
}

/// Settings of a TLS client that trusts files (Istio: SIMPLE and MUTUAL).
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TlsFiles {
    /// Server name to present; absent for the host of the request.
    pub sni: Option<Arc<str>>,
    /// Names that the server may present; empty takes the host's name.
    pub subject_alt_names: Arc<[Arc<str>]>,
    /// File with the client's certificate chain, PEM (MUTUAL).
    pub client_certificate: Option<Arc<str>>,
    /// File with its key, PEM (MUTUAL).
    pub private_key: Option<Arc<str>>,
    /// File with the roots, PEM; absent for the operating system's.
    pub ca_certificates: Option<Arc<str>>,
    /// Accept any certificate.
    pub insecure_skip_verify: bool,
    /// File with revocation lists, PEM.
    pub ca_crl: Option<Arc<str>>,
    /// Certificate, key and roots in place of files: a name `credential/…`.
    pub credential: Option<ResourceName>,
}

/// Retries (Istio: HTTPRetry).
#[derive(Clone, Debug)]
pub struct RetryPolicy {
    /// Tries after the first.
    pub attempts: u32,
    /// Time for each try; absent is the time left.
    pub per_try_timeout: Option<Duration>,
    /// Conditions.
    pub on: RetryOn,
    /// Status codes for `retriable-status-codes`.
    pub status_codes: Vec<u16>,
    /// First pause.
    pub backoff_base: Duration,
    /// Longest pause.
    pub backoff_max: Duration,
    /// Tries may go to endpoints that were tried before.
    pub allow_previous_hosts: bool,
    /// Place in the configuration; absent for the mesh's default.
    pub origin: Option<Arc<Origin>>,
}

/// A set of Envoy's retry conditions (`x-envoy-retry-on` and `x-envoy-retry-grpc-on`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct RetryOn(u32);

// === impl RetryOn ===

macro_rules! conditions {
    ($($(#[$doc:meta])* $constant:ident = $bit:literal, $name:literal;)*) => {
        impl RetryOn {
            $($(#[$doc])* pub const $constant: Self = Self(1 << $bit);)*
            const ALL: &'static [(Self, &'static str)] = &[$((Self::$constant, $name),)*];
        }
    };
}

conditions! {
    /// Any 5xx, or no answer at all.
    SERVER_ERROR = 0, "5xx";
    /// 502, 503, 504.
    GATEWAY_ERROR = 1, "gateway-error";
    /// No answer: the connection was reset, closed, or a try timed out.
    RESET = 2, "reset";
    /// The connection could not be made.
    CONNECT_FAILURE = 3, "connect-failure";
    /// The answer says that the server's own rate limit was hit.
    RATE_LIMITED = 4, "envoy-ratelimited";
    /// HTTP/2 REFUSED_STREAM: the server did nothing with it.
    REFUSED_STREAM = 5, "refused-stream";
    /// 409.
    RETRIABLE_4XX = 6, "retriable-4xx";
    /// One of the policy's status codes.
    STATUS_CODES = 7, "retriable-status-codes";
    /// Reset before anything of the request was sent.
    RESET_BEFORE_REQUEST = 8, "reset-before-request";
    /// gRPC status 1.
    CANCELLED = 9, "cancelled";
    /// gRPC status 4.
    DEADLINE_EXCEEDED = 10, "deadline-exceeded";
    /// gRPC status 13.
    INTERNAL = 11, "internal";
    /// gRPC status 8.
    RESOURCE_EXHAUSTED = 12, "resource-exhausted";
    /// gRPC status 14.
    UNAVAILABLE = 13, "unavailable";
    /// One of the headers that a request names; Istio's API can name none, so it never holds.
    RETRIABLE_HEADERS = 14, "retriable-headers";
    /// For HTTP/3 only, so it never holds.
    HTTP3_POST_CONNECT_FAILURE = 15, "http3-post-connect-failure";
}

impl RetryOn {
    /// No condition.
    pub const NONE: Self = Self(0);

    /// The condition of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(condition, _)| *condition)
    }

    /// Both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether any of the other's conditions is in this set.
    pub const fn any_of(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Names of the conditions in the set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL
            .iter()
            .filter(move |(condition, _)| self.any_of(*condition))
            .map(|(_, name)| *name)
    }
}
