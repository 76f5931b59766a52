//! How many certificates one core signs, the caller's proof checked and the record written; and
//! what happens when ten thousand proxies ask at once.
//!
//! ```sh
//! cargo bench -p mesh-ca                     # all of it
//! cargo bench -p mesh-ca -- --proxies 1000   # a smaller storm
//! ```
//!
//! Numbers of a profile without optimization say nothing.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark that fails has failed, and says what it found"
)]

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use hyper_util::rt::TokioIo;
use mesh_api::v1::certificate_service_client::CertificateServiceClient;
use mesh_api::v1::certificate_service_server::CertificateService as _;
use mesh_api::v1::{SignRequest, SignResponse};
use mesh_ca::listen::{BoundAddress, ListenAddress, Socket};
use mesh_ca::{
    App, Authority, AuthorityOptions, CertificateAuthority, JoinClaims, JoinTokens, Ledger,
    PeerCertificates, SecretKey, Settings,
};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tonic::Request;
use tonic::transport::Endpoint;

/// For each way to prove oneself.
const MEASURED: Duration = Duration::from_secs(3);

fn main() {
    let mut proxies = 10_000;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        // Cargo adds `--bench`.
        if argument == "--proxies" {
            proxies = arguments.next().unwrap().parse().unwrap();
        }
    }
    let one = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    one.block_on(signatures());
    let many = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    many.block_on(storm(proxies));
}

fn claims(number: usize) -> JoinClaims {
    JoinClaims {
        workload: format!("default/w{number}").parse().unwrap(),
        service_account: "w".to_owned(),
        expires: SystemTime::now() + Duration::from_secs(3600),
        single_use: false,
        labels: [].into(),
    }
}

/// On one thread, without a network: what the authority itself costs.
async fn signatures() {
    let dir = tempfile::tempdir().unwrap();
    let authority = Arc::new(Authority::open(dir.path(), &AuthorityOptions::default()).unwrap());
    let tokens = Arc::new(JoinTokens::open(dir.path()).unwrap());
    let ledger = Arc::new(Ledger::open(dir.path(), SystemTime::now()).unwrap());
    let service = CertificateAuthority::new(authority, Arc::clone(&tokens)).with_ledger(ledger);
    // Making keys is the callers' work.
    let requests: Vec<Vec<u8>> = (0..64)
        .map(|_| {
            SecretKey::generate()
                .unwrap()
                .certificate_request()
                .unwrap()
        })
        .collect();
    let mut chains: Vec<Vec<Vec<u8>>> = Vec::new();

    let begun = Instant::now();
    let mut count = 0_usize;
    while begun.elapsed() < MEASURED {
        let csr_der = requests.get(count % requests.len()).unwrap().clone();
        let token = tokens.mint(&claims(count)).unwrap();
        let mut request = Request::new(SignRequest {
            csr_der,
            ttl_seconds: 0,
        });
        let value = format!("Bearer {token}").parse().unwrap();
        request.metadata_mut().insert("authorization", value);
        let answer = service.sign(request).await.unwrap().into_inner();
        chains.push(answer.chain_der);
        count += 1;
    }
    say("by join token", count, begun.elapsed());

    let begun = Instant::now();
    let mut count = 0_usize;
    while begun.elapsed() < MEASURED {
        let csr_der = requests.get(count % requests.len()).unwrap().clone();
        // Each renews by its last certificate.
        let index = count % chains.len();
        let chain = chains.get(index).unwrap().iter();
        let chain = chain.map(|der| CertificateDer::from(der.clone())).collect();
        let mut request = Request::new(SignRequest {
            csr_der,
            ttl_seconds: 0,
        });
        request
            .extensions_mut()
            .insert(PeerCertificates::new(chain));
        let answer: SignResponse = service.sign(request).await.unwrap().into_inner();
        *chains.get_mut(index).unwrap() = answer.chain_der;
        count += 1;
    }
    say("by certificate", count, begun.elapsed());
}

fn say(what: &str, count: usize, elapsed: Duration) {
    let rate = count as f64 / elapsed.as_secs_f64();
    println!("signatures {what}: {rate:.0} /s on one core");
}

/// Every proxy connects over TLS and asks, all at once; each tries again as it is told.
async fn storm(proxies: usize) {
    let dir = tempfile::tempdir().unwrap();
    let bound = App::build(Settings {
        dir: dir.path().join("ca"),
        cacerts: None,
        listen: vec![ListenAddress::Unix(dir.path().join("ca.sock"))],
        authority: AuthorityOptions::default(),
        dns_names: Vec::new(),
    })
    .await
    .unwrap();
    mesh_ca::listen::raise_descriptor_limit();
    let address = bound.addresses.first().unwrap().clone();
    let (tokens, counters) = (Arc::clone(bound.tokens()), bound.counters());
    let tls = connector(&bound.authority().roots_der());
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(bound.run(shutdown.clone()));
    let begun = Instant::now();
    let mut asking = tokio::task::JoinSet::new();
    for number in 0..proxies {
        let (tls, address) = (tls.clone(), address.clone());
        let token = tokens.mint(&claims(number)).unwrap();
        asking.spawn(async move {
            let csr = SecretKey::generate()
                .unwrap()
                .certificate_request()
                .unwrap();
            let mut refusals = 0_u32;
            while ask(&tls, &address, &csr, &token).await.is_none() {
                refusals += 1;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            (begun.elapsed(), refusals)
        });
    }
    let mut times = Vec::new();
    let mut again = 0;
    while let Some(done) = asking.join_next().await {
        let (time, refusals) = done.unwrap();
        times.push(time);
        again += refusals;
    }
    times.sort();
    let at = |share: f64| {
        let index = (times.len() as f64 * share) as usize;
        times.get(index.min(times.len() - 1)).unwrap().as_secs_f64()
    };
    println!(
        "{proxies} proxies at once, keys and TLS of both sides on this machine: {} issued, half after {:.1} s, 99 % after {:.1} s, the last after {:.1} s; {again} tried again",
        counters.issued(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
    assert_eq!(times.len(), proxies, "none starves");
    shutdown.cancel();
    running.await.unwrap().unwrap();
}

fn connector(roots: &[Vec<u8>]) -> TlsConnector {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from(root.clone())).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    TlsConnector::from(Arc::new(config))
}

async fn ask(
    tls: &TlsConnector,
    address: &BoundAddress,
    csr: &[u8],
    token: &str,
) -> Option<SignResponse> {
    let (tls, address) = (tls.clone(), address.clone());
    let connector = tower::service_fn(move |_| {
        let (tls, address) = (tls.clone(), address.clone());
        async move {
            let socket = Socket::connect(&address.into()).await?;
            let name = ServerName::try_from("mesh-ca").map_err(std::io::Error::other)?;
            Ok::<_, std::io::Error>(TokioIo::new(tls.connect(name, socket).await?))
        }
    });
    let channel = Endpoint::from_static("http://mesh-ca")
        .connect_with_connector(connector)
        .await
        .ok()?;
    let mut request = Request::new(SignRequest {
        csr_der: csr.to_vec(),
        ttl_seconds: 0,
    });
    let value = format!("Bearer {token}").parse().ok()?;
    request.metadata_mut().insert("authorization", value);
    let answer = CertificateServiceClient::new(channel).sign(request).await;
    answer.ok().map(tonic::Response::into_inner)
}
