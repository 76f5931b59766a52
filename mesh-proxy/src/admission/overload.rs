//! How many requests a server has, and how many more it gets.
//!
//! Requests are counted from their head to the head of the answer, so that what streams for hours
//! takes nobody's place. They never wait here: what is not let in is answered at once, while
//! there is still somebody who can try elsewhere.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use http::StatusCode;
use mesh_proxy_core::ir::OverloadPolicy;
use mesh_proxy_core::resilience::{
    BUCKETS, ConcurrencyLimit, ENOUGH, LONGEST_WINDOW, Times, WINDOW, Window, bucket, quickest,
};

use crate::clock;

/// Health probes that get in beyond the limit.
const PROBES: u32 = 16;

/// The gates of all ports.
#[derive(Default)]
pub(super) struct Gates(Mutex<HashMap<u16, Arc<Gate>>>);

/// The requests to one port, over all workers.
pub struct Gate {
    began: Instant,
    under_way: AtomicU32,
    limit: AtomicU32,
    // How often the limit has fallen: answers to older requests say nothing of the new one.
    fallen: AtomicU32,
    // The window: when it began in microseconds, and what was seen in it.
    since: AtomicU64,
    peak: AtomicU32,
    answered: AtomicU32,
    sampled: AtomicU32,
    refused: AtomicU32,
    times: [AtomicU32; BUCKETS],
    state: Mutex<Option<ConcurrencyLimit>>,
}

/// Counts a request until it is dropped.
pub struct Permit(Option<Counted>);

struct Counted {
    gate: Arc<Gate>,
    // To learn from the time that the answer takes.
    learns: Option<(Instant, u32)>,
}

// === impl Gates ===

impl Gates {
    pub(super) fn of(&self, port: u16) -> Arc<Gate> {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Gate::new(clock::monotonic()));
        Arc::clone(gates.entry(port).or_insert_with(new))
    }
}

// === impl Gate ===

impl Gate {
    fn new(began: Instant) -> Self {
        Self {
            began,
            under_way: AtomicU32::new(0),
            limit: AtomicU32::new(u32::MAX),
            fallen: AtomicU32::new(0),
            since: AtomicU64::new(0),
            peak: AtomicU32::new(0),
            answered: AtomicU32::new(0),
            sampled: AtomicU32::new(0),
            refused: AtomicU32::new(0),
            times: [const { AtomicU32::new(0) }; BUCKETS],
            state: Mutex::new(None),
        }
    }

    /// Requests under way.
    pub fn under_way(&self) -> u32 {
        self.under_way.load(Ordering::Relaxed)
    }

    /// Requests that may be under way, as far as is known.
    pub fn limit(&self) -> u32 {
        self.limit.load(Ordering::Relaxed)
    }

    /// Lets a request in, if there is room. None: it must not come in.
    pub fn admit(
        self: &Arc<Self>,
        (policy, adapts): (&OverloadPolicy, bool),
        is_probe: bool,
        now: Instant,
    ) -> Option<Permit> {
        if policy.disabled {
            return Some(Permit::uncounted());
        }
        let mut limit = policy.max_requests;
        if adapts {
            self.roll(policy, now);
            limit = limit.min(self.limit());
        }
        if is_probe {
            limit = limit.saturating_add(PROBES);
        }
        let more = |count: u32| (count < limit).then_some(count + 1);
        let Ok(before) = self
            .under_way
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, more)
        else {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return None;
        };
        self.peak.fetch_max(before + 1, Ordering::Relaxed);
        let learns = adapts.then(|| (now, self.fallen.load(Ordering::Acquire)));
        Some(Permit(Some(Counted {
            gate: Arc::clone(self),
            learns,
        })))
    }

    fn sample(&self, took: Duration, fallen: u32) {
        self.answered.fetch_add(1, Ordering::Relaxed);
        if fallen != self.fallen.load(Ordering::Acquire) {
            return;
        }
        if let Some(count) = self.times.get(bucket(took)) {
            count.fetch_add(1, Ordering::Relaxed);
            self.sampled.fetch_add(1, Ordering::Release);
        }
    }

    // Ends the window, if it is long enough and enough was seen.
    fn roll(&self, policy: &OverloadPolicy, now: Instant) {
        let since = Duration::from_micros(self.since.load(Ordering::Relaxed));
        let clock = now.saturating_duration_since(self.began);
        let age = clock.saturating_sub(since);
        let enough = self.sampled.load(Ordering::Acquire) >= ENOUGH || age >= LONGEST_WINDOW;
        if age < WINDOW || !enough {
            return;
        }
        // Another worker does it already.
        let Ok(mut state) = self.state.try_lock() else {
            return;
        };
        if self.since.load(Ordering::Relaxed) != u64::try_from(since.as_micros()).unwrap_or(0) {
            return;
        }
        let mut times: Times = [0; BUCKETS];
        for (time, count) in times.iter_mut().zip(&self.times) {
            *time = count.swap(0, Ordering::Relaxed);
        }
        self.sampled.store(0, Ordering::Relaxed);
        let answered = self.answered.swap(0, Ordering::Relaxed);
        let window = Window {
            quick: quickest(&times),
            throughput: f64::from(answered) / age.as_secs_f64(),
            peak: self.peak.swap(self.under_way(), Ordering::Relaxed),
            refused: self.refused.swap(0, Ordering::Relaxed) > 0,
        };
        let limit = state.get_or_insert_with(|| ConcurrencyLimit::new(policy));
        if limit.observe(&window, policy) {
            self.fallen.fetch_add(1, Ordering::AcqRel);
        }
        self.limit.store(limit.limit(), Ordering::Relaxed);
        let clock = u64::try_from(clock.as_micros()).unwrap_or(u64::MAX);
        self.since.store(clock, Ordering::Relaxed);
    }
}

// === impl Permit ===

impl Permit {
    /// Counts nothing.
    pub fn uncounted() -> Self {
        Self(None)
    }

    /// The answer's head is there. An error that came quickly says nothing of how long work
    /// takes.
    pub fn answered(mut self, status: StatusCode) {
        if status.is_server_error()
            && let Some(counted) = &mut self.0
        {
            counted.learns = None;
        }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.gate.under_way.fetch_sub(1, Ordering::AcqRel);
        // Without an answer, because the client has given up: that took long enough, too.
        if let Some((began, fallen)) = self.learns {
            let took = clock::monotonic().saturating_duration_since(began);
            self.gate.sample(took, fallen);
        }
    }
}
