//! Peak-sensitive moving average of latency (Finagle's peak EWMA).

use std::time::{Duration, Instant};

use super::Outcome;

/// Time in which an observation loses weight by a factor of e.
const DECAY: Duration = Duration::from_secs(10);
/// What a failed or refused try counts as at least: answering fast by failing must not attract
/// traffic.
const PENALTY: Duration = Duration::from_secs(1);

/// Follows peaks at once and forgets them slowly.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ewma {
    // Seconds, and when they were right.
    last: Option<(f64, Instant)>,
}

// === impl Ewma ===

impl Ewma {
    /// The estimate now, in seconds: it fades while nothing is observed, so that a slow endpoint
    /// is tried again. Absent before the first observation.
    pub(super) fn cost(&self, now: Instant) -> Option<f64> {
        let (seconds, at) = self.last?;
        Some(seconds * fade(at, now))
    }

    /// The estimate as of the last observation.
    pub(super) fn estimate(&self) -> Option<Duration> {
        self.last
            .map(|(seconds, _)| Duration::from_secs_f64(seconds))
    }

    pub(super) fn observe(&mut self, outcome: Outcome, latency: Option<Duration>, now: Instant) {
        let latency = match outcome {
            Outcome::Cancelled => return,
            Outcome::Success | Outcome::ServerError => match latency {
                Some(latency) => latency,
                None => return,
            },
            _ => latency.unwrap_or_default().max(PENALTY),
        };
        let sample = latency.as_secs_f64();
        let next = match self.last {
            Some((seconds, at)) if sample < seconds => {
                let keep = fade(at, now);
                seconds * keep + sample * (1.0 - keep)
            }
            _ => sample,
        };
        self.last = Some((next, now));
    }
}

fn fade(at: Instant, now: Instant) -> f64 {
    (-now.saturating_duration_since(at).as_secs_f64() / DECAY.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peaks_count_at_once_and_fade() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut ewma = Ewma::default();
        assert_eq!(ewma.cost(start), None);
        ewma.observe(Outcome::Success, Some(Duration::from_millis(10)), at(0));
        ewma.observe(Outcome::Success, Some(Duration::from_millis(500)), at(1));
        assert!((ewma.cost(at(1)).unwrap() - 0.5).abs() < 1e-9);
        assert!(ewma.cost(at(11)).unwrap() < 0.2);
        ewma.observe(Outcome::Success, Some(Duration::from_millis(10)), at(11));
        let after = ewma.cost(at(11)).unwrap();
        assert!(after > 0.1 && after < 0.3, "{after}");
        assert!(
            ewma.cost(at(0)).unwrap() <= after,
            "time that runs backwards does no harm"
        );
    }

    #[test]
    fn failing_fast_is_not_fast() {
        let now = Instant::now();
        let mut ewma = Ewma::default();
        ewma.observe(
            Outcome::ConnectFailure,
            Some(Duration::from_micros(50)),
            now,
        );
        assert!(ewma.cost(now).unwrap() >= 1.0);
        let before = ewma.cost(now);
        ewma.observe(Outcome::Cancelled, Some(Duration::from_micros(50)), now);
        assert_eq!(ewma.cost(now), before);
    }
}
