//! What stays in force when files change, and what a World's digest depends on.

use crate::mesh::problems;
use mesh_api::WorkloadName;
use meshd_core::{MeshSettings, Store, World};

fn workload(name: &str, address: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: {{ name: {name} }}\nspec: {{ address: {address} }}\n"
    )
}

fn address(world: &World, name: &str) -> Option<String> {
    world
        .workload(&WorkloadName::new("default", name).unwrap())
        .map(|found| found.address)
}

fn world(store: &Store) -> World {
    store.world(&MeshSettings::default())
}

#[test]
fn a_bad_object_keeps_its_last_good_version_and_its_neighbours_change() {
    let mut store = Store::new();
    store.set_file(
        "a",
        &format!(
            "{}{}",
            workload("one", "10.0.0.1"),
            workload("two", "10.0.0.2")
        ),
    );
    store.set_file(
        "a",
        &format!(
            "{}{}",
            workload("one", "not an address"),
            workload("two", "10.0.0.3")
        ),
    );
    let found = world(&store);
    assert_eq!(address(&found, "one").as_deref(), Some("10.0.0.1"));
    assert_eq!(address(&found, "two").as_deref(), Some("10.0.0.3"));
    assert_eq!(problems(&found).len(), 1);
    store.set_file("a", &workload("two", "10.0.0.3"));
    assert_eq!(
        address(&world(&store), "one"),
        None,
        "what is gone from the file is gone"
    );
}

#[test]
fn a_file_that_is_no_yaml_keeps_everything() {
    let mut store = Store::new();
    store.set_file(
        "a",
        &format!(
            "{}{}",
            workload("one", "10.0.0.1"),
            workload("two", "10.0.0.2")
        ),
    );
    store.set_file("a", "a: [");
    let found = world(&store);
    assert_eq!(
        (
            address(&found, "one").is_some(),
            address(&found, "two").is_some()
        ),
        (true, true)
    );
    store.set_file("a", &format!("a: [\n{}", workload("two", "10.0.0.4")));
    let found = world(&store);
    assert_eq!(address(&found, "one").as_deref(), Some("10.0.0.1"));
    assert_eq!(address(&found, "two").as_deref(), Some("10.0.0.4"));
    store.remove_file("a");
    assert_eq!(world(&store).workloads().count(), 0);
}

#[test]
fn the_first_file_by_name_owns_a_name() {
    let mut store = Store::new();
    store.set_file("b", &workload("one", "10.0.0.2"));
    store.set_file("a", &workload("one", "10.0.0.1"));
    let found = world(&store);
    assert_eq!(address(&found, "one").as_deref(), Some("10.0.0.1"));
    assert!(
        problems(&found)[0].contains(
            "b:2:1: error: duplicate WorkloadEntry: default/one is declared at a:2 already"
        )
    );
}

#[test]
fn derived_services_give_way_silently() {
    let service = |derived: bool, port: u32| {
        let annotations = if derived {
            "annotations: { mesh.dev/derived: 'true' }"
        } else {
            ""
        };
        format!(
            "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\n  {annotations}\nspec: {{ ports: [{{ port: {port} }}] }}\n"
        )
    };
    for (derived, own) in [("a", "b"), ("b", "a")] {
        let mut store = Store::new();
        store.set_file(derived, &service(true, 1));
        store.set_file(own, &service(false, 2));
        let found = world(&store);
        let ports: Vec<u32> = found
            .services()
            .flat_map(|service| service.ports)
            .map(|port| port.number)
            .collect();
        assert_eq!((ports, problems(&found)), (vec![2], vec![]));
    }
}

#[test]
fn derived_services_give_way_to_a_service_entry() {
    let mut store = Store::new();
    store.set_file(
        "derived",
        "apiVersion: v1\nkind: Service\nmetadata:\n  name: s\n  annotations: { mesh.dev/derived: 'true' }\nspec: { ports: [{ port: 1 }] }\n",
    );
    store.set_file(
        "own",
        "apiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: { name: s }\nspec: { hosts: [s.default.svc.cluster.local], ports: [{ number: 2, name: http, protocol: HTTP }], resolution: STATIC, endpoints: [{ address: 10.0.0.1 }] }\n",
    );
    let found = world(&store);
    let services: Vec<_> = found
        .services()
        .map(|service| (service.origin.kind, service.ports[0].number))
        .collect();
    assert_eq!(
        (services, problems(&found)),
        (vec![("ServiceEntry".to_owned(), 2)], vec![])
    );
}

#[test]
fn the_digest_depends_on_content_only() {
    let (one, two) = (workload("one", "10.0.0.1"), workload("two", "10.0.0.2"));
    let digest = |files: &[(&str, &str)]| {
        let mut store = Store::new();
        for (path, text) in files {
            store.set_file(path, text);
        }
        world(&store).digest().to_owned()
    };
    let base = digest(&[("a", &one), ("b", &two)]);
    assert_eq!(base.len(), 64);
    assert_eq!(digest(&[("b", &two), ("a", "a: ["), ("a", &one)]), base);
    assert_ne!(digest(&[("a", &one)]), base);
    assert_ne!(digest(&[("a", &two), ("b", &one)]), base);
    let mut store = Store::new();
    store.set_file("a", &one);
    let settings = MeshSettings {
        root_namespace: "root".to_owned(),
        ..MeshSettings::default()
    };
    assert_ne!(store.world(&settings).digest(), world(&store).digest());
}

#[test]
fn both_spellings_and_all_versions() {
    for version in ["v1", "v1beta1", "v1alpha3"] {
        for (delay, percentage) in [("fixedDelay", "percentage"), ("fixed_delay", "percentage")] {
            let text = format!(
                "apiVersion: networking.istio.io/{version}\nkind: VirtualService\nmetadata: {{ name: v }}\nspec:\n  hosts: [a]\n  http:\n  - fault: {{ delay: {{ {delay}: 7s, {percentage}: {{ value: 1 }} }} }}\n    route: [{{ destination: {{ host: a }} }}]\n"
            );
            assert_eq!(
                problems(&crate::mesh::good(&text)),
                Vec::<String>::new(),
                "{version} {delay}"
            );
        }
    }
}
