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
async fn names_under_a_wildcard_are_looked_up_as_the_client_says_them() {
    let app = App::start("app").await;
    let port = app.port();
    // The system's resolver knows `127.1` on any machine, as it knows that `invalid` has no names
    // (inet_aton(3), RFC 6761).
    let dynamic = format!(
        "{{hosts: ['*.1', '*.invalid'], resolution: DYNAMIC_DNS, ports: [{{number: {port}, name: http, protocol: HTTP}}]}}"
    );
    let sidecar = "{egress: [{hosts: ['./*']}], outboundTrafficPolicy: {mode: REGISTRY_ONLY}}";
    let config = object("ServiceEntry", "dynamic", &dynamic) + &object("Sidecar", "all", sidecar);
    let place = Place::start("", &config);
    place.is_sound().await;
    let cases = [
        ("127.1", "/known", served(), "-", "*.1"),
        (
            "nothing.invalid",
            "/unknown",
            refused(503, "upstream_name_unresolved"),
            // Tried as often as a connection that cannot be made.
            "URX,DF",
            "*.invalid",
        ),
    ];
    for (name, path, want, flags, entry) in cases {
        let seen = place.outcome(&format!("{name}:{port}{path}")).await;
        assert_eq!(seen, want, "{name}");
        assert_eq!(place.flags(path).await, flags, "{name}");
        // The client's authority, the server that it stands for, and the cluster.
        let line = place.lines(path, 1).await.swap_remove(0);
        let said: Vec<&str> = line.iter().flat_map(|part| part.split(' ')).collect();
        let server = format!("{name}:{port}");
        let named = said.iter().filter(|word| **word == server);
        assert_eq!(named.count(), 2, "{line:?}");
        let cluster = format!("outbound|{port}||{entry}");
        assert!(said.contains(&cluster.as_str()), "{line:?}");
    }
    // The server sees the name that the client has asked for, once.
    let hosts = app.seen("/known");
    let hosts: Vec<_> = hosts.iter().map(|parts| &parts.headers["host"]).collect();
    assert_eq!(hosts, [format!("127.1:{port}").as_str()]);
    // A wildcard does not cover its own suffix, nor other names and ports.
    let other = port - 1;
    for (url, path) in [
        (format!("localhost:{port}"), "/other"),
        (format!("invalid:{port}"), "/suffix"),
        (format!("127.1:{other}"), "/port"),
    ] {
        let seen = place.outcome(&format!("{url}{path}")).await;
        assert_eq!(seen, refused(502, "undeclared_destination"), "{url}");
        let line = place.lines(path, 1).await.swap_remove(0);
        assert!(!line.concat().contains("outbound|"), "no cluster: {line:?}");
        assert_eq!(place.flags(path).await, "NR", "{url}");
    }
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
