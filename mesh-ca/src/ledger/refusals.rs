//! Refusals on their way into the record. Pure.
//!
//! Few are written one by one. Of many in a second those that are alike (who, why, what it asked
//! to be) are one line with their number, so that every refusal is in the record and a flood does
//! not fill the disk.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::clock;

/// So many in a second are written one by one.
const ONE_BY_ONE: u32 = 50;
/// So many different ones can be told apart at once,
const MOST: u32 = 1024;
/// and so many more every second after that. What is beyond is told apart by its reason only.
const MORE_A_SECOND: u32 = 200;
/// Those who have proved nothing can say anything, and leave this much room for those who have.
const FOR_PROVED: u32 = MOST / 2;

/// Who was refused, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedCall {
    /// The reason in the closed list.
    pub reason: String,
    /// In words; of several that are alike those of the first. Empty if the line is of more
    /// callers than are told apart.
    pub detail: String,
    /// Who asked, as far as that was proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// Which of those with this identity, as far as that was proved: the workload, or the
    /// certificate from which its certificates were renewed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<String>,
    /// The address that it called from; none on a Unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
    /// What it asked to be certified as, if it said so. Nothing vouches for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<String>,
}

/// Of a line that stands for several refusals. Times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Times {
    /// How many.
    pub count: u64,
    /// When the first was.
    pub first_millis: u64,
    /// When the last was.
    pub last_millis: u64,
}

/// What makes refusals alike.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    reason: String,
    // None: of callers that are told apart no more.
    who: Option<[Option<String>; 4]>,
}

/// Refusals that are one line.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) call: RefusedCall,
    pub(super) times: Times,
}

/// Refusals that are not written yet.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    second: i64,
    written: u32,
    waiting: BTreeMap<Key, Line>,
    // How much of `MOST` is used up.
    used: u32,
}

// === impl Refusals ===

impl Refusals {
    /// Whether a second is over, and what waits is to be written.
    pub(super) fn begins_another(&mut self, now: SystemTime) -> bool {
        let second = clock::unix_seconds(now);
        if second == self.second {
            return false;
        }
        // A clock that was set back gives nothing.
        let passed = u32::try_from(second.saturating_sub(self.second)).unwrap_or(0);
        let again = passed.saturating_mul(MORE_A_SECOND);
        self.used = self.used.saturating_sub(again);
        (self.second, self.written) = (second, 0);
        true
    }

    /// Gives the refusal back if it is to be written by itself; otherwise it waits.
    pub(super) fn take(&mut self, call: RefusedCall, now: SystemTime) -> Option<RefusedCall> {
        if self.written < ONE_BY_ONE {
            self.written += 1;
            return Some(call);
        }
        self.fold(call, Times::once(now));
        None
    }

    /// Adds to what waits.
    pub(super) fn fold(&mut self, call: RefusedCall, times: Times) {
        let key = Key::of(&call);
        if let Some(line) = self.waiting.get_mut(&key) {
            line.times.add(&times);
            return;
        }
        let room = match call.identity {
            Some(_) => MOST,
            None => MOST - FOR_PROVED,
        };
        if self.used < room {
            self.used += 1;
            self.put_back(Line { call, times });
            return;
        }
        let call = RefusedCall {
            reason: call.reason,
            detail: String::new(),
            identity: None,
            caller: None,
            peer: None,
            requested: None,
        };
        self.put_back(Line { call, times });
    }

    /// A line that is to be written.
    pub(super) fn pop(&mut self) -> Option<Line> {
        Some(self.waiting.pop_first()?.1)
    }

    /// A line that cannot be written now.
    pub(super) fn put_back(&mut self, line: Line) {
        match self.waiting.entry(Key::of(&line.call)) {
            Entry::Occupied(mut known) => known.get_mut().times.add(&line.times),
            Entry::Vacant(free) => {
                free.insert(line);
            }
        }
    }
}

// === impl Key ===

impl Key {
    fn of(call: &RefusedCall) -> Self {
        let who = [&call.identity, &call.caller, &call.peer, &call.requested];
        Self {
            reason: call.reason.clone(),
            who: (!call.detail.is_empty()).then(|| who.map(Clone::clone)),
        }
    }
}

// === impl Times ===

impl Times {
    pub(super) fn once(now: SystemTime) -> Self {
        let since = now.duration_since(SystemTime::UNIX_EPOCH);
        let millis = since.map_or(0, |since| since.as_millis());
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        Self {
            count: 1,
            first_millis: millis,
            last_millis: millis,
        }
    }

    pub(super) fn last(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_millis(self.last_millis)
    }

    fn add(&mut self, more: &Self) {
        self.count += more.count;
        self.first_millis = self.first_millis.min(more.first_millis);
        self.last_millis = self.last_millis.max(more.last_millis);
    }
}
