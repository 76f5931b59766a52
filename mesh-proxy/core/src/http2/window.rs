//! Flow control (RFC 9113 section 5.2).

use super::frame::MAX_31;

/// How much may still be sent. Negative after the peer has made its initial window smaller.
#[derive(Clone, Copy, Debug)]
pub(super) struct SendWindow(i64);

/// How much the peer may still send, and what is to be given back to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReceiveWindow {
    size: u32,
    left: u32,
    owed: u32,
}

/// The window would be larger than the protocol allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overflow;

/// The peer sent more than it was allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exceeded;

// === impl SendWindow ===

impl SendWindow {
    pub(super) fn new(size: u32) -> Self {
        Self(i64::from(size))
    }

    pub(super) fn available(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    pub(super) fn take(&mut self, count: usize) {
        self.0 -= count as i64;
    }

    pub(super) fn give(&mut self, count: i64) -> Result<(), Overflow> {
        let sum = self.0 + count;
        if sum > i64::from(MAX_31) {
            return Err(Overflow);
        }
        self.0 = sum;
        Ok(())
    }
}

// === impl ReceiveWindow ===

impl ReceiveWindow {
    pub(super) fn new(size: u32) -> Self {
        Self {
            size,
            left: size,
            owed: 0,
        }
    }

    pub(super) fn take(&mut self, count: usize) -> Result<(), Exceeded> {
        let count = u32::try_from(count).map_err(|_| Exceeded)?;
        self.left = self.left.checked_sub(count).ok_or(Exceeded)?;
        Ok(())
    }

    /// What was received has been passed on. Returns what to tell the peer: nothing until half
    /// of the window is used up.
    pub(super) fn release(&mut self, count: usize) -> Option<u32> {
        self.owed += count as u32;
        if self.owed < self.size / 2 {
            return None;
        }
        let owed = std::mem::take(&mut self.owed);
        self.left += owed;
        Some(owed)
    }
}
