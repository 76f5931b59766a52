//! The authority over real sockets: who gets which certificate, and who does not.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that fails here has failed"
)]

mod bearer;
mod binding;
mod client;
mod istio;
mod jwt;
mod refusals;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use client::{Client, Credentials, connect, reason, tls_config};
use mesh_api::v1::{SignRequest, SignResponse, TrustBundleRequest};
use mesh_ca::listen::{Access, BoundAddress, ListenAddress, Listener};
use mesh_ca::tls::{Incoming, IncomingOptions, ServerTls};
use mesh_ca::{
    App, Authority, AuthorityOptions, Issue, IssueCounters, JoinClaims, JoinTokens,
    PeerCertificates, RunError, SecretKey, ServerName, Settings, certificate_identity,
};
use rustls::pki_types::CertificateDer;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Request, Status};

const DEADLINE: Duration = Duration::from_secs(20);

struct Server {
    addresses: Vec<BoundAddress>,
    authority: Arc<Authority>,
    tokens: Arc<JoinTokens>,
    counters: Arc<IssueCounters>,
    shutdown: CancellationToken,
    running: JoinHandle<Result<(), RunError>>,
}

impl Server {
    async fn start(dir: &Path) -> Self {
        let socket = dir.join("ca.sock");
        let settings = Settings {
            dir: dir.join("ca"),
            cacerts: None,
            listen: vec!["127.0.0.1:0".parse().unwrap(), ListenAddress::Unix(socket)],
            authority: AuthorityOptions::default(),
            dns_names: Vec::new(),
        };
        let bound = App::build(settings).await.unwrap();
        let shutdown = CancellationToken::new();
        Self {
            addresses: bound.addresses.clone(),
            authority: Arc::clone(bound.authority()),
            tokens: Arc::clone(bound.tokens()),
            counters: bound.counters(),
            running: tokio::spawn(bound.run(shutdown.clone())),
            shutdown,
        }
    }

    async fn connect(&self, credentials: Option<&Credentials>) -> Client {
        connect(&self.addresses[0], &self.authority.roots_der(), credentials)
            .await
            .unwrap()
    }

    fn token(&self, single_use: bool, life: Duration) -> String {
        let claims = JoinClaims {
            workload: "default/reviews-v1".parse().unwrap(),
            service_account: "reviews".to_owned(),
            expires: SystemTime::now() + life,
            single_use,
            labels: [].into(),
        };
        self.tokens.mint(&claims).unwrap()
    }

    async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(DEADLINE, self.running)
            .await
            .unwrap()
            .unwrap()
            .unwrap();
    }
}

async fn sign(
    client: &mut Client,
    key: &SecretKey,
    token: Option<&str>,
    ttl_seconds: u64,
) -> Result<SignResponse, Status> {
    let csr_der = key.certificate_request().unwrap();
    let mut request = Request::new(SignRequest {
        csr_der,
        ttl_seconds,
    });
    if let Some(token) = token {
        request
            .metadata_mut()
            .insert("authorization", format!("Bearer {token}").parse().unwrap());
    }
    tokio::time::timeout(DEADLINE, client.sign(request))
        .await
        .unwrap()
        .map(tonic::Response::into_inner)
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workload_joins_by_token_and_renews_by_certificate() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    for address in &server.addresses {
        let mut client = connect(address, &server.authority.roots_der(), None)
            .await
            .unwrap();
        let key = SecretKey::generate().unwrap();
        let first = sign(&mut client, &key, Some(&server.token(true, HOUR)), 600)
            .await
            .unwrap();
        assert_eq!(
            first.identity,
            "spiffe://cluster.local/ns/default/sa/reviews"
        );
        assert_eq!(first.roots_der, *server.authority.roots_der());
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap()
            .as_secs();
        assert!((598..=600).contains(&(first.not_after - i64::try_from(now).unwrap())));

        let credentials = Credentials {
            chain_der: first.chain_der,
            key,
        };
        let mut client = connect(address, &server.authority.roots_der(), Some(&credentials))
            .await
            .unwrap();
        let second = sign(&mut client, &SecretKey::generate().unwrap(), None, 0)
            .await
            .unwrap();
        assert_eq!(second.identity, first.identity);
        assert_eq!(
            certificate_identity(&second.chain_der[0])
                .unwrap()
                .0
                .as_str(),
            first.identity
        );
        assert!(second.not_after > first.not_after);
    }
    assert_eq!(server.counters.issued(), 4);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_has_its_status_and_reason() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = JoinTokens::open(elsewhere.path()).unwrap();
    let claims = JoinClaims {
        workload: "default/a".parse().unwrap(),
        service_account: "a".to_owned(),
        expires: SystemTime::now() + HOUR,
        single_use: false,
        labels: [].into(),
    };
    let foreign = foreign.mint(&claims).unwrap();
    let expired = JoinClaims {
        expires: SystemTime::now() - Duration::from_secs(5),
        ..claims
    };
    let expired = server.tokens.mint(&expired).unwrap();
    let mut damaged = server.token(false, HOUR);
    damaged.truncate(damaged.len() - 2);
    let used = server.token(true, HOUR);
    let mut client = server.connect(None).await;
    sign(&mut client, &SecretKey::generate().unwrap(), Some(&used), 0)
        .await
        .unwrap();

    for (token, code, want) in [
        (None, Code::Unauthenticated, "no_credentials"),
        (
            Some(foreign.as_str()),
            Code::Unauthenticated,
            "token_foreign",
        ),
        (
            Some(expired.as_str()),
            Code::Unauthenticated,
            "token_expired",
        ),
        (
            Some(damaged.as_str()),
            Code::Unauthenticated,
            "token_malformed",
        ),
        (Some("nonsense"), Code::Unauthenticated, "token_malformed"),
        (
            Some(used.as_str()),
            Code::PermissionDenied,
            "token_replayed",
        ),
    ] {
        let status = sign(&mut client, &SecretKey::generate().unwrap(), token, 0)
            .await
            .unwrap_err();
        assert_eq!((status.code(), reason(&status)), (code, want), "{status}");
        let counted = server
            .counters
            .refused()
            .find(|(reason, _)| reason.as_str() == want)
            .unwrap()
            .1;
        assert!(counted >= 1, "{want} is counted");
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_request_does_not_cost_the_token() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let token = server.token(true, HOUR);
    let mut client = server.connect(None).await;
    let mut bad = Request::new(SignRequest {
        csr_der: b"nonsense".to_vec(),
        ttl_seconds: 0,
    });
    bad.metadata_mut()
        .insert("authorization", format!("bearer {token}").parse().unwrap());
    let status = client.sign(bad).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::InvalidArgument, "request_malformed")
    );
    // Its answer may be lost on the way: the same key may ask again.
    let key = SecretKey::generate().unwrap();
    sign(&mut client, &key, Some(&token), 0).await.unwrap();
    sign(&mut client, &key, Some(&token), 0).await.unwrap();
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_used_token_stays_used_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let token = server.token(true, HOUR);
    let mut client = server.connect(None).await;
    sign(
        &mut client,
        &SecretKey::generate().unwrap(),
        Some(&token),
        0,
    )
    .await
    .unwrap();
    drop(client);
    server.stop().await;

    let server = Server::start(dir.path()).await;
    let mut client = server.connect(None).await;
    let status = sign(
        &mut client,
        &SecretKey::generate().unwrap(),
        Some(&token),
        0,
    )
    .await
    .unwrap_err();
    assert_eq!(reason(&status), "token_replayed");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn roots_are_public() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let bundle = server
        .connect(None)
        .await
        .trust_bundle(TrustBundleRequest {})
        .await
        .unwrap()
        .into_inner();
    assert_eq!(bundle.roots_der, *server.authority.roots_der());
    assert_eq!(bundle.trust_domain, "cluster.local");
    server.stop().await;
}

fn credentials(authority: &Authority, ttl: Duration, now: SystemTime) -> Credentials {
    let key = SecretKey::generate().unwrap();
    let request = Issue {
        identity: "spiffe://cluster.local/ns/default/sa/reviews"
            .parse()
            .unwrap(),
        csr_der: key.certificate_request().unwrap(),
        ttl: Some(ttl),
        dns_names: Vec::new(),
        binding: None,
    };
    Credentials {
        chain_der: authority.issue(&request, now).unwrap().chain_der,
        key,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_and_foreign_certificates_end_in_the_handshake() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path()).await;
    let expired = credentials(&server.authority, HOUR / 60, SystemTime::now() - HOUR / 30);
    let elsewhere = tempfile::tempdir().unwrap();
    let other = Authority::open(elsewhere.path(), &AuthorityOptions::default()).unwrap();
    let foreign = credentials(&other, HOUR, SystemTime::now());
    for bad in [expired, foreign] {
        // With TLS 1.3 the client learns of it when it reads.
        let failed = match connect(
            &server.addresses[0],
            &server.authority.roots_der(),
            Some(&bad),
        )
        .await
        {
            Err(_) => true,
            Ok(mut client) => sign(&mut client, &SecretKey::generate().unwrap(), None, 0)
                .await
                .is_err(),
        };
        assert!(failed);
    }
    assert_eq!(server.counters.issued(), 0);
    // Nor does the client trust another authority's server.
    assert!(
        connect(&server.addresses[0], &other.roots_der(), None)
            .await
            .is_err()
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_older_than_its_certificate_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let authority =
        Arc::new(Authority::open(&dir.path().join("ca"), &AuthorityOptions::default()).unwrap());
    let tokens = Arc::new(JoinTokens::open(&dir.path().join("ca")).unwrap());
    let service = mesh_ca::CertificateAuthority::new(Arc::clone(&authority), tokens);
    let old = credentials(&authority, HOUR / 60, SystemTime::now() - HOUR / 30);
    let csr_der = old.key.certificate_request().unwrap();
    let mut request = Request::new(SignRequest {
        csr_der,
        ttl_seconds: 0,
    });
    let chain = old
        .chain_der
        .iter()
        .map(|der| CertificateDer::from(der.clone()))
        .collect();
    request
        .extensions_mut()
        .insert(PeerCertificates::new(chain));
    use mesh_api::v1::certificate_service_server::CertificateService;
    let status = service.sign(request).await.unwrap_err();
    assert_eq!(
        (status.code(), reason(&status)),
        (Code::Unauthenticated, "certificate_expired")
    );
}

async fn handshake(address: &BoundAddress, roots: &[Vec<u8>]) -> std::io::Result<Vec<u8>> {
    let BoundAddress::Tcp(address) = address else {
        panic!("TCP is asked for")
    };
    let connector = TlsConnector::from(Arc::new(tls_config(roots, None)));
    let stream = TcpStream::connect(address).await?;
    let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
    let stream = connector.connect(name, stream).await?;
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].to_vec())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_clients_disturb_nobody_and_certificates_are_swapped() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(dir.path(), &AuthorityOptions::default()).unwrap();
    let tls = ServerTls::new(&authority.roots_der()).unwrap();
    let name = ServerName {
        identity: "spiffe://cluster.local/ns/istio-system/sa/meshd"
            .parse()
            .unwrap(),
        dns_names: vec!["localhost".to_owned()],
    };
    name.present(&authority, &tls).unwrap();
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap(), Access::Anybody)
        .await
        .unwrap();
    let address = listener.address().unwrap();
    let options = IncomingOptions {
        handshake_timeout: DEADLINE * 10,
        max_handshakes: 3,
        patience: Duration::from_millis(10),
    };
    let mut incoming = Incoming::new(listener, tls.clone(), options);
    let accepting = tokio::spawn(async move {
        use futures_util::StreamExt;
        while let Some(Ok(connection)) = incoming.next().await {
            drop(connection);
        }
    });
    let BoundAddress::Tcp(tcp) = address.clone() else {
        panic!("TCP was asked for")
    };
    let mut silent = Vec::new();
    for n in 0..8 {
        let mut stream = TcpStream::connect(tcp).await.unwrap();
        if n % 2 == 0 {
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                .await
                .unwrap();
        }
        silent.push(stream);
    }
    let first = tokio::time::timeout(DEADLINE, handshake(&address, &authority.roots_der()))
        .await
        .unwrap()
        .unwrap();
    name.present(&authority, &tls).unwrap();
    let second = tokio::time::timeout(DEADLINE, handshake(&address, &authority.roots_der()))
        .await
        .unwrap()
        .unwrap();
    assert_ne!(first, second);
    accepting.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_has_a_time_limit() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Authority::open(dir.path(), &AuthorityOptions::default()).unwrap();
    let tls = ServerTls::new(&authority.roots_der()).unwrap();
    let listener = Listener::bind(&"127.0.0.1:0".parse().unwrap(), Access::Anybody)
        .await
        .unwrap();
    let BoundAddress::Tcp(tcp) = listener.address().unwrap() else {
        panic!("TCP was asked for")
    };
    let options = IncomingOptions {
        handshake_timeout: Duration::from_millis(50),
        max_handshakes: 8,
        ..IncomingOptions::default()
    };
    let mut incoming = Incoming::new(listener, tls, options);
    let accepting = tokio::spawn(async move {
        use futures_util::StreamExt;
        incoming.next().await.is_some()
    });
    let mut stream = TcpStream::connect(tcp).await.unwrap();
    let mut byte = [0];
    let read = tokio::io::AsyncReadExt::read(&mut stream, &mut byte);
    assert_eq!(
        tokio::time::timeout(DEADLINE, read)
            .await
            .unwrap()
            .unwrap_or(0),
        0,
        "the server hangs up"
    );
    accepting.abort();
}
