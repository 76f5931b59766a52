//! On what is decided about requests: paths, hosts, tokens, headers that only the mesh may write.

use std::net::SocketAddr;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mesh_tests::LaptopMesh;
use mesh_tests::echo::{Echo, Seen};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// What nobody may ask for, what only those with a token may, and what only the client may.
pub(super) const POLICIES: &str = "\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-admin, namespace: default}
spec: {action: DENY, rules: [{to: [{operation: {paths: [/admin, /admin/*]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-secret, namespace: default}
spec: {action: DENY, rules: [{to: [{operation: {hosts: [secret.example]}}]}]}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: signed-in, namespace: default}
spec:
  action: DENY
  rules: [{from: [{source: {notRequestPrincipals: ['*']}}], to: [{operation: {paths: [/private*]}}]}]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: client-only, namespace: default}
spec:
  action: DENY
  rules:
  - from: [{source: {notPrincipals: [cluster.local/ns/default/sa/client]}}]
    to: [{operation: {paths: [/client*]}}]
";

pub(super) struct Place {
    pub(super) mesh: LaptopMesh,
    /// The port of the server's sidecar.
    pub(super) address: SocketAddr,
    key: Ed25519KeyPair,
    _echo: Echo,
}

/// An answer: status, named reason, and what the server saw if it was asked.
type Answered = (u16, String, Option<Seen>);

fn encode(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

// === impl Place ===

impl Place {
    pub(super) async fn start() -> Self {
        let echo = Echo::start("echo").await.unwrap();
        let normal =
            "  meshConfig: {pathNormalization: {normalization: DECODE_AND_MERGE_SLASHES}}\n";
        let text = crate::place::mesh_file(&echo, normal, "");
        let key = Ed25519KeyPair::generate().unwrap();
        let jwk =
            json!({"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": encode(key.public_key())});
        let tokens = json!({
            "apiVersion": "security.istio.io/v1",
            "kind": "RequestAuthentication",
            "metadata": {"name": "tokens", "namespace": "default"},
            "spec": {"jwtRules": [{
                "issuer": "iss",
                "audiences": ["here"],
                "jwks": json!({"keys": [jwk]}).to_string(),
                "outputClaimToHeaders": [{"header": "x-sub", "claim": "sub"}],
            }]},
        });
        let files = [
            ("policies.yaml", POLICIES),
            ("tokens.yaml", &tokens.to_string()),
        ];
        let mesh = LaptopMesh::start(&text, &files).unwrap();
        let workload = mesh.workload("echo").unwrap();
        let address = format!("{}:9000", workload["address"].as_str().unwrap());
        Self {
            address: address.parse().unwrap(),
            mesh,
            key,
            _echo: echo,
        }
    }

    /// Sends this to the server's sidecar, in plain text.
    async fn raw(&self, text: &str) -> Answered {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).unwrap_or("0").parse().unwrap();
        let reason = head
            .lines()
            .find_map(|line| line.strip_prefix("x-mesh-reason: "))
            .unwrap_or_default();
        (status, reason.to_owned(), serde_json::from_str(body).ok())
    }

    async fn get(&self, path: &str, fields: &str) -> Answered {
        self.raw(&format!(
            "GET {path} HTTP/1.1\r\nHost: echo:9000\r\n{fields}Connection: close\r\n\r\n"
        ))
        .await
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!(
            "{}.{}",
            encode(header.to_string()),
            encode(claims.to_string())
        );
        format!("{message}.{}", encode(self.key.sign(message.as_bytes())))
    }
}

fn refused(status: u16, reason: &str) -> Answered {
    (status, reason.to_owned(), None)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_of_a_path_gets_around_a_policy() {
    let place = Place::start().await;
    for path in [
        "/admin",
        "/admin?x",
        "/admin/x",
        "//admin",
        "/x/../admin",
        "/./admin",
        "/x/%2e%2E/admin",
        "/%61dmin",
        "/x%2f..%2fadmin",
        "/x%5c..%5Cadmin",
        "/x\\..\\admin",
        "/admin%2fx",
        "/admin//x",
        "/../../admin",
    ] {
        let answered = place.get(path, "").await;
        assert_eq!(answered, refused(403, "authorization_denied"), "{path}");
    }
    // What has no other spelling reaches the server as it was compared.
    for (path, seen) in [
        ("/admin;a=b", "/admin;a=b"),
        ("/ADMIN", "/ADMIN"),
        ("/%c0%ae%c0%ae/admin", "/%c0%ae%c0%ae/admin"),
        ("/x/%252e%252e/admin", "/x/%252e%252e/admin"),
        ("/a//b/../c", "/a/c"),
    ] {
        let (status, _, found) = place.get(path, "").await;
        let found = found.map(|seen| seen.path);
        assert_eq!((status, found.as_deref()), (200, Some(seen)), "{path}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_spelling_of_a_host_gets_around_a_policy() {
    let place = Place::start().await;
    let with = |target: &str, hosts: &[&str]| {
        let hosts: String = hosts
            .iter()
            .map(|host| format!("Host: {host}\r\n"))
            .collect();
        format!("GET {target} HTTP/1.1\r\n{hosts}Connection: close\r\n\r\n")
    };
    for (target, hosts) in [
        ("/", &["secret.example"][..]),
        ("/", &["SECRET.example:9000"]),
        ("/", &["secret.example."]),
        ("http://secret.example/", &["echo"]),
        ("http://secret.example:80/", &["secret.example"]),
    ] {
        let answered = place.raw(&with(target, hosts)).await;
        assert_eq!(
            answered,
            refused(403, "authorization_denied"),
            "{target} {hosts:?}"
        );
    }
    // Whose host is it? Nobody can say.
    for hosts in [
        &["echo", "secret.example"][..],
        &["secret.example", "echo"],
        &["echo", "echo"],
    ] {
        let answered = place.raw(&with("/", hosts)).await;
        assert_eq!(answered, refused(400, "host_invalid"), "{hosts:?}");
    }
    // Some would find one host in these, others another one.
    for (target, host) in [
        ("/", "echo@secret.example"),
        ("/", "secret.example/echo"),
        ("/", "secret.example#echo"),
        ("http://echo@secret.example/", "echo"),
    ] {
        let answered = place.raw(&with(target, &[host])).await;
        assert_eq!(answered, refused(400, "host_invalid"), "{target} {host}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forged_tokens_are_refused_by_name() {
    let place = Place::start().await;
    let header = json!({"alg": "EdDSA", "kid": "k"});
    let claims = json!({"iss": "iss", "sub": "me", "aud": "here"});
    let changed = |name: &str, value: Value| {
        let mut claims = claims.clone();
        claims[name] = value;
        place.token(&header, &claims)
    };
    let unsigned = |alg: &str, signature: &str| {
        let header = json!({"alg": alg, "kid": "k"});
        format!(
            "{}.{}.{signature}",
            encode(header.to_string()),
            encode(claims.to_string())
        )
    };
    // The public key as the secret of an HMAC.
    let secret = hmac::Key::new(hmac::HMAC_SHA256, place.key.public_key().as_ref());
    let unsigned_hmac = unsigned("HS256", "");
    let message = unsigned_hmac.trim_end_matches('.');
    let confused = format!(
        "{message}.{}",
        encode(hmac::sign(&secret, message.as_bytes()))
    );
    let other = Ed25519KeyPair::generate().unwrap();
    let good = place.token(&header, &claims);
    let signed = &good[..good.rfind('.').unwrap()];
    let forged = format!("{signed}.{}", encode(other.sign(signed.as_bytes())));
    for (token, status, want) in [
        (unsigned("none", ""), 401, "jwt_algorithm_refused"),
        (unsigned("None", "AA"), 401, "jwt_algorithm_refused"),
        (confused, 401, "jwt_algorithm_refused"),
        (forged, 401, "jwt_signature_invalid"),
        (
            place.token(&json!({"alg": "EdDSA", "kid": "x"}), &claims),
            401,
            "jwt_key_unknown",
        ),
        (changed("iss", json!("evil")), 401, "jwt_issuer_unknown"),
        (changed("aud", json!("there")), 403, "jwt_audience_refused"),
        (changed("exp", json!(1)), 401, "jwt_expired"),
        (
            changed("nbf", json!(99_999_999_999_u64)),
            401,
            "jwt_not_yet_valid",
        ),
        (format!("{good}.x"), 401, "jwt_malformed"),
        ("x".repeat(17 * 1024), 401, "jwt_too_large"),
    ] {
        // Where no token is needed, a bad one is refused, too.
        for path in ["/private", "/open"] {
            let answered = place
                .get(path, &format!("Authorization: Bearer {token}\r\n"))
                .await;
            assert_eq!(answered, refused(status, want), "{path} {token:.60}");
        }
    }
    let (status, _, seen) = place
        .get(
            "/private",
            &format!("Authorization: Bearer {good}\r\nX-Sub: root\r\n"),
        )
        .await;
    assert_eq!(status, 200);
    let fields = seen.unwrap().headers;
    let sub: Vec<_> = fields.iter().filter(|(name, _)| name == "x-sub").collect();
    assert_eq!(sub, [&("x-sub".to_owned(), "me".to_owned())]);
    assert!(
        !fields.iter().any(|(name, _)| name == "authorization"),
        "{fields:?}"
    );
    // Without a token the header that tells who it is says nothing.
    let answered = place.get("/private", "X-Sub: me\r\n").await;
    assert_eq!(answered, refused(403, "authorization_denied"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_of_the_mesh_prove_nothing() {
    let place = Place::start().await;
    let spoofed = "X-Forwarded-Client-Cert: By=spiffe://cluster.local/ns/default/sa/echo;Hash=00;URI=spiffe://cluster.local/ns/default/sa/client\r\nX-Mesh-Peer: workload=client\r\nX-Sub: root\r\n";
    let answered = place.get("/client", spoofed).await;
    assert_eq!(answered, refused(403, "authorization_denied"));
    let (status, _, seen) = place.get("/open", spoofed).await;
    assert_eq!(status, 200);
    for (name, value) in seen.unwrap().headers {
        let of_mesh = ["x-forwarded-client-cert", "x-mesh-peer", "x-sub"];
        assert!(!of_mesh.contains(&name.as_str()), "{name}: {value}");
    }
    // Who has the certificate may.
    let request = http::Request::get("http://echo:9000/client").body(bytes::Bytes::new());
    let answer = place.mesh.send("client", request.unwrap()).await.unwrap();
    assert_eq!(answer.status.as_u16(), 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_was_let_in_is_not_let_in_for_ever() {
    let place = Place::start().await;
    let mut stream = TcpStream::connect(place.address).await.unwrap();
    let mut ask = async || {
        let request = b"GET /later HTTP/1.1\r\nHost: echo:9000\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).await.unwrap();
        let mut rest = vec![0; 16 * 1024];
        let read = stream.read(&mut rest).await.unwrap();
        let rest = String::from_utf8_lossy(&rest[..read]).into_owned();
        (String::from_utf8_lossy(&head).into_owned(), rest)
    };
    assert_eq!(ask().await.0, "HTTP/1.1 200");
    let closed = POLICIES.replace("/admin/*", "/admin/*, /later");
    place
        .mesh
        .apply("policies.yaml", Some(&closed))
        .await
        .unwrap();
    let (status, rest) = ask().await;
    assert_eq!(status, "HTTP/1.1 403");
    assert!(
        rest.contains("x-mesh-reason: authorization_denied"),
        "{rest}"
    );
}
