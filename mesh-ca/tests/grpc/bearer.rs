//! Tokens of other issuers, and an authority whose material changes while it serves.

use std::sync::Arc;
use std::time::SystemTime;

use mesh_api::v1::SignRequest;
use mesh_api::v1::certificate_service_server::CertificateService;
use mesh_ca::listen::{Access, Listener};
use mesh_ca::tls::{Incoming, IncomingOptions, ServerTls};
use mesh_ca::{
    AdmissionOptions, AuthenticatedCaller, Authority, AuthorityMaterial, AuthorityOptions,
    BearerAuthenticator, BearerRefusal, CallerRate, CertificateAuthority, JoinClaims, JoinTokens,
    Ledger, RefusalReason, SecretKey, ServerName, certificate_binding, certificate_identity,
    keep_renewed,
};
use tokio::task::JoinSet;
use tonic::{Code, Request, Status};

use super::client::reason;
use super::{DEADLINE, handshake};

/// Knows tokens that begin with `known-`, by what follows.
#[derive(Debug)]
struct Issuer;

#[tonic::async_trait]
impl BearerAuthenticator for Issuer {
    async fn authenticate(
        &self,
        token: &str,
    ) -> Result<Option<AuthenticatedCaller>, BearerRefusal> {
        let Some(kind) = token.strip_prefix("known-") else {
            return Ok(None);
        };
        match kind {
            "expired" => Err(BearerRefusal::Expired { ago_seconds: 7 }),
            "audience" => Err(BearerRefusal::Audience {
                found: "vault".to_owned(),
                wanted: "istio-ca".to_owned(),
            }),
            "forged" => Err(BearerRefusal::Unauthenticated("bad signature".to_owned())),
            "user" => Err(BearerRefusal::Identity("admin".to_owned())),
            "away" => Err(BearerRefusal::Unavailable("it is away".to_owned())),
            account => Ok(Some(AuthenticatedCaller {
                namespace: "shop".to_owned(),
                service_account: account.to_owned(),
                workload: Some("shop/reviews-v1-abc".parse().unwrap()),
            })),
        }
    }
}

async fn ask(service: &CertificateAuthority, token: &str) -> Result<String, Status> {
    let key = SecretKey::generate().unwrap();
    let mut request = Request::new(SignRequest {
        csr_der: key.certificate_request().unwrap(),
        ttl_seconds: 0,
    });
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {token}").parse().unwrap());
    let response = service.sign(request).await?.into_inner();
    let leaf = &response.chain_der[0];
    let (identity, _) = certificate_identity(leaf).unwrap();
    // A pod that is named is bound to its certificate, and no label is granted to it.
    if token.starts_with("known-") {
        let bound = certificate_binding(leaf).unwrap().unwrap();
        assert_eq!(bound.workload.to_string(), "shop/reviews-v1-abc");
        assert!(bound.labels.is_empty());
    }
    assert_eq!(response.identity, identity.to_string());
    Ok(response.identity)
}

fn material() -> AuthorityMaterial {
    AuthorityMaterial::generate(&AuthorityOptions::default(), SystemTime::now()).unwrap()
}

fn authority() -> Arc<Authority> {
    Arc::new(Authority::from_material(material(), &AuthorityOptions::default()).unwrap())
}

#[tokio::test]
async fn tokens_of_another_issuer_are_taken_beside_ours() {
    let key = JoinTokens::new_key().unwrap();
    let tokens = Arc::new(JoinTokens::from_key(&key).unwrap());
    let plain = CertificateAuthority::new(authority(), Arc::clone(&tokens));
    let service = plain.clone().with_authenticator(Arc::new(Issuer));
    assert_eq!(
        ask(&service, "known-reviews").await.unwrap(),
        "spiffe://cluster.local/ns/shop/sa/reviews"
    );
    for (token, code, why) in [
        ("known-expired", Code::Unauthenticated, "token_expired"),
        ("known-audience", Code::Unauthenticated, "token_audience"),
        ("known-forged", Code::Unauthenticated, "token_invalid"),
        ("known-user", Code::PermissionDenied, "token_identity"),
        ("known-No Name", Code::PermissionDenied, "token_identity"),
        ("known-away", Code::Unavailable, "issuer_unavailable"),
        ("unknown", Code::Unauthenticated, "token_malformed"),
        ("mesh1.a.b.c", Code::Unauthenticated, "token_malformed"),
    ] {
        let status = ask(&service, token).await.unwrap_err();
        assert_eq!((status.code(), reason(&status)), (code, why), "{token}");
    }
    let status = ask(&plain, "known-reviews").await.unwrap_err();
    assert_eq!(reason(&status), "token_malformed");
    let counters = service.counters();
    let count = |wanted: RefusalReason| {
        let mut refused = counters.refused();
        refused.find(|(reason, _)| *reason == wanted).unwrap().1
    };
    assert_eq!(counters.issued(), 1);
    assert_eq!(count(RefusalReason::IssuerUnavailable), 1);
    assert_eq!(count(RefusalReason::TokenIdentity), 2);

    let mint = |single_use| {
        let claims = JoinClaims {
            workload: "shop/web".parse().unwrap(),
            service_account: "web".to_owned(),
            expires: SystemTime::now() + DEADLINE,
            single_use,
            labels: [].into(),
        };
        tokens.mint(&claims).unwrap()
    };
    // Another replica has the same key.
    let tokens = Arc::new(JoinTokens::from_key(&key).unwrap());
    let replica = CertificateAuthority::new(authority(), Arc::clone(&tokens));
    for _ in 0..2 {
        assert_eq!(
            ask(&replica, &mint(false)).await.unwrap(),
            "spiffe://cluster.local/ns/shop/sa/web"
        );
    }
    let status = ask(&replica, &mint(true)).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::PermissionDenied, "token_single_use")
    );
    tokens.replace_key(&JoinTokens::new_key().unwrap()).unwrap();
    let status = ask(&replica, &mint(false)).await.unwrap_err();
    assert_eq!(reason(&status), "token_foreign");
    assert!(tokens.replace_key(b"short").is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_follows_its_authority() {
    let authority = authority();
    let name = ServerName {
        identity: "spiffe://cluster.local/ns/istio-system/sa/meshd"
            .parse()
            .unwrap(),
        dns_names: vec!["localhost".to_owned()],
    };
    let tls = ServerTls::without_client_certificates().unwrap();
    let due = name.present(&authority, &tls).unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(keep_renewed(name, Arc::clone(&authority), tls.clone(), due));
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap(), Access::Anybody)
        .await
        .unwrap();
    let address = listener.address().unwrap();
    let mut incoming = Incoming::new(listener, tls, IncomingOptions::default());
    tasks.spawn(async move {
        use futures_util::StreamExt;
        while let Some(Ok(connection)) = incoming.next().await {
            drop(connection);
        }
    });
    let before = authority.roots_der();
    handshake(&address, &before).await.unwrap();
    let next = material();
    authority.adopt(next.clone(), SystemTime::now()).unwrap();
    let follows = async { while handshake(&address, next.roots_der()).await.is_err() {} };
    tokio::time::timeout(DEADLINE, follows).await.unwrap();
    assert!(handshake(&address, &before).await.is_err());
}

#[tokio::test]
async fn what_nobody_gets_is_not_in_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let tokens = Arc::new(JoinTokens::open(dir.path()).unwrap());
    let ledger = Arc::new(Ledger::open(dir.path(), SystemTime::now()).unwrap());
    let service = CertificateAuthority::new(authority(), Arc::clone(&tokens))
        .with_ledger(Arc::clone(&ledger));
    let claims = JoinClaims {
        workload: "default/a".parse().unwrap(),
        service_account: "a".to_owned(),
        expires: SystemTime::now() + DEADLINE,
        single_use: true,
        labels: [].into(),
    };
    let token = tokens.mint(&claims).unwrap();
    ask(&service, &token).await.unwrap();
    for _ in 0..3 {
        let status = ask(&service, &token).await.unwrap_err();
        assert_eq!(reason(&status), "token_replayed");
    }
    let holders = ledger.holders(SystemTime::now());
    assert_eq!(
        (holders.len(), holders[0].leaves.len()),
        (1, 1),
        "{holders:?}"
    );
    let text = std::fs::read_to_string(dir.path().join("audit.jsonl")).unwrap();
    let lines = |what: &str| text.lines().filter(|line| line.contains(what)).count();
    assert_eq!(
        (lines("\"issued\""), lines("token_replayed")),
        (1, 3),
        "{text}"
    );
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_again() {
    let key = JoinTokens::new_key().unwrap();
    let tokens = Arc::new(JoinTokens::from_key(&key).unwrap());
    let options = AdmissionOptions {
        rate: CallerRate {
            burst: 2,
            every: DEADLINE,
        },
    };
    let service = CertificateAuthority::new(authority(), tokens)
        .with_authenticator(Arc::new(Issuer))
        .with_admission(&options);
    for _ in 0..2 {
        ask(&service, "known-reviews").await.unwrap();
    }
    let status = ask(&service, "known-reviews").await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::ResourceExhausted, "too_often")
    );
    let seconds = status
        .metadata()
        .get("retry-after")
        .unwrap()
        .to_str()
        .unwrap();
    assert!(
        (1..=DEADLINE.as_secs()).contains(&seconds.parse().unwrap()),
        "{seconds}"
    );
}
