//! Limits on work that a peer causes without getting anything done.

use std::time::{Duration, Instant};

/// Counts frames without sense and streams that are begun only to be given up.
#[derive(Debug)]
pub(super) struct Guard {
    // What may still be given up at once.
    patience: u32,
    refilled: Option<Instant>,
    idle_frames: u32,
    empty_continuations: u32,
}

/// Streams that a peer may give up at once. Rapid reset (CVE-2023-44487) needs far more.
const PATIENCE: u32 = 1024;
/// What comes back every second. Completed streams give back one each, so that a peer of which
/// some requests time out never gets near the limit.
const PATIENCE_PER_SECOND: u32 = 256;
/// Frames in a row that carry neither data nor messages.
const MAX_IDLE_FRAMES: u32 = 10_000;
const MAX_EMPTY_CONTINUATIONS: u32 = 8;

// === impl Guard ===

impl Default for Guard {
    fn default() -> Self {
        Self {
            patience: PATIENCE,
            refilled: None,
            idle_frames: 0,
            empty_continuations: 0,
        }
    }
}

impl Guard {
    /// A stream came to nothing. Returns whether the peer has gone too far.
    pub(super) fn wasted(&mut self, now: Instant) -> bool {
        let last = *self.refilled.get_or_insert(now);
        let passed = now.saturating_duration_since(last);
        if passed >= Duration::from_millis(100) {
            let back = passed.as_millis() * u128::from(PATIENCE_PER_SECOND) / 1000;
            let back = u32::try_from(back).unwrap_or(PATIENCE);
            self.patience = self.patience.saturating_add(back).min(PATIENCE);
            self.refilled = Some(now);
        }
        match self.patience.checked_sub(1) {
            Some(left) => {
                self.patience = left;
                false
            }
            None => true,
        }
    }

    /// A stream did what it was for.
    pub(super) fn completed(&mut self) {
        self.patience = (self.patience + 1).min(PATIENCE);
        self.idle_frames = 0;
    }

    /// Data or a message went by.
    pub(super) fn worked(&mut self) {
        self.idle_frames = 0;
    }

    /// A frame of another kind. Returns whether there are too many.
    pub(super) fn idled(&mut self) -> bool {
        self.idle_frames += 1;
        self.idle_frames > MAX_IDLE_FRAMES
    }

    /// Part of a header block. Returns whether there are too many without content.
    pub(super) fn continued(&mut self, length: usize) -> bool {
        self.empty_continuations = if length == 0 {
            self.empty_continuations + 1
        } else {
            0
        };
        self.empty_continuations > MAX_EMPTY_CONTINUATIONS
    }
}
