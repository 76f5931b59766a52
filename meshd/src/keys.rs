//! Keys of token issuers (Istio: `jwksUri`, and discovery where it is absent): fetched, and
//! fetched again, by the control plane, so that proxies never call out for them.
//!
//! What could be had once stays in force while it cannot be had. What never could be had refuses
//! every token of its issuer.

mod fetch;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_api::v1::{Origin, Problem, Severity};
use meshd_core::{KeySet, KeySource};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock;
use crate::publish::{ConfigHandle, Message, Published};
use fetch::{FetchError, Fetcher};

/// How old keys get (Istio: 20 min).
const REFRESH: Duration = Duration::from_secs(20 * 60);
/// First pause after a failure; it doubles.
const AGAIN: Duration = Duration::from_secs(1);
/// Longest pause after a failure.
const LONGEST: Duration = Duration::from_secs(60);
/// How long proxies wait for the first keys of a control plane that has just started.
const PATIENCE: Duration = Duration::from_secs(10);
/// Fetches at a time.
const MOST: usize = 16;

/// Fetches what the configuration names.
pub(crate) struct KeyKeeper {
    config: ConfigHandle,
    published: watch::Receiver<Arc<Published>>,
    fetcher: Fetcher,
    known: BTreeMap<KeySource, Entry>,
    under_way: JoinSet<(KeySource, Result<String, FetchError>)>,
}

struct Entry {
    // Absent before the first try has ended.
    keys: Option<KeySet>,
    // Absent while it is fetched.
    next: Option<Instant>,
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

// === impl KeyKeeper ===

impl KeyKeeper {
    pub(crate) fn new(config: ConfigHandle, published: watch::Receiver<Arc<Published>>) -> Self {
        Self {
            config,
            published,
            fetcher: Fetcher::new(),
            known: BTreeMap::new(),
            under_way: JoinSet::new(),
        }
    }

    /// Fetches until the control plane stops. Drop it to stop.
    pub(crate) async fn run(mut self) {
        loop {
            self.follow();
            let next = self.known.values().filter_map(|entry| entry.next).min();
            let due = async {
                match next {
                    Some(next) => tokio::time::sleep_until(next.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.published.changed() => if changed.is_err() {
                    return;
                },
                Some(done) = self.under_way.join_next() => {
                    if let Ok((source, result)) = done
                        && !self.take(&source, result).await
                    {
                        return;
                    }
                }
                () = due => {}
            }
        }
    }

    /// Forgets what nobody names any more, and begins what is due.
    fn follow(&mut self) {
        let now = clock::instant();
        let wanted = self.published.borrow_and_update().world.key_sources();
        self.known.retain(|source, _| wanted.contains(source));
        for source in wanted {
            self.known.entry(source).or_insert(Entry {
                keys: None,
                next: Some(now),
                failures: 0,
            });
        }
        for (source, entry) in &mut self.known {
            if self.under_way.len() < MOST && entry.next.is_some_and(|next| next <= now) {
                entry.next = None;
                let (fetcher, source) = (self.fetcher.clone(), source.clone());
                self.under_way.spawn(async move {
                    let result = fetcher.fetch(&source).await;
                    (source, result)
                });
            }
        }
    }

    /// Takes what came. False: the control plane has stopped.
    async fn take(&mut self, source: &KeySource, result: Result<String, FetchError>) -> bool {
        let Some(entry) = self.known.get_mut(source) else {
            return true;
        };
        let before = entry.keys.take();
        let (keys, pause) = match result {
            Ok(jwks) => {
                entry.failures = 0;
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
        let problem = problem(&keys);
        entry.keys = Some(keys);
        if same {
            return true;
        }
        let all = self.known.iter();
        let all = all.filter_map(|(source, entry)| Some((source.clone(), entry.keys.clone()?)));
        let trouble = Message::Trouble {
            key: format!("keys of {source}"),
            problem: problem.map(Box::new),
        };
        let keys = Message::Keys(all.collect());
        self.config.send(trouble).await.is_ok() && self.config.send(keys).await.is_ok()
    }
}

fn problem(keys: &KeySet) -> Option<Problem> {
    if keys.problem.is_empty() {
        return None;
    }
    let (severity, consequence) = if keys.jwks.is_empty() {
        (Severity::Error, "its tokens are refused")
    } else {
        (
            Severity::Warning,
            "those that were fetched before stay in force",
        )
    };
    Some(Problem {
        severity: severity.into(),
        origin: Some(Origin::default()),
        message: format!("{}; {consequence}", keys.problem),
        code: "jwks".to_owned(),
    })
}
