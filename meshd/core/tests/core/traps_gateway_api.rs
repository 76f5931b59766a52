//! Traps of the Gateway API's routes in the mesh; numbers as in the table of exact semantics.

use mesh_api::v1::HttpRoute;
use mesh_api::v1::http_route::Action;
use mesh_api::v1::string_match::Kind;
use meshd_core::{MeshSettings, Store};
use serde_json::json;

use crate::mesh::{
    SERVICES, destinations, forward, good, names, problems, sidecar, table, table_of,
    virtual_service, world,
};

/// A route in a namespace for the Service `a` of `default`.
pub(crate) fn route(kind: &str, (namespace, name): (&str, &str), rules: &str) -> String {
    let parent = "{ group: '', kind: Service, name: a, namespace: default }";
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: {kind}\nmetadata: {{ name: {name}, namespace: {namespace} }}\nspec:\n  parentRefs: [{parent}]\n  rules: {rules}\n"
    )
}

pub(crate) fn http(rules: &str) -> String {
    route("HTTPRoute", ("default", "r"), rules)
}

pub(crate) const TO_A: &str = "backendRefs: [{ name: a, port: 80 }]";

/// What each route looks at: path, method, numbers of headers and of query parameters.
pub(crate) fn looks(routes: &[HttpRoute]) -> Vec<String> {
    let one = |route: &HttpRoute| {
        let cases = route.matches.iter().map(|case| {
            let path = match case.uri.as_ref().and_then(|uri| uri.kind.as_ref()) {
                None => "any".to_owned(),
                Some(Kind::Exact(path)) => format!("={path}"),
                Some(Kind::Prefix(path)) => format!("{path}*"),
                Some(Kind::Regex(path)) => format!("~{path}"),
                Some(Kind::Present(_)) => panic!("{case:?}"),
            };
            let (headers, query) = (case.headers.len(), case.query_params.len());
            match &case.method {
                Some(_) => format!("{path} method {headers} {query}"),
                None => format!("{path} {headers} {query}"),
            }
        });
        cases.collect::<Vec<_>>().join(" | ")
    };
    routes.iter().map(one).collect()
}

#[test]
fn trap_70_the_most_specific_match_of_all_rules_goes_first() {
    let world = good(&http(&format!("
  - {{ name: any, {TO_A} }}
  - {{ name: regex, matches: [{{ path: {{ type: RegularExpression, value: '/long/expression/.*' }} }}], {TO_A} }}
  - name: many
    matches:
    - {{ path: {{ value: /a }} }}
    - {{ path: {{ value: /a/b/ }} }}
    - {{ path: {{ value: /a }}, queryParams: [{{ name: q, value: x }}, {{ name: p, value: x }}] }}
    - {{ path: {{ value: /a }}, headers: [{{ name: H, value: x }}] }}
    - {{ path: {{ value: /a }}, method: GET }}
    - {{ path: {{ type: Exact, value: /a }} }}
    {TO_A}")));
    let found = table(&world, "routes/a:80");
    assert_eq!(
        looks(&found.http),
        [
            "=/a 0 0",
            "=/a/b 0 0 | /a/b/* 0 0",
            "=/a method 0 0 | /a/* method 0 0",
            "=/a 1 0 | /a/* 1 0",
            "=/a 0 2 | /a/* 0 2",
            "=/a 0 0 | /a/* 0 0",
            // Istio puts expressions behind prefixes: here none is reached.
            "any 0 0",
        ],
        "prefixes are of whole segments"
    );
    assert_eq!(names(&found.http)[..2], ["many", "many"]);
    let header = &found.http[3].matches[0].headers[0];
    assert_eq!(header.name, "h", "names of headers have no case");
}

#[test]
fn trap_70_equal_matches_go_by_age_then_by_name() {
    let mut store = Store::new();
    store.set_file("0-services.yaml", SERVICES);
    let object = |name: &str, created: &str, kind: &str| {
        json!({
            "apiVersion": "gateway.networking.k8s.io/v1", "kind": kind,
            "metadata": { "name": name, "namespace": "default", "creationTimestamp": created },
            "spec": {
                "parentRefs": [{ "group": "", "kind": "Service", "name": "a" }],
                "rules": [
                    { "name": name, "matches": [{ "headers": [{ "name": "h", "value": "x" }] }],
                      "backendRefs": [{ "name": "a", "port": 80 }] },
                    { "name": format!("{name}-2"), "matches": [{ "headers": [{ "name": "h", "value": "y" }] }],
                      "backendRefs": [{ "name": "a", "port": 80 }] },
                ],
            },
        })
    };
    for (name, created, kind) in [
        ("young", "2026-01-03T00:00:00Z", "HTTPRoute"),
        ("z-same", "2026-01-02T00:00:00Z", "HTTPRoute"),
        ("b-same", "2026-01-02T00:00:00Z", "GRPCRoute"),
        ("old", "2026-01-01T00:00:00Z", "HTTPRoute"),
    ] {
        store.set_object(&object(name, created, kind));
    }
    let world = store.world(&MeshSettings::default());
    assert_eq!(
        names(&table(&world, "routes/a:80").http),
        [
            "old", "old-2", "b-same", "b-same-2", "z-same", "z-same-2", "young", "young-2"
        ]
    );
}

#[test]
fn trap_70_a_consumer_route_is_for_its_namespace_and_instead_of_the_producers() {
    let text = [
        route("HTTPRoute", ("default", "p"), &format!("[{{ name: producer, {TO_A} }}]")),
        route(
            "HTTPRoute",
            ("shop", "c"),
            "[{ name: consumer, matches: [{ path: { value: /x } }], backendRefs: [{ name: b, namespace: default, port: 8080 }] }]",
        ),
    ]
    .concat();
    let world = good(&text);
    let of = |client: &str| table_of(&world, &sidecar(&world, client, &[]), "routes/a.default:80");
    assert_eq!(names(&of("default/client").http), ["producer"]);
    assert_eq!(names(&of("other/client").http), ["producer"]);
    let own = of("shop/client");
    assert_eq!(
        names(&own.http),
        ["consumer"],
        "what it does not take is not found"
    );
    // In the mesh routes do not open what was closed: no ReferenceGrant is asked for (GEP-1294).
    assert_eq!(destinations(&own.http[0]), ["b.default:8080/*1"]);
}

#[test]
fn trap_70_routes_and_virtual_services_of_one_host() {
    let route = |namespace: &str| {
        route(
            "HTTPRoute",
            (namespace, "r"),
            &format!("[{{ name: route, {TO_A} }}]"),
        )
    };
    let services = virtual_service(
        "v",
        "{ hosts: [a], http: [{ name: virtual, route: [{ destination: { host: a } }] }] }",
    );
    let of = |text: &str, client: &str| {
        let world = world(text);
        let found = table_of(&world, &sidecar(&world, client, &[]), "routes/a.default:80");
        names(&found.http).join(" ")
    };
    for (text, client, want, why) in [
        (
            services.clone() + &route("default"),
            "shop/c",
            "virtual",
            "the older of two for all",
        ),
        (
            route("default") + &services,
            "shop/c",
            "route",
            "the older of two for all",
        ),
        (
            services.clone() + &route("default"),
            "default/c",
            "route",
            "a client's own namespace",
        ),
        (
            services.clone() + &route("shop"),
            "shop/c",
            "route",
            "a client's own namespace",
        ),
        (
            services.clone() + &route("shop"),
            "default/c",
            "virtual",
            "a consumer route is for nobody else",
        ),
    ] {
        assert_eq!(of(&text, client), want, "{why}: {text}");
    }
    let told = problems(&world(&(services + &route("default"))));
    assert!(
        told[0].contains("The VirtualServices default/v and HTTPRoute default/r associated"),
        "{told:?}"
    );
}

#[test]
fn trap_70_a_route_may_be_for_one_port() {
    let parents = |which: &str| {
        format!(
            "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{ name: r }}\nspec: {{ parentRefs: [{{ group: core, kind: Service, name: multi, {which} }}], rules: [{{ name: here, backendRefs: [{{ name: a, port: 80 }}] }}] }}\n"
        )
    };
    for which in ["port: 9000", "sectionName: http-admin"] {
        let world = good(&parents(which));
        let of = |port| names(&table(&world, &format!("routes/multi:{port}")).http).join(" ");
        assert_eq!(
            (of(80), of(9000)),
            ("default".into(), "here".into()),
            "{which}"
        );
    }
    let told = problems(&world(&parents("port: 81")));
    assert!(
        told[0].contains("Service default/multi has no port 81 [IST0101]"),
        "{told:?}"
    );
}

#[test]
fn trap_70_grpc_methods_are_paths() {
    let world = good(&route("GRPCRoute", ("default", "g"), &format!("
  - {{ name: any, {TO_A} }}
  - {{ name: service, matches: [{{ method: {{ service: shop.Cart }} }}], {TO_A} }}
  - {{ name: method, matches: [{{ method: {{ service: shop.Cart, method: Add }} }}], {TO_A} }}
  - {{ name: headers, matches: [{{ method: {{ service: shop.Cart, method: Add }}, headers: [{{ name: h, type: RegularExpression, value: x+ }}] }}], {TO_A} }}")));
    let found = table(&world, "routes/a:80");
    assert_eq!(names(&found.http), ["headers", "method", "service", "any"]);
    assert_eq!(
        looks(&found.http),
        [
            "=/shop.Cart/Add 1 0",
            "=/shop.Cart/Add 0 0",
            "=/shop.Cart 0 0 | /shop.Cart/* 0 0",
            "any 0 0"
        ]
    );
    for (method, want) in [
        ("{ method: Add }", "~/[^/]+/Add 0 0"),
        (
            "{ type: RegularExpression, service: 'shop\\..*' }",
            "~/(?:shop\\..*)/.+ 0 0",
        ),
        (
            "{ type: RegularExpression, method: 'A|B' }",
            "~/[^/]+/(?:A|B) 0 0",
        ),
    ] {
        let rules = format!("[{{ matches: [{{ method: {method} }}], {TO_A} }}]");
        let world = good(&route("GRPCRoute", ("default", "g"), &rules));
        assert_eq!(looks(&table(&world, "routes/a:80").http), [want]);
    }
}

/// The share that is answered with an error, and how.
fn lost(route: &HttpRoute) -> Option<(u32, u32)> {
    let share = forward(route).invalid.as_ref()?;
    Some((share.weight, share.action.as_ref()?.status))
}

#[test]
fn trap_71_backends_that_cannot_be_used_keep_their_weight_and_answer_500() {
    for (bad, why) in [
        (
            "{ name: gone, port: 80, weight: 3 }",
            "default/gone: there is no such Service",
        ),
        (
            "{ name: a, port: 81, weight: 3 }",
            "default/a: the Service has no port 81",
        ),
        ("{ name: a, weight: 3 }", "default/a: a port is required"),
        (
            "{ group: x.io, kind: Bucket, name: a, port: 80, weight: 3 }",
            "a is a Bucket of the group `x.io`",
        ),
        (
            "{ name: b, port: 8080, weight: 3, filters: [{ type: URLRewrite, urlRewrite: { hostname: x } }] }",
            "filters: URLRewrite of a backend is not supported",
        ),
    ] {
        let rules = format!(
            "[{{ backendRefs: [{{ name: a, port: 80 }}, {bad}, {{ name: b, port: 8080, weight: 0 }}] }}]"
        );
        let world = world(&http(&rules));
        let found = table(&world, "routes/a:80");
        assert_eq!(destinations(&found.http[0]), ["a.default:80/*1"], "{bad}");
        assert_eq!(lost(&found.http[0]), Some((3, 500)), "{bad}");
        let told = problems(&world);
        assert!(
            told.iter().any(|line| line.contains(why)
                && line.contains("500")
                && line.starts_with("input.yaml:7:")),
            "{told:?}"
        );
    }
}

#[test]
fn trap_71_a_rule_without_any_backend_answers_500() {
    for (backends, why) in [
        ("[]", "no backendRef with a weight"),
        (
            "[{ name: a, port: 80, weight: 0 }]",
            "no backendRef with a weight",
        ),
        ("[{ name: gone, port: 80 }]", "there is no such Service"),
    ] {
        let world = world(&http(&format!("[{{ backendRefs: {backends} }}]")));
        match &table(&world, "routes/a:80").http[0].action {
            Some(Action::Invalid(invalid)) => {
                assert_eq!(invalid.status, 500);
                assert!(invalid.message.contains(why), "{invalid:?}");
            }
            other => panic!("{backends}: {other:?}"),
        }
    }
}

#[test]
fn trap_71_request_is_for_all_tries_and_backend_request_for_each() {
    let of = |rest: &str| {
        let world = good(&http(&format!("[{{ {rest}, {TO_A} }}]")));
        let found = table(&world, "routes/a:80");
        let forward = forward(&found.http[0]).clone();
        let retry = forward.retry.unwrap();
        (forward.timeout_ms, retry.per_try_timeout_ms, retry)
    };
    let (whole, each, retry) = of("timeouts: { request: 10s, backendRequest: 500ms }");
    assert_eq!((whole, each, retry.attempts), (10_000, 500, 2));
    assert_eq!(
        of("timeouts: { request: 0s, backendRequest: 0s }").0,
        0,
        "0 is none"
    );
    let (whole, each, retry) = of(
        "timeouts: { backendRequest: 1s }, retry: { attempts: 4, codes: [500, 503], backoff: 100ms }",
    );
    assert_eq!((whole, each), (0, 1000));
    assert_eq!((retry.attempts, retry.backoff_base_ms), (4, 100));
    assert_eq!(retry.status_codes, [500, 503]);
    assert!(
        retry
            .retry_on
            .contains(&"retriable-status-codes".to_owned())
    );
    assert!(retry.retry_on.contains(&"reset".to_owned()), "{retry:?}");
    let bad = world(&http(&format!(
        "[{{ timeouts: {{ request: 1s, backendRequest: 2s }}, {TO_A} }}]"
    )));
    assert!(problems(&bad)[0].contains("backendRequest cannot be longer than `request`"));
}
