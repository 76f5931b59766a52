//! Whether a file is still the one that was read.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// What tells a changed file: written in place, replaced by a rename, or behind a symbolic link
/// that leads elsewhere now, as in volumes of Kubernetes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    // Seconds and nanoseconds.
    modified: (i64, i64),
}

// === impl Stamp ===

impl Stamp {
    /// Of a file; nothing if it cannot be looked at. Take it before the file is read.
    pub(crate) async fn of(path: &Path) -> Option<Self> {
        tokio::fs::metadata(path).await.ok().map(Self::from)
    }
}

impl From<Metadata> for Stamp {
    fn from(metadata: Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }
}
