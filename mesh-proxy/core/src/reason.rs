//! Why something was refused or failed: closed lists shared by responses, logs and metrics.

use std::fmt;

use http::{HeaderMap, StatusCode};

use crate::filter::REASON_HEADER;

/// One named cause. Its text is the value of `x-mesh-reason`, of the log's field and of the
/// metric's label.
macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal, $flags:ident;)*) => {
        /// Why the mesh itself answered, refused or gave up. Closed: shown as snake case in
        /// `x-mesh-reason`, logs and metrics.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[$doc])* $name,)*
        }

        impl Reason {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The status of a response that the proxy makes up for it. A route's own answers
            /// (redirect, direct response, abort) carry their configured status instead.
            pub const fn status(self) -> StatusCode {
                let code = match self { $(Self::$name => $status,)* };
                match StatusCode::from_u16(code) {
                    Ok(status) => status,
                    Err(_) => StatusCode::INTERNAL_SERVER_ERROR,
                }
            }

            /// Envoy's response flags for it.
            pub const fn flags(self) -> ResponseFlags {
                match self { $(Self::$name => ResponseFlags::$flags,)* }
            }
        }
    };
}

reasons! {
    /// A route answers by a redirect.
    Redirect = "redirect", 301, NONE;
    /// A route answers directly.
    DirectResponse = "direct_response", 200, NONE;
    /// The proxy answered a CORS preflight.
    CorsPreflight = "cors_preflight", 200, NONE;
    /// A fault was injected.
    FaultAbort = "fault_abort", 503, FAULT_INJECTED;
    /// No route matches the request.
    RouteNotFound = "route_not_found", 404, NO_ROUTE;
    /// The route that matches cannot work.
    RouteInvalid = "route_invalid", 500, NONE;
    /// The route names a service or subset that nobody declared.
    ClusterNotFound = "cluster_not_found", 503, NO_CLUSTER;
    /// Nobody declared the destination and the mesh does not let it pass.
    UndeclaredDestination = "undeclared_destination", 502, NO_ROUTE;
    /// No endpoint can take the request.
    NoHealthyEndpoint = "no_healthy_endpoint", 503, NO_HEALTHY_UPSTREAM;
    /// The connection to the endpoint was refused or broke while it was made.
    UpstreamConnectFailure = "upstream_connect_failure", 503, UPSTREAM_CONNECTION_FAILURE;
    /// The connection to the endpoint was not made in time.
    UpstreamConnectTimeout = "upstream_connect_timeout", 503, UPSTREAM_CONNECTION_FAILURE;
    /// The name of the endpoint has no address.
    UpstreamNameUnresolved = "upstream_name_unresolved", 503, DNS_FAILURE;
    /// TLS with the endpoint failed.
    UpstreamTlsFailure = "upstream_tls_failure", 503, UPSTREAM_CONNECTION_FAILURE;
    /// The endpoint proved to be somebody else.
    UpstreamIdentityMismatch = "upstream_identity_mismatch", 503, UPSTREAM_CONNECTION_FAILURE;
    /// The endpoint closed the connection before it answered.
    UpstreamConnectionClosed = "upstream_connection_closed", 503, UPSTREAM_CONNECTION_TERMINATION;
    /// The endpoint reset the request.
    UpstreamReset = "upstream_reset", 503, UPSTREAM_REMOTE_RESET;
    /// The endpoint did not speak the protocol.
    UpstreamProtocolError = "upstream_protocol_error", 502, UPSTREAM_PROTOCOL_ERROR;
    /// The request's time was up.
    RequestTimeout = "request_timeout", 504, UPSTREAM_REQUEST_TIMEOUT;
    /// A try's time was up.
    PerTryTimeout = "per_try_timeout", 504, UPSTREAM_REQUEST_TIMEOUT;
    /// Too much is under way.
    Overload = "overload", 503, UPSTREAM_OVERFLOW;
    /// As many connections are open to the destination as its policy allows.
    TooManyConnections = "too_many_connections", 503, UPSTREAM_OVERFLOW;
    /// As many requests wait for a connection to the destination as its policy allows.
    TooManyPendingRequests = "too_many_pending_requests", 503, UPSTREAM_OVERFLOW;
    /// As many requests to the destination are under way as its policy allows.
    TooManyRequests = "too_many_requests", 503, UPSTREAM_OVERFLOW;
    /// The server has more to do than it can: waiting would help nobody.
    ServerOverloaded = "server_overloaded", 503, OVERLOAD_MANAGER;
    /// Over a rate limit.
    RateLimited = "rate_limited", 429, RATE_LIMITED;
    /// A policy denies it.
    AuthorizationDenied = "authorization_denied", 403, UNAUTHORIZED;
    /// There are policies that allow, and none allows this.
    AuthorizationNotAllowed = "authorization_not_allowed", 403, UNAUTHORIZED;
    /// An external authorizer denies it.
    ExternalAuthorizationDenied = "external_authorization_denied", 403, UNAUTHORIZED;
    /// An external authorizer could not be asked.
    ExternalAuthorizationFailed = "external_authorization_failed", 403, UNAUTHORIZED;
    /// The body is longer than what an external authorizer takes.
    ExternalAuthorizationBodyTooLarge = "external_authorization_body_too_large", 413, UNAUTHORIZED;
    /// The token is longer than what is looked at.
    JwtTooLarge = "jwt_too_large", 401, UNAUTHORIZED;
    /// The token is none.
    JwtMalformed = "jwt_malformed", 401, UNAUTHORIZED;
    /// The token has no signature, or one that anybody could make.
    JwtAlgorithmRefused = "jwt_algorithm_refused", 401, UNAUTHORIZED;
    /// Nobody takes tokens of this issuer.
    JwtIssuerUnknown = "jwt_issuer_unknown", 401, UNAUTHORIZED;
    /// The token is for somebody else.
    JwtAudienceRefused = "jwt_audience_refused", 403, UNAUTHORIZED;
    /// The token has expired.
    JwtExpired = "jwt_expired", 401, UNAUTHORIZED;
    /// The token does not hold yet.
    JwtNotYetValid = "jwt_not_yet_valid", 401, UNAUTHORIZED;
    /// The issuer has no such key.
    JwtKeyUnknown = "jwt_key_unknown", 401, UNAUTHORIZED;
    /// The keys of the issuer could not be had.
    JwtKeysUnavailable = "jwt_keys_unavailable", 401, UNAUTHORIZED;
    /// The token's signature does not hold.
    JwtSignatureInvalid = "jwt_signature_invalid", 401, UNAUTHORIZED;
    /// The port takes mutual TLS only.
    PlaintextRefused = "plaintext_refused", 403, UNAUTHORIZED;
    /// The port takes plain text only.
    MutualTlsDisabled = "mutual_tls_disabled", 403, UNAUTHORIZED;
    /// The TLS handshake with the client failed.
    DownstreamTlsFailure = "downstream_tls_failure", 403, UNAUTHORIZED;
    /// The host is not one of this connection's server: another one has it.
    MisdirectedRequest = "misdirected_request", 421, NO_ROUTE;
    /// The server asks more of its clients by now than it did when this one came.
    TlsSettingsChanged = "tls_settings_changed", 421, UNAUTHORIZED;
    /// The client went away.
    DownstreamDisconnected = "downstream_disconnected", 499, DOWNSTREAM_CONNECTION_TERMINATION;
    /// The client did not speak the protocol.
    DownstreamProtocolError = "downstream_protocol_error", 400, DOWNSTREAM_PROTOCOL_ERROR;
    /// The request names no host, or one that is none.
    HostInvalid = "host_invalid", 400, DOWNSTREAM_PROTOCOL_ERROR;
    /// The request's header block is too large.
    RequestHeadersTooLarge = "request_headers_too_large", 431, DOWNSTREAM_PROTOCOL_ERROR;
    /// HTTP/1.0 is not served.
    Http10Unsupported = "http10_unsupported", 426, DOWNSTREAM_PROTOCOL_ERROR;
    /// The client's first bytes did not come in time.
    DetectionTimeout = "detection_timeout", 408, DOWNSTREAM_PROTOCOL_ERROR;
    /// Nothing was sent for too long.
    IdleTimeout = "idle_timeout", 504, STREAM_IDLE_TIMEOUT;
    /// The connection was as old as its policy allows.
    MaxConnectionDuration = "max_connection_duration", 504, DURATION_TIMEOUT;
    /// The first configuration has not come yet.
    NotConfigured = "not_configured", 503, NO_ROUTE;
    /// The configuration of this destination did not come in time.
    ConfigurationTimeout = "configuration_timeout", 503, NO_ROUTE;
    /// The configuration of this destination was refused.
    ConfigurationRefused = "configuration_refused", 503, NO_ROUTE;
    /// The proxy has no certificate.
    NoCertificate = "no_certificate", 503, UPSTREAM_CONNECTION_FAILURE;
    /// The request came back to the proxy that sent it.
    LoopDetected = "loop_detected", 508, NO_ROUTE;
    /// The proxy drains.
    Draining = "draining", 503, LOCAL_RESET;
}

impl Reason {
    /// Whether it says that there is too much to do: trying again would be more of it.
    pub fn is_overload(self) -> bool {
        let flags = self.flags();
        flags.contains(ResponseFlags::UPSTREAM_OVERFLOW)
            || flags.contains(ResponseFlags::OVERLOAD_MANAGER)
    }
}

impl Reason {
    /// The reason of an answer of another proxy, if it is that there is too much to do.
    pub fn overload_of(headers: &HeaderMap) -> Option<Self> {
        let said = headers.get(REASON_HEADER)?.as_bytes();
        let mut all = Self::ALL.iter().copied();
        all.find(|reason| reason.is_overload() && reason.as_str().as_bytes() == said)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of Envoy's response flags (`%RESPONSE_FLAGS%`, metric label `response_flags`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ResponseFlags(u32);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $code:literal;)*) => {
        impl ResponseFlags {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*
            const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $code),)*];
        }
    };
}

flags! {
    /// UH: no healthy endpoint.
    NO_HEALTHY_UPSTREAM = 0, "UH";
    /// UF: no connection to the endpoint.
    UPSTREAM_CONNECTION_FAILURE = 1, "UF";
    /// UO: too much under way.
    UPSTREAM_OVERFLOW = 2, "UO";
    /// NR: no route.
    NO_ROUTE = 3, "NR";
    /// URX: all tries failed.
    RETRY_LIMIT_EXCEEDED = 4, "URX";
    /// NC: no such service or subset.
    NO_CLUSTER = 5, "NC";
    /// DC: the client went away.
    DOWNSTREAM_CONNECTION_TERMINATION = 6, "DC";
    /// UT: out of time.
    UPSTREAM_REQUEST_TIMEOUT = 7, "UT";
    /// LR: reset by this proxy.
    LOCAL_RESET = 8, "LR";
    /// UR: reset by the endpoint.
    UPSTREAM_REMOTE_RESET = 9, "UR";
    /// UC: closed by the endpoint.
    UPSTREAM_CONNECTION_TERMINATION = 10, "UC";
    /// DI: delayed by a fault.
    DELAY_INJECTED = 11, "DI";
    /// FI: aborted by a fault.
    FAULT_INJECTED = 12, "FI";
    /// RL: over a rate limit.
    RATE_LIMITED = 13, "RL";
    /// UAEX: not authorised.
    UNAUTHORIZED = 14, "UAEX";
    /// SI: nothing was sent for too long.
    STREAM_IDLE_TIMEOUT = 15, "SI";
    /// DPE: the client does not speak the protocol.
    DOWNSTREAM_PROTOCOL_ERROR = 16, "DPE";
    /// UPE: the endpoint does not speak the protocol.
    UPSTREAM_PROTOCOL_ERROR = 17, "UPE";
    /// DF: the name has no address.
    DNS_FAILURE = 18, "DF";
    /// DT: the connection was too old.
    DURATION_TIMEOUT = 19, "DT";
    /// OM: refused because there is too much to do.
    OVERLOAD_MANAGER = 20, "OM";
}

impl ResponseFlags {
    /// None.
    pub const NONE: Self = Self(0);

    /// Both sets.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of the other's flags are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The same as Envoy's bits (envoy/stream_info/stream_info.h: CoreResponseFlag).
    pub fn envoy_bits(self) -> i64 {
        let set = ENVOY_BITS.iter().filter(|(flag, _)| self.contains(*flag));
        set.fold(0, |bits, (_, bit)| bits | (1 << bit))
    }

    /// Whether none is set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

const ENVOY_BITS: [(ResponseFlags, u32); 21] = [
    (ResponseFlags::NO_HEALTHY_UPSTREAM, 1),
    (ResponseFlags::UPSTREAM_REQUEST_TIMEOUT, 2),
    (ResponseFlags::LOCAL_RESET, 3),
    (ResponseFlags::UPSTREAM_REMOTE_RESET, 4),
    (ResponseFlags::UPSTREAM_CONNECTION_FAILURE, 5),
    (ResponseFlags::UPSTREAM_CONNECTION_TERMINATION, 6),
    (ResponseFlags::UPSTREAM_OVERFLOW, 7),
    (ResponseFlags::NO_ROUTE, 8),
    (ResponseFlags::DELAY_INJECTED, 9),
    (ResponseFlags::FAULT_INJECTED, 10),
    (ResponseFlags::RATE_LIMITED, 11),
    (ResponseFlags::UNAUTHORIZED, 12),
    (ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION, 14),
    (ResponseFlags::RETRY_LIMIT_EXCEEDED, 15),
    (ResponseFlags::STREAM_IDLE_TIMEOUT, 16),
    (ResponseFlags::DOWNSTREAM_PROTOCOL_ERROR, 18),
    (ResponseFlags::DURATION_TIMEOUT, 22),
    (ResponseFlags::UPSTREAM_PROTOCOL_ERROR, 23),
    (ResponseFlags::NO_CLUSTER, 24),
    (ResponseFlags::OVERLOAD_MANAGER, 25),
    (ResponseFlags::DNS_FAILURE, 26),
];

impl fmt::Display for ResponseFlags {
    /// Envoy's short codes joined by commas, `-` for none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("-");
        }
        let mut separator = "";
        for (_, code) in Self::ALL.iter().filter(|(flag, _)| self.contains(*flag)) {
            write!(f, "{separator}{code}")?;
            separator = ",";
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_snake_case() {
        let names: std::collections::BTreeSet<_> =
            Reason::ALL.iter().map(|reason| reason.as_str()).collect();
        assert_eq!(names.len(), Reason::ALL.len());
        assert!(names.iter().all(|name| {
            name.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        }));
    }

    #[test]
    fn flags_print_as_envoy_prints_them() {
        assert_eq!(ResponseFlags::NONE.to_string(), "-");
        let both =
            ResponseFlags::UPSTREAM_CONNECTION_FAILURE.with(ResponseFlags::RETRY_LIMIT_EXCEEDED);
        assert_eq!(both.to_string(), "UF,URX");
        assert_eq!(Reason::UpstreamConnectFailure.status(), 503);
        assert_eq!(Reason::DownstreamDisconnected.status().as_u16(), 499);
    }
}
