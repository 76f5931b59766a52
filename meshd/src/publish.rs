//! From changes of files and objects to a published world: the one writer of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_api::v1::{Origin, Problem, Severity};
use meshd_core::{
    KeySet, KeySource, MeshSettings, ObjectKey, ProblemLine, Store, TrustBundle, World,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::clock;
use crate::last_good::{LastGood, Quarantine};
use crate::revision::Revisions;
use crate::trust::Trust;

/// A world that is in force, with its number.
#[derive(Clone)]
pub struct Published {
    /// The compiled configuration.
    pub world: World,
    /// Its number: rises whenever the digest changes, also over restarts.
    pub revision: u64,
    /// Digest of its content, hexadecimal.
    pub digest: String,
    /// Everything that is wrong with the configuration, sorted by place. They change also when
    /// the revision does not: what is in quarantine changes nothing.
    pub problems: Vec<Problem>,
    /// When this revision was published.
    pub(crate) at: Instant,
}

/// Feeds configuration from a program: texts of YAML under names, as if they were files.
/// Cheap to clone.
///
/// The names stand in problems and origins. Take names that are no paths of files that the
/// control plane reads itself.
#[derive(Debug, Clone)]
pub struct ConfigHandle(mpsc::Sender<Message>);

/// Changes that belong together: they take effect in one revision.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edit {
    changes: Vec<Change>,
}

/// The control plane has stopped; the edit was not applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the control plane has stopped")]
pub struct Stopped;

/// One change of one file, or of one object of an API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// The file has this text now.
    Set { path: String, text: String },
    /// The file is gone.
    Remove { path: String },
    /// The file is there and cannot be used; what was read of it before stays.
    Broken { path: String, message: String },
    /// The object is like this now.
    Object(serde_json::Value),
    /// The object is gone.
    RemoveObject(ObjectKey),
}

#[derive(Debug)]
pub(crate) enum Message {
    Edit {
        edit: Edit,
        done: Option<oneshot::Sender<Arc<Published>>>,
    },
    /// Part of a first load: taken, and published with what follows.
    Load(Edit),
    /// The first load of objects is complete: what an earlier process knew of others is old.
    Loaded,
    /// What another replica says of objects in quarantine.
    Shared(Quarantine),
    /// Mesh-wide settings, but for what the authority says.
    Settings(Box<MeshSettings>),
    /// Something that stands in nobody's file is wrong, or not any more.
    Trouble {
        key: String,
        problem: Option<Box<Problem>>,
    },
    /// Keys of token issuers, all of them.
    Keys(BTreeMap<KeySource, KeySet>),
    /// Bundles of other trust domains, all of them.
    Bundles(BTreeMap<String, TrustBundle>),
    Trust(Trust),
    Stop,
}

/// Owns the store. Runs on a thread of its own: compiling takes its time.
pub(crate) struct Publisher {
    store: Store,
    settings: MeshSettings,
    broken: BTreeMap<String, Problem>,
    revisions: Revisions,
    last_good: LastGood,
    published: watch::Sender<Arc<Published>>,
    known_problems: BTreeSet<String>,
    /// The store's newest world, and the generation that it is of.
    world: World,
    generation: u64,
}

/// Keeps the compiler from running without a pause where changes come faster than it can follow:
/// it works at most a third of the time. What comes while it rests goes into one revision. A
/// change after a quiet time never waits, and where compiling takes no time there is no rest.
#[derive(Default)]
struct Rest {
    began: Option<Instant>,
    until: Option<Instant>,
}

/// Rest after compiling, in times of what it took.
const REST: u32 = 2;
/// The longest rest: Istio's debounce time.
const LONGEST_REST: Duration = Duration::from_millis(100);

// === impl Rest ===

impl Rest {
    fn take(&mut self) {
        if let Some(until) = self.until.take() {
            std::thread::sleep(until.saturating_duration_since(clock::instant()));
        }
    }

    fn begin(&mut self) {
        self.began = Some(clock::instant());
    }

    fn end(&mut self) {
        let now = clock::instant();
        self.until = self.began.take().map(|began| {
            let took = now.saturating_duration_since(began);
            now + (took * REST).min(LONGEST_REST)
        });
    }
}

// === impl Edit ===

impl Edit {
    /// Changes nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives a name this text: YAML or JSON, any number of objects.
    #[must_use]
    pub fn set(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.changes.push(Change::Set {
            path: name.into(),
            text: text.into(),
        });
        self
    }

    /// Takes an object of an API server, new or changed: whole, with `apiVersion`, `kind` and
    /// `metadata`.
    #[must_use]
    pub fn set_object(mut self, object: serde_json::Value) -> Self {
        self.changes.push(Change::Object(object));
        self
    }

    /// Forgets an object of an API server.
    #[must_use]
    pub fn remove_object(mut self, key: ObjectKey) -> Self {
        self.changes.push(Change::RemoveObject(key));
        self
    }

    /// Removes everything under a name.
    #[must_use]
    pub fn remove(mut self, name: impl Into<String>) -> Self {
        self.changes.push(Change::Remove { path: name.into() });
        self
    }
}

impl From<Vec<Change>> for Edit {
    fn from(changes: Vec<Change>) -> Self {
        Self { changes }
    }
}

// === impl ConfigHandle ===

impl ConfigHandle {
    /// A handle, and what receives from it.
    pub(crate) fn channel() -> (Self, mpsc::Receiver<Message>) {
        let (sender, receiver) = mpsc::channel(64);
        (Self(sender), receiver)
    }

    /// Applies an edit and returns what is published with it. Objects with errors are in
    /// quarantine then; look at the problems.
    ///
    /// # Errors
    /// If the control plane has stopped.
    pub async fn apply(&self, edit: Edit) -> Result<Arc<Published>, Stopped> {
        let (done, published) = oneshot::channel();
        self.send(Message::Edit {
            edit,
            done: Some(done),
        })
        .await?;
        published.await.map_err(|_| Stopped)
    }

    pub(crate) async fn send(&self, message: Message) -> Result<(), Stopped> {
        self.0.send(message).await.map_err(|_| Stopped)
    }
}

// === impl Publisher ===

impl Publisher {
    /// Publishes a first world of these changes.
    pub(crate) fn new(
        settings: MeshSettings,
        revisions: Revisions,
        mut last_good: LastGood,
        first: Vec<Change>,
    ) -> (Self, watch::Receiver<Arc<Published>>) {
        let mut store = Store::new();
        let mut broken = BTreeMap::new();
        last_good.retain(
            &first
                .iter()
                .filter_map(|change| change.path().map(str::to_owned))
                .collect(),
        );
        for change in first {
            // As an earlier process did: first the good text, then what the file holds now.
            if let Some(path) = change.path()
                && let Some(text) = last_good.text(path)
            {
                store.set_file(path, text);
            }
            take(&mut store, &mut broken, &mut last_good, change);
        }
        let world = store.world(&settings);
        let nothing = Published {
            digest: String::new(),
            problems: Vec::new(),
            revision: 0,
            at: clock::instant(),
            world: world.clone(),
        };
        let (published, receiver) = watch::channel(Arc::new(nothing));
        let mut publisher = Self {
            settings,
            broken,
            revisions,
            last_good,
            published,
            known_problems: BTreeSet::new(),
            generation: store.generation(),
            world: world.clone(),
            store,
        };
        let first = publisher.publish(world);
        publisher.last_good.learn(&first.problems);
        (publisher, receiver)
    }

    /// Takes messages until `Stop`. Blocks.
    pub(crate) fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        let mut rest = Rest::default();
        while let Some(message) = messages.blocking_recv() {
            rest.take();
            let mut waiting = Vec::new();
            let mut partial = true;
            let mut next = Some(message);
            // What has piled up meanwhile goes into the same revision.
            while let Some(message) = next {
                partial &= matches!(message, Message::Load(_));
                match message {
                    Message::Edit { edit, done } => {
                        self.take(edit);
                        waiting.extend(done);
                    }
                    Message::Load(edit) => self.take(edit),
                    Message::Loaded => self.last_good.forget_absent_objects(),
                    Message::Shared(shared) => self.last_good.share(shared),
                    Message::Settings(settings) => {
                        let trust = Trust::take(&mut self.settings);
                        let key_sets = std::mem::take(&mut self.settings.key_sets);
                        let bundles = std::mem::take(&mut self.settings.bundles);
                        self.settings = MeshSettings {
                            key_sets,
                            bundles,
                            ..*settings
                        };
                        trust.put(&mut self.settings);
                    }
                    Message::Trouble { key, problem } => match problem {
                        Some(problem) => drop(self.broken.insert(key, *problem)),
                        None => drop(self.broken.remove(&key)),
                    },
                    Message::Keys(keys) => self.settings.key_sets = keys,
                    Message::Bundles(bundles) => self.settings.bundles = bundles,
                    Message::Trust(trust) => trust.put(&mut self.settings),
                    Message::Stop => return,
                }
                next = messages.try_recv().ok();
            }
            if partial {
                continue;
            }
            rest.begin();
            let mut world = self.compile();
            let adopted = self.last_good.adopt(world.problems());
            if !adopted.is_empty() {
                for object in &adopted {
                    self.store.set_object(object);
                }
                world = self.compile();
            }
            let published = self.publish(world);
            for done in waiting {
                // Who has gone away does not want to know.
                let _ = done.send(Arc::clone(&published));
            }
            rest.end();
            // After the proxies know: the disk takes its time.
            self.last_good.learn(&published.problems);
        }
    }

    fn take(&mut self, edit: Edit) {
        for change in edit.changes {
            take(
                &mut self.store,
                &mut self.broken,
                &mut self.last_good,
                change,
            );
        }
    }

    /// The world of now. Most of what a cluster tells is nothing to the mesh and costs nothing
    /// here: heartbeats, and changes of pods that nobody looks at.
    fn compile(&mut self) -> World {
        let generation = self.store.generation();
        if generation != self.generation || *self.world.settings() != self.settings {
            self.world = self.store.world_after(&self.settings, &self.world);
            self.generation = generation;
        }
        self.world.clone()
    }

    fn publish(&mut self, world: World) -> Arc<Published> {
        let before = self.published.borrow().clone();
        let mut problems: Vec<Problem> = world.problems().to_vec();
        problems.extend(self.broken.values().cloned());
        problems.sort_by(|a, b| {
            place(a)
                .cmp(&place(b))
                .then_with(|| a.message.cmp(&b.message))
        });
        self.log_problems(&problems);
        if world.digest() == before.digest {
            if problems == before.problems {
                return before;
            }
            let published = Published {
                problems,
                ..(*before).clone()
            };
            return self.announce(published);
        }
        let revision = self.revisions.next().unwrap_or_else(|error| {
            // Better a number that a later process may use again than a change that is lost.
            tracing::error!(%error, "the number of this revision cannot be remembered");
            self.revisions.next_unsaved()
        });
        let digest = world.digest().to_owned();
        tracing::info!(revision, %digest, problems = problems.len(), "published");
        self.announce(Published {
            world,
            revision,
            digest,
            problems,
            at: clock::instant(),
        })
    }

    fn announce(&self, published: Published) -> Arc<Published> {
        let published = Arc::new(published);
        self.published.send_replace(Arc::clone(&published));
        published
    }

    /// Logs each problem once when it appears and once when it is gone.
    fn log_problems(&mut self, problems: &[Problem]) {
        let mut now = BTreeSet::new();
        for problem in problems {
            let line = ProblemLine(problem).to_string();
            if !self.known_problems.contains(&line) && !now.contains(&line) {
                match problem.severity() {
                    Severity::Error => tracing::error!("{line}"),
                    Severity::Warning => tracing::warn!("{line}"),
                    _ => tracing::info!("{line}"),
                }
            }
            now.insert(line);
        }
        for line in self.known_problems.difference(&now) {
            tracing::info!("resolved: {line}");
        }
        self.known_problems = now;
    }
}

impl Change {
    /// The file, if it is about one.
    fn path(&self) -> Option<&str> {
        match self {
            Self::Set { path, .. } | Self::Remove { path } | Self::Broken { path, .. } => {
                Some(path)
            }
            Self::Object(_) | Self::RemoveObject(_) => None,
        }
    }
}

fn take(
    store: &mut Store,
    broken: &mut BTreeMap<String, Problem>,
    last_good: &mut LastGood,
    change: Change,
) {
    match change {
        Change::Set { path, text } => {
            broken.remove(&path);
            last_good.changed(&path, &text);
            store.set_file(&path, &text);
        }
        Change::Remove { path } => {
            broken.remove(&path);
            last_good.removed(&path);
            store.remove_file(&path);
        }
        Change::Broken { path, message } => {
            broken.insert(path.clone(), unreadable_file(path, message));
        }
        Change::Object(object) => {
            let key = ObjectKey::of(&object);
            // As for files: first what was good in an earlier process.
            if let Some(good) = last_good.recall_object(&key) {
                store.set_object(&good);
            }
            store.set_object(&object);
            last_good.object_changed(&key, &object);
        }
        Change::RemoveObject(key) => {
            last_good.object_removed(&key);
            store.remove_object(&key);
        }
    }
}

/// A file whose text cannot be had.
pub(crate) fn unreadable_file(path: String, message: String) -> Problem {
    let mut problem = Problem {
        origin: Some(Origin {
            source: path,
            ..Origin::default()
        }),
        message,
        code: "FileUnreadable".to_owned(),
        ..Problem::default()
    };
    problem.set_severity(Severity::Error);
    problem
}

fn place(problem: &Problem) -> (&str, u32, u32) {
    problem.origin.as_ref().map_or(("", 0, 0), |origin| {
        (origin.source.as_str(), origin.line, origin.column)
    })
}

impl fmt::Debug for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Published")
            .field("revision", &self.revision)
            .field("digest", &self.digest)
            .field("problems", &self.problems.len())
            .finish_non_exhaustive()
    }
}
