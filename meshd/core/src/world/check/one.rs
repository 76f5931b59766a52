//! One object that is about to be stored, against what is in force: the same checks on it alone,
//! so that they cost no World.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesh_api::v1::Problem;
use serde_json::Value;

use super::super::objects::Objects;
use super::super::selection::Selection;
use super::super::services::Linked;
use super::super::{Inner, World};
use crate::ingest;
use crate::model::{GatewayObject, GatewayServer, Meta, Object, VirtualService};
use crate::names;
use crate::problem;

// === impl World ===

impl World {
    /// What would be wrong between an object of an API server and all others, if it were in force
    /// beside or instead of its last version: what it refers to and is not there, and where it
    /// gives way to older ones. The object itself is taken to be right.
    ///
    /// Little is looked at but what it names: this costs far less than a World.
    pub fn findings_of(&self, object: &Value) -> Vec<Problem> {
        let parsed = ingest::parse_object(object);
        let Some(entry) = parsed.entry else {
            return Vec::new();
        };
        let inner = self.inner();
        let meta = entry.object.meta();
        let Some(objects) = around(inner, &entry.object) else {
            return Vec::new();
        };
        let linked = Linked {
            without_address: Vec::new(),
            pods: workloads(inner, meta.namespace()),
            entries: Selection::default(),
        };
        let mut problems = Vec::new();
        super::run(inner, &objects, &linked, (None, &mut problems));
        let unseen = match &entry.object {
            Object::Gateway(gateway) => unseen(inner, gateway),
            _ => BTreeSet::new(),
        };
        problems.retain(|problem| {
            is_of(problem, meta) && !unseen.iter().any(|name| problem.message.starts_with(name))
        });
        problem::sort(&mut problems);
        problems.dedup();
        problems
    }
}

fn is_of(problem: &Problem, meta: &Meta) -> bool {
    problem.origin.as_ref().is_some_and(|origin| {
        (
            origin.kind.as_str(),
            origin.namespace.as_str(),
            origin.name.as_str(),
        ) == (meta.id.kind.name(), meta.namespace(), meta.name())
    })
}

/// The object, and what it may clash with; nothing for kinds that refer to nothing.
fn around(inner: &Inner, object: &Object) -> Option<Objects> {
    let mut objects = Objects::default();
    match object {
        Object::VirtualService(new) => {
            objects.virtual_services = virtual_services(inner, new);
            let named = inner.gateways.iter();
            objects.gateways = named
                .filter(|gateway| new.gateways.contains(&gateway.meta.full_name()))
                .cloned()
                .collect();
        }
        Object::Gateway(new) => {
            let all = inner.gateways.iter().cloned();
            objects.gateways = with(all, new, |gateway| &gateway.meta);
        }
        Object::DestinationRule(new) => objects.destination_rules.push(Arc::clone(new)),
        Object::PeerAuthentication(new) => objects.peer_authentications.push(Arc::clone(new)),
        Object::ResiliencePolicy(new) => objects.resilience_policies.push(Arc::clone(new)),
        Object::AuthorizationPolicy(new) => objects.authorization_policies.push(Arc::clone(new)),
        Object::RequestAuthentication(new) => objects.request_authentications.push(Arc::clone(new)),
        Object::Telemetry(new) => {
            let all = inner.telemetries.all().cloned();
            let near = all.filter(|other| other.meta.namespace() == new.meta.namespace());
            objects.telemetries = with(near, new, |other| &other.meta);
        }
        _ => return None,
    }
    Some(objects)
}

/// A VirtualService and those that speak of one of its hosts, in order of age.
fn virtual_services(inner: &Inner, new: &Arc<VirtualService>) -> Vec<Arc<VirtualService>> {
    let domain = &inner.settings.cluster_domain;
    let mut near: BTreeMap<usize, Arc<VirtualService>> = BTreeMap::new();
    for host in &new.hosts {
        let host = names::resolve(&host.text, new.meta.namespace(), domain);
        let routes = host.and_then(|host| inner.mesh_routes.get(&host));
        for index in routes.into_iter().flatten() {
            if let Some(other) = inner.virtual_services.get(*index) {
                near.insert(*index, Arc::clone(other));
            }
        }
    }
    with(near.into_values(), new, |other| &other.meta)
}

/// The new version in the place of the old one, or as the youngest.
fn with<T>(
    all: impl Iterator<Item = Arc<T>>,
    new: &Arc<T>,
    meta: impl Fn(&T) -> &Meta,
) -> Vec<Arc<T>> {
    let mut replaced = false;
    let mut list: Vec<Arc<T>> = all
        .map(|other| {
            if meta(&other).id != meta(new).id {
                return other;
            }
            replaced = true;
            Arc::clone(new)
        })
        .collect();
    if !replaced {
        list.push(Arc::clone(new));
    }
    list
}

fn workloads<'a>(inner: &'a Inner, namespace: &str) -> Selection<'a> {
    let mut selection = Selection::default();
    for (id, workload) in inner.workloads.iter().enumerate() {
        if workload.namespace == namespace {
            selection.add(&workload.namespace, &workload.labels, id);
        }
    }
    selection
}

/// How findings about Secrets begin that nobody named until now: of those nothing is known.
fn unseen(inner: &Inner, new: &GatewayObject) -> BTreeSet<String> {
    let names = |gateway: &GatewayObject| -> BTreeSet<String> {
        let servers = gateway.servers.iter();
        let named = servers.flat_map(GatewayServer::credentials);
        named.map(|named| named.name.clone()).collect()
    };
    let known: BTreeSet<String> = inner.gateways.iter().flat_map(|old| names(old)).collect();
    names(new)
        .difference(&known)
        .map(|name| format!("credentialName {name}:"))
        .collect()
}
