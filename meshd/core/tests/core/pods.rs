//! Pods as workloads: who they are, where, and what their proxies get.

use mesh_api::v1::{Node, ProxyKind};
use mesh_api::{SpiffeId, WorkloadName};
use meshd_core::{MeshSettings, Scope, ScopeError, WorkloadKind, World};
use serde_json::{Value, json};

use crate::cluster::{endpoint, node, over, pod, service, slice, store, workloads, world};

fn only(pod: Value) -> World {
    world(&[pod])
}

#[test]
fn a_workload_is_called_as_istio_calls_it() {
    let owner = |kind: &str, name: &str| json!({ "metadata": { "ownerReferences": [{ "kind": kind, "name": name, "controller": true }] } });
    for (more, want) in [
        (json!({}), "a"),
        (owner("ReplicaSet", "other"), "other"),
        (
            over(
                owner("ReplicaSet", "r-9f"),
                &json!({ "metadata": { "labels": { "rollouts-pod-template-hash": "9f" } } }),
            ),
            "r",
        ),
        (owner("StatefulSet", "db"), "db"),
        (owner("Job", "report-28438000"), "report"),
        (owner("Job", "report-284"), "report-284"),
        (
            over(
                owner("ReplicationController", "rc-1"),
                &json!({ "metadata": { "labels": { "deploymentconfig": "dc" } } }),
            ),
            "dc",
        ),
        (
            json!({ "metadata": { "ownerReferences": [{ "kind": "X", "name": "x" }] } }),
            "a-1",
        ),
        (json!({ "metadata": { "ownerReferences": null } }), "a-1"),
        // A static pod: its node owns it, and nobody made up its name.
        (
            over(
                owner("Node", "node-1"),
                &json!({ "metadata": { "generateName": null } }),
            ),
            "a-1",
        ),
        (
            json!({ "metadata": { "labels": { "service.istio.io/workload-name": "named" } } }),
            "named",
        ),
    ] {
        let found = only(over(pod("a-1", "a", "10.0.0.1"), &more));
        let names: Vec<String> = found.workloads().map(|workload| workload.name).collect();
        assert_eq!(names, [want], "{more}");
    }
}

#[test]
fn identity_comes_from_the_service_account() {
    for (account, want) in [
        (json!("a"), "a"),
        (json!(null), "default"),
        (json!(""), "default"),
    ] {
        let more = json!({ "spec": { "serviceAccountName": account } });
        let found = only(over(pod("a-1", "a", "10.0.0.1"), &more));
        let workload = found.workloads().next().unwrap();
        assert_eq!(workload.service_account, want);
        assert_eq!(
            workload.identity,
            format!("spiffe://cluster.local/ns/default/sa/{want}")
        );
    }
}

#[test]
fn canonical_name_and_revision() {
    for (labels, want) in [
        (json!({ "app": null }), ("deploy", "latest")),
        (json!({ "app": "x", "version": "v2" }), ("x", "v2")),
        (
            json!({ "app": "x", "app.kubernetes.io/name": "y", "app.kubernetes.io/version": "v3", "version": "v2" }),
            ("y", "v3"),
        ),
        (
            json!({ "app": "x", "service.istio.io/canonical-name": "z", "service.istio.io/canonical-revision": "v4" }),
            ("z", "v4"),
        ),
    ] {
        let mut object = over(
            pod("a-1", "deploy", "10.0.0.1"),
            &json!({ "metadata": { "labels": labels } }),
        );
        let kept = object["metadata"]["labels"].as_object_mut().unwrap();
        kept.retain(|_, value| !value.is_null());
        let found = world(&[
            over(
                service("s", &json!([{ "name": "http", "port": 80 }])),
                &json!({ "spec": { "selector": null } }),
            ),
            object,
            slice(
                "s-x",
                "s",
                ("http", 8080),
                &[endpoint("10.0.0.1", "a-1", &json!({}))],
            ),
        ]);
        let seen = &workloads(&found, "s", 80)[0];
        assert_eq!(
            (
                seen.canonical_name.as_str(),
                seen.canonical_revision.as_str()
            ),
            want
        );
        let inbound = crate::mesh::inbound(&found, "default/a-1");
        assert_eq!(inbound.labels["service.istio.io/canonical-name"], want.0);
        assert_eq!(
            inbound.labels["service.istio.io/canonical-revision"],
            want.1
        );
    }
}

#[test]
fn locality_comes_from_the_node_or_a_label() {
    let here = node(
        "node-1",
        &json!({
            "topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "eu-a", "topology.istio.io/subzone": "rack-1",
        }),
    );
    let region_only = node("node-1", &json!({ "topology.kubernetes.io/region": "eu" }));
    let label = |name: &str, value: &str| json!({ "metadata": { "labels": { name: value } } });
    for (more, node, want) in [
        (json!({}), Some(&here), "eu/eu-a/rack-1"),
        (json!({}), Some(&region_only), "eu"),
        (json!({}), None, ""),
        (label("istio-locality", "us.us-b"), Some(&here), "us/us-b"),
        (
            over(
                label("istio-locality", "x"),
                &label("topology.istio.io/locality", "us.us-c"),
            ),
            Some(&here),
            "us/us-c",
        ),
    ] {
        let mut objects = vec![over(pod("a-1", "a", "10.0.0.1"), &more)];
        objects.extend(node.cloned());
        let workload = world(&objects).workloads().next().unwrap();
        assert_eq!(workload.locality, want, "{more}");
    }
    // Where the node is not known the slice may know the zone.
    let at = over(
        endpoint("10.0.0.1", "a-1", &json!({})),
        &json!({ "zone": "eu-b" }),
    );
    let found = world(&[
        service("a", &json!([{ "name": "http", "port": 80 }])),
        pod("a-1", "a", "10.0.0.1"),
        slice("a-x", "a", ("http", 8080), &[at]),
    ]);
    assert_eq!(workloads(&found, "a", 80)[0].locality, "/eu-b");
}

#[test]
fn mutual_tls_needs_a_proxy() {
    for (label, want) in [("istio", true), ("disabled", false)] {
        let more = json!({ "metadata": { "labels": { "security.istio.io/tlsMode": label } } });
        let found = world(&[
            service("a", &json!([{ "name": "http", "port": 80 }])),
            over(pod("a-1", "a", "10.0.0.1"), &more),
            slice(
                "a-x",
                "a",
                ("http", 8080),
                &[endpoint("10.0.0.1", "a-1", &json!({}))],
            ),
        ]);
        assert_eq!(
            workloads(&found, "a", 80)[0].backs[0].ports[0].mutual_tls,
            want,
            "{label}"
        );
    }
}

#[test]
fn inbound_ports_come_from_the_services_that_select_it() {
    let containers = json!({ "spec": {
        "containers": [
            { "name": "app", "ports": [
                { "name": "web", "containerPort": 8080 },
                { "name": "dns", "containerPort": 53, "protocol": "UDP" },
                { "name": "web", "containerPort": 9999 },
            ] },
        ],
        "initContainers": [
            { "name": "once", "ports": [{ "name": "gone", "containerPort": 1 }] },
            { "name": "side", "restartPolicy": "Always", "ports": [{ "name": "side", "containerPort": 7000 }] },
        ],
    } });
    let older = json!({ "metadata": { "creationTimestamp": "2023-01-01T00:00:00Z" }, "spec": { "selector": { "app": "a" } } });
    let not_ready = json!({ "status": { "conditions": [] } });
    let found = world(&[
        over(over(pod("a-1", "a", "10.0.0.1"), &containers), &not_ready),
        service(
            "a",
            &json!([
                { "name": "http", "port": 80, "targetPort": "web" },
                { "name": "x", "port": 81, "targetPort": "gone" },
                { "name": "y", "port": 82, "targetPort": "dns" },
                { "name": "grpc", "port": 83, "targetPort": "side" },
                { "name": "z", "port": 84, "appProtocol": "tcp" },
            ]),
        ),
        over(
            service(
                "older",
                &json!([{ "name": "http", "port": 90, "targetPort": 7000 }]),
            ),
            &older,
        ),
        service(
            "not-its",
            &json!([{ "name": "http", "port": 80, "targetPort": 6000 }]),
        ),
    ]);
    let inbound = crate::mesh::inbound(&found, "default/a-1");
    let ports: Vec<_> = inbound
        .ports
        .iter()
        .map(|port| {
            (
                port.port,
                port.protocol().as_str_name(),
                port.service.split('.').next().unwrap(),
                port.service_port,
            )
        })
        .collect();
    assert_eq!(
        ports,
        [
            (84, "PROTOCOL_TCP", "a", 84),
            (7000, "PROTOCOL_HTTP", "older", 90),
            (8080, "PROTOCOL_HTTP", "a", 80),
        ]
    );
}

#[test]
fn a_service_without_selector_opens_ports_of_the_pods_in_its_slices() {
    let found = world(&[
        over(
            service("a", &json!([{ "name": "http", "port": 80 }])),
            &json!({ "spec": { "selector": null } }),
        ),
        pod("b-1", "b", "10.0.0.1"),
        slice(
            "manual",
            "a",
            ("http", 8080),
            &[endpoint(
                "10.0.0.1",
                "b-1",
                &json!({ "ready": false, "serving": false }),
            )],
        ),
    ]);
    assert_eq!(
        crate::mesh::inbound(&found, "default/b-1").ports[0].port,
        8080
    );
}

#[test]
fn tools_see_what_a_workload_is() {
    let entry = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry",
        "metadata": { "namespace": "default", "name": "vm" }, "spec": { "address": "192.0.2.1" },
    });
    let more = json!({
        "status": { "podIPs": [{ "ip": "10.0.0.1" }, { "ip": "fd00::1" }] },
        "spec": { "containers": [{ "name": "istio-proxy", "env": [{ "name": "MESH_KIND", "value": "sidecar" }] }] },
    });
    let found = world(&[
        over(pod("a-1", "a", "10.0.0.1"), &more),
        entry,
        over(
            service("s", &json!([{ "name": "http", "port": 80 }])),
            &json!({ "spec": { "selector": null } }),
        ),
        slice(
            "s-x",
            "s",
            ("http", 80),
            &[json!({ "addresses": ["192.0.2.7"] })],
        ),
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "default", "labels": { "istio.io/rev": "mesh" } } }),
    ]);
    let kinds: Vec<_> = found
        .workloads()
        .map(|w| (w.uid, w.kind, w.node, w.addresses.len()))
        .collect();
    assert_eq!(
        kinds,
        [
            (
                "default/a-1".to_owned(),
                WorkloadKind::Pod,
                "node-1".to_owned(),
                2
            ),
            (
                "default/vm".to_owned(),
                WorkloadKind::Entry,
                String::new(),
                1
            ),
            (
                "endpointslice/default/s/192.0.2.7".to_owned(),
                WorkloadKind::Endpoint,
                String::new(),
                1
            ),
        ]
    );
    let view = found.workload(&"default/a-1".parse().unwrap()).unwrap();
    assert_eq!((view.proxy, view.healthy), (Some(ProxyKind::Sidecar), true));
    assert_eq!(found.namespace("default").unwrap()["istio.io/rev"], "mesh");
    assert_eq!(found.namespace("other"), None);
}

fn ask(world: &World, workload: &str, account: &str, kind: ProxyKind) -> Result<Scope, ScopeError> {
    let name: WorkloadName = workload.parse().unwrap();
    let identity =
        SpiffeId::new(&world.settings().trust_domain, name.namespace(), account).unwrap();
    let node = Node {
        workload: workload.to_owned(),
        kind: kind.into(),
        labels: [("app".to_owned(), "admin".to_owned())].into(),
        addresses: vec!["192.0.2.66".to_owned()],
        locality: "elsewhere".to_owned(),
        ..Node::default()
    };
    world.scope(&node, &identity)
}

#[test]
fn a_pod_is_what_its_object_says() {
    let settings = MeshSettings {
        declared_workloads_only: true,
        ..MeshSettings::default()
    };
    let with_kind = |name: &str, kind: &str| {
        over(
            pod(name, "a", "10.0.0.1"),
            &json!({ "spec": { "containers": [
            { "name": "app" }, { "name": "istio-proxy", "env": [{ "name": "MESH_KIND", "value": kind }] },
        ] } }),
        )
    };
    let deny = json!({
        "apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
        "metadata": { "namespace": "default", "name": "deny" },
        "spec": { "selector": { "matchLabels": { "app": "a" } }, "action": "DENY", "rules": [{}] },
    });
    let mut store = store(&[
        with_kind("a-1", "sidecar"),
        with_kind("g-1", "gateway"),
        pod("plain", "a", "10.0.0.2"),
        node("node-1", &json!({ "topology.kubernetes.io/region": "eu" })),
        deny,
    ]);
    let found = store.world(&settings);
    let scope = ask(&found, "default/a-1", "a", ProxyKind::Sidecar).unwrap();
    assert_eq!(
        scope.addresses(),
        ["10.0.0.1".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!(scope.locality(), "eu");
    let policies = |world: &World| {
        let all = crate::mesh::resources(world, &scope, &["inbound/self"]);
        match all.into_values().next().unwrap().body.clone() {
            Some(mesh_api::v1::resource::Body::Inbound(inbound)) => inbound.policies.len(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        policies(&found),
        1,
        "what the proxy says of its labels counts for nothing"
    );

    let refused =
        |workload: &str, account: &str, kind| ask(&found, workload, account, kind).unwrap_err();
    assert!(matches!(
        refused("default/a-1", "b", ProxyKind::Sidecar),
        ScopeError::ServiceAccount { .. }
    ));
    assert!(matches!(
        refused("default/a-1", "a", ProxyKind::Gateway),
        ScopeError::OtherKind { .. }
    ));
    assert!(matches!(
        refused("default/g-1", "a", ProxyKind::Sidecar),
        ScopeError::OtherKind { .. }
    ));
    assert!(matches!(
        refused("default/late", "a", ProxyKind::Sidecar),
        ScopeError::Unknown(_)
    ));
    assert!(ask(&found, "default/plain", "a", ProxyKind::Gateway).is_ok());

    // A scope outlives its Pod for a moment; it keeps the labels that the Pod had last.
    store.remove_object(&meshd_core::ObjectKey {
        group: String::new(),
        kind: "Pod".to_owned(),
        namespace: "default".to_owned(),
        name: "a-1".to_owned(),
    });
    let gone = store.world(&settings);
    assert!(matches!(
        ask(&gone, "default/a-1", "a", ProxyKind::Sidecar),
        Err(ScopeError::Unknown(_))
    ));
    assert_eq!(policies(&gone), 1);
    assert!(
        ask(&world(&[]), "default/late", "a", ProxyKind::Sidecar).is_ok(),
        "outside of a cluster nobody need declare it"
    );
}

#[test]
fn a_gateway_listens_where_its_services_lead() {
    let gateway = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "Gateway", "metadata": { "namespace": "apps", "name": "g" },
        "spec": { "selector": { "app": "edge" }, "servers": [
            { "port": { "number": 80, "name": "http", "protocol": "HTTP" }, "hosts": ["*"] },
            { "port": { "number": 81, "name": "http-81", "protocol": "HTTP" }, "hosts": ["*"] },
            { "port": { "number": 82, "name": "http-82", "protocol": "HTTP" }, "hosts": ["*"] },
        ] },
    });
    let route = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService", "metadata": { "namespace": "apps", "name": "v" },
        "spec": { "hosts": ["*"], "gateways": ["g"], "http": [{ "directResponse": { "status": 200 } }] },
    });
    let listeners = |services: &[Value]| {
        let mut objects = vec![
            gateway.clone(),
            route.clone(),
            pod("edge-1", "edge", "10.0.0.1"),
        ];
        objects.extend_from_slice(services);
        let found = world(&objects);
        let scope = ask(&found, "default/edge-1", "edge", ProxyKind::Gateway).unwrap();
        let gateway = crate::mesh::gateway_of(&found, &scope);
        let ports = gateway
            .listeners
            .iter()
            .filter(|listener| !listener.hosts.is_empty());
        ports.map(|listener| listener.port).collect::<Vec<_>>()
    };
    assert_eq!(
        listeners(&[]),
        [80, 81, 82],
        "selected from another namespace"
    );
    let edge = service(
        "edge",
        &json!([
            { "name": "http", "port": 80, "targetPort": "web" },
            { "name": "http-81", "port": 81, "targetPort": 8181 },
            { "name": "other", "port": 443, "targetPort": 8443 },
        ]),
    );
    assert_eq!(listeners(std::slice::from_ref(&edge)), [82, 8080, 8181]);
    let second = over(
        service(
            "second",
            &json!([{ "name": "http", "port": 80, "targetPort": 8888 }]),
        ),
        &json!({ "spec": { "selector": { "app": "edge" } } }),
    );
    assert_eq!(listeners(&[edge, second]), [82, 8080, 8181, 8888]);
}
