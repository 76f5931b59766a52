//! Istio's traps in routing, one test each; numbers as in the table of exact semantics.

use crate::mesh::{
    self, destinations, forward, good, names, problems, sidecar, table, table_of, virtual_service,
    world,
};

/// A VirtualService for the host `a` with the given HTTP rules.
pub(crate) fn a(rules: &str) -> String {
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

fn delegate(name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{ name: {name}, namespace: {namespace} }}\nspec: {spec}\n"
    )
}

#[test]
fn trap_14_routes_are_delegated() {
    let root = virtual_service(
        "root",
        "{ hosts: [a], http: [
            { name: r, match: [{ uri: { prefix: /p }, headers: { x: { exact: y } } }], delegate: { name: d, namespace: other }, timeout: 3s, retries: { attempts: 1 } },
            { match: [{ uri: { prefix: /q } }], delegate: { name: nobody } },
            { route: [{ destination: { host: a } }] }] }",
    );
    let other = delegate(
        "d",
        "other",
        "{ http: [
            { name: one, match: [{ uri: { exact: /p/1 } }], timeout: 0s, route: [{ destination: { host: b.default.svc.cluster.local, port: { number: 8080 } } }] },
            { match: [{ uri: { prefix: /elsewhere } }], route: [{ destination: { host: a.default.svc.cluster.local } }] },
            { route: [{ destination: { host: b.default.svc.cluster.local, port: { number: 8080 } } }] }] }",
    );
    let world = good(&format!("{root}{other}"));
    let table = table(&world, "routes/a:80");
    assert_eq!(names(&table.http), ["r-one", "r", ""]);
    let [one, rest, last] = table.http.as_slice() else {
        panic!("{table:?}");
    };
    assert_eq!(destinations(one), ["b.default:8080/*100"]);
    assert_eq!(
        (forward(one).timeout_ms, forward(rest).timeout_ms),
        (0, 3_000),
        "what the delegate says wins"
    );
    assert_eq!(forward(one).retry.as_ref().unwrap().attempts, 1);
    assert_eq!(one.matches[0].headers.len(), 1, "both matches must hold");
    assert_eq!(destinations(last), ["a.default:80/*100"]);
    let told = problems(&world);
    for why in [
        "Referenced delegate VirtualService not found: \"default/nobody\"",
        "lies outside of those of default/root",
    ] {
        assert!(
            told.iter().any(|line| line.contains(why)),
            "{why}: {told:#?}"
        );
    }
    let hidden = delegate(
        "d",
        "other",
        "{ exportTo: [.], http: [{ route: [{ destination: { host: a.default.svc.cluster.local } }] }] }",
    );
    let world = good(&format!("{root}{hidden}"));
    assert_eq!(mesh::table(&world, "routes/a:80").http.len(), 1);
}

#[test]
fn trap_14_delegation_has_one_level_and_is_for_http() {
    for (spec, why) in [
        (
            "{ http: [{ delegate: { name: x } }] }",
            "must not delegate on",
        ),
        (
            "{ tcp: [{ route: [{ destination: { host: a } }] }] }",
            "must not have tls or tcp routes",
        ),
        (
            "{ gateways: [gw], http: [{ route: [{ destination: { host: a } }] }] }",
            "must have no gateways",
        ),
        (
            "{ hosts: [a], http: [{ delegate: { name: x }, route: [{ destination: { host: a } }] }] }",
            "cannot contain both delegate and route",
        ),
    ] {
        let found = problems(&world(&virtual_service("vs", spec)));
        assert!(
            found.iter().any(|line| line.contains(why)),
            "{spec}: {found:#?}"
        );
    }
}
