//! Endpoints of Services of Kubernetes: slices, pods, entries.

use serde_json::{Value, json};

use crate::cluster::{
    endpoint, endpoints, node, over, pod, service, slice, store, workloads, world,
};
use meshd_core::MeshSettings;

fn http() -> Value {
    json!([{ "name": "http", "port": 80, "targetPort": "web" }])
}

#[test]
fn conditions_count_as_for_kube_proxy() {
    let conditions = |ready: Option<bool>, serving: Option<bool>, terminating: Option<bool>| {
        let mut conditions = json!({});
        for (name, value) in [
            ("ready", ready),
            ("serving", serving),
            ("terminating", terminating),
        ] {
            if let Some(value) = value {
                conditions[name] = json!(value);
            }
        }
        conditions
    };
    let (yes, no) = (Some(true), Some(false));
    for (one, two, want) in [
        ((yes, yes, no), (yes, yes, no), "1 2"),
        ((None, None, None), (no, no, no), "1"),
        ((yes, None, None), (no, None, None), "1"),
        ((yes, yes, no), (no, yes, yes), "1"),
        ((no, no, no), (no, yes, yes), "2"),
        ((no, None, yes), (no, no, yes), "1"),
        ((no, no, yes), (no, no, no), ""),
        // publishNotReadyAddresses: the slice says that it is ready.
        ((yes, no, no), (yes, no, yes), "1 2"),
    ] {
        let found = world(&[
            service("a", &http()),
            pod("a-1", "a", "10.0.0.1"),
            pod("a-2", "a", "10.0.0.2"),
            slice(
                "a-x",
                "a",
                ("http", 8080),
                &[
                    endpoint("10.0.0.1", "a-1", &conditions(one.0, one.1, one.2)),
                    endpoint("10.0.0.2", "a-2", &conditions(two.0, two.1, two.2)),
                ],
            ),
        ]);
        let want: Vec<String> = want
            .split_whitespace()
            .map(|last| format!("10.0.0.{last}:8080"))
            .collect();
        assert_eq!(endpoints(&found, "a", 80), want, "{one:?} {two:?}");
    }
}

#[test]
fn each_port_has_its_own_endpoints() {
    let ports = json!([
        { "name": "http", "port": 80 }, { "name": "admin", "port": 90 },
        { "name": "udp", "port": 53, "protocol": "UDP" },
    ]);
    let ready = json!({ "ready": true });
    let draining = json!({ "ready": false, "serving": true, "terminating": true });
    let found = world(&[
        service("a", &ports),
        pod("a-1", "a", "10.0.0.1"),
        pod("a-2", "a", "10.0.0.2"),
        slice(
            "a-x",
            "a",
            ("http", 8080),
            &[endpoint("10.0.0.1", "a-1", &ready)],
        ),
        slice(
            "a-y",
            "a",
            ("http", 8081),
            &[endpoint("10.0.0.2", "a-2", &draining)],
        ),
        slice(
            "a-z",
            "a",
            ("admin", 9000),
            &[endpoint("10.0.0.2", "a-2", &draining)],
        ),
        slice(
            "a-other",
            "a",
            ("unknown", 1),
            &[endpoint("10.0.0.1", "a-1", &ready)],
        ),
        slice(
            "a-udp",
            "a",
            ("udp", 53),
            &[endpoint("10.0.0.1", "a-1", &ready)],
        ),
    ]);
    assert_eq!(endpoints(&found, "a", 80), ["10.0.0.1:8080"]);
    assert_eq!(endpoints(&found, "a", 90), ["10.0.0.2:9000"]);
}

#[test]
fn an_endpoint_in_two_slices_counts_once() {
    let (ready, not) = (
        json!({ "ready": true }),
        json!({ "ready": false, "serving": false }),
    );
    for (one, two) in [(&ready, &not), (&not, &ready), (&ready, &ready)] {
        let found = world(&[
            service("a", &http()),
            pod("a-1", "a", "10.0.0.1"),
            slice(
                "a-x",
                "a",
                ("http", 8080),
                &[endpoint("10.0.0.1", "a-1", one)],
            ),
            slice(
                "a-y",
                "a",
                ("http", 8080),
                &[endpoint("10.0.0.1", "a-1", two)],
            ),
        ]);
        assert_eq!(endpoints(&found, "a", 80), ["10.0.0.1:8080"]);
    }
}

#[test]
fn a_pod_of_two_ip_families_counts_once() {
    let both = json!({ "status": { "podIPs": [{ "ip": "10.0.0.1" }, { "ip": "fd00::1" }] } });
    let ready = json!({ "ready": true });
    let dual = over(pod("a-1", "a", "10.0.0.1"), &both);
    let v4 = slice(
        "a-4",
        "a",
        ("http", 8080),
        &[endpoint("10.0.0.1", "a-1", &ready)],
    );
    let v6 = over(
        slice(
            "a-6",
            "a",
            ("http", 8080),
            &[endpoint("fd00::1", "a-1", &ready)],
        ),
        &json!({ "addressType": "IPv6" }),
    );
    let of = |slices: &[&Value]| {
        let mut objects = vec![service("a", &http()), dual.clone()];
        objects.extend(slices.iter().map(|slice| (*slice).clone()));
        world(&objects)
    };
    assert_eq!(endpoints(&of(&[&v4, &v6]), "a", 80), ["10.0.0.1:8080"]);
    assert_eq!(endpoints(&of(&[&v6, &v4]), "a", 80), ["10.0.0.1:8080"]);
    let only = of(&[&v6]);
    assert_eq!(endpoints(&only, "a", 80), ["fd00::1:8080"]);
    let found = &workloads(&only, "a", 80)[0];
    assert_eq!(found.uid, "default/a-1/fd00::1");
    assert_eq!(found.identity, "spiffe://cluster.local/ns/default/sa/a");
    assert!(found.backs[0].ports[0].mutual_tls);
}

#[test]
fn an_endpoint_without_a_pod_has_no_name() {
    let objects = [
        service("a", &json!([{ "port": 80 }])),
        node(
            "node-1",
            &json!({ "topology.kubernetes.io/region": "eu", "topology.kubernetes.io/zone": "eu-a" }),
        ),
        over(
            slice(
                "a-x",
                "a",
                ("", 8080),
                &[
                    json!({ "addresses": ["192.0.2.1", "192.0.2.9"], "zone": "eu-a" }),
                    json!({ "addresses": ["192.0.2.2"], "nodeName": "node-1" }),
                    json!({ "addresses": ["192.0.2.3"], "zone": "us-a", "targetRef": { "kind": "Machine", "name": "m" } }),
                    json!({ "addresses": ["example.com"] }),
                    json!({ "addresses": [] }),
                ],
            ),
            &json!({ "ports": [{ "port": 8080 }] }),
        ),
    ];
    let found = workloads(&world(&objects), "a", 80);
    let seen: Vec<_> = found
        .iter()
        .map(|w| (w.uid.as_str(), w.locality.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            ("endpointslice/default/a/192.0.2.1", "eu/eu-a"),
            ("endpointslice/default/a/192.0.2.2", "eu/eu-a"),
            ("endpointslice/default/a/192.0.2.3", "/us-a"),
        ]
    );
    for workload in &found {
        assert_eq!(
            (workload.identity.as_str(), workload.name.as_str()),
            ("", "a")
        );
        assert!(!workload.backs[0].ports[0].mutual_tls);
    }
}

#[test]
fn slices_find_their_pods() {
    let ready = json!({ "ready": true });
    let by_address = |address: &str| json!({ "addresses": [address] });
    let on_node = over(
        pod("agent", "agent", "10.9.0.1"),
        &json!({ "spec": { "hostNetwork": true } }),
    );
    let found = world(&[
        over(
            service("a", &http()),
            &json!({ "spec": { "selector": null } }),
        ),
        pod("a-1", "a", "10.0.0.1"),
        on_node,
        slice(
            "a-x",
            "a",
            ("http", 8080),
            &[
                by_address("10.0.0.1"),
                // A node's address is that of many pods.
                by_address("10.9.0.1"),
                // The Pod is not known yet: who answers there nobody can say.
                endpoint("10.0.0.7", "a-7", &ready),
            ],
        ),
    ]);
    let uids: Vec<String> = workloads(&found, "a", 80)
        .into_iter()
        .map(|w| w.uid)
        .collect();
    assert_eq!(uids, ["default/a-1", "endpointslice/default/a/10.9.0.1"]);
    let named = world(&[
        service("agent", &http()),
        over(
            pod("agent", "agent", "10.9.0.1"),
            &json!({ "spec": { "hostNetwork": true } }),
        ),
        slice(
            "x",
            "agent",
            ("http", 8080),
            &[endpoint("10.9.0.1", "agent", &ready)],
        ),
    ]);
    assert_eq!(workloads(&named, "agent", 80)[0].uid, "default/agent");
}

#[test]
fn pods_that_are_over_are_gone() {
    for (phase, want) in [
        ("Running", 1),
        ("Pending", 1),
        ("Succeeded", 0),
        ("Failed", 0),
    ] {
        let found = world(&[
            service("a", &http()),
            over(
                pod("a-1", "a", "10.0.0.1"),
                &json!({ "status": { "phase": phase } }),
            ),
            slice(
                "a-x",
                "a",
                ("http", 8080),
                &[endpoint("10.0.0.1", "a-1", &json!({}))],
            ),
        ]);
        assert_eq!(found.workloads().count(), want, "{phase}");
        assert_eq!(endpoints(&found, "a", 80).len(), want, "{phase}");
    }
}

#[test]
fn workload_entries_stand_beside_pods() {
    let entry = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "WorkloadEntry",
        "metadata": { "namespace": "default", "name": "a-vm" },
        "spec": { "address": "192.0.2.1", "labels": { "app": "a" }, "ports": { "web": 7000 } },
    });
    let objects = [
        service("a", &http()),
        pod("a-1", "a", "10.0.0.1"),
        entry,
        slice(
            "a-x",
            "a",
            ("http", 8080),
            &[endpoint("10.0.0.1", "a-1", &json!({}))],
        ),
    ];
    assert_eq!(
        endpoints(&world(&objects), "a", 80),
        ["10.0.0.1:8080", "192.0.2.1:7000"]
    );
    // Without a slice no pod takes requests, whatever the selector says.
    assert_eq!(
        endpoints(&world(&objects[..3]), "a", 80),
        ["192.0.2.1:7000"]
    );
}

#[test]
fn a_service_entry_selects_ready_pods() {
    let entry = json!({
        "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry",
        "metadata": { "namespace": "default", "name": "e" },
        "spec": {
            "hosts": ["e.example.com"], "location": "MESH_INTERNAL", "resolution": "STATIC",
            "ports": [{ "number": 80, "name": "web", "protocol": "HTTP" }, { "number": 90, "name": "x", "targetPort": 9000 }],
            "workloadSelector": { "labels": { "app": "a" } },
        },
    });
    let not_ready = json!({ "status": { "conditions": [{ "type": "Ready", "status": "False" }] } });
    let ending = json!({ "metadata": { "deletionTimestamp": "2024-01-02T00:00:00Z" } });
    let nowhere = json!({ "status": { "podIP": null, "podIPs": null } });
    let found = world(&[
        entry,
        pod("a-1", "a", "10.0.0.1"),
        over(pod("a-2", "a", "10.0.0.2"), &not_ready),
        over(pod("a-3", "a", "10.0.0.3"), &ending),
        over(pod("a-4", "a", "10.0.0.4"), &nowhere),
        over(
            pod("b-1", "b", "10.0.0.5"),
            &json!({ "metadata": { "namespace": "other", "labels": { "app": "a" } } }),
        ),
    ]);
    let scope = crate::mesh::sidecar(&found, "default/client", &[]);
    let all = crate::mesh::resources(&found, &scope, &["routes/e.example.com:80"]);
    let names: Vec<String> = all.keys().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "routes/e.example.com:80",
            "service/e.example.com",
            "workload/default/a-1"
        ]
    );
    // Those that are not ready answer for it all the same.
    for pod in ["default/a-1", "default/a-2", "default/a-3"] {
        let ports: Vec<_> = crate::mesh::inbound(&found, pod)
            .ports
            .iter()
            .map(|p| p.port)
            .collect();
        assert_eq!(ports, [8080, 9000], "{pod}");
    }
}

#[test]
fn trap_40_pods_of_a_headless_service_are_called_by_address() {
    let ready = json!({ "ready": true });
    let both = json!({ "status": { "podIPs": [{ "ip": "10.0.0.2" }, { "ip": "fd00::2" }] } });
    let found = world(&[
        over(
            service(
                "a",
                &json!([{ "name": "tcp", "port": 80, "targetPort": "web" }]),
            ),
            &json!({ "spec": { "clusterIP": "None" } }),
        ),
        pod("a-0", "a", "10.0.0.1"),
        over(pod("a-1", "a", "10.0.0.2"), &both),
        slice(
            "a-x",
            "a",
            ("tcp", 8080),
            &[
                endpoint("10.0.0.1", "a-0", &ready),
                endpoint("10.0.0.2", "a-1", &ready),
            ],
        ),
    ]);
    for (root, host) in [
        ("address/10.0.0.1:8080", "a.default.svc.cluster.local"),
        ("address/10.0.0.2:8080", "a.default.svc.cluster.local"),
        ("address/[fd00::2]:8080", "a.default.svc.cluster.local"),
        ("address/10.0.0.1:80", ""),
        ("routes/a-0.a:80", "a.default.svc.cluster.local"),
    ] {
        assert_eq!(crate::mesh::table(&found, root).host, host, "{root}");
    }
    assert_eq!(
        endpoints(&found, "a", 80),
        ["10.0.0.1:8080", "10.0.0.2:8080"]
    );
}

#[test]
fn trap_39_an_external_name_is_another_name() {
    let found = world(&[json!({
        "apiVersion": "v1", "kind": "Service", "metadata": { "namespace": "default", "name": "x" },
        "spec": { "type": "ExternalName", "externalName": "db.example.com", "ports": [{ "name": "tcp", "port": 5432 }] },
    })]);
    assert_eq!(endpoints(&found, "x", 5432), ["db.example.com:5432"]);
}

#[test]
fn what_a_service_says_beyond_its_ports() {
    let affinity =
        json!({ "spec": { "sessionAffinity": "ClientIP", "sessionAffinityConfig": {} } });
    let exported =
        json!({ "metadata": { "annotations": { "networking.istio.io/exportTo": "." } } });
    let unknown = json!({ "spec": { "someNewField": { "a": 1 }, "ports": [{ "name": "http", "port": 80, "aNewOne": true }] } });
    let found = world(&[
        over(service("a", &http()), &affinity),
        over(service("b", &http()), &exported),
        over(service("c", &http()), &unknown),
    ]);
    let problems = crate::mesh::problems(&found);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(
        problems[0].starts_with("Service default/a: info: spec.sessionAffinity: `ClientIP`"),
        "{problems:?}"
    );
    let seen = |client: &str, service: &str| {
        let scope = crate::mesh::sidecar(&found, client, &[]);
        !crate::mesh::table_of(&found, &scope, &format!("routes/{service}.default:80")).undeclared
    };
    assert!(seen("default/client", "b") && !seen("other/client", "b") && seen("other/client", "c"));
}

#[test]
fn an_object_changes_the_endpoints_at_once() {
    let settings = MeshSettings::default();
    let mut store = store(&[
        service("a", &http()),
        slice(
            "a-x",
            "a",
            ("http", 8080),
            &[endpoint("10.0.0.1", "a-1", &json!({}))],
        ),
    ]);
    assert_eq!(endpoints(&store.world(&settings), "a", 80).len(), 0);
    store.set_object(&pod("a-1", "a", "10.0.0.1"));
    assert_eq!(endpoints(&store.world(&settings), "a", 80).len(), 1);
}
