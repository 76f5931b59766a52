//! Replicas tell each other what holds a rotation of the root up: each writes its own entry of a
//! ConfigMap, all read it, and the leader takes the steps.
//!
//! A proxy reports to the replica that it is connected to. A replica that is gone takes what it
//! knew with it, so nobody relies on the replicas alone: the rotation also waits for every pod
//! with a sidecar until one of them has heard of it.

#[cfg(test)]
mod tests;
mod verdict;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, Patch, PatchParams};
use kube::{Api, Client};
use mesh_ca::Holder;
use mesh_ca::rotation::{Blocker, Conferred, RotationPeers, RotationRecord, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use self::verdict::{Expected, Verdict, conclude};
use super::signers::Signers;
use crate::clock;
use crate::kubernetes::{Leadership, MANAGER};
use crate::publish::Published;

const NAME: &str = "mesh-ca-rotation";
/// The entry with the names that nobody waits for.
const FORGOTTEN: &str = "forgotten";
/// The ConfigMap is read and written no more often.
const SPACING: Duration = Duration::from_millis(900);
/// An entry is written again after so long, so that others know that its writer lives.
const BEAT: Duration = Duration::from_secs(10);
/// One that was not written for so long counts no more.
const STALE: Duration = Duration::from_secs(30);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// What a replica needs to confer.
pub(crate) struct Council {
    maps: Api<ConfigMap>,
    instance: String,
    links: OnceLock<Links>,
    state: Mutex<State>,
    signers: Signers,
}

// Whether this replica leads, and whom there is to hear of.
struct Links {
    leads: Box<dyn Fn() -> bool + Send + Sync>,
    expected: Box<dyn Fn() -> Expected + Send + Sync>,
}

#[derive(Default)]
struct State {
    // Its own entry as it stands there, and since when.
    written: Option<(Verdict, Instant)>,
    // How often it was written.
    beat: u64,
    // Of each replica the last beat, and when it was first seen here.
    heard: HashMap<String, (u64, Instant)>,
    conferred: Option<(Instant, u64, Conferred)>,
}

/// An entry.
#[derive(Serialize, Deserialize)]
struct Entry {
    beat: u64,
    #[serde(flatten)]
    verdict: Verdict,
}

#[derive(Default, Serialize, Deserialize)]
struct Forgotten {
    rotation: String,
    names: Vec<String>,
}

// === impl Council ===

impl Council {
    pub(super) fn new(client: &Client, namespace: &str, instance: &str, signers: Signers) -> Self {
        Self {
            signers,
            maps: Api::namespaced(client.clone(), namespace),
            instance: instance.to_owned(),
            links: OnceLock::new(),
            state: Mutex::default(),
        }
    }

    /// Learns who leads and which pods there are. Until then nobody leads here.
    pub(crate) fn join(&self, leadership: Leadership, published: watch::Receiver<Arc<Published>>) {
        let expected = move || {
            let published = Arc::clone(&published.borrow());
            let workloads = published.world.workloads();
            Expected::new(
                workloads
                    .map(|workload| (workload.uid, workload.identity, workload.proxy.is_some())),
            )
        };
        self.link(move || leadership.is_leader(), expected);
    }

    fn link(
        &self,
        leads: impl Fn() -> bool + Send + Sync + 'static,
        expected: impl Fn() -> Expected + Send + Sync + 'static,
    ) {
        let (leads, expected) = (Box::new(leads), Box::new(expected));
        // The first one stays.
        let _ = self.links.set(Links { leads, expected });
    }

    fn leads(&self) -> bool {
        self.links.get().is_some_and(|links| (links.leads)())
    }

    fn expected(&self) -> Option<Expected> {
        Some((self.links.get()?.expected)())
    }

    async fn write(&self, state: &mut State, verdict: Verdict) -> Result<(), StoreError> {
        let now = clock::instant();
        if let Some((written, at)) = &state.written
            && *written == verdict
            && now.duration_since(*at) < BEAT
        {
            return Ok(());
        }
        state.beat += 1;
        let entry = Entry {
            beat: state.beat,
            verdict,
        };
        let text = serde_json::to_string(&entry)?;
        self.apply(&self.instance, &self.instance, text).await?;
        state.written = Some((entry.verdict, now));
        Ok(())
    }

    // Each writer owns its entry alone.
    async fn apply(&self, writer: &str, name: &str, text: String) -> Result<(), StoreError> {
        let map = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": NAME, "labels": { "app.kubernetes.io/part-of": "mesh" } },
            "data": { name: text },
        });
        let params = PatchParams::apply(&format!("{MANAGER}-{writer}")).force();
        let patch = Patch::Apply(&map);
        timeout(ANSWER, self.maps.patch(NAME, &params, &patch)).await??;
        Ok(())
    }

    async fn read(&self) -> Result<BTreeMap<String, String>, StoreError> {
        let map = timeout(ANSWER, self.maps.get_opt(NAME)).await??;
        Ok(map.and_then(|map| map.data).unwrap_or_default())
    }

    /// Nothing is under way: the leader clears up.
    async fn rest(&self) -> Result<Conferred, StoreError> {
        let mut state = self.state.lock().await;
        let wrote = state.written.is_some();
        if wrote && self.leads() {
            let params = DeleteParams::default();
            match timeout(ANSWER, self.maps.delete(NAME, &params)).await? {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                Err(error) => return Err(error.into()),
            }
        }
        // The count goes on: another one must never seem to be an old one.
        *state = State {
            beat: state.beat,
            ..State::default()
        };
        Ok(Conferred::default())
    }
}

#[tonic::async_trait]
impl RotationPeers for Council {
    async fn confer(
        &self,
        record: &RotationRecord,
        holders: &[Holder],
        blockers: &[Blocker],
    ) -> Result<Conferred, StoreError> {
        let Some(rotation) = &record.rotation else {
            self.signers.renew(record.steps, false).await;
            return self.rest().await;
        };
        let mut state = self.state.lock().await;
        let now = clock::instant();
        // Thousands report at a time, and each report is a reason to confer.
        if let Some((at, steps, conferred)) = &state.conferred
            && now.duration_since(*at) < SPACING
        {
            // What is clear a moment later is seen a moment later.
            let same = *steps == record.steps;
            return Ok(Conferred {
                leads: same && conferred.leads && blockers.is_empty() && self.leads(),
                blockers: match same {
                    true => conferred.blockers.clone(),
                    false => blockers.to_vec(),
                },
            });
        }
        self.signers.renew(record.steps, true).await;
        self.write(&mut state, Verdict::new(record.steps, holders, blockers))
            .await?;
        let entries = self.read().await?;
        let mut verdicts = Vec::new();
        for (name, text) in entries.iter().filter(|(name, _)| *name != FORGOTTEN) {
            let Ok(entry) = serde_json::from_str::<Entry>(text) else {
                continue;
            };
            let heard = state.heard.entry(name.clone()).or_insert((entry.beat, now));
            if heard.0 != entry.beat {
                *heard = (entry.beat, now);
            }
            if now.duration_since(heard.1) < STALE && entry.verdict.steps == record.steps {
                verdicts.push(entry.verdict);
            }
        }
        let forgotten: Forgotten = entries
            .get(FORGOTTEN)
            .and_then(|text| serde_json::from_str(text).ok())
            .filter(|forgotten: &Forgotten| forgotten.rotation == rotation.id)
            .unwrap_or_default();
        let (mut blockers, leads) = match self.expected() {
            Some(expected) => {
                let blockers = conclude(rotation.phase, &verdicts, &expected, &forgotten.names);
                (blockers, self.leads())
            }
            // Who does not know the pods yet takes no steps.
            None => (blockers.to_vec(), false),
        };
        let behind = self.signers.behind(record.steps).await?;
        blockers.extend(
            behind
                .into_iter()
                .filter(|one| !forgotten.names.contains(&one.name)),
        );
        let conferred = Conferred { leads, blockers };
        state.conferred = Some((now, record.steps, conferred.clone()));
        Ok(conferred)
    }

    async fn forget(&self, rotation: &str, name: &str) -> Result<bool, StoreError> {
        let mut state = self.state.lock().await;
        let known = state.conferred.as_ref().is_some_and(|(_, _, conferred)| {
            let mut blockers = conferred.blockers.iter();
            blockers.any(|blocker| blocker.name == name)
        });
        if !known {
            return Ok(false);
        }
        let entries = self.read().await?;
        let forgotten = entries
            .get(FORGOTTEN)
            .and_then(|text| serde_json::from_str(text).ok())
            .filter(|forgotten: &Forgotten| forgotten.rotation == rotation);
        let mut forgotten = forgotten.unwrap_or_default();
        rotation.clone_into(&mut forgotten.rotation);
        forgotten.names.push(name.to_owned());
        let text = serde_json::to_string(&forgotten)?;
        self.apply(FORGOTTEN, FORGOTTEN, text).await?;
        // The next look is a fresh one; until then the names are known for who forgets another.
        if let Some((at, _, _)) = &mut state.conferred {
            *at = at.checked_sub(SPACING).unwrap_or(*at);
        }
        Ok(true)
    }
}

impl fmt::Debug for Council {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Council")
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}
