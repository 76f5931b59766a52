//! The last good text of each file, and of each of Istio's objects of an API server, over
//! restarts.
//!
//! An object with an error leaves its last good version in force. Without memory a restart would
//! forget that version: a policy in quarantine would be gone, and what it denied would pass.

mod quarantine;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use mesh_api::v1::{Origin, Problem, Severity};
use meshd_core::ObjectKey;
use serde_json::Value;
use tokio::sync::watch;

pub(crate) use quarantine::{Kept, Quarantine};

/// Remembers texts without errors, by the name of their file.
#[derive(Debug)]
pub(crate) struct LastGood {
    path: PathBuf,
    texts: BTreeMap<String, String>,
    // Not compiled yet: good or not.
    fresh: BTreeMap<String, String>,
    // Objects that an earlier process knew and this one has not seen yet.
    unseen: BTreeSet<String>,
    // Versions in quarantine, of objects.
    bad: BTreeMap<String, String>,
    // What another replica says of objects in quarantine.
    shared: BTreeMap<String, Kept>,
    quarantine: watch::Sender<Quarantine>,
    unsaved: bool,
}

/// Begins the names of objects among those of files.
const OBJECT: &str = "kubernetes:";

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
        let texts: io::Result<BTreeMap<String, String>> = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(io::Error::from),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(error),
        };
        match texts {
            Ok(texts) => Ok(Self {
                path,
                unseen: texts
                    .keys()
                    .filter(|name| is_object(name))
                    .cloned()
                    .collect(),
                texts,
                fresh: BTreeMap::new(),
                bad: BTreeMap::new(),
                shared: BTreeMap::new(),
                quarantine: watch::Sender::new(Quarantine::new()),
                unsaved: false,
            }),
            Err(source) => Err(LastGoodError { path, source }),
        }
    }

    /// The objects in quarantine, as they change.
    pub(crate) fn quarantine(&self) -> watch::Receiver<Quarantine> {
        self.quarantine.subscribe()
    }

    /// Objects to set, in this order, so that the same is in force here as in other replicas.
    pub(crate) fn adopt(&mut self, problems: &[Problem]) -> Vec<Value> {
        if self.shared.is_empty() {
            return Vec::new();
        }
        self.adopted(&spoilt(problems))
    }

    /// The last good text of a file.
    pub(crate) fn text(&self, file: &str) -> Option<&str> {
        self.texts.get(file).map(String::as_str)
    }

    /// A file has a new text; whether it is good comes out with [`Self::learn`]. Secrets are not
    /// remembered: no key is written down.
    pub(crate) fn changed(&mut self, file: &str, text: &str) {
        let text = meshd_core::without_secrets(text).into_owned();
        self.fresh.insert(file.to_owned(), text);
    }

    /// A file is gone.
    pub(crate) fn removed(&mut self, file: &str) {
        self.fresh.remove(file);
        self.bad.remove(file);
        self.unsaved |= self.texts.remove(file).is_some();
    }

    /// Forgets files that are gone since an earlier process.
    pub(crate) fn retain(&mut self, files: &BTreeSet<String>) {
        let before = self.texts.len();
        self.texts
            .retain(|file, _| is_object(file) || files.contains(file));
        self.unsaved |= self.texts.len() != before;
    }

    /// What was good of an object in an earlier process, when this one first sees it.
    pub(crate) fn recall_object(&mut self, key: &ObjectKey) -> Option<Value> {
        let name = object_name(&key.kind, &key.namespace, &key.name);
        if !self.unseen.remove(&name) {
            return None;
        }
        serde_json::from_str(self.texts.get(&name)?).ok()
    }

    /// An object is new or changed. Only Istio's and our own can be refused, and need this.
    pub(crate) fn object_changed(&mut self, key: &ObjectKey, object: &Value) {
        if key.group.ends_with(".istio.io") || key.group == "mesh.dev" {
            let name = object_name(&key.kind, &key.namespace, &key.name);
            self.fresh.insert(name, object.to_string());
        }
    }

    /// An object is gone.
    pub(crate) fn object_removed(&mut self, key: &ObjectKey) {
        self.removed(&object_name(&key.kind, &key.namespace, &key.name));
    }

    /// Forgets objects that went while no process was there.
    pub(crate) fn forget_absent_objects(&mut self) {
        for name in std::mem::take(&mut self.unseen) {
            self.removed(&name);
        }
    }

    /// Takes the new texts that compiled without an error, and saves what changed.
    pub(crate) fn learn(&mut self, problems: &[Problem]) {
        let spoilt = spoilt(problems);
        // What was wrong may be right because of another object.
        let mut candidates: BTreeMap<String, String> = std::mem::take(&mut self.bad);
        candidates.append(&mut self.fresh);
        for (file, text) in candidates {
            if spoilt.contains(&file) {
                if is_object(&file) {
                    self.bad.insert(file, text);
                }
            } else if self.texts.get(&file) != Some(&text) {
                self.texts.insert(file, text);
                self.unsaved = true;
            }
        }
        self.tell();
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

/// Names of what has errors.
fn spoilt(problems: &[Problem]) -> BTreeSet<String> {
    problems
        .iter()
        .filter(|problem| problem.severity() == Severity::Error)
        .filter_map(|problem| problem.origin.as_ref().map(name_of).map(Cow::into_owned))
        .collect()
}

fn is_object(name: &str) -> bool {
    name.starts_with(OBJECT)
}

fn object_name(kind: &str, namespace: &str, name: &str) -> String {
    format!("{OBJECT}{kind}/{namespace}/{name}")
}

fn name_of(origin: &Origin) -> Cow<'_, str> {
    match origin.source.as_str() {
        "kubernetes" => object_name(&origin.kind, &origin.namespace, &origin.name).into(),
        file => file.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub(super) fn error_in(kind: &str, name: &str) -> Problem {
        let mut problem = Problem {
            origin: Some(Origin {
                source: "kubernetes".to_owned(),
                kind: kind.to_owned(),
                namespace: "shop".to_owned(),
                name: name.to_owned(),
                ..Origin::default()
            }),
            ..Problem::default()
        };
        problem.set_severity(Severity::Error);
        problem
    }

    #[test]
    fn writes_no_secret_down() {
        let dir = tempfile::tempdir().unwrap();
        let mut memory = LastGood::open(dir.path()).unwrap();
        let text = "kind: Service\n---\nkind: Secret\nstringData: { tls.key: hidden }\n";
        memory.changed("a.yaml", text);
        memory.learn(&[]);
        let written = fs::read_to_string(dir.path().join("last-good.json")).unwrap();
        assert!(
            written.contains("Service") && !written.contains("hidden"),
            "{written}"
        );
    }

    #[test]
    fn remembers_the_good_version_of_an_object() {
        let dir = tempfile::tempdir().unwrap();
        let object = |name: &str, spec: u32| {
            json!({"apiVersion": "networking.istio.io/v1", "kind": "Sidecar",
                "metadata": {"namespace": "shop", "name": name}, "spec": spec})
        };
        let change = |memory: &mut LastGood, object: &Value| {
            memory.object_changed(&ObjectKey::of(object), object);
        };
        let mut first = LastGood::open(dir.path()).unwrap();
        change(&mut first, &object("a", 1));
        change(&mut first, &object("b", 1));
        first.learn(&[]);
        change(&mut first, &object("a", 2));
        first.learn(&[error_in("Sidecar", "a")]);

        let mut second = LastGood::open(dir.path()).unwrap();
        second.retain(&BTreeSet::new());
        let key = ObjectKey::of(&object("a", 0));
        assert_eq!(second.recall_object(&key), Some(object("a", 1)));
        assert_eq!(second.recall_object(&key), None, "only once");
        second.forget_absent_objects();
        second.learn(&[]);
        let mut third = LastGood::open(dir.path()).unwrap();
        assert_eq!(third.recall_object(&key), Some(object("a", 1)));
        let gone = ObjectKey::of(&object("b", 0));
        assert_eq!(third.recall_object(&gone), None);
    }
}
