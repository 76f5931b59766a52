//! The mesh's own policy: to whom it is attached, and what it is compiled to.

use mesh_api::v1::health_check::Probe;
use mesh_api::v1::rate_key::By;
use mesh_api::v1::string_match::Kind;
use mesh_api::v1::{Admission, HttpRoute, RateLimit};

use crate::mesh::{self, gateway, gateway_of, good, inbound, problems, service, sidecar, world};

fn policy(name: &str, namespace: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: mesh.dev/v1alpha1\nkind: ResiliencePolicy\nmetadata: {{ name: {name}, namespace: {namespace} }}\nspec: {spec}\n"
    )
}

fn limit(spec: &str) -> RateLimit {
    let text = policy("p", "default", &format!("{{ rateLimits: [{spec}] }}"));
    let admission = inbound(&good(&text), "default/a-1").admission;
    admission.unwrap().rate_limits.remove(0)
}

fn refused(spec: &str, why: &str) {
    let found = problems(&world(&policy("p", "default", spec)));
    assert!(
        found
            .iter()
            .any(|line| line.contains(": error: ") && line.contains(why)),
        "{spec}: {found:#?}"
    );
}

fn limits(admission: Option<Admission>) -> Vec<(String, Vec<u32>)> {
    let limits = admission.map(|admission| admission.rate_limits);
    let limits = limits.into_iter().flatten();
    limits
        .map(|limit| (format!("{} {}", limit.policy, limit.name), limit.ports))
        .collect()
}

#[test]
fn rates_reach_the_proxy() {
    let found = limit(
        "{ name: per-user, requests: 100, interval: 1m, burst: 20, maxKeys: 500, shadow: true,
           match: [{ uri: { prefix: /api }, method: { exact: POST } }],
           keys: [{ type: Header, name: X-User }, { type: SourceIdentity }],
           responseHeaders: { X-Why: slow down } }",
    );
    assert_eq!(
        (found.policy.as_str(), found.name.as_str()),
        ("default/p", "per-user")
    );
    assert_eq!(
        (found.amount, found.interval_ms, found.burst),
        (100, 60_000, 20)
    );
    assert_eq!(
        (found.max_keys, found.shadow, found.connections),
        (500, true, false)
    );
    let uri = found.matches[0].uri.as_ref().unwrap();
    assert_eq!(uri.kind, Some(Kind::Prefix("/api".to_owned())));
    let keys: Vec<By> = found.keys.into_iter().map(|key| key.by.unwrap()).collect();
    assert_eq!(
        keys,
        [By::Header("x-user".to_owned()), By::SourceIdentity(true)]
    );
    assert_eq!(found.response_headers[0].name, "x-why");
    let short = limit("{ requests: 5 }");
    assert_eq!(
        (short.interval_ms, short.burst, short.max_keys),
        (1000, 5, 0)
    );
    assert_eq!(short.name, "5 requests");
}

#[test]
fn policies_hold_where_they_are_attached() {
    let rate = "rateLimits: [{ name: r, requests: 1 }]";
    let mut text = policy("mesh", "istio-system", &format!("{{ {rate} }}"));
    for (name, spec) in [
        ("all", format!("{{ {rate} }}")),
        (
            "labels",
            format!("{{ selector: {{ matchLabels: {{ app: a }} }}, {rate} }}"),
        ),
        (
            "other",
            format!("{{ selector: {{ matchLabels: {{ app: b }} }}, {rate} }}"),
        ),
        (
            "service",
            format!("{{ targetRefs: [{{ kind: Service, name: a }}], {rate} }}"),
        ),
        (
            "port",
            format!(
                "{{ targetRefs: [{{ group: '', kind: Service, name: a, sectionName: http }}], {rate} }}"
            ),
        ),
        (
            "gateway",
            format!(
                "{{ targetRefs: [{{ group: networking.istio.io, kind: Gateway, name: edge }}], {rate} }}"
            ),
        ),
    ] {
        text.push_str(&policy(name, "default", &spec));
    }
    text.push_str(&policy("elsewhere", "shop", &format!("{{ {rate} }}")));
    text.push_str(
        "---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: { name: edge }\nspec:\n  selector: { app: edge }\n  servers: [{ port: { number: 8080, name: http, protocol: HTTP }, hosts: ['*'] }]\n",
    );
    let world = good(&text);
    assert_eq!(
        limits(inbound(&world, "default/a-1").admission),
        [
            ("default/all r".to_owned(), vec![]),
            ("default/labels r".to_owned(), vec![]),
            ("default/port r".to_owned(), vec![80]),
            ("default/service r".to_owned(), vec![80]),
            ("istio-system/mesh r".to_owned(), vec![]),
        ]
    );
    let edge = gateway(&world, "default/edge-1", &[("app", "edge")]);
    assert_eq!(
        limits(gateway_of(&world, &edge).admission),
        [
            ("default/all r".to_owned(), vec![]),
            ("default/gateway r".to_owned(), vec![8080]),
            ("istio-system/mesh r".to_owned(), vec![]),
        ]
    );
}

#[test]
fn routes_have_the_rates_of_their_virtual_service() {
    let routes = "---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: routes }\nspec:\n  hosts: [a, shop.example.com]\n  gateways: [mesh, edge]\n  http:\n  - { name: api, match: [{ uri: { prefix: /api } }], route: [{ destination: { host: a } }] }\n  - { name: more, match: [{ uri: { prefix: /more } }], delegate: { name: part } }\n  - { name: rest, route: [{ destination: { host: a } }] }\n---\napiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: { name: part }\nspec: { http: [{ name: own, route: [{ destination: { host: a } }] }] }\n---\napiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: { name: edge }\nspec:\n  selector: { app: edge }\n  servers: [{ port: { number: 8080, name: http, protocol: HTTP }, hosts: ['*'] }]\n";
    let rate = |name: &str| format!("rateLimits: [{{ name: {name}, requests: 1 }}]");
    let of = |target: &str| format!("targetRefs: [{{ kind: VirtualService, {target} }}]");
    let mut text = routes.to_owned();
    for (name, target) in [
        ("all", "name: routes"),
        ("one", "name: routes, sectionName: api"),
        ("delegate", "name: part"),
        // Rules of delegates have the names of both in the proxy, and their own in objects.
        ("delegating", "name: routes, sectionName: more"),
        ("delegated", "name: part, sectionName: own"),
    ] {
        let spec = format!("{{ {}, {} }}", of(target), rate(name));
        text.push_str(&policy(name, "default", &spec));
    }
    // The same name in another namespace is another object.
    let spec = format!("{{ {}, {} }}", of("name: routes"), rate("elsewhere"));
    let elsewhere = policy("elsewhere", "shop", &spec);
    let world = good(&text);
    let limits = |http: &[HttpRoute]| -> Vec<(String, Vec<String>)> {
        let names = |route: &HttpRoute| {
            let names = route.rate_limits.iter();
            names.map(|limit| limit.name.clone()).collect()
        };
        http.iter()
            .map(|route| (route.name.clone(), names(route)))
            .collect()
    };
    let want = [
        ("api", vec!["all", "one"]),
        (
            "more-own",
            vec!["all", "delegating", "delegate", "delegated"],
        ),
        ("rest", vec!["all"]),
    ]
    .map(|(route, names)| {
        (
            route.to_owned(),
            names.into_iter().map(str::to_owned).collect(),
        )
    });
    assert_eq!(limits(&mesh::table(&world, "routes/a:80").http), want);
    let edge = gateway(&world, "default/edge-1", &[("app", "edge")]);
    let served = gateway_of(&world, &edge);
    let host = |domain: &str| {
        let mut hosts = served.listeners.iter().flat_map(|one| &one.hosts);
        hosts.find(|host| host.domain == domain).unwrap().clone()
    };
    assert_eq!(limits(&host("shop.example.com").http), want);
    assert_eq!(served.admission, None, "the gateway itself is not limited");
    assert_eq!(inbound(&world, "default/a-1").admission, None);
    text.push_str(&elsewhere);
    let found = problems(&mesh::world(&text));
    assert!(
        found
            .iter()
            .any(|line| line.contains("VirtualService shop/routes is not there")),
        "{found:#?}"
    );
}

#[test]
fn of_several_the_nearest_protects_against_overload() {
    let most = |count: u32| format!("{{ overload: {{ maxRequests: {count} }} }}");
    let mut text = policy("a-mesh", "istio-system", &most(1));
    let found = |text: &str| {
        let admission = inbound(&good(text), "default/a-1").admission;
        admission.unwrap().overload.unwrap().max_requests
    };
    assert_eq!(found(&text), 1);
    text.push_str(&policy("b-namespace", "default", &most(2)));
    assert_eq!(found(&text), 2);
    text.push_str(&policy("c-younger", "default", &most(3)));
    assert_eq!(found(&text), 2, "of equals the oldest");
    let spec = "{ selector: { matchLabels: { app: a } }, overload: { maxRequests: 4 } }";
    text.push_str(&policy("d-labels", "default", spec));
    assert_eq!(found(&text), 4);
    let spec = "{ targetRefs: [{ kind: Service, name: a }], overload: { maxRequests: 5, enabled: false, adaptive: true, latencyRatio: 2.5, latencyFloor: 10ms } }";
    text.push_str(&policy("e-service", "default", spec));
    assert_eq!(found(&text), 5);
    let admission = inbound(&good(&text), "default/a-1").admission;
    let overload = admission.unwrap().overload.unwrap();
    assert!(overload.disabled);
    assert_eq!(
        (overload.latency_ratio, overload.latency_floor_ms),
        (2.5, 10)
    );
    assert_eq!(overload.origin.unwrap().line, 25);
}

#[test]
fn services_are_checked_by_their_clients() {
    let text = policy(
        "checks",
        "default",
        "{ targetRefs: [{ kind: Service, name: multi, sectionName: http-admin }],
           healthCheck: { http: { path: /healthz, host: multi.local, expectedStatuses: ['200', 300-302] },
             interval: 5s, timeout: 500ms, jitterPercent: 20, unhealthyThreshold: 2, healthyThreshold: 1 } }",
    );
    let world = good(&text);
    // A client of any namespace.
    let client = sidecar(&world, "shop/client", &[]);
    let root = "routes/multi.default.svc.cluster.local:80";
    let found = service(&world, &client, root, "multi.default.svc.cluster.local");
    assert_eq!(mesh::policy(&found, "", 80).health_check, None);
    let check = mesh::policy(&found, "", 9000).health_check.unwrap();
    assert_eq!(
        (check.interval_ms, check.timeout_ms, check.jitter_percent),
        (5000, 500, 20)
    );
    assert_eq!((check.unhealthy_threshold, check.healthy_threshold), (2, 1));
    let Some(Probe::Http(http)) = check.probe else {
        panic!("{check:?}");
    };
    assert_eq!(
        (http.path.as_str(), http.host.as_str()),
        ("/healthz", "multi.local")
    );
    let expected: Vec<_> = http
        .expected
        .iter()
        .map(|range| (range.from, range.to))
        .collect();
    assert_eq!(expected, [(200, 200), (300, 302)]);
}

#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    for (spec, why) in [
        ("{ rateLimits: [{ name: x }] }", "a limit needs `requests`"),
        ("{ rateLimits: [{ requests: 0 }] }", "at least 1"),
        (
            "{ rateLimits: [{ requests: 1, keys: [{ type: Cookie }] }] }",
            "is none of Header, Path",
        ),
        (
            "{ rateLimits: [{ requests: 1, keys: [{ type: Header }] }] }",
            "a Header needs its name",
        ),
        (
            "{ rateLimits: [{ requests: 1, match: [{ uri: { regex: '(' } }] }] }",
            "uri",
        ),
        (
            "{ rateLimits: [{ name: a, requests: 1 }, { name: a, requests: 2 }] }",
            "two limits are called `a`",
        ),
        (
            "{ connectionRateLimits: [{ connections: 1, keys: [{ type: Path }] }] }",
            "write SourceIP",
        ),
        (
            "{ connectionRateLimits: [{ connections: 1, match: [{ uri: { prefix: /a } }] }] }",
            "nothing to match",
        ),
        ("{ rateLimit: [] }", "did you mean `rateLimits`?"),
        ("{ healthCheck: { tcp: {} } }", "name them in targetRefs"),
        (
            "{ targetRefs: [{ kind: Service, name: a }], healthCheck: { tcp: {}, grpc: {} } }",
            "one of http, grpc and tcp",
        ),
        (
            "{ targetRefs: [{ kind: Service, name: a }], healthCheck: { http: { expectedStatuses: ['2xx'] } } }",
            "no status and no range",
        ),
        (
            "{ targetRefs: [{ kind: Service, name: a }], healthCheck: { http: { path: healthz } } }",
            "is no path",
        ),
        (
            "{ overload: { minRequests: 5, maxRequests: 4 } }",
            "minRequests is above maxRequests",
        ),
        ("{ overload: { latencyRatio: 0.5 } }", "from 1 to 1000"),
    ] {
        refused(spec, why);
    }
    let found = problems(&world(&policy(
        "p",
        "default",
        "\n  rateLimits:\n  - requests: 0",
    )));
    assert!(found[0].starts_with("input.yaml:7:"), "{found:?}");
    let other =
        "apiVersion: mesh.dev/v1\nkind: ResiliencePolicy\nmetadata: { name: p }\nspec: {}\n";
    assert!(problems(&world(other))[0].contains("write `mesh.dev/v1alpha1`"));
}

#[test]
fn targets_that_cannot_be_are_refused() {
    for (spec, why) in [
        (
            "{ targetRefs: [{ kind: Gateway, name: a }], selector: { matchLabels: { a: b } } }",
            "only one of targetRefs or selector",
        ),
        (
            "{ targetRefs: [{ kind: Service, name: a, namespace: b }] }",
            "cross namespace",
        ),
        (
            "{ targetRefs: [{ group: apps, kind: Service, name: a }] }",
            "of the group ``",
        ),
        (
            "{ targetRefs: [{ kind: HTTPRoute, name: a }] }",
            "HTTPRoutes are no targets yet; name a VirtualService, or the Gateway",
        ),
        (
            "{ targetRefs: [{ kind: Pod, name: a }] }",
            "is none of Service, ServiceEntry, Gateway, VirtualService",
        ),
        (
            "{ targetRefs: [{ kind: VirtualService, name: a }], overload: {} }",
            "overload is for what serves requests",
        ),
        (
            "{ targetRefs: [{ kind: VirtualService, name: a }], connectionRateLimits: [{ connections: 1 }] }",
            "for what takes connections",
        ),
        (
            "{ targetRefs: [{ kind: VirtualService, name: a }], healthCheck: { tcp: {} } }",
            "healthCheck is for services",
        ),
        (
            "{ targetRefs: [{ kind: VirtualService, name: a }], rateLimits: [{ requests: 1, keys: [{ type: SourceIdentity }] }] }",
            "SourceIdentity says nothing on a route",
        ),
    ] {
        refused(spec, why);
    }
}

#[test]
fn what_has_no_effect_is_told() {
    let told = |spec: &str, why: &str| {
        let found = problems(&good(&policy("p", "default", spec)));
        assert!(
            found.iter().any(|line| line.contains(why)),
            "{spec}: {found:#?}"
        );
    };
    let rate = "rateLimits: [{ requests: 1 }]";
    for (target, why) in [
        (
            "{ kind: Service, name: nobody }",
            "Service default/nobody is not there",
        ),
        (
            "{ kind: Gateway, name: nobody }",
            "Gateway default/nobody is not there",
        ),
        (
            "{ kind: Service, name: a, sectionName: grpc }",
            "has no port `grpc`",
        ),
        (
            "{ kind: VirtualService, name: nobody }",
            "VirtualService default/nobody is not there",
        ),
    ] {
        told(&format!("{{ targetRefs: [{target}], {rate} }}"), why);
    }
    told(
        &format!("{{ selector: {{ matchLabels: {{ app: nobody }} }}, {rate} }}"),
        "No matching workloads",
    );
    told("{}", "the policy says nothing");
}
