//! What a balancer knows of one endpoint.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::{Rng, RngExt};

use super::ejection::Ejection;
use super::ewma::Ewma;
use crate::ir::Endpoint;

/// Differences of latency well below this do not matter to anybody.
const NEGLIGIBLE: Duration = Duration::from_millis(10);
/// From this ratio of costs on the cheaper endpoint always wins.
const CLEAR: f64 = 2.0;

/// One endpoint of a balancer.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) id: u64,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) outstanding: u32,
    pub(super) latency: Ewma,
    pub(super) ejection: Ejection,
    // Ejected by the cluster's detector.
    pub(super) detected: bool,
    // Out by active health checks.
    pub(super) down: bool,
    // When it came, if others were there before.
    pub(super) came: Option<Instant>,
}

// === impl Slot ===

impl Slot {
    /// Less latency times load. A clear difference decides; a small one only tilts the coin, so
    /// that a slightly slower version of a service still gets its share. What has never answered
    /// is compared by load alone.
    pub(super) fn beats(&self, other: &Self, now: Instant, rng: &mut (impl Rng + ?Sized)) -> bool {
        let load = |slot: &Self| f64::from(slot.outstanding) + 1.0;
        let (Some(mine), Some(theirs)) = (self.latency.cost(now), other.latency.cost(now)) else {
            return self.outstanding < other.outstanding;
        };
        let mine = (mine + NEGLIGIBLE.as_secs_f64()) * load(self);
        let theirs = (theirs + NEGLIGIBLE.as_secs_f64()) * load(other);
        if mine.max(theirs) >= CLEAR * mine.min(theirs) {
            mine < theirs
        } else {
            rng.random_bool((theirs / (mine + theirs)).clamp(0.0, 1.0))
        }
    }
}
