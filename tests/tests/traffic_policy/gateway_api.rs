//! Routes of the Kubernetes Gateway API, from their YAML to what clients and servers see.

use std::collections::BTreeMap;
use std::process::Command;

use bytes::Bytes;
use http::Request;
use mesh_tests::laptop::{Answer, exchange, free_address};
use mesh_tests::{LaptopMesh, meshctl};
use tokio::net::TcpStream;

use crate::app::App;
use crate::{Place, by, outcome, refused, served};

/// A Service of Kubernetes in front of a server.
fn service(name: &str, app: &App) -> String {
    let port = app.port();
    format!(
        "---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 80, targetPort: web}}]}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: {name}}}
spec: {{address: 127.0.0.1, labels: {{app: {name}}}, ports: {{web: {port}}}}}
"
    )
}

/// A route in a namespace for a Service of `default`.
fn route(kind: &str, namespace: &str, parent: &str, rules: &str) -> String {
    format!(
        "---
apiVersion: gateway.networking.k8s.io/v1
kind: {kind}
metadata: {{name: {parent}, namespace: {namespace}}}
spec:
  parentRefs: [{{group: '', kind: Service, name: {parent}, namespace: default}}]
  rules: {rules}
"
    )
}

/// How many of so many answers there were of each status with the proxy's reason.
async fn shares(place: &Place, url: &str, count: usize) -> BTreeMap<(u16, String), usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..count {
        *shares.entry(place.outcome(url).await).or_default() += 1;
    }
    shares
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_71_an_invalid_backend_has_its_share_of_errors() {
    let (one, two) = (App::start("one").await, App::start("two").await);
    let rules = "
  - {matches: [{path: {value: /lost}}], backendRefs: [{name: one, port: 80}, {name: gone, port: 80}]}
  - {matches: [{path: {value: /none}}], backendRefs: [{name: gone, port: 80}]}
  - {matches: [{path: {value: /split}}], backendRefs: [{name: one, port: 80}, {name: two, port: 80, weight: 3}]}";
    let config = [
        service("one", &one),
        service("two", &two),
        route("HTTPRoute", "default", "one", rules),
    ]
    .concat();
    let place = Place::start("", &config);
    place.is_sound().await;
    let shares = shares(&place, "one/lost", 60).await;
    assert_eq!(shares.len(), 2, "{shares:?}");
    // By chance half of them: fewer than one in a million runs leaves these bounds.
    for of in [served(), refused(500, "route_invalid")] {
        assert!((10..=50).contains(&shares[&of]), "{shares:?}");
    }
    let none = place.outcome("one/none").await;
    assert_eq!(none, refused(500, "route_invalid"));
    let mut seen = BTreeMap::new();
    for _ in 0..60 {
        *seen
            .entry(by(&place.get("one/split", &[]).await))
            .or_insert(0) += 1;
    }
    assert!(seen["one"] >= 2 && seen["two"] > seen["one"], "{seen:?}");
    // No rule takes it (Gateway API: HTTPRouteRule.matches).
    let other = place.outcome("one/other").await;
    assert_eq!(other, refused(404, "route_not_found"));
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_70_routes_of_a_clients_namespace_are_for_it_alone() {
    let (one, two) = (App::start("one").await, App::start("two").await);
    let config = [
        service("one", &one),
        service("two", &two),
        route(
            "HTTPRoute",
            "shop",
            "one",
            "[{backendRefs: [{name: two, namespace: default, port: 80}]}]",
        ),
        route(
            "GRPCRoute",
            "default",
            "two",
            "
  - {matches: [{method: {service: shop.Cart, method: Add}}], backendRefs: [{name: one, port: 80}]}
  - {matches: [{method: {service: shop.Cart}}], backendRefs: [{name: two, port: 80}]}",
        ),
    ]
    .concat();
    let shopper =
        "  - {name: shopper, namespace: shop, serviceAccount: shopper, labels: {app: shopper}}\n";
    let place = Place::start(shopper, &config);
    place.is_sound().await;
    let request = Request::builder().uri("http://one.default/");
    let request = request.header("host", "one.default");
    let request = request.body(Bytes::new()).unwrap();
    let answer = place.mesh.send("shopper", request).await.unwrap();
    assert_eq!(by(&answer), "two", "{answer:?}");
    assert_eq!(by(&place.get("one.default/", &[]).await), "one");
    // Calls of gRPC are told by their method.
    for (path, want) in [("/shop.Cart/Add", "one"), ("/shop.Cart/Remove", "two")] {
        let fields = [("content-type", "application/grpc")];
        let answer = place.call("POST", &format!("two{path}"), &fields).await;
        assert_eq!(by(&answer), want, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn trap_71_time_limits_retries_and_prefixes_of_a_route() {
    let app = App::start("app").await;
    let to = "backendRefs: [{name: app, port: 80}]";
    let rules = format!(
        "
  - {{matches: [{{path: {{value: /hang/1/try}}}}], {to}, timeouts: {{backendRequest: 300ms}}, retry: {{attempts: 1, codes: [504], backoff: 1ms}}}}
  - {{matches: [{{path: {{value: /hang}}}}], {to}, timeouts: {{request: 300ms}}}}
  - {{matches: [{{path: {{value: /fail/1/503}}}}], {to}, retry: {{attempts: 1, codes: [503], backoff: 1ms}}}}
  - matches: [{{path: {{value: /old}}}}]
    filters: [{{type: URLRewrite, urlRewrite: {{path: {{type: ReplacePrefixMatch, replacePrefixMatch: /new}}}}}}]
    {to}
  - matches: [{{path: {{value: /gone}}}}]
    filters: [{{type: RequestRedirect, requestRedirect: {{scheme: https, path: {{type: ReplacePrefixMatch, replacePrefixMatch: /here}}}}}}]
  - {{{to}}}"
    );
    let config = service("app", &app) + &route("HTTPRoute", "default", "app", &rules);
    let place = Place::start("", &config);
    place.is_sound().await;
    for (path, want, tries) in [
        ("/hang/1/try", served(), 2),
        ("/hang/9/x", refused(504, "request_timeout"), 1),
        ("/fail/1/503/x", served(), 2),
    ] {
        let seen = place.outcome(&format!("app{path}")).await;
        assert_eq!((seen, app.count(path)), (want, tries), "{path}");
    }
    for (asked, sent) in [
        ("/old", "/new"),
        ("/old/", "/new/"),
        ("/old/a/b", "/new/a/b"),
        ("/older", "/older"),
    ] {
        assert_eq!(place.outcome(&format!("app{asked}")).await, served());
        assert_eq!(app.count(sent), 1, "{asked}");
    }
    let answer = place.get("app/gone/x?q=1", &[]).await;
    assert_eq!(outcome(&answer).0, 302);
    assert_eq!(crate::header(&answer, "location"), "https://app/here/x?q=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_of_the_gateway_api_serves_the_routes_that_it_takes() {
    let app = App::start("app").await;
    let listen = free_address().unwrap();
    let config = service("app", &app)
        + "---
apiVersion: v1
kind: Service
metadata: {name: front}
spec: {selector: {gateway: edge}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  gatewayClassName: istio
  addresses: [{type: Hostname, value: front}]
  listeners: [{name: http, port: 80, protocol: HTTP, hostname: '*.example.com'}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app}
spec:
  parentRefs: [{name: edge, sectionName: http}]
  hostnames: [app.example.com, app.example.org]
  rules:
  - {matches: [{path: {value: /app}}], backendRefs: [{name: app, port: 80}]}
  - {matches: [{path: {value: /lost}}], backendRefs: [{name: gone, port: 80}]}
";
    let mesh = format!(
        "apiVersion: mesh.dev/v1alpha1
kind: Mesh
metadata: {{name: gateway-api}}
spec:
  gateways:
  - {{name: edge, namespace: default, labels: {{gateway: edge}}, ports: [{{name: http, port: 8080, listen: '{listen}'}}]}}
"
    );
    let mesh = LaptopMesh::launch(Command::new(meshctl()), &mesh, &[("test.yaml", &config)]);
    let mesh = mesh.unwrap();
    let get = async |host: &str, path: &str| -> Answer {
        let request = Request::builder().uri(path).header("host", host);
        let stream = TcpStream::connect(listen).await.unwrap();
        let request = request.body(Bytes::new()).unwrap();
        exchange(stream, request).await.unwrap()
    };
    for (host, path, want) in [
        ("app.example.com", "/app/x", served()),
        ("app.example.com", "/lost", refused(500, "route_invalid")),
        ("app.example.com", "/other", refused(404, "route_not_found")),
        // Not a host of the listener, and not one of the route.
        ("app.example.org", "/app", refused(404, "route_not_found")),
        ("other.example.com", "/app", refused(404, "route_not_found")),
    ] {
        assert_eq!(outcome(&get(host, path).await), want, "{host}{path}");
    }
    assert_eq!(app.count("/app/x"), 1);
    drop(mesh);
}
