//! Keys of token issuers (Istio: `jwksUri`, and discovery where it is absent): fetched, and
//! fetched again, by the control plane, so that proxies never call out for them.
//!
//! What could be had once stays in force while it cannot be had, over a restart too if it is of
//! the last day. What never could be had refuses every token of its issuer.

mod fetch;
mod store;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry::Vacant;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use k8s_openapi::jiff::Timestamp;
use mesh_api::v1::{Origin, Problem, Severity};
use meshd_core::{KeySet, KeySource};
use tokio::sync::{mpsc, watch};

use crate::clock::{self, unix_seconds};
use crate::fetches::{Fetches, Wake};
use crate::publish::{ConfigHandle, Message, Published};
use fetch::{FetchError, Fetcher};
use store::Kept;

pub(crate) use store::KeyStore;

/// How old keys get (Istio: 20 min).
const REFRESH: Duration = Duration::from_secs(20 * 60);
/// First pause after a failure; it doubles.
const AGAIN: Duration = Duration::from_secs(1);
/// Longest pause after a failure.
const LONGEST: Duration = Duration::from_secs(60);
/// How long proxies wait for the first keys of a control plane that has just started.
const PATIENCE: Duration = Duration::from_secs(10);
/// However many tokens name unknown keys, an issuer is asked no more often because of that.
const HINTED: Duration = Duration::from_secs(10);
/// Hints that wait; more say nothing new.
const HINTS: usize = 64;

/// Takes hints that keys may be too old. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct KeyHints(mpsc::Sender<String>);

/// Fetches what the configuration names.
pub(crate) struct KeyKeeper {
    config: ConfigHandle,
    fetcher: Fetcher,
    store: KeyStore,
    known: BTreeMap<KeySource, Entry>,
    fetches: Fetches<(KeySource, Result<String, FetchError>)>,
    hints: mpsc::Receiver<String>,
}

struct Entry {
    // Absent before the first try has ended, unless an earlier process knew them.
    keys: Option<KeySet>,
    // When the keys were fetched; absent if they never were.
    fetched: Option<SystemTime>,
    // Why what an earlier process kept cannot be used.
    passed_over: Option<String>,
    // Absent while it is fetched.
    next: Option<Instant>,
    // When it was asked for last.
    asked: Instant,
    failures: u32,
}

/// Resolves once everything that the configuration in force names was fetched or could not be.
pub(crate) async fn fetched(mut published: watch::Receiver<Arc<Published>>) {
    let all_tried = |published: &Arc<Published>| {
        let known = &published.world.settings().key_sets;
        let sources = published.world.key_sources();
        sources.iter().all(|source| known.contains_key(source))
    };
    let waiting = published.wait_for(all_tried);
    if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
        tracing::warn!("going on without some keys of token issuers");
    }
}

// === impl KeyHints ===

impl KeyHints {
    /// A proxy has seen tokens with keys that are not among those of these RequestAuthentications.
    pub(crate) fn unknown(&self, policies: &[String]) {
        for policy in policies {
            // If nobody can take it now, somebody says it again.
            let _ = self.0.try_send(policy.clone());
        }
    }
}

// === impl KeyKeeper ===

impl KeyKeeper {
    pub(crate) fn new(
        config: ConfigHandle,
        published: watch::Receiver<Arc<Published>>,
        store: KeyStore,
    ) -> (Self, KeyHints) {
        let (sender, hints) = mpsc::channel(HINTS);
        let keeper = Self {
            config,
            fetcher: Fetcher::new(),
            store,
            known: BTreeMap::new(),
            fetches: Fetches::new(published),
            hints,
        };
        (keeper, KeyHints(sender))
    }

    /// Fetches until the control plane stops. Drop it to stop.
    pub(crate) async fn run(mut self) {
        self.store.clear(clock::now());
        loop {
            if !self.follow().await {
                return;
            }
            let next = self.known.values().filter_map(|entry| entry.next).min();
            let goes_on = tokio::select! {
                wake = self.fetches.wake(next) => match wake {
                    Wake::Look => true,
                    Wake::Done((source, result)) => self.take(&source, result).await,
                    Wake::Stopped => false,
                },
                Some(policy) = self.hints.recv() => {
                    self.hinted(&policy);
                    true
                }
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Looks sooner: an issuer may have a new key.
    fn hinted(&mut self, policy: &str) {
        let sources = self.fetches.world().key_sources_of(policy);
        for source in sources {
            let entry = self.known.get_mut(&source);
            // What cannot be fetched is tried again at its own pace.
            if let Some(entry) = entry.filter(|entry| entry.failures == 0) {
                let soon = entry.asked + HINTED;
                entry.next = entry.next.map(|next| next.min(soon));
            }
        }
    }

    /// Forgets what nobody names any more, and begins what is due. False: the control plane has
    /// stopped.
    async fn follow(&mut self) -> bool {
        let now = clock::instant();
        let wanted = self.fetches.world().key_sources();
        let known = self.known.len();
        self.known.retain(|source, _| {
            let keep = wanted.contains(source);
            if !keep {
                self.store.remove(source);
            }
            keep
        });
        let mut news = self.known.len() != known;
        for source in wanted {
            let Vacant(vacant) = self.known.entry(source) else {
                continue;
            };
            let entry = Entry::before(vacant.key(), &self.store, now);
            news |= entry.keys.is_some();
            vacant.insert(entry);
        }
        for (source, entry) in &mut self.known {
            if self.fetches.room() > 0 && entry.next.is_some_and(|next| next <= now) {
                (entry.next, entry.asked) = (None, now);
                let (fetcher, source) = (self.fetcher.clone(), source.clone());
                self.fetches.begin(async move {
                    let result = fetcher.fetch(&source).await;
                    (source, result)
                });
            }
        }
        !news || self.announce().await
    }

    /// Takes what came. False: the control plane has stopped.
    async fn take(&mut self, source: &KeySource, result: Result<String, FetchError>) -> bool {
        let Some(entry) = self.known.get_mut(source) else {
            return true;
        };
        let before = entry.keys.take();
        let (keys, pause) = match result {
            Ok(jwks) => {
                entry.succeeded(source, &jwks, &self.store);
                let keys = KeySet {
                    jwks,
                    problem: String::new(),
                };
                // A tenth sooner or later, so that not all are due at once.
                (keys, REFRESH.mul_f64(0.9 + 0.2 * clock::jitter()))
            }
            Err(error) => {
                let pause = AGAIN * 2_u32.saturating_pow(entry.failures.min(6));
                entry.failures += 1;
                let keys = KeySet {
                    jwks: before
                        .as_ref()
                        .map(|keys| keys.jwks.clone())
                        .unwrap_or_default(),
                    problem: format!("the keys of {source} cannot be fetched: {error}"),
                };
                (keys, pause.min(LONGEST))
            }
        };
        entry.next = Some(clock::instant() + pause);
        let same = before.as_ref() == Some(&keys);
        let problem = entry.problem(&keys);
        entry.keys = Some(keys);
        if same {
            return true;
        }
        let trouble = Message::Trouble {
            key: format!("keys of {source}"),
            problem: problem.map(Box::new),
        };
        self.config.send(trouble).await.is_ok() && self.announce().await
    }

    /// Says which keys are known now.
    async fn announce(&self) -> bool {
        let all = self.known.iter();
        let all = all.filter_map(|(source, entry)| Some((source.clone(), entry.keys.clone()?)));
        let keys = Message::Keys(all.collect());
        self.config.send(keys).await.is_ok()
    }
}

// === impl Entry ===

impl Entry {
    /// By what an earlier process has kept. It is to be fetched at once.
    fn before(source: &KeySource, store: &KeyStore, now: Instant) -> Self {
        let (kept, passed_over) = match store.load(source, clock::now()) {
            Ok(kept) => (kept, None),
            Err((path, why)) => {
                let path = path.display();
                tracing::warn!(%source, %path, %why, "kept keys cannot be used");
                let words = format!("what was kept of them in {path} cannot be used: {why}");
                (None, Some(words))
            }
        };
        Self {
            fetched: kept.as_ref().map(|kept| kept.fetched),
            keys: kept.map(|kept| KeySet {
                jwks: kept.jwks,
                problem: String::new(),
            }),
            passed_over,
            next: Some(now),
            asked: now,
            failures: 0,
        }
    }

    fn succeeded(&mut self, source: &KeySource, jwks: &str, store: &KeyStore) {
        let fetched = clock::now();
        (self.failures, self.fetched, self.passed_over) = (0, Some(fetched), None);
        // Also what is as it was: it is younger now.
        let kept = Kept {
            jwks: jwks.to_owned(),
            fetched,
        };
        if let Err(error) = store.save(source, &kept) {
            tracing::warn!(%source, %error, "the keys cannot be kept; after a restart they must be fetched before tokens are taken");
        }
    }

    /// What is wrong, and what follows of it. How old the keys are is told by when they came, so
    /// that it is one problem as long as it lasts.
    fn problem(&self, keys: &KeySet) -> Option<Problem> {
        if keys.problem.is_empty() {
            return None;
        }
        let (severity, consequence) = if keys.jwks.is_empty() {
            (Severity::Error, "its tokens are refused".to_owned())
        } else {
            let fetched = self.fetched.map(unix_seconds);
            let fetched = fetched.and_then(|seconds| Timestamp::from_second(seconds).ok());
            let since = fetched.map_or_else(|| "before".to_owned(), |at| format!("at {at}"));
            let words = format!("those that were fetched {since} stay in force");
            (Severity::Warning, words)
        };
        let passed_over = self.passed_over.as_ref();
        let passed_over = passed_over.map_or_else(String::new, |why| format!(" ({why})"));
        Some(Problem {
            severity: severity.into(),
            origin: Some(Origin::default()),
            message: format!("{}{passed_over}; {consequence}", keys.problem),
            code: "jwks".to_owned(),
        })
    }
}
