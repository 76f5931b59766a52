//! The endpoints of a cluster. Versions of a cluster share those that did not change.

use std::net::IpAddr;
use std::sync::Arc;

use mesh_api::Hostname;

use super::{Endpoint, EndpointAddress, Workload};
use crate::persistent::{Change, Items, Keyed, SortedList};

/// Endpoints, sorted by uid. Cheap to copy, and to change in a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endpoints {
    list: SortedList<Arc<Endpoint>>,
    // How many are known by name.
    named: usize,
}

// === impl Endpoints ===

impl Endpoints {
    /// Number of endpoints.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.list.iter()
    }

    /// The first one.
    pub fn first(&self) -> Option<&Arc<Endpoint>> {
        self.iter().next()
    }

    /// The endpoint with this uid.
    pub fn get(&self, uid: &str) -> Option<&Arc<Endpoint>> {
        self.list.get(uid)
    }

    /// Whether any of them is known by name.
    pub fn has_names(&self) -> bool {
        self.named > 0
    }

    /// Takes one in, in place of one with the same uid.
    pub fn insert(&mut self, endpoint: Arc<Endpoint>) {
        self.named += usize::from(is_named(&endpoint));
        if let Some(before) = self.list.insert(endpoint) {
            self.named -= usize::from(is_named(&before));
        }
    }

    /// Takes one out. Whether it was there.
    pub fn remove(&mut self, uid: &str) -> bool {
        let removed = self.list.remove(uid);
        self.named -= usize::from(removed.as_ref().is_some_and(is_named));
        removed.is_some()
    }

    /// Calls `each` for those that came, left, or are different since another version: what was
    /// there, and what is.
    pub fn changes_since<'a>(
        &'a self,
        before: &'a Self,
        mut each: impl FnMut(Option<&'a Arc<Endpoint>>, Option<&'a Arc<Endpoint>>),
    ) {
        let change = |change| match change {
            Change::Came(endpoint) => each(None, Some(endpoint)),
            Change::Left(endpoint) => each(Some(endpoint), None),
            Change::Replaced { before, after } => each(Some(before), Some(after)),
        };
        self.list.changes_since(&before.list, Arc::ptr_eq, change);
    }

    /// The same with one endpoint for each address of a name. A name without addresses has none.
    #[must_use]
    pub fn resolved(&self, lookup: impl Fn(&Hostname) -> Vec<IpAddr>) -> Self {
        let mut all = Vec::with_capacity(self.len());
        for endpoint in self {
            let EndpointAddress::Name { host, port } = &endpoint.address else {
                all.push(Arc::clone(endpoint));
                continue;
            };
            for ip in lookup(host) {
                all.push(Arc::new(Endpoint {
                    uid: format!("{}#{ip}", endpoint.uid).into(),
                    address: EndpointAddress::Ip((ip, *port).into()),
                    ..Endpoint::clone(endpoint)
                }));
            }
        }
        all.into_iter().collect()
    }
}

fn is_named(endpoint: &Arc<Endpoint>) -> bool {
    matches!(endpoint.address, EndpointAddress::Name { .. })
}

impl<'a> IntoIterator for &'a Endpoints {
    type Item = &'a Arc<Endpoint>;
    type IntoIter = Items<'a, Arc<Endpoint>>;

    fn into_iter(self) -> Self::IntoIter {
        self.list.iter()
    }
}

impl FromIterator<Arc<Endpoint>> for Endpoints {
    fn from_iter<I: IntoIterator<Item = Arc<Endpoint>>>(endpoints: I) -> Self {
        let list: SortedList<Arc<Endpoint>> = endpoints.into_iter().collect();
        Self {
            named: list.iter().filter(|endpoint| is_named(endpoint)).count(),
            list,
        }
    }
}

impl Keyed for Arc<Endpoint> {
    type Key = str;

    fn key(&self) -> &str {
        &self.uid
    }
}

impl Keyed for Arc<Workload> {
    type Key = str;

    fn key(&self) -> &str {
        &self.uid
    }
}
