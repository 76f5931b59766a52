//! What a proxy itself is told: the mesh, its inbound side.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use mesh_api::{Hostname, SpiffeId, TrustDomain, WorkloadName};

use super::{
    Admission, AppEndpoint, EgressListener, InboundListener, Origin, Place, Protocol,
    RequestChecks, TelemetryRules, TlsServer, TrafficSettings,
};
use crate::authz::PolicySet;
use crate::authz::path::PathForm;
use crate::labels::PeerLabels;

/// Mesh-wide settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mesh {
    /// Trust domain of the mesh.
    pub trust_domain: TrustDomain,
    /// Other names of the same trust domain.
    pub trust_domain_aliases: Vec<TrustDomain>,
    /// What happens to destinations that nobody declared.
    pub outbound_policy: OutboundPolicy,
    /// Roots to trust for peers of the own trust domain, DER.
    pub roots_der: Vec<Vec<u8>>,
    /// Other trust domains whose workloads are taken as peers.
    pub federated: Vec<TrustBundle>,
    /// Revocation lists of the authorities of the own trust domain, DER.
    pub crls_der: Vec<Vec<u8>>,
    /// Changes whenever the certificate is to be renewed at once.
    pub renew_certificates: String,
    /// Keys that verify JWT-SVIDs of the own trust domain, a JSON Web Key Set; empty if unknown.
    pub jwks: String,
    /// Normal form of paths.
    pub path_form: PathForm,
}

/// The roots of another trust domain: they vouch for its identities, and for no others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustBundle {
    /// Whose roots they are.
    pub trust_domain: TrustDomain,
    /// The roots, DER.
    pub roots_der: Vec<Vec<u8>>,
    /// Keys that verify its JWT-SVIDs, a JSON Web Key Set; empty if none are known.
    pub jwks: String,
}

/// Treatment of undeclared destinations (Istio: outboundTrafficPolicy.mode).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OutboundPolicy {
    /// Passed to where they were going.
    AllowAny,
    /// HTTP answers 502, TCP is reset.
    RegistryOnly,
}

/// What a sidecar accepts.
#[derive(Clone, Debug)]
pub struct Inbound {
    /// The workload.
    pub workload: WorkloadName,
    /// Its identity, if it has one.
    pub identity: Option<SpiffeId>,
    /// Declared ports by number.
    pub ports: BTreeMap<u16, InboundPort>,
    /// Mode for other ports.
    pub default_mtls: MtlsMode,
    /// PeerAuthentication that gives `default_mtls`.
    pub mtls_origin: Option<Arc<Origin>>,
    /// Authorization policies.
    pub policies: PolicySet,
    /// Metric labels of the workload.
    pub labels: Arc<PeerLabels>,
    /// Where it is.
    pub place: Arc<Place>,
    /// Listeners for calls of the workload itself, beside those that every proxy has.
    pub egress: Vec<EgressListener>,
    /// What is let in, besides authorization.
    pub admission: Arc<Admission>,
    /// What is asked of requests besides authorization policies.
    pub checks: Arc<RequestChecks>,
    /// What it reports; absent: as it was started.
    pub telemetry: Option<Arc<TelemetryRules>>,
}

/// One port that a workload serves.
#[derive(Clone, Debug)]
pub struct InboundPort {
    /// Port of the workload.
    pub port: u16,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Which peers it accepts.
    pub mtls: MtlsMode,
    /// PeerAuthentication that decides.
    pub mtls_origin: Option<Arc<Origin>>,
    /// The (oldest) service in front of it, with that service's port.
    pub service: Option<(Hostname, u16)>,
    /// Where the application answers; absent: where the connection was going.
    pub endpoint: Option<AppEndpoint>,
    /// Its own listener.
    pub listener: Option<InboundListener>,
    /// TLS that ends here, for callers outside of the mesh; only where mutual TLS is off.
    pub tls: Option<Arc<TlsServer>>,
    /// Limits toward the application.
    pub traffic: Option<Arc<TrafficSettings>>,
    /// Time to open a connection to the application, where the configuration says one.
    pub connect_timeout: Option<Duration>,
}

/// Which peers a port accepts (Istio: PeerAuthentication.mtls.mode).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MtlsMode {
    /// Plain text only.
    Disable,
    /// Both.
    Permissive,
    /// Mutual TLS only.
    Strict,
}

// === impl Mesh ===

impl Default for Mesh {
    /// What holds before the first configuration: nothing undeclared is passed on, nobody is
    /// trusted.
    fn default() -> Self {
        Self {
            trust_domain: TrustDomain::default(),
            trust_domain_aliases: Vec::new(),
            outbound_policy: OutboundPolicy::RegistryOnly,
            roots_der: Vec::new(),
            federated: Vec::new(),
            crls_der: Vec::new(),
            renew_certificates: String::new(),
            jwks: String::new(),
            path_form: PathForm::Base,
        }
    }
}

impl Mesh {
    /// Whether the name is the mesh's own trust domain or one of its aliases.
    pub fn is_own_domain(&self, domain: &str) -> bool {
        self.domains().any(|own| own == domain)
    }

    /// Whether identities of this trust domain are taken as peers: of the own one by any of its
    /// names, or of one whose roots are here.
    pub fn takes_domain(&self, domain: &str) -> bool {
        let federated = |bundle: &TrustBundle| {
            bundle.trust_domain.as_str() == domain && !bundle.roots_der.is_empty()
        };
        self.is_own_domain(domain) || self.federated.iter().any(federated)
    }

    /// The mesh's own trust domain, then its aliases.
    pub fn domains(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.trust_domain)
            .chain(&self.trust_domain_aliases)
            .map(TrustDomain::as_str)
    }
}

// === impl MtlsMode ===

impl MtlsMode {
    /// Istio's name of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Disable => "DISABLE",
            Self::Permissive => "PERMISSIVE",
            Self::Strict => "STRICT",
        }
    }
}
