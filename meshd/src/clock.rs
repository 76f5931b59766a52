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
