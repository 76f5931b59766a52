//! How many retries there may be in all: what keeps a failure from becoming a storm.

use std::time::{Duration, Instant};

/// Retries per request that are always affordable.
const SHARE: f64 = 0.2;
/// Retries per second that are always affordable, however few requests there are.
const RESERVE_PER_SECOND: f64 = 3.0;
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
    at: Instant,
}

// === impl Budget ===

impl Budget {
    /// A budget with a full reserve.
    pub fn new(now: Instant) -> Self {
        Self {
            paid: 0.0,
            reserve: RESERVE_PER_SECOND,
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
        self.reserve = (self.reserve + elapsed * RESERVE_PER_SECOND).min(RESERVE_PER_SECOND);
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
