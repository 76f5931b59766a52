//! Who asks, and what they may see.

use std::net::IpAddr;

use mesh_api::v1::{Node, ProxyKind};
use mesh_api::{InvalidWorkloadName, SpiffeId, WorkloadName};

use crate::World;
use crate::yaml::Labels;

/// A proxy, as far as its configuration depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    workload: WorkloadName,
    kind: ProxyKind,
    identity: SpiffeId,
    labels: Labels,
    addresses: Vec<IpAddr>,
}

/// Why a proxy gets no configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// The node names no workload.
    #[error(transparent)]
    Workload(#[from] InvalidWorkloadName),
    /// The node does not say what kind of proxy it is.
    #[error("{0}: the kind of proxy is neither sidecar nor gateway")]
    Kind(WorkloadName),
    /// The certificate belongs to another namespace.
    #[error("{workload} is not in the namespace of the caller's identity {identity}")]
    Namespace {
        /// What the node claims.
        workload: WorkloadName,
        /// What the certificate says.
        identity: SpiffeId,
    },
    /// The certificate belongs to another trust domain.
    #[error("the caller's identity {0} is of another trust domain")]
    TrustDomain(SpiffeId),
    /// The workload runs under another service account.
    #[error(
        "{workload} runs as service account {service_account}, the caller's identity is {identity}"
    )]
    ServiceAccount {
        /// What the node claims.
        workload: WorkloadName,
        /// What the workload runs as.
        service_account: String,
        /// What the certificate says.
        identity: SpiffeId,
    },
    /// An address cannot be read.
    #[error("`{0}` is no IP address")]
    Address(String),
}

// === impl Scope ===

impl Scope {
    pub(crate) fn new(world: &World, node: &Node, identity: &SpiffeId) -> Result<Self, ScopeError> {
        let workload: WorkloadName = node.workload.parse()?;
        let kind = node.kind();
        if kind == ProxyKind::Unspecified {
            return Err(ScopeError::Kind(workload));
        }
        let settings = world.settings();
        let ours = std::iter::once(&settings.trust_domain).chain(&settings.trust_domain_aliases);
        if !ours
            .into_iter()
            .any(|domain| domain.as_str() == identity.trust_domain())
        {
            return Err(ScopeError::TrustDomain(identity.clone()));
        }
        if workload.namespace() != identity.namespace() {
            return Err(ScopeError::Namespace {
                workload,
                identity: identity.clone(),
            });
        }
        if let Some(declared) = world.workload(&workload) {
            let service_account = declared.service_account;
            if !service_account.is_empty() && service_account != identity.service_account() {
                return Err(ScopeError::ServiceAccount {
                    workload,
                    service_account,
                    identity: identity.clone(),
                });
            }
        }
        let parse = |text: &String| text.parse().map_err(|_| ScopeError::Address(text.clone()));
        let addresses = node.addresses.iter().map(parse).collect::<Result<_, _>>()?;
        Ok(Self {
            workload,
            kind,
            identity: identity.clone(),
            labels: node.labels.clone(),
            addresses,
        })
    }

    /// The workload.
    pub fn workload(&self) -> &WorkloadName {
        &self.workload
    }

    /// Sidecar or gateway.
    pub fn kind(&self) -> ProxyKind {
        self.kind
    }

    /// The caller's authenticated identity.
    pub fn identity(&self) -> &SpiffeId {
        &self.identity
    }

    /// Addresses that the workload answers on.
    pub fn addresses(&self) -> &[IpAddr] {
        &self.addresses
    }

    /// The workload's labels: what the node says, corrected by what the configuration declares.
    pub(crate) fn labels(&self, world: &World) -> Labels {
        let mut labels = self.labels.clone();
        if let Some(declared) = world.workload(&self.workload) {
            labels.extend(declared.labels);
        }
        labels
    }
}
