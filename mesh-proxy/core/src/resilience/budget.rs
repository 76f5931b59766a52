//! How many retries there may be in all: what keeps a failure from becoming a storm.

use std::time::{Duration, Instant};

/// Retries per request that are always affordable.
const SHARE: f64 = 0.2;
/// Retries per second that are always affordable, however few requests there are, over all workers;
/// and as many at once on one of them, so that a first request may be tried several times.
const RESERVE: f64 = 3.0;
/// Time in which what requests paid in loses weight by a factor of e.
const MEMORY: Duration = Duration::from_secs(10);

/// What grants retries.
pub trait Allowance {
    /// Takes one retry, if there is one.
    fn withdraw(&mut self, now: Instant) -> bool;
}

/// A retry budget: each request pays in a fifth of a retry, and three retries per second come
/// for free.
#[derive(Clone, Debug)]
pub struct Budget {
    paid: f64,
    reserve: f64,
    // What comes for free in a second.
    free: f64,
    at: Instant,
}

// === impl Budget ===

impl Budget {
    /// A budget with a full reserve, of one of so many `workers` that each have one for the same
    /// destination.
    pub fn new(workers: usize, now: Instant) -> Self {
        let workers = u16::try_from(workers.max(1)).unwrap_or(u16::MAX);
        let free = RESERVE / f64::from(workers);
        Self {
            paid: 0.0,
            reserve: RESERVE,
            free,
            at: now,
        }
    }

    /// A request was started: its first try, not a retry.
    pub fn deposit(&mut self, now: Instant) {
        self.advance(now);
        self.paid += SHARE;
    }

    fn advance(&mut self, now: Instant) {
        let elapsed = now.saturating_duration_since(self.at).as_secs_f64();
        self.at = self.at.max(now);
        self.paid *= (-elapsed / MEMORY.as_secs_f64()).exp();
        self.reserve = (self.reserve + elapsed * self.free).min(RESERVE);
    }
}

impl Allowance for Budget {
    fn withdraw(&mut self, now: Instant) -> bool {
        self.advance(now);
        for account in [&mut self.paid, &mut self.reserve] {
            if *account >= 1.0 {
                *account -= 1.0;
                return true;
            }
        }
        false
    }
}
