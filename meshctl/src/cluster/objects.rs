//! Objects of any kind: applied by the server, read, removed.

use std::fmt;

use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::discovery::{Scope, pinned_kind};
use kube::{Api, ResourceExt as _};
use serde_json::Value;

use super::{Cluster, ClusterError};

/// Field manager of what this program applies.
const FIELD_MANAGER: &str = "meshctl";

/// An object by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectRef {
    /// `networking.istio.io/v1`.
    pub api_version: String,
    /// `VirtualService`.
    pub kind: String,
    /// Its namespace; empty for kinds without.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// The documents of a YAML text.
///
/// # Errors
/// If it is no YAML.
pub fn documents(text: &str) -> Result<Vec<Value>, ClusterError> {
    let all: Vec<Value> = serde_saphyr::from_multiple(text)
        .map_err(|error| ClusterError::Document(error.to_string()))?;
    Ok(all.into_iter().filter(|one| !one.is_null()).collect())
}

// === impl ObjectRef ===

impl ObjectRef {
    /// The name of a document, in `namespace` unless it names its own.
    ///
    /// # Errors
    /// If it has no apiVersion, kind or name.
    pub fn of(object: &Value, namespace: &str) -> Result<Self, ClusterError> {
        let text = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let needed = |pointer: &str| {
            text(pointer)
                .ok_or_else(|| ClusterError::Document(format!("{} is missing", &pointer[1..])))
        };
        Ok(Self {
            api_version: needed("/apiVersion")?,
            kind: needed("/kind")?,
            namespace: text("/metadata/namespace").unwrap_or_else(|| namespace.to_owned()),
            name: needed("/metadata/name")?,
        })
    }
}

impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind, self.namespace, self.name)
    }
}

// === impl Cluster ===

impl Cluster {
    /// Applies an object by server-side apply, or only has it checked as if it were.
    ///
    /// # Errors
    /// If the API server, or a webhook of it, refuses.
    pub async fn apply(&self, object: &Value, dry_run: bool) -> Result<(), ClusterError> {
        let name = ObjectRef::of(object, self.namespace())?;
        let (api, resource) = self.api(&name).await?;
        let mut parameters = PatchParams::apply(FIELD_MANAGER)
            .force()
            .validation_strict();
        parameters.dry_run = dry_run;
        api.patch(&name.name, &parameters, &Patch::Apply(object))
            .await
            .map(|_| ())
            .map_err(self.failed("patch", &resource, Some(&name.namespace)))
    }

    /// Removes an object. False if it was not there.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn remove(&self, name: &ObjectRef) -> Result<bool, ClusterError> {
        let (api, resource) = self.api(name).await?;
        match api.delete(&name.name, &DeleteParams::default()).await {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(false),
            Err(error) => Err(self.failed("delete", &resource, Some(&name.namespace))(
                error,
            )),
        }
    }

    /// The object, if it is there.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn read(&self, name: &ObjectRef) -> Result<Option<DynamicObject>, ClusterError> {
        let (api, resource) = self.api(name).await?;
        api.get_opt(&name.name)
            .await
            .map_err(self.failed("get", &resource, Some(&name.namespace)))
    }

    /// The names of all objects of a kind in a namespace that have a label.
    ///
    /// # Errors
    /// If the API server refuses.
    pub async fn labelled(
        &self,
        api_version: &str,
        kind: &str,
        namespace: &str,
        selector: &str,
    ) -> Result<Vec<ObjectRef>, ClusterError> {
        let name = |name: String| ObjectRef {
            api_version: api_version.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name,
        };
        let (api, resource) = self.api(&name(String::new())).await?;
        let found = api
            .list(&ListParams::default().labels(selector))
            .await
            .map_err(self.failed("list", &resource, Some(namespace)))?;
        Ok(found.into_iter().map(|one| name(one.name_any())).collect())
    }

    async fn api(&self, name: &ObjectRef) -> Result<(Api<DynamicObject>, String), ClusterError> {
        let (resource, scope) = self.resource(&name.api_version, &name.kind).await?;
        let api = match scope {
            Scope::Namespaced => {
                Api::namespaced_with(self.client().clone(), &name.namespace, &resource)
            }
            Scope::Cluster => Api::all_with(self.client().clone(), &resource),
        };
        Ok((api, rbac_name(&resource)))
    }

    /// How the API server serves a kind. It is asked once.
    async fn resource(
        &self,
        api_version: &str,
        kind: &str,
    ) -> Result<(ApiResource, Scope), ClusterError> {
        let key = (api_version.to_owned(), kind.to_owned());
        if let Some(known) = self.known_kind(&key) {
            return Ok(known);
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let unknown = || ClusterError::UnknownKind {
            context: self.context().to_owned(),
            kind: format!("{api_version}, {kind}"),
        };
        let found = match pinned_kind(self.client(), &gvk).await {
            Ok((resource, capabilities)) => (resource, capabilities.scope),
            Err(kube::Error::Discovery(_)) => return Err(unknown()),
            Err(kube::Error::Api(status)) if status.is_not_found() => return Err(unknown()),
            Err(error) => return Err(self.failed("get", "/apis", None)(error)),
        };
        self.remember_kind(key, &found);
        Ok(found)
    }
}

/// As RBAC names it.
pub(super) fn rbac_name(resource: &ApiResource) -> String {
    if resource.group.is_empty() {
        resource.plural.clone()
    } else {
        format!("{}.{}", resource.plural, resource.group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_documents() {
        let all = documents("kind: A\napiVersion: v1\nmetadata: {name: one}\n---\n# nothing\n---\nkind: B\napiVersion: g/v1\nmetadata: {name: two, namespace: other}\n").unwrap();
        let names = all
            .iter()
            .map(|one| ObjectRef::of(one, "default").unwrap().to_string())
            .collect::<Vec<_>>();
        assert_eq!(names, ["A default/one", "B other/two"]);
        let error = ObjectRef::of(&serde_json::json!({"kind": "A"}), "d").unwrap_err();
        assert!(
            error.to_string().contains("apiVersion is missing"),
            "{error}"
        );
    }
}
