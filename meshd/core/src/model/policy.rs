//! DestinationRule, PeerAuthentication.

use std::collections::BTreeMap;

use mesh_api::v1::{
    ClientTls, ConnectionPool, ConsistentHash, LoadBalancer, LocalityBalancing, MtlsMode, Origin,
    OutlierDetection, ProxyProtocol, RetryBudget, Tunnel, Warmup,
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
    /// Holds for all ports.
    pub(crate) retry_budget: Option<RetryBudget>,
    /// The same.
    pub(crate) proxy_protocol: Option<ProxyProtocol>,
    /// The same.
    pub(crate) tunnel: Option<Tunnel>,
}

/// The parts of a policy; each is set or inherited as a whole.
#[derive(Clone, Debug)]
pub(crate) struct PolicyParts {
    pub(crate) load_balancer: Option<Balancing>,
    pub(crate) connection_pool: Option<PoolPolicy>,
    pub(crate) outlier_detection: Option<OutlierDetection>,
    pub(crate) tls: Option<ClientTls>,
    pub(crate) origin: Origin,
}

/// A `loadBalancer`.
#[derive(Clone, Debug)]
pub(crate) struct Balancing {
    pub(crate) simple: Option<LoadBalancer>,
    pub(crate) hash: Option<ConsistentHash>,
    pub(crate) warmup: Option<Warmup>,
    pub(crate) locality: Option<LocalitySetting>,
}

/// A `localityLbSetting` or `zoneAwareLbSetting`.
#[derive(Clone, Debug)]
pub(crate) struct LocalitySetting {
    pub(crate) enabled: bool,
    pub(crate) wire: LocalityBalancing,
}

/// A `connectionPool`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct PoolPolicy {
    /// In milliseconds, 0 for the default.
    pub(crate) connect_timeout_ms: u64,
    pub(crate) wire: ConnectionPool,
}

impl LocalitySetting {
    /// Whether it speaks of who takes over from whom.
    pub(crate) fn fails_over(&self) -> bool {
        !self.wire.failover.is_empty() || !self.wire.failover_priority.is_empty()
    }
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

// === impl DestinationRule ===

impl DestinationRule {
    /// Names of the Secrets that it names.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = &str> {
        let subsets = self.subsets.iter();
        let subsets = subsets.filter_map(|subset| subset.policy.as_ref());
        let policies = self.policy.iter().chain(subsets);
        policies.flat_map(ClientPolicy::credentials)
    }
}

// === impl ClientPolicy ===

impl ClientPolicy {
    /// Names of the Secrets that it names.
    pub(crate) fn credentials(&self) -> impl Iterator<Item = &str> {
        let parts = std::iter::once(&self.parts).chain(self.ports.values());
        let names = parts.filter_map(|parts| Some(parts.tls.as_ref()?.credential.as_str()));
        names.filter(|name| !name.is_empty())
    }
}
