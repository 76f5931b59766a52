//! Istio's traps in services and gateways; numbers as in the table of exact semantics.

use mesh_api::v1::Resolution;
use mesh_api::v1::resource::Body;

use crate::mesh::{
    self, gateway, gateway_of, good, names, problems, resources, service, sidecar, table,
};

#[test]
fn trap_31_one_host_in_several_namespaces() {
    let entry = |namespace: &str, number: u32| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{ name: e, namespace: {namespace} }}\nspec: {{ hosts: [x.example.com], ports: [{{ number: {number}, name: http, protocol: HTTP }}], resolution: DNS }}\n"
        )
    };
    let world = good(&format!("{}{}", entry("one", 81), entry("two", 82)));
    let declared = |workload: &str, port: u16| {
        let scope = sidecar(&world, workload, &[]);
        !crate::mesh::table_of(&world, &scope, &format!("routes/x.example.com:{port}")).undeclared
    };
    assert!(
        declared("two/client", 82) && !declared("two/client", 81),
        "its own namespace first"
    );
    assert!(
        declared("default/client", 81) && !declared("default/client", 82),
        "else the oldest"
    );
    let all = resources(
        &world,
        &sidecar(&world, "two/client", &[]),
        &["routes/x.example.com:82"],
    );
    let names: Vec<String> = all.keys().map(ToString::to_string).collect();
    assert_eq!(
        names,
        [
            "routes/x.example.com:82",
            "service/x.example.com",
            "workload/serviceentry/two/e/x.example.com"
        ]
    );
}

#[test]
fn trap_36_a_service_entry_only_decorates_a_service() {
    let world = good(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: e }
spec: { hosts: [a.default.svc.cluster.local], ports: [{ number: 99, name: http, protocol: HTTP }], resolution: DNS, subjectAltNames: [x] }
",
    );
    let found = service(
        &world,
        &sidecar(&world, "default/client", &[]),
        "routes/a:80",
        "a.default.svc.cluster.local",
    );
    assert_eq!(
        (found.resolution(), found.subject_alt_names),
        (Resolution::Static, vec!["x".to_owned()])
    );
    assert!(table(&world, "routes/a:99").undeclared);
}

#[test]
fn trap_37_and_50_mutual_tls_by_endpoint() {
    let entry = |location: &str| {
        format!(
            "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{ name: e }}
spec:
  hosts: [x.example.com]
  location: {location}
  ports: [{{ number: 80, name: http, protocol: HTTP }}]
  resolution: STATIC
  endpoints:
  - {{ address: 192.0.2.1, labels: {{ security.istio.io/tlsMode: istio }} }}
  - {{ address: 192.0.2.2 }}
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{ name: strict }}
spec: {{ mtls: {{ mode: STRICT }} }}
"
        )
    };
    for (location, want) in [
        ("MESH_INTERNAL", [true, false]),
        ("MESH_EXTERNAL", [false, false]),
    ] {
        let world = good(&entry(location));
        let all = resources(
            &world,
            &sidecar(&world, "default/client", &[]),
            &["routes/x.example.com:80"],
        );
        let workloads = all.values().filter_map(|resource| match &resource.body {
            Some(Body::Workload(workload)) => Some(workload.backs[0].ports[0].mutual_tls),
            _ => None,
        });
        assert_eq!(workloads.collect::<Vec<_>>(), want, "{location}");
    }
}

#[test]
fn trap_38_allocated_addresses() {
    let world = good(
        "
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: none }
spec: { hosts: [none.example.com], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: NONE }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: out, labels: { networking.istio.io/enable-autoallocate-ip: 'false' } }
spec: { hosts: [out.example.com], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS }
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: { name: in }
spec: { hosts: [in.example.com], ports: [{ number: 80, name: http, protocol: HTTP }], resolution: DNS }
",
    );
    let addresses = |host: &str| {
        world
            .services()
            .find(|found| found.hostname == host)
            .unwrap()
            .addresses
    };
    assert_eq!(addresses("none.example.com"), Vec::<String>::new());
    assert_eq!(addresses("out.example.com"), Vec::<String>::new());
    let allocated = addresses("in.example.com");
    assert!(allocated[0].starts_with("240.240."), "{allocated:?}");
    assert_eq!(
        table(&world, &format!("address/{}:80", allocated[0])).host,
        "in.example.com"
    );
}

const GATEWAY: &str = "
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: { name: gw }
spec:
  selector: { istio: ingress }
  servers: [{ port: { number: 80, name: http, protocol: HTTP }, hosts: ['*.example.com', 'other/*.example.org'] }]
";

#[test]
fn trap_41_to_43_gateways() {
    let bound = |name: &str, namespace: &str, host: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{ name: {name}, namespace: {namespace} }}\nspec: {{ hosts: ['{host}'], gateways: [default/gw], http: [{{ name: {name}, route: [{{ destination: {{ host: a.default.svc.cluster.local }} }}] }}] }}\n"
        )
    };
    let world = good(&format!(
        "{GATEWAY}{}{}{}{}{}",
        bound("exact", "default", "a.example.com"),
        bound("star", "default", "*"),
        bound("apex", "default", "example.com"),
        bound("org", "default", "a.example.org"),
        bound("theirs", "other", "a.example.org"),
    ));
    let found = gateway_of(
        &world,
        &gateway(&world, "edge/ingress", &[("istio", "ingress")]),
    );
    let hosts: Vec<(&str, Vec<&str>)> = found.listeners[0]
        .hosts
        .iter()
        .map(|host| (host.domain.as_str(), names(&host.http)))
        .collect();
    assert_eq!(
        hosts,
        [
            ("*.example.com", vec!["star"]),
            ("a.example.com", vec!["exact"]),
            ("a.example.org", vec!["theirs"])
        ]
    );
    let other = gateway_of(
        &world,
        &gateway(&world, "edge/egress", &[("istio", "egress")]),
    );
    assert!(other.listeners.is_empty());
    let unbound: Vec<String> = problems(&world)
        .into_iter()
        .filter(|line| line.ends_with("[IST0132]"))
        .collect();
    assert_eq!(unbound.len(), 2, "apex and org: {unbound:?}");
}

#[test]
fn trap_04_gateways_merge_and_put_catch_alls_last() {
    let bound = |name: &str, rules: &str| {
        mesh::virtual_service(
            name,
            &format!("{{ hosts: [a.example.com], gateways: [gw], http: {rules} }}"),
        )
    };
    let world = good(&format!(
        "{GATEWAY}{}{}{}",
        bound(
            "one",
            "[{ name: x, match: [{ uri: { prefix: /x } }], route: [{ destination: { host: a } }] }, { name: all, route: [{ destination: { host: a } }] }]"
        ),
        bound(
            "two",
            "[{ name: y, match: [{ uri: { prefix: /y } }], route: [{ destination: { host: a } }] }]"
        ),
        bound(
            "three",
            "[{ name: late, match: [{ uri: { prefix: / } }], route: [{ destination: { host: a } }] }]"
        ),
    ));
    let found = gateway_of(
        &world,
        &gateway(&world, "default/ingress", &[("istio", "ingress")]),
    );
    assert_eq!(
        names(&found.listeners[0].hosts[0].http),
        ["x", "y", "all", "late"]
    );
}

#[test]
fn trap_35_names_that_clients_say_themselves() {
    let entry = |spec: &str| {
        format!(
            "---\napiVersion: networking.istio.io/v1\nkind: ServiceEntry\nmetadata: {{ name: se }}\nspec: {spec}\n"
        )
    };
    let text = entry(
        "{ hosts: ['*.example.com'], resolution: DYNAMIC_DNS, ports: [{ number: 443, name: tls, protocol: TLS }, { number: 80, name: http, protocol: HTTP }] }",
    );
    let world = good(&text);
    let scope = sidecar(&world, "default/client", &[]);
    let found = service(
        &world,
        &scope,
        "routes/www.example.com:443",
        "*.example.com",
    );
    assert_eq!(found.resolution(), Resolution::DynamicDns);
    assert_eq!(
        found.addresses.len(),
        1,
        "it gets an address for captured clients"
    );
    let once = entry(
        "{ hosts: [x.example.com], resolution: DNS_ROUND_ROBIN, ports: [{ number: 80, name: http, protocol: HTTP }] }",
    );
    let world = good(&once);
    let scope = sidecar(&world, "default/client", &[]);
    let found = service(&world, &scope, "routes/x.example.com:80", "x.example.com");
    assert_eq!(found.resolution(), Resolution::DnsRoundRobin);
    for (spec, why) in [
        (
            "{ hosts: [x.example.com], resolution: DYNAMIC_DNS, ports: [{ number: 80, name: http, protocol: HTTP }] }",
            "takes wildcard hosts only",
        ),
        (
            "{ hosts: ['*.example.com'], resolution: DYNAMIC_DNS, ports: [{ number: 80, name: tcp, protocol: TCP }] }",
            "HTTP, HTTP2, GRPC and TLS ports only",
        ),
        (
            "{ hosts: ['*.example.com'], resolution: DYNAMIC_DNS, addresses: [1.2.3.4], ports: [{ number: 80, name: http, protocol: HTTP }] }",
            "cannot set addresses, endpoints",
        ),
    ] {
        let told = problems(&mesh::world(&entry(spec)));
        assert!(
            told.iter().any(|line| line.contains(why)),
            "{spec}: {told:#?}"
        );
    }
}
