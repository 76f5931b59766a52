//! How often each caller may ask. Pure.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// How often one caller may ask for certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallerRate {
    /// So often at once.
    pub burst: u32,
    /// After that, once in this time.
    pub every: Duration,
}

/// A bucket of tokens for each caller.
#[derive(Debug)]
pub(super) struct Buckets<K> {
    rate: CallerRate,
    // When the bucket is full again. One that is full is not kept.
    full_at: HashMap<K, Instant>,
    most: usize,
}

// === impl CallerRate ===

impl Default for CallerRate {
    /// 20 at once, then one in 5 s: a proxy that starts, fails and starts again is served; one
    /// that asks in a loop is not.
    fn default() -> Self {
        Self {
            burst: 20,
            every: Duration::from_secs(5),
        }
    }
}

// === impl Buckets ===

impl<K: Eq + Hash> Buckets<K> {
    pub(super) fn new(rate: CallerRate, most: usize) -> Self {
        Self {
            rate,
            full_at: HashMap::new(),
            most,
        }
    }

    /// Takes a token of this caller's, or says after what time there is one.
    pub(super) fn take(&mut self, caller: K, now: Instant) -> Result<(), Duration> {
        if self.full_at.len() >= self.most {
            self.full_at.retain(|_, full_at| *full_at > now);
            if self.full_at.len() >= self.most {
                // More callers at once than can be told apart: better none limited than all.
                self.full_at.clear();
            }
        }
        let capacity = self.rate.every.saturating_mul(self.rate.burst);
        let full_at = self.full_at.entry(caller).or_insert(now);
        let filled = (*full_at).max(now) + self.rate.every;
        match filled.saturating_duration_since(now).checked_sub(capacity) {
            Some(missing) if !missing.is_zero() => Err(missing),
            _ => {
                *full_at = filled;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: CallerRate = CallerRate {
        burst: 3,
        every: Duration::from_secs(2),
    };

    #[test]
    fn a_burst_passes_and_then_one_at_a_time() {
        let mut buckets = Buckets::new(RATE, 100);
        let start = Instant::now();
        for _ in 0..3 {
            assert_eq!(buckets.take("a", start), Ok(()));
        }
        assert_eq!(buckets.take("a", start), Err(Duration::from_secs(2)));
        assert_eq!(buckets.take("b", start), Ok(()), "others are served");
        let later = start + Duration::from_secs(2);
        assert_eq!(buckets.take("a", later), Ok(()));
        assert!(buckets.take("a", later).is_err());
    }

    #[test]
    fn callers_without_number_take_no_memory_without_bound() {
        let mut buckets = Buckets::new(RATE, 100);
        let now = Instant::now();
        for caller in 0..10_000 {
            assert_eq!(buckets.take(caller, now), Ok(()));
            assert!(buckets.full_at.len() <= 100);
        }
    }

    proptest! {
        // Never more than the burst and the rate give, and waiting as told is always enough.
        #[test]
        fn never_more_than_the_rate(pauses in prop::collection::vec(0_u64..5000, 1..100)) {
            let mut buckets = Buckets::new(RATE, 100);
            let start = Instant::now();
            let (mut now, mut taken) = (start, 0_u64);
            for pause in pauses {
                now += Duration::from_millis(pause);
                match buckets.take((), now) {
                    Ok(()) => taken += 1,
                    Err(wait) => {
                        now += wait;
                        prop_assert_eq!(buckets.take((), now), Ok(()));
                        taken += 1;
                    }
                }
                let elapsed = now.duration_since(start).as_secs_f64();
                prop_assert!(taken as f64 <= 3.0 + elapsed / 2.0 + 1e-6);
            }
        }
    }
}
