//! What the account of meshd may do, as it was installed: all that the code does, and nothing
//! else.

use std::collections::BTreeSet;

use anyhow::{Context, ensure};
use k8s_openapi::api::authorization::v1::{SelfSubjectAccessReview, SelfSubjectRulesReview};
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;

use crate::place::{self, Place};

const LOOK: &[&str] = &["list", "watch"];
const PATCH: &[&str] = &["patch"];

/// What meshd does: group, resources, name of the only objects (none: all), verbs.
type Needs = (
    &'static str,
    &'static [&'static str],
    Option<&'static str>,
    &'static [&'static str],
);

/// In every namespace.
const EVERYWHERE: &[Needs] = &[
    (
        "",
        &["pods", "services", "nodes", "namespaces", "secrets"],
        None,
        LOOK,
    ),
    ("discovery.k8s.io", &["endpointslices"], None, LOOK),
    ("networking.istio.io", NETWORKING, None, LOOK),
    ("security.istio.io", SECURITY, None, LOOK),
    ("telemetry.istio.io", &["telemetries"], None, LOOK),
    (
        "extensions.istio.io",
        &["trafficextensions", "wasmplugins"],
        None,
        LOOK,
    ),
    (
        "networking.k8s.io",
        &["ingresses", "ingressclasses"],
        None,
        LOOK,
    ),
    (
        "apiextensions.k8s.io",
        &["customresourcedefinitions"],
        None,
        LOOK,
    ),
    (
        "authentication.k8s.io",
        &["tokenreviews"],
        None,
        &["create"],
    ),
    (
        "",
        &["configmaps"],
        Some("mesh-ca-root-cert"),
        &["list", "watch", "patch"],
    ),
    ("", &["configmaps"], None, &["create"]),
    ("admissionregistration.k8s.io", WEBHOOKS, None, LOOK),
    (
        "admissionregistration.k8s.io",
        &["mutatingwebhookconfigurations"],
        Some("mesh-sidecar-injector"),
        PATCH,
    ),
    (
        "admissionregistration.k8s.io",
        &["validatingwebhookconfigurations"],
        Some("mesh-validator"),
        PATCH,
    ),
    // Only if the revision has this tag, which `meshctl install` gives it.
    (
        "admissionregistration.k8s.io",
        WEBHOOKS,
        Some("mesh-revision-tag-default"),
        PATCH,
    ),
];
/// In its own namespace besides.
const AT_HOME: &[Needs] = &[
    ("", &["secrets"], Some("mesh-ca"), &["get", "update"]),
    ("", &["secrets"], Some("cacerts"), &["get"]),
    ("", &["secrets"], None, &["create"]),
    ("", &["configmaps"], Some("mesh"), &["get", "list", "watch"]),
    (
        "",
        &["configmaps"],
        Some("istio"),
        &["get", "list", "watch"],
    ),
    (
        "",
        &["configmaps"],
        Some("istio-mesh"),
        &["get", "list", "watch"],
    ),
    (
        "",
        &["configmaps"],
        Some("mesh-last-good"),
        &["get", "list", "watch", "patch"],
    ),
    (
        "coordination.k8s.io",
        &["leases"],
        Some("mesh-leader"),
        &["get", "list", "watch", "update"],
    ),
    ("coordination.k8s.io", &["leases"], None, &["create"]),
];
const NETWORKING: &[&str] = &[
    "destinationrules",
    "envoyfilters",
    "gateways",
    "proxyconfigs",
    "serviceentries",
    "sidecars",
    "virtualservices",
    "workloadentries",
    "workloadgroups",
];
const SECURITY: &[&str] = &[
    "authorizationpolicies",
    "peerauthentications",
    "requestauthentications",
];
const WEBHOOKS: &[&str] = &[
    "mutatingwebhookconfigurations",
    "validatingwebhookconfigurations",
];
/// Groups whose objects get conditions.
const WITH_STATUS: [&str; 4] = [
    "networking.istio.io",
    "security.istio.io",
    "telemetry.istio.io",
    "extensions.istio.io",
];

/// What would give it the cluster, or another's secrets: group, resource, verb.
const NEVER: &[(&str, &str, &str)] = &[
    ("", "secrets", "get"),
    ("", "secrets", "update"),
    ("", "secrets", "patch"),
    ("", "secrets", "delete"),
    ("", "pods", "create"),
    ("", "pods", "update"),
    ("", "pods", "patch"),
    ("", "pods", "delete"),
    ("", "pods/exec", "create"),
    ("", "pods/attach", "create"),
    ("", "pods/portforward", "create"),
    ("", "pods/ephemeralcontainers", "update"),
    ("", "nodes", "update"),
    ("", "nodes", "patch"),
    ("", "nodes/proxy", "get"),
    ("", "namespaces", "create"),
    ("", "namespaces", "delete"),
    ("", "services", "update"),
    ("", "configmaps", "delete"),
    ("", "configmaps", "get"),
    ("", "serviceaccounts/token", "create"),
    ("", "users", "impersonate"),
    ("", "serviceaccounts", "impersonate"),
    ("apps", "deployments", "create"),
    ("apps", "deployments", "patch"),
    ("apps", "daemonsets", "create"),
    ("batch", "jobs", "create"),
    ("rbac.authorization.k8s.io", "clusterroles", "escalate"),
    ("rbac.authorization.k8s.io", "clusterroles", "bind"),
    ("rbac.authorization.k8s.io", "roles", "escalate"),
    ("rbac.authorization.k8s.io", "clusterrolebindings", "create"),
    ("rbac.authorization.k8s.io", "rolebindings", "create"),
    (
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        "create",
    ),
    ("apiextensions.k8s.io", "customresourcedefinitions", "patch"),
    (
        "certificates.k8s.io",
        "certificatesigningrequests/approval",
        "update",
    ),
    (
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations",
        "create",
    ),
    (
        "admissionregistration.k8s.io",
        "mutatingwebhookconfigurations",
        "patch",
    ),
    ("networking.istio.io", "virtualservices", "patch"),
    ("networking.istio.io", "virtualservices", "delete"),
    ("security.istio.io", "authorizationpolicies", "patch"),
];

#[test]
fn the_account_of_meshd_may_do_what_it_does_and_no_more() -> anyhow::Result<()> {
    place::run("rbac", rbac)
}

async fn rbac(place: &Place) -> anyhow::Result<()> {
    let home = place.cluster.mesh_namespace();
    let meshd = account(home, "meshd").await?;
    let nobody = account(&place.namespace, "default").await?;
    let mut problems = Vec::new();
    let mut counts = Vec::new();
    for (namespace, at_home) in [(place.namespace.as_str(), false), (home, true)] {
        let granted = rules(&meshd, namespace).await?;
        let anybody = rules(&nobody, namespace).await?;
        let granted = granted
            .difference(&anybody)
            .cloned()
            .collect::<BTreeSet<_>>();
        let mut needed = permissions(EVERYWHERE);
        if at_home {
            needed.extend(permissions(AT_HOME));
        }
        let excess = granted
            .difference(&needed)
            .map(|one| format!("{namespace}: not needed: {one}"));
        problems.extend(excess);
        let lacking = needed
            .difference(&granted)
            .map(|one| format!("{namespace}: missing: {one}"));
        problems.extend(lacking);
        counts.push(format!("{} in {namespace}", granted.len()));
    }
    for namespace in [place.namespace.as_str(), "kube-system", home] {
        for what in NEVER {
            if allowed(&meshd, namespace, what).await? {
                let (group, resource, verb) = what;
                problems.push(format!("{namespace}: may {verb} {resource}.{group}"));
            }
        }
    }
    ensure!(
        problems.is_empty(),
        "the roles of meshd are wrong:\n{}",
        problems.join("\n")
    );
    println!(
        "rbac: permissions {}, exactly those needed; {} forbidden ones refused in three namespaces",
        counts.join(", "),
        NEVER.len()
    );
    Ok(())
}

/// A client that acts as a service account.
async fn account(namespace: &str, name: &str) -> anyhow::Result<Client> {
    let options = KubeConfigOptions::default();
    let mut config = Config::from_custom_kubeconfig(Kubeconfig::read()?, &options).await?;
    config.auth_info.impersonate = Some(format!("system:serviceaccount:{namespace}:{name}"));
    config.auth_info.impersonate_groups = Some(vec![
        "system:serviceaccounts".to_owned(),
        format!("system:serviceaccounts:{namespace}"),
        "system:authenticated".to_owned(),
    ]);
    Ok(Client::try_from(config)?)
}

/// All that it may do in a namespace, as `verb resource.group [name]`.
async fn rules(client: &Client, namespace: &str) -> anyhow::Result<BTreeSet<String>> {
    let api: Api<SelfSubjectRulesReview> = Api::all(client.clone());
    let asked = serde_json::from_value(json!({"spec": {"namespace": namespace}}))?;
    let review = api.create(&PostParams::default(), &asked).await?;
    let status = review.status.context("a review has a status")?;
    ensure!(!status.incomplete, "the API server does not tell all rules");
    let mut all = BTreeSet::new();
    for rule in status.resource_rules {
        let names = match rule.resource_names {
            Some(names) if !names.is_empty() => names.into_iter().map(Some).collect(),
            _ => vec![None],
        };
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for name in &names {
                    let verbs = rule.verbs.iter();
                    all.extend(
                        verbs.map(|verb| permission(group, resource, name.as_deref(), verb)),
                    );
                }
            }
        }
    }
    Ok(all)
}

fn permissions(needs: &[Needs]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for (group, resources, name, verbs) in needs {
        for resource in *resources {
            for verb in *verbs {
                all.insert(permission(group, resource, *name, verb));
            }
            if WITH_STATUS.contains(group) {
                all.insert(permission(
                    group,
                    &format!("{resource}/status"),
                    None,
                    "patch",
                ));
            }
        }
    }
    all
}

fn permission(group: &str, resource: &str, name: Option<&str>, verb: &str) -> String {
    let group = if group.is_empty() { "core" } else { group };
    match name {
        Some(name) => format!("{verb} {resource}.{group} {name}"),
        None => format!("{verb} {resource}.{group}"),
    }
}

async fn allowed(
    client: &Client,
    namespace: &str,
    (group, resource, verb): &(&str, &str, &str),
) -> anyhow::Result<bool> {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let asked = serde_json::from_value(json!({"spec": {"resourceAttributes": {
        "namespace": namespace,
        "group": group,
        "resource": resource,
        "subresource": subresource,
        "verb": verb,
    }}}))?;
    let api: Api<SelfSubjectAccessReview> = Api::all(client.clone());
    let review = api.create(&PostParams::default(), &asked).await?;
    Ok(review.status.is_some_and(|status| status.allowed))
}
