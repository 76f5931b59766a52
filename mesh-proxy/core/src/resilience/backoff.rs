//! Pauses between tries.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::ir::RetryPolicy;

/// The pause before retry number `retry` (from 1): anywhere between nothing and the base,
/// doubled for each earlier retry, up to the maximum (full jitter, as Envoy's
/// `JitteredExponentialBackOffStrategy`).
pub fn backoff(policy: &RetryPolicy, retry: u32, rng: &mut (impl Rng + ?Sized)) -> Duration {
    let doublings = retry.saturating_sub(1).min(31);
    let ceiling = policy
        .backoff_base
        .saturating_mul(1 << doublings)
        .min(policy.backoff_max);
    let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
    if nanos == 0 {
        Duration::ZERO
    } else {
        Duration::from_nanos(rng.random_range(0..nanos))
    }
}
