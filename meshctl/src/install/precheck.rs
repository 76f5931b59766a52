//! Whether an installation can go well: looked at before anything is changed.

use futures_util::future::join_all;
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::Api;
use kube::api::PostParams;

use super::InstallError;
use super::plan::{DEFAULT_TAG, Plan};
use crate::cluster::{Cluster, ClusterError, ObjectRef};

/// The oldest Kubernetes that has everything that is needed: native sidecars are on since 1.29.
const OLDEST: (u32, u32) = (1, 29);

/// Something that the user must be allowed to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Permission {
    /// API group, empty for the core.
    pub group: String,
    /// In the plural.
    pub resource: String,
    /// Empty for the whole cluster.
    pub namespace: String,
    /// Verb of RBAC.
    pub verb: &'static str,
}

/// What there is on the cluster.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// As the API server says it: `v1.36.2`.
    pub server_version: String,
    /// What the user may not do.
    pub denied: Vec<Permission>,
    /// Istio's webhook for injection, if it is there.
    pub istio: Option<String>,
    /// The revision that has the tag `default`.
    pub default_revision: Option<String>,
    /// Who manages the control plane of this revision, if it is there.
    pub manager: Option<String>,
}

/// What follows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    /// Whether this revision takes what names none.
    pub default_revision: bool,
    /// What the user should know.
    pub notices: Vec<String>,
    /// Why it cannot go well.
    pub problems: Vec<String>,
}

/// Decides. `asked` is `defaultRevision`, if the user has set it.
pub fn decide(found: &Found, revision: &str, asked: Option<bool>) -> Decision {
    let mut decision = Decision::default();
    match version(&found.server_version) {
        Some(version) if version < OLDEST => decision.problems.push(format!(
            "the cluster runs Kubernetes {}, and the mesh needs {}.{} or newer: upgrade the cluster",
            found.server_version, OLDEST.0, OLDEST.1
        )),
        Some(_) => {}
        None => decision.notices.push(format!(
            "the cluster's version {} is not understood; going on",
            found.server_version
        )),
    }
    if !found.denied.is_empty() {
        decision.problems.push(format!(
            "you may not {}: use an account that may, for example one with the role cluster-admin",
            sentence(&found.denied)
        ));
    }
    if let Some(manager) = found
        .manager
        .as_deref()
        .filter(|manager| *manager != "meshctl")
    {
        decision.problems.push(format!(
            "revision {revision} was installed with {manager}: go on with it, or remove the mesh with it first"
        ));
    }
    let other = found
        .default_revision
        .as_deref()
        .filter(|other| *other != revision);
    decision.default_revision = match (asked, other, &found.istio) {
        (Some(asked), _, _) => asked,
        (None, Some(other), _) => {
            decision.notices.push(format!(
                "revision {other} is the default: this one takes only what is labelled istio.io/rev={revision} (`meshctl tag set {DEFAULT_TAG} --revision {revision}` changes it)"
            ));
            false
        }
        (None, None, Some(webhook)) => {
            decision.notices.push(format!(
                "Istio is on this cluster (webhook {webhook}): istio-injection=enabled stays Istio's, and this mesh takes only what is labelled istio.io/rev={revision} (--set defaultRevision=true changes it)"
            ));
            false
        }
        (None, None, None) => true,
    };
    decision
}

/// The most kinds that are named.
const NAMED: usize = 5;

/// `create, patch services in namespace x; …`, a few of them.
fn sentence(denied: &[Permission]) -> String {
    let mut kinds: Vec<(String, Vec<&str>)> = Vec::new();
    for one in denied {
        let resource = match one.group.as_str() {
            "" => one.resource.clone(),
            group => format!("{}.{group}", one.resource),
        };
        let kind = match one.namespace.as_str() {
            "" => resource,
            namespace => format!("{resource} in namespace {namespace}"),
        };
        match kinds.last_mut() {
            Some((last, verbs)) if *last == kind => verbs.push(one.verb),
            _ => kinds.push((kind, vec![one.verb])),
        }
    }
    let more = kinds.len().saturating_sub(NAMED);
    let mut text = kinds
        .iter()
        .take(NAMED)
        .map(|(kind, verbs)| format!("{} {kind}", verbs.join(", ")))
        .collect::<Vec<_>>()
        .join("; ");
    if more > 0 {
        text.push_str(&format!("; and {more} more kinds"));
    }
    text
}

/// Major and minor of `v1.29.3-gke.1`.
fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.trim_start_matches('v').split('.');
    let mut number = || {
        let part = parts.next()?;
        let end = part
            .find(|c: char| !c.is_ascii_digit())
            .unwrap_or(part.len());
        part.get(..end)?.parse().ok()
    };
    Some((number()?, number()?))
}

/// What it takes to install a plan.
pub fn needed(plan: &Plan) -> Result<Vec<Permission>, InstallError> {
    let mut all = Vec::new();
    for object in plan.objects()? {
        for verb in ["get", "create", "patch", "delete"] {
            all.push(Permission {
                group: group(&object.api_version).to_owned(),
                resource: plural(&object.kind),
                namespace: object.namespace.clone(),
                verb,
            });
        }
    }
    for (resource, group) in [
        ("namespaces", ""),
        ("customresourcedefinitions", "apiextensions.k8s.io"),
    ] {
        for verb in ["get", "create", "patch"] {
            all.push(Permission {
                group: group.to_owned(),
                resource: resource.to_owned(),
                namespace: String::new(),
                verb,
            });
        }
    }
    all.sort();
    all.dedup();
    Ok(all)
}

fn group(api_version: &str) -> &str {
    api_version.split_once('/').map_or("", |(group, _)| group)
}

/// Of the kinds that the charts have.
fn plural(kind: &str) -> String {
    let lower = kind.to_ascii_lowercase();
    match lower.strip_suffix('y') {
        Some(stem) => format!("{stem}ies"),
        None => format!("{lower}s"),
    }
}

/// Looks at the cluster.
///
/// # Errors
/// If it does not answer.
pub async fn look(cluster: &Cluster, plan: &Plan) -> Result<Found, InstallError> {
    let server_version = cluster.server_version().await?;
    let denied = denied(cluster, needed(plan)?).await?;
    if !denied.is_empty() {
        // The rest would only fail in other words.
        return Ok(Found {
            server_version,
            denied,
            ..Found::default()
        });
    }
    let webhook = |name: &str| ObjectRef {
        api_version: "admissionregistration.k8s.io/v1".to_owned(),
        kind: "MutatingWebhookConfiguration".to_owned(),
        namespace: String::new(),
        name: name.to_owned(),
    };
    let tag = webhook(&format!("mesh-revision-tag-{DEFAULT_TAG}"));
    let istio = webhook("istio-sidecar-injector");
    let deployment = plan
        .objects()?
        .into_iter()
        .find(|object| object.kind == "Deployment" && object.name.starts_with("meshd"));
    let manager = match deployment {
        Some(object) => {
            super::record::label_of(cluster, &object, "app.kubernetes.io/managed-by").await?
        }
        None => None,
    };
    Ok(Found {
        server_version,
        denied,
        istio: cluster.read(&istio).await?.map(|_| istio.name),
        default_revision: super::record::label_of(cluster, &tag, "istio.io/rev").await?,
        manager,
    })
}

async fn denied(
    cluster: &Cluster,
    needed: Vec<Permission>,
) -> Result<Vec<Permission>, ClusterError> {
    let everything = Permission {
        group: "*".to_owned(),
        resource: "*".to_owned(),
        namespace: String::new(),
        verb: "*",
    };
    if allowed(cluster, &everything).await? {
        return Ok(Vec::new());
    }
    let answers = join_all(needed.iter().map(|one| allowed(cluster, one))).await;
    let mut denied = Vec::new();
    for (one, answer) in needed.into_iter().zip(answers) {
        if !answer? {
            denied.push(one);
        }
    }
    Ok(denied)
}

async fn allowed(cluster: &Cluster, permission: &Permission) -> Result<bool, ClusterError> {
    let api: Api<SelfSubjectAccessReview> = Api::all(cluster.client().clone());
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: Some(permission.group.clone()),
                resource: Some(permission.resource.clone()),
                namespace: Some(permission.namespace.clone()),
                verb: Some(permission.verb.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let answer = api
        .create(&PostParams::default(), &review)
        .await
        .map_err(cluster.failed(
            "create",
            "selfsubjectaccessreviews.authorization.k8s.io",
            None,
        ))?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Found {
        Found {
            server_version: "v1.36.2".to_owned(),
            ..Found::default()
        }
    }

    fn denied(group: &str, resource: &str, namespace: &str, verb: &'static str) -> Permission {
        Permission {
            group: group.to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.to_owned(),
            verb,
        }
    }

    #[test]
    fn of_many_missing_permissions_some_are_named() {
        let all: Vec<Permission> = ["a", "b", "c", "d", "e", "f", "g"]
            .map(|resource| denied("", resource, "", "get"))
            .to_vec();
        assert_eq!(
            sentence(&all),
            "get a; get b; get c; get d; get e; and 2 more kinds"
        );
    }

    #[test]
    fn an_empty_cluster_gets_the_default_revision() {
        let decision = decide(&found(), "mesh", None);
        assert_eq!(
            decision,
            Decision {
                default_revision: true,
                ..Decision::default()
            }
        );
    }

    #[test]
    fn who_is_default_already_stays_so_unless_asked() {
        let istio = Found {
            istio: Some("istio-sidecar-injector".to_owned()),
            ..found()
        };
        let other = Found {
            default_revision: Some("old".to_owned()),
            ..found()
        };
        for (found, want) in [
            (&istio, "stays Istio's"),
            (&other, "revision old is the default"),
        ] {
            let decision = decide(found, "mesh", None);
            assert!(!decision.default_revision);
            assert!(decision.notices[0].contains(want), "{:?}", decision.notices);
            let decision = decide(found, "mesh", Some(true));
            assert!(decision.default_revision && decision.notices.is_empty());
        }
        let same = Found {
            istio: istio.istio,
            ..found()
        };
        assert!(decide(&other, "old", None).default_revision);
        assert!(!decide(&same, "old", None).default_revision);
    }

    #[test]
    fn what_cannot_work_is_a_problem() {
        for (found, want) in [
            (
                Found {
                    server_version: "v1.28.15-gke.1".to_owned(),
                    ..Found::default()
                },
                "needs 1.29 or newer",
            ),
            (
                Found {
                    denied: vec![
                        denied("apps", "deployments", "istio-system", "create"),
                        denied("apps", "deployments", "istio-system", "patch"),
                        denied("", "namespaces", "", "get"),
                    ],
                    ..found()
                },
                "you may not create, patch deployments.apps in namespace istio-system; get namespaces: use an account",
            ),
            (
                Found {
                    manager: Some("Helm".to_owned()),
                    ..found()
                },
                "installed with Helm",
            ),
        ] {
            let decision = decide(&found, "mesh", None);
            assert!(
                decision.problems[0].contains(want),
                "{:?}",
                decision.problems
            );
        }
    }

    #[test]
    fn versions_of_all_sorts_are_read() {
        for (text, want) in [
            ("v1.29.0", Some((1, 29))),
            ("v1.31+", Some((1, 31))),
            ("v1.30.5-eks-1", Some((1, 30))),
            ("1", None),
            ("unknown", None),
        ] {
            assert_eq!(version(text), want, "{text}");
        }
    }

    #[test]
    fn plurals_are_right() {
        for (kind, want) in [
            ("NetworkPolicy", "networkpolicies"),
            ("ConfigMap", "configmaps"),
            ("HorizontalPodAutoscaler", "horizontalpodautoscalers"),
        ] {
            assert_eq!(plural(kind), want);
        }
    }
}
