//! Hashes of typed content.

use std::hash::{Hash, Hasher};

use sha2::{Digest, Sha256};

struct Content(Sha256);

/// SHA-256 of everything that a value hashes.
pub(super) fn hash(value: &impl Hash) -> [u8; 32] {
    let mut content = Content(Sha256::new());
    value.hash(&mut content);
    content.0.finalize().into()
}

// === impl Content ===

impl Hasher for Content {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The first bytes of the hash so far.
    fn finish(&self) -> u64 {
        let hash: [u8; 32] = self.0.clone().finalize().into();
        hash.iter()
            .take(8)
            .fold(0, |number, byte| (number << 8) | u64::from(*byte))
    }
}
