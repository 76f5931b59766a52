//! A small mesh for tests: YAML in, resources of one proxy out.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesh_api::v1::http_route::Action;
use mesh_api::v1::resource::Body;
use mesh_api::v1::{self, Forward, HttpRoute, RouteTable, Service, TrafficPolicy};
use mesh_api::{ResourceName, SpiffeId, WorkloadName};
use meshd_core::{MeshSettings, ProblemLine, Scope, Store, World, translate};

/// Services a, b and two of `multi`'s ports in `default`, with one workload each.
pub(crate) const SERVICES: &str = "
apiVersion: v1
kind: Service
metadata: { name: a }
spec: { selector: { app: a }, ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Service
metadata: { name: b }
spec: { selector: { app: b }, ports: [{ name: http, port: 8080 }] }
---
apiVersion: v1
kind: Service
metadata: { name: multi }
spec: { selector: { app: multi }, ports: [{ name: http, port: 80 }, { name: http-admin, port: 9000 }] }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: a-1 }
spec: { address: 10.0.0.1, serviceAccount: a, labels: { app: a, version: v1, security.istio.io/tlsMode: istio } }
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: { name: b-1 }
spec: { address: 10.0.0.2, serviceAccount: b, labels: { app: b, version: v1 } }
---
";

pub(crate) fn world(text: &str) -> World {
    world_with(text, &MeshSettings::default())
}

pub(crate) fn world_with(text: &str, settings: &MeshSettings) -> World {
    let mut store = Store::new();
    store.set_file("0-services.yaml", SERVICES);
    store.set_file("input.yaml", text);
    store.world(settings)
}

/// World without a single error.
pub(crate) fn good(text: &str) -> World {
    let world = world(text);
    let errors: Vec<String> = problems(&world)
        .into_iter()
        .filter(|line| line.contains(": error: "))
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    world
}

pub(crate) fn problems(world: &World) -> Vec<String> {
    world
        .problems()
        .iter()
        .map(|problem| ProblemLine(problem).to_string())
        .collect()
}

/// `<namespace>/<name>` of a sidecar, with labels.
pub(crate) fn sidecar(world: &World, workload: &str, labels: &[(&str, &str)]) -> Scope {
    scope(world, workload, labels, v1::ProxyKind::Sidecar)
}

pub(crate) fn gateway(world: &World, workload: &str, labels: &[(&str, &str)]) -> Scope {
    scope(world, workload, labels, v1::ProxyKind::Gateway)
}

fn scope(world: &World, workload: &str, labels: &[(&str, &str)], kind: v1::ProxyKind) -> Scope {
    let name: WorkloadName = workload.parse().unwrap();
    let account = world
        .workload(&name)
        .map(|found| found.service_account)
        .filter(|account| !account.is_empty());
    let identity = SpiffeId::new(
        &world.settings().trust_domain,
        name.namespace(),
        account.as_deref().unwrap_or("client"),
    );
    let node = v1::Node {
        workload: workload.to_owned(),
        kind: kind.into(),
        labels: labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..v1::Node::default()
    };
    world.scope(&node, &identity.unwrap()).unwrap()
}

pub(crate) fn resources(
    world: &World,
    scope: &Scope,
    roots: &[&str],
) -> BTreeMap<ResourceName, Arc<v1::Resource>> {
    let roots: BTreeSet<ResourceName> = roots.iter().map(|root| root.parse().unwrap()).collect();
    translate(world, scope, &roots)
}

pub(crate) fn table_of(world: &World, scope: &Scope, root: &str) -> RouteTable {
    let all = resources(world, scope, &[root]);
    match &all[&root.parse().unwrap()].body {
        Some(Body::Routes(table)) => table.clone(),
        other => panic!("{other:?}"),
    }
}

/// Route table for `default/client`.
pub(crate) fn table(world: &World, root: &str) -> RouteTable {
    table_of(world, &sidecar(world, "default/client", &[]), root)
}

pub(crate) fn service(world: &World, scope: &Scope, root: &str, host: &str) -> Service {
    let all = resources(world, scope, &[root]);
    let name: ResourceName = format!("service/{host}").parse().unwrap();
    match all.get(&name).and_then(|found| found.body.clone()) {
        Some(Body::Service(service)) => service,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn policy(service: &Service, subset: &str, port: u32) -> TrafficPolicy {
    let subset = service
        .subsets
        .iter()
        .find(|found| found.name == subset)
        .unwrap();
    subset
        .policies
        .iter()
        .find(|found| found.port == port)
        .unwrap()
        .policy
        .clone()
        .unwrap()
}

pub(crate) fn inbound(world: &World, workload: &str) -> v1::Inbound {
    let all = resources(world, &sidecar(world, workload, &[]), &["inbound/self"]);
    match all.into_values().next().unwrap().body.clone() {
        Some(Body::Inbound(inbound)) => inbound,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn gateway_of(world: &World, scope: &Scope) -> v1::Gateway {
    let all = resources(world, scope, &["gateway/self"]);
    match &all[&ResourceName::Gateway].body {
        Some(Body::Gateway(gateway)) => gateway.clone(),
        other => panic!("{other:?}"),
    }
}

pub(crate) fn names(routes: &[HttpRoute]) -> Vec<&str> {
    routes.iter().map(|route| route.name.as_str()).collect()
}

pub(crate) fn forward(route: &HttpRoute) -> &Forward {
    match &route.action {
        Some(Action::Forward(forward)) => forward,
        other => panic!("{other:?}"),
    }
}

/// `host:port/subset*weight` of each destination.
pub(crate) fn destinations(route: &HttpRoute) -> Vec<String> {
    let short = |host: &str| {
        host.strip_suffix(".svc.cluster.local")
            .unwrap_or(host)
            .to_owned()
    };
    forward(route)
        .destinations
        .iter()
        .map(|d| format!("{}:{}/{}*{}", short(&d.host), d.port, d.subset, d.weight))
        .collect()
}

/// A VirtualService in `default` with the given rest of its spec.
pub(crate) fn virtual_service(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{ name: {name} }}\nspec: {spec}\n"
    )
}
