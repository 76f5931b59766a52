//! Follows the Secrets of the authority while it serves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt as _, stream};
use kube::runtime::watcher::{self, Event, watcher};
use kube::runtime::{WatchStreamExt as _, watcher::Config};
use mesh_ca::rotation::{RotationRecord, Rotator};
use mesh_ca::{Authority, AuthorityMaterial, JoinTokens};
use tokio::time::{sleep, sleep_until};

use super::secret::{AuthoritySecretError, CACERTS, Loaded, OWN};
use super::store::{AuthorityStoreError, SecretStore};
use crate::clock;

/// How often to look for what is due by time: renewals, and roots to forget.
const LOOK: Duration = Duration::from_secs(10 * 60);
/// Pause before the API server is asked again.
const RETRY: Duration = Duration::from_secs(5);

/// Keeps an authority as its Secrets say. New roots are trusted at once, and signed by only after
/// a while, when every connected proxy has learned of them.
pub(crate) struct Keeper {
    store: Arc<SecretStore>,
    authority: Arc<Authority>,
    tokens: Arc<JoinTokens>,
    rotator: Arc<Rotator>,
    token_key: Vec<u8>,
    settle: Duration,
    // What signs next, and from when on.
    next: Option<(AuthorityMaterial, Instant)>,
}

// === impl Keeper ===

impl Keeper {
    pub(super) fn new(
        store: Arc<SecretStore>,
        authority: Arc<Authority>,
        tokens: Arc<JoinTokens>,
        rotator: Arc<Rotator>,
        loaded: &Loaded,
        settle: Duration,
    ) -> Self {
        Self {
            store,
            authority,
            tokens,
            rotator,
            token_key: loaded.token_key.0.clone(),
            settle,
            next: None,
        }
    }

    /// Runs until dropped.
    pub(crate) async fn run(mut self) {
        let mut changes = Box::pin(stream::select(self.changes(OWN), self.changes(CACERTS)));
        let mut pause = LOOK;
        loop {
            let adoption = self.next.as_ref().map(|(_, at)| *at);
            tokio::select! {
                event = changes.next() => match event {
                    Some(()) => {}
                    None => return,
                },
                // Then looks again: roots that were trusted only until now may be left out.
                () = at(adoption) => self.adopt(),
                () = sleep(pause) => {}
            }
            pause = match self.refresh().await {
                Ok(()) => LOOK,
                Err(error) => {
                    tracing::error!(%error, "the Secrets of the authority cannot be taken over; what was there before serves on");
                    match error.is_transient() {
                        true => RETRY,
                        false => LOOK,
                    }
                }
            };
        }
    }

    /// Yields whenever one of the Secrets may have changed.
    fn changes(&self, name: &str) -> impl Stream<Item = ()> + use<> {
        let config = Config::default().fields(&format!("metadata.name={name}"));
        let name = name.to_owned();
        watcher(self.store.api(), config)
            .default_backoff()
            .filter_map(move |event| std::future::ready(is_change(&name, event)))
    }

    /// Takes over what the Secrets hold now.
    pub(super) async fn refresh(&mut self) -> Result<(), AuthorityStoreError> {
        let loaded = self.store.load().await?;
        if loaded.token_key.0 != self.token_key {
            match self.tokens.replace_key(&loaded.token_key.0) {
                Ok(()) => tracing::info!("took over a new key for join tokens"),
                Err(error) => tracing::error!(%error, "the key for join tokens cannot be used"),
            }
            self.token_key.clone_from(&loaded.token_key.0);
        }
        if self.follow_rotation(&loaded).await? {
            self.next = None;
            return Ok(());
        }
        let trusted = self.authority.roots_der();
        let known = loaded
            .material
            .roots_der()
            .iter()
            .all(|root| trusted.contains(root));
        if loaded.material == self.authority.material() {
            self.next = None;
            self.authority.trust(&loaded.more_roots);
            return Ok(());
        }
        let mut roots = loaded.material.roots_der().to_vec();
        roots.extend(loaded.more_roots);
        self.authority.trust(&roots);
        self.authority
            .expect(&loaded.material)
            .map_err(AuthoritySecretError::from)?;
        let when = match &self.next {
            Some((_, when)) => *when,
            None if known => clock::instant(),
            None => {
                tracing::info!(material = %loaded.material, signs_in = ?self.settle, "the roots of the mesh have changed: the new ones are trusted from now on");
                clock::instant() + self.settle
            }
        };
        self.next = Some((loaded.material, when));
        Ok(())
    }

    /// Whether a rotation is under way, or has just ended: its steps hold at once.
    async fn follow_rotation(&self, loaded: &Loaded) -> Result<bool, AuthorityStoreError> {
        let under_way = loaded.record.rotation.is_some();
        if loaded.plugged_in {
            // The operator's keys go before ours, whatever is under way.
            let rests = RotationRecord {
                rotation: None,
                ..loaded.record.clone()
            };
            self.rotator.rest(rests).await;
            return Ok(false);
        }
        // A whole rotation may have passed while this replica was cut off.
        let missed = loaded.record.steps > self.rotator.steps().await;
        if !under_way && !missed && !self.rotator.is_under_way().await {
            self.rotator.rest(loaded.record.clone()).await;
            return Ok(false);
        }
        self.rotator
            .follow(loaded.record.clone(), loaded.charge())
            .await
            .map_err(AuthoritySecretError::from)?;
        Ok(true)
    }

    fn adopt(&mut self) {
        let Some((material, _)) = self.next.take() else {
            return;
        };
        let place = material.to_string();
        match self.authority.adopt(material, clock::now()) {
            Ok(()) => tracing::info!(%place, "the authority signs with new material"),
            Err(error) => {
                tracing::error!(%error, "the new material of the authority cannot be used; what was there before serves on");
            }
        }
    }
}

async fn at(time: Option<Instant>) {
    match time {
        Some(time) => sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}

fn is_change<K>(name: &str, event: watcher::Result<Event<K>>) -> Option<()> {
    match event {
        Ok(Event::Apply(_) | Event::Delete(_) | Event::InitDone) => Some(()),
        Ok(Event::Init | Event::InitApply(_)) => None,
        Err(error) => {
            tracing::debug!(secret = name, %error, "watching a Secret failed; trying again");
            None
        }
    }
}
