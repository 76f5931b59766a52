//! Files, and objects of an API server, to objects in force.

use std::collections::{BTreeMap, BTreeSet};

use mesh_api::v1::Problem;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::ingest::{self, Entry};
use crate::model::ObjectId;
use crate::world::Entries;
use crate::{MeshSettings, ObjectKey, World};

/// The configuration as files and as objects of an API server. Keeps what is needed to stay in
/// force when something gets worse: an object that cannot be used any more stays as it was last
/// good, and its neighbours change.
#[derive(Clone, Debug, Default)]
pub struct Store {
    files: BTreeMap<String, File>,
    objects: BTreeMap<ObjectKey, Held>,
    generation: u64,
}

/// An object of the API server.
#[derive(Clone, Debug, Default)]
struct Held {
    /// `creationTimestamp`: RFC 3339 in UTC, which sorts as text.
    created: String,
    /// The last good version.
    entry: Option<Entry>,
    problems: Vec<Problem>,
}

#[derive(Clone, Debug)]
struct File {
    text: [u8; 32],
    entries: Vec<Entry>,
    problems: Vec<Problem>,
}

// === impl Store ===

impl Store {
    /// One without anything.
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
        self.generation += 1;
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
        if self.files.remove(path).is_some() {
            self.generation += 1;
        }
    }

    /// Paths of all files, in order.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// Takes an object of the API server, new or changed: whole, with `apiVersion`, `kind` and
    /// `metadata`. One that cannot be used is reported, and its last good version stays.
    ///
    /// Objects of files are older than all of these; among these `creationTimestamp` counts, then
    /// namespace and name (Istio: sortConfigByCreationTime).
    pub fn set_object(&mut self, object: &Value) {
        let parsed = ingest::parse_object(object);
        let created = object
            .pointer("/metadata/creationTimestamp")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let held = self.objects.entry(ObjectKey::of(object)).or_default();
        let digest = |entry: &Option<Entry>| entry.as_ref().map(|entry| entry.digest);
        let same = digest(&held.entry) == digest(&parsed.entry);
        // What means the same stays the same, for what was made of it serves again.
        let entry = if parsed.refused || same {
            held.entry.clone()
        } else {
            parsed.entry
        };
        if digest(&held.entry) != digest(&entry)
            || held.created != created
            || held.problems != parsed.problems
        {
            self.generation += 1;
        }
        *held = Held {
            created: created.to_owned(),
            entry,
            problems: parsed.problems,
        };
    }

    /// Forgets an object of the API server.
    pub fn remove_object(&mut self, id: &ObjectKey) {
        if self.objects.remove(id).is_some() {
            self.generation += 1;
        }
    }

    /// A number that is another whenever [`Self::world`] may be another. Most changes of pods and
    /// nodes are nothing to the mesh: they leave it as it is.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Builds the World: all objects in force, linked, with everything that is wrong with them.
    /// The same files, objects and settings give the same World.
    pub fn world(&self, settings: &MeshSettings) -> World {
        self.build(settings, None)
    }

    /// Builds the World that comes after another: the same as [`Self::world`], and quicker, for
    /// what did not change is taken over, and sessions that have seen the one before know what
    /// is new.
    pub fn world_after(&self, settings: &MeshSettings, before: &World) -> World {
        self.build(settings, Some(before))
    }

    fn build(&self, settings: &MeshSettings, before: Option<&World>) -> World {
        let mut by_age: Vec<(&ObjectKey, &Held)> = self.objects.iter().collect();
        by_age.sort_by(|(a, one), (b, other)| {
            let times = one.created.cmp(&other.created);
            times.then_with(|| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)))
        });
        let of_files = self.files.values();
        let of_objects = by_age.iter().filter_map(|(_, held)| held.entry.as_ref());
        let entries = Entries {
            files: of_files.clone().flat_map(|file| &file.entries).collect(),
            objects: of_objects.collect(),
        };
        let problems = of_files
            .flat_map(|file| &file.problems)
            .chain(self.objects.values().flat_map(|held| &held.problems))
            .cloned()
            .collect();
        World::build(settings, &entries, problems, before)
    }
}
