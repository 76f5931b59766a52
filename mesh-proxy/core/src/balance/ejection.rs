//! Passive ejection: endpoints that keep failing rest for a while, then one probe decides.

use std::time::{Duration, Instant};

use super::Outcome;

/// Failures in a row that eject.
const FAILURES: u32 = 5;
/// Failures in a row to connect that eject: nobody is there, which needs less proof.
const CONNECT_FAILURES: u32 = 2;
/// First rest; doubles each time.
const FIRST_REST: Duration = Duration::from_secs(1);
/// Longest rest. Being well for as long makes the next one short again.
const LONGEST_REST: Duration = Duration::from_secs(30);

/// What is held against one endpoint.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ejection {
    state: State,
    failures: u32,
    connect_failures: u32,
    // Ejections since it was last well for long.
    ejections: u32,
    returned: Option<Instant>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Healthy,
    Ejected {
        until: Instant,
    },
    Probing,
}

// === impl Ejection ===

impl Ejection {
    /// Whether it rests or is being probed.
    pub(super) fn is_ejected(&self) -> bool {
        self.state != State::Healthy
    }

    /// When its rest is over, if nobody probes it.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Ejected { until } => Some(until),
            State::Healthy | State::Probing => None,
        }
    }

    /// Whether its rest is over and nobody probes it.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.due().is_some_and(|until| until <= now)
    }

    pub(super) fn probe_started(&mut self) {
        self.state = State::Probing;
    }

    /// Learns from a try. Whether the state changed.
    pub(super) fn observe(&mut self, outcome: Outcome, probe: bool, now: Instant) -> bool {
        let before = self.state;
        match outcome {
            Outcome::Success | Outcome::Overloaded | Outcome::ServerError => self.well(now),
            // A probe that nobody waited for says nothing: the next one may start at once.
            Outcome::Cancelled if probe && self.state == State::Probing => {
                self.state = State::Ejected { until: now }
            }
            Outcome::Cancelled => {}
            Outcome::ConnectFailure => {
                self.connect_failures += 1;
                self.failed(probe, now);
            }
            Outcome::GatewayError | Outcome::Reset | Outcome::Timeout => {
                self.connect_failures = 0;
                self.failed(probe, now);
            }
        }
        self.state != before
    }

    fn well(&mut self, now: Instant) {
        self.failures = 0;
        self.connect_failures = 0;
        if self.is_ejected() {
            self.state = State::Healthy;
            self.returned = Some(now);
        }
    }

    fn failed(&mut self, probe: bool, now: Instant) {
        self.failures += 1;
        let enough = self.failures >= FAILURES || self.connect_failures >= CONNECT_FAILURES;
        match self.state {
            State::Healthy if enough => self.eject(now),
            State::Probing if probe => self.eject(now),
            // It rests already: what was under way when it was ejected adds nothing.
            _ => {}
        }
    }

    fn eject(&mut self, now: Instant) {
        if self
            .returned
            .take()
            .is_some_and(|returned| now.saturating_duration_since(returned) > LONGEST_REST)
        {
            self.ejections = 0;
        }
        let rest = FIRST_REST
            .saturating_mul(1 << self.ejections.min(5))
            .min(LONGEST_REST);
        self.ejections = self.ejections.saturating_add(1);
        self.state = State::Ejected { until: now + rest };
        self.failures = 0;
        self.connect_failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rests_grow_and_are_forgotten() {
        let start = Instant::now();
        let mut ejection = Ejection::default();
        assert!(!ejection.observe(Outcome::ConnectFailure, false, start));
        assert!(
            ejection.observe(Outcome::ConnectFailure, false, start),
            "two in a row eject"
        );
        let mut now = start;
        for seconds in [1, 2, 4, 8, 16, 30, 30] {
            assert!(!ejection.is_due(now + Duration::from_millis(seconds * 1000 - 1)));
            now += Duration::from_secs(seconds);
            assert!(ejection.is_due(now), "after {seconds} s");
            ejection.probe_started();
            assert!(!ejection.is_due(now), "one probe at a time");
            ejection.observe(Outcome::ConnectFailure, true, now);
        }
        now += Duration::from_secs(30);
        ejection.probe_started();
        assert!(ejection.observe(Outcome::Success, true, now));
        assert!(!ejection.is_ejected());
        now += Duration::from_secs(60);
        for _ in 0..5 {
            ejection.observe(Outcome::GatewayError, false, now);
        }
        assert!(
            ejection.is_due(now + Duration::from_secs(1)),
            "it was well for long: a short rest"
        );
    }

    #[test]
    fn only_failures_in_a_row_count() {
        let now = Instant::now();
        let mut ejection = Ejection::default();
        for round in 0..40 {
            let outcome = if round % 5 == 4 {
                Outcome::Success
            } else {
                Outcome::Reset
            };
            ejection.observe(outcome, false, now);
            assert!(!ejection.is_ejected());
        }
        for _ in 0..40 {
            ejection.observe(Outcome::Overloaded, false, now);
            ejection.observe(Outcome::Cancelled, false, now);
        }
        assert!(
            !ejection.is_ejected(),
            "overload and cancellation are no failures"
        );
    }

    #[test]
    fn a_cancelled_probe_is_due_again() {
        let now = Instant::now();
        let mut ejection = Ejection::default();
        ejection.observe(Outcome::ConnectFailure, false, now);
        ejection.observe(Outcome::ConnectFailure, false, now);
        ejection.probe_started();
        ejection.observe(Outcome::Cancelled, true, now);
        assert!(ejection.is_due(now));
    }
}
