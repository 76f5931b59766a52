//! What a balancer knows of one endpoint.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::{Rng, RngExt};

use super::ejection::Ejection;
use super::ewma::Ewma;
use crate::ir::{Endpoint, EndpointAddress};

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

/// The endpoints of a balancer. Each keeps its number for as long as it stays.
#[derive(Debug, Default)]
pub(super) struct Slots {
    all: Vec<Option<Slot>>,
    free: Vec<usize>,
    // Numbers in order of uids.
    order: Vec<u32>,
    next_id: u64,
}

// === impl Slots ===

impl Slots {
    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(super) fn get(&self, number: usize) -> Option<&Slot> {
        self.all.get(number)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, number: usize) -> Option<&mut Slot> {
        self.all.get_mut(number)?.as_mut()
    }

    /// Numbers of all, in order of uids.
    pub(super) fn in_order(&self) -> impl Iterator<Item = usize> {
        self.order.iter().map(|number| *number as usize)
    }

    /// The number of the endpoint with this uid.
    pub(super) fn find(&self, uid: &str) -> Option<usize> {
        let at = self.place(uid).ok()?;
        self.order.get(at).map(|number| *number as usize)
    }

    /// The same, looked for where it was last time first.
    pub(super) fn find_at(&self, last: Option<usize>, uid: &str) -> Option<usize> {
        let is_it = |number: &usize| {
            let slot = self.get(*number);
            slot.is_some_and(|slot| *slot.endpoint.uid == *uid)
        };
        last.filter(is_it).or_else(|| self.find(uid))
    }

    fn place(&self, uid: &str) -> Result<usize, usize> {
        self.order.binary_search_by(|number| {
            let slot = self.get(*number as usize);
            slot.map_or("", |slot| &slot.endpoint.uid).cmp(uid)
        })
    }

    pub(super) fn is_at(&self, number: usize, address: &EndpointAddress) -> bool {
        self.get(number)
            .is_some_and(|slot| slot.endpoint.address == *address)
    }

    /// Another version of the same endpoint.
    pub(super) fn renew(&mut self, number: usize, endpoint: &Arc<Endpoint>) {
        if let Some(slot) = self.get_mut(number) {
            slot.endpoint = Arc::clone(endpoint);
        }
    }

    /// Takes an endpoint in, of which nothing is known. `came` is when, if others were there.
    pub(super) fn join(&mut self, endpoint: &Arc<Endpoint>, came: Option<Instant>) -> usize {
        self.next_id += 1;
        let slot = Slot {
            id: self.next_id,
            endpoint: Arc::clone(endpoint),
            outstanding: 0,
            latency: Ewma::default(),
            ejection: Ejection::default(),
            detected: false,
            down: false,
            came,
        };
        let at = self.place(&endpoint.uid).unwrap_or_else(|at| at);
        let number = self.free.pop().unwrap_or_else(|| {
            self.all.push(None);
            self.all.len() - 1
        });
        if let Some(free) = self.all.get_mut(number) {
            *free = Some(slot);
        }
        // More than four thousand million endpoints do not fit into memory.
        self.order
            .insert(at, u32::try_from(number).unwrap_or(u32::MAX));
        number
    }

    pub(super) fn leave(&mut self, number: usize) {
        let Some(uid) = self.get(number).map(|slot| Arc::clone(&slot.endpoint.uid)) else {
            return;
        };
        if let Ok(at) = self.place(&uid) {
            self.order.remove(at);
        }
        if let Some(slot) = self.all.get_mut(number) {
            *slot = None;
            self.free.push(number);
        }
    }
}
