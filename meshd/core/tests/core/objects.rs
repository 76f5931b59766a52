//! Objects of an API server in the store: what stays, what counts, what is said of them.

use meshd_core::{MeshSettings, ObjectKey, Store};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::cluster::{endpoint, endpoints, node, over, pod, service, slice, store, world};
use crate::mesh::problems;

fn virtual_service(name: &str, created: &str, host: &str) -> Value {
    json!({
        "apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
        "metadata": { "namespace": "default", "name": name, "creationTimestamp": created },
        "spec": { "hosts": ["a"], "http": [{ "name": name, "route": [{ "destination": { "host": host } }] }] },
    })
}

fn http() -> Value {
    json!([{ "name": "http", "port": 80 }])
}

#[test]
fn a_refused_object_keeps_its_last_good_version() {
    let good = virtual_service("v", "2024-01-01T00:00:00Z", "a");
    let bad = over(
        good.clone(),
        &json!({ "spec": { "http": [{ "route": [{ "destination": { "host": "a", "prot": 1 } }] }] } }),
    );
    let mut store = store(&[service("a", &http()), good.clone()]);
    let settings = MeshSettings::default();
    let before = store.world(&settings);
    store.set_object(&bad);
    let after = store.world(&settings);
    assert_eq!(after.digest(), before.digest());
    assert_eq!(
        problems(&after),
        [
            "VirtualService default/v: error: unknown field `spec.http[0].route[0].destination.prot`; did you mean `port`? [IST0106]"
        ]
    );
    store.set_object(&good);
    assert_eq!(problems(&store.world(&settings)), Vec::<String>::new());
    store.remove_object(&ObjectKey::of(&good));
    assert_ne!(store.world(&settings).digest(), before.digest());
}

#[test]
fn problems_name_the_object_and_the_field() {
    for (object, want) in [
        (
            json!({ "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": { "namespace": "n", "name": "s" },
                "spec": { "hosts": ["*"], "ports": [{ "number": 80, "name": "http", "protocol": "HTTP" }] } }),
            "ServiceEntry n/s: error: spec.hosts[0]: invalid host * [IST0106]",
        ),
        (
            json!({ "apiVersion": "networking.istio.io/v2", "kind": "Gateway", "metadata": { "namespace": "n", "name": "s" }, "spec": {} }),
            "Gateway n/s: error: kind: unknown apiVersion `networking.istio.io/v2` for Gateway; write `networking.istio.io/v1` [IST0106]",
        ),
        (
            json!({ "kind": "Gateway" }),
            "Gateway: error: kind: no apiVersion for Gateway; write `networking.istio.io/v1` [IST0106]",
        ),
        (
            json!({ "apiVersion": "networking.istio.io/v1", "kind": "EnvoyFilter", "metadata": { "namespace": "n", "name": "e" } }),
            "EnvoyFilter n/e: error: kind: EnvoyFilter e is not supported yet: it patches Envoy, which is not part of this mesh [unsupported]",
        ),
    ] {
        assert_eq!(problems(&world(std::slice::from_ref(&object))), [want]);
    }
    // What is said between objects has no file to name.
    let both = [
        service("a", &http()),
        virtual_service("one", "2024-01-01T00:00:00Z", "a"),
        virtual_service("two", "2024-01-02T00:00:00Z", "a"),
    ];
    let said = problems(&world(&both)).join("\n");
    assert!(
        said.starts_with("VirtualService default/two: warning: "),
        "{said}"
    );
    assert!(
        said.contains("default/one is older and holds alone"),
        "{said}"
    );
}

#[test]
fn age_is_creation_then_name_and_files_are_oldest() {
    let first = |objects: &[Value], file: Option<&str>| {
        let mut store = store(objects);
        store.set_object(&service("a", &http()));
        if let Some(text) = file {
            store.set_file("v.yaml", text);
        }
        let table = crate::mesh::table(&store.world(&MeshSettings::default()), "routes/a:80");
        table.http[0].name.clone()
    };
    let at =
        |name: &str, day: u8| virtual_service(name, &format!("2024-01-{day:02}T00:00:00Z"), "a");
    let winner = |names: [Value; 2]| first(&names, None);
    assert!(winner([at("a", 2), at("b", 1)]).starts_with('b'));
    assert!(winner([at("b", 2), at("a", 2)]).starts_with('a'));
    let file = crate::mesh::virtual_service(
        "z",
        "{ hosts: [a], http: [{ name: z, route: [{ destination: { host: a } }] }] }",
    );
    assert!(first(&[at("a", 1)], Some(&file)).starts_with('z'));
}

#[test]
fn an_object_in_a_file_goes_before_one_of_the_cluster() {
    let mut store = store(&[over(
        service("s", &http()),
        &json!({ "spec": { "ports": [{ "port": 9 }] } }),
    )]);
    store.set_file(
        "s.yaml",
        "apiVersion: v1\nkind: Service\nmetadata: { name: s }\nspec: { ports: [{ port: 1 }] }\n",
    );
    let found = store.world(&MeshSettings::default());
    let ports: Vec<u32> = found
        .services()
        .flat_map(|s| s.ports)
        .map(|p| p.number)
        .collect();
    assert_eq!(ports, [1]);
    assert_eq!(
        problems(&found),
        [
            "Service default/s: error: duplicate Service: default/s is declared at s.yaml:1 already [duplicate]"
        ]
    );
}

/// A Pod as the API server gives it, with far more in it than anybody reads.
fn real_pod() -> Value {
    let mut pod = over(
        pod("a-1", "a", "10.0.0.1"),
        &json!({
            "metadata": {
                "uid": "f3b2c1d0-0000-4000-8000-000000000001", "resourceVersion": "4711", "generation": 1,
                "annotations": { "sidecar.istio.io/status": "{}", "cni.projectcalico.org/podIP": "10.0.0.1/32" },
                "finalizers": ["example.com/keep"],
                "managedFields": [{ "manager": "kubelet", "operation": "Update", "fieldsV1": { "f:status": { "f:phase": {} } } }],
            },
            "spec": {
                "affinity": { "podAntiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": [{ "weight": 1 }] } },
                "dnsPolicy": "ClusterFirst", "enableServiceLinks": true, "preemptionPolicy": "PreemptLowerPriority", "priority": 0,
                "restartPolicy": "Always", "schedulerName": "default-scheduler", "securityContext": { "fsGroup": 1337 },
                "tolerations": [{ "effect": "NoExecute", "key": "node.kubernetes.io/not-ready", "operator": "Exists", "tolerationSeconds": 300 }],
                "volumes": [{ "name": "t", "projected": { "defaultMode": 420, "sources": [{ "serviceAccountToken": { "path": "token" } }] } }],
                "resourceClaims": null,
            },
            "status": {
                "containerStatuses": [{ "name": "app", "ready": true, "restartCount": 0, "state": { "running": { "startedAt": "2024-01-02T00:00:03Z" } } }],
                "conditions": [
                    { "type": "PodScheduled", "status": "True", "lastTransitionTime": "2024-01-02T00:00:00Z" },
                    { "type": "Ready", "status": "True", "lastProbeTime": null, "lastTransitionTime": "2024-01-02T00:00:05Z" },
                ],
                "hostIP": "192.168.0.1", "hostIPs": [{ "ip": "192.168.0.1" }], "qosClass": "Burstable", "startTime": "2024-01-02T00:00:00Z",
            },
        }),
    );
    for number in 0..300 {
        pod["spec"][format!("aFieldOfTheFuture{number}")] = json!({ "number": number, "list": [1, "two", null, 3.5, 18_446_744_073_709_551_615_u64] });
        pod["status"][format!("another{number}")] = json!([{ "deep": { "deeper": number } }]);
    }
    pod
}

#[test]
fn a_pod_is_read_leniently() {
    let found = world(&[
        service("a", &http()),
        real_pod(),
        slice(
            "a-x",
            "a",
            ("http", 8080),
            &[endpoint("10.0.0.1", "a-1", &json!({}))],
        ),
    ]);
    assert_eq!(problems(&found), Vec::<String>::new());
    assert_eq!(endpoints(&found, "a", 80), ["10.0.0.1:8080"]);
    // Nonsense in it is nothing to read, and still no reason to refuse it.
    let odd = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "namespace": "default", "name": "odd", "ownerReferences": {} },
        "spec": { "containers": [7, { "ports": [{ "name": "x", "containerPort": 99_999_999 }], "env": "no" }], "nodeName": 5, "hostNetwork": "yes" },
        "status": { "podIPs": [{ "ip": "nowhere" }], "conditions": { "type": "Ready" }, "phase": 1 },
    });
    let found = world(&[odd]);
    assert_eq!((problems(&found).len(), found.workloads().count()), (0, 1));
    // The same from a file.
    let mut store = Store::new();
    store.set_file("pod.json", &real_pod().to_string());
    let from_file = store.world(&MeshSettings::default());
    assert_eq!(problems(&from_file), Vec::<String>::new());
    assert_eq!(from_file.workloads().next().unwrap().name, "a");
}

/// One object of each kind that the World is made of.
fn one_of_each() -> [Value; 6] {
    let node_1 = node("node-1", &json!({ "topology.kubernetes.io/region": "eu" }));
    [
        service("a", &http()),
        pod("a-1", "a", "10.0.0.1"),
        slice(
            "a-x",
            "a",
            ("http", 8080),
            &[endpoint("10.0.0.1", "a-1", &json!({}))],
        ),
        node_1,
        virtual_service("v", "2024-01-01T00:00:00Z", "a"),
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "default" } }),
    ]
}

#[test]
fn what_is_not_used_changes_nothing() {
    let objects = one_of_each();
    let mut store = store(&objects);
    let settings = MeshSettings::default();
    let (digest, generation) = (
        store.world(&settings).digest().to_owned(),
        store.generation(),
    );
    let bookkeeping = json!({ "metadata": {
        "resourceVersion": "9", "generation": 3, "uid": "u", "managedFields": [{ "manager": "x" }],
        "annotations": { "kubectl.kubernetes.io/last-applied-configuration": "{}", "endpoints.kubernetes.io/last-change-trigger-time": "2024-01-02T00:00:00Z" },
    } });
    let nothing = [
        (
            0,
            json!({ "status": { "loadBalancer": { "ingress": [{ "ip": "192.0.2.1" }] } } }),
        ),
        (
            1,
            json!({ "status": { "containerStatuses": [{ "restartCount": 1 }], "startTime": "2024-01-02T00:00:00Z" }, "metadata": { "annotations": { "a.istio.io/b": "c" } } }),
        ),
        (
            2,
            json!({ "metadata": { "labels": { "endpointslice.kubernetes.io/managed-by": "x" } } }),
        ),
        (
            3,
            json!({ "status": { "conditions": [{ "type": "Ready", "lastHeartbeatTime": "2024-01-02T00:00:00Z" }] }, "metadata": { "labels": { "kubernetes.io/arch": "arm64" } } }),
        ),
        (
            4,
            json!({ "status": { "observedGeneration": 1, "validationMessages": [] } }),
        ),
        (
            5,
            json!({ "spec": { "finalizers": ["kubernetes"] }, "status": { "phase": "Active" } }),
        ),
    ];
    for (index, more) in &nothing {
        store.set_object(&over(over(objects[*index].clone(), &bookkeeping), more));
        assert_eq!(store.world(&settings).digest(), digest, "{more}");
    }
    assert_eq!(store.generation(), generation);
}

#[test]
fn what_is_used_changes_the_digest() {
    let objects = one_of_each();
    let store = store(&objects);
    let settings = MeshSettings::default();
    let (digest, generation) = (
        store.world(&settings).digest().to_owned(),
        store.generation(),
    );
    let something = [
        (0, json!({ "spec": { "clusterIP": "10.96.0.11" } })),
        (
            0,
            json!({ "metadata": { "annotations": { "networking.istio.io/exportTo": "." } } }),
        ),
        (1, json!({ "status": { "podIPs": [{ "ip": "10.0.0.9" }] } })),
        (1, json!({ "metadata": { "labels": { "version": "v2" } } })),
        (
            1,
            json!({ "metadata": { "deletionTimestamp": "2024-01-02T00:00:00Z" } }),
        ),
        (2, json!({ "endpoints": [] })),
        (
            3,
            json!({ "metadata": { "labels": { "topology.kubernetes.io/zone": "z" } } }),
        ),
        (4, json!({ "spec": { "hosts": ["b"] } })),
        (
            5,
            json!({ "metadata": { "labels": { "istio-injection": "enabled" } } }),
        ),
    ];
    for (index, more) in something {
        let mut changed = store.clone();
        changed.set_object(&over(objects[index].clone(), &more));
        assert_ne!(changed.world(&settings).digest(), digest, "{more}");
        assert_ne!(changed.generation(), generation, "{more}");
    }
}

/// Objects that speak of the same few names, so that they meet.
fn object() -> impl Strategy<Value = Value> {
    let name = prop::sample::select(vec!["a", "b"]);
    let number = 1..4_u8;
    let day = 1..4_u8;
    let ports = prop::sample::select(vec![("http", 80_u16), ("tcp", 81)]);
    let services = (name.clone(), day.clone(), ports.clone()).prop_map(|(name, day, (port, number))| {
        over(service(name, &json!([{ "name": port, "port": number, "targetPort": "web" }])),
            &json!({ "metadata": { "creationTimestamp": format!("2024-01-{day:02}T00:00:00Z") } }))
    });
    let pods =
        (name.clone(), number.clone(), prop::bool::ANY).prop_map(|(app, number, finished)| {
            let phase = if finished { "Failed" } else { "Running" };
            over(
                pod(&format!("{app}-{number}"), app, &format!("10.0.0.{number}")),
                &json!({ "status": { "phase": phase } }),
            )
        });
    let slices = (
        name.clone(),
        name.clone(),
        ports,
        prop::collection::vec(
            (number, prop::option::of(prop::bool::ANY), prop::bool::ANY),
            0..4,
        ),
    )
        .prop_map(|(service, app, (port, target), found)| {
            let found: Vec<Value> = found
                .into_iter()
                .map(|(number, ready, named)| {
                    let conditions = ready.map_or_else(
                        || json!({}),
                        |ready| json!({ "ready": ready, "terminating": !ready }),
                    );
                    let address = format!("10.0.0.{number}");
                    if named {
                        endpoint(&address, &format!("{app}-{number}"), &conditions)
                    } else {
                        json!({ "addresses": [address], "conditions": conditions, "zone": "z" })
                    }
                })
                .collect();
            slice(
                &format!("{service}-{app}-{port}"),
                service,
                (port, target + 8000),
                &found,
            )
        });
    let routes = (name.clone(), name, day).prop_map(|(name, host, day)| {
        virtual_service(name, &format!("2024-01-{day:02}T00:00:00Z"), host)
    });
    prop_oneof![services, pods, slices, routes]
}

const ROOTS: [&str; 6] = [
    "inbound/self",
    "routes/a:80",
    "routes/a:81",
    "routes/b:80",
    "routes/b:81",
    "address/10.0.0.1:8080",
];

proptest! {
    #[test]
    fn a_world_does_not_depend_on_the_order_of_arrival(
        (one, other) in prop::collection::vec(object(), 0..14).prop_flat_map(|objects| {
            // One version of each: of two the later one would count.
            let latest: std::collections::BTreeMap<ObjectKey, Value> =
                objects.into_iter().map(|object| (ObjectKey::of(&object), object)).collect();
            let objects: Vec<Value> = latest.into_values().collect();
            (Just(objects.clone()), Just(objects).prop_shuffle())
        })
    ) {
        let (one, other) = (world(&one), world(&other));
        prop_assert_eq!(one.digest(), other.digest());
        prop_assert_eq!(one.problems(), other.problems());
        for workload in ["default/a-1", "default/client"] {
            let scope = crate::mesh::sidecar(&one, workload, &[]);
            prop_assert_eq!(crate::mesh::resources(&one, &scope, &ROOTS), crate::mesh::resources(&other, &scope, &ROOTS));
        }
    }

    #[test]
    fn what_came_and_went_leaves_nothing(objects in prop::collection::vec(object(), 0..8), passing in prop::collection::vec(object(), 0..8)) {
        let straight = store(&objects);
        let mut winding = store(&passing);
        for object in &passing {
            winding.remove_object(&ObjectKey::of(object));
        }
        for object in &objects {
            winding.set_object(object);
        }
        let settings = MeshSettings::default();
        let (straight, winding) = (straight.world(&settings), winding.world(&settings));
        prop_assert_eq!(straight.digest(), winding.digest());
        prop_assert_eq!(straight.problems(), winding.problems());
    }
}
