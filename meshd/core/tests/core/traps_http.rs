//! Istio's traps in what HTTP rules match and do, and in other protocols; numbers as in the
//! table of exact semantics.

use mesh_api::v1::http_route::Action;
use mesh_api::v1::string_match::Kind;

use crate::mesh::{
    self, destinations, forward, good, names, problems, table, virtual_service, world,
};
use crate::traps_routing::a;

#[test]
fn trap_09_empty_values_mean_presence() {
    let world = good(&a("
  - match:
    - headers: { X-A: { exact: '' }, x-b: {}, x-c: { regex: '*' } }
      queryParams: { q: { exact: '' } }
    route: [{ destination: { host: a } }]"));
    let routes = table(&world, "routes/a:80").http;
    let case = &routes[0].matches[0];
    assert_eq!(
        case.headers
            .iter()
            .map(|field| field.name.as_str())
            .collect::<Vec<_>>(),
        ["x-a", "x-b", "x-c"]
    );
    for field in case.headers.iter().chain(&case.query_params) {
        assert_eq!(
            field.value.as_ref().unwrap().kind,
            Some(Kind::Present(true)),
            "{}",
            field.name
        );
    }
}

#[test]
fn trap_10_redirect_codes() {
    for (code, good) in [
        (301, true),
        (302, true),
        (303, true),
        (307, true),
        (308, true),
        (300, false),
        (304, false),
        (200, false),
    ] {
        let world = mesh::world(&a(&format!(
            "[{{ redirect: {{ uri: /x, redirectCode: {code} }} }}]"
        )));
        assert_eq!(
            problems(&world).is_empty(),
            good,
            "{code}: {:?}",
            problems(&world)
        );
    }
    let world = good(&a("[{ redirect: { authority: b.example.com } }]"));
    let Some(Action::Redirect(redirect)) = table(&world, "routes/a:80").http[0].action.clone()
    else {
        panic!()
    };
    assert_eq!(
        (redirect.code, redirect.authority.as_str()),
        (301, "b.example.com")
    );
}

#[test]
fn trap_11_the_routes_host_wins_over_that_of_its_only_destination() {
    let world = good(&a("
  - match: [{ uri: { exact: /one } }]
    headers: { request: { set: { host: route.example.com } } }
    route: [{ destination: { host: a }, headers: { request: { set: { Host: own.example.com, x: '1' } } } }]
  - headers: { request: { set: { host: route.example.com } } }
    route:
    - { destination: { host: a }, weight: 1, headers: { request: { set: { host: own.example.com } } } }
    - { destination: { host: b }, weight: 1 }"));
    let routes = table(&world, "routes/a:80").http;
    let set = |route: usize| -> Vec<String> {
        let headers = forward(&routes[route]).destinations[0]
            .headers
            .clone()
            .unwrap_or_default();
        headers
            .request
            .unwrap_or_default()
            .set
            .into_iter()
            .map(|field| field.name)
            .collect()
    };
    assert_eq!(set(0), ["x"]);
    assert_eq!(set(1), ["host"]);
}

#[test]
fn trap_11_pseudo_headers_cannot_be_edited() {
    for edit in [
        "add: { host: x }",
        "remove: [host]",
        "remove: [':authority']",
        "set: { ':path': /x }",
    ] {
        let world = mesh::world(&a(&format!(
            "[{{ headers: {{ request: {{ {edit} }} }}, route: [{{ destination: {{ host: a }} }}] }}]"
        )));
        assert!(
            problems(&world)
                .iter()
                .any(|line| line.contains(": error: invalid header")),
            "{edit}: {:?}",
            problems(&world)
        );
    }
}

#[test]
fn trap_12_ports_are_inferred() {
    let world = world(&a("
  - { match: [{ uri: { exact: /1 } }], route: [{ destination: { host: b } }] }
  - { match: [{ uri: { exact: /2 } }], route: [{ destination: { host: multi } }] }
  - { match: [{ uri: { exact: /3 } }], route: [{ destination: { host: nowhere } }] }
  - { match: [{ uri: { exact: /4 } }], route: [{ destination: { host: a, port: { number: 81 } } }] }
  - { match: [{ uri: { exact: /5 } }], route: [{ destination: { host: a, subset: v9 } }] }
  - { match: [{ uri: { exact: /6 } }], route: [{ destination: { host: a }, weight: 1 }, { destination: { host: nowhere }, weight: 1 }] }"));
    let routes = table(&world, "routes/a:80").http;
    assert_eq!(destinations(&routes[0]), ["b.default:8080/*100"]);
    assert_eq!(destinations(&routes[1]), ["multi.default:80/*100"]);
    for route in &routes[2..5] {
        let Some(Action::Invalid(invalid)) = &route.action else {
            panic!("{route:?}")
        };
        assert_eq!(invalid.status, 503, "{}", invalid.message);
    }
    assert_eq!(
        destinations(&routes[5]),
        ["a.default:80/*1", "nowhere.default:80/*1"],
        "half of the requests fail"
    );
    let codes: Vec<String> = problems(&world)
        .iter()
        .map(|line| line[line.len() - 9..].to_owned())
        .collect();
    assert_eq!(
        codes,
        [
            "[IST0112]",
            "[IST0101]",
            "[IST0101]",
            "[IST0101]",
            "[IST0101]"
        ]
    );
}

#[test]
fn trap_13_faults_need_a_percentage() {
    let world = good(&a("
  - { match: [{ uri: { exact: /1 } }], fault: { delay: { fixedDelay: 1s } }, route: [{ destination: { host: a } }] }
  - { match: [{ uri: { exact: /2 } }], fault: { abort: { httpStatus: 500, percentage: { value: 0.001 } } }, route: [{ destination: { host: a } }] }"));
    let routes = table(&world, "routes/a:80").http;
    assert_eq!(routes[0].fault, None);
    assert_eq!(routes[1].fault.as_ref().unwrap().abort_per_million, 10);
}

#[test]
fn trap_13_mirrors() {
    let world = good(&a("
  - { match: [{ uri: { exact: /1 } }], mirror: { host: b }, route: [{ destination: { host: a } }] }
  - { match: [{ uri: { exact: /2 } }], mirror: { host: b }, mirrorPercent: 50, mirrorPercentage: { value: 1 }, route: [{ destination: { host: a } }] }
  - { match: [{ uri: { exact: /3 } }], mirror: { host: b }, mirror_percent: 50, route: [{ destination: { host: a } }] }
  - { match: [{ uri: { exact: /4 } }], mirrors: [{ destination: { host: b }, percentage: { value: 0 } }, { destination: { host: b } }], route: [{ destination: { host: a } }] }"));
    let shares = |index: usize| -> Vec<u32> {
        forward(&table(&world, "routes/a:80").http[index])
            .mirrors
            .iter()
            .map(|mirror| mirror.per_million)
            .collect()
    };
    assert_eq!(
        [shares(0), shares(1), shares(2), shares(3)],
        [
            vec![1_000_000],
            vec![10_000],
            vec![500_000],
            vec![1_000_000]
        ]
    );
}

#[test]
fn trap_15_protocols_keep_to_their_routes() {
    let world = good(
        "
apiVersion: v1
kind: Service
metadata: { name: t }
spec: { ports: [{ name: tcp, port: 1 }, { name: tls, port: 2 }, { name: http, port: 3 }, { name: tls-plain, port: 4 }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: t }
spec:
  hosts: [t]
  http: [{ name: http, route: [{ destination: { host: a } }] }]
  tcp: [{ match: [{ destinationSubnets: [10.0.0.0/8] }, { port: 1 }, { destinationSubnets: [11.0.0.0/8] }], route: [{ destination: { host: a } }] }]
  tls: [{ match: [{ sniHosts: [t], port: 2 }], route: [{ destination: { host: a } }] }]
",
    );
    let counts = |port: u16| {
        let found = table(&world, &format!("routes/t:{port}"));
        (found.http.len(), found.tls.len(), found.tcp.len())
    };
    assert_eq!(counts(1), (0, 0, 2), "up to the match without a subnet");
    assert_eq!(counts(2), (0, 1, 0));
    assert_eq!(counts(3), (1, 0, 0));
    assert_eq!(counts(4), (0, 0, 1));
}

#[test]
fn trap_16_a_host_without_a_service_is_routed_on_port_80_only() {
    let world = good(&virtual_service(
        "v",
        "{ hosts: [v.example.com], http: [{ name: v, route: [{ destination: { host: a } }] }] }",
    ));
    assert_eq!(names(&table(&world, "routes/v.example.com:80").http), ["v"]);
    assert!(table(&world, "routes/v.example.com:8080").undeclared);
}

#[test]
fn trap_32_undeclared_destinations_get_an_answer() {
    let world = good("");
    for root in [
        "routes/foo.example.com:80",
        "routes/a:81",
        "address/192.0.2.1:80",
        "routes/nobody:1",
    ] {
        let found = table(&world, root);
        assert!(found.undeclared && found.host.is_empty(), "{root}");
    }
}
