//! What the account of meshd may do, as it was installed: all that it asks of the API server, and
//! nothing else. meshd counts what it asks; the test lets it do everything once.

mod everything;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use anyhow::{Context, bail, ensure};
use k8s_openapi::api::authorization::v1::SelfSubjectRulesReview;
use kube::api::PostParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::json;

use crate::place::{self, Place};

/// Port of metrics.
const METRICS: u16 = 15014;
/// The counter of requests.
const REQUESTS: &str = "mesh_kubernetes_requests_total{";
/// What may be created outside of the own namespace under any name: the roots of every namespace,
/// what tells of objects in quarantine, and questions, which are not stored.
const MAKES_ANYWHERE: [(&str, &str); 3] = [
    ("", "configmaps"),
    ("events.k8s.io", "events"),
    ("authentication.k8s.io", "tokenreviews"),
];

/// Something to do with a kind of objects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Permission {
    verb: String,
    group: String,
    resource: String,
}

/// A permission as it was given: for some names only, or for all if there is none.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Grant {
    permission: Permission,
    names: BTreeSet<String>,
}

/// What was asked, as meshd counts it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Asked {
    permission: Permission,
    /// About one namespace, or about all.
    namespaced: bool,
    code: String,
}

#[test]
fn the_account_of_meshd_may_do_what_it_does_and_no_more() -> anyhow::Result<()> {
    place::run("rbac", rbac)
}

async fn rbac(place: &Place) -> anyhow::Result<()> {
    let home = place.cluster.mesh_namespace();
    let at_home = granted(place, home).await?;
    let elsewhere = granted(place, &place.namespace).await?;
    let excess = unbounded(&at_home, &elsewhere);
    ensure!(
        excess.is_empty(),
        "these permissions should be limited to names:\n{}",
        excess.join("\n")
    );
    let used = everything::with_all_kinds(place, async |optional| {
        everything::happens(place, optional).await?;
        let last = RefCell::new(Vec::new());
        let same = place
            .poll(
                "meshd asks for all that it may, and for no more",
                async || {
                    let used = asked(place).await?;
                    *last.borrow_mut() = differences(&used, &at_home, &elsewhere);
                    Ok(last.borrow().is_empty().then_some(used))
                },
            )
            .await;
        same.with_context(|| last.borrow().join("\n"))
    })
    .await?;
    println!(
        "rbac: {} permissions at home and {} elsewhere, all used, none missing; {} kinds of requests",
        permissions(&at_home).len(),
        permissions(&elsewhere).len(),
        used.len()
    );
    Ok(())
}

/// What differs between what is granted and what is asked.
fn differences(
    used: &BTreeSet<Asked>,
    at_home: &BTreeSet<Grant>,
    elsewhere: &BTreeSet<Grant>,
) -> Vec<String> {
    let (home, anywhere) = (permissions(at_home), permissions(elsewhere));
    let needed: BTreeSet<Permission> = used.iter().flat_map(Asked::needs).collect();
    let of_all: BTreeSet<Permission> = used
        .iter()
        .filter(|asked| !asked.namespaced)
        .flat_map(Asked::needs)
        .collect();
    let mut found = Vec::new();
    found.extend(
        home.difference(&needed)
            .map(|one| format!("granted and not used: {one}")),
    );
    found.extend(
        needed
            .difference(&home)
            .map(|one| format!("asked and not granted: {one}")),
    );
    found.extend(
        of_all
            .difference(&anywhere)
            .map(|one| format!("asked of all namespaces and not granted there: {one}")),
    );
    // What is read of one namespace only needs no ClusterRole.
    let reads = |one: &&Permission| matches!(one.verb.as_str(), "get" | "list" | "watch");
    found.extend(
        anywhere
            .difference(&of_all)
            .filter(reads)
            .map(|one| format!("granted for all namespaces and not used there: {one}")),
    );
    let refused = used
        .iter()
        .filter(|asked| asked.is_refused() && !answered(used, asked));
    found.extend(
        refused.map(|asked| format!("refused with status {}: {}", asked.code, asked.permission)),
    );
    found
}

/// Whether the same was not refused another time. A server that starts refuses what it does not
/// know the roles of yet, and a namespace that ends takes nothing new.
fn answered(used: &BTreeSet<Asked>, refused: &Asked) -> bool {
    used.iter().any(|asked| {
        asked.permission == refused.permission
            && asked.namespaced == refused.namespaced
            && asked.code.starts_with('2')
    })
}

/// Permissions for all names that could do harm to what is not the mesh's.
fn unbounded(at_home: &BTreeSet<Grant>, elsewhere: &BTreeSet<Grant>) -> Vec<String> {
    let harmless = |permission: &Permission, home: bool| {
        let kind = (permission.group.as_str(), permission.resource.as_str());
        match permission.verb.as_str() {
            "list" | "watch" => true,
            "create" => home || MAKES_ANYWHERE.contains(&kind),
            // How often an event was seen.
            "patch" => permission.resource.ends_with("/status") || kind == MAKES_ANYWHERE[1],
            _ => false,
        }
    };
    [(at_home, true), (elsewhere, false)]
        .into_iter()
        .flat_map(|(grants, home)| {
            grants
                .iter()
                .filter(move |grant| grant.names.is_empty() && !harmless(&grant.permission, home))
                .map(|grant| grant.permission.to_string())
        })
        .collect()
}

fn permissions(grants: &BTreeSet<Grant>) -> BTreeSet<Permission> {
    let permissions = grants.iter().map(|grant| grant.permission.clone());
    permissions.collect()
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

/// What meshd was given in a namespace, besides what everybody has.
async fn granted(place: &Place, namespace: &str) -> anyhow::Result<BTreeSet<Grant>> {
    let meshd = account(place.cluster.mesh_namespace(), "meshd").await?;
    let nobody = account(&place.namespace, "default").await?;
    let all = rules(&meshd, namespace).await?;
    let of_everybody = rules(&nobody, namespace).await?;
    Ok(all.difference(&of_everybody).cloned().collect())
}

async fn rules(client: &Client, namespace: &str) -> anyhow::Result<BTreeSet<Grant>> {
    let api: Api<SelfSubjectRulesReview> = Api::all(client.clone());
    let asked = serde_json::from_value(json!({"spec": {"namespace": namespace}}))?;
    let review = api.create(&PostParams::default(), &asked).await?;
    let status = review.status.context("a review has a status")?;
    ensure!(!status.incomplete, "the API server does not tell all rules");
    let mut all = BTreeSet::new();
    for rule in status.resource_rules {
        let names: BTreeSet<String> = rule.resource_names.into_iter().flatten().collect();
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    all.insert(Grant {
                        permission: Permission::new(verb, group, resource),
                        names: names.clone(),
                    });
                }
            }
        }
    }
    Ok(all)
}

/// What all replicas have asked since they started.
async fn asked(place: &Place) -> anyhow::Result<BTreeSet<Asked>> {
    let home = place.cluster.mesh_namespace();
    let pods = place.cluster.list_pods(Some(home), "app=meshd").await?;
    ensure!(!pods.is_empty(), "no meshd runs in {home}");
    let mut all = BTreeSet::new();
    for pod in pods {
        let path = format!(
            "/api/v1/namespaces/{home}/pods/{}:{METRICS}/proxy/metrics",
            pod.name
        );
        let request = http::Request::get(path).body(Vec::new())?;
        let text = place.cluster.client().request_text(request).await?;
        for line in text.lines() {
            if let Some(line) = line.strip_prefix(REQUESTS) {
                all.extend(Asked::parse(line)?);
            }
        }
    }
    Ok(all)
}

// === impl Permission ===

impl Permission {
    fn new(verb: &str, group: &str, resource: &str) -> Self {
        Self {
            verb: verb.to_owned(),
            group: group.to_owned(),
            resource: resource.to_owned(),
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            verb,
            group,
            resource,
        } = self;
        match group.as_str() {
            "" => write!(f, "{verb} {resource}"),
            group => write!(f, "{verb} {resource}.{group}"),
        }
    }
}

// === impl Asked ===

impl Asked {
    /// From labels, `verb="get",…} 5`; nothing if it was about no resource.
    fn parse(line: &str) -> anyhow::Result<Option<Self>> {
        let label = |name: &str| {
            let (_, rest) = line.split_once(&format!("{name}=\""))?;
            Some(rest.split_once('"')?.0.to_owned())
        };
        let (Some(verb), Some(group), Some(resource), Some(scope), Some(code)) = (
            label("verb"),
            label("group"),
            label("resource"),
            label("scope"),
            label("code"),
        ) else {
            bail!("{REQUESTS}{line}: a label is missing");
        };
        Ok((!resource.is_empty()).then_some(Self {
            permission: Permission {
                verb,
                group,
                resource,
            },
            namespaced: scope == "namespace",
            code,
        }))
    }

    /// What it takes: who patches what is not there creates it, by server-side apply.
    fn needs(&self) -> impl Iterator<Item = Permission> + use<> {
        let creates = self.permission.verb == "patch" && self.code == "201";
        let created = Permission {
            verb: "create".to_owned(),
            ..self.permission.clone()
        };
        [self.permission.clone()]
            .into_iter()
            .chain(creates.then_some(created))
    }

    /// Whether it was refused for lack of a right.
    fn is_refused(&self) -> bool {
        matches!(self.code.as_str(), "401" | "403")
    }
}
