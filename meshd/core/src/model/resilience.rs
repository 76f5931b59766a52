//! ResiliencePolicy, the mesh's own kind.

use mesh_api::v1::{HealthCheck, Origin, OverloadProtection, RateLimit};

use super::Meta;
use crate::yaml::Labels;

/// A ResiliencePolicy.
#[derive(Debug)]
pub(crate) struct ResiliencePolicy {
    pub(crate) meta: Meta,
    pub(crate) target: PolicyTarget,
    /// Rates of requests and of connections, without ports.
    pub(crate) rate_limits: Vec<RateLimit>,
    pub(crate) overload: Option<OverloadProtection>,
    pub(crate) health_check: Option<HealthCheck>,
}

/// What a policy is for.
#[derive(Debug)]
pub(crate) enum PolicyTarget {
    /// Workloads with these labels; none are all of the namespace, or of the mesh.
    Workloads(Labels),
    /// Objects of the policy's namespace.
    Objects(Vec<TargetRef>),
}

/// One of `targetRefs`.
#[derive(Debug)]
pub(crate) struct TargetRef {
    pub(crate) kind: TargetKind,
    pub(crate) name: String,
    /// A port by name or number, or a rule of a VirtualService by name; absent is all of it.
    pub(crate) section: Option<String>,
    pub(crate) origin: Origin,
}

/// Kinds of objects that a policy may be for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TargetKind {
    Service,
    ServiceEntry,
    Gateway,
    VirtualService,
}

// === impl TargetKind ===

impl TargetKind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Service => "Service",
            Self::ServiceEntry => "ServiceEntry",
            Self::Gateway => "Gateway",
            Self::VirtualService => "VirtualService",
        }
    }

    /// The API group.
    pub(crate) const fn group(self) -> &'static str {
        match self {
            Self::Service => "",
            Self::ServiceEntry | Self::Gateway | Self::VirtualService => "networking.istio.io",
        }
    }
}
