//! All objects in force, linked and indexed.

mod addresses;
mod authorizers;
mod build;
mod check;
mod credentials;
mod delegates;
mod gateway_api;
mod history;
mod ingress;
mod objects;
mod peer_auth;
mod pods;
mod proxy_configs;
mod rules;
mod selection;
mod services;
mod sidecars;
mod slices;
mod telemetries;
mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use ipnet::IpNet;
use mesh_api::v1::{BackingPort, Node, Origin, Problem, Resolution, Resource, ServicePort};
use mesh_api::{Hostname, SpiffeId, WorkloadName};

use crate::model::{
    AuthorizationPolicy, DestinationRule, ExportTo, GatewayObject, Near, Pod,
    RequestAuthentication, ResiliencePolicy, SecretObject, VirtualService,
};
use crate::settings::KeySource;
use crate::translate::Compiled;
use crate::yaml::Labels;
use crate::{MeshSettings, Scope, ScopeError};

pub use ingress::IngressView;
pub use proxy_configs::ProxyConfigs;
pub use view::{ServiceView, WorkloadKind, WorkloadView};

use check::Enforced;
use gateway_api::GatewayApi;
pub(crate) use history::{Departures, History};
pub(crate) use objects::Entries;
pub(crate) use peer_auth::{Mtls, PeerAuthentications};
pub(crate) use rules::EffectiveRule;
pub(crate) use sidecars::Sidecars;
pub(crate) use telemetries::Telemetries;

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
    pub(crate) history: History,
    /// What is compiled for many proxies alike; shared by Worlds that differ in endpoints only.
    pub(crate) compiled: Arc<Compiled>,
    pub(crate) problems: Vec<Problem>,
    /// What of them policies are told that cannot hold; for the Worlds after.
    pub(crate) enforced: Enforced,
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
    /// Secrets that Gateways name, by namespace and name.
    pub(crate) secrets: HashMap<(String, String), Arc<SecretObject>>,
    /// Why a Secret that a Gateway names cannot be used.
    pub(crate) broken_secrets: HashMap<(String, String), String>,
    pub(crate) ingresses: Vec<IngressView>,
    pub(crate) gateway_api: GatewayApi,
    /// By namespace and full host name or wildcard.
    pub(crate) destination_rules: HashMap<String, HashMap<Hostname, Vec<Arc<DestinationRule>>>>,
    pub(crate) peer_authentications: PeerAuthentications,
    pub(crate) proxy_configs: ProxyConfigs,
    pub(crate) telemetries: Telemetries,
    pub(crate) sidecars: Sidecars,
    /// Labels of declared namespaces.
    pub(crate) namespaces: BTreeMap<String, Labels>,
    /// By namespace.
    pub(crate) authorization_policies: HashMap<String, Vec<Arc<AuthorizationPolicy>>>,
    /// By namespace.
    pub(crate) resilience_policies: HashMap<String, Vec<Arc<ResiliencePolicy>>>,
    /// By namespace.
    pub(crate) request_authentications: HashMap<String, Vec<Arc<RequestAuthentication>>>,
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
    pub(crate) near: Near,
    pub(crate) subject_alt_names: Vec<String>,
    pub(crate) origin: Origin,
    pub(crate) backends: Vec<WorkloadId>,
    /// The World that brought the backends as they are.
    pub(crate) since: u64,
    pub(crate) departures: Departures,
}

/// A workload or another endpoint, with the services that it is for.
#[derive(Debug)]
pub(crate) struct WorkloadRecord {
    /// Shared with the Worlds before, as long as nothing of it changes.
    pub(crate) base: Arc<WorkloadBase>,
    /// Services that may send it requests.
    pub(crate) backs: Vec<(ServiceId, Vec<BackingPort>)>,
    /// Services that it answers for, ready or not: service port and own port of each.
    pub(crate) fronts: Vec<(ServiceId, Vec<(u32, u32)>)>,
    /// The World that brought it as it is.
    pub(crate) since: u64,
    /// What proxies get of it.
    pub(crate) compiled: Arc<OnceLock<Arc<Resource>>>,
}

/// What a workload or another endpoint is, whatever services there are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct WorkloadBase {
    pub(crate) uid: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) service_account: String,
    /// SPIFFE ID, or empty.
    pub(crate) identity: String,
    pub(crate) labels: Arc<Labels>,
    pub(crate) address: String,
    /// Ports by name; not those of a pod's containers.
    pub(crate) ports: BTreeMap<String, u16>,
    pub(crate) locality: String,
    pub(crate) weight: u32,
    pub(crate) healthy: bool,
    pub(crate) origin: Origin,
    /// The Pod, if it is one.
    pub(crate) pod: Option<Arc<Pod>>,
}

// === impl WorkloadRecord ===

impl WorkloadRecord {
    /// One that no service knows yet.
    pub(crate) fn new(base: Arc<WorkloadBase>) -> Self {
        Self {
            base,
            backs: Vec::new(),
            fronts: Vec::new(),
            since: 0,
            compiled: Arc::default(),
        }
    }
}

impl Deref for WorkloadRecord {
    type Target = WorkloadBase;

    fn deref(&self) -> &WorkloadBase {
        &self.base
    }
}

// === impl Inner ===

impl Inner {
    /// A workload by name.
    pub(crate) fn workload(&self, name: &WorkloadName) -> Option<&WorkloadRecord> {
        let id = self.workloads_by_uid.get(&name.to_string())?;
        self.workloads.get(*id)
    }

    /// Where a gateway listens for a server with this port: at the target ports of the Services
    /// that select it and have the port, or at the port itself (Istio: a server's port is that
    /// of the Service).
    pub(crate) fn listener_ports(&self, workload: &WorkloadName, port: u16) -> BTreeSet<u16> {
        let fronts = self.workload(workload).map(|record| &record.fronts);
        let targets: BTreeSet<u16> = fronts
            .into_iter()
            .flatten()
            .filter(|(service, _)| {
                let service = self.services.get(*service);
                service.is_some_and(|service| service.kubernetes)
            })
            .flat_map(|(_, ports)| ports)
            .filter(|(service_port, _)| *service_port == u32::from(port))
            .filter_map(|(_, target)| u16::try_from(*target).ok())
            .collect();
        if targets.is_empty() {
            BTreeSet::from([port])
        } else {
            targets
        }
    }
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

    /// Digest of everything but endpoints: pods that come and go leave it as it is.
    pub fn configuration_digest(&self) -> [u8; 32] {
        self.inner.history.configuration()
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
        self.inner
            .workload(name)
            .map(|record| view::workload(&self.inner, record))
    }

    /// The labels of a namespace, if an object declares it.
    pub fn namespace(&self, name: &str) -> Option<&BTreeMap<String, String>> {
        self.inner.namespaces.get(name)
    }

    /// What ProxyConfigs say of the proxies of pods. It acts when a pod is injected.
    pub fn proxy_configs(&self) -> &ProxyConfigs {
        &self.inner.proxy_configs
    }

    /// Ingresses that the mesh serves, in order of age. What their status should say is the
    /// address of the Service [`IngressSettings::service`](crate::IngressSettings::service) in
    /// the root namespace.
    pub fn ingresses(&self) -> &[IngressView] {
        &self.inner.ingresses
    }

    /// All workloads and other endpoints: pods, WorkloadEntries, then the rest, each in order of
    /// age.
    pub fn workloads(&self) -> impl Iterator<Item = WorkloadView> {
        self.inner
            .workloads
            .iter()
            .map(|record| view::workload(&self.inner, record))
    }

    /// Where keys of RequestAuthentications are, that are not written in them.
    pub fn key_sources(&self) -> BTreeSet<KeySource> {
        let policies = self.inner.request_authentications.values().flatten();
        let rules = policies.flat_map(|policy| &policy.rules);
        rules.filter_map(|rule| rule.keys.clone()).collect()
    }

    /// Those of the RequestAuthentication of this name, `<namespace>/<name>`.
    pub fn key_sources_of(&self, name: &str) -> BTreeSet<KeySource> {
        let Some((namespace, name)) = name.split_once('/') else {
            return BTreeSet::new();
        };
        let policies = self.inner.request_authentications.get(namespace);
        let mut policies = policies.into_iter().flatten();
        let policy = policies.find(|policy| policy.meta.name() == name);
        let rules = policy.into_iter().flat_map(|policy| &policy.rules);
        rules.filter_map(|rule| rule.keys.clone()).collect()
    }

    /// All services, in order of age.
    pub fn services(&self) -> impl Iterator<Item = ServiceView> {
        self.inner
            .services
            .iter()
            .map(|record| view::service(&self.inner, record))
    }
}
