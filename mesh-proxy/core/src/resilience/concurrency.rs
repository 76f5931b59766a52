//! How many requests a server may have at a time, found out from the time that it takes.
//!
//! A server that has more to do than it can makes everybody wait, until nobody gets an answer in
//! time. What it can do at a time nobody knows, and it changes; so it is measured, in windows of
//! a fraction of a second. The time that the quickest quarter of the answers takes is compared
//! with the least that was ever seen: if even those take several times as long, everybody
//! queues, and the limit falls to a part of what was under way, the worse the lower. Otherwise it
//! grows. So single slow answers, or many beside quick ones, change nothing, and where nothing
//! is slow nothing is refused.
//!
//! Answers may also become slow for another reason than a queue. Then less at a time does not
//! make them quicker: if they are still slow at the lowest limit, that is their usual time from
//! now on.

use std::time::Duration;

use crate::ir::OverloadPolicy;

/// How long requests are watched before the limit is thought over.
pub const WINDOW: Duration = Duration::from_millis(100);
/// Fewer answers than that say little: the window goes on.
pub const ENOUGH: u32 = 10;
/// But not for longer than this.
pub const LONGEST_WINDOW: Duration = Duration::from_secs(1);

/// The part of answers that is looked at: the quickest quarter.
const QUICKEST: u32 = 4;
/// What a limit grows by from window to window.
const GROWTH: f64 = 1.05;
/// The least and the most that it falls at once.
const FALL: (f64, f64) = (0.9, 0.5);
/// A usual time that is exceeded moves toward what is seen, by this part, as long as nothing is
/// refused.
const DRIFT: f64 = 0.01;
/// So many slow windows at the lowest limit make slow usual.
const PATIENCE: u32 = 10;
/// Each power of two is divided in so many steps of time.
const STEPS: u32 = 4;
/// Number of steps: more than an hour in microseconds.
pub const BUCKETS: usize = 128;

/// A histogram of times, from a microsecond to an hour.
pub type Times = [u32; BUCKETS];

/// What was seen in one window, of requests that were let in since the last change.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Window {
    /// Time of the quickest quarter of the answers; absent if there was none.
    pub quick: Option<Duration>,
    /// Answers a second.
    pub throughput: f64,
    /// Most requests at a time.
    pub peak: u32,
    /// Whether any was refused.
    pub refused: bool,
}

/// The limit of one server.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    limit: f64,
    usual: Option<Duration>,
    best: f64,
    at_floor: u32,
}

/// The step of a time.
pub fn bucket(time: Duration) -> usize {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
    let power = micros.ilog2();
    // The next two bits below the highest.
    let step = if power >= 2 {
        (micros >> (power - 2)) & u64::from(STEPS - 1)
    } else {
        0
    };
    let index = u64::from(power * STEPS) + step;
    usize::try_from(index).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

/// The time that the quickest quarter takes at most; absent without any.
pub fn quickest(times: &Times) -> Option<Duration> {
    let total: u32 = times.iter().sum();
    let wanted = total.div_ceil(QUICKEST);
    let mut seen = 0;
    let at = times.iter().position(|count| {
        seen += count;
        wanted > 0 && seen >= wanted
    })?;
    let at = u32::try_from(at).unwrap_or(u32::MAX);
    let power = 1u64.checked_shl(at / STEPS)?;
    let micros = power + power * u64::from(at % STEPS) / u64::from(STEPS);
    Some(Duration::from_micros(micros))
}

// === impl ConcurrencyLimit ===

impl ConcurrencyLimit {
    /// As high as the policy allows.
    pub fn new(policy: &OverloadPolicy) -> Self {
        Self {
            limit: f64::from(policy.max_requests),
            usual: None,
            best: 0.0,
            at_floor: 0,
        }
    }

    /// Requests that may be under way.
    pub fn limit(&self) -> u32 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between the bounds of the policy, which are such numbers"
        )]
        let limit = self.limit as u32;
        limit
    }

    /// Learns from a window. Whether the limit fell: requests that were let in before then say
    /// nothing of the new one.
    pub fn observe(&mut self, window: &Window, policy: &OverloadPolicy) -> bool {
        let least = f64::from(policy.min_requests.min(policy.max_requests));
        let most = f64::from(policy.max_requests);
        let Some(quick) = window.quick else {
            self.limit = self.limit.clamp(least, most);
            return false;
        };
        let usual = self.usual.unwrap_or(quick).min(quick);
        let bound = usual
            .mul_f64(policy.latency_ratio)
            .max(policy.latency_floor);
        let record = window.throughput > self.best * GROWTH;
        self.best = self.best.max(window.throughput) * (1.0 - DRIFT / 10.0);
        self.usual = Some(usual);
        if quick <= bound {
            self.at_floor = 0;
            if !window.refused {
                let more = quick.saturating_sub(usual).mul_f64(DRIFT);
                self.usual = Some(usual + more);
            }
            self.limit = (self.limit * GROWTH + 1.0).clamp(least, most);
            return false;
        }
        if record {
            // More at a time still gets more done.
            self.limit = self.limit.clamp(least, most);
            return false;
        }
        let before = self.limit;
        let part = bound.as_secs_f64() / quick.as_secs_f64().max(f64::MIN_POSITIVE);
        let used = self.limit.min(f64::from(window.peak));
        self.limit = (used * part.clamp(FALL.1, FALL.0)).clamp(least, most);
        if self.limit <= least {
            self.at_floor += 1;
            if self.at_floor >= PATIENCE {
                self.at_floor = 0;
                self.usual = Some(quick);
            }
        }
        self.limit < before
    }
}

#[cfg(test)]
mod tests;
