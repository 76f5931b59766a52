//! The only place that reads clocks.

use std::time::{Duration, Instant, SystemTime};

/// The wall clock.
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// The clock for intervals.
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// Whole seconds since the Unix epoch.
pub(crate) fn unix_seconds(time: SystemTime) -> i64 {
    let seconds = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// How long until a time of the wall clock.
pub(crate) fn until(time: SystemTime) -> Duration {
    time.duration_since(now()).unwrap_or_default()
}

/// A number between 0 and 1 that differs each time, for spreading what would coincide. Nothing
/// secret depends on it.
pub(crate) fn jitter() -> f64 {
    use std::hash::{BuildHasher, RandomState};
    let bits = RandomState::new().hash_one(0_u8);
    // 52 bits are exact in a float.
    let (part, whole) = ((bits >> 12) as f64, (1_u64 << 52) as f64);
    part / whole
}
