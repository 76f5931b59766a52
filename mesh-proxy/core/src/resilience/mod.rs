//! Whether, when and how often a request is tried again.

mod backoff;
mod budget;
mod deadline;
mod retry;

pub use backoff::backoff;
pub use budget::Budget;
pub use deadline::Deadline;
pub use retry::{AttemptOutcome, Decision, Stop, Tries, is_retriable};

#[cfg(test)]
mod tests;
