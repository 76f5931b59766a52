//! One response makes the next snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesh_api::{Hostname, ResourceName, v1};

use super::index::ServiceEntry;
use super::{Applied, Inner, Snapshot};
use crate::decode::{self, Decoded};
use crate::ir::Workload;

pub(super) fn apply(snapshot: &Snapshot, response: &v1::DiscoveryResponse) -> Applied {
    let mut next = Next {
        inner: Inner::clone(&snapshot.inner),
        touched: BTreeSet::new(),
    };
    let mut changed = BTreeSet::new();
    let mut removed = BTreeSet::new();
    let mut rejected = BTreeMap::new();
    for name in &response.removed {
        // A name that does not parse cannot be held.
        if let Ok(name) = name.parse::<ResourceName>()
            && next.remove(&name)
        {
            removed.insert(name);
        }
    }
    for resource in &response.upsert {
        match decode::resource(resource) {
            Ok((name, decoded)) => {
                rejected.remove(&resource.name);
                removed.remove(&name);
                if next.upsert(&name, resource, decoded) {
                    changed.insert(name);
                }
            }
            Err(error) => {
                let rejection = v1::Rejection {
                    resource: resource.name.clone(),
                    version: resource.version.clone(),
                    reason: error.to_string(),
                };
                rejected.insert(resource.name.clone(), rejection);
            }
        }
    }
    next.inner.revision = response.revision;
    next.inner.digest = response.digest.as_str().into();
    Applied {
        snapshot: next.finish(),
        rejected: rejected.into_values().collect(),
        changed: changed.into_iter().collect(),
        removed: removed.into_iter().collect(),
    }
}

struct Next {
    inner: Inner,
    // Hosts whose service or members changed: only these are indexed anew.
    touched: BTreeSet<Hostname>,
}

// === impl Next ===

impl Next {
    /// A service's own entry, to be changed; it is indexed anew at the end.
    fn entry(&mut self, host: &Hostname) -> &mut ServiceEntry {
        self.touched.insert(host.clone());
        let entry = self.inner.services.entry(host.clone()).or_default();
        Arc::make_mut(entry)
    }

    /// Takes a resource in. Whether anything is different.
    fn upsert(&mut self, name: &ResourceName, raw: &v1::Resource, decoded: Decoded) -> bool {
        if self.inner.raw.get(name).is_some_and(|held| **held == *raw) {
            return false;
        }
        self.inner
            .raw
            .insert(Arc::new(name.clone()), Arc::new(raw.clone()));
        match decoded {
            Decoded::Mesh(mesh) => self.inner.mesh = Some(Arc::new(mesh)),
            Decoded::Inbound(inbound) => self.inner.inbound = Some(Arc::new(inbound)),
            Decoded::Gateway(gateway) => self.inner.gateway = Some(Arc::new(gateway)),
            Decoded::Routes(table) => {
                self.inner.tables.insert(name.clone(), Arc::new(table));
            }
            Decoded::Name(addresses) => {
                self.inner.names.insert(name.clone(), addresses);
            }
            Decoded::Service(service) => {
                let host = service.host.clone();
                self.entry(&host).set_service(Some(Arc::new(service)));
            }
            Decoded::Workload(workload) => self.set_workload(&Arc::new(workload)),
            Decoded::Credential(credential) => {
                self.inner
                    .credentials
                    .insert(name.clone(), Arc::new(credential));
            }
        }
        true
    }

    /// Drops a resource. Whether it was there.
    fn remove(&mut self, name: &ResourceName) -> bool {
        if self.inner.raw.remove(name).is_none() {
            return false;
        }
        match name {
            ResourceName::Mesh => self.inner.mesh = None,
            ResourceName::Inbound => self.inner.inbound = None,
            ResourceName::Gateway => self.inner.gateway = None,
            ResourceName::Routes { .. } | ResourceName::Address(_) => {
                self.inner.tables.remove(name);
            }
            ResourceName::Name(_) => {
                self.inner.names.remove(name);
            }
            ResourceName::Service(host) => {
                self.entry(host).set_service(None);
            }
            ResourceName::Credential { .. } => {
                self.inner.credentials.remove(name);
            }
            ResourceName::Workload(uid) => {
                if let Some(workload) = self.inner.workloads.remove(uid.as_str()) {
                    self.detach(&workload);
                }
            }
        }
        true
    }

    fn set_workload(&mut self, workload: &Arc<Workload>) {
        if let Some(old) = self
            .inner
            .workloads
            .insert(Arc::clone(&workload.uid), Arc::clone(workload))
        {
            self.detach(&old);
        }
        for host in workload.backs.keys() {
            self.entry(host).set_member(workload);
        }
    }

    fn detach(&mut self, workload: &Workload) {
        for host in workload.backs.keys() {
            self.entry(host).remove_member(&workload.uid);
        }
    }

    /// Which endpoints are near depends on where this proxy is: if it moves, so do all clusters.
    fn find_place(&mut self) {
        let inbound = self.inner.inbound.as_ref().map(|inbound| &inbound.place);
        let gateway = self.inner.gateway.as_ref().map(|gateway| &gateway.place);
        let Some(place) = inbound.or(gateway) else {
            return;
        };
        if **place != *self.inner.place {
            self.inner.place = Arc::clone(place);
            self.touched.extend(self.inner.services.keys().cloned());
        }
    }

    fn finish(mut self) -> Snapshot {
        self.find_place();
        for host in &self.touched {
            let Some(entry) = self.inner.services.get_mut(host) else {
                continue;
            };
            if entry.is_empty() {
                self.inner.services.remove(host);
            } else {
                Arc::make_mut(entry).rebuild(&self.inner.place);
            }
        }
        Snapshot {
            inner: Arc::new(self.inner),
        }
    }
}
