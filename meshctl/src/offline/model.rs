//! The proxies of a mesh as they would be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesh_api::v1::{DiscoveryResponse, Node, ProxyKind, Resource};
use mesh_api::{InvalidSpiffeId, InvalidWorkloadName, ResourceName, SpiffeId};
use mesh_proxy_core::{ClientInfo, Snapshot};
use meshd_core::{ScopeError, WorkloadKind, WorkloadView, World, translate};

/// A compiled configuration that one can ask as if proxies ran it.
#[derive(Debug)]
pub struct Model {
    world: World,
}

/// Why there is no such proxy.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// No such workload.
    #[error("no workload is called `{name}`; the configuration has {known}")]
    NoWorkload {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// Several have the name in different namespaces.
    #[error("`{name}` fits several workloads, {candidates}: name one of them in full")]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// What fits.
        candidates: String,
    },
    /// It has no identity.
    #[error(
        "{workload} has no identity, so no proxy could stand for it: give its WorkloadEntry a serviceAccount"
    )]
    NoIdentity {
        /// The workload.
        workload: String,
    },
    /// It could not connect.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// Its name.
    #[error(transparent)]
    Name(#[from] InvalidWorkloadName),
    /// Its identity.
    #[error(transparent)]
    Identity(#[from] InvalidSpiffeId),
    /// What was compiled is refused by the proxy: a defect of the mesh.
    #[error(
        "the proxy would refuse what the control plane compiles for {resource}: {reason}; please report this as a defect"
    )]
    Refused {
        /// The resource.
        resource: String,
        /// Why.
        reason: String,
    },
}

// === impl Model ===

impl Model {
    /// Asks a compiled configuration.
    pub fn new(world: World) -> Self {
        Self { world }
    }

    /// A workload by its full name, or by its name alone if that is clear.
    ///
    /// # Errors
    /// If none or several fit.
    pub fn workload(&self, name: &str) -> Result<WorkloadView, ModelError> {
        let all = self.world.workloads().collect::<Vec<_>>();
        let exact = |w: &&WorkloadView| w.uid == name;
        let short = |w: &&WorkloadView| w.name == name;
        let app = |w: &&WorkloadView| w.labels.get("app").is_some_and(|app| app == name);
        let list = |workloads: &[&WorkloadView]| {
            workloads
                .iter()
                .map(|w| w.uid.as_str())
                .collect::<Vec<_>>()
                .join(", ")
        };
        let filters: [&dyn Fn(&&WorkloadView) -> bool; 3] = [&exact, &short, &app];
        for fits in filters {
            match all.iter().filter(fits).collect::<Vec<_>>().as_slice() {
                [] => {}
                [one] => return Ok((*one).clone()),
                several => {
                    return Err(ModelError::Ambiguous {
                        name: name.to_owned(),
                        candidates: list(several),
                    });
                }
            }
        }
        Err(ModelError::NoWorkload {
            name: name.to_owned(),
            known: list(&all.iter().collect::<Vec<_>>()),
        })
    }

    /// Whether a workload is a gateway: Gateway objects select it.
    pub fn is_gateway(&self, workload: &WorkloadView) -> bool {
        let snapshot = self.snapshot(
            workload,
            ProxyKind::Gateway,
            BTreeSet::from([ResourceName::Gateway]),
        );
        snapshot.is_ok_and(|(snapshot, _)| {
            snapshot
                .gateway()
                .is_some_and(|gateway| !gateway.listeners.is_empty())
        })
    }

    /// The configuration that the workload's proxy would hold if it subscribed to these.
    ///
    /// # Errors
    /// If no proxy could stand for the workload.
    pub fn snapshot(
        &self,
        workload: &WorkloadView,
        kind: ProxyKind,
        mut roots: BTreeSet<ResourceName>,
    ) -> Result<(Snapshot, ClientInfo), ModelError> {
        // A proxy names its own pod, not the Deployment; an endpoint without an object has a name
        // only.
        let name = match workload.kind {
            WorkloadKind::Pod | WorkloadKind::Entry => workload.uid.clone(),
            WorkloadKind::Endpoint => format!("{}/{}", workload.namespace, workload.name),
        };
        if workload.identity.is_empty() {
            return Err(ModelError::NoIdentity { workload: name });
        }
        let identity: SpiffeId = workload.identity.parse()?;
        let node = Node {
            workload: name.clone(),
            kind: kind.into(),
            labels: workload.labels.clone().into_iter().collect(),
            addresses: workload
                .address
                .parse::<std::net::IpAddr>()
                .map(|ip| ip.to_string())
                .into_iter()
                .collect(),
            ..Node::default()
        };
        let scope = self.world.scope(&node, &identity)?;
        roots.insert(ResourceName::Mesh);
        let resources: BTreeMap<ResourceName, Arc<Resource>> =
            translate(&self.world, &scope, &roots);
        let response = DiscoveryResponse {
            nonce: "1".to_owned(),
            revision: 1,
            digest: self.world.digest().to_owned(),
            upsert: resources.into_values().map(Arc::unwrap_or_clone).collect(),
            removed: Vec::new(),
        };
        let applied = Snapshot::empty().apply(&response);
        if let Some(refused) = applied.rejected.into_iter().next() {
            return Err(ModelError::Refused {
                resource: refused.resource,
                reason: refused.reason,
            });
        }
        let client = ClientInfo {
            workload: name.parse()?,
            identity: Some(identity),
            labels: workload.labels.clone(),
            cluster: String::new(),
        };
        Ok((applied.snapshot, client))
    }
}

#[cfg(test)]
mod tests {
    use meshd_core::{MeshSettings, Store};

    use super::*;

    #[test]
    fn stands_for_the_pod_and_not_for_its_deployment() {
        let mut store = Store::new();
        store.set_file(
            "pod.yaml",
            "
apiVersion: v1
kind: Pod
metadata:
  name: web-5d9-x2x
  namespace: shop
  labels: { app: web, service.istio.io/canonical-name: web }
  ownerReferences: [{ kind: ReplicaSet, name: web-5d9, controller: true }]
spec: { serviceAccountName: web, containers: [] }
status: { phase: Running, podIP: 10.0.0.1 }
",
        );
        let model = Model::new(store.world(&MeshSettings::default()));
        let pod = model.workload("shop/web-5d9-x2x").unwrap();
        let roots = BTreeSet::new();
        let (_, client) = model.snapshot(&pod, ProxyKind::Sidecar, roots).unwrap();
        assert_eq!(client.workload.to_string(), "shop/web-5d9-x2x");
    }
}
