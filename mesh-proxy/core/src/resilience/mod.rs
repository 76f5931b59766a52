//! Whether, when and how often a request is tried again.

mod backoff;
mod budget;
mod deadline;
mod limits;
mod retry;

pub use backoff::backoff;
pub use budget::{Allowance, Budget};
pub use deadline::Deadline;
pub use limits::{InUse, Resource};
pub use retry::{AttemptOutcome, Decision, Stop, Tries, is_retriable};

#[cfg(test)]
mod tests;
