//! Several processes that serve with the same keys.

use super::StoreError;
use super::machine::{Blocker, RotationRecord};
use crate::ledger::Holder;

/// Others who serve with the same keys, and hear of proxies that this process does not hear of.
#[tonic::async_trait]
pub trait RotationPeers: std::fmt::Debug + Send + Sync {
    /// Tells the others what this process knows, and takes what they say. `blockers` are those
    /// of `holders` that hold the rotation of `record` up.
    ///
    /// # Errors
    /// If they cannot be told or heard.
    async fn confer(
        &self,
        record: &RotationRecord,
        holders: &[Holder],
        blockers: &[Blocker],
    ) -> Result<Conferred, StoreError>;

    /// Waits no longer for this one, in this rotation. Returns whether anybody knows it.
    ///
    /// # Errors
    /// If that cannot be written down.
    async fn forget(&self, rotation: &str, name: &str) -> Result<bool, StoreError>;
}

/// What all know together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Conferred {
    /// Whether it is for this process to take the next step.
    pub leads: bool,
    /// Who holds the rotation up, as far as all know.
    pub blockers: Vec<Blocker>,
}
