//! The last good text of each file, over restarts.
//!
//! An object with an error leaves its last good version in force. Without memory a restart would
//! forget that version: a policy in quarantine would be gone, and what it denied would pass.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use mesh_api::v1::{Problem, Severity};

/// Remembers texts without errors, by the name of their file.
#[derive(Debug)]
pub(crate) struct LastGood {
    path: PathBuf,
    texts: BTreeMap<String, String>,
    // Not compiled yet: good or not.
    fresh: BTreeMap<String, String>,
    unsaved: bool,
}

/// Why the texts of an earlier process cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot use {path}: {source}; remove it to start without the last good versions of what is in quarantine",
    path = path.display()
)]
pub struct LastGoodError {
    path: PathBuf,
    source: io::Error,
}

// === impl LastGood ===

impl LastGood {
    /// Reads what an earlier process remembered.
    pub(crate) fn open(state_dir: &Path) -> Result<Self, LastGoodError> {
        let path = state_dir.join("last-good.json");
        let texts = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        };
        match texts {
            Ok(texts) => Ok(Self {
                path,
                texts,
                fresh: BTreeMap::new(),
                unsaved: false,
            }),
            Err(source) => Err(LastGoodError { path, source }),
        }
    }

    /// The last good text of a file.
    pub(crate) fn text(&self, file: &str) -> Option<&str> {
        self.texts.get(file).map(String::as_str)
    }

    /// A file has a new text; whether it is good comes out with [`Self::learn`].
    pub(crate) fn changed(&mut self, file: &str, text: &str) {
        self.fresh.insert(file.to_owned(), text.to_owned());
    }

    /// A file is gone.
    pub(crate) fn removed(&mut self, file: &str) {
        self.fresh.remove(file);
        self.unsaved |= self.texts.remove(file).is_some();
    }

    /// Forgets files that are gone since an earlier process.
    pub(crate) fn retain(&mut self, files: &BTreeSet<String>) {
        let before = self.texts.len();
        self.texts.retain(|file, _| files.contains(file));
        self.unsaved |= self.texts.len() != before;
    }

    /// Takes the new texts that compiled without an error, and saves what changed.
    pub(crate) fn learn(&mut self, problems: &[Problem]) {
        let spoilt: BTreeSet<&str> = problems
            .iter()
            .filter(|problem| problem.severity() == Severity::Error)
            .filter_map(|problem| Some(problem.origin.as_ref()?.source.as_str()))
            .collect();
        for (file, text) in std::mem::take(&mut self.fresh) {
            if !spoilt.contains(file.as_str()) && self.texts.get(&file) != Some(&text) {
                self.texts.insert(file, text);
                self.unsaved = true;
            }
        }
        if self.unsaved {
            match self.save() {
                Ok(()) => self.unsaved = false,
                Err(error) => {
                    tracing::error!(path = %self.path.display(), %error, "the last good configuration cannot be remembered");
                }
            }
        }
    }

    fn save(&self) -> io::Result<()> {
        let neighbour = self.path.with_extension("new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&neighbour)?;
        file.write_all(&serde_json::to_vec(&self.texts)?)?;
        file.sync_all()?;
        fs::rename(&neighbour, &self.path)
    }
}
