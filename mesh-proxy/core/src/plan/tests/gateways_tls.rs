//! Gateways with TLS: servers by name, routes, refusals and what is told of them.

use mesh_api::v1::TlsServerMode as Mode;

use super::*;
use crate::explain::{ExplainRequest, explain_gateway};
use crate::labels::ClientInfo;

fn http_server(names: &[&str]) -> v1::TlsServer {
    let host = |name: &&str| v1::GatewayHost {
        domain: (*name).into(),
        http: vec![v1::HttpRoute {
            name: (*name).into(),
            ..default_route()
        }],
        ..Default::default()
    };
    v1::TlsServer {
        sni_hosts: names.iter().map(|name| (*name).into()).collect(),
        mode: Mode::Simple.into(),
        protocol: v1::Protocol::Http.into(),
        credential: "istio-system/cert".into(),
        hosts: names.iter().map(host).collect(),
        ..Default::default()
    }
}

fn passthrough(names: &[&str]) -> v1::TlsServer {
    v1::TlsServer {
        sni_hosts: names.iter().map(|name| (*name).into()).collect(),
        mode: Mode::Passthrough.into(),
        protocol: v1::Protocol::Tls.into(),
        tcp: vec![v1::TcpRoute {
            destinations: vec![v1::Destination {
                host: "reviews.default.svc.cluster.local".into(),
                port: 9080,
                weight: 100,
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn resources(tls: Vec<v1::TlsServer>) -> Vec<v1::Resource> {
    let gateway = v1::Gateway {
        workload: "istio-system/gw".into(),
        listeners: vec![v1::GatewayListener {
            port: 8443,
            service_ports: vec![443],
            protocol: v1::Protocol::Tls.into(),
            tls,
            ..Default::default()
        }],
        policies: vec![],
        ..Default::default()
    };
    let mut all = reviews(vec![]);
    all.push(resource("gateway/self", Body::Gateway(gateway)));
    all
}

fn over(sni: &str) -> GatewayPoint<'_> {
    GatewayPoint {
        listener: 8443.into(),
        over: Over::Tls { sni: Some(sni) },
    }
}

#[test]
fn requests_go_by_server_name_and_host() {
    let snapshot = snapshot(resources(vec![
        http_server(&["*.example.com"]),
        http_server(&["a.example.com", "b.example.com"]),
        passthrough(&["p.example.com"]),
    ]));
    let plan = |sni: &str, host: &str| {
        gateway_http(
            &snapshot,
            over(sni),
            &request("GET", "/", &[("host", host)]),
            &mut rng(),
        )
        .ready()
        .unwrap()
    };
    for (sni, host, want) in [
        ("a.example.com", "a.example.com", "a.example.com"),
        ("a.example.com", "B.example.com:443", "b.example.com"),
        ("c.example.com", "d.example.com", "*.example.com"),
    ] {
        assert_eq!(plan(sni, host).route_name(), want, "{sni} {host}");
    }
    for (sni, host, reason) in [
        ("a.example.com", "c.example.com", Reason::MisdirectedRequest),
        ("a.example.com", "p.example.com", Reason::MisdirectedRequest),
        ("a.example.com", "example.org", Reason::RouteNotFound),
        ("p.example.com", "p.example.com", Reason::RouteNotFound),
    ] {
        assert_eq!(answered(&plan(sni, host)).reason, reason, "{sni} {host}");
    }
    // What came without TLS does not get there.
    let plain = gateway_http(
        &snapshot,
        8443,
        &request("GET", "/", &[("host", "a.example.com")]),
        &mut rng(),
    );
    assert_eq!(
        answered(&plain.ready().unwrap()).reason,
        Reason::RouteNotFound
    );
}

#[test]
fn bytes_go_by_server_name() {
    let snapshot = snapshot(resources(vec![
        passthrough(&["*.example.com"]),
        http_server(&["x.example.com"]),
    ]));
    let passed = gateway_tcp(&snapshot, over("a.example.com"), &mut rng());
    assert!(matches!(passed.action, TcpAction::Forward(cluster) if cluster.id.port == 9080));
    for name in ["x.example.com", "example.org"] {
        let refused = gateway_tcp(&snapshot, over(name), &mut rng());
        assert!(
            matches!(refused.action, TcpAction::Refuse(Reason::RouteNotFound)),
            "{name}"
        );
    }
    assert!(gateway_server(&snapshot, &over("example.org")).is_none());
}

#[test]
fn a_client_cannot_claim_https() {
    let gateway = v1::Gateway {
        workload: "istio-system/gw".into(),
        listeners: vec![v1::GatewayListener {
            port: 8080,
            protocol: v1::Protocol::Http.into(),
            hosts: vec![v1::GatewayHost {
                domain: "*".into(),
                https_redirect: true,
                ..Default::default()
            }],
            ..Default::default()
        }],
        policies: vec![],
        ..Default::default()
    };
    let snapshot = snapshot(vec![resource("gateway/self", Body::Gateway(gateway))]);
    let parts = request("GET", "https://a.example.com/x", &[]);
    let plan = gateway_http(&snapshot, 8080, &parts, &mut rng())
        .ready()
        .unwrap();
    assert_eq!(answered(&plan).status, 301);
}

#[test]
fn servers_that_make_no_sense_are_refused() {
    let bad = |change: fn(&mut v1::TlsServer), want: &str| {
        let mut server = http_server(&["a.example.com"]);
        change(&mut server);
        let response = v1::DiscoveryResponse {
            revision: 1,
            upsert: resources(vec![server]),
            ..Default::default()
        };
        let applied = Snapshot::empty().apply(&response);
        let [rejection] = applied.rejected.as_slice() else {
            panic!("{want}: {:?}", applied.rejected)
        };
        assert!(
            rejection.reason.contains(want),
            "{want}: {}",
            rejection.reason
        );
    };
    bad(
        |server| server.sni_hosts.clear(),
        "gateway.listeners[0].tls[0].sni_hosts: is not set",
    );
    bad(|server| server.mode = 0, "tls[0].mode: 0 is no known value");
    bad(
        |server| server.credential.clear(),
        "tls[0].files: is not set",
    );
    bad(
        |server| server.credential = "x".into(),
        "tls[0].credential: `credential/x` names no resource",
    );
    bad(
        |server| server.protocol = v1::Protocol::Tls.into(),
        "tls[0].protocol: does not fit the mode",
    );
    bad(
        |server| server.spki_hashes.push(vec![1]),
        "spki_hashes[0]: 1 bytes are no SHA-256",
    );
    bad(
        |server| {
            server.min_version = v1::TlsVersion::TlsVersion13.into();
            server.max_version = v1::TlsVersion::TlsVersion12.into();
        },
        "min_version: is above max_version",
    );
}

#[test]
fn credentials_come_and_go() {
    let credential = |name: &str, key: &[u8]| {
        let body = v1::Credential {
            namespace: "a".into(),
            name: name.into(),
            certificate_chain: vec![vec![1]],
            private_key: key.into(),
            ..Default::default()
        };
        resource("credential/a/cert", Body::Credential(body))
    };
    let name = "credential/a/cert".parse().unwrap();
    let first = snapshot(vec![credential("cert", b"k")]);
    assert_eq!(first.credential(&name).unwrap().private_key, b"k");
    for (bad, want) in [
        (
            credential("cert", b""),
            "credential.private_key: is not set",
        ),
        (
            credential("other", b"k"),
            "credential.name: `a/other` differs",
        ),
    ] {
        let response = v1::DiscoveryResponse {
            revision: 2,
            upsert: vec![bad],
            ..Default::default()
        };
        let applied = first.apply(&response);
        assert!(
            applied.rejected[0].reason.contains(want),
            "{:?}",
            applied.rejected
        );
        // The last good one stays.
        assert!(applied.snapshot.credential(&name).is_some());
    }
    let gone = v1::DiscoveryResponse {
        revision: 3,
        removed: vec!["credential/a/cert".into()],
        ..Default::default()
    };
    assert!(first.apply(&gone).snapshot.credential(&name).is_none());
}

#[test]
fn explains_what_a_browser_meets() {
    let own = ClientInfo {
        workload: "istio-system/gw".parse().unwrap(),
        identity: None,
        labels: Default::default(),
        cluster: String::new(),
    };
    let unusable = v1::TlsServer {
        unusable: "Secret istio-system/x not found".into(),
        ..http_server(&["broken.example.com"])
    };
    let mut all = resources(vec![
        http_server(&["a.example.com"]),
        passthrough(&["p.example.com"]),
        unusable,
    ]);
    let ask = |all: &[v1::Resource], host: &str| {
        let request = ExplainRequest {
            host: host.into(),
            port: 443,
            scheme: "https".into(),
            ..Default::default()
        };
        let report = explain_gateway(&snapshot(all.to_vec()), &own, &request).unwrap();
        report.outbound.unwrap()
    };
    let without = ask(&all, "a.example.com");
    let tls = without.tls.unwrap();
    assert_eq!(
        (tls.mode.as_str(), without.action.as_str()),
        ("SIMPLE", "refuse")
    );
    assert_eq!(
        tls.problem.as_deref(),
        Some("credential/istio-system/cert is not there")
    );
    let credential = v1::Credential {
        namespace: "istio-system".into(),
        name: "cert".into(),
        certificate_chain: vec![vec![1]],
        private_key: vec![2],
        ..Default::default()
    };
    all.push(resource(
        "credential/istio-system/cert",
        Body::Credential(credential),
    ));
    let served = ask(&all, "a.example.com");
    let tls = served.tls.unwrap();
    assert_eq!((tls.problem, served.action.as_str()), (None, "forward"));
    assert_eq!(tls.server_names, ["a.example.com"]);
    assert_eq!(
        tls.certificate.as_deref(),
        Some("credential/istio-system/cert")
    );
    let passed = ask(&all, "p.example.com");
    assert_eq!(
        (passed.tls.unwrap().mode.as_str(), passed.action.as_str()),
        ("PASSTHROUGH", "forward")
    );
    assert_eq!(passed.destinations.len(), 1);
    assert_eq!(
        ask(&all, "broken.example.com")
            .tls
            .unwrap()
            .problem
            .as_deref(),
        Some("Secret istio-system/x not found")
    );
    let nobody = ask(&all, "nobody.org");
    assert_eq!(
        (nobody.tls, nobody.reason.as_deref()),
        (None, Some("route_not_found"))
    );
}
