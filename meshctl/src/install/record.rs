//! What was installed: a ConfigMap for each revision.

use kube::ResourceExt as _;
use serde_json::{Value, json};

use super::plan::{DEFAULT_REVISION, Plan};
use super::{InstallError, yaml};
use crate::cluster::{Cluster, ObjectRef};

/// Label of the records; its value is the revision.
const LABEL: &str = "mesh.dev/install";

/// A revision that is installed.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its name.
    pub revision: String,
    /// Namespace of its control plane.
    pub namespace: String,
    /// Version of the mesh.
    pub version: String,
    /// What the user has set.
    pub overrides: Value,
    /// Whether there is a gateway with it.
    pub gateway: bool,
    /// What was applied.
    pub objects: Vec<ObjectRef>,
}

// === impl Record ===

impl Record {
    /// The record of a plan that has been carried out.
    ///
    /// # Errors
    /// If an object has no name.
    pub fn of(plan: &Plan) -> Result<Self, InstallError> {
        Ok(Self {
            revision: plan.revision.clone(),
            namespace: plan.namespace.clone(),
            version: plan.version.clone(),
            overrides: plan.overrides.clone(),
            gateway: !plan.gateway.is_empty(),
            objects: plan.objects()?,
        })
    }

    /// What the names of the revision's objects end with.
    pub fn suffix(&self) -> String {
        match self.revision.as_str() {
            DEFAULT_REVISION => String::new(),
            revision => format!("-{revision}"),
        }
    }

    /// The ConfigMap.
    pub fn object(&self) -> Value {
        let objects: Vec<Value> = self
            .objects
            .iter()
            .map(|one| {
                json!({
                    "apiVersion": one.api_version,
                    "kind": one.kind,
                    "namespace": one.namespace,
                    "name": one.name,
                })
            })
            .collect();
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": format!("mesh-install{}", self.suffix()),
                "namespace": self.namespace,
                "labels": {
                    "app": "meshd",
                    "istio.io/rev": self.revision,
                    "app.kubernetes.io/managed-by": "meshctl",
                    "app.kubernetes.io/part-of": "mesh",
                    LABEL: self.revision,
                },
            },
            "data": {
                "version": self.version,
                "gateway": self.gateway.to_string(),
                "values.yaml": yaml::text(&self.overrides),
                "objects.yaml": yaml::text(&Value::Array(objects)),
            },
        })
    }

    /// Its own name.
    ///
    /// # Errors
    /// Never in practice: it has a name.
    pub fn name(&self) -> Result<ObjectRef, InstallError> {
        Ok(ObjectRef::of(&self.object(), "")?)
    }

    /// Reads a ConfigMap.
    ///
    /// # Errors
    /// If somebody has changed it so that it is none any more.
    pub fn parse(object: &Value) -> Result<Self, InstallError> {
        let broken = |what: &str| InstallError::Foreign {
            object: format!(
                "ConfigMap {}",
                object
                    .pointer("/metadata/name")
                    .and_then(Value::as_str)
                    .unwrap_or("mesh-install")
            ),
            manager: "somebody else".to_owned(),
            next: format!("its {what} cannot be read any more: install the revision again"),
        };
        let text = |pointer: &str| object.pointer(pointer).and_then(Value::as_str);
        let document = |pointer: &str, what: &str| -> Result<Value, InstallError> {
            let text = text(pointer).ok_or_else(|| broken(what))?;
            serde_saphyr::from_str(text).map_err(|_| broken(what))
        };
        let objects = document("/data/objects.yaml", "objects.yaml")?;
        let overrides = document("/data/values.yaml", "values.yaml")?;
        Ok(Self {
            revision: text("/metadata/labels/mesh.dev~1install")
                .ok_or_else(|| broken("label"))?
                .to_owned(),
            namespace: text("/metadata/namespace").unwrap_or_default().to_owned(),
            version: text("/data/version").unwrap_or_default().to_owned(),
            gateway: text("/data/gateway") == Some("true"),
            overrides,
            objects: reference_list(&objects).ok_or_else(|| broken("objects.yaml"))?,
        })
    }

    /// All revisions of a namespace, by name.
    ///
    /// # Errors
    /// If the cluster does not answer.
    pub async fn all(cluster: &Cluster, namespace: &str) -> Result<Vec<Self>, InstallError> {
        let mut all = Vec::new();
        for name in cluster
            .labelled("v1", "ConfigMap", namespace, LABEL)
            .await?
        {
            if let Some(object) = cluster.read(&name).await? {
                all.push(Self::parse(&json!(object))?);
            }
        }
        all.sort_by(|left, right| left.revision.cmp(&right.revision));
        Ok(all)
    }

    /// The revision of this name; without a name the only one.
    ///
    /// # Errors
    /// If there is none, or there are several and none is named.
    pub fn select(
        all: Vec<Self>,
        revision: Option<&str>,
        namespace: &str,
    ) -> Result<Self, InstallError> {
        let there: Vec<String> = all.iter().map(|one| one.revision.clone()).collect();
        let namespace = namespace.to_owned();
        match revision {
            Some(revision) => all
                .into_iter()
                .find(|one| one.revision == revision)
                .ok_or_else(|| InstallError::NoRevision {
                    revision: revision.to_owned(),
                    namespace,
                    there,
                }),
            None if all.len() > 1 => Err(InstallError::Several {
                namespace,
                revisions: there,
            }),
            None => all.into_iter().next().ok_or(InstallError::NoRevision {
                revision: DEFAULT_REVISION.to_owned(),
                namespace,
                there,
            }),
        }
    }
}

fn reference_list(list: &Value) -> Option<Vec<ObjectRef>> {
    let field = |one: &Value, name: &str| Some(one.get(name)?.as_str()?.to_owned());
    list.as_array()?
        .iter()
        .map(|one| {
            Some(ObjectRef {
                api_version: field(one, "apiVersion")?,
                kind: field(one, "kind")?,
                namespace: field(one, "namespace")?,
                name: field(one, "name")?,
            })
        })
        .collect()
}

/// The value of a label of an object, if both are there.
///
/// # Errors
/// If the cluster does not answer.
pub async fn label_of(
    cluster: &Cluster,
    object: &ObjectRef,
    label: &str,
) -> Result<Option<String>, InstallError> {
    let found = cluster.read(object).await?;
    Ok(found.and_then(|object| object.labels().get(label).cloned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::plan::Wanted;

    fn record(revision: &str) -> Record {
        let wanted = Wanted {
            namespace: "istio-system".to_owned(),
            overrides: json!({"revision": revision, "tag": "1.0", "meshd": {"env": {"A": "yes"}}}),
            gateway: true,
        };
        Record::of(&wanted.plan().unwrap()).unwrap()
    }

    #[test]
    fn is_read_as_it_was_written() {
        for revision in ["mesh", "canary"] {
            let record = record(revision);
            assert!(record.objects.len() > 10);
            assert_eq!(Record::parse(&record.object()).unwrap(), record);
        }
        assert_eq!(record("mesh").name().unwrap().name, "mesh-install");
        assert_eq!(record("canary").name().unwrap().name, "mesh-install-canary");
    }

    #[test]
    fn one_revision_needs_no_name() {
        let select = |all: &[&str], named| {
            Record::select(
                all.iter().map(|one| record(one)).collect(),
                named,
                "istio-system",
            )
            .map(|found| found.revision)
            .map_err(|error| error.to_string())
        };
        assert_eq!(select(&["a"], None).unwrap(), "a");
        assert_eq!(select(&["a", "b"], Some("b")).unwrap(), "b");
        assert!(
            select(&["a", "b"], None)
                .unwrap_err()
                .contains("name one with --revision (a, b)")
        );
        assert!(
            select(&["a"], Some("c"))
                .unwrap_err()
                .contains("there are: a")
        );
        assert!(select(&[], None).unwrap_err().contains("`meshctl install`"));
    }

    #[test]
    fn a_broken_record_is_named() {
        let mut object = record("mesh").object();
        object["data"]["objects.yaml"] = "{".into();
        let error = Record::parse(&object).unwrap_err().to_string();
        assert!(
            error.contains("mesh-install") && error.contains("objects.yaml"),
            "{error}"
        );
    }
}
