//! What is under way toward destinations that have limits, counted over all workers: a
//! configured number is the number of the whole proxy, not of each of its threads.
//!
//! Destinations without limits are not counted. A limit that is new counts from then on; what
//! was under way before is not in the number.
//!
//! Connections of HTTP/1 are limited twice: as many are busy at most, and as many are open at
//! most. A request that may be busy and finds all connections open makes the workers close those
//! that nobody uses. Connections of HTTP/2 carry many requests, so that only their number is
//! limited: the one that a worker has may have to give way to that of another worker.

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use mesh_proxy_core::Reason;
use mesh_proxy_core::balance::{Detector, Outcome};
use mesh_proxy_core::ir::{Cluster, ClusterId, PoolLimits};
use mesh_proxy_core::resilience::{InUse, Resource};
use tokio::sync::Notify;

// How long to wait for a connection before asking for it again.
const AGAIN: Duration = Duration::from_millis(100);

/// The counters of all destinations that have any.
#[derive(Default)]
pub struct Limits {
    known: Mutex<HashMap<ClusterId, Weak<Usage>>>,
    hunger: AtomicU64,
    starved: Notify,
}

/// The counters of one destination.
#[derive(Default)]
pub(super) struct Usage {
    requests: AtomicU32,
    pending: AtomicU32,
    retries: AtomicU32,
    connections: AtomicU32,
    busy: AtomicU32,
    freed: Notify,
    unbusy: Notify,
    detector: Mutex<Option<Detector>>,
    // Rises whenever somebody is ejected or comes back.
    version: AtomicU64,
}

/// A destination's counters, with what its policy says.
#[derive(Clone)]
pub(super) struct Gate {
    limits: Arc<Limits>,
    usage: Arc<Usage>,
    policy: PoolLimits,
}

/// Leave for one request, and for the connection that it needs.
pub struct Allowed {
    gate: Option<Gate>,
    request: Option<Count>,
}

/// Counts until it is dropped.
pub struct Count {
    usage: Arc<Usage>,
    what: What,
}

#[derive(Clone, Copy)]
enum What {
    Limited(Resource),
    Busy,
}

/// Who is ejected.
pub(super) struct Ejected {
    pub(super) version: u64,
    pub(super) uids: HashSet<Arc<str>>,
    pub(super) next_look: Instant,
}

// === impl Limits ===

impl Limits {
    fn usage(&self, id: &ClusterId) -> Arc<Usage> {
        let mut known = lock(&self.known);
        if let Some(usage) = known.get(id).and_then(Weak::upgrade) {
            return usage;
        }
        known.retain(|_, usage| usage.strong_count() > 0);
        let usage = Arc::default();
        known.insert(id.clone(), Arc::downgrade(&usage));
        usage
    }

    /// Waits until somebody lacks a connection that others hold without use. `seen` is what the
    /// last call gave.
    pub async fn starving(&self, seen: u64) -> u64 {
        loop {
            let notified = self.starved.notified();
            let hunger = self.hunger.load(Ordering::Acquire);
            if hunger != seen {
                return hunger;
            }
            notified.await;
        }
    }

    fn starve(&self) {
        self.hunger.fetch_add(1, Ordering::AcqRel);
        self.starved.notify_waiters();
    }
}

// === impl Gate ===

impl Gate {
    /// The counters of a cluster, if its policy needs any.
    pub(super) fn of(limits: &Arc<Limits>, cluster: &Cluster) -> Option<Self> {
        let policy = cluster.traffic.limits;
        (policy.is_limited() || cluster.traffic.outliers.is_some()).then(|| Self {
            limits: Arc::clone(limits),
            usage: limits.usage(&cluster.id),
            policy,
        })
    }

    /// Whether somebody waits for a connection.
    pub(super) fn is_starving(&self) -> bool {
        let limit = self.policy.max_connections;
        let open = self.usage.connections.load(Ordering::Acquire);
        limit.is_some_and(|limit| open >= limit)
    }

    /// Whether retries are limited by a configured budget, in place of the mesh's own.
    pub(super) fn has_budget(&self) -> bool {
        self.policy.retry_budget.is_some()
    }

    /// One more, if that is allowed.
    ///
    /// # Errors
    /// Why it is not.
    pub(super) fn take(&self, resource: Resource) -> Result<Count, Reason> {
        self.usage.take(&self.policy, resource)
    }

    /// One more request. Not counted where no limit asks for their number.
    ///
    /// # Errors
    /// If no more may be under way.
    pub(super) fn request(&self) -> Result<Option<Count>, Reason> {
        if self.policy.max_requests.is_none() && self.policy.retry_budget.is_none() {
            return Ok(None);
        }
        self.take(Resource::Request).map(Some)
    }

    /// Waits until one more connection of HTTP/1 may be busy.
    ///
    /// # Errors
    /// If too many requests wait already.
    pub(super) async fn turn(&self) -> Result<Option<Count>, Reason> {
        let Some(limit) = self.policy.max_connections else {
            return Ok(None);
        };
        if let Some(count) = self.usage.be_busy(limit) {
            return Ok(Some(count));
        }
        let _pending = self.take(Resource::Pending)?;
        loop {
            let mut freed = pin!(self.usage.unbusy.notified());
            freed.as_mut().enable();
            if let Some(count) = self.usage.be_busy(limit) {
                return Ok(Some(count));
            }
            freed.await;
        }
    }

    /// Waits until one more connection may be open.
    pub(super) async fn connection(&self) -> Count {
        loop {
            let mut freed = pin!(self.usage.freed.notified());
            freed.as_mut().enable();
            if let Ok(count) = self.take(Resource::Connection) {
                return count;
            }
            self.limits.starve();
            // A connection that was about to become idle may have been overlooked.
            let _ = tokio::time::timeout(AGAIN, freed).await;
        }
    }

    /// Brings the detector up to date with the cluster.
    pub(super) fn detect(&self, cluster: &Cluster, now: Instant) {
        let Some(policy) = cluster.traffic.outliers else {
            *lock(&self.usage.detector) = None;
            return;
        };
        let endpoints = &cluster.endpoints;
        let mut detector = lock(&self.usage.detector);
        match &mut *detector {
            Some(known) => {
                if known.update(policy, endpoints.len(), |uid| endpoints.get(uid).is_some()) {
                    self.usage.version.fetch_add(1, Ordering::AcqRel);
                }
            }
            None => *detector = Some(Detector::new(policy, endpoints.len(), now)),
        }
    }

    /// Tells the detector how a try ended. Whether the endpoint is ejected for it.
    pub(super) fn observe(&self, uid: &Arc<str>, outcome: Outcome, now: Instant) -> bool {
        let mut detector = lock(&self.usage.detector);
        let ejected = detector
            .as_mut()
            .is_some_and(|detector| detector.observe(uid, outcome, now));
        if ejected {
            self.usage.version.fetch_add(1, Ordering::AcqRel);
        }
        ejected
    }

    /// Changes with every ejection and return.
    pub(super) fn version(&self) -> u64 {
        self.usage.version.load(Ordering::Acquire)
    }

    /// Who is ejected now.
    pub(super) fn ejected(&self, now: Instant) -> Option<Ejected> {
        let mut detector = lock(&self.usage.detector);
        let detector = detector.as_mut()?;
        if detector.look(now) {
            self.usage.version.fetch_add(1, Ordering::AcqRel);
        }
        Some(Ejected {
            version: self.version(),
            uids: detector.ejected_hosts().map(Arc::clone).collect(),
            next_look: detector.next_look(),
        })
    }
}

// === impl Allowed ===

impl Allowed {
    /// Of what a policy limits.
    ///
    /// # Errors
    /// If no more may be under way.
    pub(super) fn of(gate: Option<Gate>) -> Result<Self, Reason> {
        let request = gate.as_ref().map(Gate::request).transpose()?;
        let request = request.flatten();
        Ok(Self { gate, request })
    }

    /// Waits until the request may have a connection of its own, as HTTP/1 needs it.
    ///
    /// # Errors
    /// If too many requests wait already.
    pub async fn turn(&self) -> Result<Option<Count>, Reason> {
        match &self.gate {
            Some(gate) => gate.turn().await,
            None => Ok(None),
        }
    }

    /// What counts the request; to be kept until its end.
    pub fn into_count(self) -> Option<Count> {
        self.request
    }
}

// === impl Usage ===

impl Usage {
    fn counter(&self, what: What) -> &AtomicU32 {
        match what {
            What::Limited(Resource::Request) => &self.requests,
            What::Limited(Resource::Pending) => &self.pending,
            What::Limited(Resource::Retry) => &self.retries,
            What::Limited(Resource::Connection) => &self.connections,
            What::Busy => &self.busy,
        }
    }

    fn take(self: &Arc<Self>, policy: &PoolLimits, resource: Resource) -> Result<Count, Reason> {
        let what = What::Limited(resource);
        let mut refused = Reason::Overload;
        let more = |count: u32| {
            let mut in_use = InUse {
                requests: self.requests.load(Ordering::Relaxed),
                ..InUse::default()
            };
            match resource {
                Resource::Request => in_use.requests = count,
                Resource::Pending => in_use.pending = count,
                Resource::Retry => in_use.retries = count,
                Resource::Connection => in_use.connections = count,
            }
            match policy.admit(resource, in_use) {
                Ok(()) => Some(count.saturating_add(1)),
                Err(reason) => {
                    refused = reason;
                    None
                }
            }
        };
        let counter = self.counter(what);
        match counter.fetch_update(Ordering::AcqRel, Ordering::Acquire, more) {
            Ok(_) => Ok(self.counted(what)),
            Err(_) => Err(refused),
        }
    }

    fn be_busy(self: &Arc<Self>, limit: u32) -> Option<Count> {
        let more = |count| (count < limit).then_some(count + 1);
        let taken = self
            .busy
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more);
        taken.is_ok().then(|| self.counted(What::Busy))
    }

    fn counted(self: &Arc<Self>, what: What) -> Count {
        Count {
            usage: Arc::clone(self),
            what,
        }
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        self.usage.counter(self.what).fetch_sub(1, Ordering::AcqRel);
        match self.what {
            What::Busy => self.usage.unbusy.notify_one(),
            What::Limited(Resource::Connection) => self.usage.freed.notify_one(),
            What::Limited(_) => {}
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in there is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gate(limits: &Arc<Limits>, policy: PoolLimits) -> Gate {
        let id = ClusterId {
            host: "app".parse().unwrap(),
            port: 80,
            subset: "".into(),
        };
        Gate {
            limits: Arc::clone(limits),
            usage: limits.usage(&id),
            policy,
        }
    }

    #[test]
    fn workers_share_their_numbers() {
        let limits = Arc::default();
        let policy = PoolLimits {
            max_requests: Some(2),
            ..PoolLimits::default()
        };
        let (one, other) = (gate(&limits, policy), gate(&limits, policy));
        let first = one.take(Resource::Request).ok();
        let second = other.take(Resource::Request).ok();
        assert!(first.is_some() && second.is_some());
        let refused = one.take(Resource::Request).err();
        assert_eq!(refused, Some(Reason::TooManyRequests));
        drop(second);
        assert!(one.take(Resource::Request).is_ok());
        drop((one, other, first));
        assert_eq!(
            lock(&limits.known)
                .values()
                .filter(|usage| usage.strong_count() > 0)
                .count(),
            0,
            "nobody keeps what nobody uses"
        );
    }

    #[tokio::test]
    async fn whoever_lacks_a_connection_asks_for_those_without_use() {
        let limits: Arc<Limits> = Arc::default();
        let policy = PoolLimits {
            max_connections: Some(1),
            ..PoolLimits::default()
        };
        let (one, other) = (gate(&limits, policy), gate(&limits, policy));
        let held = one.connection().await;
        let waiting = tokio::spawn(async move { other.connection().await });
        // What another worker does: it gives its connection up.
        let seen = limits.starving(0).await;
        assert!(seen > 0 && one.is_starving());
        drop(held);
        drop(waiting.await.unwrap());
        assert!(!one.is_starving());
    }
}
