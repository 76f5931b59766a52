//! VirtualService, and what Ingresses and routes of the Gateway API become.

use mesh_api::v1::string_match::Kind;
use mesh_api::v1::{
    Cors, DirectResponse, Fault, HeaderEdits, HttpMatch, InvalidAction, Origin, Redirect, Retry,
    Rewrite,
};

use super::{ExportTo, Meta};
use crate::yaml::{Labels, Word};

/// A VirtualService, or what other kinds of routes mean in its terms.
#[derive(Debug)]
pub(crate) struct VirtualService {
    pub(crate) meta: Meta,
    pub(crate) semantics: Semantics,
    /// As written; short names are not resolved. None: it is there for others to delegate to.
    pub(crate) hosts: Vec<Word>,
    /// `mesh` or `<namespace>/<name>`.
    pub(crate) gateways: Vec<String>,
    pub(crate) export_to: ExportTo,
    pub(crate) http: Vec<HttpRule>,
    pub(crate) tls: Vec<L4Rule>,
    pub(crate) tcp: Vec<L4Rule>,
}

/// Whose rules hold where Istio's and those of the Gateway API differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Semantics {
    Istio,
    /// A destination that does not exist keeps its share of the requests, which are answered
    /// with 500; the routes of a client's own namespace go before others.
    GatewayApi,
}

impl VirtualService {
    /// The labels of clients that its matches look at.
    pub(crate) fn source_labels(&self) -> impl Iterator<Item = &Labels> {
        let http = self.http.iter().flat_map(|rule| &rule.cases);
        let opaque = self.tls.iter().chain(&self.tcp);
        let opaque = opaque.flat_map(|rule| &rule.cases);
        let filters = http.map(|case| &case.filter);
        let filters = filters.chain(opaque.map(|case| &case.filter));
        filters.map(|filter| &filter.source_labels)
    }
}

/// One of `http`.
#[derive(Clone, Debug)]
pub(crate) struct HttpRule {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) cases: Vec<HttpCase>,
    pub(crate) action: HttpAction,
    pub(crate) fault: Option<Fault>,
    pub(crate) cors: Option<Cors>,
    pub(crate) headers: Option<HeaderEdits>,
    /// Of a rule of a delegate: the names that `name` is joined from.
    pub(crate) joined: Option<Joined>,
}

/// The names of a rule that delegates, and of the delegate's rule in its place.
#[derive(Clone, Debug)]
pub(crate) struct Joined {
    pub(crate) root: String,
    pub(crate) delegate: String,
}

/// One of `http[].match`.
#[derive(Clone, Debug)]
pub(crate) struct HttpCase {
    /// What is compared with each request.
    pub(crate) wire: HttpMatch,
    /// What is decided once for each proxy.
    pub(crate) filter: ClientFilter,
}

/// What a match says of the client and the port (Istio evaluates it at configuration time).
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct ClientFilter {
    /// `mesh` or `<namespace>/<name>`; empty takes those of the VirtualService.
    pub(crate) gateways: Vec<String>,
    pub(crate) source_labels: Labels,
    /// Empty is any.
    pub(crate) source_namespace: String,
    /// 0 is any.
    pub(crate) port: u32,
}

/// What a rule does with a request.
#[derive(Clone, Debug)]
pub(crate) enum HttpAction {
    Forward(Box<ForwardRule>),
    Redirect(Redirect),
    Direct(DirectResponse),
    /// Cannot work.
    Invalid(InvalidAction),
    /// Left to another VirtualService; gone once the World is built.
    Delegate(Box<Delegation>),
}

/// A `delegate`, with what its routes inherit.
#[derive(Clone, Debug)]
pub(crate) struct Delegation {
    pub(crate) name: String,
    /// Empty for the object's own.
    pub(crate) namespace: String,
    pub(crate) inherited: Inherited,
}

/// What a route gives to those of its delegate that do not say it themselves.
#[derive(Clone, Debug)]
pub(crate) struct Inherited {
    pub(crate) rewrite: Option<Rewrite>,
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) retries: Retries,
    pub(crate) mirrors: Vec<(Target, u32)>,
}

/// Where requests are sent, and how.
#[derive(Clone, Debug)]
pub(crate) struct ForwardRule {
    pub(crate) targets: Vec<Target>,
    pub(crate) rewrite: Option<Rewrite>,
    /// Absent or 0 is none.
    pub(crate) timeout_ms: Option<u64>,
    pub(crate) retries: Retries,
    /// With their share in millionths.
    pub(crate) mirrors: Vec<(Target, u32)>,
    /// Time for each try with the mesh's default retries, in milliseconds; 0 is the time left.
    pub(crate) per_try_timeout_ms: u64,
    /// Shares of destinations that cannot be used.
    pub(crate) lost: Vec<Lost>,
}

/// The share of a destination that cannot be used (Gateway API).
#[derive(Clone, Debug)]
pub(crate) struct Lost {
    pub(crate) weight: u32,
    pub(crate) why: String,
}

/// Retries of a rule.
#[derive(Clone, Debug)]
pub(crate) enum Retries {
    /// Nothing said: the mesh's default.
    Default,
    /// `attempts: 0`.
    Off,
    Policy(Retry),
}

impl Retries {
    /// Whether the rule says anything of them.
    pub(crate) fn is_said(&self) -> bool {
        !matches!(self, Self::Default)
    }
}

/// A destination.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// As written.
    pub(crate) host: Word,
    pub(crate) port: Option<u16>,
    /// Empty for all endpoints.
    pub(crate) subset: String,
    pub(crate) weight: u32,
    pub(crate) headers: Option<HeaderEdits>,
}

/// One of `tls` or `tcp`.
#[derive(Clone, Debug)]
pub(crate) struct L4Rule {
    pub(crate) origin: Origin,
    pub(crate) cases: Vec<L4Case>,
    pub(crate) targets: Vec<Target>,
}

/// One of `tls[].match` or `tcp[].match`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct L4Case {
    pub(crate) origin: Origin,
    /// Empty in `tcp`.
    pub(crate) sni_hosts: Vec<String>,
    pub(crate) subnets: Vec<String>,
    pub(crate) filter: ClientFilter,
}

/// What a path must be (Ingress: `path` and `pathType`; Gateway API: HTTPPathMatch).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathMatch {
    /// Everything.
    All,
    Exact(String),
    /// Whole segments, without a slash at the end: `/a` takes `/a` and `/a/b`, not `/ab`.
    Prefix(String),
    /// The whole path.
    Regex(String),
}

impl PathMatch {
    /// What is compared with the path: any of these; none for everything.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        match self {
            Self::All => Vec::new(),
            Self::Exact(path) => vec![Kind::Exact(path.clone())],
            Self::Prefix(path) => vec![Kind::Exact(path.clone()), Kind::Prefix(format!("{path}/"))],
            Self::Regex(expression) => vec![Kind::Regex(expression.clone())],
        }
    }

    /// How specific it is among the paths of Ingresses: long before short, exact before prefix.
    pub(crate) fn rank(&self) -> (usize, bool) {
        match self {
            Self::All => (0, false),
            Self::Exact(path) => (path.len() + 1, true),
            Self::Prefix(path) | Self::Regex(path) => (path.len() + 1, false),
        }
    }
}
