//! Mesh-wide settings of the compiler.

use mesh_api::TrustDomain;
use mesh_api::v1::OutboundPolicy;

/// What holds for the whole mesh and is not in any object (Istio: `MeshConfig`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeshSettings {
    /// Trust domain of the mesh (Istio: `trustDomain`).
    pub trust_domain: TrustDomain,
    /// Other names of the same trust domain, accepted in policies and from peers
    /// (Istio: `trustDomainAliases`).
    pub trust_domain_aliases: Vec<TrustDomain>,
    /// Namespace whose policies hold for the whole mesh (Istio: `rootNamespace`).
    pub root_namespace: String,
    /// Suffix of service names: `<name>.<namespace>.svc.<cluster domain>`.
    pub cluster_domain: String,
    /// Treatment of undeclared destinations (Istio: `outboundTrafficPolicy.mode`).
    pub outbound_policy: OutboundPolicy,
    /// Roots that proxies trust for their peers, DER.
    pub roots_der: Vec<Vec<u8>>,
    /// Give services without an address one from 240.240.0.0/16.
    pub allocate_addresses: bool,
}

impl Default for MeshSettings {
    /// Istio's defaults: `cluster.local`, `istio-system`, `ALLOW_ANY`, addresses allocated.
    fn default() -> Self {
        Self {
            trust_domain: TrustDomain::default(),
            trust_domain_aliases: Vec::new(),
            root_namespace: "istio-system".to_owned(),
            cluster_domain: "cluster.local".to_owned(),
            outbound_policy: OutboundPolicy::AllowAny,
            roots_der: Vec::new(),
            allocate_addresses: true,
        }
    }
}
