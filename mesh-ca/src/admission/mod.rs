//! Who may ask when: a rate for each caller, and turns for all.

mod bucket;
mod lanes;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bucket::Buckets;
use lanes::Lanes;

pub use bucket::CallerRate;
pub(crate) use lanes::{Lane, Turn};

use crate::clock;

/// Callers that are told apart at a time.
const MOST_CALLERS: usize = 200_000;
/// That wait in each lane. A turn takes a fraction of a millisecond.
const LONGEST_QUEUE: usize = 50_000;

/// How the authority is shared among its callers.
#[derive(Debug, Clone, Default)]
pub struct AdmissionOptions {
    /// How often one caller may ask.
    pub rate: CallerRate,
}

/// Lets callers in.
#[derive(Debug)]
pub(crate) struct Admission {
    buckets: Mutex<Buckets<String>>,
    lanes: Lanes,
}

/// Why a caller is to come again later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Later {
    /// It asks too often.
    #[error("too many requests of this caller: ask again in {} s", seconds(*retry_after))]
    TooOften { retry_after: Duration },
    /// Too many ask at once.
    #[error("too many ask at once: ask again in {} s", seconds(*retry_after))]
    Overloaded { retry_after: Duration },
}

fn seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

// === impl Admission ===

impl Admission {
    pub(crate) fn new(options: &AdmissionOptions) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            buckets: Mutex::new(Buckets::new(options.rate, MOST_CALLERS)),
            lanes: Lanes::new(cores, LONGEST_QUEUE),
        }
    }

    /// Waits for the turn of an authenticated caller.
    pub(crate) async fn enter(&self, caller: String, lane: Lane) -> Result<Turn, Later> {
        self.buckets
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(caller, clock::instant())
            .map_err(|retry_after| Later::TooOften { retry_after })?;
        self.lanes.turn(lane).await.ok_or(Later::Overloaded {
            retry_after: Duration::from_secs(5),
        })
    }
}

// === impl Later ===

impl Later {
    /// Whole seconds, at least one.
    pub(crate) fn retry_after(&self) -> u64 {
        match self {
            Self::TooOften { retry_after } | Self::Overloaded { retry_after } => {
                seconds(*retry_after).max(1)
            }
        }
    }
}
