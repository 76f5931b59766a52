//! A client of the authority over rustls, as a proxy has one.

use std::sync::Arc;

use hyper_util::rt::TokioIo;
use mesh_api::v1::certificate_service_client::CertificateServiceClient;
use mesh_ca::SecretKey;
use mesh_ca::listen::{BoundAddress, Socket};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

pub(crate) type Client = CertificateServiceClient<Channel>;

/// A certificate to present.
#[derive(Clone)]
pub(crate) struct Credentials {
    pub(crate) chain_der: Vec<Vec<u8>>,
    pub(crate) key: SecretKey,
}

pub(crate) fn tls_config(roots: &[Vec<u8>], credentials: Option<&Credentials>) -> ClientConfig {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(CertificateDer::from(root.clone())).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap();
    let builder = builder.with_root_certificates(store);
    let mut config = match credentials {
        None => builder.with_no_client_auth(),
        Some(credentials) => {
            let chain = credentials
                .chain_der
                .iter()
                .map(|der| CertificateDer::from(der.clone()))
                .collect();
            let certified =
                rustls::sign::CertifiedKey::new(chain, credentials.key.tls_key().unwrap());
            builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(
                certified,
            )))
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

/// Connects; the first call on it shows whether the server takes the certificate.
pub(crate) async fn connect(
    address: &BoundAddress,
    roots: &[Vec<u8>],
    credentials: Option<&Credentials>,
) -> Result<Client, tonic::transport::Error> {
    let channel = channel(address, roots, credentials).await?;
    Ok(CertificateServiceClient::new(channel))
}

pub(crate) async fn channel(
    address: &BoundAddress,
    roots: &[Vec<u8>],
    credentials: Option<&Credentials>,
) -> Result<Channel, tonic::transport::Error> {
    let tls = TlsConnector::from(Arc::new(tls_config(roots, credentials)));
    let address = address.clone();
    let connector = tower::service_fn(move |_| {
        let (tls, address) = (tls.clone(), address.clone());
        async move {
            let name = ServerName::try_from("mesh-ca").unwrap();
            let socket = Socket::connect(&address.into()).await?;
            Ok::<_, std::io::Error>(TokioIo::new(tls.connect(name, socket).await?))
        }
    });
    Endpoint::from_static("http://mesh-ca")
        .connect_with_connector(connector)
        .await
}

/// The machine-readable reason of a refusal.
pub(crate) fn reason(status: &Status) -> &str {
    status
        .metadata()
        .get("mesh-refusal")
        .map_or("", |value| value.to_str().unwrap())
}
