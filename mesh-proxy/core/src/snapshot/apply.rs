//! One response makes the next snapshot.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesh_api::{Hostname, ResourceName, v1};

use super::index::ServiceEntry;
use super::raw::Raw;
use super::{Applied, Held, Inner, Snapshot};
use crate::decode::{self, Decoded};
use crate::ir::{Service, Workload};

pub(super) fn apply(snapshot: &Snapshot, response: &v1::DiscoveryResponse) -> Applied {
    let mut next = Next {
        inner: Inner::clone(&snapshot.inner),
        touched: BTreeMap::new(),
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
    touched: BTreeMap<Hostname, Touched>,
}

/// What changed of a host.
#[derive(Default)]
struct Touched {
    // The service, or where this proxy is: nothing is as it was.
    wholly: bool,
    // Uids of members.
    members: BTreeSet<Arc<str>>,
}

// === impl Next ===

impl Next {
    /// A host's entry, to be changed; it is indexed anew at the end.
    fn touch(&mut self, host: &Hostname) -> (&mut Touched, &mut ServiceEntry) {
        let services = &mut self.inner.services;
        if services.get(host).is_none() {
            services.insert(host.clone(), Arc::default());
        }
        // It is there now; a copy of its own is one that nobody else sees.
        #[expect(clippy::expect_used, reason = "put there in the line before")]
        let entry = services.get_mut(host).expect("the entry is there");
        let touched = self.touched.entry(host.clone()).or_default();
        (touched, Arc::make_mut(entry))
    }

    fn set_service(&mut self, host: &Hostname, service: Option<Service>) {
        let (touched, entry) = self.touch(host);
        touched.wholly = true;
        entry.set_service(service.map(Arc::new));
    }

    /// Takes a resource in. Whether anything is different.
    fn upsert(&mut self, name: &ResourceName, raw: &v1::Resource, decoded: Decoded) -> bool {
        let raw = Raw::new(raw);
        let held = self.inner.raw.get(name);
        if held.is_some_and(|held| *held.raw == raw) {
            return false;
        }
        self.inner.raw.insert(Held {
            name: held.map_or_else(|| Arc::new(name.clone()), |held| Arc::clone(&held.name)),
            raw: Arc::new(raw),
        });
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
                self.set_service(&host, Some(service));
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
                self.set_service(host, None);
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
        let old = self.inner.workloads.insert(Arc::clone(workload));
        if let Some(old) = old {
            self.detach(&old);
        }
        for (host, _) in &workload.backs {
            let (touched, entry) = self.touch(host);
            touched.members.insert(Arc::clone(&workload.uid));
            entry.set_member(workload);
        }
    }

    fn detach(&mut self, workload: &Workload) {
        for (host, _) in &workload.backs {
            let (touched, entry) = self.touch(host);
            touched.members.insert(Arc::clone(&workload.uid));
            entry.remove_member(&workload.uid);
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
            for host in self.inner.services.keys() {
                self.touched.entry(host.clone()).or_default().wholly = true;
            }
        }
    }

    fn finish(mut self) -> Snapshot {
        self.find_place();
        for (host, touched) in &self.touched {
            let Some(entry) = self.inner.services.get_mut(host) else {
                continue;
            };
            if entry.is_empty() {
                self.inner.services.remove(host);
            } else if touched.wholly {
                Arc::make_mut(entry).rebuild(&self.inner.place);
            } else {
                Arc::make_mut(entry).follow(&touched.members, &self.inner.place);
            }
        }
        Snapshot {
            inner: Arc::new(self.inner),
        }
    }
}
