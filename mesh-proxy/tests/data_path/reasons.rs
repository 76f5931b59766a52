//! What the proxy answers by itself has one reason, which the client, the log and the metrics are
//! told alike.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use mesh_api::ResourceName;
use mesh_api::v1::{
    self, Cors, JwtRule, MtlsMode, Protocol, StringMatch, http_route::Action, string_match::Kind,
};
use mesh_proxy::control::Store;
use mesh_proxy_core::Reason;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::authz::Issuer;
use crate::config::{Config, forward, route, service};
use crate::peers::{Answer, App, Client, until, within};
use crate::proxy::{PORT, Proxy, Spec, proxy, vacant};

/// A proxy with a log.
struct Logged {
    proxy: Proxy,
    log: tempfile::NamedTempFile,
}

impl Logged {
    fn start(spec: Spec) -> Self {
        let log = tempfile::NamedTempFile::new().unwrap();
        let proxy = spec.logged(log.path()).start();
        Self { proxy, log }
    }

    /// Whether the log has a line of this reason, and with its flags.
    fn has_logged(&self, reason: Reason) -> bool {
        let log = fs::read_to_string(self.log.path()).unwrap();
        let lines = log.lines().filter_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            Some((
                line.get("response_code_details")?.as_str()?.to_owned(),
                line.get("response_flags")?.as_str()?.to_owned(),
            ))
        });
        let want = reason.flags().to_string();
        let mut flags = lines.filter(|(said, _)| said == reason.as_str());
        // Others may come beside those of the reason: that all tries failed.
        flags.any(|(_, flags)| flags.starts_with(&want))
    }

    async fn has_told(&self, reason: Reason) {
        let metric = format!("mesh_reasons_total{{reason=\"{reason}\"}}");
        until(|| self.proxy.telemetry.metrics().contains(&metric)).await;
        until(|| self.has_logged(reason)).await;
    }

    async fn answered(&self, answer: &Answer, reason: Reason) {
        assert_eq!(answer.reason(), reason.as_str(), "{answer:?}");
        assert_eq!(answer.status(), reason.status().as_u16(), "{answer:?}");
        self.has_told(reason).await;
    }

    /// Asks for this through the explicit proxy.
    async fn refuses(&self, url: &str, reason: Reason) {
        let answer = Client::to(self.proxy.explicit).await.get(url).await;
        self.answered(&answer, reason).await;
    }
}

fn client(config: Config) -> Logged {
    Logged::start(proxy(config).account("client"))
}

fn server(app: &App, mtls: MtlsMode) -> Logged {
    let config = Config::default().inbound(PORT, Protocol::Http, mtls);
    Logged::start(proxy(config).account("server").app(app.address))
}

async fn ask(client: &mut Client, more: &str) -> Answer {
    let request = format!("GET / HTTP/1.1\r\nHost: app\r\n{more}\r\n");
    client.send(&request).await;
    client.answer().await
}

#[tokio::test]
async fn preflights_are_answered() {
    let app = App::echo("a").await;
    let cors = Cors {
        allow_origins: vec![StringMatch {
            kind: Some(Kind::Exact("https://shop.example.com".to_owned())),
        }],
        allow_methods: vec!["GET".to_owned()],
        ..Default::default()
    };
    let routed = v1::HttpRoute {
        cors: Some(cors),
        ..route(Action::Forward(forward("app", 80)))
    };
    let service = service("app", 80, Protocol::Http).plain(app.address);
    let client = client(Config::default().service(service.route(routed)));
    let mut connection = Client::to(client.proxy.explicit).await;
    connection
        .send(
            "OPTIONS http://app/ HTTP/1.1\r\nHost: app\r\nOrigin: https://shop.example.com\r\n\
             Access-Control-Request-Method: GET\r\n\r\n",
        )
        .await;
    let answer = connection.answer().await;
    client.answered(&answer, Reason::CorsPreflight).await;
    assert_eq!(app.connections(), 0);
}

#[tokio::test]
async fn servers_that_cannot_be_called_are_told_apart() {
    // It says something that is no TLS.
    let plain = App::raw(|mut stream| async move {
        let _ = stream.read_u8().await;
        let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let config = Config::default()
        .service(service("plain", 80, Protocol::Http).mesh(plain.address, "server"))
        .service(service("dead", 80, Protocol::Http).plain(vacant().address))
        .service(service("nobody", 80, Protocol::Http));
    let client = client(config);
    let cases = [
        ("plain", Reason::UpstreamTlsFailure),
        ("dead", Reason::UpstreamConnectFailure),
        ("nobody", Reason::NoHealthyEndpoint),
    ];
    for (host, reason) in cases {
        client.refuses(&format!("http://{host}/"), reason).await;
    }
    // The same without a certificate of one's own.
    let config = Config::default()
        .service(service("plain", 80, Protocol::Http).mesh(plain.address, "server"));
    let stranger = Logged::start(proxy(config));
    stranger
        .refuses("http://plain/", Reason::NoCertificate)
        .await;
}

#[tokio::test]
async fn streams_that_the_server_resets_are_told_as_that() {
    let app = App::raw(|stream| async move {
        let mut connection = h2::server::handshake(stream).await.unwrap();
        while let Some(Ok((_, mut respond))) = connection.accept().await {
            respond.send_reset(h2::Reason::INTERNAL_ERROR);
        }
    })
    .await;
    let service = service("app", 80, Protocol::Http2).plain(app.address);
    let client = client(Config::default().service(service));
    client.refuses("http://app/", Reason::UpstreamReset).await;
}

#[tokio::test]
async fn configuration_that_was_refused_is_told_as_that() {
    let slow = proxy(Config::default()).need(Duration::from_secs(20));
    let mut client = Logged::start(slow);
    let mut connection = Client::to(client.proxy.explicit).await;
    connection
        .send("GET http://app/ HTTP/1.1\r\nHost: app\r\n\r\n")
        .await;
    let wanted: ResourceName = within(client.proxy.adjuster.demanded()).await.unwrap();
    client.proxy.adjuster.refuse(&wanted, "it is bad");
    let answer = connection.answer().await;
    client.answered(&answer, Reason::ConfigurationRefused).await;
}

/// In front of an application that takes tokens by this rule.
fn judge(app: &App, rule: JwtRule) -> Logged {
    let config = Config::default()
        .inbound(PORT, Protocol::Http, MtlsMode::Permissive)
        .with_inbound(|inbound| {
            inbound.request_authentications = vec![v1::RequestAuthentication {
                name: "default/tokens".to_owned(),
                rules: vec![rule],
                origin: None,
            }];
        });
    Logged::start(proxy(config).account("server").app(app.address))
}

#[tokio::test]
async fn tokens_are_refused_by_what_is_wrong_with_them() {
    let (app, issuer) = (App::echo("a").await, Issuer::new());
    let header = json!({"alg": "EdDSA", "kid": "k"});
    let end = 9_999_999_999_u64;
    let claims = json!({"iss": "iss", "aud": "here", "exp": end});
    let with = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        issuer.token_of(&header, &claims)
    };
    let rule = JwtRule {
        audiences: vec!["here".to_owned()],
        ..issuer.rule()
    };
    let server = judge(&app, rule);
    let good = issuer.token_of(&header, &claims);
    let mut caller = Client::to(server.proxy.served()).await;
    let answer = ask(&mut caller, &format!("Authorization: Bearer {good}\r\n")).await;
    assert_eq!(answer.status(), 200);
    let unsigned = json!({"alg": "none"});
    let by_another = json!({"alg": "EdDSA", "kid": "other"});
    for (token, reason) in [
        ("a.b".to_owned(), Reason::JwtMalformed),
        ("a".repeat(20_000), Reason::JwtTooLarge),
        (
            issuer.token_of(&unsigned, &claims),
            Reason::JwtAlgorithmRefused,
        ),
        (issuer.token_of(&by_another, &claims), Reason::JwtKeyUnknown),
        (with("iss", json!("other")), Reason::JwtIssuerUnknown),
        (with("aud", json!("there")), Reason::JwtAudienceRefused),
        (with("nbf", json!(end)), Reason::JwtNotYetValid),
        (with("exp", json!(1)), Reason::JwtExpired),
        (
            Issuer::new().token_of(&header, &claims),
            Reason::JwtSignatureInvalid,
        ),
    ] {
        let answer = ask(&mut caller, &format!("Authorization: Bearer {token}\r\n")).await;
        server.answered(&answer, reason).await;
    }
    // Nobody could fetch the keys.
    let rule = JwtRule {
        jwks: String::new(),
        ..issuer.rule()
    };
    let server = judge(&app, rule);
    let mut caller = Client::to(server.proxy.served()).await;
    let answer = ask(&mut caller, &format!("Authorization: Bearer {good}\r\n")).await;
    server.answered(&answer, Reason::JwtKeysUnavailable).await;
}

#[tokio::test]
async fn proxies_that_stop_or_know_nothing_say_so() {
    let patient = proxy(Config::default()).need(Duration::from_secs(20));
    let mut client = Logged::start(patient);
    let mut connection = Client::to(client.proxy.explicit).await;
    connection
        .send("GET http://app/ HTTP/1.1\r\nHost: app\r\n\r\n")
        .await;
    within(client.proxy.adjuster.demanded()).await.unwrap();
    // Nobody will ever answer.
    client.proxy.adjuster = Store::adjustable(Config::default().snapshot()).1;
    let answer = connection.answer().await;
    client.answered(&answer, Reason::Draining).await;

    let app = App::echo("a").await;
    let server = Logged::start(proxy(Config::default()).account("server").app(app.address));
    // The reset may be faster than the client's own connect.
    let _ = within(TcpStream::connect(server.proxy.served())).await;
    server.has_told(Reason::NotConfigured).await;
}

#[tokio::test]
async fn callers_are_told_if_their_transport_does_not_do_any_more() {
    let app = App::echo("a").await;
    let server = server(&app, MtlsMode::Permissive);
    let to_server = service("app", 80, Protocol::Http).mesh(server.proxy.served(), "server");
    let caller = client(Config::default().service(to_server));
    let mut plain = Client::to(server.proxy.served()).await;
    assert_eq!(ask(&mut plain, "").await.status(), 200);
    let mut mutual = Client::to(caller.proxy.explicit).await;
    assert_eq!(mutual.get("http://app/").await.status(), 200);

    let turn = |mtls| {
        let config = Config::default().inbound(PORT, Protocol::Http, mtls);
        server.proxy.adjuster.set(config.snapshot());
    };
    turn(MtlsMode::Strict);
    let answer = ask(&mut plain, "").await;
    server.answered(&answer, Reason::PlaintextRefused).await;
    turn(MtlsMode::Disable);
    let answer = mutual.get("http://app/").await;
    assert_eq!(answer.status(), 403);
    server.has_told(Reason::MutualTlsDisabled).await;
}

#[tokio::test]
async fn clients_that_say_too_little_or_too_much_are_told() {
    let app = App::echo("a").await;
    let config = Config::default().inbound(PORT, Protocol::Http, MtlsMode::Strict);
    let spec = proxy(config).account("server").app(app.address);
    let server = Logged::start(spec.detect(Duration::from_millis(100)));
    let mut silent = Client::to(server.proxy.served()).await;
    silent.rest().await.unwrap_err();
    server.has_told(Reason::DetectionTimeout).await;

    let service = service("app", 80, Protocol::Http).plain(app.address);
    let client = client(Config::default().service(service));
    let mut connection = Client::to(client.proxy.explicit).await;
    let head = format!("GET http://app/ HTTP/1.1\r\nX-Long: {}", "x".repeat(70_000));
    // What is refused before it has come whole may be answered by a reset.
    let _ = connection.0.write_all(head.as_bytes()).await;
    let _ = connection.rest().await;
    client.has_told(Reason::RequestHeadersTooLarge).await;
}

#[tokio::test]
async fn refused_tunnels_of_socks_are_logged() {
    // It waits for a moment whether somebody declares it.
    let client = Logged::start(proxy(Config::default()));
    let mut connection = Client::to(client.proxy.explicit).await;
    let hello = [5, 1, 0, 5, 1, 0, 3, 3, b'f', b'a', b'r', 0x1b, 0x58];
    connection.0.write_all(&hello).await.unwrap();
    let mut reply = [0; 4];
    within(connection.0.read_exact(&mut reply)).await.unwrap();
    assert_eq!(reply, [5, 0, 5, 1], "no authentication; a general failure");
    client.has_told(Reason::ConfigurationTimeout).await;
}

/// The text of all files below, with this ending.
fn sources(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            found.push((path, text));
        }
    }
    found
}

#[test]
fn every_reason_is_brought_about_by_a_test() {
    let tests = sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"));
    let named = |reason: &Reason| {
        let (variant, text) = (format!("Reason::{reason:?}"), reason.as_str());
        let names = |source: &str| {
            let mut words = source.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == ':'));
            words.any(|word| word == variant || word == text)
        };
        tests.iter().any(|(_, source)| names(source))
    };
    let missing: Vec<_> = Reason::ALL.iter().filter(|reason| !named(reason)).collect();
    assert!(missing.is_empty(), "no test brings about {missing:?}");
}

#[test]
fn answers_are_made_up_in_one_place() {
    // Beside it: the start of a tunnel, and what a tunnel of HBONE is refused by, which says its
    // reason itself.
    let allowed = [
        "http/respond.rs",
        "outbound/http.rs",
        "inbound/hbone.rs",
        "http2/tunnel.rs",
    ];
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for part in [
        "http",
        "http1",
        "http2",
        "inbound",
        "outbound",
        "gateway",
        "upstream",
        "authz",
        "admission",
    ] {
        for (path, text) in sources(&src.join(part)) {
            let makes = text.contains(" Response::new(") || text.contains("Response::builder(");
            let name = path.strip_prefix(&src).unwrap().display().to_string();
            assert!(
                !makes || allowed.contains(&&*name),
                "{name} makes up an answer"
            );
        }
    }
}
