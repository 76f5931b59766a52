//! Bundles of other trust domains (SPIFFE Federation): fetched, and fetched again, by the control
//! plane, so that proxies never call out for them.
//!
//! What could be had once stays in force while it cannot be had, over restarts too. Whose bundle
//! never could be had is not trusted.

mod fetch;
mod serve;
mod store;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_api::v1::{Origin, Problem, Severity};
use mesh_ca::SpiffeBundle;
use meshd_core::{BundleEndpoint, MeshSettings, TrustBundle};
use tokio::sync::watch;

use crate::clock;
use crate::fetches::{Fetches, Wake};
use crate::publish::{ConfigHandle, Message, Published};
use fetch::{Known, Unusable};

pub(crate) use serve::BundleServer;
pub use serve::{BundleServing, WebCertificate};
pub(crate) use store::BundleStore;

/// How old a bundle gets that does not say it (SPIFFE Federation, section 4.1: 5 min).
const REFRESH: Duration = Duration::from_secs(5 * 60);
/// However often another trust domain wants to be asked, and however seldom.
const SHORTEST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(60 * 60);
/// First pause after a failure; it doubles, up to the time after which it is looked again anyway.
const AGAIN: Duration = Duration::from_secs(1);

/// Fetches what the configuration names.
pub(crate) struct BundleKeeper {
    config: ConfigHandle,
    store: BundleStore,
    known: BTreeMap<String, Entry>,
    // What is configured; absent before the first look.
    wanted: Option<Vec<BundleEndpoint>>,
    fetches: Fetches<(BundleEndpoint, Result<SpiffeBundle, Unusable>)>,
}

struct Entry {
    endpoint: BundleEndpoint,
    bundle: Option<SpiffeBundle>,
    // Absent while it is fetched.
    next: Option<Instant>,
    failures: u32,
}

/// What proxies get of a bundle.
pub(crate) fn trusted(endpoint: &BundleEndpoint, bundle: &SpiffeBundle) -> TrustBundle {
    TrustBundle {
        trust_domain: endpoint.trust_domain.clone(),
        roots_der: bundle.roots_der.clone(),
        jwks: bundle.jwks.clone(),
    }
}

fn interval(bundle: Option<&SpiffeBundle>) -> Duration {
    let hint = bundle.and_then(|bundle| bundle.refresh_hint);
    hint.unwrap_or(REFRESH).clamp(SHORTEST, LONGEST)
}

// === impl BundleKeeper ===

impl BundleKeeper {
    pub(crate) fn new(
        config: ConfigHandle,
        published: watch::Receiver<Arc<Published>>,
        store: BundleStore,
    ) -> Self {
        Self {
            config,
            store,
            known: BTreeMap::new(),
            wanted: None,
            fetches: Fetches::new(published),
        }
    }

    /// Fetches until the control plane stops. Drop it to stop.
    pub(crate) async fn run(mut self) {
        loop {
            if !self.follow().await {
                return;
            }
            let next = self.known.values().filter_map(|entry| entry.next).min();
            let goes_on = match self.fetches.wake(next).await {
                Wake::Look => true,
                Wake::Done((endpoint, result)) => self.take(&endpoint, result).await,
                Wake::Stopped => false,
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Follows the configuration, and begins what is due. False: the control plane has stopped.
    async fn follow(&mut self) -> bool {
        let now = clock::instant();
        let world = self.fetches.world();
        let settings = world.settings();
        // Most worlds are new for other reasons.
        if self.wanted.as_ref() != Some(&settings.bundle_endpoints)
            && !self.configure(&settings.bundle_endpoints, now).await
        {
            return false;
        }
        self.begin(settings, now);
        true
    }

    /// Forgets what is not configured any more, and notes what is.
    async fn configure(&mut self, wanted: &[BundleEndpoint], now: Instant) -> bool {
        let gone: Vec<String> = self
            .known
            .iter()
            .filter(|(_, entry)| !wanted.contains(&entry.endpoint))
            .map(|(domain, _)| domain.clone())
            .collect();
        for domain in &gone {
            // A relationship that ends leaves nothing behind (SPIFFE Federation, section 6.3).
            self.known.remove(domain);
            let trouble = Message::Trouble {
                key: key(domain),
                problem: None,
            };
            if self.config.send(trouble).await.is_err() {
                return false;
            }
        }
        for endpoint in wanted {
            let domain = endpoint.trust_domain.as_str().to_owned();
            self.known.entry(domain).or_insert_with(|| Entry {
                endpoint: endpoint.clone(),
                bundle: self.store.load(endpoint),
                next: Some(now),
                failures: 0,
            });
        }
        self.store.retain(wanted);
        self.wanted = Some(wanted.to_vec());
        gone.is_empty() || self.announce().await
    }

    fn begin(&mut self, settings: &MeshSettings, now: Instant) {
        let due = |entry: &&mut Entry| entry.next.is_some_and(|next| next <= now);
        let room = self.fetches.room();
        for entry in self.known.values_mut().filter(due).take(room) {
            entry.next = None;
            let endpoint = entry.endpoint.clone();
            let known = Known::of(&endpoint, entry.bundle.as_ref(), settings);
            self.fetches.begin(async move {
                let result = fetch::fetch(&endpoint, known).await;
                (endpoint, result)
            });
        }
    }

    /// Takes what came. False: the control plane has stopped.
    async fn take(
        &mut self,
        endpoint: &BundleEndpoint,
        result: Result<SpiffeBundle, Unusable>,
    ) -> bool {
        let domain = endpoint.trust_domain.as_str();
        let entry = self.known.get_mut(domain);
        let Some(entry) = entry.filter(|entry| entry.endpoint == *endpoint) else {
            return true;
        };
        let now = clock::instant();
        let problem = match result.and_then(|new| newer(entry.bundle.as_ref(), new)) {
            Ok(bundle) => {
                entry.failures = 0;
                // A tenth sooner, so that not all are due at once.
                let pause = interval(Some(&bundle)).mul_f64(0.9 + 0.1 * clock::jitter());
                entry.next = Some(now + pause);
                let before = entry.bundle.replace(bundle);
                if before != entry.bundle
                    && let Some(bundle) = &entry.bundle
                {
                    tracing::info!(
                        domain,
                        roots = bundle.roots_der.len(),
                        sequence = bundle.sequence,
                        "the bundle of another trust domain is new"
                    );
                    if let Err(error) = self.store.save(endpoint, bundle) {
                        tracing::warn!(domain, %error, "the bundle cannot be kept; after a restart it must be fetched before it is trusted");
                    }
                }
                None
            }
            Err(error) => {
                let pause = AGAIN * 2_u32.saturating_pow(entry.failures.min(12));
                entry.next = Some(now + pause.min(interval(entry.bundle.as_ref())));
                entry.failures += 1;
                Some(Box::new(problem(endpoint, &error, entry.bundle.is_some())))
            }
        };
        let trouble = Message::Trouble {
            key: key(domain),
            problem,
        };
        self.config.send(trouble).await.is_ok() && self.announce().await
    }

    /// Says what is known now. The publisher does nothing if nothing has changed.
    async fn announce(&self) -> bool {
        let bundles = self.known.iter().filter_map(|(domain, entry)| {
            let bundle = trusted(&entry.endpoint, entry.bundle.as_ref()?);
            Some((domain.clone(), bundle))
        });
        let message = Message::Bundles(bundles.collect());
        self.config.send(message).await.is_ok()
    }
}

/// An older one is not taken in place of a newer one (SPIFFE Federation, section 4.2).
fn newer(known: Option<&SpiffeBundle>, new: SpiffeBundle) -> Result<SpiffeBundle, Unusable> {
    match (known.and_then(|known| known.sequence), new.sequence) {
        (Some(known), Some(found)) if found < known => Err(Unusable::Older { found, known }),
        _ => Ok(new),
    }
}

fn key(domain: &str) -> String {
    format!("bundle of {domain}")
}

fn problem(endpoint: &BundleEndpoint, error: &Unusable, known: bool) -> Problem {
    let (severity, consequence) = match known {
        true => (Severity::Warning, "the last good one stays in force"),
        false => (
            Severity::Error,
            "only a bundle that the configuration itself gives vouches for it",
        ),
    };
    let domain = &endpoint.trust_domain;
    let url = &endpoint.url;
    Problem {
        severity: severity.into(),
        origin: Some(Origin::default()),
        message: format!("the bundle of {domain} at {url} cannot be used: {error}; {consequence}"),
        code: "trust-bundle".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_bundle_does_not_replace_a_newer_one() {
        let with = |sequence| SpiffeBundle {
            sequence,
            ..SpiffeBundle::default()
        };
        for (known, found, taken) in [
            (None, None, true),
            (None, Some(1), true),
            (Some(2), None, true),
            (Some(2), Some(2), true),
            (Some(2), Some(3), true),
            (Some(2), Some(1), false),
        ] {
            let result = newer(Some(&with(known)), with(found));
            assert_eq!(result.is_ok(), taken, "{known:?} {found:?}");
        }
        assert!(newer(None, with(Some(1))).is_ok());
    }

    #[test]
    fn hints_have_bounds() {
        let after = |hint| {
            interval(Some(&SpiffeBundle {
                refresh_hint: hint,
                ..SpiffeBundle::default()
            }))
        };
        assert_eq!(after(None), REFRESH);
        assert_eq!(after(Some(Duration::ZERO)), SHORTEST);
        assert_eq!(
            after(Some(Duration::from_secs(60))),
            Duration::from_secs(60)
        );
        assert_eq!(after(Some(Duration::from_secs(1 << 40))), LONGEST);
        assert_eq!(interval(None), REFRESH);
    }
}
