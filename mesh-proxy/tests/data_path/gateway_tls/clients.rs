//! What is asked of clients.

use super::*;

#[tokio::test]
async fn clients_prove_who_they_are() {
    let app = App::echo("a").await;
    let (outside, partners) = (Authority::new(), Authority::new());
    let leaf = outside.server(&["a.example.com", "b.example.com", "c.example.com"]);
    let port = vacant();
    let server = |name: &str, mode: TlsServerMode, names: &[&str]| TlsServer {
        mode: mode.into(),
        subject_alt_names: names.iter().map(|name| (*name).to_owned()).collect(),
        ..https(&[name], "cert", "app")
    };
    let config = Config::default()
        .service(service("app", 80, Protocol::Http).plain(app.address))
        .credential(credential("cert", &leaf, &[&partners]))
        .listener(listener(vec![
            server("a.example.com", TlsServerMode::Mutual, &[]),
            server("b.example.com", TlsServerMode::OptionalMutual, &[]),
            server(
                "c.example.com",
                TlsServerMode::Mutual,
                &["partner.example.org", "spiffe://x/ns/a/sa/b"],
            ),
        ]));
    let _gateway = at(proxy(config), &port);
    let dns = |name: &str| SanType::DnsName(name.try_into().unwrap());
    let partner = partners.leaf(vec![
        dns("partner.example.org"),
        SanType::URI("spiffe://partner/ns/a/sa/b".try_into().unwrap()),
    ]);
    let other = partners.leaf(vec![dns("other.example.org")]);
    let stranger = outside.leaf(vec![dns("partner.example.org")]);
    for (name, leaf, accepted) in [
        ("a.example.com", None, false),
        ("a.example.com", Some(&stranger), false),
        ("a.example.com", Some(&other), true),
        ("a.example.com", Some(&partner), true),
        ("b.example.com", None, true),
        ("b.example.com", Some(&stranger), false),
        ("b.example.com", Some(&partner), true),
        ("c.example.com", None, false),
        ("c.example.com", Some(&other), false),
        ("c.example.com", Some(&partner), true),
    ] {
        let client = outside.client(nothing, leaf);
        // A client of TLS 1.3 learns it with its first read.
        let answer = match connect(port.address, name, &client).await {
            Ok(mut stream) => get(&mut stream, name).await.unwrap_or_default(),
            Err(_) => String::new(),
        };
        assert_eq!(
            answer.starts_with("HTTP/1.1 200"),
            accepted,
            "{name}: {answer}"
        );
        let told = answer
            .lines()
            .find_map(|line| line.strip_prefix("x-forwarded-client-cert: "));
        assert_eq!(
            told.is_some(),
            accepted && leaf.is_some(),
            "{name}: {answer}"
        );
        if let (Some(told), true) = (told, leaf.is_some_and(|leaf| leaf.der == partner.der)) {
            assert!(told.starts_with("Hash="), "{told}");
            for part in [
                ";Cert=\"-----BEGIN%20CERTIFICATE-----%0A",
                ";Subject=\"O=a\\, b,CN=test\"",
                ";URI=spiffe://partner/ns/a/sa/b;DNS=partner.example.org",
            ] {
                assert!(told.contains(part), "{part}: {told}");
            }
        }
    }
}

#[tokio::test]
async fn more_asked_of_clients_counts_for_open_connections() {
    let app = App::echo("a").await;
    let (outside, partners) = (Authority::new(), Authority::new());
    let leaf = outside.server(&["a.example.com"]);
    let port = vacant();
    let base = Config::default()
        .service(service("app", 80, Protocol::Http).plain(app.address))
        .credential(credential("cert", &leaf, &[&partners]));
    let simple = https(&["a.example.com"], "cert", "app");
    let mutual = TlsServer {
        mode: TlsServerMode::Mutual.into(),
        ..simple.clone()
    };
    let gateway = at(proxy(base.clone().listener(listener(vec![simple]))), &port);
    let client = outside.client(nothing, None);
    let mut stream = connect(port.address, "a.example.com", &client)
        .await
        .unwrap();
    gateway
        .adjuster
        .set(base.listener(listener(vec![mutual])).snapshot());
    let answer = get(&mut stream, "a.example.com").await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 421") && answer.contains("tls_settings_changed"),
        "{answer}"
    );
}

#[tokio::test]
async fn identities_of_clients_are_for_policies() {
    let app = App::echo("a").await;
    let (outside, partners) = (Authority::new(), Authority::new());
    let leaf = outside.server(&["a.example.com"]);
    let port = vacant();
    let policy = AuthorizationPolicy {
        name: "default/partners".into(),
        action: AuthorizationAction::Allow.into(),
        rules: vec![AuthorizationRule {
            from: vec![AuthorizationSource {
                principals: vec!["partner/ns/a/sa/b".into()],
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    let mutual = TlsServer {
        mode: TlsServerMode::OptionalMutual.into(),
        ..https(&["a.example.com"], "cert", "app")
    };
    let config = Config::default()
        .service(service("app", 80, Protocol::Http).plain(app.address))
        .credential(credential("cert", &leaf, &[&partners]))
        .listener(listener(vec![mutual]))
        .gateway_policy(policy);
    let _gateway = at(proxy(config), &port);
    let partner = partners.leaf(vec![SanType::URI(
        "spiffe://partner/ns/a/sa/b".try_into().unwrap(),
    )]);
    for (leaf, status) in [(None, "403"), (Some(&partner), "200")] {
        let client = outside.client(nothing, leaf);
        let mut stream = connect(port.address, "a.example.com", &client)
            .await
            .unwrap();
        let answer = get(&mut stream, "a.example.com").await.unwrap();
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn the_meshs_own_tls_is_ended_for_its_peers_only() {
    let app = App::echo("a").await;
    let port = vacant();
    let server = TlsServer {
        mode: TlsServerMode::IstioMutual.into(),
        credential: String::new(),
        ..https(&["*"], "", "app")
    };
    let config = Config::default()
        .service(service("app", 80, Protocol::Http).plain(app.address))
        .listener(listener(vec![server]));
    let _gateway = at(proxy(config).account("gateway"), &port);
    // A sidecar that sends to the gateway by the mesh's mutual TLS.
    let sidecar = proxy(
        Config::default()
            .service(service("edge", 80, Protocol::Http).mesh(port.address, "gateway")),
    )
    .account("client")
    .start();
    drop(tcp(port.address).await);
    let mut client = crate::peers::Client::to(sidecar.explicit).await;
    let answer = client.get("http://edge/x").await;
    assert_eq!(
        (answer.status(), answer.header(NAME)),
        (200, Some("a")),
        "{answer:?}"
    );
    assert!(
        answer.body.contains(
            "x-forwarded-client-cert: By=spiffe://cluster.local/ns/default/sa/gateway;Hash="
        ) && answer
            .body
            .contains(";URI=spiffe://cluster.local/ns/default/sa/client"),
        "{answer:?}"
    );
    let outside = Authority::new();
    connect(port.address, "edge", &outside.client(nothing, None))
        .await
        .unwrap_err();
}

#[tokio::test]
async fn peers_that_are_trusted_no_more_are_refused_on_open_connections() {
    for protocol in [Protocol::Http, Protocol::Tcp] {
        let app = App::echo("a").await;
        let port = vacant();
        let mut server = TlsServer {
            mode: TlsServerMode::IstioMutual.into(),
            credential: String::new(),
            ..https(&["*"], "", "app")
        };
        if protocol == Protocol::Tcp {
            (server.protocol, server.hosts) = (Protocol::Tcp.into(), Vec::new());
            server.tcp = to("app", 80);
        }
        let config = || {
            Config::default()
                .service(service("app", 80, protocol).plain(app.address))
                .listener(listener(vec![server.clone()]))
        };
        let gateway = at(proxy(config()).account("gateway"), &port);
        let edge = service("edge", 80, protocol).mesh(port.address, "gateway");
        let sidecar = proxy(Config::default().service(edge))
            .account("client")
            .start();
        drop(tcp(port.address).await);
        let mut client = match protocol {
            Protocol::Http => crate::peers::Client::to(sidecar.explicit).await,
            _ => crate::explicit::connect(&sidecar, "edge:80").await,
        };
        assert_eq!(client.get("http://edge/x").await.status(), 200);
        let elsewhere = config().trust_domain("elsewhere.example");
        gateway.adjuster.set(elsewhere.snapshot());
        if protocol == Protocol::Http {
            let answer = client.get("http://edge/x").await;
            let told = (answer.status(), answer.reason());
            assert_eq!(told, (421, "tls_settings_changed"), "{answer:?}");
        } else {
            client.rest().await.unwrap_err();
        }
    }
}
