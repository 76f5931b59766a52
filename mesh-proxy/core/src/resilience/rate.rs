//! Rates as token buckets, in the form of the generic cell rate algorithm (ITU-T I.371): one
//! number for each bucket, the time at which it is full again.

use std::collections::HashMap;
use std::time::Duration;

use crate::ir::Rate;

/// What came of asking a bucket for a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// There was one.
    Granted {
        /// The bucket from now on: when it is full, in nanoseconds.
        full_at: u64,
    },
    /// There is none.
    Refused {
        /// Until there is one.
        after: Duration,
    },
}

/// Buckets by key, so many at most: keys beyond that share one bucket. A bucket that is full
/// again is forgotten without a difference, so nobody gets more by being forgotten.
#[derive(Debug, Default)]
pub struct KeyedBuckets {
    buckets: HashMap<u64, u64>,
    rest: u64,
    swept: u64,
}

// === impl Rate ===

impl Rate {
    /// Asks for a token, at a time in nanoseconds since any moment. `full_at` is what the last
    /// [`Take::Granted`] of the bucket said, 0 at first.
    pub fn take(&self, full_at: u64, now: u64) -> Take {
        let token = self.token();
        let most = token.saturating_mul(u64::from(self.burst.max(1)));
        let full_at = full_at.max(now).saturating_add(token);
        let ahead = full_at - now;
        if ahead <= most {
            Take::Granted { full_at }
        } else {
            Take::Refused {
                after: Duration::from_nanos(ahead - most),
            }
        }
    }

    /// Tokens left in a bucket.
    pub fn remaining(&self, full_at: u64, now: u64) -> u32 {
        let missing = full_at.saturating_sub(now).div_ceil(self.token());
        let missing = u32::try_from(missing).unwrap_or(u32::MAX);
        self.burst.max(1).saturating_sub(missing)
    }

    /// Time for one token, in nanoseconds.
    fn token(&self) -> u64 {
        let interval = u64::try_from(self.interval.as_nanos()).unwrap_or(u64::MAX);
        (interval / u64::from(self.amount.max(1))).max(1)
    }
}

// === impl KeyedBuckets ===

impl KeyedBuckets {
    /// Asks the bucket of a key for a token, where at most `most` keys have one of their own.
    pub fn take(&mut self, rate: &Rate, (key, most): (u64, usize), now: u64) -> Take {
        if !self.buckets.contains_key(&key) && self.buckets.len() >= most {
            self.sweep(rate, now);
        }
        let shared = self.buckets.len() >= most;
        let bucket = match self.buckets.get_mut(&key) {
            Some(bucket) => bucket,
            None if shared => &mut self.rest,
            None => self.buckets.entry(key).or_default(),
        };
        let taken = rate.take(*bucket, now);
        if let Take::Granted { full_at } = taken {
            *bucket = full_at;
        }
        taken
    }

    /// Keys that have a bucket of their own.
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Whether no key has.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    // Not for every new key: each time looks at all.
    fn sweep(&mut self, rate: &Rate, now: u64) {
        if self.swept > now {
            return;
        }
        self.buckets.retain(|_, full_at| *full_at > now);
        let eighth = u64::try_from(rate.interval.as_nanos() / 8).unwrap_or(u64::MAX);
        self.swept = now.saturating_add(eighth.max(1_000_000));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn rate(amount: u32, seconds: u64, burst: u32) -> Rate {
        Rate {
            amount,
            interval: Duration::from_secs(seconds),
            burst,
        }
    }

    #[test]
    fn a_burst_then_the_rate() {
        let rate = rate(10, 1, 3);
        let mut full_at = 0;
        let mut take = |now: u64| match rate.take(full_at, now) {
            Take::Granted { full_at: then } => {
                full_at = then;
                Ok(rate.remaining(full_at, now))
            }
            Take::Refused { after } => Err(after),
        };
        let now = 5 * SECOND;
        assert_eq!(
            [take(now), take(now), take(now)],
            [Ok(2), Ok(1), Ok(0)],
            "a burst"
        );
        assert_eq!(take(now), Err(Duration::from_millis(100)));
        assert_eq!(take(now + SECOND / 20), Err(Duration::from_millis(50)));
        assert_eq!(take(now + SECOND / 10), Ok(0));
        assert_eq!(take(now + 60 * SECOND), Ok(2), "and it fills up");
    }

    #[test]
    fn keys_are_bounded() {
        let rate = rate(1, 1, 1);
        let mut buckets = KeyedBuckets::default();
        let granted = |taken| matches!(taken, Take::Granted { .. });
        assert!(granted(buckets.take(&rate, (1, 2), 0)));
        assert!(granted(buckets.take(&rate, (2, 2), 0)));
        assert!(!granted(buckets.take(&rate, (2, 2), 1)));
        assert!(granted(buckets.take(&rate, (3, 2), 1)), "the shared one");
        assert!(!granted(buckets.take(&rate, (4, 2), 1)), "is shared");
        assert_eq!(buckets.len(), 2);
        // The old ones are full: they make room.
        assert!(granted(buckets.take(&rate, (5, 2), 2 * SECOND)));
        assert_eq!(buckets.len(), 1);
    }

    proptest! {
        #[test]
        fn never_more_than_the_rate_and_a_burst(
            amount in 1u32..1000,
            seconds in 1u64..100,
            burst in 1u32..100,
            steps in prop::collection::vec((0u64..20 * SECOND, 0u64..6), 1..200),
            most in 1usize..4,
        ) {
            let rate = rate(amount, seconds, burst);
            let mut buckets = KeyedBuckets::default();
            let mut now = 0;
            // One key and those that share a bucket are together at most two buckets.
            let mut granted: HashMap<u64, u64> = HashMap::new();
            for (step, key) in steps {
                now += step;
                if let Take::Granted { .. } = buckets.take(&rate, (key, most), now) {
                    *granted.entry(key).or_default() += 1;
                }
                prop_assert!(buckets.len() <= most);
            }
            let refilled = now / rate.token() + 1;
            for count in granted.values() {
                prop_assert!(*count <= 2 * (u64::from(burst) + refilled));
            }
        }

        #[test]
        fn whoever_waits_as_told_gets_a_token(
            amount in 1u32..100_000,
            burst in 1u32..100,
            full_at in 0u64..1000 * SECOND,
            now in 0u64..1000 * SECOND,
        ) {
            let rate = rate(amount, 1, burst);
            if let Take::Refused { after } = rate.take(full_at, now) {
                let later = now + u64::try_from(after.as_nanos()).unwrap();
                let granted = matches!(rate.take(full_at, later), Take::Granted { .. });
                prop_assert!(granted);
            }
        }
    }
}
