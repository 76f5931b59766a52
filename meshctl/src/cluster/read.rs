//! Everything in a cluster that the configuration of the mesh is made of.

use kube::Api;
use kube::api::{DynamicObject, ListParams};
use kube::core::ApiResource;
use kube::discovery::{Scope, group, verbs};
use serde_json::Value;

use super::objects::rbac_name;
use super::{Cluster, ClusterError};

/// Objects asked for at once.
const PAGE: u32 = 500;
/// Groups all of whose kinds belong to the mesh.
const GROUPS: [&str; 4] = [
    "networking.istio.io",
    "security.istio.io",
    "telemetry.istio.io",
    "gateway.networking.k8s.io",
];
/// Kinds of Kubernetes that count. Secrets are left where they are.
const KINDS: [(&str, &str, &str, &str); 7] = [
    ("", "v1", "Namespace", "namespaces"),
    ("", "v1", "Node", "nodes"),
    ("", "v1", "Service", "services"),
    ("", "v1", "Pod", "pods"),
    ("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices"),
    ("networking.k8s.io", "v1", "Ingress", "ingresses"),
    ("networking.k8s.io", "v1", "IngressClass", "ingressclasses"),
];

/// A kind that can be listed.
#[derive(Clone, Debug)]
pub struct ReadableKind(ApiResource);

/// The kinds that this cluster serves and that the configuration of the mesh is made of.
///
/// # Errors
/// If the API server does not tell which there are.
pub async fn in_force_kinds(cluster: &Cluster) -> Result<Vec<ReadableKind>, ClusterError> {
    let mut kinds = KINDS
        .iter()
        .map(|(group, version, kind, plural)| {
            let version_of = if group.is_empty() {
                (*version).to_owned()
            } else {
                format!("{group}/{version}")
            };
            ReadableKind(ApiResource {
                group: (*group).to_owned(),
                version: (*version).to_owned(),
                api_version: version_of,
                kind: (*kind).to_owned(),
                plural: (*plural).to_owned(),
            })
        })
        .collect::<Vec<_>>();
    for name in GROUPS {
        match group(cluster.client(), name).await {
            Ok(found) => kinds.extend(
                found
                    .recommended_resources()
                    .into_iter()
                    .filter(|(_, capabilities)| {
                        capabilities.supports_operation(verbs::LIST)
                            && matches!(capabilities.scope, Scope::Namespaced | Scope::Cluster)
                    })
                    .map(|(resource, _)| ReadableKind(resource)),
            ),
            // Not installed: there is nothing of it in force.
            Err(kube::Error::Discovery(_)) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(cluster.failed("get", "/apis", None)(error)),
        }
    }
    Ok(kinds)
}

// === impl ReadableKind ===

impl ReadableKind {
    /// Its name as RBAC has it.
    pub fn name(&self) -> String {
        rbac_name(&self.0)
    }

    /// All objects of the kind, whole.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn list(&self, cluster: &Cluster) -> Result<Vec<Value>, ClusterError> {
        let api: Api<DynamicObject> = Api::all_with(cluster.client().clone(), &self.0);
        let mut objects = Vec::new();
        let mut parameters = ListParams::default().limit(PAGE);
        loop {
            let page =
                api.list(&parameters)
                    .await
                    .map_err(cluster.failed("list", &self.name(), None))?;
            for object in page.items {
                let mut value = serde_json::to_value(object)
                    .map_err(|error| ClusterError::Document(error.to_string()))?;
                if let Some(fields) = value.as_object_mut() {
                    // Lists name the kind once, for all.
                    fields.insert("apiVersion".to_owned(), self.0.api_version.clone().into());
                    fields.insert("kind".to_owned(), self.0.kind.clone().into());
                }
                objects.push(value);
            }
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(objects),
            }
        }
    }
}
