//! TLS at the ingress gateway, with rustls, curl and openssl as clients.

use std::net::SocketAddr;
use std::process::Output;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use mesh_api::v1::{
    AuthorizationAction, AuthorizationPolicy, AuthorizationRule, AuthorizationSource, Credential,
    Destination, GatewayHost, GatewayListener, MtlsMode, Protocol, ServerTlsFiles, TcpRoute,
    TlsServer, TlsServerMode, TlsVersion, http_route::Action,
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::{Config, forward, route, service};
use crate::peers::{App, NAME, until, within};
use crate::proxy::{Proxy, Spec, Vacant, proxy, vacant};

const PORT: u16 = 443;

/// An authority of the world outside.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
    pem: String,
}

/// A certificate with its key.
struct Leaf {
    der: Vec<u8>,
    key: Vec<u8>,
    pem: String,
    key_pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let root = params.self_signed(&key).unwrap();
        Self {
            der: root.der().to_vec(),
            pem: root.pem(),
            issuer: Issuer::new(params, key),
        }
    }

    fn leaf(&self, names: Vec<SanType>) -> Leaf {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names;
        params
            .distinguished_name
            .push(DnType::OrganizationName, "a, b");
        params.distinguished_name.push(DnType::CommonName, "test");
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let leaf = params.signed_by(&key, &self.issuer).unwrap();
        Leaf {
            der: leaf.der().to_vec(),
            key: key.serialize_der(),
            pem: leaf.pem(),
            key_pem: key.serialize_pem(),
        }
    }

    fn server(&self, names: &[&str]) -> Leaf {
        let dns = |name: &&str| SanType::DnsName((*name).try_into().unwrap());
        self.leaf(names.iter().map(dns).collect())
    }

    fn client(&self, config: impl FnOnce(&mut ClientConfig), leaf: Option<&Leaf>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(self.der.clone())).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots);
        let mut client = match leaf {
            None => builder.with_no_client_auth(),
            Some(leaf) => builder
                .with_client_auth_cert(
                    vec![CertificateDer::from(leaf.der.clone())],
                    PrivateKeyDer::try_from(leaf.key.clone()).unwrap(),
                )
                .unwrap(),
        };
        config(&mut client);
        client
    }
}

fn credential(name: &str, leaf: &Leaf, roots: &[&Authority]) -> Credential {
    Credential {
        namespace: "default".into(),
        name: name.into(),
        certificate_chain: vec![leaf.der.clone()],
        private_key: leaf.key.clone(),
        client_roots: roots.iter().map(|root| root.der.clone()).collect(),
        client_crls: Vec::new(),
    }
}

/// HTTP inside of TLS for these names, sent to this service.
fn https(names: &[&str], credential: &str, to: &str) -> TlsServer {
    TlsServer {
        sni_hosts: names.iter().map(|name| (*name).to_owned()).collect(),
        mode: TlsServerMode::Simple.into(),
        protocol: Protocol::Http.into(),
        credential: format!("default/{credential}"),
        hosts: names
            .iter()
            .map(|name| GatewayHost {
                domain: (*name).to_owned(),
                http: vec![route(Action::Forward(forward(to, 80)))],
                ..Default::default()
            })
            .collect(),
        ..Default::default()
    }
}

fn to(host: &str, port: u16) -> Vec<TcpRoute> {
    vec![TcpRoute {
        destinations: vec![Destination {
            host: host.into(),
            port: port.into(),
            weight: 100,
            ..Default::default()
        }],
        ..Default::default()
    }]
}

fn listener(tls: Vec<TlsServer>) -> GatewayListener {
    GatewayListener {
        port: PORT.into(),
        protocol: Protocol::Tls.into(),
        tls,
        ..Default::default()
    }
}

/// The offset that makes the gateway's port a free one.
fn at(spec: Spec, port: &Vacant) -> Proxy {
    spec.gateway(port.address.port() - PORT).start()
}

async fn tcp(address: SocketAddr) -> TcpStream {
    within(async {
        loop {
            match TcpStream::connect(address).await {
                Ok(stream) => return stream,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    })
    .await
}

async fn connect(
    address: SocketAddr,
    name: &str,
    config: &ClientConfig,
) -> std::io::Result<TlsStream<TcpStream>> {
    let connector = TlsConnector::from(Arc::new(config.clone()));
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let stream = tcp(address).await;
    within(connector.connect(name, stream)).await
}

/// Sends a request over HTTP/1.1 and reads everything.
async fn get(stream: &mut TlsStream<TcpStream>, host: &str) -> std::io::Result<String> {
    let request = format!(
        "GET /x HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-Client-Cert: forged\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut text = Vec::new();
    let _ = within(stream.read_to_end(&mut text)).await;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn peer_der(stream: &TlsStream<TcpStream>) -> Vec<u8> {
    stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
}

fn h2(config: &mut ClientConfig) {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
}

fn nothing(_: &mut ClientConfig) {}

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
    let config = Config::default()
        .service(service("app", 80, Protocol::Http).plain(app.address))
        .credential(credential("cert", &leaf, &[]))
        .listener(listener(vec![https(&["a.example.com"], "cert", "app")]));
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
async fn tls_is_passed_through_by_name() {
    let outside = Authority::new();
    let leaf = outside.server(&["a.example.com"]);
    // A gateway of its own is the server that ends TLS.
    let app = App::echo("behind").await;
    let inner_port = vacant();
    let inner = Config::default()
        .service(service("app", 80, Protocol::Http).plain(app.address))
        .credential(credential("cert", &leaf, &[]))
        .listener(listener(vec![https(&["a.example.com"], "cert", "app")]));
    let _inner = at(proxy(inner), &inner_port);
    drop(tcp(inner_port.address).await);
    let port = vacant();
    let passed = TlsServer {
        sni_hosts: vec!["a.example.com".into()],
        mode: TlsServerMode::Passthrough.into(),
        protocol: Protocol::Tls.into(),
        tcp: to("server", 443),
        ..Default::default()
    };
    let config = Config::default()
        .service(service("server", 443, Protocol::Tls).plain(inner_port.address))
        .listener(listener(vec![passed]));
    let _outer = at(proxy(config), &port);
    let client = outside.client(nothing, None);
    let mut stream = connect(port.address, "a.example.com", &client)
        .await
        .unwrap();
    assert_eq!(peer_der(&stream), leaf.der);
    let answer = get(&mut stream, "a.example.com").await.unwrap();
    assert!(answer.contains(&format!("{NAME}: behind\r\n")), "{answer}");
    connect(port.address, "b.example.com", &client)
        .await
        .unwrap_err();
}

#[tokio::test]
async fn opaque_bytes_inside_of_tls_and_without() {
    let greeting = App::raw(|mut stream| async move {
        stream.write_all(b"220 hello\r\n").await.unwrap();
        let mut line = [0; 4];
        stream.read_exact(&mut line).await.unwrap();
        stream.write_all(b"bye").await.unwrap();
    })
    .await;
    let outside = Authority::new();
    let leaf = outside.server(&["mail.example.com"]);
    let port = vacant();
    let plain = vacant();
    let server = TlsServer {
        protocol: Protocol::Tcp.into(),
        hosts: Vec::new(),
        tcp: to("mail", 25),
        ..https(&["mail.example.com"], "cert", "mail")
    };
    // The offset is one for all ports of a gateway.
    let shift = i32::from(plain.address.port()) - i32::from(port.address.port());
    let number = u32::try_from(i32::from(PORT) + shift);
    let mut config = Config::default()
        .service(service("mail", 25, Protocol::Tcp).plain(greeting.address))
        .credential(credential("cert", &leaf, &[]))
        .listener(listener(vec![server]));
    if let Ok(number) = number
        && number > 0
    {
        config = config.listener(GatewayListener {
            port: number,
            protocol: Protocol::Tcp.into(),
            tcp: to("mail", 25),
            ..Default::default()
        });
    }
    let _gateway = at(proxy(config), &port);
    let mut stream = connect(port.address, "mail.example.com", &outside.client(h2, None))
        .await
        .unwrap();
    // The server speaks first.
    let mut hello = [0; 11];
    within(stream.read_exact(&mut hello)).await.unwrap();
    assert_eq!(&hello, b"220 hello\r\n");
    stream.write_all(b"QUIT").await.unwrap();
    let mut rest = Vec::new();
    within(stream.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest, b"bye");
    if number.is_ok_and(|number| number > 0) {
        let mut stream = tcp(plain.address).await;
        within(stream.read_exact(&mut hello)).await.unwrap();
        assert_eq!(&hello, b"220 hello\r\n");
    }
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
async fn versions_and_suites_are_kept() {
    let app = App::echo("a").await;
    let outside = Authority::new();
    let leaf = outside.server(&["old.example.com", "new.example.com", "suite.example.com"]);
    let port = vacant();
    let server = |name: &str, min: TlsVersion, max: TlsVersion, suites: &[&str]| TlsServer {
        min_version: min.into(),
        max_version: max.into(),
        cipher_suites: suites.iter().map(|name| (*name).to_owned()).collect(),
        ..https(&[name], "cert", "app")
    };
    let (old, new, any) = (
        TlsVersion::TlsVersion12,
        TlsVersion::TlsVersion13,
        TlsVersion::Unspecified,
    );
    let config = Config::default()
        .service(service("app", 80, Protocol::Http).plain(app.address))
        .credential(credential("cert", &leaf, &[]))
        .listener(listener(vec![
            server("old.example.com", any, old, &[]),
            server("new.example.com", new, any, &[]),
            server(
                "suite.example.com",
                any,
                old,
                &["ECDHE-ECDSA-AES256-GCM-SHA384"],
            ),
        ]));
    let _gateway = at(proxy(config), &port);
    drop(tcp(port.address).await);
    let directory = TempDir::new().unwrap();
    let root = directory.path().join("root.pem");
    std::fs::write(&root, &outside.pem).unwrap();
    for (name, arguments, accepted) in [
        ("old.example.com", &["-tls1_2"][..], "Protocol  : TLSv1.2"),
        ("old.example.com", &["-tls1_3"], ""),
        ("new.example.com", &["-tls1_2"], ""),
        ("new.example.com", &["-tls1_3"], "TLSv1.3"),
        (
            "suite.example.com",
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"],
            "ECDHE-ECDSA-AES256-GCM-SHA384",
        ),
        (
            "suite.example.com",
            &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"],
            "",
        ),
    ] {
        let output = openssl(port.address, name, arguments, &root).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        if accepted.is_empty() {
            assert!(!output.status.success(), "{name} {arguments:?}: {text}");
        } else {
            assert!(
                output.status.success() && text.contains(accepted),
                "{name} {arguments:?}: {text}"
            );
            assert!(text.contains("Verify return code: 0 (ok)"), "{text}");
        }
    }
}

async fn openssl(
    address: SocketAddr,
    name: &str,
    arguments: &[&str],
    root: &std::path::Path,
) -> Output {
    let mut command = tokio::process::Command::new("openssl");
    command
        .args([
            "s_client",
            "-connect",
            &address.to_string(),
            "-servername",
            name,
        ])
        .arg("-CAfile")
        .arg(root)
        .args(arguments)
        .stdin(std::process::Stdio::null());
    let output = within(command.output()).await;
    output.expect("openssl must be installed for this test")
}

#[tokio::test]
async fn curl_speaks_both_versions_of_http() {
    let app = App::echo("a").await;
    let outside = Authority::new();
    let leaf = outside.server(&["a.example.com"]);
    let port = vacant();
    let config = Config::default()
        .service(service("app", 80, Protocol::Http).plain(app.address))
        .credential(credential("cert", &leaf, &[]))
        .listener(listener(vec![https(&["a.example.com"], "cert", "app")]));
    let _gateway = at(proxy(config), &port);
    drop(tcp(port.address).await);
    let directory = TempDir::new().unwrap();
    let root = directory.path().join("root.pem");
    std::fs::write(&root, &outside.pem).unwrap();
    let number = port.address.port();
    for (argument, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let mut command = tokio::process::Command::new("curl");
        command
            .args(["-sS", argument, "--cacert"])
            .arg(&root)
            .args(["--resolve", &format!("a.example.com:{number}:127.0.0.1")])
            .args([
                "-d",
                "body",
                "-w",
                "\nversion %{http_version} status %{http_code}",
            ])
            .arg(format!("https://a.example.com:{number}/x?y=z"));
        let output = within(command.output())
            .await
            .expect("curl must be installed for this test");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        assert!(text.starts_with("POST /x?y=z HTTP/1.1\n"), "{text}");
        assert!(
            text.ends_with(&format!("version {version} status 200")),
            "{text}"
        );
    }
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
