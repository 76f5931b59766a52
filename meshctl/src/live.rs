//! What a cluster has, compiled in this process by the control plane's own code, alone and with
//! files that it does not have yet.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use mesh_api::v1::Problem;
use meshd_core::{MeshSettings, Store};
use serde_json::Value;

use crate::call::{Admin, AdminError};
use crate::cluster::{Cluster, ClusterError, ObjectRef, documents, in_force_kinds};
use crate::target::{ControlPlane, TargetError};

/// All objects of a cluster that the configuration of its mesh is made of, and the settings that
/// its control plane has.
#[derive(Debug)]
pub struct LiveObjects {
    objects: Vec<Value>,
    settings: MeshSettings,
}

// === impl LiveObjects ===

impl LiveObjects {
    /// Reads them. Secrets are left where they are.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn read(cluster: &Cluster) -> Result<Self, ClusterError> {
        let kinds = in_force_kinds(cluster).await?;
        let lists = join_all(kinds.iter().map(|kind| kind.list(cluster))).await;
        let mut objects = Vec::new();
        for list in lists {
            objects.extend(list?);
        }
        Ok(Self {
            objects,
            settings: settings(cluster).await,
        })
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.objects.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    /// A store with all of them but some.
    fn store(&self, without: &BTreeSet<(String, String, String, String)>) -> Store {
        let mut store = Store::new();
        for object in &self.objects {
            if !key(object, "").is_some_and(|key| without.contains(&key)) {
                store.set_object(object);
            }
        }
        store
    }
}

/// Namespace of documents in files that do not name theirs.
pub const DEFAULT_NAMESPACE: &str = "default";

/// Whether a document in files does not name its namespace.
pub fn names_no_namespace(files: &[(String, String)]) -> bool {
    let mut all = files
        .iter()
        .flat_map(|(_, text)| documents(text).unwrap_or_default());
    all.any(|object| object.pointer("/metadata/namespace").is_none())
}

/// Problems that files cause among what a cluster has: those that are not there without them.
pub fn new_problems(live: &LiveObjects, files: &[(String, String)]) -> Vec<Problem> {
    let mut replaced = BTreeSet::new();
    for (_, text) in files {
        // A file that is no YAML is reported when it is compiled.
        let objects = documents(text).unwrap_or_default();
        replaced.extend(
            objects
                .iter()
                .filter_map(|object| key(object, DEFAULT_NAMESPACE)),
        );
    }
    let old = live.store(&BTreeSet::new()).world(&live.settings);
    let old = old.problems().to_vec();
    let mut store = live.store(&replaced);
    for (path, text) in files {
        store.set_file(path, text);
    }
    let new = store.world(&live.settings);
    let new = new.problems().iter();
    new.filter(|problem| !old.contains(problem))
        .cloned()
        .collect()
}

/// Group (not version: the API server converts), kind, namespace, name.
fn key(object: &Value, namespace: &str) -> Option<(String, String, String, String)> {
    let name = ObjectRef::of(object, namespace).ok()?;
    let group = name
        .api_version
        .split_once('/')
        .map_or("", |(group, _)| group);
    Some((group.to_owned(), name.kind, name.namespace, name.name))
}

/// The settings of the control plane, as far as it tells them; Istio's defaults otherwise.
async fn settings(cluster: &Cluster) -> MeshSettings {
    let defaults = MeshSettings {
        root_namespace: cluster.mesh_namespace().to_owned(),
        ..MeshSettings::default()
    };
    match told(cluster).await {
        Some(world) => {
            let text = |field: &str| world.get(field).and_then(Value::as_str);
            MeshSettings {
                trust_domain: text("trust_domain")
                    .and_then(|domain| domain.parse().ok())
                    .unwrap_or(defaults.trust_domain),
                root_namespace: text("root_namespace")
                    .map_or(defaults.root_namespace, str::to_owned),
                cluster_domain: text("cluster_domain")
                    .map_or(defaults.cluster_domain, str::to_owned),
                outbound_policy: text("outbound_policy")
                    .and_then(mesh_api::v1::OutboundPolicy::from_str_name)
                    .unwrap_or(defaults.outbound_policy),
                ..MeshSettings::default()
            }
        }
        None => defaults,
    }
}

async fn told(cluster: &Cluster) -> Option<Value> {
    let control_plane: Result<ControlPlane, TargetError> = ControlPlane::in_cluster(cluster).await;
    let replicas = control_plane.ok()?.replicas;
    let up = replicas.iter().find(|replica| replica.down.is_none())?;
    let admin: &Admin = &up.admin;
    let world: Result<Value, AdminError> = admin.get("/debug/world").await;
    world.ok()
}

#[cfg(test)]
mod tests {
    use mesh_api::v1::Severity;
    use serde_json::json;

    use super::*;

    fn live() -> LiveObjects {
        let meta = |name: &str| json!({"name": name, "namespace": "default", "creationTimestamp": "2026-01-01T00:00:00Z"});
        LiveObjects {
            objects: vec![
                json!({
                    "apiVersion": "v1", "kind": "Service", "metadata": meta("reviews"),
                    "spec": {"clusterIP": "10.96.0.9", "selector": {"app": "reviews"}, "ports": [{"name": "http", "port": 9080}]},
                }),
                json!({
                    "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": meta("old"),
                    "spec": {"hosts": ["reviews"], "http": [{"route": [{"destination": {"host": "nowhere"}}]}]},
                }),
            ],
            settings: MeshSettings::default(),
        }
    }

    fn files(text: &str) -> Vec<(String, String)> {
        vec![("a.yaml".to_owned(), text.to_owned())]
    }

    #[test]
    fn only_what_the_files_cause_is_told() {
        let live = live();
        assert!(
            !live
                .store(&BTreeSet::new())
                .world(&live.settings)
                .problems()
                .is_empty()
        );
        let fine = "apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: reviews, namespace: default}\nspec:\n  host: reviews\n";
        assert_eq!(new_problems(&live, &files(fine)), []);

        let wrong = "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: old}\nspec:\n  hosts: [reviews]\n  htpp: []\n";
        let problems = new_problems(&live, &files(wrong));
        assert!(!problems.is_empty());
        for problem in &problems {
            let origin = problem.origin.clone().unwrap();
            assert_eq!(origin.source, "a.yaml", "{problem:?}");
        }
        assert!(problems.iter().any(|one| one.severity() == Severity::Error));
    }
}
