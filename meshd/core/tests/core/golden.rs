//! Golden files: `testdata/<case>/input.yaml` compiled, resources and findings recorded.
//!
//! The head of an input says for whom and what: `# scope: <kind> <workload> <service account>
//! [<label>=<value>,...]` and `# root: <resource name>`.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use mesh_api::{ResourceName, SpiffeId, WorkloadName, v1};
use meshd_core::{MeshSettings, ProblemLine, Scope, Store, World, translate};

struct Case {
    world: World,
    scope: Option<Scope>,
    roots: BTreeSet<ResourceName>,
}

fn load(case: &str) -> Case {
    let path = format!("{}/testdata/{case}/input.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let mut store = Store::new();
    store.set_file("input.yaml", &text);
    let world = store.world(&MeshSettings::default());
    let head = |key: &str| {
        let prefix = format!("# {key}: ");
        text.lines()
            .filter_map(|line| line.strip_prefix(&prefix).map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let scope = head("scope").first().map(|line| scope(&world, line));
    let roots = head("root")
        .iter()
        .map(|root| root.parse().unwrap())
        .collect();
    Case {
        world,
        scope,
        roots,
    }
}

fn scope(world: &World, line: &str) -> Scope {
    let parts: Vec<&str> = line.split(' ').collect();
    let kind = if parts[0] == "gateway" {
        v1::ProxyKind::Gateway
    } else {
        v1::ProxyKind::Sidecar
    };
    let workload: WorkloadName = parts[1].parse().unwrap();
    let identity = SpiffeId::new(
        &world.settings().trust_domain,
        workload.namespace(),
        parts[2],
    )
    .unwrap();
    let labels = parts.get(3).map(|text| {
        text.split(',')
            .map(|pair| {
                pair.split_once('=')
                    .map(|(k, v)| (k.to_owned(), v.to_owned()))
                    .unwrap()
            })
            .collect()
    });
    let node = v1::Node {
        workload: workload.to_string(),
        kind: kind.into(),
        labels: labels.unwrap_or_default(),
        ..v1::Node::default()
    };
    world.scope(&node, &identity).unwrap()
}

fn check(case: &str) {
    let Case {
        world,
        scope,
        roots,
    } = load(case);
    let mut problems = String::new();
    for problem in world.problems() {
        writeln!(problems, "{}", ProblemLine(problem)).unwrap();
    }
    insta::with_settings!({ snapshot_path => format!("../../testdata/{case}"), prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("problems", problems);
    });
    let Some(scope) = scope else { return };
    let mut resources: Vec<v1::Resource> = translate(&world, &scope, &roots)
        .values()
        .map(|r| (**r).clone())
        .collect();
    for resource in &mut resources {
        assert_eq!(resource.version.len(), 32, "{}", resource.name);
        resource.version.clear();
    }
    insta::with_settings!({ snapshot_path => format!("../../testdata/{case}"), prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("resources", serde_json::to_string_pretty(&resources).unwrap());
    });
}

#[test]
fn bookinfo() {
    check("bookinfo");
}

#[test]
fn cluster() {
    check("cluster");
}

#[test]
fn canary_and_faults() {
    check("canary_and_faults");
}

#[test]
fn ingress() {
    check("ingress");
}

#[test]
fn gateway_tls() {
    check("gateway_tls");
}

#[test]
fn egress() {
    check("egress");
}

#[test]
fn security() {
    check("security");
}

#[test]
fn opaque() {
    check("opaque");
}

#[test]
fn names_and_addresses() {
    check("names_and_addresses");
}

#[test]
fn precedence() {
    check("precedence");
}

#[test]
fn traffic() {
    check("traffic");
}

#[test]
fn resilience() {
    check("resilience");
}

#[test]
fn gateway_api() {
    check("gateway_api");
}

#[test]
fn broken() {
    check("broken");
}
