//! Waits for changes of files, and passes them on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{interval_at, sleep_until};

use super::debounce::Debounce;
use super::scan::{Scanner, cleaned};
use crate::clock;
use crate::publish::{Change, ConfigHandle, Edit, Message};

/// Slow look at everything, for file systems that report nothing.
const POLL: Duration = Duration::from_secs(30);
/// A file that is being written counts as complete when its writer closes it, or after this long
/// without a further write.
const WRITING: Duration = Duration::from_millis(100);

/// Watches what a [`Scanner`] reads.
pub(crate) struct Watcher {
    scanner: Option<Scanner>,
    events: mpsc::UnboundedReceiver<Event>,
    // Keeps the events coming.
    notify: Option<RecommendedWatcher>,
    watched: Vec<(PathBuf, bool)>,
    writing: BTreeMap<PathBuf, Instant>,
    debounce: Debounce,
    look_at: Option<Instant>,
    asked: mpsc::UnboundedReceiver<oneshot::Sender<()>>,
    waiting: Vec<oneshot::Sender<()>>,
}

/// Asks a [`Watcher`] to look at the files now.
#[derive(Clone, Debug)]
pub(crate) struct LookHandle(mpsc::UnboundedSender<oneshot::Sender<()>>);

// === impl LookHandle ===

impl LookHandle {
    /// Returns when every change of a file made before this call is published, or when the
    /// watcher has ended.
    pub(crate) async fn catch_up(&self) {
        let (done, seen) = oneshot::channel();
        if self.0.send(done).is_ok() {
            // An error means that it has ended: nothing more will come.
            let _ = seen.await;
        }
    }
}

// === impl Watcher ===

impl Watcher {
    /// Begins to watch. Do this before the first look at the files, so that no change between
    /// is lost.
    pub(crate) fn new(scanner: &Scanner) -> (Self, LookHandle) {
        let (sender, events) = mpsc::unbounded_channel();
        let (ask, asked) = mpsc::unbounded_channel();
        let notify = notify::recommended_watcher(move |event: notify::Result<Event>| match event {
            // The watcher ends with its receiver.
            Ok(event) => drop(sender.send(event)),
            Err(error) => tracing::warn!(%error, "cannot follow changes of files"),
        });
        let notify = notify
            .inspect_err(
                |error| tracing::warn!(%error, "cannot watch files; looking at them every 30 s"),
            )
            .ok();
        let mut watcher = Self {
            scanner: None,
            events,
            notify,
            watched: scanner.watched(),
            writing: BTreeMap::new(),
            debounce: Debounce::default(),
            look_at: None,
            asked,
            waiting: Vec::new(),
        };
        watcher.watch_all();
        (watcher, LookHandle(ask))
    }

    /// (Again) asks for events. Watching what is watched already changes nothing; a directory
    /// that was replaced by another must be watched anew.
    fn watch_all(&mut self) {
        let Some(notify) = &mut self.notify else {
            return;
        };
        for (path, recursive) in &self.watched {
            let mode = if *recursive {
                RecursiveMode::Recursive
            } else {
                RecursiveMode::NonRecursive
            };
            if let Err(error) = notify.watch(path, mode) {
                tracing::warn!(path = %path.display(), %error, "cannot watch it; looking at it every 30 s");
            }
        }
    }

    /// Passes changes on until the control plane stops.
    pub(crate) async fn run(mut self, scanner: Scanner, config: ConfigHandle) {
        self.scanner = Some(scanner);
        let mut poll = interval_at((clock::instant() + POLL).into(), POLL);
        loop {
            let due = self.look_at;
            let look = async {
                match due {
                    Some(due) => sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                event = self.events.recv(), if self.notify.is_some() => match event {
                    Some(event) => {
                        self.take(&event);
                        while let Ok(event) = self.events.try_recv() {
                            self.take(&event);
                        }
                        continue;
                    }
                    None => self.notify = None,
                },
                Some(asker) = self.asked.recv() => self.waiting.push(asker),
                () = look => {}
                _ = poll.tick() => self.watch_all(),
            }
            if !self.look(&config).await {
                return;
            }
        }
    }

    /// Notes an event and decides when to look.
    fn take(&mut self, event: &Event) {
        let now = clock::instant();
        let paths = event.paths.iter().map(|path| cleaned(path));
        let at = match event.kind {
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
                self.complete(paths);
                self.debounce.changed(now)
            }
            // Our own reading, among others.
            EventKind::Access(_) => return,
            EventKind::Create(CreateKind::File) | EventKind::Modify(ModifyKind::Data(_)) => {
                self.writing.extend(paths.map(|path| (path, now)));
                now + WRITING
            }
            EventKind::Create(CreateKind::Folder) => {
                // Files may have been put there before the new directory was watched.
                self.look_again(now + WRITING);
                self.debounce.changed(now)
            }
            _ => {
                self.complete(paths);
                self.debounce.changed(now)
            }
        };
        self.look_again(at);
    }

    /// These are not being written any more.
    fn complete(&mut self, paths: impl Iterator<Item = PathBuf>) {
        for path in paths {
            self.writing.remove(&path);
        }
    }

    fn look_again(&mut self, at: Instant) {
        self.look_at = Some(self.look_at.map_or(at, |due| due.min(at)));
    }

    /// Looks at the files. Returns whether anybody still wants to know.
    async fn look(&mut self, config: &ConfigHandle) -> bool {
        let now = clock::instant();
        self.look_at = None;
        self.debounce.looked(now);
        self.writing
            .retain(|_, last| now.saturating_duration_since(*last) < WRITING);
        if let Some(last) = self.writing.values().min().copied() {
            self.look_again(last + WRITING);
        }
        let busy: BTreeSet<PathBuf> = self.writing.keys().cloned().collect();
        let Some(mut scanner) = self.scanner.take() else {
            return false;
        };
        let looked = tokio::task::spawn_blocking(move || {
            let scan = scanner.scan(now, &busy);
            (scanner, scan)
        });
        let Ok((scanner, scan)) = looked.await else {
            tracing::error!("looking at the files failed; changes are not followed any more");
            return false;
        };
        self.scanner = Some(scanner);
        if let Some(again) = scan.again {
            self.look_again(again);
        }
        if !self.publish(scan.changes, config).await {
            return false;
        }
        // A file that was being written, or may be about to be replaced, is looked at again.
        if self.look_at.is_none() {
            for asker in self.waiting.drain(..) {
                // Who has gone away does not want to know.
                let _ = asker.send(());
            }
        }
        true
    }

    /// Passes changes on; waits for their publication only if somebody asked.
    async fn publish(&self, changes: Vec<Change>, config: &ConfigHandle) -> bool {
        let edit = changes.into();
        if !self.waiting.is_empty() {
            // Without changes of its own it still waits for those that are under way.
            config.apply(edit).await.is_ok()
        } else if edit == Edit::new() {
            true
        } else {
            config
                .send(Message::Edit { edit, done: None })
                .await
                .is_ok()
        }
    }
}
