//! Traps of the Gateway API at gateways: who serves a Gateway, and which routes it takes. Numbers
//! as in the table of exact semantics.

use mesh_api::v1::http_route::Action;
use mesh_api::v1::{Gateway, GatewayHost};
use meshd_core::World;

use crate::gateways::{WORKLOAD, credentials, ingress, pair, tls_servers};
use crate::mesh::{destinations, gateway_of, good, names, problems, world};

/// The Service of the gateway `edge/ingress`, and namespaces with labels.
pub(crate) const FRONT: &str = "---
apiVersion: v1
kind: Service
metadata: { name: front, namespace: edge }
spec: { selector: { istio: ingress }, ports: [{ name: http, port: 80, targetPort: 8080 }, { name: https, port: 443, targetPort: 8443 }] }
---
apiVersion: v1
kind: Service
metadata: { name: own, namespace: edge }
spec: { selector: { app: own }, ports: [{ name: http, port: 80 }] }
---
apiVersion: v1
kind: Namespace
metadata: { name: shop, labels: { team: shop } }
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: { name: mesh }
spec: { controllerName: istio.io/gateway-controller }
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: { name: other }
spec: { controllerName: example.com/other }
";

/// A Gateway in `edge` that `front` serves, with these listeners.
pub(crate) fn gateway(listeners: &str) -> String {
    gateway_with(
        "gatewayClassName: mesh, addresses: [{ type: Hostname, value: front }]",
        listeners,
    )
}

pub(crate) fn gateway_with(spec: &str, listeners: &str) -> String {
    format!(
        "{WORKLOAD}{FRONT}---\napiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {{ name: gw, namespace: edge }}\nspec: {{ {spec}, listeners: {listeners} }}\n"
    )
}

/// A route `<namespace>/<name>` to `edge/gw`.
pub(crate) fn attached(name: &str, parent: &str, hostnames: &str) -> String {
    let (namespace, short) = name.split_once('/').unwrap();
    format!(
        "---\napiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{ name: {short}, namespace: {namespace} }}\nspec: {{ parentRefs: [{{ name: gw, namespace: edge{parent} }}], hostnames: [{hostnames}], rules: [{{ name: {short}, backendRefs: [{{ name: own, namespace: edge, port: 80 }}] }}] }}\n"
    )
}

pub(crate) const GRANT: &str = "---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: { name: open, namespace: edge }
spec: { from: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, namespace: shop }], to: [{ group: '', kind: Service, name: own }] }
";

const ALL: &str = "allowedRoutes: { namespaces: { from: All } }";

fn served(world: &World) -> Gateway {
    gateway_of(world, &ingress(world))
}

/// `<port> <domain>: <names of routes>` of each host in plain text.
fn hosts(world: &World) -> Vec<String> {
    let gateway = served(world);
    let line = |port: u32, host: &GatewayHost| {
        format!("{port} {}: {}", host.domain, names(&host.http).join(" "))
    };
    let listeners = gateway.listeners.iter();
    let of =
        listeners.flat_map(|listener| listener.hosts.iter().map(|host| line(listener.port, host)));
    of.collect()
}

#[test]
fn trap_70_routes_meet_listeners_by_hostname() {
    let listeners = "[{ name: any, port: 80, protocol: HTTP }, { name: wild, port: 80, protocol: HTTP, hostname: '*.example.com' }, { name: exact, port: 80, protocol: HTTP, hostname: foo.example.com }]";
    for (hostnames, parent, want) in [
        // A request is for the listener with the most specific hostname only.
        ("foo.example.com", "", &["8080 foo.example.com: r"][..]),
        ("foo.example.com", ", sectionName: wild", &[]),
        (
            "foo.example.com",
            ", sectionName: exact",
            &["8080 foo.example.com: r"],
        ),
        ("bar.example.com", "", &["8080 bar.example.com: r"]),
        (
            "'*.example.com'",
            "",
            &["8080 *.example.com: r", "8080 foo.example.com: r"],
        ),
        ("other.org", "", &["8080 other.org: r"]),
        ("", ", sectionName: wild", &["8080 *.example.com: r"]),
        (
            "",
            "",
            &[
                "8080 *: r",
                "8080 *.example.com: r",
                "8080 foo.example.com: r",
            ],
        ),
        ("localhost", "", &["8080 localhost: r"]),
    ] {
        let world = good(&(gateway(listeners) + &attached("edge/r", parent, hostnames)));
        assert_eq!(hosts(&world), want, "{hostnames} {parent}");
    }
    let other = world(
        &(gateway(listeners) + &attached("edge/r", ", sectionName: exact", "bar.example.com")),
    );
    assert_eq!(hosts(&other), [""; 0]);
    let told = problems(&other);
    assert!(
        told[0].contains("listener exact is for foo.example.com, not for bar.example.com"),
        "{told:?}"
    );
}

#[test]
fn trap_70_rules_of_all_routes_of_a_listener_are_one_list() {
    let two = "---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: exact, namespace: edge }
spec: { parentRefs: [{ name: gw }], rules: [{ name: exact, matches: [{ path: { type: Exact, value: /x } }], backendRefs: [{ name: own, port: 80 }] }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: { name: grpc, namespace: edge }
spec: { parentRefs: [{ name: gw }], rules: [{ name: grpc, matches: [{ method: { service: s.S } }], backendRefs: [{ name: own, port: 80 }] }] }
";
    let world = good(
        &(gateway("[{ name: http, port: 80, protocol: HTTP }]")
            + &attached("edge/all", "", "")
            + two),
    );
    assert_eq!(hosts(&world), ["8080 *: exact grpc all"]);
    let gateway = served(&world);
    assert_eq!(
        destinations(&gateway.listeners[0].hosts[0].http[0]),
        ["own.edge:80/*1"]
    );
}

#[test]
fn listeners_choose_namespaces_and_kinds() {
    for (allowed, want, why) in [
        ("", false, "takes no routes of namespace shop"),
        (
            "namespaces: { from: Same }",
            false,
            "takes no routes of namespace shop",
        ),
        (
            "namespaces: { from: None }",
            false,
            "takes no routes of namespace shop",
        ),
        ("namespaces: { from: All }", true, ""),
        (
            "namespaces: { from: Selector, selector: { matchLabels: { team: shop } } }",
            true,
            "",
        ),
        (
            "namespaces: { from: Selector, selector: { matchLabels: { kubernetes.io/metadata.name: shop } } }",
            true,
            "",
        ),
        (
            "namespaces: { from: Selector, selector: { matchExpressions: [{ key: team, operator: NotIn, values: [shop] }] } }",
            false,
            "takes no routes of namespace shop",
        ),
        (
            "namespaces: { from: All }, kinds: [{ kind: GRPCRoute }]",
            false,
            "takes no HTTPRoutes",
        ),
        (
            "namespaces: { from: All }, kinds: [{ kind: HTTPRoute }]",
            true,
            "",
        ),
    ] {
        let listener =
            format!("[{{ name: http, port: 80, protocol: HTTP, allowedRoutes: {{ {allowed} }} }}]");
        let world = world(&(gateway(&listener) + GRANT + &attached("shop/r", "", "")));
        assert_eq!(!hosts(&world).is_empty(), want, "{allowed}");
        if !want {
            let told = problems(&world);
            assert!(told.iter().any(|line| line.contains(why)), "{told:?}");
        }
    }
}

#[test]
fn trap_71_backends_of_other_namespaces_need_a_grant_at_gateways() {
    let base = gateway(&format!(
        "[{{ name: http, port: 80, protocol: HTTP, {ALL} }}]"
    )) + &attached("shop/r", "", "");
    let other_kind = GRANT.replace("kind: HTTPRoute", "kind: GRPCRoute");
    let other_name = GRANT.replace("name: own", "name: front");
    for (grant, granted) in [
        ("", false),
        (GRANT, true),
        (&other_kind, false),
        (&other_name, false),
    ] {
        let world = world(&format!("{base}{grant}"));
        let gateway = served(&world);
        match &gateway.listeners[0].hosts[0].http[0].action {
            Some(Action::Forward(_)) => assert!(granted, "{grant}"),
            Some(Action::Invalid(invalid)) => {
                assert!(!granted, "{grant}");
                assert_eq!(invalid.status, 500);
                assert!(
                    invalid
                        .message
                        .contains("no ReferenceGrant in edge allows HTTPRoutes of shop"),
                    "{invalid:?}"
                );
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_gateway_is_served_by_the_service_it_names() {
    let listener = "[{ name: http, port: 80, protocol: HTTP }]";
    let route = attached("edge/r", "", "");
    let standard = "---
apiVersion: v1
kind: Service
metadata: { name: gw-mesh, namespace: edge }
spec: { selector: { istio: ingress }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
";
    for (spec, more, want, why) in [
        (
            "gatewayClassName: mesh, addresses: [{ type: Hostname, value: front }]",
            "",
            true,
            "",
        ),
        (
            "gatewayClassName: mesh, addresses: [{ type: Hostname, value: front.edge.svc.cluster.local }]",
            "",
            true,
            "",
        ),
        ("gatewayClassName: mesh", standard, true, ""),
        // What Istio itself serves without a declaration.
        (
            "gatewayClassName: istio, addresses: [{ type: Hostname, value: front }]",
            "",
            true,
            "",
        ),
        (
            "gatewayClassName: mesh",
            "",
            false,
            "there is no Service edge/gw-mesh: this mesh deploys no gateways; install one, and name its Service in spec.addresses with the type Hostname",
        ),
        (
            "gatewayClassName: mesh, addresses: [{ type: Hostname, value: gone }]",
            "",
            false,
            "address gone: there is no such Service in edge",
        ),
        (
            "gatewayClassName: mesh, addresses: [{ type: Hostname, value: a.default.svc.cluster.local }]",
            "",
            false,
            "it is no Service of namespace edge",
        ),
        (
            "gatewayClassName: mesh, addresses: [{ value: 10.0.0.1 }]",
            "",
            false,
            "only the Hostname of a Service can be asked for, not 10.0.0.1",
        ),
        (
            "gatewayClassName: other, addresses: [{ type: Hostname, value: front }]",
            "",
            false,
            "",
        ),
        (
            "gatewayClassName: unknown, addresses: [{ type: Hostname, value: front }]",
            "",
            false,
            "",
        ),
    ] {
        let world = world(&(gateway_with(spec, listener) + more + &route));
        assert_eq!(!hosts(&world).is_empty(), want, "{spec}");
        let told = problems(&world);
        match why {
            "" => assert_eq!(told, [""; 0], "{spec}"),
            why => assert!(told.iter().any(|line| line.contains(why)), "{told:?}"),
        }
    }
    let elsewhere = world(&(gateway(listener) + &route));
    let scope = crate::mesh::gateway(&elsewhere, "default/other", &[("istio", "ingress")]);
    assert!(
        gateway_of(&elsewhere, &scope).listeners.is_empty(),
        "gateways of another namespace are others"
    );
}

#[test]
fn certificates_come_from_the_gateways_namespace_or_by_a_grant() {
    let listener = |certificate: &str| {
        gateway(&format!(
            "[{{ name: https, port: 443, protocol: HTTPS, hostname: a.example, tls: {{ certificateRefs: [{certificate}] }} }}]"
        )) + &attached("edge/r", "", "")
    };
    let grant = "---
apiVersion: gateway.networking.k8s.io/v1
kind: ReferenceGrant
metadata: { name: open, namespace: keys }
spec: { from: [{ group: gateway.networking.k8s.io, kind: Gateway, namespace: edge }], to: [{ group: '', kind: Secret }] }
";
    for (certificate, more, want, why) in [
        ("{ name: cert }", pair("edge", "cert"), "edge/cert", ""),
        (
            "{ name: cert, namespace: keys }",
            pair("keys", "cert") + grant,
            "keys/cert",
            "",
        ),
        (
            "{ name: cert, namespace: keys }",
            pair("keys", "cert"),
            "",
            "no ReferenceGrant in keys allows Gateways of edge",
        ),
        (
            "{ name: cert }",
            String::new(),
            "",
            "certificateRef edge/cert is no Secret with a certificate and its key",
        ),
        (
            "{ kind: ConfigMap, name: cert }",
            pair("edge", "cert"),
            "",
            "is no Secret with a certificate",
        ),
    ] {
        let world = world(&(listener(certificate) + &more));
        let servers = tls_servers(&world);
        if want.is_empty() {
            assert!(servers.is_empty(), "{certificate}: {servers:?}");
            assert!(
                problems(&world).iter().any(|line| line.contains(why)),
                "{:?}",
                problems(&world)
            );
            continue;
        }
        assert_eq!(
            (servers[0].credential.as_str(), servers[0].unusable.as_str()),
            (want, "")
        );
        assert_eq!(names(&servers[0].hosts[0].http), ["r"]);
        let told: Vec<String> = credentials(&world, &ingress(&world))
            .iter()
            .map(|one| format!("{}/{}", one.namespace, one.name))
            .collect();
        assert_eq!(told, [want]);
    }
}

#[test]
fn listeners_that_cannot_be_served_are_named() {
    for (listener, why) in [
        (
            "{ name: x, port: 80, protocol: TCP }",
            "protocol TCP is not served",
        ),
        (
            "{ name: x, port: 443, protocol: TLS, tls: { mode: Passthrough } }",
            "protocol TLS is not served",
        ),
        (
            "{ name: x, port: 443, protocol: HTTPS }",
            "HTTPS needs certificateRefs",
        ),
        (
            "{ name: x, port: 443, protocol: HTTPS, tls: { mode: Passthrough } }",
            "HTTPS ends at the gateway",
        ),
        (
            "{ name: x, port: 443, protocol: HTTPS, tls: { options: { example.com/x: 'y' }, certificateRefs: [{ name: cert }] } }",
            "the option example.com/x is not known",
        ),
        (
            "{ name: x, port: 81, protocol: HTTP }",
            "Service edge/front has no port 81, which listener x asks for",
        ),
        (
            "{ name: x, port: 80, protocol: HTTP, allowedRoutes: { kinds: [{ kind: TCPRoute }] } }",
            "routes of the kind TCPRoute (gateway.networking.k8s.io) are not taken",
        ),
        (
            "{ name: x, port: 80, protocol: HTTP }, { name: y, port: 80, protocol: HTTPS }",
            "listener y speaks HTTPS on port 80",
        ),
        (
            "{ name: x, port: 80, protocol: HTTP }, { name: y, port: 80, protocol: HTTP }",
            "listener y has the same port and hostname",
        ),
    ] {
        let world = world(&gateway(&format!("[{listener}]")));
        let told = problems(&world);
        assert!(
            told.iter().any(|line| line.contains(why)),
            "{listener}: {told:?}"
        );
    }
    let unchecked = gateway_with(
        "gatewayClassName: mesh, addresses: [{ type: Hostname, value: front }], tls: { frontend: { default: {} } }",
        "[{ name: x, port: 443, protocol: HTTPS, tls: { certificateRefs: [{ name: cert }] } }]",
    );
    let world = world(&(unchecked + &pair("edge", "cert")));
    assert!(tls_servers(&world).is_empty(), "nobody is let in unchecked");
}
