//! The only place that reads the wall clock and the random number generator.

use std::time::{Instant, SystemTime};

use aws_lc_rs::error::Unspecified;

/// The wall clock.
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// A clock that only goes forward.
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// Bytes that nobody can guess.
///
/// # Errors
/// If the operating system gives none.
pub(crate) fn random<const N: usize>() -> Result<[u8; N], Unspecified> {
    let mut bytes = [0; N];
    aws_lc_rs::rand::fill(&mut bytes)?;
    Ok(bytes)
}

/// Whole seconds since the Unix epoch; 0 for a time before it.
pub(crate) fn unix_seconds(time: SystemTime) -> i64 {
    let seconds = time
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |d| d.as_secs());
    i64::try_from(seconds).unwrap_or(i64::MAX)
}
