//! Who is connected, and what they run.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mesh_api::v1::{ControlPlaneStatus, IdentityReport, Node, ProxyList, ProxyStatus, Severity};
use mesh_api::{SpiffeId, WorkloadName};
use mesh_ca::{Fingerprint, Ledger, Report};
use meshd_core::session::Session;
use tokio::sync::watch;

use crate::clock;
use crate::publish::Published;

/// How long a proxy that went away is remembered.
const MEMORY: Duration = Duration::from_secs(10 * 60);
/// More proxies that are gone than this are not remembered.
const MOST_GONE: usize = 4096;

/// All proxies that were seen and are not yet forgotten. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Registry {
    entries: Arc<Mutex<BTreeMap<WorkloadName, Entry>>>,
    // Counts changes, for those who wait for one.
    changed: Arc<watch::Sender<u64>>,
    entered: Arc<AtomicU64>,
    // Whom the rotation of the root waits for; none if the authority is elsewhere.
    ledger: Option<Arc<Ledger>>,
}

#[derive(Debug)]
enum Entry {
    Live(Arc<Mutex<Live>>),
    Gone {
        status: Box<ProxyStatus>,
        since: Instant,
    },
}

/// An open stream. Its session is locked only to decide what to say.
pub(crate) struct Live {
    session: Session,
    node: Node,
    identity: SpiffeId,
    certificate_not_after: i64,
}

/// An open stream's place in the registry. It is marked as gone when this is dropped.
pub(crate) struct Presence {
    number: u64,
    registry: Registry,
    workload: WorkloadName,
    live: Arc<Mutex<Live>>,
}

// === impl Registry ===

impl Registry {
    /// Nobody yet.
    pub(crate) fn new(ledger: Option<Arc<Ledger>>) -> Self {
        Self {
            entries: Arc::default(),
            changed: Arc::new(watch::Sender::new(0)),
            entered: Arc::default(),
            ledger,
        }
    }

    /// Enters a proxy. An older stream of the same workload loses its place.
    pub(crate) fn enter(&self, workload: WorkloadName, live: Live) -> Presence {
        let live = Arc::new(Mutex::new(live));
        let mut entries = lock(&self.entries);
        entries.insert(workload.clone(), Entry::Live(Arc::clone(&live)));
        forget(&mut entries);
        drop(entries);
        let number = self.entered.fetch_add(1, Ordering::Relaxed) + 1;
        self.touch();
        Presence {
            number,
            registry: self.clone(),
            workload,
            live,
        }
    }

    /// Tells of every change.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn touch(&self) {
        self.changed
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Everybody, sorted by workload.
    pub(crate) fn list(&self) -> ProxyList {
        let mut entries = lock(&self.entries);
        forget(&mut entries);
        let status = |entry: &Entry| match entry {
            Entry::Live(live) => lock(live).status(true),
            Entry::Gone { status, .. } => (**status).clone(),
        };
        ProxyList {
            proxies: entries.values().map(status).collect(),
        }
    }

    /// How many are connected, and how many of those run everything of `revision` that they
    /// need.
    pub(crate) fn count(&self, revision: u64) -> (u32, u32) {
        let entries = lock(&self.entries);
        let running = entries.values().filter_map(|entry| match entry {
            Entry::Live(live) => Some(lock(live).session.acked_revision()),
            Entry::Gone { .. } => None,
        });
        let (mut connected, mut current) = (0, 0);
        for running in running {
            connected += 1;
            current += u32::from(running >= revision);
        }
        (connected, current)
    }

    /// The control plane at a glance.
    pub(crate) fn status(&self, published: &Published) -> ControlPlaneStatus {
        let (connected, current) = self.count(published.revision);
        let count = |severity| {
            let count = published
                .problems
                .iter()
                .filter(|problem| problem.severity() == severity)
                .count();
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        ControlPlaneStatus {
            revision: published.revision,
            digest: published.digest.clone(),
            connected,
            current,
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            trust_domain: published.world.settings().trust_domain.to_string(),
            build_version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// Drops what went away long ago, and the oldest of too many.
fn forget(entries: &mut BTreeMap<WorkloadName, Entry>) {
    let now = clock::instant();
    let age = |entry: &Entry| match entry {
        Entry::Gone { since, .. } => Some(now.saturating_duration_since(*since)),
        Entry::Live(_) => None,
    };
    entries.retain(|_, entry| age(entry).is_none_or(|age| age < MEMORY));
    let gone = entries
        .values()
        .filter(|entry| age(entry).is_some())
        .count();
    if gone > MOST_GONE
        && let Some((_, oldest)) = entries
            .iter()
            .filter_map(|(name, entry)| age(entry).map(|age| (age, name.clone())))
            .max()
    {
        entries.remove(&oldest);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in there is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Live ===

impl Live {
    /// A stream that has just begun.
    pub(crate) fn new(
        session: Session,
        node: Node,
        identity: SpiffeId,
        certificate_not_after: i64,
    ) -> Self {
        Self {
            session,
            node,
            identity,
            certificate_not_after,
        }
    }

    fn status(&self, connected: bool) -> ProxyStatus {
        ProxyStatus {
            workload: self.node.workload.clone(),
            kind: self.node.kind,
            identity: self.identity.to_string(),
            connected,
            sent_revision: self.session.sent_revision(),
            acked_revision: self.session.acked_revision(),
            subscriptions: self
                .session
                .subscriptions()
                .map(ToString::to_string)
                .collect(),
            resources: u32::try_from(self.session.resources()).unwrap_or(u32::MAX),
            rejected: self.session.rejected().cloned().collect(),
            admin_address: self.node.admin_address.clone(),
            build_version: self.node.build_version.clone(),
            certificate_not_after: self.certificate_not_after,
        }
    }
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Live")
            .field("workload", &self.node.workload)
            .finish_non_exhaustive()
    }
}

// === impl Presence ===

impl Presence {
    /// Rises from one stream to the next.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// The proxy says what its mutual TLS is made of.
    pub(crate) fn identity_reported(&self, report: &IdentityReport) {
        let Some(ledger) = &self.registry.ledger else {
            return;
        };
        let identity = lock(&self.live).identity.clone();
        let prints = |prints: &[Vec<u8>]| {
            let prints = prints.iter().map(Vec::as_slice);
            prints.flat_map(Fingerprint::try_from).collect()
        };
        let report = Report {
            trusted: prints(&report.trusted_roots),
            vouching: prints(&report.vouching_roots),
            serial: report.serial.clone(),
            not_after: report.not_after,
        };
        ledger.reported(&self.workload.to_string(), &identity, report, self.number);
    }

    /// The proxy says that it goes and will not come back once its stream ends.
    pub(crate) fn leaves(&self) {
        if let Some(ledger) = &self.registry.ledger {
            ledger.leaving(&self.workload.to_string(), self.number);
        }
    }

    /// Works on the session; tells those who wait if the proxy runs something newer after it.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Session) -> T) -> T {
        let mut live = lock(&self.live);
        let before = live.session.acked_revision();
        let result = work(&mut live.session);
        let newer = live.session.acked_revision() > before;
        drop(live);
        if newer {
            self.registry.touch();
        }
        result
    }
}

impl Drop for Presence {
    fn drop(&mut self) {
        if let Some(ledger) = &self.registry.ledger {
            ledger.disconnected(&self.workload.to_string(), self.number);
        }
        let status = Box::new(lock(&self.live).status(false));
        let mut entries = lock(&self.registry.entries);
        // A newer stream of the same workload may have taken the place.
        if let Some(entry) = entries.get_mut(&self.workload)
            && matches!(entry, Entry::Live(live) if Arc::ptr_eq(live, &self.live))
        {
            *entry = Entry::Gone {
                status,
                since: clock::instant(),
            };
        }
        drop(entries);
        self.registry.touch();
    }
}
