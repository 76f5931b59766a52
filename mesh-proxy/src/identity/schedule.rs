//! When to renew, and when to try again. Pure.

use std::time::{Duration, SystemTime};

use rand::{Rng, RngExt};

const FIRST_RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(30);
// Below, a certificate of a very short life would keep the authority busy.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);

/// Time from `now` to the renewal: at a random point between 40 and 80 % of the certificate's
/// life, so that many proxies started together do not renew together.
pub(super) fn renewal(
    now: SystemTime,
    not_before: SystemTime,
    not_after: SystemTime,
    rng: &mut impl Rng,
) -> Duration {
    let life = not_after.duration_since(not_before).unwrap_or_default();
    let at = not_before + life.mul_f64(rng.random_range(0.4..0.8));
    at.duration_since(now)
        .unwrap_or_default()
        .max(SHORTEST_WAIT)
}

/// Pause before the control plane's call to renew is followed: at random, so that not all ask in
/// the same moment. A second for ten thousand proxies is more than an authority needs.
pub(super) fn called(rng: &mut impl Rng) -> Duration {
    Duration::from_secs(2).mul_f64(rng.random_range(0.0..1.0))
}

/// Pause after the `failures`th failure in a row (from 1): doubling from 200 ms to 30 s, of
/// which a random half to whole is waited.
pub(super) fn retry(failures: u32, rng: &mut impl Rng) -> Duration {
    let doubled =
        FIRST_RETRY.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(1).min(16)));
    doubled
        .min(LONGEST_RETRY)
        .mul_f64(rng.random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    proptest! {
        #[test]
        fn renews_within_its_window(life in 10_u64..10_000_000, seed: u64) {
            let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
            let end = start + Duration::from_secs(life);
            let wait = renewal(start, start, end, &mut StdRng::seed_from_u64(seed));
            prop_assert!(wait >= Duration::from_secs(life).mul_f64(0.4));
            prop_assert!(wait <= Duration::from_secs(life).mul_f64(0.8));
        }

        #[test]
        fn an_old_or_empty_life_renews_soon(life in 0_u64..1000, seed: u64) {
            let start = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
            let end = start + Duration::from_secs(life);
            let now = end + Duration::from_secs(1);
            prop_assert_eq!(renewal(now, start, end, &mut StdRng::seed_from_u64(seed)), SHORTEST_WAIT);
        }

        #[test]
        fn retries_stay_in_bounds(failures in 1_u32..u32::MAX, seed: u64) {
            let wait = retry(failures, &mut StdRng::seed_from_u64(seed));
            prop_assert!(wait >= FIRST_RETRY / 2 && wait <= LONGEST_RETRY);
        }
    }
}
