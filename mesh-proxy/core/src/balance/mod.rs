//! Which endpoint takes the next request.
//!
//! Two at random and the one with less latency times load (peak EWMA), in turn, or at random;
//! always by weight. Endpoints that keep failing are ejected for a while and come back by one
//! probe. If all are ejected, all are used: a guess beats certain failure.

mod ejection;
mod ewma;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::StatusCode;
use rand::{Rng, RngExt};
use smallvec::SmallVec;

use crate::ir::{Cluster, Endpoint, Health, LoadBalancer};
use ejection::Ejection;
use ewma::Ewma;

/// Chooses among the endpoints of one cluster. One owner, no sharing: each worker has its own.
#[derive(Debug)]
pub struct Balancer {
    cluster: Arc<Cluster>,
    slots: Vec<Slot>,
    // Whether all weights are equal.
    uniform: bool,
    // Slots that are not plainly healthy; 0 makes picking cheap.
    ejected: usize,
    next_id: u64,
    cursor: usize,
}

#[derive(Debug)]
struct Slot {
    id: u64,
    endpoint: Arc<Endpoint>,
    outstanding: u32,
    latency: Ewma,
    ejection: Ejection,
    // Smooth weighted round robin.
    credit: i64,
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

/// How a try ended, in the view of the balancer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The endpoint answered, whatever the application said.
    Success,
    /// It answered 502, 503 or 504.
    GatewayError,
    /// The connection could not be made, or TLS failed.
    ConnectFailure,
    /// The connection broke before the answer.
    Reset,
    /// No answer in time.
    Timeout,
    /// It said that it has too much to do: less for it, but it is not broken.
    Overloaded,
    /// The client went away: says nothing.
    Cancelled,
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

/// Differences of latency well below this do not matter to anybody.
const NEGLIGIBLE: Duration = Duration::from_millis(10);
/// From this ratio of costs on the cheaper endpoint always wins.
const CLEAR: f64 = 2.0;

type Candidates = SmallVec<[usize; 32]>;

// === impl Balancer ===

impl Balancer {
    /// For the healthy endpoints of the cluster.
    pub fn new(cluster: Arc<Cluster>) -> Self {
        let empty = Arc::new(Cluster {
            endpoints: Vec::new(),
            ..Cluster::clone(&cluster)
        });
        let mut balancer = Self {
            cluster: empty,
            slots: Vec::new(),
            uniform: true,
            ejected: 0,
            next_id: 0,
            cursor: 0,
        };
        balancer.update(cluster);
        balancer
    }

    /// The cluster that it chooses from.
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// Takes a new version of the cluster. An endpoint with the same uid and address keeps what
    /// is known of it.
    pub fn update(&mut self, cluster: Arc<Cluster>) {
        if Arc::ptr_eq(&self.cluster, &cluster) {
            return;
        }
        let old = std::mem::take(&mut self.slots);
        let mut old: HashMap<Arc<str>, Slot> = old
            .into_iter()
            .map(|slot| (Arc::clone(&slot.endpoint.uid), slot))
            .collect();
        for endpoint in cluster
            .endpoints
            .iter()
            .filter(|endpoint| endpoint.health == Health::Healthy)
        {
            let slot = match old
                .remove(&endpoint.uid)
                .filter(|slot| slot.endpoint.address == endpoint.address)
            {
                Some(slot) => Slot {
                    endpoint: Arc::clone(endpoint),
                    ..slot
                },
                None => self.new_slot(endpoint),
            };
            self.slots.push(slot);
        }
        let first = self.slots.first().map(|slot| slot.endpoint.weight);
        self.uniform = self
            .slots
            .iter()
            .all(|slot| Some(slot.endpoint.weight) == first);
        self.cluster = cluster;
        self.recount();
    }

    fn new_slot(&mut self, endpoint: &Arc<Endpoint>) -> Slot {
        self.next_id += 1;
        Slot {
            id: self.next_id,
            endpoint: Arc::clone(endpoint),
            outstanding: 0,
            latency: Ewma::default(),
            ejection: Ejection::default(),
            credit: 0,
        }
    }

    /// Chooses an endpoint and counts it as under way. Endpoints in `exclude` (by uid: those that
    /// were tried before) are taken only if there is no other that is healthy.
    ///
    /// # Errors
    /// If there is no endpoint.
    pub fn pick(
        &mut self,
        now: Instant,
        rng: &mut (impl Rng + ?Sized),
        exclude: &[Arc<str>],
    ) -> Result<Picked, NoEndpoint> {
        if self.slots.is_empty() {
            return Err(NoEndpoint);
        }
        if self.ejected > 0
            && let Some(index) = self.due_for_probe(now, exclude)
        {
            return self.take(index, true);
        }
        let index = if self.ejected == 0
            && exclude.is_empty()
            && self.cluster.load_balancer != LoadBalancer::RoundRobin
        {
            let all = self.slots.len();
            self.choose(all, |nth| nth, now, rng)
        } else {
            let candidates = self.candidates(exclude);
            if self.cluster.load_balancer == LoadBalancer::RoundRobin {
                self.in_turn(&candidates)
            } else {
                self.choose(
                    candidates.len(),
                    |nth| candidates.get(nth).copied().unwrap_or_default(),
                    now,
                    rng,
                )
            }
        };
        self.take(index, false)
    }

    /// A try has ended. `latency` is the time to the answer's head, if there was one.
    #[expect(clippy::needless_pass_by_value, reason = "a token is given back once")]
    pub fn finished(
        &mut self,
        token: Token,
        outcome: Outcome,
        latency: Option<Duration>,
        now: Instant,
    ) {
        let known = self
            .slots
            .get(token.index)
            .is_some_and(|slot| slot.id == token.id);
        let index = if known {
            Some(token.index)
        } else {
            self.slots.iter().position(|slot| slot.id == token.id)
        };
        // The endpoint may be gone since.
        let Some(slot) = index.and_then(|index| self.slots.get_mut(index)) else {
            return;
        };
        slot.outstanding = slot.outstanding.saturating_sub(1);
        slot.latency.observe(outcome, latency, now);
        if slot.ejection.observe(outcome, token.probe, now) {
            self.recount();
        }
    }

    /// What is known of each endpoint, the unhealthy ones of the configuration left out.
    pub fn status(&self) -> Vec<EndpointStatus> {
        let status = |slot: &Slot| EndpointStatus {
            endpoint: Arc::clone(&slot.endpoint),
            outstanding: slot.outstanding,
            latency: slot.latency.estimate(),
            is_ejected: slot.ejection.is_ejected(),
        };
        self.slots.iter().map(status).collect()
    }

    fn recount(&mut self) {
        self.ejected = self
            .slots
            .iter()
            .filter(|slot| slot.ejection.is_ejected())
            .count();
    }

    fn take(&mut self, index: usize, probe: bool) -> Result<Picked, NoEndpoint> {
        let slot = self.slots.get_mut(index).ok_or(NoEndpoint)?;
        slot.outstanding += 1;
        if probe {
            slot.ejection.probe_started();
        }
        Ok(Picked {
            endpoint: Arc::clone(&slot.endpoint),
            token: Token {
                id: slot.id,
                index,
                probe,
            },
            is_probe: probe,
        })
    }

    /// An ejected endpoint whose time is up and that nobody probes yet. Only beside a healthy
    /// one: without, all are used anyway.
    fn due_for_probe(&self, now: Instant, exclude: &[Arc<str>]) -> Option<usize> {
        let due = |slot: &Slot| slot.ejection.is_due(now) && !exclude.contains(&slot.endpoint.uid);
        self.slots.iter().position(due)
    }

    /// The best non-empty class: healthy and not excluded, healthy, not excluded, all.
    fn candidates(&self, exclude: &[Arc<str>]) -> Candidates {
        let select = |wanted: &dyn Fn(&Slot) -> bool| -> Candidates {
            self.slots
                .iter()
                .enumerate()
                .filter(|(_, slot)| wanted(slot))
                .map(|(index, _)| index)
                .collect()
        };
        let healthy = |slot: &Slot| !slot.ejection.is_ejected();
        let fresh = |slot: &Slot| !exclude.contains(&slot.endpoint.uid);
        let mut found = select(&|slot| healthy(slot) && fresh(slot));
        if found.is_empty() {
            found = select(&healthy);
        }
        if found.is_empty() {
            found = select(&fresh);
        }
        if found.is_empty() {
            select(&|_| true)
        } else {
            found
        }
    }

    /// Two of `count` by weight, the better one. `nth` gives the slot of a candidate.
    fn choose(
        &self,
        count: usize,
        nth: impl Fn(usize) -> usize,
        now: Instant,
        rng: &mut (impl Rng + ?Sized),
    ) -> usize {
        if count <= 1 {
            return nth(0);
        }
        if self.cluster.load_balancer == LoadBalancer::Random {
            return self.draw(count, &nth, rng);
        }
        let (a, b) = if self.uniform {
            let first = rng.random_range(0..count);
            let second = rng.random_range(0..count - 1);
            (
                nth(first),
                nth(if second >= first { second + 1 } else { second }),
            )
        } else {
            // Independent draws: with equal loads each gets exactly its share.
            (self.draw(count, &nth, rng), self.draw(count, &nth, rng))
        };
        match (self.slots.get(a), self.slots.get(b)) {
            (Some(first), Some(second)) if second.beats(first, now, rng) => b,
            _ => a,
        }
    }

    fn draw(
        &self,
        count: usize,
        nth: &impl Fn(usize) -> usize,
        rng: &mut (impl Rng + ?Sized),
    ) -> usize {
        if self.uniform {
            return nth(rng.random_range(0..count));
        }
        let weight = |n: usize| {
            self.slots
                .get(nth(n))
                .map_or(0, |slot| u64::from(slot.endpoint.weight))
        };
        let total: u64 = (0..count).map(weight).sum();
        let mut left = rng.random_range(0..total.max(1));
        for n in 0..count {
            match left.checked_sub(weight(n)) {
                Some(rest) => left = rest,
                None => return nth(n),
            }
        }
        nth(0)
    }

    /// The next in turn: smooth weighted round robin, or plain if all weights are equal.
    fn in_turn(&mut self, candidates: &[usize]) -> usize {
        if self.uniform {
            let next = candidates
                .iter()
                .find(|index| **index >= self.cursor)
                .or(candidates.first());
            let index = next.copied().unwrap_or_default();
            self.cursor = index + 1;
            return index;
        }
        let mut total = 0;
        let mut best: Option<(i64, usize)> = None;
        for index in candidates {
            let Some(slot) = self.slots.get_mut(*index) else {
                continue;
            };
            let weight = i64::from(slot.endpoint.weight);
            slot.credit += weight;
            total += weight;
            if best.is_none_or(|(credit, _)| slot.credit > credit) {
                best = Some((slot.credit, *index));
            }
        }
        let index = best.map_or(0, |(_, index)| index);
        if let Some(slot) = self.slots.get_mut(index) {
            slot.credit -= total;
        }
        index
    }
}

// === impl Slot ===

impl Slot {
    /// Less latency times load. A clear difference decides; a small one only tilts the coin, so
    /// that a slightly slower version of a service still gets its share. What has never answered
    /// is compared by load alone.
    fn beats(&self, other: &Self, now: Instant, rng: &mut (impl Rng + ?Sized)) -> bool {
        let load = |slot: &Self| f64::from(slot.outstanding) + 1.0;
        let (Some(mine), Some(theirs)) = (self.latency.cost(now), other.latency.cost(now)) else {
            return self.outstanding < other.outstanding;
        };
        let mine = (mine + NEGLIGIBLE.as_secs_f64()) * load(self);
        let theirs = (theirs + NEGLIGIBLE.as_secs_f64()) * load(other);
        if mine.max(theirs) >= CLEAR * mine.min(theirs) {
            mine < theirs
        } else {
            rng.random_bool((theirs / (mine + theirs)).clamp(0.0, 1.0))
        }
    }
}

// === impl Outcome ===

impl Outcome {
    /// From the status of an answer.
    pub fn of_status(status: StatusCode) -> Self {
        match status.as_u16() {
            429 => Self::Overloaded,
            502..=504 => Self::GatewayError,
            _ => Self::Success,
        }
    }

    /// Whether the endpoint failed to do its work.
    pub fn is_failure(self) -> bool {
        matches!(
            self,
            Self::GatewayError | Self::ConnectFailure | Self::Reset | Self::Timeout
        )
    }
}

#[cfg(test)]
mod tests;
