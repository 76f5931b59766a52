//! One request and its response.

use super::super::window::{ReceiveWindow, SendWindow};

/// The state of a stream (RFC 9113 section 5.1). A stream that has ended on both sides is
/// forgotten.
#[derive(Debug)]
pub(super) struct Stream<T> {
    pub(super) data: T,
    pub(super) send_window: SendWindow,
    pub(super) receive_window: ReceiveWindow,
    /// Whether this side has sent its end.
    pub(super) sent_end: bool,
    /// What of the peer's message has come.
    pub(super) received: Received,
    /// Octets of the body that the head has announced and that did not come yet.
    pub(super) announced: Option<u64>,
    /// Whether the length that the head of the response says is not that of what follows: one to
    /// HEAD or CONNECT.
    pub(super) bodiless: bool,
    /// Whether nobody wants the rest of the peer's body.
    pub(super) discards: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Received {
    Nothing,
    Head,
    End,
}

// === impl Stream ===

impl<T> Stream<T> {
    pub(super) fn new(data: T, send_window: u32, receive_window: u32) -> Self {
        Self {
            data,
            send_window: SendWindow::new(send_window),
            receive_window: ReceiveWindow::new(receive_window),
            sent_end: false,
            received: Received::Nothing,
            announced: None,
            bodiless: false,
            discards: false,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        self.sent_end && self.received == Received::End
    }

    /// Counts the body against its announced length. `false` if it does not fit.
    pub(super) fn count(&mut self, octets: usize, end: bool) -> bool {
        let Some(left) = self.announced else {
            return true;
        };
        let Some(left) = left.checked_sub(octets as u64) else {
            return false;
        };
        self.announced = Some(left);
        !end || left == 0
    }
}
