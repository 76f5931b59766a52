//! How long to wait before trying again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(5);
/// What worked for this long counts as working.
const STABLE: Duration = Duration::from_secs(5);

/// Doubles from 0.2 s to 5 s, with a random part, so that not all who lost one server come back
/// at one moment.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

// === impl Backoff ===

impl Backoff {
    /// The last attempt lived for this long.
    pub(crate) fn succeeded(&mut self, lived: Duration) {
        if lived >= STABLE {
            self.failures = 0;
        }
    }

    /// How long to wait now. `chance` is between 0 and 1.
    pub(crate) fn next(&mut self, chance: f64) -> Duration {
        let longest = FIRST
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        longest.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_and_begins_anew() {
        let mut backoff = Backoff::default();
        let waits: Vec<u128> = (0..8).map(|_| backoff.next(1.0).as_millis()).collect();
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
        assert_eq!(backoff.next(0.0).as_millis(), 2500);
        backoff.succeeded(Duration::from_secs(1));
        assert_eq!(backoff.next(1.0).as_millis(), 5000);
        backoff.succeeded(Duration::from_secs(5));
        assert_eq!(backoff.next(1.0).as_millis(), 200);
    }
}
