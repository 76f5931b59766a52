//! When to look at the files: at once after a quiet time, together during a burst.

use std::time::{Duration, Instant};

/// After this long without a change, the next one is the first of a burst.
const QUIET: Duration = Duration::from_millis(100);
/// Changes that follow the first wait for each other this long,
const GAP: Duration = Duration::from_millis(10);
/// but no longer than this altogether.
const LONGEST: Duration = Duration::from_millis(100);

/// A leading-edge debounce.
#[derive(Debug, Default)]
pub(crate) struct Debounce {
    looked: Option<Instant>,
    waiting_since: Option<Instant>,
}

// === impl Debounce ===

impl Debounce {
    /// Something changed. Returns when to look.
    pub(crate) fn changed(&mut self, now: Instant) -> Instant {
        let since = *self.waiting_since.get_or_insert(now);
        match self.looked {
            Some(looked) if now.saturating_duration_since(looked) < QUIET => {
                (now + GAP).min(since + LONGEST)
            }
            _ => now,
        }
    }

    /// The files were looked at.
    pub(crate) fn looked(&mut self, now: Instant) {
        self.looked = Some(now);
        self.waiting_since = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_goes_at_once_and_a_burst_together() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut debounce = Debounce::default();
        assert_eq!(debounce.changed(at(0)), at(0));
        debounce.looked(at(1));
        assert_eq!(debounce.changed(at(5)), at(15));
        for ms in (10..=90).step_by(5) {
            assert_eq!(debounce.changed(at(ms)), at(ms + 10));
        }
        assert_eq!(
            debounce.changed(at(97)),
            at(105),
            "no longer than 100 ms altogether"
        );
        debounce.looked(at(105));
        assert_eq!(debounce.changed(at(206)), at(206), "quiet for long enough");
    }
}
