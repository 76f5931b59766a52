//! Where calls may go: resolutions of ServiceEntries, scopes, what nobody declared.

use crate::app::App;
use crate::{Place, by, host, object, refused, routes, served};

fn entry(host: &str, spec: &str) -> String {
    object(
        "ServiceEntry",
        host,
        &format!("{{hosts: [{host}], {spec}}}"),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_are_found_as_their_resolution_says() {
    let (app, other) = (App::start("app").await, App::start("other").await);
    let (port, second) = (app.port(), other.port());
    let http = |number: u16| format!("ports: [{{number: {number}, name: http, protocol: HTTP}}]");
    let config = [
        entry(
            "dns.example.com",
            &format!("resolution: DNS, {}, endpoints: [{{address: localhost, ports: {{http: {port}}}}}]", http(80)),
        ),
        entry(
            "robin.example.com",
            &format!("resolution: DNS_ROUND_ROBIN, {}, endpoints: [{{address: localhost, ports: {{http: {port}}}}}]", http(80)),
        ),
        // The name is its own address.
        entry("localhost", &format!("resolution: DNS, {}", http(port))),
        // Wherever the client goes.
        entry(
            "none.example.com",
            &format!("resolution: NONE, addresses: [127.0.0.1/32], {}", http(second)),
        ),
        entry(
            "nowhere.example.com",
            &format!("resolution: DNS, {}, endpoints: [{{address: nothing.invalid}}]", http(80)),
        ),
    ]
    .concat();
    let place = Place::start("", &config);
    place.is_sound().await;
    for url in [
        "dns.example.com/".to_owned(),
        "robin.example.com/".to_owned(),
        format!("localhost:{port}/"),
    ] {
        let answer = place.get(&url, &[]).await;
        assert_eq!(
            (answer.status.as_u16(), by(&answer)),
            (200, "app".to_owned()),
            "{url}"
        );
    }
    let answer = place.get(&format!("127.0.0.1:{second}/"), &[]).await;
    assert_eq!(
        (answer.status.as_u16(), by(&answer)),
        (200, "other".to_owned())
    );
    let lost = place.outcome("nowhere.example.com/").await;
    assert_eq!(lost, refused(503, "upstream_name_unresolved"));
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_go_where_scopes_and_exports_let_them() {
    let (app, other) = (App::start("app").await, App::start("other").await);
    let undeclared = format!("127.0.0.1:{}/", other.port());
    let exported = |name: &str, namespace: &str, to: &str| {
        let text = host(name, &[(&app, "")]);
        let text = text.replace(
            "metadata: {name:",
            &format!("metadata: {{namespace: {namespace}, name:"),
        );
        text.replace(
            "  resolution:",
            &format!("  exportTo: ['{to}']\n  resolution:"),
        )
    };
    let config = [
        host("near.example.com", &[(&app, "")]),
        exported("shown.example.com", "shop", "*"),
        exported("private.example.com", "shop", "."),
        exported("given.example.com", "shop", "default"),
    ]
    .concat();
    let place = Place::start("", &config);
    place.is_sound().await;
    for (url, want) in [
        ("near.example.com/", served()),
        ("shown.example.com/", served()),
        ("given.example.com/", served()),
        // Nobody declared it to this client, and no name server knows it.
        (
            "private.example.com/",
            refused(503, "upstream_name_unresolved"),
        ),
        (&undeclared, served()),
    ] {
        assert_eq!(place.outcome(url).await, want, "{url}");
    }
    // The same with a Sidecar that imports its own namespace, and lets nothing else out.
    let sidecar = "\
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: client}
spec:
  workloadSelector: {labels: {app: client}}
  egress: [{hosts: ['./*']}]
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
";
    place
        .mesh
        .apply("sidecar.yaml", Some(sidecar))
        .await
        .unwrap();
    for (url, want) in [
        ("near.example.com/", served()),
        ("shown.example.com/", refused(502, "undeclared_destination")),
        (&undeclared, refused(502, "undeclared_destination")),
    ] {
        assert_eq!(place.outcome(url).await, want, "{url}");
    }
    // A route that names it brings it into the scope.
    let route = routes(
        "near.example.com",
        "[{route: [{destination: {host: shown.example.com}}]}]",
    );
    place.mesh.apply("route.yaml", Some(&route)).await.unwrap();
    assert_eq!(place.outcome("near.example.com/").await, served());
}
