//! The snapshot in force: one writer, many readers.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use mesh_api::ResourceName;
use mesh_proxy_core::Snapshot;
use tokio::sync::{mpsc, watch};

/// The readers' side: the snapshot in force, demands for more, and leases. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    shared: Arc<State>,
    epoch: watch::Receiver<u64>,
    demands: mpsc::UnboundedSender<ResourceName>,
}

/// The writer's side, one for each [`Store`].
pub(crate) struct Writer {
    shared: Arc<State>,
    epoch: watch::Sender<u64>,
}

/// What the workers ask for, in order.
pub(crate) type Demands = mpsc::UnboundedReceiver<ResourceName>;

/// Why a wanted resource is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NeedError {
    /// It did not come in time: the control plane is away or slow.
    #[error("the configuration of {0} did not come in time")]
    Deadline(String),
    /// It came, and was refused. The reason names the field.
    #[error("the configuration of {name} was refused: {reason}")]
    Refused {
        /// The resource.
        name: String,
        /// Why.
        reason: String,
    },
    /// The proxy stops.
    #[error("the proxy stops")]
    Stopped,
}

struct State {
    snapshot: ArcSwap<Snapshot>,
    // Subscribed roots; true once used since the last sweep.
    leases: ArcSwap<HashMap<ResourceName, AtomicBool>>,
    // Roots that came and were refused, with the reason.
    refused: ArcSwap<BTreeMap<String, String>>,
    // RequestAuthentications whose keys may be too old.
    unknown_keys: Mutex<BTreeSet<Arc<str>>>,
}

/// So many are remembered until the control plane is told.
const MOST_UNKNOWN: usize = 64;

// === impl Store ===

impl Store {
    /// A store that begins with `snapshot`.
    pub(crate) fn new(snapshot: Snapshot) -> (Self, Writer, Demands) {
        let (epoch, changes) = watch::channel(0);
        let (demands, asked) = mpsc::unbounded_channel();
        let shared = Arc::new(State {
            snapshot: ArcSwap::from_pointee(snapshot),
            leases: ArcSwap::default(),
            refused: ArcSwap::default(),
            unknown_keys: Mutex::default(),
        });
        let writer = Writer {
            shared: Arc::clone(&shared),
            epoch,
        };
        (
            Self {
                shared,
                epoch: changes,
                demands,
            },
            writer,
            asked,
        )
    }

    /// A store that never changes, and answers every demand with [`NeedError::Stopped`]: for
    /// tests of the data path and for tools.
    pub fn fixed(snapshot: Snapshot) -> Self {
        Self::new(snapshot).0
    }

    /// The snapshot in force.
    pub fn load(&self) -> Arc<Snapshot> {
        self.shared.snapshot.load_full()
    }

    /// Changes after every switch of the snapshot.
    pub fn epoch(&self) -> watch::Receiver<u64> {
        let mut epoch = self.epoch.clone();
        epoch.mark_unchanged();
        epoch
    }

    /// Asks for `name` and waits for a snapshot that holds it.
    ///
    /// # Errors
    /// [`NeedError`] if it does not come by `deadline`, was refused, or the proxy stops.
    pub async fn need(
        &self,
        name: &ResourceName,
        deadline: Instant,
    ) -> Result<Arc<Snapshot>, NeedError> {
        let mut epoch = self.epoch();
        let held = |store: &Self| Some(store.load()).filter(|snapshot| snapshot.holds(name));
        if let Some(snapshot) = held(self) {
            return Ok(snapshot);
        }
        self.demands
            .send(name.clone())
            .map_err(|_| NeedError::Stopped)?;
        let wait = async {
            loop {
                if let Some(snapshot) = held(self) {
                    return Ok(snapshot);
                }
                if let Some(reason) = self.shared.refused.load().get(&name.to_string()) {
                    return Err(NeedError::Refused {
                        name: name.to_string(),
                        reason: reason.clone(),
                    });
                }
                epoch.changed().await.map_err(|_| NeedError::Stopped)?;
            }
        };
        tokio::time::timeout_at(deadline.into(), wait)
            .await
            .unwrap_or_else(|_| Err(NeedError::Deadline(name.to_string())))
    }

    /// A token has named a key that is not among those of this RequestAuthentication.
    pub(crate) fn key_is_unknown(&self, policy: &Arc<str>) {
        let mut unknown = self.shared.unknown_keys();
        if unknown.len() < MOST_UNKNOWN && !unknown.contains(policy) {
            unknown.insert(Arc::clone(policy));
        }
    }

    /// Renews the lease of `name`, if it is subscribed to.
    pub fn touch(&self, name: &ResourceName) {
        if let Some(used) = self.shared.leases.load().get(name)
            && !used.load(Ordering::Relaxed)
        {
            used.store(true, Ordering::Relaxed);
        }
    }
}

// === impl State ===

impl State {
    fn unknown_keys(&self) -> MutexGuard<'_, BTreeSet<Arc<str>>> {
        // A set is whole after every statement.
        self.unknown_keys
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Writer ===

impl Writer {
    /// The RequestAuthentications of which a key was unknown since the last call.
    pub(crate) fn take_unknown_keys(&self) -> Vec<String> {
        let unknown = std::mem::take(&mut *self.shared.unknown_keys());
        unknown.iter().map(ToString::to_string).collect()
    }

    /// The snapshot in force.
    pub(crate) fn load(&self) -> Arc<Snapshot> {
        self.shared.snapshot.load_full()
    }

    /// Switches the snapshot and wakes whoever waits. `refused` are the resources that the
    /// newest response held and the snapshot does not.
    pub(crate) fn publish(&self, snapshot: Snapshot, refused: BTreeMap<String, String>) {
        self.shared.snapshot.store(Arc::new(snapshot));
        self.shared.refused.store(Arc::new(refused));
        self.epoch.send_modify(|epoch| *epoch += 1);
    }

    /// Sets the subscribed roots, so that their use is noticed. Known ones keep their mark.
    pub(crate) fn lease(&self, roots: impl IntoIterator<Item = ResourceName>) {
        let old = self.shared.leases.load();
        let leases = roots
            .into_iter()
            .map(|name| {
                let used = old
                    .get(&name)
                    .is_some_and(|used| used.load(Ordering::Relaxed));
                (name, AtomicBool::new(used))
            })
            .collect();
        self.shared.leases.store(Arc::new(leases));
    }

    /// The roots used since the last call.
    pub(crate) fn sweep(&self) -> Vec<ResourceName> {
        let leases = self.shared.leases.load();
        leases
            .iter()
            .filter(|(_, used)| used.swap(false, Ordering::Relaxed))
            .map(|(name, _)| name.clone())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;
    use std::time::Duration;

    fn name(text: &str) -> ResourceName {
        text.parse().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn a_need_ends_at_its_deadline() {
        let (store, _writer, mut demands) = Store::new(Snapshot::empty());
        let wanted = name("routes/reviews:9080");
        let error = store
            .need(&wanted, clock::monotonic() + Duration::from_millis(20))
            .await
            .unwrap_err();
        assert_eq!(error, NeedError::Deadline(wanted.to_string()));
        assert_eq!(demands.recv().await, Some(wanted));
    }

    #[test]
    fn unknown_keys_are_told_once_and_bounded() {
        let (store, writer, _demands) = Store::new(Snapshot::empty());
        for number in 0..2 * MOST_UNKNOWN {
            store.key_is_unknown(&format!("default/{}", number / 2).into());
        }
        assert_eq!(writer.take_unknown_keys().len(), MOST_UNKNOWN);
        assert!(writer.take_unknown_keys().is_empty());
        store.key_is_unknown(&"default/a".into());
        assert_eq!(writer.take_unknown_keys(), ["default/a"]);
    }

    #[tokio::test]
    async fn a_refusal_ends_a_need() {
        let (store, writer, _demands) = Store::new(Snapshot::empty());
        let wanted = name("routes/reviews:9080");
        let refused = BTreeMap::from([(wanted.to_string(), "http[0]: no action".to_owned())]);
        let (result, ()) = tokio::join!(
            store.need(&wanted, clock::monotonic() + Duration::from_secs(60)),
            async { writer.publish(Snapshot::empty(), refused) }
        );
        assert!(
            matches!(result, Err(NeedError::Refused { .. })),
            "{result:?}"
        );
    }

    #[tokio::test]
    async fn a_stopped_writer_ends_a_need() {
        let (store, writer, demands) = Store::new(Snapshot::empty());
        drop((writer, demands));
        let result = store
            .need(
                &name("routes/a:1"),
                clock::monotonic() + Duration::from_secs(60),
            )
            .await;
        assert_eq!(result.unwrap_err(), NeedError::Stopped);
    }

    #[test]
    fn leases_remember_use() {
        let (store, writer, _demands) = Store::new(Snapshot::empty());
        writer.lease([name("routes/a:1"), name("routes/b:1")]);
        store.touch(&name("routes/a:1"));
        store.touch(&name("routes/c:1"));
        writer.lease([name("routes/a:1"), name("routes/b:1"), name("routes/d:1")]);
        assert_eq!(writer.sweep(), [name("routes/a:1")]);
        assert_eq!(writer.sweep(), []);
    }
}
