//! All objects in force, linked and indexed.

mod addresses;
mod build;
mod check;
mod objects;
mod peer_auth;
mod rules;
mod services;
mod view;

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;
use mesh_api::v1::{BackingPort, Node, Origin, Problem, Resolution, ServicePort};
use mesh_api::{Hostname, SpiffeId, WorkloadName};

use crate::model::{AuthorizationPolicy, DestinationRule, ExportTo, GatewayObject, VirtualService};
use crate::yaml::Labels;
use crate::{MeshSettings, Scope, ScopeError};

pub use view::{ServiceView, WorkloadView};

pub(crate) use peer_auth::{Mtls, PeerAuthentications};
pub(crate) use rules::EffectiveRule;

/// Index of a service in [`Inner::services`].
pub(crate) type ServiceId = usize;
/// Index of a workload in [`Inner::workloads`].
pub(crate) type WorkloadId = usize;

/// The whole configuration at one moment: immutable, and cheap to clone.
#[derive(Clone, Debug)]
pub struct World {
    inner: Arc<Inner>,
}

/// What a World holds. Lists are in order of age.
#[derive(Debug, Default)]
pub(crate) struct Inner {
    pub(crate) settings: MeshSettings,
    pub(crate) digest: String,
    pub(crate) problems: Vec<Problem>,
    pub(crate) services: Vec<ServiceRecord>,
    pub(crate) services_by_host: HashMap<Hostname, Vec<ServiceId>>,
    /// ExternalName services by their own name.
    pub(crate) aliases: HashMap<Hostname, Hostname>,
    pub(crate) services_by_ip: HashMap<IpAddr, Vec<ServiceId>>,
    pub(crate) services_by_range: Vec<(IpNet, ServiceId)>,
    /// Services that have no address of their own, by port.
    pub(crate) services_without_address: BTreeMap<u32, Vec<ServiceId>>,
    pub(crate) workloads: Vec<WorkloadRecord>,
    pub(crate) workloads_by_uid: HashMap<String, WorkloadId>,
    pub(crate) workloads_by_ip: HashMap<IpAddr, Vec<WorkloadId>>,
    pub(crate) virtual_services: Vec<Arc<VirtualService>>,
    /// VirtualServices for sidecars by full host name or wildcard.
    pub(crate) mesh_routes: HashMap<Hostname, Vec<usize>>,
    /// VirtualServices by gateway (`<namespace>/<name>`).
    pub(crate) gateway_routes: HashMap<String, Vec<usize>>,
    pub(crate) gateways: Vec<Arc<GatewayObject>>,
    /// By namespace and full host name or wildcard.
    pub(crate) destination_rules: HashMap<String, HashMap<Hostname, Vec<Arc<DestinationRule>>>>,
    pub(crate) peer_authentications: PeerAuthentications,
    /// By namespace.
    pub(crate) authorization_policies: HashMap<String, Vec<Arc<AuthorizationPolicy>>>,
}

/// A service, wherever it was declared.
#[derive(Debug)]
pub(crate) struct ServiceRecord {
    pub(crate) host: Hostname,
    pub(crate) namespace: String,
    pub(crate) short_name: String,
    /// Declared as a Service of Kubernetes.
    pub(crate) kubernetes: bool,
    /// Clients call its workloads by their own addresses.
    pub(crate) headless: bool,
    pub(crate) ports: Vec<ServicePort>,
    pub(crate) addresses: Vec<String>,
    pub(crate) resolution: Resolution,
    pub(crate) external: bool,
    pub(crate) export_to: ExportTo,
    pub(crate) subject_alt_names: Vec<String>,
    pub(crate) origin: Origin,
    pub(crate) backends: Vec<WorkloadId>,
}

/// A workload or another endpoint.
#[derive(Debug)]
pub(crate) struct WorkloadRecord {
    pub(crate) uid: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) service_account: String,
    /// SPIFFE ID, or empty.
    pub(crate) identity: String,
    pub(crate) labels: Labels,
    pub(crate) address: String,
    pub(crate) ports: BTreeMap<String, u16>,
    pub(crate) locality: String,
    pub(crate) weight: u32,
    pub(crate) healthy: bool,
    pub(crate) origin: Origin,
    pub(crate) backs: Vec<(ServiceId, Vec<BackingPort>)>,
}

// === impl World ===

impl World {
    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Content digest, hexadecimal: the same files and settings have the same digest anywhere.
    pub fn digest(&self) -> &str {
        &self.inner.digest
    }

    /// Everything that is wrong, sorted by place.
    pub fn problems(&self) -> &[Problem] {
        &self.inner.problems
    }

    /// The settings that it was built with.
    pub fn settings(&self) -> &MeshSettings {
        &self.inner.settings
    }

    /// What a proxy may see. `identity` is what its certificate says, `node` what it says of
    /// itself.
    ///
    /// # Errors
    /// If the node's description cannot be used, or claims a workload that is not the caller's.
    pub fn scope(&self, node: &Node, identity: &SpiffeId) -> Result<Scope, ScopeError> {
        Scope::new(self, node, identity)
    }

    /// A workload by name.
    pub fn workload(&self, name: &WorkloadName) -> Option<WorkloadView> {
        let id = self.inner.workloads_by_uid.get(&name.to_string())?;
        self.inner
            .workloads
            .get(*id)
            .map(|record| view::workload(&self.inner, record))
    }

    /// All workloads and other endpoints, in order of age.
    pub fn workloads(&self) -> impl Iterator<Item = WorkloadView> {
        self.inner
            .workloads
            .iter()
            .map(|record| view::workload(&self.inner, record))
    }

    /// All services, in order of age.
    pub fn services(&self) -> impl Iterator<Item = ServiceView> {
        self.inner
            .services
            .iter()
            .map(|record| view::service(&self.inner, record))
    }
}
