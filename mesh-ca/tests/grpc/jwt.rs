//! JWT-SVIDs over real sockets.

use std::path::Path;
use std::time::Duration;

use mesh_api::v1::{SignJwtRequest, SignJwtResponse};
use mesh_ca::SecretKey;
use tonic::{Code, Request, Status};

use crate::client::{Client, Credentials, reason};
use crate::{DEADLINE, HOUR, Server, sign};

async fn token(
    client: &mut Client,
    audience: &[&str],
    bearer: Option<&str>,
) -> Result<SignJwtResponse, Status> {
    let audience = audience.iter().map(ToString::to_string).collect();
    let mut request = Request::new(SignJwtRequest { audience });
    if let Some(bearer) = bearer {
        let value = format!("Bearer {bearer}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
    }
    tokio::time::timeout(DEADLINE, client.sign_jwt(request))
        .await
        .unwrap()
        .map(tonic::Response::into_inner)
}

async fn joined(server: &Server) -> Credentials {
    let mut client = server.connect(None).await;
    let key = SecretKey::generate().unwrap();
    let join = server.token(false, HOUR);
    let answer = sign(&mut client, &key, Some(&join), 600).await.unwrap();
    Credentials {
        chain_der: answer.chain_der,
        key,
    }
}

fn audit(dir: &Path, event: &str) -> Vec<serde_json::Value> {
    let text = std::fs::read_to_string(dir.join("ca/audit.jsonl")).unwrap();
    let entries = text.lines().map(|line| serde_json::from_str(line).unwrap());
    entries
        .filter(|entry: &serde_json::Value| entry["event"] == event)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_names_the_caller_and_is_written_down() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let mut client = server.connect(Some(&joined(&server).await)).await;
    let answer = token(&mut client, &["db", "web"], None).await.unwrap();
    assert_eq!(
        answer.identity,
        "spiffe://cluster.local/ns/default/sa/reviews"
    );
    assert_eq!(answer.not_after - answer.not_before, 300);
    assert_eq!(answer.token.split('.').count(), 3);
    assert!(!format!("{answer:?}").contains(&answer.token));
    let [entry] = &audit(dir.path(), "jwtIssued")[..] else {
        panic!("one token, one line");
    };
    assert_eq!(entry["identity"], answer.identity);
    assert_eq!(entry["audience"], serde_json::json!(["db", "web"]));
    assert_eq!(entry["notAfter"], answer.not_after);
    assert!(!entry.to_string().contains(&answer.token));
    let bundle = client.trust_bundle(mesh_api::v1::TrustBundleRequest {});
    let bundle = bundle.await.unwrap().into_inner();
    assert!(bundle.jwks.contains("P-256"), "{bundle:?}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tokens_are_refused_by_reason() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let mut nobody = server.connect(None).await;
    for bearer in [None, Some(server.token(false, HOUR))] {
        let refused = token(&mut nobody, &["db"], bearer.as_deref()).await;
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{refused}");
        assert_eq!(reason(&refused), "no_credentials");
    }
    let credentials = joined(&server).await;
    let mut client = server.connect(Some(&credentials)).await;
    let refused = token(&mut client, &[], None).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    assert_eq!(reason(&refused), "audience");

    // Asking without end costs the caller tokens, and not its certificate.
    let mut refused = None;
    for _ in 0..200 {
        if let Err(status) = token(&mut client, &["db"], None).await {
            refused = Some(status);
            break;
        }
    }
    let refused = refused.unwrap();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert_eq!(reason(&refused), "too_often");
    let seconds = refused.metadata().get("retry-after").unwrap();
    assert!(seconds.to_str().unwrap().parse::<u64>().unwrap() >= 1);
    let key = SecretKey::generate().unwrap();
    tokio::time::timeout(Duration::from_secs(20), sign(&mut client, &key, None, 600))
        .await
        .unwrap()
        .unwrap();
    let refusals = audit(dir.path(), "refused");
    let told = |reason: &str| refusals.iter().any(|entry| entry["reason"] == reason);
    assert!(told("no_credentials") && told("audience") && told("too_often"));
    server.stop().await;
}
