//! Histograms that one thread writes and others read.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

/// Istio's default bounds, for milliseconds and for bytes.
pub(super) const BOUNDS: [f64; 19] = [
    0.5,
    1.0,
    5.0,
    10.0,
    25.0,
    50.0,
    100.0,
    250.0,
    500.0,
    1_000.0,
    2_500.0,
    5_000.0,
    10_000.0,
    30_000.0,
    60_000.0,
    300_000.0,
    600_000.0,
    1_800_000.0,
    3_600_000.0,
];

// Four steps in each power of two of microseconds, up to about four minutes.
const STEPS: usize = 108;

/// Counts by Istio's bounds.
#[derive(Debug, Default)]
pub(super) struct Buckets {
    counts: [AtomicU64; BOUNDS.len() + 1],
    // A floating-point number's bits.
    sum: AtomicU64,
}

/// The numbers of [`Buckets`], added up over shards.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct BucketTotals {
    pub(super) counts: [u64; BOUNDS.len() + 1],
    pub(super) sum: f64,
}

/// Counts of durations in steps of a quarter of a power of two: fine enough for percentiles of
/// a live table.
#[derive(Debug)]
pub(super) struct Latency {
    counts: [AtomicU32; STEPS],
}

/// The numbers of [`Latency`], added up over shards.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LatencyTotals {
    counts: [u64; STEPS],
}

/// Adds to a number that no other thread writes: no locked instruction.
pub(super) fn bump(number: &AtomicU64, by: u64) {
    number.store(
        number.load(Ordering::Relaxed).wrapping_add(by),
        Ordering::Relaxed,
    );
}

// === impl Buckets ===

impl Buckets {
    pub(super) fn observe(&self, value: f64) {
        let index = BOUNDS.partition_point(|bound| *bound < value);
        if let Some(count) = self.counts.get(index) {
            bump(count, 1);
        }
        let sum = f64::from_bits(self.sum.load(Ordering::Relaxed)) + value;
        self.sum.store(sum.to_bits(), Ordering::Relaxed);
    }

    pub(super) fn add_to(&self, totals: &mut BucketTotals) {
        for (total, count) in totals.counts.iter_mut().zip(&self.counts) {
            *total += count.load(Ordering::Relaxed);
        }
        totals.sum += f64::from_bits(self.sum.load(Ordering::Relaxed));
    }
}

// === impl BucketTotals ===

impl BucketTotals {
    pub(super) fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (total, count) in self.counts.iter_mut().zip(&other.counts) {
            *total += count;
        }
        self.sum += other.sum;
    }

    /// Bounds with counts, the last one infinite.
    pub(super) fn buckets(&self) -> Vec<(f64, u64)> {
        BOUNDS
            .iter()
            .copied()
            .chain([f64::INFINITY])
            .zip(self.counts)
            .collect()
    }
}

// === impl Latency ===

impl Default for Latency {
    fn default() -> Self {
        Self {
            counts: [const { AtomicU32::new(0) }; STEPS],
        }
    }
}

fn step(microseconds: u64) -> usize {
    let index = if microseconds < 4 {
        microseconds
    } else {
        let exponent = u64::from(63 - microseconds.leading_zeros());
        (exponent - 1) * 4 + ((microseconds >> (exponent - 2)) & 3)
    };
    usize::try_from(index).map_or(STEPS - 1, |index| index.min(STEPS - 1))
}

// The largest number of microseconds that belongs to a step.
fn upper_end(step: usize) -> u64 {
    let step = step as u64;
    if step < 4 {
        return step;
    }
    let (exponent, quarter) = (step / 4 + 1, step % 4);
    ((5 + quarter) << (exponent - 2)) - 1
}

impl Latency {
    pub(super) fn observe(&self, duration: Duration) {
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get(step(microseconds)) {
            count.store(
                count.load(Ordering::Relaxed).saturating_add(1),
                Ordering::Relaxed,
            );
        }
    }

    pub(super) fn add_to(&self, totals: &mut LatencyTotals) {
        for (total, count) in totals.counts.iter_mut().zip(&self.counts) {
            *total += u64::from(count.load(Ordering::Relaxed));
        }
    }
}

// === impl LatencyTotals ===

impl Default for LatencyTotals {
    fn default() -> Self {
        Self { counts: [0; STEPS] }
    }
}

impl LatencyTotals {
    pub(super) fn add(&mut self, other: &Self) {
        for (total, count) in self.counts.iter_mut().zip(&other.counts) {
            *total += count;
        }
    }

    /// Milliseconds that `share` (0 to 1) of the durations do not exceed, at the upper end of
    /// its step; 0 if there are none.
    pub(super) fn percentile(&self, share: f64) -> f64 {
        let all: u64 = self.counts.iter().sum();
        #[expect(clippy::cast_precision_loss, reason = "a rank, not an amount")]
        let rank = (all as f64) * share;
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            #[expect(clippy::cast_precision_loss, reason = "a rank, not an amount")]
            let reached = *count > 0 && seen as f64 >= rank;
            if reached {
                #[expect(clippy::cast_precision_loss, reason = "below 2^40")]
                return upper_end(index) as f64 / 1_000.0;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bounds_are_inclusive() {
        let buckets = Buckets::default();
        for value in [0.5, 0.6, 1.0, 5_000_000.0] {
            buckets.observe(value);
        }
        let mut totals = BucketTotals::default();
        buckets.add_to(&mut totals);
        assert_eq!(
            (
                totals.counts[0],
                totals.counts[1],
                totals.counts[19],
                totals.count()
            ),
            (1, 2, 1, 4)
        );
        assert!((totals.sum - 5_000_002.1).abs() < 1e-6);
        assert_eq!(totals.buckets().len(), 20);
    }

    #[test]
    fn percentiles() {
        let latency = Latency::default();
        for milliseconds in 1..=100 {
            latency.observe(Duration::from_millis(milliseconds));
        }
        let mut totals = LatencyTotals::default();
        latency.add_to(&mut totals);
        let near = |found: f64, wanted: f64| (wanted..wanted * 1.25).contains(&found);
        assert!(
            near(totals.percentile(0.5), 50.0),
            "{}",
            totals.percentile(0.5)
        );
        assert!(
            near(totals.percentile(0.99), 99.0),
            "{}",
            totals.percentile(0.99)
        );
        assert!(LatencyTotals::default().percentile(0.5) < 1e-9);
    }

    proptest! {
        #[test]
        fn steps_are_ordered_and_fine(microseconds in 0_u64..240_000_000) {
            let index = step(microseconds);
            prop_assert!(index <= step(microseconds + 1));
            prop_assert!(upper_end(index) >= microseconds);
            prop_assert!(upper_end(index) as f64 <= microseconds as f64 * 1.25 + 1.0);
            prop_assert_eq!(step(upper_end(index)), index);
        }
    }
}
