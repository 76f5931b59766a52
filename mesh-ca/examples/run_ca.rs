//! Runs a certificate authority inside a program, and gets a certificate from it over gRPC, as a
//! workload does: it joins by a token, and holds the key itself.
//!
//! ```sh
//! cargo run -p mesh-ca --example run_ca
//! ```

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper_util::rt::TokioIo;
use mesh_api::v1::SignRequest;
use mesh_api::v1::certificate_service_client::CertificateServiceClient;
use mesh_ca::listen::{BoundAddress, Socket};
use mesh_ca::{App, AuthorityOptions, JoinClaims, SecretKey, Settings, certificate_identity};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    // The authority: keys in a directory, gRPC on a free port.
    let dir = std::env::temp_dir().join(format!("mesh-ca-example-{}", std::process::id()));
    let bound = App::build(Settings {
        dir: dir.clone(),
        cacerts: None,
        listen: vec!["127.0.0.1:0".parse()?],
        authority: AuthorityOptions::default(),
        dns_names: Vec::new(),
    })
    .await?;
    let roots = bound.authority().roots_der().to_vec();
    let token = bound.tokens().mint(&JoinClaims {
        workload: "default/reviews-v1".parse()?,
        service_account: "reviews".to_owned(),
        expires: SystemTime::now() + Duration::from_secs(60),
        single_use: true,
        labels: [].into(),
    })?;
    let address = bound
        .addresses
        .first()
        .cloned()
        .ok_or("the authority does not listen")?;
    println!("authority: {address}");
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(bound.run(shutdown.clone()));

    // The workload: it knows the roots, an address and its token.
    let key = SecretKey::generate()?;
    let mut request = tonic::Request::new(SignRequest {
        csr_der: key.certificate_request()?,
        ttl_seconds: 3600,
    });
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {token}").parse()?);
    let response = connect(address, &roots)
        .await?
        .sign(request)
        .await?
        .into_inner();
    let leaf = response
        .chain_der
        .first()
        .ok_or("the answer holds no certificate")?;
    let (identity, expires) = certificate_identity(leaf)?;
    println!("identity:  {identity}");
    println!(
        "valid for: {} s",
        expires.duration_since(SystemTime::now())?.as_secs()
    );

    shutdown.cancel();
    serving.await??;
    std::fs::remove_dir_all(dir)?;
    Ok(())
}

async fn connect(
    address: BoundAddress,
    roots: &[Vec<u8>],
) -> Result<CertificateServiceClient<tonic::transport::Channel>, Failure> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from(root.clone()))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let tls = TlsConnector::from(Arc::new(config));
    let connector = tower::service_fn(move |_| {
        let (tls, address) = (tls.clone(), address.clone());
        async move {
            let stream = Socket::connect(&address.into()).await?;
            let stream = tls
                .connect(ServerName::try_from("mesh-ca")?, stream)
                .await?;
            Ok::<_, Failure>(TokioIo::new(stream))
        }
    });
    let channel = Endpoint::from_static("http://mesh-ca")
        .connect_with_connector(connector)
        .await?;
    Ok(CertificateServiceClient::new(channel))
}
