//! What a proxy holds: thousands of sessions remember it, most of them the same.

use std::cmp::Ordering;
use std::sync::Arc;

use mesh_api::v1::Resource;
use mesh_api::v1::resource::Body;

/// Names and versions, sorted by name.
#[derive(Debug, Default)]
pub(super) struct Held(Vec<Entry>);

/// One resource that the proxy holds.
#[derive(Debug)]
pub(super) enum Entry {
    /// Sent by this session: the resource itself, which all sessions share that sent it.
    Sent(Arc<Resource>),
    /// Only its name and version: it is this proxy's alone, has a key in it, or came from an
    /// earlier stream.
    Known(Box<(String, String)>),
}

// === impl Held ===

impl Held {
    /// Adds what the proxy says that it holds.
    pub(super) fn extend(&mut self, known: impl Iterator<Item = (String, String)>) {
        let known = known.map(|pair| Entry::Known(Box::new(pair)));
        self.0 = Self::sorted(self.0.drain(..).chain(known).collect()).0;
    }

    /// Exactly these.
    pub(super) fn of<'r>(resources: impl Iterator<Item = &'r Arc<Resource>>) -> Self {
        Self::sorted(resources.map(Entry::new).collect())
    }

    fn sorted(mut entries: Vec<Entry>) -> Self {
        // A later one of the same name counts.
        entries.reverse();
        entries.sort_by(|a, b| a.name().cmp(b.name()));
        entries.dedup_by(|later, kept| later.name() == kept.name());
        entries.shrink_to_fit();
        Self(entries)
    }

    /// Whether the proxy holds the resource as it is.
    pub(super) fn has(&self, resource: &Resource) -> bool {
        let entry = self.find(&resource.name).ok();
        let entry = entry.and_then(|at| self.0.get(at));
        entry.is_some_and(|entry| entry.version() == resource.version)
    }

    /// Takes a resource. Whether it is new or another.
    pub(super) fn insert(&mut self, resource: &Arc<Resource>) -> bool {
        match self.find(&resource.name) {
            Ok(at) => self.0.get_mut(at).is_some_and(|entry| {
                let other = entry.version() != resource.version;
                *entry = Entry::new(resource);
                other
            }),
            Err(at) => {
                self.0.insert(at, Entry::new(resource));
                true
            }
        }
    }

    /// Whether it was there.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        self.find(name).map(|at| self.0.remove(at)).is_ok()
    }

    /// Names that `other` does not have, in order.
    pub(super) fn missing_in(&self, other: &Self) -> Vec<String> {
        let mut others = other.0.iter().peekable();
        let gone = self.0.iter().filter(|entry| {
            loop {
                match others.peek().map(|other| other.name().cmp(entry.name())) {
                    Some(Ordering::Less) => drop(others.next()),
                    Some(Ordering::Equal) => return false,
                    Some(Ordering::Greater) | None => return true,
                }
            }
        });
        gone.map(|entry| entry.name().to_owned()).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|entry| entry.name().cmp(name))
    }
}

// === impl Entry ===

impl Entry {
    fn new(resource: &Arc<Resource>) -> Self {
        let shared = matches!(
            resource.body,
            Some(
                Body::Mesh(_)
                    | Body::Routes(_)
                    | Body::NameAddresses(_)
                    | Body::Service(_)
                    | Body::Workload(_)
            )
        );
        if shared {
            Self::Sent(Arc::clone(resource))
        } else {
            let pair = (resource.name.clone(), resource.version.clone());
            Self::Known(Box::new(pair))
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Sent(resource) => &resource.name,
            Self::Known(known) => &known.0,
        }
    }

    fn version(&self) -> &str {
        match self {
            Self::Sent(resource) => &resource.version,
            Self::Known(known) => &known.1,
        }
    }
}
