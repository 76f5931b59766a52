//! One of the endpoints of a level, by the cluster's rule.

use std::sync::Arc;
use std::time::Instant;

use rand::{Rng, RngExt};

use super::Balancer;
use super::levels::At;
use crate::ir::LoadBalancer;

/// Draws among endpoints that start slowly.
const WARM_DRAWS: usize = 8;

impl Balancer {
    /// One that rests by the balancer's own rules, for a try after all others have failed: it may
    /// be back. If it is not, that adds nothing to what is known.
    pub(super) fn untried(&self, exclude: &[Arc<str>]) -> Option<usize> {
        let own = self.cluster.traffic.outliers.is_none();
        let resting = self.resting.iter().filter(|_| own);
        let up = resting.filter_map(|number| Some((*number, self.slots.get(*number)?)));
        let untried = up.filter(|(number, slot)| !slot.down && !self.was_tried(*number, exclude));
        let next = untried.min_by_key(|(_, slot)| slot.ejection.due());
        next.map(|(number, _)| number)
    }

    pub(super) fn was_tried(&self, index: usize, exclude: &[Arc<str>]) -> bool {
        let slot = self.slots.get(index);
        !exclude.is_empty() && slot.is_some_and(|slot| exclude.contains(&slot.endpoint.uid))
    }

    pub(super) fn choose(
        &mut self,
        at: At,
        now: Instant,
        rng: &mut (impl Rng + ?Sized),
    ) -> Option<usize> {
        let warming = self.is_warming(now);
        match self.cluster.load_balancer {
            LoadBalancer::RoundRobin => {
                let mut index = self.levels.group_mut(at)?.next()?;
                for _ in 0..WARM_DRAWS {
                    if !warming || self.is_warm(index, now, rng) {
                        break;
                    }
                    index = self.levels.group_mut(at)?.next()?;
                }
                Some(index)
            }
            LoadBalancer::Random => self.levels.group(at)?.random(rng),
            LoadBalancer::LeastRequest | LoadBalancer::Passthrough => {
                let group = self.levels.group(at)?;
                if group.len() == 1 {
                    return group.random(rng);
                }
                let (a, b) = if warming {
                    (self.warm(at, now, rng)?, self.warm(at, now, rng)?)
                } else {
                    group.two(rng)?
                };
                match (self.slots.get(a), self.slots.get(b)) {
                    (Some(first), Some(second)) if second.beats(first, now, rng) => Some(b),
                    _ => Some(a),
                }
            }
        }
    }

    fn warm(&self, at: At, now: Instant, rng: &mut (impl Rng + ?Sized)) -> Option<usize> {
        let group = self.levels.group(at)?;
        let mut index = group.random(rng)?;
        for _ in 0..WARM_DRAWS {
            if self.is_warm(index, now, rng) {
                break;
            }
            index = group.random(rng)?;
        }
        Some(index)
    }

    /// Draws whether an endpoint that starts slowly takes this request (Envoy: slow start, where
    /// the same factor scales its weight).
    fn is_warm(&self, index: usize, now: Instant, rng: &mut (impl Rng + ?Sized)) -> bool {
        let came = self.slots.get(index).and_then(|slot| slot.came);
        let (Some(warmup), Some(came)) = (self.warmup(), came) else {
            return true;
        };
        let age = now.saturating_duration_since(came).as_secs_f64();
        let grown = (age / warmup.duration.as_secs_f64().max(f64::MIN_POSITIVE)).min(1.0);
        let factor = grown.powf(1.0 / warmup.aggression).max(warmup.minimum);
        factor >= 1.0 || rng.random_bool(factor.clamp(0.0, 1.0))
    }

    /// The endpoint that the hash stands for, or the one that takes over for it.
    pub(super) fn by_hash(&mut self, at: At, hash: u64) -> Option<usize> {
        let tables = self.cluster.tables.as_ref()?;
        let mut hashed = std::mem::take(&mut self.hashed);
        let mut live = |(number, uid): (usize, &str)| {
            let slot = self.slots.find_at(hashed.get(number).copied(), uid)?;
            if hashed.len() <= number {
                hashed.resize(number + 1, 0);
            }
            if let Some(known) = hashed.get_mut(number) {
                *known = slot;
            }
            let is_used = self.levels.is_void(at) || self.is_healthy(self.slots.get(slot)?);
            is_used.then_some(slot)
        };
        let found = tables
            .find(self.levels.priority(at)?, hash)
            .find_map(&mut live)
            .or_else(|| self.levels.all().next());
        self.hashed = hashed;
        found
    }
}
