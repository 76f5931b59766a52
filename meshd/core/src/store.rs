//! Files to objects in force.

use std::collections::{BTreeMap, BTreeSet};

use mesh_api::v1::Problem;
use sha2::{Digest, Sha256};

use crate::ingest::{self, Entry};
use crate::model::ObjectId;
use crate::{MeshSettings, World};

/// The configuration as files. Keeps what is needed to stay in force when a file gets worse:
/// an object that cannot be used any more stays as it was last good, and its neighbours change.
#[derive(Clone, Debug, Default)]
pub struct Store {
    files: BTreeMap<String, File>,
}

#[derive(Clone, Debug)]
struct File {
    text: [u8; 32],
    entries: Vec<Entry>,
    problems: Vec<Problem>,
}

// === impl Store ===

impl Store {
    /// One without files.
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads a file, new or changed. `path` orders the objects of all files by age: of two that
    /// claim the same, the one in the first file by name wins, then the one further up.
    pub fn set_file(&mut self, path: &str, text: &str) {
        let hash: [u8; 32] = Sha256::digest(text).into();
        if self.files.get(path).is_some_and(|file| file.text == hash) {
            return;
        }
        let parsed = ingest::parse_file(path, text);
        let mut entries = parsed.entries;
        if let Some(old) = self.files.remove(path) {
            let present: BTreeSet<ObjectId> = entries
                .iter()
                .map(|entry| entry.object.meta().id.clone())
                .collect();
            let kept = old.entries.into_iter().filter(|entry| {
                let id = &entry.object.meta().id;
                !present.contains(id) && (parsed.unreadable || parsed.refused.contains(id))
            });
            entries.extend(kept);
            entries.sort_by_key(|entry| {
                let origin = &entry.object.meta().origin;
                (origin.line, origin.column)
            });
        }
        self.files.insert(
            path.to_owned(),
            File {
                text: hash,
                entries,
                problems: parsed.problems,
            },
        );
    }

    /// Forgets a file and all its objects.
    pub fn remove_file(&mut self, path: &str) {
        self.files.remove(path);
    }

    /// Paths of all files, in order.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Builds the World: all objects in force, linked, with everything that is wrong with them.
    /// The same files and settings give the same World.
    pub fn world(&self, settings: &MeshSettings) -> World {
        let entries = self.files.values().flat_map(|file| &file.entries);
        let problems = self
            .files
            .values()
            .flat_map(|file| file.problems.iter().cloned())
            .collect();
        World::build(settings, entries, problems)
    }
}
