//! What the balancer learns of one try.

use std::rc::Rc;
use std::time::Duration;

use mesh_proxy_core::balance::{Outcome, Token};

use super::{Count, Target};
use crate::clock;

/// One try on its way, counted at its endpoint. Dropped without a word it was given up by the
/// client, which says nothing of the endpoint.
#[must_use = "the endpoint counts the try as under way until this is dropped"]
pub struct Tracking {
    inner: Option<(Rc<Target>, Token)>,
    outcome: Outcome,
    latency: Option<Duration>,
    // Counted under way, too, until the end.
    held: Vec<Count>,
}

// === impl Tracking ===

impl Tracking {
    /// Of a try that no balancer chose.
    pub fn none() -> Self {
        Self {
            inner: None,
            outcome: Outcome::Cancelled,
            latency: None,
            held: Vec::new(),
        }
    }

    /// Counts until the try has ended.
    pub fn hold(&mut self, count: Option<Count>) {
        self.held.extend(count);
    }

    pub(super) fn new(target: Rc<Target>, token: Token) -> Self {
        Self {
            inner: Some((target, token)),
            outcome: Outcome::Cancelled,
            latency: None,
            held: Vec::new(),
        }
    }

    /// The head of a response has come.
    pub fn answered(&mut self, outcome: Outcome, latency: Duration) {
        self.outcome = outcome;
        self.latency = Some(latency);
    }

    /// The response has ended, or the connection has done its work.
    pub fn finished(mut self) {
        if self.latency.is_none() {
            self.outcome = Outcome::Success;
        }
        self.settle();
    }

    /// The try has failed.
    pub fn failed_with(mut self, outcome: Outcome) {
        self.outcome = outcome;
        self.latency = None;
        self.settle();
    }

    /// The connection broke in the middle.
    pub fn failed(self) {
        self.failed_with(Outcome::Reset);
    }

    fn settle(&mut self) {
        if let Some((target, token)) = self.inner.take() {
            target.finished(token, self.outcome, self.latency, clock::monotonic());
        }
    }
}

impl Drop for Tracking {
    fn drop(&mut self) {
        self.settle();
    }
}
