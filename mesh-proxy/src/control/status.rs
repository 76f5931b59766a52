//! What the discovery client is doing.

use mesh_api::v1;
use tokio::sync::watch;

/// What the discovery client is doing. Cheap to clone.
#[derive(Clone)]
pub struct Status {
    pub(super) current: watch::Receiver<ControlStatus>,
}

/// State of the discovery client.
#[derive(Clone, Debug, Default)]
pub struct ControlStatus {
    /// Whether the stream is open.
    pub connected: bool,
    /// The last refusals, newest first, at most 8.
    pub rejected: Vec<v1::Rejection>,
    /// Why the stream is not open; empty if it is or was not tried yet.
    pub error: String,
}

// === impl Status ===

impl Status {
    pub(super) fn new(current: watch::Receiver<ControlStatus>) -> Self {
        Self { current }
    }

    /// One that never changes.
    #[cfg(test)]
    pub(crate) fn fixed(connected: bool) -> Self {
        let status = ControlStatus {
            connected,
            ..ControlStatus::default()
        };
        Self {
            current: watch::channel(status).1,
        }
    }

    /// Whether the stream is open.
    pub fn is_connected(&self) -> bool {
        self.current.borrow().connected
    }

    /// The state now.
    pub fn get(&self) -> ControlStatus {
        self.current.borrow().clone()
    }
}
