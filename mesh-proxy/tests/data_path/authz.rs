//! Tokens, external authorizers and named decisions at the called workload's sidecar.

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use mesh_api::envoy_auth::authorization_server::{Authorization, AuthorizationServer};
use mesh_api::envoy_auth::{self as v3, check_response::HttpResponse};
use mesh_api::v1::{
    self, AuthorizationAction as Action, AuthorizationOperation, AuthorizationRule,
    AuthorizationSource, MtlsMode, Protocol,
};
use serde_json::{Value, json};
use tokio_stream::wrappers::TcpListenerStream;

use crate::config::{Config, policy, service};
use crate::peers::{Answer, App, Client};
use crate::proxy::{PORT, Proxy, proxy, vacant};

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Issues tokens, with the key `k`.
pub struct Issuer(Ed25519KeyPair);

impl Issuer {
    pub fn new() -> Self {
        Self(Ed25519KeyPair::generate().unwrap())
    }

    pub fn rule(&self) -> v1::JwtRule {
        let key =
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": encode(self.0.public_key())});
        v1::JwtRule {
            issuer: "iss".into(),
            jwks: json!({ "keys": [key] }).to_string(),
            output_claim_to_headers: vec![v1::JwtClaimHeader {
                header: "x-sub".into(),
                claim: "sub".into(),
            }],
            ..Default::default()
        }
    }

    fn token(&self, claims: &Value) -> String {
        self.token_of(&json!({"alg": "EdDSA", "kid": "k"}), claims)
    }

    /// A token with a header of its own.
    pub fn token_of(&self, header: &Value, claims: &Value) -> String {
        let message = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims.to_string())
        );
        format!("{message}.{}", encode(self.0.sign(message.as_bytes())))
    }
}

fn to(operation: AuthorizationOperation) -> AuthorizationRule {
    AuthorizationRule {
        to: vec![operation],
        ..Default::default()
    }
}

fn on_path(path: &str) -> AuthorizationRule {
    to(AuthorizationOperation {
        paths: vec![path.to_owned()],
        ..Default::default()
    })
}

fn sidecar(app: &App, config: Config, change: impl FnOnce(&mut v1::Inbound)) -> Proxy {
    let config = config
        .inbound(PORT, Protocol::Http, MtlsMode::Permissive)
        .with_inbound(change);
    proxy(config).account("server").app(app.address).start()
}

async fn ask(server: &Proxy, path: &str, fields: &[(&str, &str)], body: &str) -> Answer {
    let mut client = Client::to(server.served()).await;
    let mut text = format!(
        "POST {path} HTTP/1.1\r\nHost: app\r\nContent-Length: {}\r\n",
        body.len()
    );
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    client.send(&format!("{text}\r\n{body}")).await;
    client.answer().await
}

pub fn counted(server: &Proxy, decision: &str, policy: &str) -> Option<u64> {
    let metrics = server.telemetry.metrics();
    let start = format!("mesh_authz_decisions_total{{decision=\"{decision}\",policy=\"{policy}\"");
    let line = metrics.lines().find(|line| line.starts_with(&start))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test]
async fn tokens_are_verified_and_told_and_refused_by_name() {
    let app = App::echo("a").await;
    let issuer = Issuer::new();
    let signed_in = AuthorizationRule {
        from: vec![AuthorizationSource {
            request_principals: vec!["iss/*".into()],
            ..Default::default()
        }],
        ..on_path("/private/*")
    };
    let server = sidecar(&app, Config::default(), |inbound| {
        inbound.request_authentications = vec![v1::RequestAuthentication {
            name: "default/tokens".into(),
            rules: vec![issuer.rule()],
            origin: None,
        }];
        inbound.policies = vec![
            policy("open", Action::Allow, on_path("/open")),
            policy("signed-in", Action::Allow, signed_in),
        ];
    });
    let good = issuer.token(&json!({"iss": "iss", "sub": "me"}));
    let bearer = format!("Bearer {good}");
    let spoofed = ("x-sub", "root");
    let answer = ask(
        &server,
        "/private/a",
        &[("authorization", &bearer), spoofed],
        "",
    )
    .await;
    assert_eq!(answer.status(), 200, "{}", answer.body);
    assert!(answer.body.contains("x-sub: me\n"), "{}", answer.body);
    assert!(!answer.body.contains(&good), "the token was forwarded");
    // No token: authorization decides.
    let answer = ask(&server, "/open", &[spoofed], "").await;
    assert_eq!(answer.status(), 200);
    assert!(!answer.body.contains("x-sub"), "{}", answer.body);
    let answer = ask(&server, "/private/a", &[], "").await;
    assert_eq!(
        (answer.status(), answer.reason()),
        (403, "authorization_not_allowed")
    );
    // A bad one is refused even where none is needed.
    let forged = Issuer::new().token(&json!({"iss": "iss", "sub": "me"}));
    let old = issuer.token(&json!({"iss": "iss", "sub": "me", "exp": 1}));
    for (token, want) in [(forged, "jwt_signature_invalid"), (old, "jwt_expired")] {
        let bearer = format!("Bearer {token}");
        let answer = ask(&server, "/open", &[("authorization", &bearer)], "").await;
        assert_eq!((answer.status(), answer.reason()), (401, want));
        let challenge = answer.header("www-authenticate").unwrap();
        assert_eq!(challenge, "Bearer realm=\"app\", error=\"invalid_token\"");
    }
    assert_eq!(counted(&server, "token_refused", "default/tokens"), Some(2));
    assert_eq!(counted(&server, "allow", "default/signed-in"), Some(1));
    assert_eq!(counted(&server, "deny", ""), Some(1));
}

fn http_authorizer() -> v1::ExternalAuthorizer {
    v1::ExternalAuthorizer {
        name: "ext".into(),
        host: "ext".into(),
        port: 80,
        timeout_ms: 5_000,
        path_prefix: "/check".into(),
        include_request_headers: vec!["x-user".into(), "content-type".into()],
        additional_headers: vec![v1::HeaderValue {
            name: "x-from".into(),
            value: "mesh".into(),
        }],
        headers_to_upstream_on_allow: vec!["x-known-*".into()],
        headers_to_downstream_on_allow: vec!["x-ticket".into()],
        ..Default::default()
    }
}

fn asking(authorizer: v1::ExternalAuthorizer) -> impl FnOnce(&mut v1::Inbound) {
    let custom = v1::AuthorizationPolicy {
        authorizer: authorizer.name.clone(),
        ..policy("custom", Action::Custom, on_path("/guarded*"))
    };
    move |inbound| {
        inbound.external_authorizers = vec![authorizer];
        inbound.policies = vec![custom];
    }
}

/// Allows who says that he is `me`, and tells what it was asked.
async fn authorizer() -> App {
    App::http(|request| async move {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let get = |name: &str| {
            let value = head.headers.get(name);
            value
                .map_or("-", |value| value.to_str().unwrap())
                .to_owned()
        };
        let told = format!(
            "{} {} host={} from={} cookie={} body={}",
            head.method,
            head.uri,
            get("host"),
            get("x-from"),
            get("cookie"),
            String::from_utf8_lossy(&body)
        );
        let answer = Response::builder()
            .header("x-known-as", "you")
            .header("x-secret", "1")
            .header("x-ticket", "t")
            .header("x-told", told);
        let (status, text) = if get("x-user") == "me" {
            (200, "")
        } else {
            (401, "who are you?")
        };
        answer.status(status).body(Full::from(text)).unwrap()
    })
    .await
}

#[tokio::test]
async fn an_http_authorizer_decides_about_what_its_policy_selects() {
    let app = App::echo("a").await;
    let ext = authorizer().await;
    let config = Config::default().service(service("ext", 80, Protocol::Http).plain(ext.address));
    let mut settings = http_authorizer();
    settings.body = Some(v1::AuthorizerBody {
        max_bytes: 4,
        allow_partial: true,
        as_bytes: false,
    });
    let server = sidecar(&app, config, asking(settings));
    let fields = [("x-user", "me"), ("cookie", "a=b"), ("x-known-as", "root")];
    let answer = ask(&server, "/guarded/a?b=c", &fields, "0123456789").await;
    assert_eq!(answer.status(), 200, "{}", answer.body);
    assert!(answer.body.contains("x-known-as: you\n"), "{}", answer.body);
    assert!(!answer.body.contains("x-secret"), "{}", answer.body);
    assert!(answer.body.ends_with("\n0123456789"), "{}", answer.body);
    assert_eq!(answer.header("x-ticket"), Some("t"));
    let answer = ask(&server, "/guarded/a", &[("x-user", "you")], "0123456789").await;
    assert_eq!(
        (answer.status(), answer.body.as_str()),
        (401, "who are you?")
    );
    assert_eq!(answer.reason(), "external_authorization_denied");
    assert_eq!(
        answer.header("x-told"),
        Some("POST /check/guarded/a host=app from=mesh cookie=- body=0123")
    );
    let answer = ask(&server, "/other", &[], "").await;
    assert_eq!(answer.status(), 200);
    assert_eq!(
        counted(&server, "authorizer_allow", "default/custom"),
        Some(1)
    );
    assert_eq!(
        counted(&server, "authorizer_deny", "default/custom"),
        Some(1)
    );
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused_unless_a_part_is_enough() {
    let app = App::echo("a").await;
    let ext = authorizer().await;
    let config = Config::default().service(service("ext", 80, Protocol::Http).plain(ext.address));
    let mut settings = http_authorizer();
    settings.body = Some(v1::AuthorizerBody {
        max_bytes: 4,
        allow_partial: false,
        as_bytes: false,
    });
    let server = sidecar(&app, config, asking(settings));
    let answer = ask(&server, "/guarded", &[("x-user", "me")], "01234").await;
    assert_eq!(answer.status(), 413);
    assert_eq!(answer.reason(), "external_authorization_body_too_large");
    let answer = ask(&server, "/guarded", &[("x-user", "me")], "0123").await;
    assert_eq!(answer.status(), 200);
    assert!(answer.body.ends_with("\n0123"), "{}", answer.body);
}

#[tokio::test]
async fn an_authorizer_that_cannot_be_asked_denies_unless_it_fails_open() {
    let app = App::echo("a").await;
    let nobody = vacant();
    let silent = App::raw(|stream| async move {
        let _held = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let broken = App::http(|_| async {
        let mut answer = Response::new(Full::<Bytes>::default());
        *answer.status_mut() = StatusCode::BAD_GATEWAY;
        answer
    })
    .await;
    for address in [nobody.address, silent.address, broken.address] {
        let config =
            || Config::default().service(service("ext", 80, Protocol::Http).plain(address));
        for (fail_open, status_on_error, want) in
            [(false, 0, 403), (false, 503, 503), (true, 0, 200)]
        {
            let settings = v1::ExternalAuthorizer {
                fail_open,
                status_on_error,
                timeout_ms: 200,
                ..http_authorizer()
            };
            let server = sidecar(&app, config(), asking(settings));
            let answer = ask(&server, "/guarded", &[("x-user", "me")], "").await;
            assert_eq!(answer.status(), want, "{address} {}", answer.body);
            if !fail_open {
                assert_eq!(answer.reason(), "external_authorization_failed");
            }
            let kind = if fail_open {
                "authorizer_failed_open"
            } else {
                "authorizer_failed"
            };
            assert_eq!(counted(&server, kind, "default/custom"), Some(1));
        }
    }
    let unusable = v1::ExternalAuthorizer {
        name: "ext".into(),
        unusable: "nobody declares it".into(),
        ..Default::default()
    };
    let server = sidecar(&app, Config::default(), asking(unusable));
    assert_eq!(ask(&server, "/guarded", &[], "").await.status(), 403);
    assert_eq!(ask(&server, "/other", &[], "").await.status(), 200);
}

struct Envoys;

#[tonic::async_trait]
impl Authorization for Envoys {
    async fn check(
        &self,
        request: tonic::Request<v3::CheckRequest>,
    ) -> Result<tonic::Response<v3::CheckResponse>, tonic::Status> {
        let attributes = request.into_inner().attributes.unwrap();
        let http = attributes.request.unwrap().http.unwrap();
        let option = |key: &str, value: &str| v3::HeaderValueOption {
            header: Some(v3::HeaderValue {
                key: key.into(),
                value: value.into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let port = attributes.destination.unwrap().address.unwrap();
        let told = format!(
            "{} {}{} {} body={} port={}",
            http.method,
            http.host,
            http.path,
            http.headers.get("x-user").unwrap(),
            String::from_utf8_lossy(&http.raw_body),
            port.socket_address.unwrap().port_value,
        );
        let (code, how) = if http.headers.get("x-user").unwrap() == "me" {
            let ok = v3::OkHttpResponse {
                headers: vec![option("x-told", &told), option("x-user", "you")],
                headers_to_remove: vec!["x-gone".into()],
                response_headers_to_add: vec![option("x-ticket", "t")],
                query_parameters_to_set: vec![v3::QueryParameter {
                    key: "q".into(),
                    value: "2".into(),
                }],
                ..Default::default()
            };
            (0, HttpResponse::OkResponse(ok))
        } else {
            let denied = v3::DeniedHttpResponse {
                status: Some(v3::HttpStatus { code: 402 }),
                headers: vec![option("x-why", "poor")],
                body: "pay".into(),
            };
            (7, HttpResponse::DeniedResponse(denied))
        };
        Ok(tonic::Response::new(v3::CheckResponse {
            status: Some(v3::Status {
                code,
                message: String::new(),
            }),
            http_response: Some(how),
        }))
    }
}

#[tokio::test]
async fn a_grpc_authorizer_decides_in_envoys_protocol() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(
        tonic::transport::Server::builder()
            .add_service(AuthorizationServer::new(Envoys))
            .serve_with_incoming(TcpListenerStream::new(listener)),
    );
    let app = App::echo("a").await;
    let config = Config::default().service(service("ext", 80, Protocol::Grpc).plain(address));
    let settings = v1::ExternalAuthorizer {
        grpc: true,
        body: Some(v1::AuthorizerBody {
            max_bytes: 100,
            allow_partial: false,
            as_bytes: true,
        }),
        path_prefix: String::new(),
        ..http_authorizer()
    };
    let server = sidecar(&app, config, asking(settings));
    for _ in 0..2 {
        let fields = [("x-user", "me"), ("x-gone", "1")];
        let answer = ask(&server, "/guarded?q=1&r=1", &fields, "body").await;
        assert_eq!(answer.status(), 200, "{}", answer.body);
        let told = format!("x-told: POST app/guarded?q=1&r=1 me body=body port={PORT}\n");
        assert!(answer.body.contains(&told), "{}", answer.body);
        assert!(
            answer.body.starts_with("POST /guarded?r=1&q=2 "),
            "{}",
            answer.body
        );
        assert!(answer.body.contains("x-user: you\n"), "{}", answer.body);
        assert!(!answer.body.contains("x-gone"), "{}", answer.body);
        assert_eq!(answer.header("x-ticket"), Some("t"));
    }
    let answer = ask(&server, "/guarded", &[("x-user", "you")], "").await;
    assert_eq!((answer.status(), answer.body.as_str()), (402, "pay"));
    assert_eq!(answer.header("x-why"), Some("poor"));
    serving.abort();
}

#[tokio::test]
async fn policies_that_are_tried_out_decide_nothing_and_are_counted() {
    let app = App::echo("a").await;
    let dry = |name: &str, action, rule| v1::AuthorizationPolicy {
        dry_run: true,
        ..policy(name, action, rule)
    };
    let server = sidecar(&app, Config::default(), |inbound| {
        inbound.policies = vec![
            policy("audit", Action::Audit, on_path("/a*")),
            dry("no-b", Action::Deny, on_path("*/b")),
            dry("only-a", Action::Allow, on_path("/a*")),
        ];
    });
    for path in ["/a", "/a/b", "/c"] {
        assert_eq!(ask(&server, path, &[], "").await.status(), 200, "{path}");
    }
    assert_eq!(counted(&server, "audit", "default/audit"), Some(2));
    assert_eq!(counted(&server, "shadow_deny", "default/no-b"), Some(1));
    assert_eq!(counted(&server, "shadow_allow", "default/only-a"), Some(1));
    // Nothing that is tried out allows it.
    assert_eq!(counted(&server, "shadow_deny", ""), Some(1));
}

/// On a connection that is open, too, the policies of now decide.
#[tokio::test]
async fn a_new_policy_holds_for_open_connections() {
    let app = App::echo("a").await;
    let config = || Config::default().inbound(PORT, Protocol::Http, MtlsMode::Permissive);
    let server = proxy(config()).account("server").app(app.address).start();
    let mut client = Client::to(server.served()).await;
    let request = "GET /a HTTP/1.1\r\nHost: app\r\n\r\n";
    client.send(request).await;
    assert_eq!(client.answer().await.status(), 200);
    let closed = config().with_inbound(|inbound| {
        inbound.policies = vec![policy("closed", Action::Deny, on_path("/a"))];
    });
    server.adjuster.set(closed.snapshot());
    client.send(request).await;
    let answer = client.answer().await;
    assert_eq!(
        (answer.status(), answer.reason()),
        (403, "authorization_denied")
    );
}
