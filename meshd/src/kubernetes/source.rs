//! The API server as a source: watches of all kinds, folded into edits.
//!
//! ```text
//! Discovery ──► Watch (one per kind) ──► Source ──► ConfigHandle
//!               pages and changes        │ Tables: what is known, by name and version
//!                                        └─► status, mesh configuration, readiness
//! ```
//!
//! The objects themselves are kept once, compiled, in the publisher's store. All first lists go
//! into one first revision; later changes go out at once after a quiet time, together in a burst.

mod kinds;
mod prune;
mod served;
mod table;
mod watch;

mod catch_up;
mod first_sync;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::time::Instant;

use meshd_core::ObjectKey;
use serde_json::Value;
use tokio::sync::{Notify, mpsc, oneshot, watch as latest};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use self::catch_up::{Ask, Asked};
use self::kinds::{Role, Watched, is_configuration};
use self::prune::{Received, prune};
use self::served::Discovery;
use self::table::{Difference, Name, Table};
use self::watch::{Event, Failure, Watch, WatchId, full_name};
use crate::clock;
use crate::kubernetes::Cluster;
use crate::kubernetes::mesh_config::MeshConfig;
use crate::kubernetes::metrics::ClusterMetrics;
use crate::kubernetes::quarantine;
use crate::kubernetes::status::{Subject, Subjects};
use crate::last_good::Quarantine;
use crate::publish::{Change, ConfigHandle, Message, Stopped};
use crate::source::Debounce;

pub(crate) use self::catch_up::CatchUp;
pub(crate) use self::first_sync::Progress;
pub(crate) use self::kinds::{GATEWAY_API, Kind};

/// Objects that are passed on together during the first load.
const LOAD: usize = 500;
/// Pages and changes that watches may be ahead.
const AHEAD: usize = 16;

/// Follows everything on the API server.
pub(crate) struct Source {
    followed: Vec<Followed>,
    events: mpsc::Receiver<(WatchId, Event)>,
    asks: mpsc::Receiver<Ask>,
    asked: Vec<Asked>,
    /// The newest state of what has changed; none if it is gone.
    pending: BTreeMap<ObjectKey, Option<Value>>,
    subjects: Subjects,
    flush_at: Option<Instant>,
    debounce: Debounce,
    /// Edits whose publication somebody waits for.
    in_flight: JoinSet<()>,
    mesh_config: MeshConfig,
    hint: Arc<Notify>,
    progress: latest::Sender<Progress>,
    metrics: Arc<ClusterMetrics>,
    begun: Instant,
    unreachable: bool,
    config: ConfigHandle,
}

/// One watch, and how it does.
struct Followed {
    watched: Watched,
    table: Table,
    /// Everything was listed at least once.
    complete: bool,
    unserved: bool,
    failure: Option<Failure>,
}

// === impl Source ===

impl Source {
    /// Begins to watch, in tasks of `chores`.
    pub(crate) fn start(
        cluster: &Cluster,
        config: ConfigHandle,
        subjects: Subjects,
        metrics: Arc<ClusterMetrics>,
        chores: &mut JoinSet<()>,
    ) -> (CatchUp, latest::Receiver<Progress>) {
        let hint = Arc::new(Notify::new());
        let (discovery, served) = Discovery::new(cluster.client.clone(), Arc::clone(&hint));
        chores.spawn(discovery.run());
        let (sender, events) = mpsc::channel(AHEAD);
        let all = Watched::all(&cluster.settings);
        for (id, watched) in all.iter().enumerate() {
            let watch = Watch::new(
                id,
                watched.clone(),
                cluster.client.clone(),
                served.clone(),
                sender.clone(),
            );
            chores.spawn(watch.run());
        }
        let (ask, asks) = mpsc::channel(8);
        let catch_up = CatchUp::new(cluster, &all, served, Arc::clone(&hint), ask);
        let (progress, receiver) = latest::channel(Progress::default());
        let source = Self {
            followed: all.into_iter().map(Followed::new).collect(),
            events,
            asks,
            asked: Vec::new(),
            pending: BTreeMap::new(),
            subjects,
            flush_at: None,
            debounce: Debounce::default(),
            in_flight: JoinSet::new(),
            mesh_config: MeshConfig::new(&cluster.settings, cluster.mesh.clone()),
            hint,
            progress,
            metrics,
            begun: clock::instant(),
            unreachable: false,
            config,
        };
        chores.spawn(async move {
            // An error says that the control plane stops.
            let _ = source.run().await;
        });
        (catch_up, receiver)
    }

    async fn run(mut self) -> Result<(), Stopped> {
        self.show_progress();
        loop {
            let due = self.flush_at;
            let flush = async {
                match due {
                    Some(due) => sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = self.events.recv() => {
                    let Some((id, event)) = event else {
                        return Ok(());
                    };
                    self.take(id, event).await?;
                    while let Ok((id, event)) = self.events.try_recv() {
                        self.take(id, event).await?;
                    }
                    self.first_sync().await?;
                    self.answer().await?;
                }
                Some(ask) = self.asks.recv() => {
                    self.asked.push(Asked::new(ask, |id| self.followed.get(id).map(|f| &f.table)));
                    self.answer().await?;
                }
                () = flush => self.flush(None).await?,
                // They end by themselves.
                Some(_) = self.in_flight.join_next() => {}
            }
        }
    }

    async fn take(&mut self, id: WatchId, event: Event) -> Result<(), Stopped> {
        if let Event::Failing(failure) = event {
            return self.failing(id, failure).await;
        }
        if !matches!(event, Event::Listing) {
            self.recovered(id).await?;
        }
        let Some(followed) = self.followed.get_mut(id) else {
            return Ok(());
        };
        followed.unserved = matches!(event, Event::Unserved);
        match event {
            Event::Listing => followed.table.begin(),
            Event::Listed(objects) => {
                for object in objects {
                    self.set(id, object).await?;
                }
                if self.is_synced() || self.pending.len() < LOAD {
                    return Ok(());
                }
                return self.load().await;
            }
            Event::Complete(version) => {
                self.metrics.listed(followed.watched.kind.plural);
                followed.complete = true;
                let gone = followed.table.complete(version);
                self.remove_all(id, gone).await?;
            }
            Event::Changed(object) => self.set(id, object).await?,
            Event::Gone(object) => self.gone(id, &object).await?,
            Event::Passed(version) => followed.table.pass(version),
            Event::Following | Event::Failing(_) => {}
            Event::Unserved => {
                let gone = followed.table.clear();
                self.remove_all(id, gone).await?;
            }
        }
        self.count(id);
        Ok(())
    }

    async fn set(&mut self, id: WatchId, Received(object): Received) -> Result<(), Stopped> {
        let Some(followed) = self.followed.get_mut(id) else {
            return Ok(());
        };
        let Some((name, version)) = named(&object) else {
            return Ok(());
        };
        let kind = followed.watched.kind;
        match kind.role {
            Role::Definitions => {
                followed.table.set(name.clone(), &version, Some(0));
                if name
                    .split_once('.')
                    .is_some_and(|(_, group)| is_configuration(group))
                {
                    self.hint.notify_one();
                }
                return Ok(());
            }
            Role::MeshConfig => {
                followed.table.set(name, &version, Some(0));
                let message = self.mesh_config.set(&object);
                return self.send_all(message).await;
            }
            Role::Quarantine => {
                followed.table.set(name, &version, Some(0));
                let shared = Message::Shared(quarantine::read(&object));
                return self.send_all(vec![shared]).await;
            }
            Role::Needed | Role::Useful => {}
        }
        let key = ObjectKey::of(&object);
        self.subjects.received(&key, &object);
        let subject = kind.is_configuration().then(|| Subject::of(&object));
        let kept = prune(kind.kind, object);
        let fingerprint = kept.as_ref().map(|object| {
            let mut hasher = DefaultHasher::new();
            object.hash(&mut hasher);
            hasher.finish()
        });
        let difference = followed.table.set(name, &version, fingerprint);
        match difference {
            Difference::None => {
                if let Some(subject) = subject {
                    self.subjects.seen(key, subject);
                }
                return Ok(());
            }
            Difference::Taken => drop(self.pending.insert(key.clone(), kept)),
            Difference::Dropped => drop(self.pending.insert(key.clone(), None)),
        }
        if let Some(subject) = subject {
            self.subjects.changed(key, subject);
        }
        self.changed();
        Ok(())
    }

    async fn gone(&mut self, id: WatchId, Received(object): &Received) -> Result<(), Stopped> {
        let (Some(followed), Some((name, version))) = (self.followed.get_mut(id), named(object))
        else {
            return Ok(());
        };
        match followed.table.remove(&name, &version) {
            true => self.remove_all(id, vec![name]).await,
            false => Ok(()),
        }
    }

    async fn remove_all(&mut self, id: WatchId, names: Vec<Name>) -> Result<(), Stopped> {
        let Some(kind) = self.followed.get(id).map(|followed| followed.watched.kind) else {
            return Ok(());
        };
        for name in names {
            let (namespace, name) = name.rsplit_once('/').unwrap_or(("", &name));
            match kind.role {
                Role::Definitions => self.hint.notify_one(),
                Role::MeshConfig => {
                    let message = self.mesh_config.remove(name);
                    self.send_all(message).await?;
                }
                Role::Quarantine => {
                    let nothing = Message::Shared(Quarantine::new());
                    self.send_all(vec![nothing]).await?;
                }
                Role::Needed | Role::Useful => {
                    let key = ObjectKey {
                        group: kind.group.to_owned(),
                        kind: kind.kind.to_owned(),
                        namespace: namespace.to_owned(),
                        name: name.to_owned(),
                    };
                    self.subjects.gone(key.clone());
                    self.pending.insert(key, None);
                    self.changed();
                }
            }
        }
        Ok(())
    }

    fn changed(&mut self) {
        let due = self.debounce.changed(clock::instant());
        if self.is_synced() {
            self.flush_at = Some(self.flush_at.map_or(due, |at| at.min(due)));
        }
    }

    /// Publishes what has changed, and answers `done` then.
    async fn flush(&mut self, done: Option<oneshot::Sender<()>>) -> Result<(), Stopped> {
        self.flush_at = None;
        self.debounce.looked(clock::instant());
        let changes = self.changes();
        let subjects = self.subjects.batch();
        if changes.is_empty() && done.is_none() {
            return Ok(());
        }
        let (publish, published) = oneshot::channel();
        self.config
            .send(Message::Edit {
                edit: changes.into(),
                done: Some(publish),
            })
            .await?;
        self.in_flight.spawn(async move {
            if published.await.is_ok() {
                subjects.applied();
                if let Some(done) = done {
                    // Who has gone away does not want to know.
                    let _ = done.send(());
                }
            }
        });
        Ok(())
    }

    fn changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.pending)
            .into_iter()
            .map(|(key, object)| match object {
                Some(object) => Change::Object(object),
                None => Change::RemoveObject(key),
            })
            .collect()
    }

    /// Answers those who wait for what was there when they asked.
    async fn answer(&mut self) -> Result<(), Stopped> {
        let mut index = 0;
        while let Some(asked) = self.asked.get_mut(index) {
            if asked.has_come(|id| self.followed.get(id).map(|followed| &followed.table)) {
                let asked = self.asked.swap_remove(index);
                self.flush(Some(asked.done)).await?;
            } else {
                index += 1;
            }
        }
        Ok(())
    }

    async fn send_all(&self, messages: Vec<Message>) -> Result<(), Stopped> {
        for message in messages {
            self.config.send(message).await?;
        }
        Ok(())
    }

    fn count(&self, id: WatchId) {
        if let Some(followed) = self.followed.get(id) {
            let plural = followed.watched.kind.plural;
            self.metrics.objects(id, plural, followed.table.kept());
        }
    }
}

/// The name of an object in its table, and its version.
fn named(object: &Value) -> Option<(Name, String)> {
    let metadata = object.get("metadata")?;
    let text = |name: &str| metadata.get(name).and_then(Value::as_str);
    let name = full_name(text("namespace").unwrap_or_default(), text("name")?);
    Some((name, text("resourceVersion")?.to_owned()))
}

// === impl Followed ===

impl Followed {
    fn new(watched: Watched) -> Self {
        Self {
            watched,
            table: Table::default(),
            complete: false,
            unserved: false,
            failure: None,
        }
    }
}
