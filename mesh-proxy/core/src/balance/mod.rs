//! Which endpoint takes the next request.
//!
//! Two at random and the one with less latency times load (peak EWMA), in turn, at random, or by
//! a hash of the request; always by weight. Choosing costs the same however many endpoints there
//! are.
//!
//! Endpoints that active health checks take out are not chosen. Endpoints that keep failing are
//! ejected for a while and come back by one probe. If all are out by one or the other, all are
//! used: a guess beats certain failure. A DestinationRule with
//! `outlierDetection` replaces that wholly by Istio's rules: its counts, times and shares hold
//! ([`Detector`]), there are no probes, and if all are ejected, requests fail unless
//! `minHealthPercent` says otherwise.

mod affinity;
mod choice;
mod ejection;
mod ewma;
mod group;
mod health;
mod levels;
mod outcome;
mod outlier;
mod slot;
mod zones;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::{Rng, RngExt};

use crate::ir::{Cluster, Endpoint, Endpoints, Health, Warmup};
use levels::{Fact, Levels, Rules};
use slot::{Slot, Slots};

pub use affinity::Affinity;
pub use health::Checks;
pub use outcome::Outcome;
pub use outlier::Detector;

/// Chooses among the endpoints of one cluster. One owner, no sharing: each worker has its own.
#[derive(Debug)]
pub struct Balancer {
    cluster: Arc<Cluster>,
    slots: Slots,
    // Slots that may be chosen.
    levels: Levels,
    // Where members of the tables of hashes were found last, by number.
    hashed: Vec<usize>,
    // Slots that are ejected by the balancer's own rules, by the detector's, and by checks.
    resting: Vec<usize>,
    detected: Vec<usize>,
    down: Vec<usize>,
    // When the next ejected endpoint is due for a probe.
    next_probe: Option<Instant>,
    // Until when an endpoint starts slowly.
    warm_at: Option<Instant>,
    ejections: u64,
}

/// What one try asks for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Want<'a> {
    /// Endpoints (by uid: those that were tried before) that are taken only if there is no other
    /// one: neither healthy, nor ejected by the balancer's own rules.
    pub exclude: &'a [Arc<str>],
    /// Hash of what the request is kept together by; counts only with affinity.
    pub hash: Option<u64>,
}

/// An endpoint for one try. Counts as under way until [`Balancer::finished`] gets the token.
#[derive(Debug)]
#[must_use = "a pick counts as under way until its token is given back"]
pub struct Picked {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// To be given back.
    pub token: Token,
    /// Whether the endpoint is ejected and this try is to find out if it is back.
    pub is_probe: bool,
}

/// Names one try.
#[derive(Debug)]
pub struct Token {
    id: u64,
    index: usize,
    probe: bool,
}

/// There is no endpoint that could take a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no healthy endpoint")]
pub struct NoEndpoint;

/// What is known of an endpoint, for dumps and explanations.
#[derive(Clone, Debug)]
pub struct EndpointStatus {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// Tries under way.
    pub outstanding: u32,
    /// Latency estimate, if it has answered yet.
    pub latency: Option<Duration>,
    /// Whether it is ejected now.
    pub is_ejected: bool,
}

/// Draws for an endpoint that was not tried before (Istio: host_selection_retry_max_attempts).
const RESELECTIONS: usize = 5;

// === impl Balancer ===

impl Balancer {
    /// For the healthy endpoints of the cluster.
    pub fn new(cluster: Arc<Cluster>, now: Instant) -> Self {
        let empty = Arc::new(Cluster {
            endpoints: Endpoints::default(),
            ..Cluster::clone(&cluster)
        });
        let mut balancer = Self {
            cluster: empty,
            slots: Slots::default(),
            levels: Levels::default(),
            hashed: Vec::new(),
            resting: Vec::new(),
            detected: Vec::new(),
            down: Vec::new(),
            next_probe: None,
            warm_at: None,
            ejections: 0,
        };
        balancer.update(cluster, now);
        balancer
    }

    /// The cluster that it chooses from.
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Takes a new version of the cluster. An endpoint with the same uid and address keeps what
    /// is known of it; one that comes to others starts slowly, if the policy says so. Costs as
    /// much as there are changes.
    pub fn update(&mut self, cluster: Arc<Cluster>, now: Instant) {
        if Arc::ptr_eq(&self.cluster, &cluster) {
            return;
        }
        let came = (!self.slots.is_empty()).then_some(now);
        let before = std::mem::replace(&mut self.cluster, cluster);
        let cluster = Arc::clone(&self.cluster);
        self.levels.set_rules(Rules::of(&cluster));
        if before.traffic.outliers.is_some() != cluster.traffic.outliers.is_some() {
            // Another judge: what it says of each is asked again.
            self.judge_all();
        }
        let serves = |endpoint: &&Arc<Endpoint>| endpoint.health == Health::Healthy;
        cluster
            .endpoints
            .changes_since(&before.endpoints, |old, new| {
                let slot = old.and_then(|old| self.slots.find(&old.uid));
                match (slot, new.filter(serves)) {
                    (Some(slot), Some(new)) if self.slots.is_at(slot, &new.address) => {
                        self.slots.renew(slot, new);
                        self.judge(slot);
                    }
                    (slot, new) => {
                        if let Some(slot) = slot {
                            self.forget(slot);
                        }
                        if let Some(new) = new {
                            self.join(new, came);
                        }
                    }
                }
            });
        self.levels.settle();
        self.plan_probe();
    }

    fn join(&mut self, endpoint: &Arc<Endpoint>, came: Option<Instant>) {
        if let (Some(came), Some(warmup)) = (came, self.warmup()) {
            self.warm_at = Some(came + warmup.duration);
        }
        let slot = self.slots.join(endpoint, came);
        self.judge(slot);
    }

    fn forget(&mut self, slot: usize) {
        self.slots.leave(slot);
        self.levels.set(slot, None);
        for list in [&mut self.resting, &mut self.detected, &mut self.down] {
            list.retain(|listed| *listed != slot);
        }
    }

    fn warmup(&self) -> Option<&Warmup> {
        self.cluster.traffic.warmup.as_ref()
    }

    /// Takes what the cluster's detector says: uids of those who are out; with `outlierDetection`
    /// only.
    pub fn eject<'a>(&mut self, out: impl IntoIterator<Item = &'a Arc<str>>) {
        let now = self.slots_of(out);
        let before = std::mem::replace(&mut self.detected, now.clone());
        self.mark(&before, &now, |slot, is_out| slot.detected = is_out);
    }

    /// Takes what active health checks say: uids of those who are out.
    pub fn mark_down<'a>(&mut self, out: impl IntoIterator<Item = &'a Arc<str>>) {
        let now = self.slots_of(out);
        let before = std::mem::replace(&mut self.down, now.clone());
        self.mark(&before, &now, |slot, is_out| slot.down = is_out);
    }

    fn slots_of<'a>(&self, uids: impl IntoIterator<Item = &'a Arc<str>>) -> Vec<usize> {
        let found = uids.into_iter().filter_map(|uid| self.slots.find(uid));
        let mut slots: Vec<usize> = found.collect();
        slots.sort_unstable();
        slots
    }

    fn mark(&mut self, before: &[usize], now: &[usize], mark: impl Fn(&mut Slot, bool)) {
        for (slots, others, is_out) in [(before, now, false), (now, before, true)] {
            for number in slots {
                if others.binary_search(number).is_ok() {
                    continue;
                }
                if let Some(slot) = self.slots.get_mut(*number) {
                    mark(slot, is_out);
                }
                self.judge(*number);
            }
        }
        self.levels.settle();
        self.plan_probe();
    }

    /// Chooses an endpoint and counts it as under way.
    ///
    /// # Errors
    /// If there is none.
    pub fn pick(
        &mut self,
        now: Instant,
        rng: &mut (impl Rng + ?Sized),
        want: Want<'_>,
    ) -> Result<Picked, NoEndpoint> {
        if self.next_probe.is_some_and(|due| due <= now)
            && let Some(index) = self.due_for_probe(now, want.exclude)
        {
            return self.take(index, true);
        }
        let at = self.levels.choose(rng).ok_or(NoEndpoint)?;
        if self.cluster.tables.is_some() {
            let hash = want.hash.unwrap_or_else(|| rng.random());
            let found = self.by_hash(at, hash).ok_or(NoEndpoint)?;
            return self.take(found, false);
        }
        let mut index = self.choose(at, now, rng).ok_or(NoEndpoint)?;
        for _ in 1..RESELECTIONS {
            if !self.was_tried(index, want.exclude) {
                break;
            }
            index = self.choose(at, now, rng).unwrap_or(index);
        }
        if self.was_tried(index, want.exclude) {
            // Rare: only now it is worth looking at everybody.
            let fresh = |index: &usize| !self.was_tried(*index, want.exclude);
            let found = self.levels.all().find(fresh);
            index = found
                .or_else(|| self.untried(want.exclude))
                .unwrap_or(index);
        }
        self.take(index, false)
    }

    /// A try has ended. `latency` is the time to the answer's head, if there was one. Gives the
    /// uid of the endpoint, if it is still there.
    #[expect(clippy::needless_pass_by_value, reason = "a token is given back once")]
    pub fn finished(
        &mut self,
        token: Token,
        outcome: Outcome,
        latency: Option<Duration>,
        now: Instant,
    ) -> Option<&Arc<str>> {
        let own = self.cluster.traffic.outliers.is_none();
        // The endpoint may be gone since, and its place taken.
        let slot = self.slots.get_mut(token.index)?;
        if slot.id != token.id {
            return None;
        }
        slot.outstanding = slot.outstanding.saturating_sub(1);
        slot.latency.observe(outcome, latency, now);
        if own && slot.ejection.observe(outcome, token.probe, now) {
            self.ejections += u64::from(slot.ejection.is_ejected());
            self.judge(token.index);
            self.levels.settle();
            self.plan_probe();
        }
        self.slots.get(token.index).map(|slot| &slot.endpoint.uid)
    }

    /// Whether an endpoint starts slowly.
    pub fn is_warming(&self, now: Instant) -> bool {
        self.warm_at.is_some_and(|until| now < until)
    }

    /// How often it has ejected an endpoint by its own rules.
    pub fn ejections(&self) -> u64 {
        self.ejections
    }

    /// What is known of each endpoint, the unhealthy ones of the configuration left out.
    pub fn status(&self) -> Vec<EndpointStatus> {
        let status = |slot: &Slot| EndpointStatus {
            endpoint: Arc::clone(&slot.endpoint),
            outstanding: slot.outstanding,
            latency: slot.latency.estimate(),
            is_ejected: !self.is_healthy(slot),
        };
        let slots = self
            .slots
            .in_order()
            .filter_map(|slot| self.slots.get(slot));
        slots.map(status).collect()
    }

    fn is_healthy(&self, slot: &Slot) -> bool {
        let ejected = match self.cluster.traffic.outliers {
            Some(_) => slot.detected,
            None => slot.ejection.is_ejected(),
        };
        !ejected && !slot.down
    }

    /// Tells the levels what is true of a slot.
    fn judge(&mut self, number: usize) {
        let Some(slot) = self.slots.get(number) else {
            return;
        };
        let fact = Fact {
            priority: slot.endpoint.priority,
            group: slot.endpoint.group,
            weight: slot.endpoint.weight,
            healthy: self.is_healthy(slot),
        };
        let rests = slot.ejection.is_ejected();
        self.levels.set(number, Some(fact));
        match self.resting.iter().position(|resting| *resting == number) {
            Some(at) if !rests => {
                self.resting.swap_remove(at);
            }
            None if rests => self.resting.push(number),
            _ => {}
        }
    }

    fn judge_all(&mut self) {
        let all: Vec<usize> = self.slots.in_order().collect();
        for slot in all {
            self.judge(slot);
        }
    }

    fn plan_probe(&mut self) {
        let own = self.cluster.traffic.outliers.is_none();
        let resting = self.resting.iter();
        // Who is out by health checks comes back by them.
        let up = resting.filter_map(|slot| self.slots.get(*slot));
        let due = up
            .filter(|slot| !slot.down)
            .filter_map(|slot| slot.ejection.due());
        self.next_probe = due.min().filter(|_| own);
    }

    fn take(&mut self, index: usize, probe: bool) -> Result<Picked, NoEndpoint> {
        let slot = self.slots.get_mut(index).ok_or(NoEndpoint)?;
        slot.outstanding += 1;
        let picked = Picked {
            endpoint: Arc::clone(&slot.endpoint),
            token: Token {
                id: slot.id,
                index,
                probe,
            },
            is_probe: probe,
        };
        if probe {
            slot.ejection.probe_started();
            self.plan_probe();
        }
        Ok(picked)
    }

    /// An ejected endpoint whose time is up and that nobody probes yet. Only beside a healthy
    /// one: without, all are used anyway.
    fn due_for_probe(&self, now: Instant, exclude: &[Arc<str>]) -> Option<usize> {
        let due = |slot: &Slot| {
            slot.ejection.is_due(now) && !slot.down && !exclude.contains(&slot.endpoint.uid)
        };
        let mut resting = self.resting.iter().copied();
        resting.find(|slot| self.slots.get(*slot).is_some_and(due))
    }
}

#[cfg(test)]
mod tests;
