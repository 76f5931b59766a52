//! How long a World of a large cluster takes to build and to translate.
//!
//! `cargo run --release -p meshd-core --example world_scale [SERVICES [PODS]]`

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use mesh_api::{ResourceName, SpiffeId, WorkloadName, v1};
use meshd_core::{MeshSettings, Store, World, translate};
use serde_json::{Value, json};

/// Services of one namespace.
const PER_NAMESPACE: usize = 25;
/// Times that a thing is done; the quickest counts.
const ROUNDS: usize = 5;

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<usize>());
    let services = arguments.next().transpose()?.unwrap_or(1_000);
    let pods = arguments.next().transpose()?.unwrap_or(5_000);
    let per_service = pods.div_ceil(services.max(1));
    let objects: Vec<Value> = (0..services)
        .flat_map(|service| of_service(service, per_service))
        .chain(nodes())
        .collect();
    let mut store = Store::new();
    let took = time(1, || {
        objects.iter().for_each(|object| store.set_object(object));
    });
    println!("{} objects taken in {took:?}", objects.len());
    let heartbeat = objects.first().context("no object")?;
    let took = time(ROUNDS, || store.set_object(heartbeat));
    println!("one object again in {took:?}");
    let settings = MeshSettings {
        declared_workloads_only: true,
        ..MeshSettings::default()
    };
    let mut world = store.world(&settings);
    let took = time(ROUNDS, || world = store.world(&settings));
    println!(
        "built in {took:?}: {} services, {} workloads, {} findings",
        world.services().count(),
        world.workloads().count(),
        world.problems().len()
    );
    translate_all(&world, pods)
}

/// Translates what a sidecar with ten destinations holds, for every hundredth pod.
fn translate_all(world: &World, pods: usize) -> anyhow::Result<()> {
    let hosts: Vec<String> = world.services().map(|service| service.hostname).collect();
    let mut total = Duration::ZERO;
    let mut count = 0;
    for workload in world.workloads().step_by((pods / 100).max(1)) {
        let name: WorkloadName = workload.uid.parse()?;
        let identity: SpiffeId = workload.identity.parse()?;
        let node = v1::Node {
            workload: name.to_string(),
            kind: v1::ProxyKind::Sidecar.into(),
            ..v1::Node::default()
        };
        let scope = world.scope(&node, &identity)?;
        let mut roots = BTreeSet::from([ResourceName::Mesh, ResourceName::Inbound]);
        for host in hosts.iter().cycle().skip(count * 7).take(10) {
            roots.insert(format!("routes/{host}:8080").parse()?);
        }
        total += time(ROUNDS, || {
            translate(world, &scope, &roots);
        });
        count += 1;
    }
    let each = total / u32::try_from(count).unwrap_or(u32::MAX).max(1);
    println!("translated in {each:?} for one of {count} sidecars with ten destinations");
    Ok(())
}

fn time(rounds: usize, mut work: impl FnMut()) -> Duration {
    let measured = (0..rounds).map(|_| {
        let start = Instant::now();
        work();
        start.elapsed()
    });
    measured.min().unwrap_or_default()
}

/// A Service with its pods, its slice, a VirtualService, a DestinationRule and a policy.
fn of_service(service: usize, pods: usize) -> Vec<Value> {
    let namespace = format!("team-{}", service / PER_NAMESPACE);
    let name = format!("svc-{service}");
    let metadata = |name: &str| json!({"namespace": namespace, "name": name, "creationTimestamp": "2024-05-01T10:00:00Z", "labels": {"app": name}});
    let mut objects = vec![
        json!({"apiVersion": "v1", "kind": "Service", "metadata": metadata(&name), "spec": {
            "clusterIP": format!("10.96.{}.{}", service / 250, service % 250 + 1),
            "selector": {"app": name},
            "ports": [{"name": "http", "port": 8080, "targetPort": "http"}],
        }}),
        json!({"apiVersion": "networking.istio.io/v1", "kind": "DestinationRule", "metadata": metadata(&name), "spec": {
            "host": name, "subsets": [{"name": "v1", "labels": {"version": "v1"}}],
        }}),
        json!({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": metadata(&name), "spec": {
            "hosts": [name], "http": [{"route": [{"destination": {"host": name, "subset": "v1"}}]}],
        }}),
        json!({"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": metadata(&name), "spec": {
            "selector": {"matchLabels": {"app": name}},
            "rules": [{"from": [{"source": {"namespaces": [namespace]}}]}],
        }}),
    ];
    let mut endpoints = Vec::new();
    for index in 0..pods {
        let number = service * pods + index;
        let address = format!(
            "10.{}.{}.{}",
            128 + number / 62_500,
            number / 250 % 250,
            number % 250 + 1
        );
        let pod = format!("{name}-7d9c5b8f6d-{index:05}");
        let node = format!("node-{}", number % 100);
        endpoints.push(json!({"addresses": [address], "conditions": {"ready": true, "serving": true, "terminating": false},
            "nodeName": node, "targetRef": {"kind": "Pod", "namespace": namespace, "name": pod}}));
        objects.push(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {
            "namespace": namespace, "name": pod, "generateName": format!("{name}-7d9c5b8f6d-"),
            "creationTimestamp": "2024-05-01T10:00:00Z",
            "labels": {"app": name, "version": "v1", "pod-template-hash": "7d9c5b8f6d", "security.istio.io/tlsMode": "istio"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": format!("{name}-7d9c5b8f6d"), "controller": true}],
        }, "spec": {"nodeName": node, "serviceAccountName": name, "containers": [{"name": "app", "ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {"phase": "Running", "podIPs": [{"ip": address}], "conditions": [{"type": "Ready", "status": "True"}]}}));
    }
    objects.push(json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {
        "namespace": namespace, "name": format!("{name}-abcde"), "labels": {"kubernetes.io/service-name": name},
    }, "addressType": "IPv4", "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints}));
    objects
}

fn nodes() -> impl Iterator<Item = Value> {
    (0..100).map(|number| {
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("node-{number}"), "labels": {
            "topology.kubernetes.io/region": "eu-1", "topology.kubernetes.io/zone": format!("eu-1{}", number % 3),
        }}})
    })
}
