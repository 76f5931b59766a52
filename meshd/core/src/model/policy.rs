//! DestinationRule, PeerAuthentication, AuthorizationPolicy.

use std::collections::BTreeMap;

use mesh_api::v1::{
    AuthorizationAction, AuthorizationRule, ClientTls, LoadBalancer, MtlsMode, Origin,
};

use super::{ExportTo, Meta};
use crate::yaml::{Labels, Word};

/// A DestinationRule.
#[derive(Debug)]
pub(crate) struct DestinationRule {
    pub(crate) meta: Meta,
    /// As written.
    pub(crate) host: Word,
    pub(crate) export_to: ExportTo,
    /// Client workloads of the rule's namespace (Istio: workloadSelector).
    pub(crate) selector: Option<Labels>,
    pub(crate) policy: Option<ClientPolicy>,
    pub(crate) subsets: Vec<SubsetSpec>,
}

/// One of `subsets`.
#[derive(Debug)]
pub(crate) struct SubsetSpec {
    pub(crate) name: String,
    pub(crate) labels: Labels,
    pub(crate) policy: Option<ClientPolicy>,
    pub(crate) origin: Origin,
}

/// A `trafficPolicy`.
#[derive(Debug)]
pub(crate) struct ClientPolicy {
    pub(crate) parts: PolicyParts,
    /// `portLevelSettings`, by service port.
    pub(crate) ports: BTreeMap<u32, PolicyParts>,
}

/// The parts of a policy; each is set or inherited as a whole.
#[derive(Clone, Debug)]
pub(crate) struct PolicyParts {
    pub(crate) load_balancer: Option<LoadBalancer>,
    /// `connectionPool`: its connect timeout in milliseconds, 0 for the default.
    pub(crate) connect_timeout_ms: Option<u64>,
    pub(crate) tls: Option<ClientTls>,
    pub(crate) origin: Origin,
}

/// A PeerAuthentication.
#[derive(Debug)]
pub(crate) struct PeerAuthentication {
    pub(crate) meta: Meta,
    /// Empty holds for the namespace.
    pub(crate) selector: Labels,
    /// Absent inherits.
    pub(crate) mode: Option<(MtlsMode, Origin)>,
    /// `portLevelMtls`, by workload port.
    pub(crate) ports: BTreeMap<u16, (Option<MtlsMode>, Origin)>,
}

/// An AuthorizationPolicy.
#[derive(Debug)]
pub(crate) struct AuthorizationPolicy {
    pub(crate) meta: Meta,
    pub(crate) selector: Labels,
    pub(crate) action: AuthorizationAction,
    /// Principals stand as written, without `spiffe://`.
    pub(crate) rules: Vec<AuthorizationRule>,
    /// Annotation `istio.io/dry-run: "true"`: nothing is enforced.
    pub(crate) dry_run: bool,
}
