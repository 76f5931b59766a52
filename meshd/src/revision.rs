//! Numbers of published worlds, rising over restarts.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Why the number of the last revision cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    /// The file cannot be read or written.
    #[error("cannot use {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{path} is damaged: it does not hold a number; remove it to count from 1 again")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
}

/// Hands out numbers and remembers the last one in a file.
#[derive(Debug)]
pub(crate) struct Revisions {
    path: PathBuf,
    last: u64,
}

// === impl Revisions ===

impl Revisions {
    /// Reads the last number.
    pub(crate) fn open(state_dir: &Path) -> Result<Self, RevisionError> {
        let path = state_dir.join("revision");
        let last = match fs::read_to_string(&path) {
            Ok(text) => text
                .trim()
                .parse()
                .map_err(|_| RevisionError::Damaged { path: path.clone() })?,
            Err(error) if error.kind() == ErrorKind::NotFound => 0,
            Err(source) => return Err(RevisionError::Io { path, source }),
        };
        Ok(Self { path, last })
    }

    /// The next number. It is on disk before it is used, so that no number is used twice.
    pub(crate) fn next(&mut self) -> Result<u64, RevisionError> {
        let next = self.last + 1;
        let neighbour = self.path.with_extension("new");
        fs::write(&neighbour, format!("{next}\n"))
            .and_then(|()| fs::rename(&neighbour, &self.path))
            .map_err(|source| RevisionError::Io {
                path: self.path.clone(),
                source,
            })?;
        self.last = next;
        Ok(next)
    }

    /// The number after the last one, when the disk does not take it.
    pub(crate) fn next_unsaved(&mut self) -> u64 {
        self.last += 1;
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rises_over_restarts() {
        let dir = tempfile::tempdir().unwrap();
        let mut first = Revisions::open(dir.path()).unwrap();
        assert_eq!((first.next().unwrap(), first.next().unwrap()), (1, 2));
        assert_eq!(Revisions::open(dir.path()).unwrap().next().unwrap(), 3);
        fs::write(dir.path().join("revision"), "x").unwrap();
        assert!(
            Revisions::open(dir.path())
                .unwrap_err()
                .to_string()
                .contains("revision")
        );
    }
}
