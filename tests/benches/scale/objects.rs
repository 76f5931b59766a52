//! The objects of the mesh, as the API server has them.

use serde_json::{Value, json};

use crate::topology::{PORT, SERVICE_ACCOUNT, Topology};

/// Who keeps the EndpointSlices: the controller of Kubernetes leaves those of others alone.
const MANAGER: &str = "mesh-scale";

pub(crate) fn service_account(namespace: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"namespace": namespace, "name": SERVICE_ACCOUNT},
        "automountServiceAccountToken": false,
    })
}

/// Without a selector: its EndpointSlice is ours, so that what is measured is meshd and not the
/// controllers of Kubernetes.
pub(crate) fn service(topology: &Topology, service: usize) -> Value {
    let name = Topology::service_name(service);
    let mut object = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": topology.namespace(service), "name": name, "labels": {"app": name}},
        "spec": {"ports": [{"name": "http", "port": PORT, "targetPort": PORT, "protocol": "TCP"}]},
    });
    if let (Some(address), Some(spec)) = (
        topology.addresses.get(service),
        object.get_mut("spec").and_then(Value::as_object_mut),
    ) {
        spec.insert("clusterIP".to_owned(), json!(address));
    }
    object
}

/// A pod that runs nowhere.
pub(crate) fn pod(topology: &Topology, pod: usize) -> Value {
    let service = topology.service_of(pod);
    let app = Topology::service_name(service);
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "namespace": topology.namespace(service), "name": topology.pod_name(pod),
            "labels": {
                "app": app, "version": "v1", "pod-template-hash": "7d9c5b8f6d",
                "security.istio.io/tlsMode": "istio",
            },
        },
        "spec": {
            "schedulerName": "nobody",
            "serviceAccountName": SERVICE_ACCOUNT,
            "automountServiceAccountToken": false,
            "containers": [{
                "name": "app", "image": "none",
                "ports": [{"name": "http", "containerPort": PORT}],
            }],
        },
        "status": pod_status(pod),
    })
}

pub(crate) fn pod_status(pod: usize) -> Value {
    let address = Topology::pod_address(pod);
    json!({
        "phase": "Running",
        "podIP": address, "podIPs": [{"ip": address}],
        "conditions": [{"type": "Ready", "status": "True"}],
    })
}

pub(crate) fn slice_name(service: usize) -> String {
    format!("{}-scale", Topology::service_name(service))
}

pub(crate) fn slice(topology: &Topology, service: usize, unready: Option<usize>) -> Value {
    let name = Topology::service_name(service);
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "namespace": topology.namespace(service), "name": slice_name(service),
            "labels": {
                "kubernetes.io/service-name": name,
                "endpointslice.kubernetes.io/managed-by": MANAGER,
            },
        },
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": PORT, "protocol": "TCP"}],
        "endpoints": endpoints(topology, service, unready),
    })
}

/// All pods of a service are ready, but one.
pub(crate) fn endpoints(topology: &Topology, service: usize, unready: Option<usize>) -> Value {
    let endpoint = |pod: usize| {
        let ready = unready != Some(pod);
        json!({
            "addresses": [Topology::pod_address(pod)],
            "conditions": {"ready": ready, "serving": ready, "terminating": false},
            "targetRef": {
                "kind": "Pod", "namespace": topology.namespace(service),
                "name": topology.pod_name(pod),
            },
        })
    };
    topology.pods_of(service).map(endpoint).collect()
}
