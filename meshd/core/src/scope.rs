//! Who asks, and what they may see.

use std::net::IpAddr;
use std::sync::Arc;

use mesh_api::v1::{Node, ProxyKind};
use mesh_api::{InvalidWorkloadName, SpiffeId, WorkloadName};

use crate::World;
use crate::model::Pod;
use crate::yaml::Labels;

/// A proxy, as far as its configuration depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    workload: WorkloadName,
    kind: ProxyKind,
    identity: SpiffeId,
    /// Of a pod those of its object, of others what the node says.
    labels: Arc<Labels>,
    addresses: Vec<IpAddr>,
    locality: String,
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
    /// Nobody declares the workload, where all of them must be declared
    /// ([`MeshSettings::declared_workloads_only`](crate::MeshSettings::declared_workloads_only)).
    /// Its Pod may be on the way to the control plane: ask again.
    #[error("no Pod or WorkloadEntry {0} is known yet; try again")]
    Unknown(WorkloadName),
    /// The Pod is to run another kind of proxy.
    #[error("{workload} is to run a {declared}, not a {claimed}")]
    OtherKind {
        /// What the node claims to be.
        workload: WorkloadName,
        /// What the Pod says of its proxy.
        declared: &'static str,
        /// What the node says.
        claimed: &'static str,
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
        let record = world.inner().workload(&workload);
        if let Some(record) = record {
            let service_account = &record.service_account;
            if !service_account.is_empty() && service_account != identity.service_account() {
                return Err(ScopeError::ServiceAccount {
                    workload,
                    service_account: service_account.clone(),
                    identity: identity.clone(),
                });
            }
        } else if settings.declared_workloads_only {
            return Err(ScopeError::Unknown(workload));
        }
        let pod = record.and_then(|record| Some((record, record.pod.as_deref()?)));
        let (labels, addresses, locality) = if let Some((record, pod)) = pod {
            check_kind(&workload, pod, kind)?;
            let locality = record.locality.clone();
            (Arc::clone(&pod.labels), pod.addresses.clone(), locality)
        } else {
            let addresses = node.addresses.iter().map(|text| {
                let address = text.parse();
                address.map_err(|_| ScopeError::Address(text.clone()))
            });
            let addresses = addresses.collect::<Result<_, _>>()?;
            (
                Arc::new(node.labels.clone()),
                addresses,
                node.locality.clone(),
            )
        };
        Ok(Self {
            workload,
            kind,
            identity: identity.clone(),
            labels,
            addresses,
            locality,
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

    /// Where it is: `region/zone/subzone`, parts may be missing.
    pub fn locality(&self) -> &str {
        &self.locality
    }

    /// The workload's labels: a pod's as its object has them now, or had them last; of others
    /// what the node says, corrected by what the configuration declares.
    pub(crate) fn labels(&self, world: &World) -> Arc<Labels> {
        match world.inner().workload(&self.workload) {
            None => Arc::clone(&self.labels),
            Some(record) if record.pod.is_some() => Arc::clone(&record.labels),
            Some(record) => {
                let mut labels = Labels::clone(&self.labels);
                labels.extend((*record.labels).clone());
                Arc::new(labels)
            }
        }
    }
}

/// The pod's proxy must be what its container says.
fn check_kind(workload: &WorkloadName, pod: &Pod, claimed: ProxyKind) -> Result<(), ScopeError> {
    let word = |kind| match kind {
        ProxyKind::Gateway => "gateway",
        _ => "sidecar",
    };
    match pod.proxy {
        Some(declared) if declared != claimed => Err(ScopeError::OtherKind {
            workload: workload.clone(),
            declared: word(declared),
            claimed: word(claimed),
        }),
        _ => Ok(()),
    }
}
