//! Buckets of all limits.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use mesh_proxy_core::ir::{RateLimit, Subject};
use mesh_proxy_core::resilience::{KeyedBuckets, Take};
use prometheus_client::metrics::counter::Counter;

use crate::clock;
use crate::shared::Shared;
use crate::telemetry::RateResult;

// Limits with fewer keys are exact about their number; others are spread, so that workers do not
// wait for each other.
const SPREAD_FROM: usize = 4096;
const SHARDS: usize = 16;

/// The buckets of all limits of a proxy.
pub(super) struct Rates {
    began: Instant,
    current: ArcSwapOption<Current>,
    changing: Mutex<()>,
}

/// The buckets of limits of routes, by policy and name: a limit is one for all of its routes.
pub(super) struct RouteRates {
    began: Instant,
    known: Mutex<HashMap<LimitName, Asked>>,
}

/// Policy and name of a limit.
type LimitName = (Arc<str>, Arc<str>);
/// When a limit was asked last, since the beginning, and its buckets.
type Asked = (Duration, Arc<Counted>);

/// The limits of a configuration with their buckets.
struct Current {
    of: Arc<[Arc<RateLimit>]>,
    counted: Vec<Counted>,
}

struct Counted {
    limit: Arc<RateLimit>,
    buckets: Arc<Buckets>,
    allowed: Counter,
    refused: Counter,
}

enum Buckets {
    One(AtomicU64),
    Keyed {
        hasher: RandomState,
        most: usize,
        shards: Vec<Mutex<KeyedBuckets>>,
    },
}

// === impl Rates ===

impl Default for Rates {
    fn default() -> Self {
        Self {
            began: clock::monotonic(),
            current: ArcSwapOption::empty(),
            changing: Mutex::default(),
        }
    }
}

impl Rates {
    /// Takes a token of each limit that the subject falls under.
    pub(super) fn check(
        &self,
        shared: &Shared,
        limits: &Arc<[Arc<RateLimit>]>,
        subject: &Subject<'_>,
    ) -> Result<(), (Arc<RateLimit>, Duration)> {
        let current = self.of(shared, limits);
        let now = clock::monotonic().saturating_duration_since(self.began);
        let now = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
        let mut asked = current.counted.iter();
        asked.try_for_each(|counted| counted.take(&counted.limit, subject, now))
    }

    fn of(&self, shared: &Shared, limits: &Arc<[Arc<RateLimit>]>) -> Arc<Current> {
        let is_it = |current: &Arc<Current>| Arc::ptr_eq(&current.of, limits);
        if let Some(current) = self.current.load().as_ref().filter(|held| is_it(held)) {
            return Arc::clone(current);
        }
        let _changing = lock(&self.changing);
        let before = self.current.load_full();
        if let Some(current) = before.as_ref().filter(|held| is_it(held)) {
            return Arc::clone(current);
        }
        let old = before.as_ref().map_or(&[][..], |before| &before.counted);
        let counted = |limit: &Arc<RateLimit>| {
            let known = old.iter().find(|old| is_same(&old.limit, limit));
            Counted::new(shared, limit, known)
        };
        let current = Arc::new(Current {
            of: Arc::clone(limits),
            counted: limits.iter().map(counted).collect(),
        });
        self.current.store(Some(Arc::clone(&current)));
        current
    }
}

// === impl RouteRates ===

impl Default for RouteRates {
    fn default() -> Self {
        Self {
            began: clock::monotonic(),
            known: Mutex::default(),
        }
    }
}

impl RouteRates {
    /// Takes a token of each limit that the request falls under.
    pub(super) fn check(
        &self,
        shared: &Shared,
        limits: &[Arc<RateLimit>],
        subject: &Subject<'_>,
    ) -> Result<(), (Arc<RateLimit>, Duration)> {
        let elapsed = clock::monotonic().saturating_duration_since(self.began);
        let now = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
        for limit in limits {
            self.of(shared, limit, elapsed).take(limit, subject, now)?;
        }
        Ok(())
    }

    fn of(&self, shared: &Shared, limit: &Arc<RateLimit>, now: Duration) -> Arc<Counted> {
        let mut known = lock(&self.known);
        let name = (Arc::clone(&limit.policy), Arc::clone(&limit.name));
        if let Some((used, counted)) = known.get_mut(&name) {
            *used = now;
            // Whom it is for is asked of the route's own.
            if is_same(&counted.limit, limit) {
                if counted.limit.shadow != limit.shadow {
                    *counted = Arc::new(Counted::new(shared, limit, Some(counted)));
                }
                return Arc::clone(counted);
            }
        }
        // Buckets that are full again are as good as new ones.
        known.retain(|_, (used, counted)| {
            let rate = counted.limit.rate;
            let whole = rate
                .interval
                .saturating_mul(rate.burst / rate.amount.max(1) + 1);
            now.saturating_sub(*used) <= whole
        });
        let counted = Arc::new(Counted::new(shared, limit, None));
        known.insert(name, (now, Arc::clone(&counted)));
        counted
    }
}

// === impl Counted ===

impl Counted {
    fn new(shared: &Shared, limit: &Arc<RateLimit>, known: Option<&Self>) -> Self {
        let rates = &shared.telemetry.stages.resilience;
        let refused = if limit.shadow {
            RateResult::Shadow
        } else {
            RateResult::Refused
        };
        Self {
            limit: Arc::clone(limit),
            buckets: known.map_or_else(
                || Arc::new(Buckets::new(limit)),
                |known| Arc::clone(&known.buckets),
            ),
            allowed: rates.rate(&limit.policy, &limit.name, RateResult::Allowed),
            refused: rates.rate(&limit.policy, &limit.name, refused),
        }
    }

    /// Takes a token if the subject falls under the limit.
    fn take(
        &self,
        limit: &Arc<RateLimit>,
        subject: &Subject<'_>,
        now: u64,
    ) -> Result<(), (Arc<RateLimit>, Duration)> {
        if !limit.takes(subject) {
            return Ok(());
        }
        match self.buckets.take(limit, subject, now) {
            Take::Granted { .. } => {
                self.allowed.inc();
            }
            Take::Refused { after } => {
                self.refused.inc();
                if !limit.shadow {
                    return Err((Arc::clone(limit), after));
                }
            }
        }
        Ok(())
    }
}

// What makes a limit another one: everything that its buckets depend on.
fn is_same(old: &RateLimit, new: &RateLimit) -> bool {
    (&old.policy, &old.name, old.connections) == (&new.policy, &new.name, new.connections)
        && (old.rate, &old.keys, old.max_keys) == (new.rate, &new.keys, new.max_keys)
}

// === impl Buckets ===

impl Buckets {
    fn new(limit: &RateLimit) -> Self {
        if limit.keys.is_empty() {
            return Self::One(AtomicU64::new(0));
        }
        let shards = if limit.max_keys < SPREAD_FROM {
            1
        } else {
            SHARDS
        };
        Self::Keyed {
            hasher: RandomState::new(),
            most: (limit.max_keys / shards).max(1),
            shards: (0..shards).map(|_| Mutex::default()).collect(),
        }
    }

    fn take(&self, limit: &RateLimit, subject: &Subject<'_>, now: u64) -> Take {
        match self {
            Self::One(bucket) => {
                let mut taken = Take::Granted { full_at: now };
                // Whether it changes anything is in `taken`.
                let _ = bucket.fetch_update(Ordering::AcqRel, Ordering::Acquire, |full_at| {
                    taken = limit.rate.take(full_at, now);
                    match taken {
                        Take::Granted { full_at } => Some(full_at),
                        Take::Refused { .. } => None,
                    }
                });
                taken
            }
            Self::Keyed {
                hasher,
                most,
                shards,
            } => {
                // Keyed by a secret of this process: nobody can choose whose bucket he shares.
                let mut hash = hasher.build_hasher();
                limit.hash_key(subject, &mut hash);
                let key = hash.finish();
                #[expect(clippy::cast_possible_truncation, reason = "only spreads")]
                let shard = key as usize % shards.len();
                match shards.get(shard) {
                    Some(shard) => lock(shard).take(&limit.rate, (key, *most), now),
                    None => Take::Granted { full_at: now },
                }
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is in there is whole after every statement.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
