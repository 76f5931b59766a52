//! Routes: matches, actions, destinations.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode};
use ipnet::IpNet;
use mesh_api::Hostname;
use regex::bytes::{Captures, Regex};

use super::matcher::compile;
use super::{BadRegex, ClusterId, HeaderEdits, Origin, RateLimit, RetryPolicy, StringMatch};

/// What is spoken on a port (Istio: explicit protocol selection).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// Undeclared: to be detected from the first bytes.
    Auto,
    /// HTTP/1.x, upgradable to what the peer speaks.
    Http,
    /// HTTP/2 in clear text.
    Http2,
    /// gRPC over HTTP/2.
    Grpc,
    /// TLS that is passed through and routed by server name.
    Tls,
    /// Opaque bytes.
    Tcp,
}

/// What to do with connections to one destination. The first route that matches wins.
#[derive(Clone, Debug)]
pub struct RouteTable {
    /// Canonical host name; absent if nobody declared it.
    pub host: Option<Hostname>,
    /// Service port.
    pub port: u16,
    /// What is spoken there.
    pub protocol: Protocol,
    /// HTTP routes.
    pub http: Vec<Arc<HttpRoute>>,
    /// Routes by server name.
    pub tls: Vec<TlsRoute>,
    /// Routes for opaque bytes.
    pub tcp: Vec<TcpRoute>,
    /// Nobody declared this destination: the mesh's outbound policy applies.
    pub undeclared: bool,
}

/// One HTTP route: any of the matches, then one action (Istio: HTTPRoute).
#[derive(Clone, Debug)]
pub struct HttpRoute {
    /// Name for logs.
    pub name: Arc<str>,
    /// Place in the configuration.
    pub origin: Option<Arc<Origin>>,
    /// Any of these; empty matches everything.
    pub matches: Vec<HttpMatch>,
    /// What happens.
    pub action: Action,
    /// Faults to inject.
    pub fault: Option<Fault>,
    /// Cross-origin rules.
    pub cors: Option<Cors>,
    /// Edits of request and response, before those of the destination.
    pub headers: HeaderEdits,
    /// Rates that its requests must be within; absent for none.
    pub limits: Option<Arc<[Arc<RateLimit>]>>,
}

/// All of the given parts must match (Istio: HTTPMatchRequest).
#[derive(Clone, Debug)]
pub struct HttpMatch {
    /// Name of the match, may be empty.
    pub name: Arc<str>,
    /// The path without the query.
    pub uri: Option<StringMatch>,
    /// Compare the path without regard to case.
    pub ignore_uri_case: bool,
    /// `http` or `https`.
    pub scheme: Option<StringMatch>,
    /// The method.
    pub method: Option<StringMatch>,
    /// The authority, with port if it has one, with regard to case.
    pub authority: Option<StringMatch>,
    /// Each must match.
    pub headers: Vec<FieldMatch<FieldName>>,
    /// None may match; an absent field passes.
    pub without_headers: Vec<FieldMatch<FieldName>>,
    /// Each must match; the first parameter of a name counts, without percent-decoding.
    pub query_params: Vec<FieldMatch<Box<str>>>,
    /// Place in the configuration.
    pub origin: Option<Arc<Origin>>,
}

/// Compares a named field.
#[derive(Clone, Debug)]
pub struct FieldMatch<N> {
    /// Name of the field.
    pub name: N,
    /// Its value.
    pub value: StringMatch,
}

/// A header field, or a part of the request line by its HTTP/2 name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldName {
    /// A header.
    Header(HeaderName),
    /// `:authority`, and `host`.
    Authority,
    /// `:method`.
    Method,
    /// `:path`, with the query.
    Path,
    /// `:scheme`.
    Scheme,
    /// A claim of the request's token, by its names from the outside in (Istio:
    /// `@request.auth.claims`).
    Claim(Vec<Box<str>>),
}

/// What happens with a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// Sent on to a destination.
    Forward(Forward),
    /// Answered by a redirect.
    Redirect(Redirect),
    /// Answered at once.
    Direct(DirectResponse),
    /// Cannot work.
    Invalid(Invalid),
}

/// Sends a request to one of several destinations.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Where to.
    pub destinations: Destinations,
    /// Edits of path and authority.
    pub rewrite: Option<Rewrite>,
    /// Time for the whole request with all tries; absent is no limit.
    pub timeout: Option<Duration>,
    /// Retries; absent is none.
    pub retry: Option<Arc<RetryPolicy>>,
    /// Copies to send elsewhere.
    pub mirrors: Vec<Mirror>,
    /// What requests are answered with that no destination gets.
    pub invalid: Option<Invalid>,
}

/// At least one destination, with the sum of the weights.
#[derive(Clone, Debug)]
pub struct Destinations {
    list: Vec<Arc<Destination>>,
    /// With the share that no destination gets.
    total: u32,
    lost: u32,
}

/// Where to.
#[derive(Clone, Debug)]
pub struct Destination {
    /// Service, port and subset.
    pub cluster: ClusterId,
    /// Relative share.
    pub weight: u32,
    /// Edits after those of the route.
    pub headers: HeaderEdits,
}

/// Edits of path and authority (Istio: HTTPRewrite).
#[derive(Clone, Debug, Default)]
pub struct Rewrite {
    /// New path, or new prefix if the match was a prefix; absent leaves it.
    pub uri: Option<Box<str>>,
    /// New authority; absent leaves it.
    pub authority: Option<HeaderValue>,
    /// Substitution in the path.
    pub regex: Option<RegexRewrite>,
}

/// A substitution in the path (Istio: HTTPRewrite.uriRegexRewrite).
#[derive(Clone, Debug)]
pub struct RegexRewrite {
    pattern: Regex,
    // Literal pieces and numbers of groups, in order.
    template: Vec<Piece>,
}

#[derive(Clone, Debug)]
enum Piece {
    Text(Box<[u8]>),
    Group(usize),
}

/// A copy of requests (Istio: HTTPMirrorPolicy).
#[derive(Clone, Debug)]
pub struct Mirror {
    /// Where to.
    pub cluster: ClusterId,
    /// Share, in millionths.
    pub per_million: u32,
}

/// Answers with a redirect (Istio: HTTPRedirect).
#[derive(Clone, Debug)]
pub struct Redirect {
    /// Replaces the whole path.
    pub uri: Option<Box<str>>,
    /// Replaces the matched prefix.
    pub uri_prefix: Option<Box<str>>,
    /// Replaces host and port.
    pub authority: Option<Box<str>>,
    /// Replaces the scheme.
    pub scheme: Option<Box<str>>,
    /// Port to name.
    pub port: Option<u16>,
    /// Name the port that the request came in on.
    pub port_from_request: bool,
    /// 301, 302, 303, 307 or 308.
    pub code: StatusCode,
}

/// Answers at once (Istio: HTTPDirectResponse).
#[derive(Clone, Debug)]
pub struct DirectResponse {
    /// Status code.
    pub status: StatusCode,
    /// Body.
    pub body: Bytes,
}

/// A route that cannot work.
#[derive(Clone, Debug)]
pub struct Invalid {
    /// Status code to answer with.
    pub status: StatusCode,
    /// Why, in one line.
    pub message: Arc<str>,
}

/// Faults to inject (Istio: HTTPFaultInjection).
#[derive(Clone, Debug)]
pub struct Fault {
    /// Share that is delayed, in millionths.
    pub delay_per_million: u32,
    /// How long.
    pub delay: Duration,
    /// Share that is aborted, in millionths.
    pub abort_per_million: u32,
    /// With what.
    pub abort: Abort,
    /// Place in the configuration.
    pub origin: Option<Arc<Origin>>,
}

/// How a request is aborted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Abort {
    /// With an HTTP status.
    Http(StatusCode),
    /// With a gRPC status code.
    Grpc(u32),
}

/// Cross-origin rules (Istio: CorsPolicy).
#[derive(Clone, Debug)]
pub struct Cors {
    /// Accepted origins.
    pub allow_origins: Vec<StringMatch>,
    /// For the preflight answer, joined.
    pub allow_methods: Option<HeaderValue>,
    /// For the preflight answer, joined.
    pub allow_headers: Option<HeaderValue>,
    /// Response headers that a script may read, joined.
    pub expose_headers: Option<HeaderValue>,
    /// How long a preflight may be cached, in seconds.
    pub max_age: Option<HeaderValue>,
    /// Whether credentials are allowed.
    pub allow_credentials: bool,
    /// Forward a preflight of an origin that is not accepted.
    pub forward_unmatched_preflights: bool,
}

/// A route for TLS that is passed through.
#[derive(Clone, Debug)]
pub struct TlsRoute {
    /// Any of these server names.
    pub sni_hosts: Vec<Hostname>,
    /// Original destination in any of these; empty for all.
    pub destination_subnets: Vec<IpNet>,
    /// Where to.
    pub destinations: Destinations,
    /// Place in the configuration.
    pub origin: Option<Arc<Origin>>,
}

/// A route for opaque bytes.
#[derive(Clone, Debug)]
pub struct TcpRoute {
    /// Original destination in any of these; empty for all.
    pub destination_subnets: Vec<IpNet>,
    /// Where to.
    pub destinations: Destinations,
    /// Place in the configuration; absent for the default route.
    pub origin: Option<Arc<Origin>>,
}

// === impl Protocol ===

impl Protocol {
    /// Whether requests are routed one by one.
    pub const fn is_http(self) -> bool {
        matches!(self, Self::Http | Self::Http2 | Self::Grpc)
    }

    /// Istio's name of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Http => "http",
            Self::Http2 => "http2",
            Self::Grpc => "grpc",
            Self::Tls => "tls",
            Self::Tcp => "tcp",
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl FieldName ===

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header(name) => name.as_str(),
            Self::Authority => ":authority",
            Self::Method => ":method",
            Self::Path => ":path",
            Self::Scheme => ":scheme",
            Self::Claim(names) => {
                return write!(f, "@request.auth.claims.{}", names.join("."));
            }
        })
    }
}

// === impl Destinations ===

impl Destinations {
    /// Checks and joins. A single destination takes all traffic whatever its weight (Istio:
    /// `route` with one entry).
    ///
    /// # Errors
    /// What is wrong: none at all, several of total weight 0, or a sum beyond 32 bits.
    pub fn new(list: Vec<Destination>) -> Result<Self, &'static str> {
        Self::with_lost(list, 0)
    }

    /// The same beside a share that no destination gets (Gateway API: invalid backendRefs keep
    /// their weight).
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_lost(list: Vec<Destination>, lost: u32) -> Result<Self, &'static str> {
        let sum: u64 = list.iter().map(|d| u64::from(d.weight)).sum();
        let sum = sum + u64::from(lost);
        let total =
            u32::try_from(sum).map_err(|_| "the weights sum up to more than 32 bits hold")?;
        match list.len() {
            0 => return Err("there is no destination"),
            1 => {}
            _ if total == 0 => return Err("total destination weight = 0"),
            _ => {}
        }
        // Collected in place, it would keep the room of what is shared now.
        let mut shared = Vec::with_capacity(list.len());
        shared.extend(list.into_iter().map(Arc::new));
        Ok(Self {
            list: shared,
            total,
            lost,
        })
    }

    /// All of them.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Destination>> {
        self.list.iter()
    }

    /// The part of the total weight that no destination gets.
    pub fn lost_weight(&self) -> u32 {
        self.lost
    }

    /// Sum of the weights; 0 only for a single destination.
    pub fn total_weight(&self) -> u32 {
        self.total
    }

    /// The share of a destination, from 0 to 1.
    pub fn share(&self, destination: &Destination) -> f64 {
        match self.total {
            0 => 1.0,
            total => f64::from(destination.weight) / f64::from(total),
        }
    }
}

// === impl RegexRewrite ===

impl RegexRewrite {
    /// Compiles. In the substitution `\0` to `\9` name groups and `\\` is a backslash (RE2).
    ///
    /// # Errors
    /// If the expression is bad.
    pub fn new(pattern: &str, substitution: &str) -> Result<Self, BadRegex> {
        let pattern = compile(pattern)?;
        let mut template = Vec::new();
        let mut text = Vec::new();
        let mut bytes = substitution.bytes();
        while let Some(byte) = bytes.next() {
            match (byte, byte == b'\\') {
                (byte, false) => text.push(byte),
                (_, true) => match bytes.next() {
                    Some(digit @ b'0'..=b'9') => {
                        template.push(Piece::Text(std::mem::take(&mut text).into()));
                        template.push(Piece::Group(usize::from(digit - b'0')));
                    }
                    Some(other) => text.push(other),
                    None => text.push(b'\\'),
                },
            }
        }
        template.push(Piece::Text(text.into()));
        Ok(Self { pattern, template })
    }

    /// The path with every match replaced (RE2's `GlobalReplace`). Absent if the result is not
    /// UTF-8.
    pub fn apply(&self, path: &str) -> Option<String> {
        let replaced = self
            .pattern
            .replace_all(path.as_bytes(), |captures: &Captures<'_>| {
                let mut out = Vec::new();
                for piece in &self.template {
                    match piece {
                        Piece::Text(text) => out.extend_from_slice(text),
                        Piece::Group(group) => {
                            out.extend_from_slice(
                                captures.get(*group).map_or(&[], |found| found.as_bytes()),
                            );
                        }
                    }
                }
                out
            });
        String::from_utf8(replaced.into_owned()).ok()
    }

    /// The expression as written.
    pub fn pattern(&self) -> &str {
        self.pattern.as_str()
    }
}
