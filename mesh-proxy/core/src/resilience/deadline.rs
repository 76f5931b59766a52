//! Time limits of a request and of its tries.

use std::time::{Duration, Instant};

/// When a request must be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    end: Option<Instant>,
}

// === impl Deadline ===

impl Deadline {
    /// From the timeout of the route; absent is no limit. A limit beyond what the clock can name
    /// is none.
    pub fn new(timeout: Option<Duration>, now: Instant) -> Self {
        Self {
            end: timeout.and_then(|timeout| now.checked_add(timeout)),
        }
    }

    /// The moment, if there is one.
    pub fn end(&self) -> Option<Instant> {
        self.end
    }

    /// Whether it has passed.
    pub fn is_over(&self, now: Instant) -> bool {
        self.end.is_some_and(|end| end <= now)
    }

    /// The earlier of this and another limit, for example the client's own.
    #[must_use]
    pub fn at_most(self, timeout: Option<Duration>, now: Instant) -> Self {
        let other = Self::new(timeout, now).end;
        Self {
            end: [self.end, other].into_iter().flatten().min(),
        }
    }

    /// When a try that starts now must be done, and whether that is its own limit (rather than
    /// that of the whole request). Absent is no limit.
    pub fn of_try(&self, per_try: Option<Duration>, now: Instant) -> Option<(Instant, bool)> {
        let own = Self::new(per_try, now).end;
        match (own, self.end) {
            (Some(own), Some(end)) if own < end => Some((own, true)),
            (_, Some(end)) => Some((end, false)),
            (Some(own), None) => Some((own, true)),
            (None, None) => None,
        }
    }
}
