//! Replicas that sign by the keys of one Secret tell by which step of the rotations they do.
//!
//! Each writes its own entry of a ConfigMap now and then, and signs only for a while after it
//! could (the fence of the authority). Who takes a step of a rotation waits for every replica
//! that may still sign by an earlier one: until its entry says that it follows, or has not changed
//! for longer than its fence stays open, or its pod is gone. So a replica that hears nothing of a
//! whole rotation signs nothing by a root that was retired, and an API server that is away for
//! less than that time stops nobody.
//!
//! No clock is compared with another one: an entry counts from when it was first seen.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client};
use mesh_ca::Fence;
use mesh_ca::rotation::{Blocker, Reason, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::store::SecretStore;
use crate::clock;
use crate::kubernetes::MANAGER;

pub(super) const NAME: &str = "mesh-ca-signers";
/// An entry is written so often in the time for which it counts.
const BEATS: u32 = 12;
/// Before another attempt after a failed one.
const RETRY: Duration = Duration::from_secs(2);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// Who appears in the middle of a rotation signs only after so long: somebody may have looked
/// around before, and be about to take a step. Longer than that takes.
const JOIN: Duration = Duration::from_secs(12);

/// The entries, and the fence that the own one keeps open.
pub(super) struct Signers {
    maps: Api<ConfigMap>,
    pods: Api<Pod>,
    instance: String,
    store: Arc<SecretStore>,
    fence: Arc<Fence>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    // The step of the last confirmation, and when it was.
    confirmed: Option<(u64, Instant)>,
    // The same of the last attempt, if it failed.
    tried: Option<(u64, Instant)>,
    // Since when the own entry stands there while the fence is closed.
    joined: Option<Instant>,
    // Of each entry its text, and when that was first seen here.
    heard: HashMap<String, (String, Instant)>,
    complained: bool,
}

/// An entry.
#[derive(Serialize, Deserialize)]
struct Entry {
    // How many steps its writer follows.
    steps: u64,
    // Another one each time.
    at: u128,
}

// === impl Signers ===

impl Signers {
    pub(super) fn new(
        client: &Client,
        namespace: &str,
        instance: &str,
        (store, fence): (Arc<SecretStore>, Arc<Fence>),
    ) -> Self {
        Self {
            maps: Api::namespaced(client.clone(), namespace),
            pods: Api::namespaced(client.clone(), namespace),
            instance: instance.to_owned(),
            store,
            fence,
            state: Mutex::default(),
        }
    }

    /// Says that this replica follows so many steps, if that is due, and keeps the fence open if
    /// they are those in force. A failure is logged: what was confirmed before holds for a while.
    pub(super) async fn renew(&self, steps: u64, under_way: bool) {
        let mut state = self.state.lock().await;
        let now = clock::instant();
        let lately = |last: Option<(u64, Instant)>, span| {
            last.is_some_and(|(of, at)| of == steps && now.duration_since(at) < span)
        };
        if lately(state.confirmed, self.fence.limit() / BEATS) || lately(state.tried, RETRY) {
            return;
        }
        state.tried = Some((steps, now));
        match self.confirm(&mut state, steps, under_way).await {
            Ok(confirmed) => {
                if state.complained && confirmed {
                    tracing::info!("this replica could confirm its keys again");
                    state.complained = false;
                }
            }
            Err(error) if !state.complained => {
                let limit = self.fence.limit();
                tracing::warn!(%error, "this replica cannot confirm that its keys are those in force; it signs for {limit:?} after it could the last time");
                state.complained = true;
            }
            Err(error) => tracing::debug!(%error, "this replica cannot confirm its keys"),
        }
    }

    // Whether they are confirmed.
    async fn confirm(
        &self,
        state: &mut State,
        steps: u64,
        under_way: bool,
    ) -> Result<bool, StoreError> {
        let (now, wall) = (clock::instant(), clock::now());
        let goes_on = self.fence.is_open();
        let since_epoch = wall.duration_since(std::time::SystemTime::UNIX_EPOCH);
        let entry = Entry {
            steps,
            at: since_epoch.unwrap_or_default().as_nanos(),
        };
        let text = serde_json::to_string(&entry)?;
        let map = self.write(&self.instance, Some(text), None).await?;
        state.observe(map.data.as_ref());
        // Only after: who takes a step either sees the entry, or its step is seen here.
        let written = timeout(ANSWER, self.store.steps()).await??;
        if written.is_some_and(|written| written > steps) {
            return Ok(false);
        }
        if under_way && !goes_on {
            let since = *state.joined.get_or_insert(now);
            if now.duration_since(since) < JOIN {
                return Ok(false);
            }
        }
        self.fence.confirm(now, wall);
        (state.confirmed, state.tried, state.joined) = (Some((steps, now)), None, None);
        if !under_way {
            self.clear(state, &map).await;
        }
        Ok(true)
    }

    /// Those that may still sign by an earlier step than this one.
    pub(super) async fn behind(&self, steps: u64) -> Result<Vec<Blocker>, StoreError> {
        let map = timeout(ANSWER, self.maps.get_opt(NAME)).await??;
        let entries = map.and_then(|map| map.data).unwrap_or_default();
        let mut state = self.state.lock().await;
        state.observe(Some(&entries));
        let wall = clock::unix_seconds(clock::now());
        let mut behind = Vec::new();
        for (name, text) in &entries {
            let follows = serde_json::from_str::<Entry>(text).is_ok_and(|one| one.steps >= steps);
            let Some(left) = self.left(&state, name) else {
                continue;
            };
            if follows || *name == self.instance || self.is_gone(name).await? {
                continue;
            }
            behind.push(Blocker {
                name: format!("meshd replica {name}"),
                identity: String::new(),
                connected: false,
                reason: Reason::StillSigning,
                not_after: wall + i64::try_from(left.as_secs()).unwrap_or_default(),
            });
        }
        Ok(behind)
    }

    /// How long it may still sign, at most.
    fn left(&self, state: &State, name: &str) -> Option<Duration> {
        let limit = self.fence.limit();
        // Its clock may be a little slower.
        let limit = limit + limit / 20;
        let (_, seen) = state.heard.get(name)?;
        let left = limit.checked_sub(clock::instant().duration_since(*seen))?;
        (!left.is_zero()).then_some(left)
    }

    /// Whether its pod is no more. The API server forgets a pod when its containers have stopped.
    async fn is_gone(&self, name: &str) -> Result<bool, StoreError> {
        let params = ListParams::default().fields(&format!("metadata.name={name}"));
        let found = timeout(ANSWER, self.pods.list(&params)).await??;
        Ok(found.items.is_empty())
    }

    /// Removes the entry of one that counts no more, if nobody has written since.
    async fn clear(&self, state: &mut State, map: &ConfigMap) {
        let mut names = state.heard.keys();
        let over = names.find(|name| self.left(state, name).is_none()).cloned();
        let Some(name) = over else {
            return;
        };
        let version = map.metadata.resource_version.as_deref();
        match self.write(&name, None, version).await {
            Ok(_) => drop(state.heard.remove(&name)),
            Err(error) => tracing::debug!(%error, name, "an old entry stays for now"),
        }
    }

    // Each writer owns its entry alone.
    async fn write(
        &self,
        name: &str,
        text: Option<String>,
        version: Option<&str>,
    ) -> Result<ConfigMap, StoreError> {
        let mut map = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": NAME, "labels": { "app.kubernetes.io/part-of": "mesh" } },
            "data": text.map(|text| BTreeMap::from([(name, text)])).unwrap_or_default(),
        });
        if let (Some(version), Some(metadata)) = (version, map.get_mut("metadata")) {
            metadata["resourceVersion"] = version.into();
        }
        let params = PatchParams::apply(&format!("{MANAGER}-{name}")).force();
        let patch = Patch::Apply(&map);
        Ok(timeout(ANSWER, self.maps.patch(NAME, &params, &patch)).await??)
    }
}

// === impl State ===

impl State {
    fn observe(&mut self, entries: Option<&BTreeMap<String, String>>) {
        let now = clock::instant();
        let none = BTreeMap::new();
        let entries = entries.unwrap_or(&none);
        self.heard.retain(|name, _| entries.contains_key(name));
        for (name, text) in entries {
            let known = self.heard.get(name).is_some_and(|(known, _)| known == text);
            if !known {
                self.heard.insert(name.clone(), (text.clone(), now));
            }
        }
    }
}
