//! The ConfigMap in which the leader writes down what is in force of objects in quarantine, so
//! that all replicas have the same in force, also those that start later.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::client::words;
use super::{Cluster, ClusterHandle, KubernetesSettings, MANAGER};
use crate::last_good::Quarantine;

/// A ConfigMap takes 1 MiB; with its bookkeeping this fits.
const LARGEST: usize = 900 * 1024;
const RETRY: Duration = Duration::from_secs(5);
/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(10);

/// Name of the ConfigMap. Other revisions may read the same objects otherwise.
pub(crate) fn name(settings: &KubernetesSettings) -> String {
    settings.object_name("mesh-last-good")
}

/// Reads the ConfigMap. What cannot be read is not there.
pub(crate) fn read(map: &Value) -> Quarantine {
    let data = map.get("data").and_then(Value::as_object);
    let entries = data.into_iter().flatten();
    entries
        .filter_map(|(key, text)| Some((key.clone(), serde_json::from_str(text.as_str()?).ok()?)))
        .collect()
}

/// Writes the ConfigMap while this replica leads.
pub(super) struct Scribe {
    maps: Api<ConfigMap>,
    name: String,
    quarantine: watch::Receiver<Quarantine>,
    leads: watch::Receiver<bool>,
}

// === impl Scribe ===

impl Scribe {
    pub(super) fn new(
        cluster: &Cluster,
        quarantine: watch::Receiver<Quarantine>,
        leads: watch::Receiver<bool>,
    ) -> Self {
        let settings = &cluster.settings;
        Self {
            maps: Api::namespaced(cluster.client.clone(), &settings.namespace),
            name: name(settings),
            quarantine,
            leads,
        }
    }

    /// Runs until the control plane stops.
    pub(super) async fn run(mut self, cluster: ClusterHandle) {
        // Who does not know everything yet must not write that nothing is in quarantine.
        cluster.synced().await;
        let mut written: Option<BTreeMap<String, String>> = None;
        loop {
            if !*self.leads.borrow() {
                written = None;
                if self.leads.wait_for(|leads| *leads).await.is_err() {
                    return;
                }
            }
            let data = data(&self.quarantine.borrow_and_update());
            if written.as_ref() != Some(&data) {
                match timeout(ANSWER, self.write(&data)).await {
                    Ok(Ok(())) => written = Some(data),
                    Ok(Err(error)) => {
                        tracing::warn!(reason = %words(&error), name = %self.name, "cannot write the last good versions for other replicas; trying again");
                        sleep(RETRY).await;
                        continue;
                    }
                    Err(_) => continue,
                }
            }
            tokio::select! {
                changed = self.quarantine.changed() => if changed.is_err() {
                    return;
                },
                changed = self.leads.changed() => if changed.is_err() {
                    return;
                },
            }
        }
    }

    async fn write(&self, data: &BTreeMap<String, String>) -> Result<(), kube::Error> {
        if data.is_empty() && self.maps.get_opt(&self.name).await?.is_none() {
            return Ok(());
        }
        let map = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": self.name, "labels": { "app.kubernetes.io/part-of": "mesh" } },
            "data": data,
        });
        let params = PatchParams::apply(MANAGER).force();
        let patch = Patch::Apply(&map);
        self.maps
            .patch(&self.name, &params, &patch)
            .await
            .map(|_| ())
    }
}

/// What fits.
fn data(quarantine: &Quarantine) -> BTreeMap<String, String> {
    let mut size = 0;
    let mut data = BTreeMap::new();
    for (key, kept) in quarantine {
        let Ok(text) = serde_json::to_string(kept) else {
            continue;
        };
        size += key.len() + text.len();
        if size > LARGEST {
            tracing::error!(object = %key, "too much is in quarantine to tell other replicas of all; correct these objects");
            break;
        }
        data.insert(key.clone(), text);
    }
    data
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::last_good::Kept;

    #[test]
    fn reads_what_it_writes_and_no_more_than_fits() {
        let kept = |size: usize| Kept {
            bad: 2,
            good: json!({"spec": "x".repeat(size)}),
        };
        let mut quarantine = Quarantine::from([("A.b.c".to_owned(), kept(10))]);
        let map = |quarantine: &Quarantine| json!({ "data": data(quarantine) });
        assert_eq!(read(&map(&quarantine)), quarantine);
        let small = quarantine.clone();
        quarantine.insert("B.b.c".to_owned(), kept(LARGEST));
        assert_eq!(read(&map(&quarantine)), small);
        assert!(read(&json!({"data": {"A.b.c": "{"}})).is_empty());
    }
}
