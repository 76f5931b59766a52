//! The configuration in force, immutable.

mod apply;
mod index;
mod nearness;
mod raw;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use mesh_api::{Hostname, ResourceName, v1};

use crate::ir::{
    Cluster, ClusterId, Credential, Gateway, Inbound, Mesh, Place, RouteTable, Service,
    TelemetryRules, Workload,
};
use crate::persistent::{Keyed, Shards, SortedList};
use index::ServiceEntry;
use raw::Raw;

/// All resources that the proxy holds, at one revision. Cheap to clone; never changes.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    inner: Arc<Inner>,
}

#[derive(Clone, Debug, Default)]
struct Inner {
    revision: u64,
    digest: Arc<str>,
    // Snapshots share what they have in common: a change of one must not cost a copy of all.
    raw: SortedList<Held>,
    default_mesh: Arc<Mesh>,
    mesh: Option<Arc<Mesh>>,
    inbound: Option<Arc<Inbound>>,
    gateway: Option<Arc<Gateway>>,
    // Where this proxy is; as the inbound or gateway configuration says.
    place: Arc<Place>,
    tables: Shards<ResourceName, Arc<RouteTable>>,
    names: Shards<ResourceName, Arc<[IpAddr]>>,
    services: Shards<Hostname, Arc<ServiceEntry>>,
    workloads: SortedList<Arc<Workload>>,
    credentials: Shards<ResourceName, Arc<Credential>>,
}

/// A resource as it came, by its name.
#[derive(Clone, Debug)]
struct Held {
    name: Arc<ResourceName>,
    raw: Arc<Raw>,
}

/// What became of one response.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The configuration from now on.
    pub snapshot: Snapshot,
    /// Resources that were refused; the last good version of each stays in force.
    pub rejected: Vec<v1::Rejection>,
    /// Resources that are new or different now.
    pub changed: Vec<ResourceName>,
    /// Resources that are gone.
    pub removed: Vec<ResourceName>,
}

impl Keyed for Held {
    type Key = ResourceName;

    fn key(&self) -> &ResourceName {
        &self.name
    }
}

// === impl Snapshot ===

impl Snapshot {
    /// Nothing.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Number of the World that it was made from; 0 before the first.
    pub fn revision(&self) -> u64 {
        self.inner.revision
    }

    /// Content digest of that World.
    pub fn digest(&self) -> &str {
        &self.inner.digest
    }

    /// The next snapshot: this one with a response applied. Each resource is taken whole or
    /// refused; refused ones keep their last good version and do not hinder the others. This
    /// snapshot stays as it is.
    pub fn apply(&self, response: &v1::DiscoveryResponse) -> Applied {
        apply::apply(self, response)
    }

    /// Names and versions of all resources, as the first request of a stream tells them.
    pub fn known(&self) -> BTreeMap<String, String> {
        self.inner
            .raw
            .iter()
            .map(|held| (held.name.to_string(), held.raw.version().to_owned()))
            .collect()
    }

    /// The resources as they came, sorted by name.
    pub fn resources(&self) -> impl Iterator<Item = v1::Resource> {
        self.inner
            .raw
            .iter()
            .map(|held| held.raw.resource(&held.name))
    }

    /// Names of all resources, sorted.
    pub fn names(&self) -> impl Iterator<Item = &ResourceName> {
        self.inner.raw.iter().map(|held| &*held.name)
    }

    /// Whether the resource is there.
    pub fn holds(&self, name: &ResourceName) -> bool {
        self.inner.raw.get(name).is_some()
    }

    /// Mesh-wide settings; the closed default before they came.
    pub fn mesh(&self) -> &Mesh {
        self.inner
            .mesh
            .as_deref()
            .unwrap_or(&self.inner.default_mesh)
    }

    /// What this sidecar accepts.
    pub fn inbound(&self) -> Option<&Arc<Inbound>> {
        self.inner.inbound.as_ref()
    }

    /// What this gateway serves.
    pub fn gateway(&self) -> Option<&Arc<Gateway>> {
        self.inner.gateway.as_ref()
    }

    /// What the proxy reports; absent: as it was started.
    pub fn telemetry(&self) -> Option<&Arc<TelemetryRules>> {
        let inbound = self
            .inbound()
            .and_then(|inbound| inbound.telemetry.as_ref());
        inbound.or_else(|| self.gateway()?.telemetry.as_ref())
    }

    /// A certificate with its key, for a server of this gateway: a name `credential/…`.
    pub fn credential(&self, name: &ResourceName) -> Option<&Arc<Credential>> {
        self.inner.credentials.get(name)
    }

    /// The routes of a destination: a name `routes/…` or `address/…`.
    pub fn table(&self, name: &ResourceName) -> Option<&Arc<RouteTable>> {
        self.inner.tables.get(name)
    }

    /// What is known of the addresses of a host name: `None` if it is not held, an empty list if
    /// nobody declares the name with an address.
    pub fn addresses(&self, name: &ResourceName) -> Option<&Arc<[IpAddr]>> {
        self.inner.names.get(name)
    }

    /// A set of endpoints.
    pub fn cluster(&self, id: &ClusterId) -> Option<&Arc<Cluster>> {
        self.inner.services.get(&id.host)?.cluster(id)
    }

    /// All sets of endpoints, in no particular order.
    pub fn clusters(&self) -> impl Iterator<Item = &Arc<Cluster>> {
        self.inner
            .services
            .values()
            .flat_map(|entry| entry.clusters())
    }

    /// A service as it was declared.
    pub fn service(&self, host: &Hostname) -> Option<&Arc<Service>> {
        self.inner
            .services
            .get(host)
            .and_then(|entry| entry.service())
    }

    /// A workload.
    pub fn workload(&self, uid: &str) -> Option<&Arc<Workload>> {
        self.inner.workloads.get(uid)
    }
}

#[cfg(test)]
mod tests;
