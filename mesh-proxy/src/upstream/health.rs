//! Active health checks: one worker makes them for the whole proxy, of endpoints of destinations
//! that were called lately, and all workers hear of the results.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mesh_proxy_core::balance::Checks;
use mesh_proxy_core::ir::{Cluster, ClusterId, HealthCheck};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{Target, probe};
use crate::clock;
use crate::worker::Worker;

/// A destination that nobody called for so long is not checked.
const UNUSED: Duration = Duration::from_secs(300);
/// Checks under way at a time.
const MOST: usize = 64;
/// How often it is looked whether the configuration is another one, and who is still called.
const LOOK: Duration = Duration::from_secs(1);

/// What is known of endpoints that are checked, over all workers.
pub struct HealthBoard {
    began: Instant,
    known: Mutex<HashMap<ClusterId, Arc<Watched>>>,
    more: Notify,
    turn: tokio::sync::Mutex<()>,
}

/// One destination whose endpoints are checked.
pub(super) struct Watched {
    began: Instant,
    // Milliseconds since then.
    used: AtomicU64,
    // Rises whenever somebody goes down or comes up.
    version: AtomicU64,
    down: Mutex<Arc<HashSet<Arc<str>>>>,
}

/// A destination in the view of the worker that checks.
struct Running {
    cluster: Arc<Cluster>,
    target: Rc<Target>,
    checks: Checks,
    watched: Arc<Watched>,
}

/// A check that has ended.
struct Finished {
    id: ClusterId,
    uid: Arc<str>,
    result: Result<(), String>,
}

// === impl HealthBoard ===

impl Default for HealthBoard {
    fn default() -> Self {
        Self {
            began: clock::monotonic(),
            known: Mutex::default(),
            more: Notify::new(),
            turn: tokio::sync::Mutex::default(),
        }
    }
}

impl HealthBoard {
    /// What is known of a destination that is about to be called; its endpoints are checked from
    /// now on. Absent if its policy wants no checks.
    pub(super) fn of(&self, cluster: &Cluster, now: Instant) -> Option<Arc<Watched>> {
        cluster.traffic.health_check.as_ref()?;
        let mut known = lock(&self.known);
        if let Some(watched) = known.get(&cluster.id) {
            return Some(Arc::clone(watched));
        }
        let watched = Arc::new(Watched {
            began: self.began,
            used: AtomicU64::new(0),
            version: AtomicU64::new(0),
            down: Mutex::default(),
        });
        watched.touch(now);
        known.insert(cluster.id.clone(), Arc::clone(&watched));
        self.more.notify_one();
        Some(watched)
    }

    fn in_use(&self, now: Instant) -> Vec<(ClusterId, Arc<Watched>)> {
        let mut known = lock(&self.known);
        known.retain(|_, watched| watched.is_used(now) || Arc::strong_count(watched) > 2);
        let used = known.iter().filter(|(_, watched)| watched.is_used(now));
        used.map(|(id, watched)| (id.clone(), Arc::clone(watched)))
            .collect()
    }
}

// === impl Watched ===

impl Watched {
    /// The destination is called.
    pub(super) fn touch(&self, now: Instant) {
        let millis = now.saturating_duration_since(self.began).as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        self.used.store(millis, Ordering::Relaxed);
    }

    fn is_used(&self, now: Instant) -> bool {
        let used = Duration::from_millis(self.used.load(Ordering::Relaxed));
        now.saturating_duration_since(self.began) < used + UNUSED
    }

    /// Rises with every change.
    pub(super) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// Uids of endpoints that are out.
    pub(super) fn down(&self) -> Arc<HashSet<Arc<str>>> {
        Arc::clone(&lock(&self.down))
    }

    fn publish(&self, checks: &Checks) {
        let down: HashSet<Arc<str>> = checks.down().cloned().collect();
        *lock(&self.down) = Arc::new(down);
        self.version.fetch_add(1, Ordering::AcqRel);
    }
}

/// Checks endpoints for as long as the worker lives, unless another worker does already.
pub async fn look_after(worker: Rc<Worker>) {
    let board = Arc::clone(&worker.shared.health);
    let Ok(_turn) = board.turn.try_lock() else {
        return;
    };
    let mut running: HashMap<ClusterId, Running> = HashMap::new();
    let mut probes: JoinSet<Finished> = JoinSet::new();
    let mut looked: Option<Instant> = None;
    loop {
        let now = clock::monotonic();
        if looked.is_none_or(|looked| now >= looked + LOOK) {
            looked = Some(now);
            follow(&worker, &mut running, now).await;
        }
        start(&worker, &mut running, &mut probes, now);
        let next = running.values().filter_map(|one| one.checks.next_due());
        let next = next.min().filter(|_| probes.len() < MOST);
        let again = if running.is_empty() {
            None
        } else {
            Some(next.unwrap_or(now + LOOK).min(now + LOOK))
        };
        tokio::select! {
            () = board.more.notified() => looked = None,
            Some(Ok(finished)) = probes.join_next() => hear(&worker, &mut running, finished),
            () = until(again) => {}
        }
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment.into()).await,
        None => std::future::pending().await,
    }
}

// Brings what is checked up to date with what is called and with the configuration.
async fn follow(worker: &Rc<Worker>, running: &mut HashMap<ClusterId, Running>, now: Instant) {
    let snapshot = worker.shared.snapshot();
    let used = worker.shared.health.in_use(now);
    running.retain(|id, one| {
        let keep = used.iter().any(|(used, _)| used == id)
            && snapshot
                .cluster(id)
                .is_some_and(|cluster| cluster.traffic.health_check.is_some());
        if !keep {
            let gone = i64::try_from(one.checks.down().count()).unwrap_or(i64::MAX);
            worker.shared.telemetry.stages.resilience.down.dec_by(gone);
            one.watched.publish(&Checks::new(one.policy()));
        }
        keep
    });
    for (id, watched) in used {
        let Some(cluster) = snapshot.cluster(&id) else {
            continue;
        };
        let Some(policy) = &cluster.traffic.health_check else {
            continue;
        };
        // Endpoints that are known by name have been looked up then, or are not there.
        let Ok(target) = worker.upstreams.watched_target(cluster).await else {
            continue;
        };
        let resolved = target.endpoints();
        let one = running.entry(id).or_insert_with(|| Running {
            cluster: Arc::clone(cluster),
            target: Rc::clone(&target),
            checks: Checks::new(Arc::clone(policy)),
            watched: Arc::clone(&watched),
        });
        one.cluster = Arc::clone(cluster);
        one.target = target;
        let before = one.checks.down().count();
        let mut rng = worker.rng.borrow_mut();
        if one.checks.update(policy, &resolved, now, &mut *rng) {
            let gone = before.saturating_sub(one.checks.down().count());
            let gone = i64::try_from(gone).unwrap_or(i64::MAX);
            worker.shared.telemetry.stages.resilience.down.dec_by(gone);
            one.watched.publish(&one.checks);
        }
    }
}

fn start(
    worker: &Rc<Worker>,
    running: &mut HashMap<ClusterId, Running>,
    probes: &mut JoinSet<Finished>,
    now: Instant,
) {
    for (id, one) in running {
        if probes.len() >= MOST {
            return;
        }
        for uid in one.checks.due(now) {
            let member = one.target.watched_member(&uid);
            let (worker, id) = (Rc::clone(worker), id.clone());
            let cluster = Arc::clone(&one.cluster);
            let check = one.policy();
            probes.spawn_local(async move {
                let result = match member {
                    Some(member) => probe::make(&worker, &cluster, &member, &check).await,
                    None => Err("it is gone".to_owned()),
                };
                Finished { id, uid, result }
            });
        }
    }
}

fn hear(worker: &Worker, running: &mut HashMap<ClusterId, Running>, finished: Finished) {
    let Finished { id, uid, result } = finished;
    let Some(one) = running.get_mut(&id) else {
        return;
    };
    let metrics = &worker.shared.telemetry.stages.resilience;
    metrics.checked(result.is_ok());
    let now = clock::monotonic();
    let mut rng = worker.rng.borrow_mut();
    let change = one.checks.observe(&uid, result.is_ok(), now, &mut *rng);
    let why = result.err().unwrap_or_default();
    tracing::debug!(cluster = %id, endpoint = %uid, failure = %why, "health check");
    match change {
        Some(true) => {
            metrics.down.dec();
            tracing::info!(cluster = %id, endpoint = %uid, "health checks bring it back");
        }
        Some(false) => {
            metrics.down.inc();
            tracing::warn!(cluster = %id, endpoint = %uid, failure = %why, "out by health checks");
        }
        None => return,
    }
    one.watched.publish(&one.checks);
}

// === impl Running ===

impl Running {
    fn policy(&self) -> Arc<HealthCheck> {
        Arc::clone(self.checks.policy())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in there is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
