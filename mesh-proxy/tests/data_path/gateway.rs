//! The ingress gateway.

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use mesh_api::v1::{
    AuthorizationAction, AuthorizationRule, AuthorizationSource, ForwardClientCert, GatewayHost,
    GatewayTopology, HttpMatch, HttpRoute, MtlsMode, Protocol, StringMatch, http_route::Action,
    string_match::Kind,
};
use tokio::net::TcpStream;

use crate::config::{Config, forward, policy, route, service};
use crate::peers::{App, Client, NAME, until, within};
use crate::proxy::{PORT, Vacant, proxy, vacant};

fn host(domain: &str, http: Vec<HttpRoute>) -> GatewayHost {
    GatewayHost {
        domain: domain.to_owned(),
        http,
        ..Default::default()
    }
}

fn everything() -> Vec<HttpRoute> {
    vec![route(Action::Forward(forward("app", 80)))]
}

fn prefix(path: &str) -> Vec<HttpRoute> {
    let uri = Some(StringMatch {
        kind: Some(Kind::Prefix(path.into())),
    });
    let matches = vec![HttpMatch {
        uri,
        ..Default::default()
    }];
    vec![HttpRoute {
        matches,
        ..route(Action::Forward(forward("app", 80)))
    }]
}

// The offset that makes the gateway's port 80 a free one.
fn offset(port: &Vacant) -> u16 {
    port.address.port() - 80
}

pub async fn listens(address: std::net::SocketAddr) -> Client {
    let connect = async {
        loop {
            match TcpStream::connect(address).await {
                Ok(stream) => return Client(stream),
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    within(connect).await
}

#[tokio::test]
async fn listeners_follow_the_configuration() {
    let app = App::echo("a").await;
    let port = vacant();
    let services = Config::default().service(service("app", 80, Protocol::Http).plain(app.address));
    let gateway = proxy(services.clone()).gateway(offset(&port)).start();
    TcpStream::connect(port.address).await.unwrap_err();
    gateway.adjuster.set(
        services
            .clone()
            .gateway(80, vec![host("app.example.com", prefix("/open"))])
            .snapshot(),
    );
    let mut client = listens(port.address).await;
    client.send("GET /open HTTP/1.1\r\nHost: app.example.com\r\nX-Forwarded-Client-Cert: forged\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!((answer.status(), answer.header(NAME)), (200, Some("a")));
    assert!(
        answer.body.contains("x-forwarded-for: 127.0.0.1\n")
            && answer.body.contains("x-forwarded-proto: http\n")
    );
    assert!(!answer.body.contains("forged"), "{answer:?}");
    for (path, name) in [
        ("/closed", "app.example.com"),
        ("/open", "other.example.com"),
    ] {
        client
            .send(&format!("GET {path} HTTP/1.1\r\nHost: {name}\r\n\r\n"))
            .await;
        let answer = client.answer().await;
        assert_eq!((answer.status(), answer.reason()), (404, "route_not_found"));
    }
    gateway.adjuster.set(services.snapshot());
    let mut closed = false;
    within(async {
        while !closed {
            closed = TcpStream::connect(port.address).await.is_err();
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn trap_59_trusted_proxies_say_who_the_client_is() {
    let (app, port) = (App::echo("a").await, vacant());
    let banned = AuthorizationSource {
        remote_ip_blocks: vec!["9.9.9.0/24".to_owned()],
        ..Default::default()
    };
    let rule = AuthorizationRule {
        from: vec![banned],
        ..Default::default()
    };
    let redirected = GatewayHost {
        https_redirect: true,
        ..host("app", everything())
    };
    let config = |topology| {
        Config::default()
            .service(service("app", 80, Protocol::Http).plain(app.address))
            .gateway(80, vec![redirected.clone()])
            .gateway_policy(policy("banned", AuthorizationAction::Deny, rule.clone()))
            .with_gateway(|gateway| gateway.topology = topology)
            .snapshot()
    };
    let told = GatewayTopology {
        trusted_proxies: 2,
        forward_client_cert: ForwardClientCert::AlwaysForwardOnly.into(),
        proxy_protocol: false,
    };
    let gateway = proxy(Config::default()).gateway(offset(&port)).start();
    // An answer to a request with these addresses, which has come by TLS if that is believed.
    let ask = async |forwarded: &str| {
        let mut client = listens(port.address).await;
        let request = format!(
            "GET / HTTP/1.1\r\nHost: app\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Client-Cert: Hash=1\r\nX-Forwarded-For: {forwarded}\r\n\r\n"
        );
        client.send(&request).await;
        client.answer().await
    };
    gateway.adjuster.set(config(Some(told)));
    let answer = ask("9.9.9.9, 1.1.1.1, 2.2.2.2").await;
    assert_eq!(answer.status(), 200, "{answer:?}");
    for kept in [
        "x-forwarded-for: 9.9.9.9, 1.1.1.1, 2.2.2.2,127.0.0.1\n",
        "x-forwarded-proto: https\n",
        "x-forwarded-client-cert: Hash=1\n",
    ] {
        assert!(answer.body.contains(kept), "{kept}: {answer:?}");
    }
    let answer = ask("1.1.1.1, 9.9.9.9, 2.2.2.2").await;
    assert_eq!(
        (answer.status(), answer.reason()),
        (403, "authorization_denied")
    );
    // Without trust nobody's word counts, neither for the address nor for the scheme.
    gateway.adjuster.set(config(None));
    for forged in ["9.9.9.9", "1.1.1.1, 9.9.9.9, 2.2.2.2"] {
        let answer = ask(forged).await;
        assert_eq!(
            (answer.status(), answer.header("location")),
            (301, Some("https://app/"))
        );
    }
}

#[tokio::test]
async fn plain_text_is_redirected_where_asked() {
    let port = vacant();
    let redirected = GatewayHost {
        https_redirect: true,
        ..host("*", Vec::new())
    };
    let gateway = proxy(Config::default().gateway(80, vec![redirected]))
        .gateway(offset(&port))
        .start();
    let mut client = listens(port.address).await;
    client
        .send("GET /a?b=c HTTP/1.1\r\nHost: shop.example.com\r\n\r\n")
        .await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.status(), answer.header("location")),
        (301, Some("https://shop.example.com/a?b=c"))
    );
    drop(gateway);
}

#[tokio::test]
async fn http2_clients_reach_mesh_endpoints() {
    let app = App::echo("a").await;
    let inbound = Config::default().inbound(PORT, Protocol::Http, MtlsMode::Strict);
    let server = proxy(inbound).account("server").app(app.address).start();
    let port = vacant();
    let config = Config::default()
        .service(service("app", 80, Protocol::Http).mesh(server.served(), "server"))
        .gateway(80, vec![host("*.example.com", everything())]);
    let _gateway = proxy(config)
        .account("gateway")
        .gateway(offset(&port))
        .start();
    drop(listens(port.address).await);
    let mut client = crate::http2::client(port.address).await;
    let request = Request::get("http://www.example.com/x")
        .body(Full::<Bytes>::default())
        .unwrap();
    let response = within(client.send_request(request)).await.unwrap();
    assert_eq!(response.status(), 200);
    let text = within(response.into_body().collect())
        .await
        .unwrap()
        .to_bytes();
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(
        text.starts_with("GET /x HTTP/1.1\n") && text.contains("host: www.example.com\n"),
        "{text}"
    );
    until(|| app.connections() == 1).await;
}
