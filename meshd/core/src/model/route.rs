//! VirtualService.

use mesh_api::v1::{
    Cors, DirectResponse, Fault, HeaderEdits, HttpMatch, Origin, Redirect, Retry, Rewrite,
};

use super::{ExportTo, Meta};
use crate::yaml::{Labels, Word};

/// A VirtualService.
#[derive(Debug)]
pub(crate) struct VirtualService {
    pub(crate) meta: Meta,
    /// As written; short names are not resolved.
    pub(crate) hosts: Vec<Word>,
    /// `mesh` or `<namespace>/<name>`.
    pub(crate) gateways: Vec<String>,
    pub(crate) export_to: ExportTo,
    pub(crate) http: Vec<HttpRule>,
    pub(crate) tls: Vec<L4Rule>,
    pub(crate) tcp: Vec<L4Rule>,
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
#[derive(Debug)]
pub(crate) struct HttpRule {
    pub(crate) name: String,
    pub(crate) origin: Origin,
    pub(crate) cases: Vec<HttpCase>,
    pub(crate) action: HttpAction,
    pub(crate) fault: Option<Fault>,
    pub(crate) cors: Option<Cors>,
    pub(crate) headers: Option<HeaderEdits>,
}

/// One of `http[].match`.
#[derive(Debug)]
pub(crate) struct HttpCase {
    /// What is compared with each request.
    pub(crate) wire: HttpMatch,
    /// What is decided once for each proxy.
    pub(crate) filter: ClientFilter,
}

/// What a match says of the client and the port (Istio evaluates it at configuration time).
#[derive(Debug, Default, PartialEq)]
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
#[derive(Debug)]
pub(crate) enum HttpAction {
    Forward(Box<ForwardRule>),
    Redirect(Redirect),
    Direct(DirectResponse),
}

/// Where requests are sent, and how.
#[derive(Debug)]
pub(crate) struct ForwardRule {
    pub(crate) targets: Vec<Target>,
    pub(crate) rewrite: Option<Rewrite>,
    /// 0 is none.
    pub(crate) timeout_ms: u64,
    pub(crate) retries: Retries,
    /// With their share in millionths.
    pub(crate) mirrors: Vec<(Target, u32)>,
}

/// Retries of a rule.
#[derive(Debug)]
pub(crate) enum Retries {
    /// Nothing said: the mesh's default.
    Default,
    /// `attempts: 0`.
    Off,
    Policy(Retry),
}

/// A destination.
#[derive(Debug)]
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
#[derive(Debug)]
pub(crate) struct L4Rule {
    pub(crate) origin: Origin,
    pub(crate) cases: Vec<L4Case>,
    pub(crate) targets: Vec<Target>,
}

/// One of `tls[].match` or `tcp[].match`.
#[derive(Debug, PartialEq)]
pub(crate) struct L4Case {
    pub(crate) origin: Origin,
    /// Empty in `tcp`.
    pub(crate) sni_hosts: Vec<String>,
    pub(crate) subnets: Vec<String>,
    pub(crate) filter: ClientFilter,
}
