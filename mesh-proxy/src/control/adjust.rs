//! A store that is set by hand: for tools, and for tests of the data path.

use std::collections::BTreeMap;

use mesh_api::ResourceName;
use mesh_proxy_core::Snapshot;

use super::Store;
use super::store::{Demands, Writer};

/// Sets the snapshot of a [`Store`] and sees what its readers ask for.
pub struct Adjuster {
    writer: Writer,
    demands: Demands,
}

// === impl Store ===

impl Store {
    /// A store that the result sets by hand.
    pub fn adjustable(snapshot: Snapshot) -> (Self, Adjuster) {
        let (store, writer, demands) = Self::new(snapshot);
        (store, Adjuster { writer, demands })
    }
}

// === impl Adjuster ===

impl Adjuster {
    /// Switches the snapshot.
    pub fn set(&self, snapshot: Snapshot) {
        self.writer.publish(snapshot, BTreeMap::new());
    }

    /// Says that a resource has come and was refused.
    pub fn refuse(&self, name: &ResourceName, reason: &str) {
        let refused = BTreeMap::from([(name.to_string(), reason.to_owned())]);
        let snapshot = Snapshot::clone(&self.writer.load());
        self.writer.publish(snapshot, refused);
    }

    /// The next resource that a reader asks for; `None` once there are no readers.
    pub async fn demanded(&mut self) -> Option<ResourceName> {
        self.demands.recv().await
    }
}
