//! Injected faults (Istio: HTTPFaultInjection).

use std::time::Duration;

use bytes::Bytes;
use rand::{Rng, RngExt};

use super::LocalResponse;
use crate::ir::{Abort, Fault};
use crate::reason::{Reason, ResponseFlags};

/// What the dice said: first the delay, then the abort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultDecision {
    /// Wait so long.
    pub delay: Option<Duration>,
    /// Then answer with this instead of the action.
    pub abort: Option<Abort>,
}

/// Draws. A share of 0 never happens, the full share always does (an unset percentage in Istio
/// is no fault at all).
pub fn draw_fault(fault: &Fault, rng: &mut (impl Rng + ?Sized)) -> FaultDecision {
    let mut hit = |share: u32| share > 0 && rng.random_range(0..1_000_000_u32) < share;
    FaultDecision {
        delay: hit(fault.delay_per_million)
            .then_some(fault.delay)
            .filter(|delay| !delay.is_zero()),
        abort: hit(fault.abort_per_million).then_some(fault.abort),
    }
}

// === impl FaultDecision ===

impl FaultDecision {
    /// Envoy's flags for it.
    pub fn flags(&self) -> ResponseFlags {
        let delay = if self.delay.is_some() {
            ResponseFlags::DELAY_INJECTED
        } else {
            ResponseFlags::NONE
        };
        let abort = if self.abort.is_some() {
            ResponseFlags::FAULT_INJECTED
        } else {
            ResponseFlags::NONE
        };
        delay.with(abort)
    }

    /// The answer of an abort.
    pub fn response(&self, grpc: bool) -> Option<LocalResponse> {
        let body = Bytes::from_static(b"fault filter abort");
        let mut response = match self.abort? {
            Abort::Http(status) => LocalResponse::new(Reason::FaultAbort, status, body, grpc),
            Abort::Grpc(status) => {
                LocalResponse::grpc(Reason::FaultAbort, status, "fault filter abort")
            }
        };
        response.flags = self.flags();
        Some(response)
    }
}
