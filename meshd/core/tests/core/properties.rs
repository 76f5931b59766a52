//! Properties over generated configurations.

use std::collections::BTreeMap;

use mesh_api::v1::{Ack, DiscoveryRequest, Node, Resource};
use meshd_core::session::Session;
use meshd_core::{MeshSettings, Store, analyze};
use proptest::prelude::*;

/// One of a few objects, so that generated files overlap.
fn object() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec!["a", "b", "c"]);
    let workload = (name.clone(), 1..4_u8, prop::bool::ANY).prop_map(|(name, n, mtls)| {
        let tls = if mtls { ", security.istio.io/tlsMode: istio" } else { "" };
        format!("apiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{ name: {name}-{n} }}\nspec: {{ address: 10.0.0.{n}, labels: {{ app: {name}, version: v{n}{tls} }} }}\n")
    });
    let service = (name.clone(), prop::sample::select(vec![80, 8080])).prop_map(|(name, port)| {
        format!("apiVersion: v1\nkind: Service\nmetadata: {{ name: {name} }}\nspec: {{ selector: {{ app: {name} }}, ports: [{{ name: http, port: {port} }}] }}\n")
    });
    let route = (name.clone(), name.clone(), 0..3_u8).prop_map(|(host, to, weight)| {
        format!("apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{ name: {host} }}\nspec: {{ hosts: [{host}], http: [{{ route: [{{ destination: {{ host: {to} }}, weight: {weight} }}, {{ destination: {{ host: {host} }}, weight: 1 }}] }}] }}\n")
    });
    let rule = (name, prop::sample::select(vec!["RANDOM", "ROUND_ROBIN"])).prop_map(|(host, simple)| {
        format!("apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{ name: {host} }}\nspec: {{ host: {host}, trafficPolicy: {{ loadBalancer: {{ simple: {simple} }} }} }}\n")
    });
    prop_oneof![workload, service, route, rule, Just("a: [\n".to_owned())]
}

fn files() -> impl Strategy<Value = BTreeMap<String, String>> {
    let file = prop::collection::vec(object(), 0..6).prop_map(|objects| objects.join("---\n"));
    prop::collection::btree_map(
        prop::sample::select(vec!["1", "2", "3"]).prop_map(str::to_owned),
        file,
        0..4,
    )
}

fn store(files: &BTreeMap<String, String>) -> Store {
    let mut store = Store::new();
    for (path, text) in files {
        store.set_file(path, text);
    }
    store
}

const ROOTS: [&str; 5] = [
    "mesh/default",
    "inbound/self",
    "routes/a:80",
    "routes/b:8080",
    "routes/c.default:80",
];

fn apply(
    held: &mut BTreeMap<String, Resource>,
    session: &mut Session,
    world: &meshd_core::World,
    revision: u64,
) {
    let Some(response) = session.next(world, revision) else {
        return;
    };
    for name in &response.removed {
        assert!(held.remove(name).is_some(), "{name} was not held");
    }
    for resource in response.upsert {
        held.insert(resource.name.clone(), resource);
    }
    let ack = Ack {
        nonce: response.nonce,
        revision,
        rejected: Vec::new(),
    };
    session
        .on_request(&DiscoveryRequest {
            ack: Some(ack),
            ..DiscoveryRequest::default()
        })
        .unwrap();
}

proptest! {
    #[test]
    fn a_session_brings_a_proxy_from_any_world_to_any_other(one in files(), two in files(), resume in prop::bool::ANY) {
        let settings = MeshSettings::default();
        let (one, two) = (store(&one).world(&settings), store(&two).world(&settings));
        let scope = crate::mesh::sidecar(&one, "default/client", &[]);
        let mut first = DiscoveryRequest {
            node: Some(Node::default()),
            subscribe: ROOTS.map(str::to_owned).to_vec(),
            ..DiscoveryRequest::default()
        };
        let mut session = Session::new(scope.clone());
        session.on_request(&first).unwrap();
        let mut held = BTreeMap::new();
        apply(&mut held, &mut session, &one, 1);
        if resume {
            first.known = held.iter().map(|(name, resource)| (name.clone(), resource.version.clone())).collect();
            session = Session::new(scope.clone());
            session.on_request(&first).unwrap();
        }
        apply(&mut held, &mut session, &two, 2);
        prop_assert_eq!(session.acked_revision(), 2);
        let want = crate::mesh::resources(&two, &scope, &ROOTS);
        let got: Vec<&Resource> = held.values().collect();
        let mut want: Vec<&Resource> = want.values().map(|resource| &**resource).collect();
        want.sort_by(|a, b| a.name.cmp(&b.name));
        prop_assert_eq!(got, want);
    }

    #[test]
    fn a_world_does_not_depend_on_the_order_of_files(files in files()) {
        let settings = MeshSettings::default();
        let forward = store(&files).world(&settings);
        let mut backward = Store::new();
        for (path, text) in files.iter().rev() {
            backward.set_file(path, text);
        }
        let backward = backward.world(&settings);
        prop_assert_eq!(forward.digest(), backward.digest());
        prop_assert_eq!(forward.problems(), backward.problems());
        let scope = crate::mesh::sidecar(&forward, "default/client", &[]);
        prop_assert_eq!(crate::mesh::resources(&forward, &scope, &ROOTS), crate::mesh::resources(&backward, &scope, &ROOTS));
    }

    #[test]
    fn every_destination_comes_with_its_service_and_workloads(files in files()) {
        let world = store(&files).world(&MeshSettings::default());
        let scope = crate::mesh::sidecar(&world, "default/client", &[]);
        let all = crate::mesh::resources(&world, &scope, &ROOTS);
        for service in world.services() {
            let name = format!("service/{}", service.hostname).parse().unwrap();
            if all.contains_key(&name) {
                for uid in service.workloads {
                    let workload = mesh_api::ResourceName::Workload(uid);
                    prop_assert!(all.contains_key(&workload), "{} without {}", name, workload);
                }
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(text in "[ -~\\n\\t\u{80}-\u{2ff}]{0,200}") {
        analyze(&[("x".to_owned(), text)], &MeshSettings::default());
    }
}

proptest! {
    // Each case compiles four files.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_damage_makes_it_panic(at in 0..4000_usize, len in 0..40_usize, put in "[-{}:,\\[\\]'\" \\na-z0-9*&!|>]{0,12}") {
        const INPUTS: [&str; 4] = [
            include_str!("../../testdata/canary_and_faults/input.yaml"),
            include_str!("../../testdata/egress/input.yaml"),
            include_str!("../../testdata/security/input.yaml"),
            include_str!("../../testdata/ingress/input.yaml"),
        ];
        for input in INPUTS {
            let mut bytes = input.as_bytes().to_vec();
            let start = at % bytes.len();
            let end = (start + len).min(bytes.len());
            bytes.splice(start..end, put.bytes());
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let mut store = Store::new();
            store.set_file("x", input);
            store.set_file("x", &text);
            let world = store.world(&MeshSettings::default());
            let scope = crate::mesh::sidecar(&world, "default/client", &[]);
            crate::mesh::resources(&world, &scope, &["inbound/self", "routes/site:80", "routes/www.example-apis.com:80"]);
            let gateway = crate::mesh::gateway(&world, "edge/g", &[("istio", "ingressgateway")]);
            crate::mesh::resources(&world, &gateway, &["gateway/self"]);
        }
    }
}
