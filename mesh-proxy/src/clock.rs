//! The only place that reads the wall clock, the monotonic clock and the system's randomness.

use std::time::{Duration, Instant, SystemTime};

use rand::rngs::StdRng;

/// The wall clock: certificates and logs.
pub fn wall() -> SystemTime {
    SystemTime::now()
}

/// The monotonic clock: durations and deadlines.
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Seconds since the Unix epoch, negative before it.
pub fn unix_seconds(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => i64::try_from(before.duration().as_secs()).map_or(i64::MIN, |n| -n),
    }
}

/// The time that is `seconds` after the Unix epoch.
pub fn from_unix_seconds(seconds: i64) -> SystemTime {
    let distance = Duration::from_secs(seconds.unsigned_abs());
    let moved = if seconds >= 0 {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    };
    moved.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// A generator seeded by the operating system, one for each thread or task that needs chance.
pub fn rng() -> StdRng {
    rand::make_rng()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_round_trip() {
        for seconds in [0, 1, -1, 1_700_000_000, -86_400] {
            assert_eq!(unix_seconds(from_unix_seconds(seconds)), seconds);
        }
    }
}
