//! How long an authority may sign that shares its keys with others, who may retire them while it
//! hears nothing.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use arc_swap::ArcSwapOption;

use super::Authority;
use crate::clock;
use crate::issue::Refusal;

/// Closes if nobody has confirmed for a while that the keys are those in force. It is closed
/// until they are confirmed for the first time.
#[derive(Debug)]
pub struct Fence {
    limit: Duration,
    confirmed: ArcSwapOption<Confirmed>,
}

#[derive(Debug)]
struct Confirmed {
    at: Instant,
    // The other clock may stand still while a machine is paused.
    wall: SystemTime,
}

// === impl Fence ===

impl Fence {
    /// Closed. What is confirmed holds for `limit`.
    pub fn new(limit: Duration) -> Self {
        Self {
            limit,
            confirmed: ArcSwapOption::empty(),
        }
    }

    /// How long a confirmation holds.
    pub fn limit(&self) -> Duration {
        self.limit
    }

    /// The keys were those in force at this time, by both clocks.
    pub fn confirm(&self, at: Instant, wall: SystemTime) {
        self.confirmed.store(Some(Arc::new(Confirmed { at, wall })));
    }

    /// Whether a confirmation holds now.
    pub fn is_open(&self) -> bool {
        self.is_open_at(clock::instant(), clock::now())
    }

    fn is_open_at(&self, at: Instant, wall: SystemTime) -> bool {
        let confirmed = self.confirmed.load();
        confirmed.as_ref().is_some_and(|confirmed| {
            // A wall clock that was set back says nothing; the other one still counts.
            let passed = wall.duration_since(confirmed.wall).unwrap_or_default();
            let limit = self.limit;
            at.saturating_duration_since(confirmed.at) < limit && passed < limit
        })
    }
}

// === impl Authority ===

impl Authority {
    /// Signs only as long as the fence is open, from now on; but for the certificates of servers
    /// in this process, which are worth nothing to others once the keys are retired.
    pub fn fenced_by(&self, fence: Arc<Fence>) {
        // The first one stays.
        let _ = self.fence.set(fence);
    }

    pub(super) fn check_fence(&self) -> Result<(), Refusal> {
        match self.fence.get() {
            Some(fence) if !fence.is_open() => Err(Refusal::Unconfirmed {
                limit: fence.limit(),
            }),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_clocks_close_it() {
        let second = Duration::from_secs(1);
        let fence = Fence::new(10 * second);
        let (at, wall) = (Instant::now(), SystemTime::UNIX_EPOCH + 1000 * second);
        assert!(!fence.is_open_at(at, wall), "nobody has confirmed anything");
        fence.confirm(at, wall);
        for (monotonic, walled, open) in [
            (at, wall, true),
            (at + 9 * second, wall + 9 * second, true),
            (at + 10 * second, wall + 10 * second, false),
            // The machine was paused; the wall clock was set back.
            (at + second, wall + 3600 * second, false),
            (at + 10 * second, wall - 3600 * second, false),
            (at + second, wall - 3600 * second, true),
        ] {
            assert_eq!(
                fence.is_open_at(monotonic, walled),
                open,
                "{monotonic:?} {walled:?}"
            );
        }
        fence.confirm(at + 20 * second, wall + 20 * second);
        assert!(fence.is_open_at(at + 21 * second, wall + 21 * second));
    }
}
