//! Mutual TLS and authorization at the called workload's sidecar.

use mesh_api::v1::{
    AuthorizationAction, AuthorizationOperation, AuthorizationRule, AuthorizationSource, MtlsMode,
    Protocol,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use crate::config::{Config, policy, service, spiffe};
use crate::explicit::connect;
use crate::peers::{App, Client, NAME, within};
use crate::proxy::{PORT, Proxy, proxy, vacant};

fn server(app: &App, config: Config) -> Proxy {
    proxy(config).account("server").app(app.address).start()
}

fn client_of(server: &Proxy, protocol: Protocol) -> Proxy {
    let config =
        Config::default().service(service("app", 80, protocol).mesh(server.served(), "server"));
    proxy(config).account("client").start()
}

/// Who calls as this account.
pub fn from(account: &str) -> AuthorizationRule {
    let principal = spiffe(account)
        .strip_prefix("spiffe://")
        .unwrap()
        .to_owned();
    let source = AuthorizationSource {
        principals: vec![principal],
        ..Default::default()
    };
    AuthorizationRule {
        from: vec![source],
        ..Default::default()
    }
}

fn on_path(path: &str) -> AuthorizationRule {
    let operation = AuthorizationOperation {
        paths: vec![path.to_owned()],
        ..Default::default()
    };
    AuthorizationRule {
        to: vec![operation],
        ..Default::default()
    }
}

#[tokio::test]
async fn the_caller_is_told_to_the_application() {
    let app = App::echo("a").await;
    let server = server(
        &app,
        Config::default().inbound(PORT, Protocol::Http, MtlsMode::Strict),
    );
    let client = client_of(&server, Protocol::Http);
    let mut connection = Client::to(client.explicit).await;
    for _ in 0..3 {
        let answer = connection.get("http://app/").await;
        assert_eq!(answer.header(NAME), Some("a"));
        let expected = format!("x-forwarded-client-cert: By={};Hash=", spiffe("server"));
        assert!(answer.body.contains(&expected), "{}", answer.body);
        assert!(
            answer.body.contains(&format!("URI={}\n", spiffe("client"))),
            "{}",
            answer.body
        );
        assert!(!answer.body.contains("x-mesh-"), "{}", answer.body);
    }
    assert_eq!(app.connections(), 1);
    let metrics = server.telemetry.metrics();
    assert!(
        metrics.contains("connection_security_policy=\"mutual_tls\""),
        "{metrics}"
    );
    assert!(metrics.contains("source_workload=\"test\""), "{metrics}");
    assert!(
        metrics.contains(&format!("source_principal=\"{}\"", spiffe("client"))),
        "{metrics}"
    );
}

#[tokio::test]
async fn strict_ports_reset_plain_text() {
    let app = App::echo("a").await;
    let server = server(
        &app,
        Config::default().inbound(PORT, Protocol::Http, MtlsMode::Strict),
    );
    let mut plain = Client::to(server.served()).await;
    plain.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n").await;
    plain.rest().await.unwrap_err();
    assert_eq!(app.connections(), 0);
}

#[tokio::test]
async fn permissive_ports_take_both() {
    let app = App::echo("a").await;
    let server = server(
        &app,
        Config::default().inbound(PORT, Protocol::Http, MtlsMode::Permissive),
    );
    let mut plain = Client::to(server.served()).await;
    plain
        .send("GET / HTTP/1.1\r\nHost: app\r\nX-Forwarded-Client-Cert: By=forged\r\n\r\n")
        .await;
    let answer = plain.answer().await;
    assert_eq!(answer.status(), 200);
    assert!(!answer.body.contains("forged"), "{}", answer.body);
    let client = client_of(&server, Protocol::Http);
    assert_eq!(
        Client::to(client.explicit)
            .await
            .get("http://app/")
            .await
            .status(),
        200
    );
}

#[tokio::test]
async fn foreign_tls_passes_permissive_ports_as_bytes() {
    // The first bytes of a ClientHello that offers `h2` are the application's business.
    let app = App::raw(|mut stream| async move {
        let mut first = [0; 1];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(first[0], 22);
    })
    .await;
    let server = server(
        &app,
        Config::default().inbound(PORT, Protocol::Auto, MtlsMode::Permissive),
    );
    let stream = tokio::net::TcpStream::connect(server.served())
        .await
        .unwrap();
    let roots = rustls::RootCertStore::empty();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let name = "example.com".try_into().unwrap();
    within(connector.connect(name, stream)).await.unwrap_err();
    assert_eq!(app.connections(), 1);
}

#[tokio::test]
async fn another_identity_than_the_endpoints_is_refused() {
    let app = App::echo("a").await;
    let server = server(
        &app,
        Config::default().inbound(PORT, Protocol::Http, MtlsMode::Strict),
    );
    let config = Config::default()
        .service(service("app", 80, Protocol::Http).mesh(server.served(), "somebody-else"));
    let client = proxy(config).account("client").start();
    let answer = Client::to(client.explicit).await.get("http://app/").await;
    assert_eq!(
        (answer.status(), answer.reason()),
        (503, "upstream_identity_mismatch")
    );
    assert_eq!(app.connections(), 0);
}

#[tokio::test]
async fn without_a_configuration_nothing_is_accepted() {
    let app = App::echo("a").await;
    let server = server(&app, Config::default());
    let ask = async {
        // The reset may be faster than the request, and even than the client's own connect.
        let mut plain = tokio::net::TcpStream::connect(server.served()).await?;
        plain
            .write_all(b"GET / HTTP/1.1\r\nHost: app\r\n\r\n")
            .await?;
        plain.read_u8().await
    };
    within(ask).await.unwrap_err();
    assert_eq!(app.connections(), 0);
}

#[tokio::test]
async fn requests_are_authorised_one_by_one() {
    let app = App::echo("a").await;
    let config = Config::default()
        .inbound(PORT, Protocol::Http, MtlsMode::Strict)
        .policy(policy("allow", AuthorizationAction::Allow, from("client")))
        .policy(policy(
            "deny",
            AuthorizationAction::Deny,
            on_path("/secret*"),
        ));
    let server = server(&app, config);
    let client = client_of(&server, Protocol::Http);
    let mut connection = Client::to(client.explicit).await;
    assert_eq!(connection.get("http://app/open").await.status(), 200);
    for path in ["/secret", "/open/../secret", "/%73ecret"] {
        let answer = connection.get(&format!("http://app{path}")).await;
        assert_eq!(
            (answer.status(), answer.reason()),
            (403, "authorization_denied"),
            "{path}"
        );
        assert_eq!(answer.body, "RBAC: access denied");
    }
    assert_eq!(connection.get("http://app/open").await.status(), 200);
    let stranger = Config::default()
        .service(service("app", 80, Protocol::Http).mesh(server.served(), "server"));
    let stranger = proxy(stranger).account("stranger").start();
    let answer = Client::to(stranger.explicit)
        .await
        .get("http://app/open")
        .await;
    assert_eq!(
        (answer.status(), answer.reason()),
        (403, "authorization_not_allowed")
    );
}

#[tokio::test]
async fn who_is_trusted_no_more_is_refused_on_open_connections() {
    for protocol in [Protocol::Http, Protocol::Tcp] {
        let app = App::echo("a").await;
        let config = || Config::default().inbound(PORT, protocol, MtlsMode::Strict);
        let server = server(&app, config());
        let client = client_of(&server, protocol);
        let mut connection = if protocol == Protocol::Http {
            Client::to(client.explicit).await
        } else {
            connect(&client, "app:80").await
        };
        assert_eq!(connection.get("http://app/").await.status(), 200);
        let elsewhere = config().trust_domain("elsewhere.example");
        server.adjuster.set(elsewhere.snapshot());
        if protocol == Protocol::Http {
            let answer = connection.get("http://app/").await;
            let told = (answer.status(), answer.reason());
            assert_eq!(told, (421, "tls_settings_changed"));
        } else {
            connection.rest().await.unwrap_err();
        }
    }
}

#[tokio::test]
async fn requests_for_tunnels_reach_no_application() {
    let app = App::echo("a").await;
    let config = Config::default()
        .inbound(PORT, Protocol::Http, MtlsMode::Permissive)
        .policy(policy("deny", AuthorizationAction::Deny, on_path("*")));
    let server = server(&app, config);
    let mut client = Client::to(server.served()).await;
    client
        .send("CONNECT app:80 HTTP/1.1\r\nHost: app:80\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert_eq!((answer.status(), answer.reason()), (404, "route_not_found"));
    assert_eq!(app.connections(), 0);
}

#[tokio::test]
async fn opaque_connections_are_authorised_and_cut_when_denied_later() {
    let app = App::repeating().await;
    let open = Config::default().inbound(PORT, Protocol::Tcp, MtlsMode::Strict);
    let server = server(&app, open.clone());
    let client = client_of(&server, Protocol::Tcp);
    let mut tunnel = connect(&client, "app:80").await;
    tunnel.is_repeated().await;
    // A change that does not concern it leaves it alone.
    server.adjuster.set(
        open.clone()
            .policy(policy("other", AuthorizationAction::Deny, from("other")))
            .snapshot(),
    );
    tunnel.is_repeated().await;
    server.adjuster.set(
        open.policy(policy("deny", AuthorizationAction::Deny, from("client")))
            .snapshot(),
    );
    tunnel.rest().await.unwrap_err();
    let mut again = connect(&client, "app:80").await;
    again.send("x").await;
    assert!(again.rest().await.map_or(true, |rest| rest.is_empty()));
    // Each denial is counted by the policy's name: that of the connection that was cut, and that
    // of the one that was refused.
    let counted = || -> Option<u64> {
        let start =
            "mesh_authz_decisions_total{decision=\"deny\",policy=\"default/deny\",rule=\"0\"}";
        let metrics = server.telemetry.metrics();
        let line = metrics.lines().find(|line| line.starts_with(start))?;
        line.rsplit(' ').next()?.parse().ok()
    };
    crate::peers::until(|| counted() >= Some(2)).await;
}

#[tokio::test]
async fn opaque_plain_text_is_cut_when_its_port_becomes_strict() {
    let app = App::repeating().await;
    let at = |mode| Config::default().inbound(PORT, Protocol::Tcp, mode);
    let server = server(&app, at(MtlsMode::Permissive));
    let client = client_of(&server, Protocol::Tcp);
    let mut proved = connect(&client, "app:80").await;
    let mut plain = Client::to(server.served()).await;
    for tunnel in [&mut proved, &mut plain] {
        tunnel.is_repeated().await;
    }
    server.adjuster.set(at(MtlsMode::Strict).snapshot());
    plain.rest().await.unwrap_err();
    proved.is_repeated().await;
    let reason = "mesh_reasons_total{reason=\"plaintext_refused\"} 1";
    crate::peers::until(|| server.telemetry.metrics().contains(reason)).await;
}

#[tokio::test]
async fn decisions_about_opaque_connections_are_named() {
    let app = App::repeating().await;
    let tried = mesh_api::v1::AuthorizationPolicy {
        dry_run: true,
        ..policy("tried", AuthorizationAction::Deny, from("client"))
    };
    let config = Config::default()
        .inbound(PORT, Protocol::Tcp, MtlsMode::Strict)
        .policy(policy("allow", AuthorizationAction::Allow, from("client")))
        .policy(policy("audit", AuthorizationAction::Audit, from("client")))
        .policy(tried);
    let server = server(&app, config);
    let client = client_of(&server, Protocol::Tcp);
    let mut tunnel = connect(&client, "app:80").await;
    tunnel.is_repeated().await;
    for (decision, name) in [
        ("allow", "allow"),
        ("audit", "audit"),
        ("shadow_deny", "tried"),
    ] {
        let line = format!(
            "mesh_authz_decisions_total{{decision=\"{decision}\",policy=\"default/{name}\",rule=\"0\"}} 1"
        );
        let metrics = server.telemetry.metrics();
        assert!(metrics.contains(&line), "{line} in:\n{metrics}");
    }
}

#[tokio::test]
async fn an_absent_application_is_told_as_unprocessed() {
    let dead = vacant();
    let config = Config::default().inbound(PORT, Protocol::Http, MtlsMode::Permissive);
    let server = proxy(config).account("server").app(dead.address).start();
    let mut plain = Client::to(server.served()).await;
    plain.send("GET / HTTP/1.1\r\nHost: app\r\n\r\n").await;
    let answer = plain.answer().await;
    assert_eq!(
        (answer.status(), answer.reason()),
        (503, "upstream_connect_failure")
    );
    assert_eq!(answer.header("x-mesh-unprocessed"), Some("1"));
    // A client's sidecar takes it as a failure to connect and keeps the word to itself.
    let client = client_of(&server, Protocol::Http);
    let answer = Client::to(client.explicit).await.get("http://app/").await;
    assert_eq!(
        (answer.status(), answer.reason()),
        (503, "upstream_connect_failure")
    );
    assert_eq!(answer.header("x-mesh-unprocessed"), None);
}

#[tokio::test]
async fn trap_69_declared_ports_refuse_http_1_0() {
    let app = App::echo("a").await;
    let server = server(
        &app,
        Config::default().inbound(PORT, Protocol::Http, MtlsMode::Permissive),
    );
    let mut plain = Client::to(server.served()).await;
    plain.send("GET / HTTP/1.0\r\n\r\n").await;
    let all = plain.rest().await.unwrap();
    assert!(
        all.starts_with("HTTP/1.0 426") && all.contains("http10_unsupported"),
        "{all}"
    );
}
