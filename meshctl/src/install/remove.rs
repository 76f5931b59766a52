//! Taking the mesh away.

use std::collections::BTreeSet;

use kube::ResourceExt as _;
use kube::api::ListParams;

use super::InstallError;
use super::apply::{Installer, REVISION_LABEL};
use super::plan::{label, prune};
use super::record::{Record, label_of};
use crate::cluster::{Cluster, ObjectRef};

/// Secret of the authority.
const AUTHORITY: &str = "mesh-ca";
/// Where replicas confer while the root is replaced; it is there only then.
const ROTATION: &str = "mesh-ca-rotation";
/// Where replicas tell by which keys they sign.
const SIGNERS: &str = "mesh-ca-signers";
/// ConfigMap with the roots, in every namespace.
const ROOTS: &str = "mesh-ca-root-cert";

/// What removing a revision, or everything, takes away.
#[derive(Clone, Debug, PartialEq)]
pub struct Removal {
    /// The revisions.
    pub revisions: Vec<Record>,
    /// What else goes.
    pub purged: Vec<ObjectRef>,
    /// What stays, in words.
    pub stays: Vec<String>,
    /// Pods that have a sidecar of these revisions, by namespace and name.
    pub meshed: Vec<String>,
}

// === impl Removal ===

impl Removal {
    /// Finds out what goes and what stays. `purge` takes also what holds state, once no revision
    /// is left.
    ///
    /// # Errors
    /// If the cluster does not answer.
    pub async fn plan(
        cluster: &Cluster,
        revisions: Vec<Record>,
        all: &[Record],
        purge: bool,
    ) -> Result<Self, InstallError> {
        let names: BTreeSet<&str> = revisions.iter().map(|one| one.revision.as_str()).collect();
        let left: Vec<&str> = all
            .iter()
            .map(|one| one.revision.as_str())
            .filter(|one| !names.contains(one))
            .collect();
        let namespace = revisions.first().map_or("", |one| one.namespace.as_str());
        let meshed = meshed_pods(cluster, &names).await?;
        let (mut purged, mut stays) = (Vec::new(), Vec::new());
        if !left.is_empty() {
            stays.push(format!(
                "revision {} and what all revisions share: the authority's keys, roots, CRDs",
                left.join(", ")
            ));
        } else if purge {
            purged = shared(cluster, namespace).await?;
            stays.push(format!(
                "Namespace {namespace}, and CRDs that something else has installed"
            ));
        } else {
            stays.push(format!(
                "Secret {namespace}/{AUTHORITY} (the authority's keys), ConfigMaps {ROOTS}, the CRDs and all configuration, Namespace {namespace}; --purge removes them except the namespace"
            ));
        }
        Ok(Self {
            revisions,
            purged,
            stays,
            meshed,
        })
    }

    /// Takes it away.
    ///
    /// # Errors
    /// If the cluster refuses.
    pub async fn carry_out(
        &self,
        cluster: &Cluster,
        installer: &mut Installer<'_>,
    ) -> Result<(), InstallError> {
        for record in &self.revisions {
            let mut objects = record.objects.clone();
            objects.extend(tags(cluster, &record.revision).await?);
            installer
                .remove(&prune(&objects, &[]), &record.revision)
                .await?;
            for object in made_by_control_plane(record) {
                installer.remove_one(&object).await?;
            }
            installer.remove_one(&record.name()?).await?;
        }
        for object in &self.purged {
            installer.remove_one(object).await?;
        }
        Ok(())
    }

    /// The question to ask before.
    pub fn question(&self) -> String {
        let names: Vec<&str> = self
            .revisions
            .iter()
            .map(|one| one.revision.as_str())
            .collect();
        let mut text = format!("This removes revision {}", names.join(", "));
        let crds = self
            .purged
            .iter()
            .filter(|one| one.kind == "CustomResourceDefinition")
            .count();
        if !self.purged.is_empty() {
            text.push_str(", the authority's keys and roots");
        }
        if crds > 0 {
            text.push_str(" and, with their CRDs, all objects of Istio's kinds");
        }
        text.push_str(" from the cluster.");
        if !self.meshed.is_empty() {
            let shown: Vec<&str> = self.meshed.iter().take(5).map(String::as_str).collect();
            let more = self.meshed.len() - shown.len();
            text.push_str(&format!(
                "\n{} still have its sidecars and go on with what they know until their certificates expire: {}{}",
                crate::output::count(self.meshed.len() as u64, "pod"),
                shown.join(", "),
                if more > 0 { format!(" and {more} more") } else { String::new() },
            ));
        }
        text
    }
}

/// The objects of tags that point to a revision: they may have come after it.
async fn tags(cluster: &Cluster, revision: &str) -> Result<Vec<ObjectRef>, InstallError> {
    let selector = format!("app=meshd,istio.io/tag,{REVISION_LABEL}={revision}");
    let mut all = Vec::new();
    for (api_version, kind) in super::tag::KINDS {
        all.extend(cluster.labelled(api_version, kind, "", &selector).await?);
    }
    Ok(all)
}

/// What a control plane makes for its replicas, without labels: the Lease by which they elect
/// their leader, and the last good versions of objects in quarantine.
fn made_by_control_plane(record: &Record) -> [ObjectRef; 2] {
    let object = |api_version: &str, kind: &str, name: &str| ObjectRef {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        namespace: record.namespace.clone(),
        name: format!("{name}{}", record.suffix()),
    };
    [
        object("coordination.k8s.io/v1", "Lease", "mesh-leader"),
        object("v1", "ConfigMap", "mesh-last-good"),
    ]
}

/// What belongs to no revision.
async fn shared(cluster: &Cluster, namespace: &str) -> Result<Vec<ObjectRef>, InstallError> {
    let own = |kind: &str, name: &str| ObjectRef {
        api_version: "v1".to_owned(),
        kind: kind.to_owned(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    };
    let mut all = vec![
        own("Secret", AUTHORITY),
        own("ConfigMap", ROTATION),
        own("ConfigMap", SIGNERS),
    ];
    let namespaces = cluster.labelled("v1", "Namespace", "", "").await?;
    all.extend(namespaces.into_iter().map(|one| ObjectRef {
        api_version: "v1".to_owned(),
        kind: "ConfigMap".to_owned(),
        namespace: one.name,
        name: ROOTS.to_owned(),
    }));
    let ours = "app.kubernetes.io/part-of=mesh";
    all.extend(
        cluster
            .labelled(
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                "",
                ours,
            )
            .await?,
    );
    Ok(all)
}

/// Pods that were injected by one of these revisions.
async fn meshed_pods(
    cluster: &Cluster,
    revisions: &BTreeSet<&str>,
) -> Result<Vec<String>, InstallError> {
    let pods = kube::Api::<k8s_openapi::api::core::v1::Pod>::all(cluster.client().clone())
        .list_metadata(&ListParams::default())
        .await
        .map_err(cluster.failed("list", "pods", None))?;
    Ok(pods
        .into_iter()
        .filter(|pod| {
            let annotations = pod.annotations();
            annotations.contains_key("sidecar.istio.io/status")
                && annotations
                    .get(REVISION_LABEL)
                    .is_some_and(|revision| revisions.contains(revision.as_str()))
                // Gateways go with their revision.
                && annotations.get("inject.istio.io/templates").is_none_or(|one| one != "gateway")
        })
        .map(|pod| format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any()))
        .collect())
}

/// Refuses to touch what another tool manages.
///
/// # Errors
/// If the control plane of the revision is not meshctl's.
pub async fn check_manager(cluster: &Cluster, record: &Record) -> Result<(), InstallError> {
    for object in record.objects.iter().filter(|one| one.kind == "Deployment") {
        let manager = label_of(cluster, object, "app.kubernetes.io/managed-by").await?;
        if let Some(manager) = manager.filter(|manager| manager != "meshctl") {
            return Err(InstallError::Foreign {
                object: label(object),
                next: format!("remove it with {manager}"),
                manager,
            });
        }
    }
    Ok(())
}
