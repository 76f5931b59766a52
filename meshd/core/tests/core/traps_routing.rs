//! Istio's traps in routing, one test each; numbers as in the table of exact semantics.

use crate::mesh::{
    destinations, forward, good, names, problems, sidecar, table, table_of, virtual_service, world,
};
use mesh_api::v1::http_route::Action;
use mesh_api::v1::string_match::Kind;

/// A VirtualService for the host `a` with the given HTTP rules.
fn a(rules: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{ name: a }}\nspec:\n  hosts: [a]\n  http: {rules}\n"
    )
}

#[test]
fn trap_01_short_names_belong_to_the_objects_namespace() {
    let world = good(
        "
apiVersion: v1
kind: Service
metadata: { name: c, namespace: other }
spec: { ports: [{ name: http, port: 80 }] }
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: c, namespace: other }
spec: { hosts: [c], http: [{ name: own, route: [{ destination: { host: c } }] }] }
",
    );
    let found = table(&world, "routes/c.other:80");
    assert_eq!(names(&found.http), ["own"]);
    assert_eq!(destinations(&found.http[0]), ["c.other:80/*100"]);
    assert!(
        table(&world, "routes/c:80").undeclared,
        "a client in another namespace does not have the short name"
    );
}

#[test]
fn trap_01_dotted_hosts_are_not_completed() {
    let world = world(&virtual_service(
        "a",
        "{ hosts: [a.default], http: [{ name: no, route: [{ destination: { host: b.default } }] }] }",
    ));
    assert_eq!(names(&table(&world, "routes/a:80").http), ["default"]);
    assert!(
        problems(&world)[0].contains("write b.default.svc.cluster.local [IST0101]"),
        "{:?}",
        problems(&world)
    );
}

#[test]
fn trap_02_a_gateway_takes_the_sidecars_away() {
    for (gateways, want) in [
        ("[gw]", "default"),
        ("[gw, mesh]", "bound"),
        ("[mesh]", "bound"),
    ] {
        let spec = format!(
            "{{ hosts: [a], gateways: {gateways}, http: [{{ name: bound, route: [{{ destination: {{ host: a }} }}] }}] }}"
        );
        let world = good(&virtual_service("a", &spec));
        assert_eq!(
            names(&table(&world, "routes/a:80").http),
            [want],
            "{gateways}"
        );
    }
}

#[test]
fn trap_03_order_holds_up_to_the_first_catch_all() {
    let world = good(&a("
  - { name: one, match: [{ uri: { prefix: /x } }, { uri: { prefix: /y } }], route: [{ destination: { host: a } }] }
  - { name: two, match: [{ method: { exact: GET }, uri: { prefix: / } }], route: [{ destination: { host: a } }] }
  - { name: three, match: [{ uri: { prefix: / } }, { uri: { exact: /never } }], route: [{ destination: { host: a } }] }
  - { name: four, route: [{ destination: { host: b } }] }"));
    let found = table(&world, "routes/a:80");
    assert_eq!(names(&found.http), ["one", "two", "three"]);
    assert_eq!(found.http[0].matches.len(), 2);
    assert_eq!(found.http[2].matches.len(), 1);
}

#[test]
fn trap_03_unreachable_rules_are_named() {
    let world = world(&a("
  - { route: [{ destination: { host: a } }] }
  - { name: late, match: [{ uri: { prefix: /x } }], route: [{ destination: { host: a } }] }
  - { route: [{ destination: { host: a } }] }"));
    let found = problems(&world);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(
        found[0]
            .contains("rule \"late\" not used (route without matches defined before) [IST0130]"),
        "{found:?}"
    );
    assert!(
        found[1].contains("rule #2 not used (only the last rule can have no matches) [IST0130]"),
        "{found:?}"
    );
}

#[test]
fn trap_03_overlaps_are_named() {
    let world = world(&a("
  - { match: [{ uri: { prefix: /a } }], route: [{ destination: { host: a } }] }
  - { match: [{ uri: { prefix: /ab } }], route: [{ destination: { host: a } }] }
  - { match: [{ uri: { prefix: /a } }], route: [{ destination: { host: a } }] }"));
    let found = problems(&world);
    assert!(
        found.iter().any(
            |line| line.contains("rule #1 match #0 of prefix /ab is not used")
                && line.ends_with("[IST0131]")
        ),
        "{found:#?}"
    );
    assert!(
        found.iter().any(
            |line| line.contains("rule #2 match #0 is not used") && line.ends_with("[IST0131]")
        ),
        "{found:#?}"
    );
    assert!(
        found
            .iter()
            .any(|line| line
                .contains("rule #2 not used (all matches used by prior rules) [IST0130]")),
        "{found:#?}"
    );
}

#[test]
fn trap_04_sidecars_do_not_merge_virtual_services() {
    let older = virtual_service(
        "older",
        "{ hosts: [a], http: [{ name: older, match: [{ uri: { prefix: /x } }], route: [{ destination: { host: a } }] }] }",
    );
    let newer = virtual_service(
        "newer",
        "{ hosts: [a], http: [{ name: newer, route: [{ destination: { host: b } }] }] }",
    );
    let world = world(&format!("{older}{newer}"));
    assert_eq!(
        names(&table(&world, "routes/a:80").http),
        ["older"],
        "without a default route either"
    );
    assert!(
        problems(&world)
            .iter()
            .any(|line| line.ends_with("[IST0109]")),
        "{:?}",
        problems(&world)
    );
}

#[test]
fn trap_05_the_most_specific_host_wins() {
    let wide = virtual_service(
        "wide",
        "{ hosts: ['*.default.svc.cluster.local'], http: [{ name: wide, route: [{ destination: { host: a } }] }] }",
    );
    let exact = virtual_service(
        "exact",
        "{ hosts: [a], http: [{ name: exact, route: [{ destination: { host: a } }] }] }",
    );
    let world = good(&format!("{wide}{exact}"));
    assert_eq!(names(&table(&world, "routes/a:80").http), ["exact"]);
    assert_eq!(names(&table(&world, "routes/b:8080").http), ["wide"]);
}

#[test]
fn trap_06_gateways_in_a_match_switch_labels_off() {
    let world = good(&a("
  - { name: labels, match: [{ sourceLabels: { app: client } }], route: [{ destination: { host: a } }] }
  - { name: namespace, match: [{ sourceNamespace: other }], route: [{ destination: { host: a } }] }
  - { name: gateway, match: [{ gateways: [gw] }], route: [{ destination: { host: a } }] }
  - { name: mesh, match: [{ gateways: [mesh], sourceLabels: { app: nobody }, uri: { prefix: /m } }], route: [{ destination: { host: a } }] }
  - { name: port, match: [{ port: 81 }], route: [{ destination: { host: a } }] }"));
    let plain = sidecar(&world, "default/client", &[]);
    assert_eq!(
        names(&table_of(&world, &plain, "routes/a:80").http),
        ["mesh"]
    );
    let labelled = sidecar(&world, "default/client", &[("app", "client")]);
    assert_eq!(
        names(&table_of(&world, &labelled, "routes/a:80").http),
        ["labels"],
        "it takes all, so the rest is gone"
    );
    let other = sidecar(&world, "other/client", &[]);
    assert_eq!(
        names(&table_of(&world, &other, "routes/a.default:80").http),
        ["namespace"]
    );
}

#[test]
fn trap_06_a_virtual_service_without_a_route_for_the_client_does_not_count() {
    let world = good(&a(
        "[{ name: batch, match: [{ sourceLabels: { tier: batch } }], route: [{ destination: { host: b } }] }]",
    ));
    assert_eq!(names(&table(&world, "routes/a:80").http), ["default"]);
}

#[test]
fn trap_07_single_destination_ignores_weight() {
    for weight in ["0", "7", "100"] {
        let world = good(&a(&format!(
            "[{{ route: [{{ destination: {{ host: a }}, weight: {weight} }}] }}]"
        )));
        assert_eq!(
            destinations(&table(&world, "routes/a:80").http[0]),
            ["a.default:80/*100"]
        );
    }
}

#[test]
fn trap_07_weights() {
    let world = good(&a(
        "[{ route: [{ destination: { host: a }, weight: 3 }, { destination: { host: b }, weight: 1 }, { destination: { host: b } }] }]",
    ));
    assert_eq!(
        destinations(&table(&world, "routes/a:80").http[0]),
        ["a.default:80/*3", "b.default:8080/*1"]
    );
    let world = crate::mesh::world(&a(
        "[{ route: [{ destination: { host: a }, weight: 0 }, { destination: { host: b }, weight: 0 }] }]",
    ));
    assert!(
        problems(&world)[0].contains("error: total destination weight = 0"),
        "{:?}",
        problems(&world)
    );
}

#[test]
fn trap_08_timeouts_and_default_retries() {
    let world = good(&a("
  - { match: [{ uri: { exact: /1 } }], route: [{ destination: { host: a } }] }
  - { match: [{ uri: { exact: /2 } }], timeout: 0.5s, retries: { attempts: 0 }, route: [{ destination: { host: a } }] }
  - { match: [{ uri: { exact: /3 } }], retries: { attempts: 1 }, route: [{ destination: { host: a } }] }
  - { match: [{ uri: { exact: /4 } }], retries: { attempts: 4, retryOn: '503', perTryTimeout: 1h }, route: [{ destination: { host: a } }] }"));
    let routes = table(&world, "routes/a:80").http;
    let retry = |index: usize| forward(&routes[index]).retry.clone();
    let default = [
        "connect-failure",
        "refused-stream",
        "unavailable",
        "cancelled",
        "retriable-status-codes",
    ];
    assert_eq!(
        (forward(&routes[0]).timeout_ms, retry(0).unwrap().attempts),
        (0, 2)
    );
    assert_eq!(retry(0).unwrap().retry_on, default);
    assert_eq!((forward(&routes[1]).timeout_ms, retry(1)), (500, None));
    assert_eq!(
        (retry(2).unwrap().attempts, retry(2).unwrap().retry_on),
        (1, default.map(str::to_owned).to_vec())
    );
    let only = retry(3).unwrap();
    assert_eq!(
        (only.retry_on, only.status_codes, only.per_try_timeout_ms),
        (
            vec!["retriable-status-codes".to_owned()],
            vec![503],
            3_600_000
        )
    );
    let without = table(&world, "routes/b:8080").http;
    assert_eq!(
        (
            forward(&without[0]).timeout_ms,
            forward(&without[0]).retry.clone().unwrap().attempts
        ),
        (0, 2),
        "also without a VirtualService"
    );
}

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
        let world = crate::mesh::world(&a(&format!(
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
        let world = crate::mesh::world(&a(&format!(
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
fn trap_14_delegates_are_refused_by_name() {
    let world = crate::mesh::world(&a("[{ delegate: { name: other } }]"));
    assert!(
        problems(&world)[0].contains("`delegate` is not supported yet"),
        "{:?}",
        problems(&world)
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
