//! What many proxies get alike, compiled once.
//!
//! A route table, the addresses of a name and a service are the same for all clients of one
//! namespace whose labels no rule tells apart, and depend on no endpoint: they hold as long as
//! the configuration does, over any number of Worlds that only bring or take pods. A workload is
//! the same for all who can see the services it is for.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mesh_api::v1::resource::Body;
use mesh_api::v1::{ProxyKind, Resource};
use mesh_api::{Hostname, ResourceName};

use super::{View, hosts_of_table, mesh, resource};
use crate::Scope;
use crate::model::SidecarObject;
use crate::world::{ServiceId, ServiceRecord, WorkloadRecord};
use crate::yaml::Labels;

/// Roots kept for one kind of client. Clients may ask for any name; beyond this number each gets
/// its own.
const MOST_ROOTS: usize = 16_384;

/// Everything compiled from one configuration.
#[derive(Debug, Default)]
pub(crate) struct Compiled {
    /// Labels of clients that something depends on.
    telling: BTreeSet<String>,
    clients: Mutex<HashMap<Client, Arc<ForClients>>>,
}

/// All that the configuration of outbound traffic depends on.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Client {
    namespace: String,
    gateway: bool,
    /// Namespace and name of the Sidecar that holds.
    sidecar: Option<(String, String)>,
    labels: Vec<(String, String)>,
}

/// What is compiled for clients of one kind.
#[derive(Debug, Default)]
pub(super) struct ForClients {
    roots: Mutex<HashMap<ResourceName, Arc<CommonRoot>>>,
    services: Mutex<HashMap<ServiceId, Arc<Resource>>>,
}

/// A root that is not for one workload only.
#[derive(Debug)]
pub(super) struct CommonRoot {
    pub(super) resource: Arc<Resource>,
    /// The services it names.
    pub(super) hosts: BTreeSet<Hostname>,
    /// It depends on which workloads there are.
    pub(super) any_workload: bool,
}

// === impl Compiled ===

impl Compiled {
    /// Nothing yet. `telling` are the names of labels by which clients differ.
    pub(crate) fn new(telling: BTreeSet<String>) -> Self {
        Self {
            telling,
            clients: Mutex::default(),
        }
    }

    pub(super) fn of(
        &self,
        scope: &Scope,
        labels: &Labels,
        sidecar: Option<&SidecarObject>,
    ) -> Arc<ForClients> {
        let named = |sidecar: &SidecarObject| {
            let meta = &sidecar.meta;
            (meta.namespace().to_owned(), meta.name().to_owned())
        };
        let told = self
            .telling
            .iter()
            .filter_map(|name| labels.get_key_value(name));
        let client = Client {
            namespace: scope.workload().namespace().to_owned(),
            gateway: scope.kind() == ProxyKind::Gateway,
            sidecar: sidecar.map(named),
            labels: told
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect(),
        };
        Arc::clone(lock(&self.clients).entry(client).or_default())
    }
}

// === impl View ===

impl View<'_> {
    /// A root that clients of this kind have in common.
    pub(super) fn common_root(&self, name: &ResourceName) -> Arc<CommonRoot> {
        if let Some(known) = lock(&self.common.roots).get(name) {
            return Arc::clone(known);
        }
        let root = Arc::new(self.compile_root(name));
        if !root.any_workload {
            let mut roots = lock(&self.common.roots);
            if roots.len() < MOST_ROOTS {
                roots.insert(name.clone(), Arc::clone(&root));
            }
        }
        root
    }

    fn compile_root(&self, name: &ResourceName) -> CommonRoot {
        let mut any_workload = false;
        let table = match name {
            ResourceName::Routes { host, port } => self.routes(host, *port),
            ResourceName::Address(address) => {
                let (table, by_workload) = self.address(*address);
                any_workload = by_workload;
                table
            }
            _ => {
                let body = match name {
                    ResourceName::Name(host) => Body::NameAddresses(self.name(host)),
                    _ => Body::Mesh(mesh(&self.world.settings, self.sidecar)),
                };
                return CommonRoot {
                    resource: resource(name, body),
                    hosts: BTreeSet::new(),
                    any_workload,
                };
            }
        };
        CommonRoot {
            hosts: hosts_of_table(&table),
            resource: resource(name, Body::Routes(table)),
            any_workload,
        }
    }

    pub(super) fn common_service(
        &self,
        id: ServiceId,
        record: &ServiceRecord,
        name: &ResourceName,
    ) -> Arc<Resource> {
        if let Some(known) = lock(&self.common.services).get(&id) {
            return Arc::clone(known);
        }
        let compiled = resource(name, Body::Service(self.compile_service(id, record)));
        lock(&self.common.services).insert(id, Arc::clone(&compiled));
        compiled
    }

    pub(super) fn common_workload(
        &self,
        record: &WorkloadRecord,
        name: &ResourceName,
    ) -> Arc<Resource> {
        let compile = || resource(name, Body::Workload(self.compile_workload(record)));
        let sees_all = record.backs.iter().all(|(id, _)| self.sees(*id));
        if sees_all {
            Arc::clone(record.compiled.get_or_init(compile))
        } else {
            compile()
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in there is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
