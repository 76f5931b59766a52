//! Whether, when and how often a request is tried again; how much is let in and let out.

mod backoff;
mod budget;
mod concurrency;
mod deadline;
mod limits;
mod propagation;
mod rate;
mod retry;

pub use backoff::backoff;
pub use budget::{Allowance, Budget};
pub use concurrency::{
    BUCKETS, ConcurrencyLimit, ENOUGH, LONGEST_WINDOW, Times, WINDOW, Window, bucket, quickest,
};
pub use deadline::Deadline;
pub use limits::{InUse, Resource};
pub use propagation::{grpc_timeout, tell};
pub use rate::{KeyedBuckets, Take};
pub use retry::{AttemptOutcome, Decision, Stop, Tries, is_retriable};

#[cfg(test)]
mod tests;
