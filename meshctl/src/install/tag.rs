//! Revision tags: names for revisions that namespaces are labelled with, and that can be moved.

use std::collections::BTreeMap;

use kube::ResourceExt as _;
use kube::api::ListParams;
use serde::Serialize;
use serde_json::json;

use super::InstallError;
use super::apply::{Installer, REVISION_LABEL};
use super::chart::{Chart, TAGS_TEMPLATE};
use super::plan::DEFAULT_TAG;
use super::record::Record;
use super::values;
use crate::cluster::{Cluster, ObjectRef};

/// Label of a tag's objects; its value is the tag.
const TAG_LABEL: &str = "istio.io/tag";
/// The kinds that a tag consists of, webhooks first.
pub const KINDS: [(&str, &str); 4] = [
    (
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
    ),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
    ),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole"),
];

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Tag {
    /// Its name.
    pub tag: String,
    /// The revision that it stands for.
    pub revision: String,
    /// Namespaces that use it.
    pub namespaces: Vec<String>,
}

/// All tags, by name.
///
/// # Errors
/// If the cluster does not answer.
pub async fn all(cluster: &Cluster) -> Result<Vec<Tag>, InstallError> {
    let (api_version, kind) = (
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
    );
    let found = cluster
        .labelled(api_version, kind, "", &format!("app=meshd,{TAG_LABEL}"))
        .await?;
    let labels = namespace_labels(cluster).await?;
    let mut tags = Vec::new();
    for object in found {
        let Some(webhook) = cluster.read(&object).await? else {
            continue;
        };
        let label = |name: &str| webhook.labels().get(name).cloned().unwrap_or_default();
        let (tag, revision) = (label(TAG_LABEL), label(REVISION_LABEL));
        tags.push(Tag {
            namespaces: users(&tag, &labels),
            tag,
            revision,
        });
    }
    tags.sort_by(|left, right| left.tag.cmp(&right.tag));
    Ok(tags)
}

type Labels = BTreeMap<String, String>;

async fn namespace_labels(cluster: &Cluster) -> Result<Vec<(String, Labels)>, InstallError> {
    let api: kube::Api<k8s_openapi::api::core::v1::Namespace> =
        kube::Api::all(cluster.client().clone());
    let all = api
        .list_metadata(&ListParams::default())
        .await
        .map_err(cluster.failed("list", "namespaces", None))?;
    Ok(all
        .into_iter()
        .map(|one| (one.name_any(), one.labels().clone()))
        .collect())
}

/// Namespaces that a tag decides about.
fn users(tag: &str, namespaces: &[(String, Labels)]) -> Vec<String> {
    namespaces
        .iter()
        .filter(|(_, labels)| {
            let has = |name: &str, value: &str| labels.get(name).is_some_and(|one| one == value);
            has(REVISION_LABEL, tag) || (tag == DEFAULT_TAG && has("istio-injection", "enabled"))
        })
        .map(|(name, _)| name.clone())
        .collect()
}

/// Lets a tag stand for a revision.
///
/// # Errors
/// If the cluster refuses.
pub async fn set(
    tag: &str,
    record: &Record,
    installer: &mut Installer<'_>,
) -> Result<(), InstallError> {
    let mut overrides = record.overrides.clone();
    if let Some(map) = overrides.as_object_mut() {
        map.shift_remove("gateway");
    }
    values::merge(
        &mut overrides,
        &json!({"revision": record.revision, "revisionTags": [tag], "defaultRevision": false}),
    );
    let chart = Chart::mesh()?;
    let merged = chart.values(&overrides)?;
    let objects = chart
        .render_file(TAGS_TEMPLATE, &record.namespace, &merged)?
        .objects;
    installer.apply(&objects).await?;
    installer.wait_for_trust(&objects).await
}

/// Removes a tag.
///
/// # Errors
/// If there is none of that name, or the cluster refuses.
pub async fn remove(
    cluster: &Cluster,
    tag: &str,
    installer: &mut Installer<'_>,
) -> Result<(), InstallError> {
    let mut objects: Vec<ObjectRef> = Vec::new();
    for (api_version, kind) in KINDS {
        let selector = format!("app=meshd,{TAG_LABEL}={tag}");
        objects.extend(cluster.labelled(api_version, kind, "", &selector).await?);
    }
    if objects.is_empty() {
        let there = all(cluster).await?.into_iter().map(|one| one.tag).collect();
        return Err(InstallError::NoTag {
            tag: tag.to_owned(),
            there,
        });
    }
    for object in &objects {
        installer.remove_one(object).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_used_by_label_and_the_default_by_injection_too() {
        let namespaces = [
            ("one", REVISION_LABEL, "prod"),
            ("two", "istio-injection", "enabled"),
            ("three", REVISION_LABEL, "default"),
            ("four", "istio-injection", "disabled"),
        ]
        .map(|(name, key, value)| {
            (
                name.to_owned(),
                Labels::from([(key.to_owned(), value.to_owned())]),
            )
        });
        assert_eq!(users("prod", &namespaces), ["one"]);
        assert_eq!(users("default", &namespaces), ["two", "three"]);
        assert!(users("other", &namespaces).is_empty());
    }

    #[test]
    fn only_the_default_tag_takes_what_names_no_revision() {
        let chart = Chart::mesh().unwrap();
        for (tag, webhooks, kinds) in [("prod", 2, 3), ("default", 4, 4)] {
            let merged = chart
                .values(&json!({"revisionTags": [tag], "defaultRevision": false}))
                .unwrap();
            let objects = chart
                .render_file(TAGS_TEMPLATE, "n", &merged)
                .unwrap()
                .objects;
            assert_eq!(objects.len(), kinds, "{tag}");
            assert_eq!(
                objects[0]["metadata"]["name"],
                format!("mesh-revision-tag-{tag}")
            );
            assert_eq!(objects[0]["webhooks"].as_array().unwrap().len(), webhooks);
        }
    }
}
