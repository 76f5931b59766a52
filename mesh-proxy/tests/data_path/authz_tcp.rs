//! External authorizers that decide about connections of opaque bytes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mesh_api::envoy_auth as v3;
use mesh_api::envoy_auth::authorization_server::{Authorization, AuthorizationServer};
use mesh_api::v1::{
    self, AuthorizationAction as Action, AuthorizationRule, AuthorizationSource, MtlsMode, Protocol,
};
use tokio::io::AsyncReadExt as _;
use tokio_stream::wrappers::TcpListenerStream;

use crate::authz::counted;
use crate::config::{Config, policy, service, spiffe};
use crate::explicit::socks;
use crate::peers::{App, Client, until, within};
use crate::proxy::{PORT, Proxy, proxy, vacant};

/// Lets in who is on its list: principals, or nothing for callers without one.
#[derive(Clone)]
struct Gatekeeper {
    allowed: Vec<String>,
    asked: Arc<AtomicUsize>,
}

#[tonic::async_trait]
impl Authorization for Gatekeeper {
    async fn check(
        &self,
        request: tonic::Request<v3::CheckRequest>,
    ) -> Result<tonic::Response<v3::CheckResponse>, tonic::Status> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let attributes = request.into_inner().attributes.unwrap();
        assert_eq!(attributes.request, None);
        let port = attributes.destination.unwrap().address.unwrap();
        assert_eq!(port.socket_address.unwrap().port_value, u32::from(PORT));
        let principal = attributes.source.unwrap().principal;
        let code = if self.allowed.contains(&principal) {
            0
        } else {
            7
        };
        Ok(tonic::Response::new(v3::CheckResponse {
            status: Some(v3::Status {
                code,
                message: String::new(),
            }),
            http_response: None,
        }))
    }
}

impl Gatekeeper {
    async fn start(allowed: &[&str]) -> (Self, SocketAddr) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let gatekeeper = Self {
            allowed: allowed.iter().map(|name| (*name).to_owned()).collect(),
            asked: Arc::default(),
        };
        tokio::spawn(
            tonic::transport::Server::builder()
                .add_service(AuthorizationServer::new(gatekeeper.clone()))
                .serve_with_incoming(TcpListenerStream::new(listener)),
        );
        (gatekeeper, address)
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}

fn grpc(name: &str) -> v1::ExternalAuthorizer {
    v1::ExternalAuthorizer {
        name: name.into(),
        host: name.into(),
        port: 80,
        timeout_ms: 5_000,
        grpc: true,
        ..Default::default()
    }
}

fn at_the_port() -> AuthorizationRule {
    AuthorizationRule {
        to: vec![v1::AuthorizationOperation {
            ports: vec![PORT.into()],
            ..Default::default()
        }],
        ..Default::default()
    }
}

fn config(
    (protocol, mtls): (Protocol, MtlsMode),
    authorizers: &[(v1::ExternalAuthorizer, SocketAddr)],
) -> Config {
    let mut config = Config::default().inbound(PORT, protocol, mtls);
    for (authorizer, address) in authorizers {
        let name = authorizer.name.clone();
        let custom = v1::AuthorizationPolicy {
            authorizer: name.clone(),
            ..policy(&name, Action::Custom, at_the_port())
        };
        config = config
            .service(service(&name, 80, Protocol::Grpc).plain(*address))
            .with_inbound(|inbound| {
                inbound.external_authorizers.push(authorizer.clone());
                inbound.policies.push(custom);
            });
    }
    config
}

async fn greeting() -> App {
    App::raw(|mut stream| async move {
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"hello")
            .await
            .unwrap();
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    })
    .await
}

fn start(app: &App, config: Config) -> Proxy {
    proxy(config).account("server").app(app.address).start()
}

fn caller(server: &Proxy, account: &str) -> Proxy {
    let app = service("app", 25, Protocol::Auto).mesh(server.served(), "server");
    proxy(Config::default().service(app))
        .account(account)
        .start()
}

async fn greeted_by(client: &mut Client) -> bool {
    let mut greeting = [0; 5];
    let read = within(client.0.read_exact(&mut greeting)).await;
    read.is_ok() && &greeting == b"hello"
}

async fn through(proxy: &Proxy) -> (Client, bool) {
    let (mut client, _) = socks(proxy, "app", 25).await;
    let greeted = greeted_by(&mut client).await;
    (client, greeted)
}

#[tokio::test]
async fn each_connection_is_asked_about_once_by_who_calls() {
    let app = greeting().await;
    for protocol in [Protocol::Auto, Protocol::Tcp] {
        let (gatekeeper, address) = Gatekeeper::start(&[&spiffe("friend")]).await;
        let config = config((protocol, MtlsMode::Strict), &[(grpc("ext"), address)]);
        let server = start(&app, config);
        let friend = caller(&server, "friend");
        let stranger = caller(&server, "stranger");
        let (mut client, greeted) = through(&friend).await;
        assert!(greeted, "{protocol:?}");
        client.send("more").await;
        let mut more = [0; 4];
        within(client.0.read_exact(&mut more)).await.unwrap();
        assert_eq!(gatekeeper.asked(), 1, "{protocol:?}");
        // While it is silent it could still send requests, which are for other policies.
        let (mut refused, _) = socks(&stranger, "app", 25).await;
        refused.send("\u{1}\u{2}no HTTP").await;
        assert!(!greeted_by(&mut refused).await, "{protocol:?}");
        let name = "default/ext";
        until(|| counted(&server, "authorizer_deny", name) == Some(1)).await;
        assert_eq!(counted(&server, "authorizer_allow", name), Some(1));
        let metrics = server.telemetry.metrics();
        let reason = "mesh_reasons_total{reason=\"external_authorization_denied\"} 1";
        assert!(metrics.contains(reason), "{metrics}");
    }
}

#[tokio::test]
async fn servers_that_speak_first_do_so_to_callers_without_identity() {
    let app = greeting().await;
    for (allowed, want) in [(&[""][..], true), (&[], false)] {
        let (gatekeeper, address) = Gatekeeper::start(allowed).await;
        let ports = (Protocol::Tcp, MtlsMode::Permissive);
        let server = start(&app, config(ports, &[(grpc("ext"), address)]));
        let mut client = Client::to(server.served()).await;
        if want {
            assert!(greeted_by(&mut client).await);
            assert_eq!(gatekeeper.asked(), 1);
        } else {
            // It could still turn out to be a client of the mesh, until it speaks.
            client.send("\u{1}\u{2}no HTTP").await;
            assert!(!greeted_by(&mut client).await);
            assert_eq!(app.connections(), 1);
        }
    }
}

#[tokio::test]
async fn one_that_cannot_be_asked_denies_unless_it_fails_open() {
    let app = greeting().await;
    let dead = vacant();
    for (fail_open, kind) in [
        (false, "authorizer_failed"),
        (true, "authorizer_failed_open"),
    ] {
        let authorizer = v1::ExternalAuthorizer {
            fail_open,
            ..grpc("ext")
        };
        let ports = (Protocol::Tcp, MtlsMode::Strict);
        let server = start(&app, config(ports, &[(authorizer, dead.address)]));
        let (_client, greeted) = through(&caller(&server, "friend")).await;
        assert_eq!(greeted, fail_open);
        until(|| counted(&server, kind, "default/ext") == Some(1)).await;
    }
}

#[tokio::test]
async fn a_new_policy_asks_about_open_connections() {
    let app = greeting().await;
    let (first, first_address) = Gatekeeper::start(&[&spiffe("friend")]).await;
    let (second, second_address) = Gatekeeper::start(&[&spiffe("friend")]).await;
    let (third, third_address) = Gatekeeper::start(&[]).await;
    let ports = (Protocol::Tcp, MtlsMode::Strict);
    let mut authorizers = vec![(grpc("one"), first_address)];
    let server = start(&app, config(ports, &authorizers));
    let friend = caller(&server, "friend");
    let (mut client, greeted) = through(&friend).await;
    assert!(greeted);
    authorizers.push((grpc("two"), second_address));
    server.adjuster.set(config(ports, &authorizers).snapshot());
    until(|| second.asked() == 1).await;
    client.send("more").await;
    let mut more = [0; 4];
    within(client.0.read_exact(&mut more)).await.unwrap();
    authorizers.push((grpc("three"), third_address));
    server.adjuster.set(config(ports, &authorizers).snapshot());
    client.rest().await.unwrap_err();
    assert_eq!((first.asked(), second.asked(), third.asked()), (1, 1, 1));
    assert_eq!(
        counted(&server, "authorizer_deny", "default/three"),
        Some(1)
    );
}

#[tokio::test]
async fn policies_that_deny_spare_the_question() {
    let app = greeting().await;
    let (gatekeeper, address) = Gatekeeper::start(&[&spiffe("friend")]).await;
    let from = AuthorizationRule {
        from: vec![AuthorizationSource {
            principals: vec!["cluster.local/ns/default/sa/friend".into()],
            ..Default::default()
        }],
        ..Default::default()
    };
    let ports = (Protocol::Tcp, MtlsMode::Strict);
    let config =
        config(ports, &[(grpc("ext"), address)]).policy(policy("closed", Action::Deny, from));
    let server = start(&app, config);
    assert!(!through(&caller(&server, "friend")).await.1);
    until(|| counted(&server, "deny", "default/closed") == Some(1)).await;
    assert_eq!(gatekeeper.asked(), 0);
}
