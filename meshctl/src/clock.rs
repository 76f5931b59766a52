//! The clocks: the only place where they are read.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The time of day.
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// Seconds since the Unix epoch.
pub fn unix_seconds() -> i64 {
    let since = now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// A point in time to measure from. Tasks that wait use tokio's clock instead.
pub fn instant() -> Instant {
    Instant::now()
}
