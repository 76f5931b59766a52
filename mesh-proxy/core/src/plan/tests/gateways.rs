//! Requests of a gateway.

use super::*;

fn gateway(hosts: &[(&str, bool)]) -> Snapshot {
    let host = |(domain, https_redirect): &(&str, bool)| v1::GatewayHost {
        domain: (*domain).into(),
        http: vec![v1::HttpRoute {
            name: (*domain).into(),
            ..default_route()
        }],
        https_redirect: *https_redirect,
        origin: None,
    };
    let hosts = hosts.iter().map(host).collect();
    let listener = v1::GatewayListener {
        port: 8080,
        protocol: v1::Protocol::Http.into(),
        hosts,
        ..v1::GatewayListener::default()
    };
    let gateway = v1::Gateway {
        workload: "istio-system/gw".into(),
        listeners: vec![listener],
        policies: vec![],
        ..Default::default()
    };
    let mut all = reviews(vec![]);
    all.push(resource("gateway/self", Body::Gateway(gateway)));
    snapshot(all)
}

fn plan(snapshot: &Snapshot, port: u16, host: &str) -> HttpPlan {
    gateway_http(
        snapshot,
        port,
        &request("GET", "/p?q", &[("host", host)]),
        &mut rng(),
    )
    .ready()
    .unwrap()
}

#[test]
fn trap_43_the_most_specific_domain_wins() {
    let domains = ["*", "*.example.com", "*.a.example.com", "x.example.com"];
    let snapshot = gateway(&domains.map(|domain| (domain, false)));
    for (host, want) in [
        ("x.example.com", "x.example.com"),
        ("X.Example.Com:8080", "x.example.com"),
        ("b.a.example.com", "*.a.example.com"),
        ("b.example.com:80", "*.example.com"),
        ("example.com", "*"),
        ("[::1]:80", "*"),
    ] {
        assert_eq!(plan(&snapshot, 8080, host).route_name(), want, "{host}");
    }
    assert_eq!(
        answered(&plan(&snapshot, 8080, "")).reason,
        Reason::HostInvalid
    );
}

#[test]
fn trap_44_https_redirect_and_unknown_hosts() {
    let snapshot = gateway(&[("secure.example.com", true), ("x.example.com", false)]);
    let secure = plan(&snapshot, 8080, "secure.example.com:8080");
    assert_eq!(answered(&secure).status, 301);
    assert_eq!(
        answered(&secure).headers["location"],
        "https://secure.example.com/p?q"
    );
    assert_eq!(
        answered(&plan(&snapshot, 8080, "y.example.com")).status,
        404
    );
    assert_eq!(
        answered(&plan(&snapshot, 9999, "x.example.com")).status,
        404
    );
}
