//! Ingresses: which are served, and what they mean.

use mesh_api::v1::string_match::Kind;
use meshd_core::{IngressMode, IngressSettings, MeshSettings, World};

use crate::mesh::{destinations, gateway, gateway_of, problems, world, world_with};

const CLASSES: &str = "
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: { name: mesh }
spec: { controller: istio.io/ingress-controller }
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: { name: nginx }
spec: { controller: k8s.io/ingress-nginx }
---
";

fn ingress(name: &str, class: &str, spec: &str) -> String {
    let (annotation, class) = match class.strip_prefix('@') {
        Some(value) => (
            format!(", annotations: {{ kubernetes.io/ingress.class: {value} }}"),
            String::new(),
        ),
        None if class.is_empty() => (String::new(), String::new()),
        None => (String::new(), format!("ingressClassName: {class}, ")),
    };
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {{ name: {name}{annotation} }}\nspec: {{ {class}{spec} }}\n"
    )
}

const ANY: &str = "rules: [{ http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: a, port: { number: 80 } } } }] } }]";

fn served(world: &World) -> Vec<&str> {
    world
        .ingresses()
        .iter()
        .map(|one| one.name.as_str())
        .collect()
}

#[test]
fn classes_and_modes() {
    let text = [
        CLASSES.to_owned(),
        ingress("by-class", "mesh", ANY),
        ingress("by-other-class", "nginx", ANY),
        ingress("by-annotation", "@istio", ANY),
        ingress("by-other-annotation", "@nginx", ANY),
        ingress("by-nothing", "", ANY),
        ingress("by-missing-class", "gone", ANY),
    ]
    .concat();
    for (mode, want) in [
        (IngressMode::Strict, &["by-class", "by-annotation"][..]),
        (
            IngressMode::Default,
            &[
                "by-class",
                "by-annotation",
                "by-nothing",
                "by-missing-class",
            ],
        ),
        (IngressMode::Off, &["by-class"]),
    ] {
        let settings = MeshSettings {
            ingress: IngressSettings {
                mode,
                ..IngressSettings::default()
            },
            ..MeshSettings::default()
        };
        assert_eq!(served(&world_with(&text, &settings)), want, "{mode:?}");
    }
    let missing = world(&ingress("lost", "istio", ANY));
    assert!(
        problems(&missing)[0]
            .contains("Ingress default/lost is not served: there is no IngressClass istio")
    );
    let labels = |service: &str, selector: &str| {
        let settings = IngressSettings {
            service: service.into(),
            selector: selector.into(),
            ..IngressSettings::default()
        };
        settings.gateway_label().to_owned()
    };
    assert_eq!(labels("istio-ingressgateway", ""), "ingressgateway");
    assert_eq!(labels("front", ""), "front");
    assert_eq!(labels("front", "edge"), "edge");
}

/// Host, paths in order with their destination.
fn routes(world: &World) -> Vec<(String, Vec<String>)> {
    let scope = gateway(
        world,
        "istio-system/ingress",
        &[("istio", "ingressgateway")],
    );
    let found = gateway_of(world, &scope);
    let listener = found
        .listeners
        .iter()
        .find(|listener| listener.port == 80)
        .unwrap();
    let uri = |uri: Option<&mesh_api::v1::StringMatch>| match uri.and_then(|uri| uri.kind.as_ref())
    {
        Some(Kind::Exact(path)) => format!("={path}"),
        Some(Kind::Prefix(path)) => format!("{path}*"),
        other => format!("{other:?}"),
    };
    let of_host = |host: &mesh_api::v1::GatewayHost| {
        let routes = host.http.iter().map(|route| {
            let matches: Vec<String> = route
                .matches
                .iter()
                .map(|one| uri(one.uri.as_ref()))
                .collect();
            format!("{} {}", matches.join("|"), destinations(route).join(","))
        });
        (host.domain.clone(), routes.collect())
    };
    listener.hosts.iter().map(of_host).collect()
}

fn path(path: &str, kind: &str, service: &str, port: &str) -> String {
    format!(
        "{{ path: '{path}', pathType: {kind}, backend: {{ service: {{ name: {service}, port: {{ {port} }} }} }} }}"
    )
}

#[test]
fn paths_hosts_and_backends() {
    let paths = [
        path("/", "Prefix", "a", "number: 80"),
        path("/shop", "Prefix", "b", "number: 8080"),
        path("/shop", "Exact", "multi", "name: http-admin"),
        path("/shop/cart/", "Prefix", "a", "number: 80"),
        path("/img/*", "ImplementationSpecific", "b", "name: http"),
    ]
    .join(", ");
    let text = [
        CLASSES.to_owned(),
        ingress("shop", "mesh", &format!("rules: [{{ host: shop.example.com, http: {{ paths: [{paths}] }} }}]")),
        // Another Ingress of the same host, later: its paths fall in by length.
        ingress("more", "mesh", &format!("rules: [{{ host: shop.example.com, http: {{ paths: [{}] }} }}, {{ host: '*.example.com', http: {{ paths: [{}] }} }}]", path("/more", "Prefix", "a", "number: 80"), path("/", "Prefix", "b", "number: 8080"))),
        ingress("rest", "mesh", "defaultBackend: { service: { name: multi, port: { number: 80 } } }, rules: [{ host: rest.example.com, http: { paths: [{ path: /x, pathType: Exact, backend: { service: { name: a, port: { number: 80 } } } }] } }]"),
    ]
    .concat();
    let world = world(&text);
    let want = |text: &[&str]| {
        text.iter()
            .map(|line| (*line).to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        routes(&world),
        [
            ("*".to_owned(), want(&[" multi.default:80/*100"])),
            ("*.example.com".to_owned(), want(&[" b.default:8080/*100"])),
            (
                "rest.example.com".to_owned(),
                want(&["=/x a.default:80/*100", " multi.default:80/*100"])
            ),
            (
                "shop.example.com".to_owned(),
                want(&[
                    "=/shop/cart|/shop/cart/* a.default:80/*100",
                    "=/shop multi.default:9000/*100",
                    "=/shop|/shop/* b.default:8080/*100",
                    "=/more|/more/* a.default:80/*100",
                    "=/img|/img/* b.default:8080/*100",
                    " a.default:80/*100",
                ])
            ),
        ]
    );
}

#[test]
fn tls_of_an_ingress() {
    let text = [
        CLASSES.to_owned(),
        ingress("one", "mesh", &format!("tls: [{{ hosts: [a.example.com], secretName: cert }}, {{ secretName: rest }}, {{ hosts: [x.example.com] }}], {}", ANY.replace("{ http", "{ host: a.example.com, http"))),
        ingress("two", "mesh", &format!("tls: [{{ hosts: [a.example.com], secretName: cert }}], {}", ANY.replace("{ http", "{ host: a.example.com, http"))),
    ]
    .concat();
    let world = world(&text);
    let scope = gateway(
        &world,
        "istio-system/ingress",
        &[("istio", "ingressgateway")],
    );
    let found = gateway_of(&world, &scope);
    let listener = found
        .listeners
        .iter()
        .find(|listener| listener.port == 443)
        .unwrap();
    let servers: Vec<(&str, &str, usize)> = listener
        .tls
        .iter()
        .map(|server| {
            (
                server.sni_hosts[0].as_str(),
                server.credential.as_str(),
                server.hosts.len(),
            )
        })
        .collect();
    assert_eq!(
        servers,
        [
            ("a.example.com", "istio-system/cert", 1),
            ("*", "istio-system/rest", 1)
        ]
    );
    let told = problems(&world).join("\n");
    for part in [
        "credentialName cert: Secret cert not found",
        "tls without a secretName is not served",
        "this server is not served: host a.example.com is served on port 443",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    let shared = "[IST0138]";
    assert!(!told.contains(shared), "Ingresses may share one: {told}");
}

#[test]
fn a_port_without_such_a_name_answers_503() {
    let world = world(
        &[
            CLASSES.to_owned(),
            ingress(
                "shop",
                "mesh",
                &format!(
                    "rules: [{{ http: {{ paths: [{}, {}] }} }}]",
                    path("/", "Prefix", "a", "number: 80"),
                    path("/x", "Prefix", "b", "name: nonsense")
                ),
            ),
        ]
        .concat(),
    );
    assert!(
        problems(&world)
            .iter()
            .any(|line| line.contains("Service default/b has no port named `nonsense`"))
    );
    let scope = gateway(
        &world,
        "istio-system/ingress",
        &[("istio", "ingressgateway")],
    );
    let found = gateway_of(&world, &scope);
    let first = &found.listeners[0].hosts[0].http[0];
    assert!(
        matches!(&first.action, Some(mesh_api::v1::http_route::Action::Direct(direct)) if direct.status == 503)
    );
}
