//! The rotation of the root, without a failed request: what comes next is decided in `machine`,
//! what is written down stands behind a [`RotationStore`], and a [`Rotator`] does it.

mod generations;
mod machine;
#[cfg(test)]
mod model_tests;
mod peers;
mod rotator;
#[cfg(test)]
mod tests;

pub use generations::Generations;
pub use machine::{Blocker, Duty, Next, Phase, Reason, Rotation, RotationRecord, RotationRefusal};
pub use peers::{Conferred, RotationPeers};
pub use rotator::{RotateError, RotationProgress, RotationStatus, Rotator};

use crate::authority::{AuthorityMaterial, AuthorityOptions, Charge};

/// Why what is to be written down cannot be.
pub type StoreError = Box<dyn std::error::Error + Send + Sync>;

/// Where an authority's generations of keys and the record of its rotation stand.
#[tonic::async_trait]
pub trait RotationStore: std::fmt::Debug + Send + Sync {
    /// What is written down.
    ///
    /// # Errors
    /// If it cannot be read.
    async fn record(&self) -> Result<RotationRecord, StoreError>;

    /// Makes the keys of a generation that nothing refers to yet.
    ///
    /// # Errors
    /// If they cannot be made or stored.
    async fn make(
        &self,
        next: u64,
        options: &AuthorityOptions,
    ) -> Result<AuthorityMaterial, StoreError>;

    /// Writes a step down, and says what the authority does by it. Once it is written it holds,
    /// whatever crashes. `before` is what is written down now.
    ///
    /// # Errors
    /// If it cannot be written, or something else than `before` is written down.
    async fn save(
        &self,
        before: &RotationRecord,
        record: &RotationRecord,
        options: &AuthorityOptions,
    ) -> Result<Charge, StoreError>;

    /// Removes what no generation in use needs, and tells others whom to trust.
    ///
    /// # Errors
    /// If it cannot be done; it is tried again at the next step and at the next start.
    async fn tidy(&self, record: &RotationRecord, charge: &Charge) -> Result<(), StoreError>;
}
