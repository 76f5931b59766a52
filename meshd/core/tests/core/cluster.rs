//! Objects of a cluster for tests, and what clients see of them.

use mesh_api::v1::Workload;
use mesh_api::v1::resource::Body;
use meshd_core::{MeshSettings, Store, World};
use serde_json::{Value, json};

/// A World of objects in this order of arrival.
pub(crate) fn world(objects: &[Value]) -> World {
    store(objects).world(&MeshSettings::default())
}

pub(crate) fn store(objects: &[Value]) -> Store {
    let mut store = Store::new();
    for object in objects {
        store.set_object(object);
    }
    store
}

/// Puts the entries of one map over those of another, map by map.
pub(crate) fn over(mut object: Value, more: &Value) -> Value {
    merge(&mut object, more);
    object
}

fn merge(object: &mut Value, more: &Value) {
    match (object, more) {
        (Value::Object(object), Value::Object(more)) => {
            for (key, value) in more {
                merge(object.entry(key).or_insert(Value::Null), value);
            }
        }
        (object, more) => *object = more.clone(),
    }
}

/// A Service of the namespace `default` that selects `app: <name>`.
pub(crate) fn service(name: &str, ports: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "namespace": "default", "name": name, "creationTimestamp": "2024-01-01T00:00:00Z" },
        "spec": { "selector": { "app": name }, "clusterIP": "10.96.0.10", "ports": ports },
    })
}

/// A ready Pod of a Deployment.
pub(crate) fn pod(name: &str, app: &str, address: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "namespace": "default", "name": name, "generateName": format!("{app}-5c7d-"),
            "creationTimestamp": "2024-01-02T00:00:00Z",
            "labels": { "app": app, "pod-template-hash": "5c7d", "security.istio.io/tlsMode": "istio" },
            "ownerReferences": [{ "kind": "ReplicaSet", "name": format!("{app}-5c7d"), "controller": true }],
        },
        "spec": {
            "nodeName": "node-1", "serviceAccountName": app,
            "containers": [{ "name": "app", "ports": [{ "name": "web", "containerPort": 8080, "protocol": "TCP" }] }],
        },
        "status": {
            "phase": "Running", "podIP": address, "podIPs": [{ "ip": address }],
            "conditions": [{ "type": "Ready", "status": "True" }],
        },
    })
}

/// A slice of a Service with one port.
pub(crate) fn slice(
    name: &str,
    service: &str,
    (port, number): (&str, u16),
    endpoints: &[Value],
) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": { "namespace": "default", "name": name, "labels": { "kubernetes.io/service-name": service } },
        "addressType": "IPv4",
        "ports": [{ "name": port, "port": number, "protocol": "TCP" }],
        "endpoints": endpoints,
    })
}

/// An endpoint with a Pod behind it.
pub(crate) fn endpoint(address: &str, pod: &str, conditions: &Value) -> Value {
    json!({
        "addresses": [address], "conditions": conditions, "nodeName": "node-1",
        "targetRef": { "kind": "Pod", "namespace": "default", "name": pod },
    })
}

pub(crate) fn node(name: &str, labels: &Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "labels": labels } })
}

/// The workloads that a client gets for a service's port, by uid.
pub(crate) fn workloads(world: &World, service: &str, port: u16) -> Vec<Workload> {
    let scope = crate::mesh::sidecar(world, "default/client", &[]);
    let root = format!("routes/{service}:{port}");
    let mut found: Vec<Workload> = crate::mesh::resources(world, &scope, &[&root])
        .into_values()
        .filter_map(|resource| match &resource.body {
            Some(Body::Workload(workload)) => Some(workload.clone()),
            _ => None,
        })
        .collect();
    found.sort_by(|a, b| a.uid.cmp(&b.uid));
    found
}

/// `address:port` of every endpoint of a service's port, sorted.
pub(crate) fn endpoints(world: &World, service: &str, port: u16) -> Vec<String> {
    let host = format!("{service}.default.svc.cluster.local");
    let mut found: Vec<String> = workloads(world, service, port)
        .iter()
        .flat_map(|workload| {
            let backs = workload.backs.iter().filter(|back| back.service == host);
            let ports = backs.flat_map(|back| &back.ports);
            let ports = ports.filter(|found| found.service_port == u32::from(port));
            ports.map(|port| format!("{}:{}", workload.address, port.target_port))
        })
        .collect();
    found.sort();
    found
}
