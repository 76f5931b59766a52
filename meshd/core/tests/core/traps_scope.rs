//! Istio's traps in what a proxy may ask for; numbers as in the table of exact semantics.

use mesh_api::v1::resource::Body;
use mesh_api::v1::{LoadBalancer, OutboundPolicy, RouteTable};
use meshd_core::World;

use crate::mesh::{
    self, destinations, good, names, problems, resources, sidecar, table_of, virtual_service, world,
};

fn scope(name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {{ name: {name}, namespace: {namespace} }}\nspec: {spec}\n"
    )
}

fn table(world: &World, root: &str, labels: &[(&str, &str)]) -> RouteTable {
    table_of(world, &sidecar(world, "default/client", labels), root)
}

fn sees(world: &World, root: &str, labels: &[(&str, &str)]) -> bool {
    !table(world, root, labels).undeclared
}

#[test]
fn trap_28_selector_then_namespace_then_root() {
    let selected = scope(
        "one",
        "default",
        "{ workloadSelector: { labels: { app: client } }, egress: [{ hosts: ['./a.default.svc.cluster.local'] }] }",
    );
    let plain = scope(
        "all",
        "default",
        "{ egress: [{ hosts: ['default/b.default.svc.cluster.local'] }] }",
    );
    let root = scope(
        "root",
        "istio-system",
        "{ egress: [{ hosts: ['*/multi.default.svc.cluster.local'] }] }",
    );
    let seen = |text: &str, labels: &[(&str, &str)]| {
        let world = good(text);
        let roots = ["routes/a:80", "routes/b:8080", "routes/multi:80"];
        roots.map(|root| sees(&world, root, labels))
    };
    let app = [("app", "client")];
    let all = format!("{selected}{plain}{root}");
    assert_eq!(seen(&all, &app), [true, false, false]);
    assert_eq!(seen(&all, &[]), [false, true, false]);
    assert_eq!(
        seen(&format!("{selected}{root}"), &[]),
        [false, false, true]
    );
    assert_eq!(seen("", &app), [true, true, true], "implicitly */*");
    let world = good(&format!(
        "{plain}{}",
        virtual_service(
            "vs",
            "{ hosts: [a], gateways: [gw], http: [{ route: [{ destination: { host: a } }] }] }"
        )
    ));
    let gateway = mesh::gateway(&world, "default/gw", &[]);
    assert!(
        !table_of(&world, &gateway, "routes/a:80").undeclared,
        "gateways ignore Sidecars"
    );
    let twice = problems(&mesh::world(&format!(
        "{plain}{}",
        scope("more", "default", "{ egress: [{ hosts: ['*/*'] }] }")
    )));
    assert!(
        twice.iter().any(|line| line.contains("IST0111")),
        "{twice:#?}"
    );
}

#[test]
fn trap_29_a_named_port_leaves_the_catch_all() {
    let text = scope(
        "ports",
        "default",
        "{ egress: [{ port: { number: 9000, protocol: HTTP, name: x }, hosts: ['./a.default.svc.cluster.local'] }, { hosts: ['./multi.default.svc.cluster.local'] }] }",
    );
    let world = good(&text);
    assert!(sees(&world, "routes/multi:80", &[]));
    assert!(!sees(&world, "routes/multi:9000", &[]));
    let wrong = "{ egress: [{ hosts: ['*/*'] }, { port: { number: 80, protocol: HTTP, name: x }, hosts: ['*/*'] }] }";
    let found = problems(&mesh::world(&scope("wrong", "default", wrong)));
    let why = "empty port should be the last listener";
    assert!(found.iter().any(|line| line.contains(why)), "{found:#?}");
}

#[test]
fn trap_29_destinations_of_imported_routes_are_imported() {
    let routes = virtual_service(
        "vs",
        "{ hosts: [a], http: [{ name: to-b, route: [{ destination: { host: b } }] }] }",
    );
    let only_a = scope(
        "one",
        "default",
        "{ egress: [{ hosts: ['./a.default.svc.cluster.local'] }] }",
    );
    let world = good(&format!("{routes}{only_a}"));
    let found = table(&world, "routes/a:80", &[]);
    assert_eq!(destinations(&found.http[0]), ["b.default:8080/*100"]);
    assert!(sees(&world, "routes/b:8080", &[]));
    assert!(!sees(&world, "routes/multi:80", &[]));
    // A VirtualService of a namespace that is not imported does not hold.
    let foreign = routes
        .replace("name: vs", "name: vs, namespace: other")
        .replace("hosts: [a]", "hosts: [a.default.svc.cluster.local]");
    let world = good(&format!("{foreign}{only_a}"));
    assert_eq!(names(&table(&world, "routes/a:80", &[]).http), ["default"]);
}

#[test]
fn trap_30_a_sidecar_is_no_firewall() {
    let mode = |spec: &str| {
        let world = good(&scope("mode", "default", spec));
        let all = resources(
            &world,
            &sidecar(&world, "default/client", &[]),
            &["mesh/default"],
        );
        match all.into_values().next().unwrap().body.clone() {
            Some(Body::Mesh(mesh)) => mesh.outbound_policy(),
            other => panic!("{other:?}"),
        }
    };
    let hosts = "egress: [{ hosts: ['~/*'] }]";
    assert_eq!(
        mode(&format!("{{ {hosts} }}")),
        OutboundPolicy::AllowAny,
        "what is not imported passes like anything undeclared"
    );
    assert_eq!(
        mode(&format!(
            "{{ {hosts}, outboundTrafficPolicy: {{ mode: REGISTRY_ONLY }} }}"
        )),
        OutboundPolicy::RegistryOnly
    );
    let none = good(&scope("none", "default", &format!("{{ {hosts} }}")));
    assert!(!sees(&none, "routes/a:80", &[]));
    assert!(!sees(&none, "routes/b:8080", &[]));
    let but = good(&scope(
        "but",
        "default",
        "{ egress: [{ hosts: ['*/*', '~default/a.default.svc.cluster.local'] }] }",
    ));
    assert!(!sees(&but, "routes/a:80", &[]) && sees(&but, "routes/b:8080", &[]));
}

#[test]
fn sidecars_that_cannot_be_enforced_are_refused() {
    for (spec, why) in [
        (
            "{ egress: [{ hosts: [a] }] }",
            "must be of form namespace/dnsName",
        ),
        (
            "{ egress: [{ hosts: [] }] }",
            "must contain at least one host",
        ),
    ] {
        let found = problems(&world(&scope("wrong", "default", spec)));
        assert!(
            found.iter().any(|line| line.contains(why)),
            "{spec}: {found:#?}"
        );
    }
}

#[test]
fn trap_22_a_subsets_policy_is_for_that_subset_alone() {
    let rule = "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: { name: a }\nspec: { host: a, subsets: [{ name: v1, labels: { version: v1 }, trafficPolicy: { outlierDetection: {}, loadBalancer: { simple: RANDOM } } }, { name: none, labels: { version: v9 } }] }\n";
    let world = good(rule);
    let found = mesh::service(
        &world,
        &sidecar(&world, "default/client", &[]),
        "routes/a:80",
        "a.default.svc.cluster.local",
    );
    let policy = |subset: &str| mesh::policy(&found, subset, 80);
    assert_eq!(policy("").load_balancer(), LoadBalancer::LeastRequest);
    assert!(policy("").outlier_detection.is_none());
    assert_eq!(policy("v1").load_balancer(), LoadBalancer::Random);
    assert!(policy("v1").outlier_detection.is_some());
    let told = problems(&world);
    assert!(
        told.iter().any(|line| line.contains("IST0173")),
        "{told:#?}"
    );
}

#[test]
fn trap_27_objects_are_seen_where_they_are_exported_to() {
    let service = |to: &str| {
        format!(
            "---\napiVersion: v1\nkind: Service\nmetadata: {{ name: c, annotations: {{ networking.istio.io/exportTo: '{to}' }} }}\nspec: {{ selector: {{ app: a }}, ports: [{{ name: http, port: 80 }}] }}\n"
        )
    };
    let entry = |to: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{ name: e }}\nspec: {{ hosts: [x.example.com], exportTo: ['{to}'], resolution: DNS, ports: [{{ number: 80, name: http, protocol: HTTP }}] }}\n"
        )
    };
    for (to, own, other) in [
        ("*", true, true),
        (".", true, false),
        ("~", false, false),
        ("other", false, true),
    ] {
        for (text, root) in [
            (service(to), "routes/c.default.svc.cluster.local:80"),
            (entry(to), "routes/x.example.com:80"),
        ] {
            let world = good(&text);
            let seen = |workload: &str| {
                !table_of(&world, &sidecar(&world, workload, &[]), root).undeclared
            };
            assert_eq!(
                (seen("default/client"), seen("other/client")),
                (own, other),
                "{to}: {root}"
            );
        }
    }
}
