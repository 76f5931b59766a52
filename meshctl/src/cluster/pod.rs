//! Pods, as far as the mesh is concerned with them.

use std::collections::BTreeMap;
use std::net::IpAddr;

use k8s_openapi::api::core::v1::{Container, Pod, PodSpec};
use kube::Api;
use kube::api::ListParams;
use serde::Serialize;

use super::{Asked, Cluster, ClusterError, LookupError, find};

/// Name of the proxy's container, as Istio's.
pub const PROXY_CONTAINER: &str = "istio-proxy";
/// Says that a proxy is ours: Istio's has the same container name.
const PROXY_VARIABLE: &str = "MESH_WORKLOAD";

/// What the mesh has in a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PodKind {
    /// No proxy of this mesh.
    #[default]
    Outside,
    /// A proxy beside an application.
    Sidecar,
    /// A proxy alone.
    Gateway,
}

/// One pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodInfo {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// What made it, as `Deployment/reviews-v1`; its own name as `Pod/x` if nothing did.
    pub controller: (String, String),
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its first address; none before it has one.
    pub address: Option<IpAddr>,
    /// What the mesh has in it.
    pub kind: PodKind,
    /// The container that `exec` and logs mean unless told otherwise.
    pub container: String,
    /// All containers, the proxy's included.
    pub containers: Vec<String>,
    /// Image of `container`.
    pub image: String,
    /// Ports that its containers name.
    #[serde(skip)]
    pub ports: BTreeMap<String, u16>,
    /// Whether it runs, is not about to end, and passes its readiness probes.
    pub ready: bool,
    /// Its phase, or `Terminating`.
    pub phase: String,
}

// === impl PodInfo ===

impl PodInfo {
    /// Reads a pod.
    pub fn new(pod: &Pod) -> Self {
        let meta = &pod.metadata;
        let spec = pod.spec.clone().unwrap_or_default();
        let status = pod.status.clone().unwrap_or_default();
        let labels = meta.labels.clone().unwrap_or_default();
        let name = meta.name.clone().unwrap_or_default();
        let terminating = meta.deletion_timestamp.is_some();
        let phase = if terminating {
            "Terminating".to_owned()
        } else {
            status.phase.clone().unwrap_or_else(|| "Unknown".to_owned())
        };
        let ready = phase == "Running"
            && status
                .conditions
                .iter()
                .flatten()
                .any(|condition| condition.type_ == "Ready" && condition.status == "True");
        let app = application(&spec, meta.annotations.as_ref());
        let containers = sidecars(&spec).chain(&spec.containers);
        Self {
            controller: controller(pod, &name),
            address: status.pod_ip.as_deref().and_then(|ip| ip.parse().ok()),
            kind: kind(&spec),
            container: app
                .map(|container| container.name.clone())
                .unwrap_or_default(),
            containers: containers.map(|container| container.name.clone()).collect(),
            image: app
                .and_then(|container| container.image.clone())
                .unwrap_or_default(),
            ports: ports(&spec),
            namespace: meta.namespace.clone().unwrap_or_default(),
            name,
            labels,
            ready,
            phase,
        }
    }

    /// `<namespace>/<name>`.
    pub fn uid(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }

    /// `<namespace>/<name>` of what made it.
    pub fn workload(&self) -> String {
        format!("{}/{}", self.namespace, self.controller.1)
    }

    /// Whether it has not ended and is not about to.
    pub fn alive(&self) -> bool {
        matches!(self.phase.as_str(), "Running" | "Pending")
    }
}

// === impl Cluster ===

/// Pods asked for at once.
const PAGE: u32 = 500;

/// Why a pod was not found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// No name fits, or too many.
    #[error(transparent)]
    Lookup(#[from] LookupError),
    /// The cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

impl Cluster {
    /// All pods of a namespace, or of the cluster, that a label selector fits; an empty one fits
    /// all.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn list_pods(
        &self,
        namespace: Option<&str>,
        selector: &str,
    ) -> Result<Vec<PodInfo>, ClusterError> {
        let pods: Api<Pod> = match namespace {
            Some(namespace) => self.pods(namespace),
            None => Api::all(self.client().clone()),
        };
        let mut parameters = ListParams::default().limit(PAGE).labels(selector);
        let mut found = Vec::new();
        loop {
            let page = pods
                .list(&parameters)
                .await
                .map_err(self.failed("list", "pods", namespace))?;
            found.extend(page.items.iter().map(PodInfo::new));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(found),
            }
        }
    }

    /// The pod that a person means; see [`find`]. A name without namespace is looked for in the
    /// namespace of the context first, then, unless the user has named one, in all.
    ///
    /// # Errors
    /// If none fits, or several do, or the API server refuses.
    pub async fn find_pod(&self, name: &str) -> Result<PodInfo, FindError> {
        let asked = Asked::parse(name);
        let namespace = asked.namespace.as_deref().unwrap_or(self.namespace());
        let pods = self.list_pods(Some(namespace), "").await?;
        let here = find(&pods, &asked).cloned();
        match here {
            Err(LookupError::None { .. })
                if asked.namespace.is_none() && !self.namespace_given() => {}
            Err(LookupError::None { .. }) if asked.namespace.is_none() => {
                let asked = asked.clone().within(namespace);
                return Ok(find(&pods, &asked).cloned()?);
            }
            found => return Ok(found?),
        }
        let pods = match self.list_pods(None, "").await {
            // Whoever may not look elsewhere has looked everywhere.
            Err(error) if error.is_forbidden() => pods,
            all => all?,
        };
        Ok(find(&pods, &asked).cloned()?)
    }
}

/// Native sidecars: init containers that go on.
fn sidecars(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers
        .iter()
        .flatten()
        .filter(|container| container.restart_policy.as_deref() == Some("Always"))
}

fn ports(spec: &PodSpec) -> BTreeMap<String, u16> {
    let all = spec
        .containers
        .iter()
        .flat_map(|one| one.ports.iter().flatten());
    all.filter_map(|port| {
        let number = u16::try_from(port.container_port).ok()?;
        Some((port.name.clone()?, number))
    })
    .collect()
}

fn kind(spec: &PodSpec) -> PodKind {
    let ours = |container: &Container| {
        container.name == PROXY_CONTAINER
            && container
                .env
                .iter()
                .flatten()
                .any(|variable| variable.name == PROXY_VARIABLE)
    };
    if sidecars(spec).any(ours) {
        return PodKind::Sidecar;
    }
    match spec.containers.as_slice() {
        [only] if ours(only) => PodKind::Gateway,
        several if several.iter().any(ours) => PodKind::Sidecar,
        _ => PodKind::Outside,
    }
}

/// As kubectl chooses: the annotated container, else the first; never the proxy if there is
/// another.
fn application<'a>(
    spec: &'a PodSpec,
    annotations: Option<&BTreeMap<String, String>>,
) -> Option<&'a Container> {
    let wanted = annotations.and_then(|all| all.get("kubectl.kubernetes.io/default-container"));
    let named = wanted.and_then(|name| spec.containers.iter().find(|one| one.name == *name));
    named
        .filter(|container| container.name != PROXY_CONTAINER)
        .or_else(|| {
            spec.containers
                .iter()
                .find(|container| container.name != PROXY_CONTAINER)
        })
        .or_else(|| spec.containers.first())
}

/// The Deployment behind a ReplicaSet is its name without the hash of the template, which the
/// pod has as a label; CronJobs name their Jobs by a number.
fn controller(pod: &Pod, name: &str) -> (String, String) {
    let owners = pod.metadata.owner_references.iter().flatten();
    let Some(owner) = owners
        .into_iter()
        .find(|owner| owner.controller == Some(true))
    else {
        return ("Pod".to_owned(), name.to_owned());
    };
    let hash = pod
        .metadata
        .labels
        .as_ref()
        .and_then(|labels| labels.get("pod-template-hash"));
    if owner.kind == "ReplicaSet"
        && let Some(deployment) = hash
            .and_then(|hash| owner.name.strip_suffix(hash.as_str()))
            .and_then(|name| name.strip_suffix('-'))
    {
        return ("Deployment".to_owned(), deployment.to_owned());
    }
    (owner.kind.clone(), owner.name.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(value: serde_json::Value) -> PodInfo {
        PodInfo::new(&serde_json::from_value(value).unwrap())
    }

    #[test]
    fn reads_a_native_sidecar() {
        let info = pod(json!({
            "metadata": {
                "name": "reviews-v1-7d9c-x2", "namespace": "shop",
                "labels": {"app": "reviews", "pod-template-hash": "7d9c"},
                "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "reviews-v1-7d9c", "uid": "1", "controller": true}],
            },
            "spec": {
                "initContainers": [
                    {"name": "istio-init"},
                    {"name": "istio-proxy", "restartPolicy": "Always", "env": [{"name": "MESH_WORKLOAD", "value": "x"}]},
                ],
                "containers": [{"name": "reviews", "image": "r:1"}],
            },
            "status": {"phase": "Running", "podIP": "10.1.2.3", "conditions": [{"type": "Ready", "status": "True"}]},
        }));
        assert_eq!(info.kind, PodKind::Sidecar);
        assert_eq!(info.container, "reviews");
        assert_eq!(info.containers, ["istio-proxy", "reviews"]);
        assert_eq!(info.controller.0, "Deployment");
        assert_eq!(info.workload(), "shop/reviews-v1");
        assert!(info.ready && info.alive());
        assert_eq!(info.address, Some("10.1.2.3".parse().unwrap()));
    }

    #[test]
    fn tells_gateways_from_sidecars_and_ours_from_others() {
        let proxy = json!({"name": "istio-proxy", "env": [{"name": "MESH_WORKLOAD"}]});
        for (containers, kind, app) in [
            (json!([proxy]), PodKind::Gateway, "istio-proxy"),
            (json!([proxy, {"name": "app"}]), PodKind::Sidecar, "app"),
            (
                json!([{"name": "istio-proxy"}, {"name": "app"}]),
                PodKind::Outside,
                "app",
            ),
            (json!([{"name": "app"}]), PodKind::Outside, "app"),
        ] {
            let info = pod(json!({"metadata": {"name": "a"}, "spec": {"containers": containers}}));
            assert_eq!((info.kind, info.container.as_str()), (kind, app));
            assert_eq!(info.controller, ("Pod".to_owned(), "a".to_owned()));
        }
    }

    #[test]
    fn a_pod_that_ends_is_neither_ready_nor_alive() {
        let info = pod(json!({
            "metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"containers": []},
            "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
        }));
        assert!(!info.ready && !info.alive());
        assert_eq!(info.phase, "Terminating");
    }
}
