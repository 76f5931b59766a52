//! How much time on the processor a World of a large cluster takes to build and to translate
//! (Linux: elsewhere it reads 0).
//!
//! `cargo run --release -p meshd-core --example world_scale [SERVICES [PODS]]`

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::Context as _;
use mesh_api::{ResourceName, SpiffeId, v1};
use meshd_core::session::Session;
use meshd_core::{MeshSettings, Scope, Store, WorkloadView, World, translate};
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
    let mut ready = false;
    let after = time(ROUNDS * 2, || {
        ready = !ready;
        store.set_object(&slice(0, per_service, ready));
        world = store.world_after(&settings, &world);
    });
    println!("built after a change of one endpoint in {after:?}");
    println!(
        "built in {took:?}: {} services, {} workloads, {} findings",
        world.services().count(),
        world.workloads().count(),
        world.problems().len()
    );
    translate_all(&world, pods)?;
    let mut sessions = sessions(&world, pods)?;
    for (service, users, ready) in [(1, "few", false), (0, "all", true)] {
        store.set_object(&slice(service, per_service, ready));
        world = store.world_after(&settings, &world);
        let mut told = 0;
        let took = time(1, || {
            for session in &mut sessions {
                told += u32::from(session.next(&world, 2).is_some());
            }
        });
        println!(
            "an endpoint of a service that {users} use changed: {} sessions in {took:?}, {told} were told",
            sessions.len()
        );
    }
    Ok(())
}

/// Streams of all pods, each with nine destinations of its own and one that all have.
fn sessions(world: &World, pods: usize) -> anyhow::Result<Vec<Session>> {
    let hosts: Vec<String> = world.services().map(|service| service.hostname).collect();
    let common = hosts.first().context("no service")?;
    let mut sessions = Vec::new();
    let start = on_processor();
    for (count, workload) in world.workloads().take(pods).enumerate() {
        let scope = scope(world, &workload)?;
        let mut session = Session::new(scope);
        let own = hosts.iter().cycle().skip(count * 7).take(9).chain([common]);
        let mut subscribe = vec!["mesh/default".to_owned(), "inbound/self".to_owned()];
        subscribe.extend(own.map(|host| format!("routes/{host}:8080")));
        let request = v1::DiscoveryRequest {
            node: Some(v1::Node::default()),
            subscribe,
            ..v1::DiscoveryRequest::default()
        };
        session.on_request(&request)?;
        session.next(world, 1).context("no first response")?;
        sessions.push(session);
    }
    println!(
        "{} sessions begun in {:?}",
        sessions.len(),
        on_processor().saturating_sub(start)
    );
    Ok(sessions)
}

fn scope(world: &World, workload: &WorkloadView) -> anyhow::Result<Scope> {
    let node = v1::Node {
        workload: workload.uid.clone(),
        kind: v1::ProxyKind::Sidecar.into(),
        ..v1::Node::default()
    };
    let identity: SpiffeId = workload.identity.parse()?;
    Ok(world.scope(&node, &identity)?)
}

/// Translates what a sidecar with ten destinations holds, for every hundredth pod.
fn translate_all(world: &World, pods: usize) -> anyhow::Result<()> {
    let hosts: Vec<String> = world.services().map(|service| service.hostname).collect();
    let mut total = Duration::ZERO;
    let mut count = 0;
    for workload in world.workloads().step_by((pods / 100).max(1)) {
        let scope = scope(world, &workload)?;
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

/// The least time on the processor that the work takes.
fn time(rounds: usize, mut work: impl FnMut()) -> Duration {
    let measured = (0..rounds).map(|_| {
        let start = on_processor();
        work();
        on_processor().saturating_sub(start)
    });
    measured.min().unwrap_or_default()
}

/// Time that this thread has run: what else the machine does is left out.
fn on_processor() -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = schedule
        .split(' ')
        .next()
        .and_then(|text| text.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
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
    for index in 0..pods {
        let (number, address) = place(service, pods, index);
        let pod = format!("{name}-7d9c5b8f6d-{index:05}");
        let node = format!("node-{}", number % 100);
        objects.push(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {
            "namespace": namespace, "name": pod, "generateName": format!("{name}-7d9c5b8f6d-"),
            "creationTimestamp": "2024-05-01T10:00:00Z",
            "labels": {"app": name, "version": "v1", "pod-template-hash": "7d9c5b8f6d", "security.istio.io/tlsMode": "istio"},
            "ownerReferences": [{"kind": "ReplicaSet", "name": format!("{name}-7d9c5b8f6d"), "controller": true}],
        }, "spec": {"nodeName": node, "serviceAccountName": name, "containers": [{"name": "app", "ports": [{"name": "http", "containerPort": 8080}]}]},
        "status": {"phase": "Running", "podIPs": [{"ip": address}], "conditions": [{"type": "Ready", "status": "True"}]}}));
    }
    objects.push(slice(service, pods, true));
    objects
}

/// Number of a pod in the cluster, and its address.
fn place(service: usize, pods: usize, index: usize) -> (usize, String) {
    let number = service * pods + index;
    let address = format!(
        "10.{}.{}.{}",
        128 + number / 62_500,
        number / 250 % 250,
        number % 250 + 1
    );
    (number, address)
}

/// The endpoints of a Service; the first is ready or not.
fn slice(service: usize, pods: usize, ready: bool) -> Value {
    let namespace = format!("team-{}", service / PER_NAMESPACE);
    let name = format!("svc-{service}");
    let endpoints: Vec<Value> = (0..pods)
        .map(|index| {
            let (number, address) = place(service, pods, index);
            let ready = ready || index > 0;
            json!({"addresses": [address], "conditions": {"ready": ready, "serving": ready, "terminating": false},
                "nodeName": format!("node-{}", number % 100),
                "targetRef": {"kind": "Pod", "namespace": namespace, "name": format!("{name}-7d9c5b8f6d-{index:05}")}})
        })
        .collect();
    json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {
        "namespace": namespace, "name": format!("{name}-abcde"), "labels": {"kubernetes.io/service-name": name},
    }, "addressType": "IPv4", "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "endpoints": endpoints})
}

fn nodes() -> impl Iterator<Item = Value> {
    (0..100).map(|number| {
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("node-{number}"), "labels": {
            "topology.kubernetes.io/region": "eu-1", "topology.kubernetes.io/zone": format!("eu-1{}", number % 3),
        }}})
    })
}
