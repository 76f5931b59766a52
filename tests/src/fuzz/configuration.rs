//! What users write.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use mesh_api::{ResourceName, SpiffeId, v1};
use mesh_proxy::control::parse_resources;
use mesh_proxy::settings::ProxyKind;
use mesh_proxy_core::Snapshot;
use meshctl::mesh_file::{MeshFile, MeshFileError};
use meshctl::state::StateDir;
use meshctl::{placement, world as derived};
use meshd_core::{MeshSettings, Store};

use super::{client, sidecar};

/// A file of configuration: never a panic, and everything that compiles is taken by a proxy.
pub fn yaml(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut store = Store::new();
    store.set_file("fuzz.yaml", text);
    let world = store.world(&MeshSettings::default());
    for problem in world.problems() {
        assert!(
            problem.origin.is_some(),
            "a problem without a place: {problem:?}"
        );
    }
    let Some(identity) = client() else { return };
    let gateway = v1::Node {
        workload: "istio-system/ingress".into(),
        kind: v1::ProxyKind::Gateway.into(),
        labels: [("istio".to_owned(), "ingressgateway".to_owned())].into(),
        ..v1::Node::default()
    };
    for node in [sidecar(), gateway] {
        compiles(&world, &node, &identity);
    }
}

fn compiles(world: &meshd_core::World, node: &v1::Node, identity: &SpiffeId) {
    let Ok(scope) = world.scope(node, identity) else {
        return;
    };
    let names = [
        "mesh/default",
        "inbound/self",
        "gateway/self",
        "routes/a:80",
        "routes/reviews:9080",
        "routes/db:5432",
    ];
    let roots = names
        .iter()
        .filter_map(|name| name.parse::<ResourceName>().ok())
        .collect();
    let upsert = meshd_core::translate(world, &scope, &roots)
        .values()
        .map(|r| v1::Resource::clone(r))
        .collect();
    let response = v1::DiscoveryResponse {
        revision: 1,
        nonce: "1".into(),
        upsert,
        ..Default::default()
    };
    let applied = Snapshot::empty().apply(&response);
    assert!(
        applied.rejected.is_empty(),
        "the proxy refuses what the compiler made: {:?}",
        applied.rejected
    );
}

/// MESH.yaml: what is taken, the control plane understands without a word.
pub fn mesh_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mesh = match MeshFile::parse(Path::new("mesh.yaml"), text) {
        Ok(mesh) => mesh,
        Err(MeshFileError::Invalid(mistakes)) => {
            assert!(!mistakes.is_empty(), "refused for nothing");
            return;
        }
        Err(MeshFileError::Read { .. }) => return,
    };
    let Ok(state) = StateDir::find(Some(Path::new("/state"))) else {
        return;
    };
    let hosts: Vec<IpAddr> = (1..=250)
        .map(|host| IpAddr::V4(Ipv4Addr::new(10, 0, 0, host)))
        .collect();
    let placed = placement::transparent(&mesh, &state, &hosts);
    let mut store = Store::new();
    store.set_file("services.yaml", &derived::services(&placed));
    for workload in &placed {
        store.set_file(
            &workload.name,
            &derived::workload_entry(workload, derived::Health::Unhealthy),
        );
    }
    let settings = MeshSettings {
        trust_domain: mesh.trust_domain,
        ..MeshSettings::default()
    };
    let world = store.world(&settings);
    let errors: Vec<_> = world
        .problems()
        .iter()
        .filter(|p| p.severity() == v1::Severity::Error)
        .collect();
    assert!(
        errors.is_empty(),
        "the mesh file's own objects are wrong: {errors:?}"
    );
    assert_eq!(world.workloads().count(), placed.len());
}

/// A file of resources: what is wrong stands in the file, and what a proxy serves from it, its
/// admin endpoint gives as a file that says the same.
pub fn resources_file(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let lines = text.split(['\n', '\r']).count() as u64;
    for kind in [ProxyKind::Sidecar, ProxyKind::Gateway] {
        let resources = match parse_resources(text, kind) {
            Ok(resources) => resources,
            Err(problems) => {
                assert!(!problems.is_empty(), "refused for nothing");
                for problem in problems {
                    let (line, column) = problem.place();
                    assert!(line >= 1 && column >= 1, "nowhere: {problem:?}");
                    assert!(line <= lines + 1, "behind the end: {problem:?}");
                    assert!(!problem.text().is_empty(), "refused without a word");
                }
                continue;
            }
        };
        let dump = serde_json::json!({"resources": resources}).to_string();
        let again = parse_resources(&dump, kind);
        assert!(again.is_ok(), "its dump is refused: {again:?}\n{dump}");
        assert_eq!(again.ok(), Some(resources));
    }
}
