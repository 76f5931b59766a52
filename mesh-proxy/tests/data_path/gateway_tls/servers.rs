//! Which server serves, and with which certificate.

use super::*;

#[tokio::test]
async fn servers_are_found_by_name_and_requests_by_host() {
    let (one, two) = (App::echo("one").await, App::echo("two").await);
    let outside = Authority::new();
    let exact = outside.server(&["a.example.com", "c.example.com"]);
    let star = outside.server(&["*.example.com"]);
    let port = vacant();
    let config = Config::default()
        .service(service("one", 80, Protocol::Http).plain(one.address))
        .service(service("two", 80, Protocol::Http).plain(two.address))
        .credential(credential("exact", &exact, &[]))
        .credential(credential("star", &star, &[]))
        .listener(listener(vec![
            https(&["*.example.com"], "star", "two"),
            https(&["a.example.com"], "exact", "one"),
        ]));
    let _gateway = at(proxy(config), &port);
    let client = outside.client(nothing, None);
    for (name, app, leaf) in [
        ("a.example.com", "one", &exact),
        ("b.example.com", "two", &star),
    ] {
        let mut stream = connect(port.address, name, &client).await.unwrap();
        assert_eq!(peer_der(&stream), leaf.der, "{name}");
        let answer = get(&mut stream, name).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(answer.contains(&format!("{NAME}: {app}\r\n")), "{answer}");
        assert!(
            answer.contains("x-forwarded-proto: https\n") && !answer.contains("forged"),
            "{answer}"
        );
    }
    // One connection for a host of another server: ask again, on another connection.
    let mut stream = connect(port.address, "a.example.com", &client)
        .await
        .unwrap();
    let answer = get(&mut stream, "b.example.com").await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 421") && answer.contains("misdirected_request"),
        "{answer}"
    );
    let mut stream = connect(port.address, "a.example.com", &client)
        .await
        .unwrap();
    let answer = get(&mut stream, "nobody.org").await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 404"), "{answer}");
    // A name that nobody serves, and no TLS at all.
    let refused = connect(port.address, "a.example.org", &client)
        .await
        .unwrap_err();
    assert!(
        refused.to_string().contains("UnrecognisedName"),
        "{refused}"
    );
    let mut plain = tcp(port.address).await;
    plain
        .write_all(b"GET / HTTP/1.1\r\nHost: a.example.com\r\n\r\n")
        .await
        .unwrap();
    let mut bytes = Vec::new();
    let _ = within(plain.read_to_end(&mut bytes)).await;
    assert!(bytes.is_empty());
}

#[tokio::test]
async fn http2_is_agreed_on() {
    let app = App::echo("a").await;
    let outside = Authority::new();
    let leaf = outside.server(&["a.example.com"]);
    let port = vacant();
    let config = a_example_com(&app, &leaf);
    let _gateway = at(proxy(config), &port);
    let stream = connect(port.address, "a.example.com", &outside.client(h2, None))
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = within(handshake).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let request = Request::get("https://a.example.com/x")
            .body(Full::<Bytes>::default())
            .unwrap();
        let response = within(sender.send_request(request)).await.unwrap();
        let status = response.status();
        let body = within(response.into_body().collect()).await.unwrap();
        let text = String::from_utf8(body.to_bytes().to_vec()).unwrap();
        assert_eq!(status, 200, "{text}");
        assert!(text.contains("x-forwarded-proto: https\n"), "{text}");
    }
}

#[tokio::test]
async fn a_missing_certificate_refuses_and_comes_later() {
    let app = App::echo("a").await;
    let outside = Authority::new();
    let leaf = outside.server(&["a.example.com"]);
    let good = outside.server(&["b.example.com"]);
    let port = vacant();
    let unusable = TlsServer {
        unusable: "Secret default/broken cannot be used".into(),
        ..https(&["c.example.com"], "broken", "app")
    };
    let base = Config::default()
        .service(service("app", 80, Protocol::Http).plain(app.address))
        .credential(credential("good", &good, &[]))
        .listener(listener(vec![
            https(&["a.example.com"], "late", "app"),
            https(&["b.example.com"], "good", "app"),
            unusable,
        ]));
    let gateway = at(proxy(base.clone()), &port);
    let client = outside.client(nothing, None);
    // The other server is not disturbed.
    connect(port.address, "b.example.com", &client)
        .await
        .unwrap();
    for name in ["a.example.com", "c.example.com"] {
        let refused = connect(port.address, name, &client).await.unwrap_err();
        assert!(
            refused.to_string().contains("HandshakeFailure"),
            "{refused}"
        );
    }
    let troubles = gateway.telemetry.troubles.list();
    assert_eq!(
        troubles,
        [
            "the gateway's port 443 for a.example.com: credential/default/late is not there; TLS handshakes are refused",
            "the gateway's port 443 for c.example.com: Secret default/broken cannot be used; TLS handshakes are refused",
        ]
    );
    let mut kept = connect(port.address, "b.example.com", &client)
        .await
        .unwrap();
    gateway.adjuster.set(
        base.clone()
            .credential(credential("late", &leaf, &[]))
            .snapshot(),
    );
    until(|| gateway.telemetry.troubles.list().len() == 1).await;
    let mut stream = connect(port.address, "a.example.com", &client)
        .await
        .unwrap();
    assert_eq!(peer_der(&stream), leaf.der);
    assert!(
        get(&mut stream, "a.example.com")
            .await
            .unwrap()
            .starts_with("HTTP/1.1 200")
    );
    // Another certificate for new connections; the old ones go on.
    let renewed = outside.server(&["b.example.com"]);
    gateway.adjuster.set(
        base.credential(credential("good", &renewed, &[]))
            .snapshot(),
    );
    let fresh = connect(port.address, "b.example.com", &client)
        .await
        .unwrap();
    assert_eq!(peer_der(&fresh), renewed.der);
    assert!(
        get(&mut kept, "b.example.com")
            .await
            .unwrap()
            .starts_with("HTTP/1.1 200")
    );
}

#[tokio::test]
async fn files_are_read_again_when_they_change() {
    let app = App::echo("a").await;
    let outside = Authority::new();
    let directory = TempDir::new().unwrap();
    let path = |name: &str| directory.path().join(name);
    let write = |leaf: &Leaf| {
        // As mounted volumes change: by renaming.
        for (name, text) in [("tls.key", &leaf.key_pem), ("tls.crt", &leaf.pem)] {
            std::fs::write(path("new"), text).unwrap();
            std::fs::rename(path("new"), path(name)).unwrap();
        }
    };
    let port = vacant();
    let server = TlsServer {
        credential: String::new(),
        files: Some(ServerTlsFiles {
            certificate: path("tls.crt").display().to_string(),
            private_key: path("tls.key").display().to_string(),
            ..Default::default()
        }),
        ..https(&["a.example.com"], "", "app")
    };
    let config = Config::default()
        .service(service("app", 80, Protocol::Http).plain(app.address))
        .listener(listener(vec![server]));
    let gateway = at(proxy(config), &port);
    let client = outside.client(nothing, None);
    connect(port.address, "a.example.com", &client)
        .await
        .unwrap_err();
    assert!(gateway.telemetry.troubles.list()[0].contains("tls.key"));
    for _ in 0..2 {
        let leaf = outside.server(&["a.example.com"]);
        write(&leaf);
        let stream = connect(port.address, "a.example.com", &client)
            .await
            .unwrap();
        assert_eq!(peer_der(&stream), leaf.der);
    }
    // A broken file leaves the last good certificate.
    std::fs::write(path("tls.key"), "nonsense").unwrap();
    connect(port.address, "a.example.com", &client)
        .await
        .unwrap();
    until(|| !gateway.telemetry.troubles.list().is_empty()).await;
}

#[tokio::test]
async fn mesh_endpoints_are_reached_from_tls() {
    let app = App::echo("a").await;
    let inbound = Config::default().inbound(crate::proxy::PORT, Protocol::Http, MtlsMode::Strict);
    let server = proxy(inbound).account("server").app(app.address).start();
    let outside = Authority::new();
    let leaf = outside.server(&["a.example.com"]);
    let port = vacant();
    let config = Config::default()
        .service(service("app", 80, Protocol::Http).mesh(server.served(), "server"))
        .credential(credential("cert", &leaf, &[]))
        .listener(listener(vec![https(&["a.example.com"], "cert", "app")]));
    let _gateway = at(proxy(config).account("gateway"), &port);
    let client = outside.client(nothing, None);
    let mut stream = connect(port.address, "a.example.com", &client)
        .await
        .unwrap();
    let answer = get(&mut stream, "a.example.com").await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200")
            && answer.contains(";URI=spiffe://cluster.local/ns/default/sa/gateway"),
        "{answer}"
    );
}
