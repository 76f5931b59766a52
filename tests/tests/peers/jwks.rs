//! Keys of an issuer outside of the mesh, who signs by PyJWT: fetched, replaced, and served badly.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use mesh_tests::LaptopMesh;

use crate::nginx::Nginx;
use crate::place::{mesh, workload};
use crate::programs::{Daemon, PAUSE, free_port, must, program, script};

/// What the issuer serves badly, and in which words that is told.
const BAD: [(&str, &str); 6] = [
    ("slow", "no answer within"),
    ("huge", "is longer than"),
    ("moved", "answered 302"),
    ("failing", "answered 500"),
    ("garbage", "is no JSON Web Key Set"),
    ("empty", "is no JSON Web Key Set"),
];
/// An issuer is asked again because of unknown keys no more often than every 10 s.
const LIMIT: Duration = Duration::from_secs(40);

const CALLERS: &str = "\
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: callers}
spec: {rules: [{from: [{source: {requestPrincipals: ['*']}}]}]}
---
";

struct Place {
    mesh: LaptopMesh,
    issuer: u16,
    _server: Daemon,
    _nginx: Nginx,
}

/// A RequestAuthentication with an issuer for each path.
fn rules(name: &str, issuer: u16, paths: &[&str]) -> String {
    let mut text = format!(
        "\
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {{name: {name}}}
spec:
  jwtRules:
"
    );
    for path in paths {
        let uri = format!("http://127.0.0.1:{issuer}/{path}");
        writeln!(text, "  - {{issuer: by-{path}, jwksUri: '{uri}'}}").unwrap();
    }
    text
}

impl Place {
    async fn start() -> Self {
        let issuer = free_port();
        let mut command = script("jwks_server.py");
        command.arg(issuer.to_string());
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, issuer));
        let server = Daemon::start(command, Daemon::directory(), address).await;
        let config = format!("{CALLERS}{}", rules("tokens", issuer, &["keys"]));
        let nginx = Nginx::start().await;
        let mesh = mesh(&workload("web", "http", 8080, nginx.port), &config).await;
        Self {
            mesh,
            issuer,
            _server: server,
            _nginx: nginx,
        }
    }

    async fn ask(&self, method: &str, path: &str) -> String {
        let mut curl = Command::new(program("curl"));
        let url = format!("http://127.0.0.1:{}{path}", self.issuer);
        curl.env_clear()
            .args(["-q", "-sSf", "--max-time", "30", "-X", method, &url]);
        must(curl).await
    }

    async fn token(&self, algorithm: &str, issuer: &str) -> String {
        let path = format!("/token?alg={algorithm}&iss=by-{issuer}");
        self.ask("GET", &path).await
    }

    /// Status and named reason of the answer to a request with this token.
    async fn call(&self, token: &str) -> String {
        let request = Request::get("http://web:8080/hello")
            .header("host", "web:8080")
            .header("authorization", format!("Bearer {token}"))
            .body(Bytes::new())
            .unwrap();
        let answer = self.mesh.send("client", request).await.unwrap();
        let reason = answer.headers.get("x-mesh-reason");
        let reason = reason.and_then(|reason| reason.to_str().ok());
        format!("{} {}", answer.status.as_u16(), reason.unwrap_or_default())
            .trim()
            .to_owned()
    }

    async fn until(&self, token: &str, wanted: &str) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let found = self.call(token).await;
            if found == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "{found} instead of {wanted}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

// Up to half a minute: the control plane waits 5 s for a server that says nothing, and asks an
// issuer again because of unknown keys only after 10 s.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_an_issuer_are_fetched_and_follow_theirs() {
    let place = Place::start().await;
    for algorithm in ["RS256", "PS384", "ES256", "ES384", "EdDSA"] {
        let token = place.token(algorithm, "keys").await;
        place.until(&token, "200").await;
    }
    let old = place.token("ES256", "keys").await;
    place.ask("POST", "/replace").await;
    let asked: u32 = place.ask("GET", "/asked").await.parse().unwrap();
    for algorithm in ["EdDSA", "RS256"] {
        let new = place.token(algorithm, "keys").await;
        place.until(&new, "200").await;
    }
    // What nobody vouches for any more is refused, in whichever state the keys are.
    place.until(&old, "401 jwt_key_unknown").await;
    for _ in 0..20 {
        assert_eq!(place.call(&old).await, "401 jwt_key_unknown");
    }
    let after: u32 = place.ask("GET", "/asked").await.parse().unwrap();
    assert!(after > asked, "it was never asked again");
    assert!(after - asked <= 4, "it was asked {} times", after - asked);

    // Without keys no token holds, and status says why.
    let bad = rules("bad", place.issuer, &BAD.map(|(path, _)| path));
    place.mesh.apply("bad.yaml", Some(&bad)).await.unwrap();
    for (path, _) in BAD {
        let token = place.token("ES256", path).await;
        place.until(&token, "401 jwt_keys_unavailable").await;
    }
    let deadline = Instant::now() + LIMIT;
    loop {
        let problems = place.mesh.meshd("/v1/problems").await.unwrap();
        let problems = problems["problems"].as_array().unwrap();
        let told = |(path, words): &(&str, &str)| {
            let uri = format!("/{path} cannot be fetched");
            problems.iter().any(|problem| {
                let message = problem["message"].as_str().unwrap_or_default();
                message.contains(&uri) && message.contains(words)
            })
        };
        if BAD.iter().all(told) {
            break;
        }
        assert!(Instant::now() < deadline, "{problems:#?}");
        tokio::time::sleep(PAUSE).await;
    }
    place.mesh.stop().unwrap();
}
