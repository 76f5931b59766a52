//! Who certifies: this process, or another server.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper_util::rt::TokioIo;
use mesh_api::v1::certificate_service_client::CertificateServiceClient;
use mesh_api::v1::{SignRequest, SignResponse};
use mesh_ca::listen::{ListenAddress, Socket};
use mesh_ca::tls::{ServerTls, TlsError};
use mesh_ca::{Authority, KeyError, SecretKey};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use crate::clock;
use crate::publish::{ConfigHandle, Message};
use crate::trust::Trust;

/// What the certificate of a server of the control plane says.
const SERVER_NAME: &str = "meshd";
const CALL: Duration = Duration::from_secs(10);
/// How long an authority may take to come up, when all start together.
const PATIENCE: Duration = Duration::from_secs(60);

/// A certificate authority in another process.
#[derive(Debug, Clone)]
pub struct ExternalAuthority {
    /// Where it serves.
    pub address: ListenAddress,
    /// File with the roots to trust it by, PEM.
    pub roots: PathBuf,
    /// File with a join token for the service account `meshd` in `istio-system`.
    pub token: PathBuf,
}

/// Why another authority does not certify us.
#[derive(Debug, thiserror::Error)]
pub enum ExternalAuthorityError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// The file of roots holds none.
    #[error("{0} holds no certificate in PEM")]
    Roots(PathBuf),
    /// It cannot be reached.
    #[error("cannot reach the certificate authority at {address}: {source}")]
    Connect {
        /// Where it should be.
        address: ListenAddress,
        /// What failed.
        source: tonic::transport::Error,
    },
    /// It refused.
    #[error("the certificate authority refused: {}", .0.message())]
    Refused(Box<Status>),
    /// What it gave cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A key cannot be made.
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A certificate from elsewhere, and how to get the next one.
pub(crate) struct ExternalIdentity {
    settings: ExternalAuthority,
    key: SecretKey,
    response: SignResponse,
}

// === impl ExternalIdentity ===

impl ExternalIdentity {
    /// Joins by the token. Waits a while for an authority that is not there yet.
    pub(crate) async fn join(settings: ExternalAuthority) -> Result<Self, ExternalAuthorityError> {
        let roots = read_roots(&settings.roots)?;
        let token = std::fs::read_to_string(&settings.token).map_err(|source| {
            ExternalAuthorityError::File {
                path: settings.token.clone(),
                source,
            }
        })?;
        let key = SecretKey::generate()?;
        let give_up = clock::instant() + PATIENCE;
        loop {
            match sign(&settings.address, &roots, None, &key, Some(token.trim())).await {
                Ok(response) => {
                    return Ok(Self {
                        settings,
                        key,
                        response,
                    });
                }
                Err(error) if error.is_final() || clock::instant() > give_up => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "no certificate yet; trying again");
                    sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    /// The roots to trust.
    pub(crate) fn roots_der(&self) -> &[Vec<u8>] {
        &self.response.roots_der
    }

    /// Keys that verify JWT-SVIDs of the trust domain.
    pub(crate) fn jwks(&self) -> &str {
        &self.response.jwks
    }

    /// Presents the certificate and trusts its roots.
    pub(crate) fn present(&self, tls: &ServerTls) -> Result<(), TlsError> {
        tls.set_client_roots(&self.response.roots_der)?;
        tls.set_certificate(&self.response.chain_der, &self.key)
    }

    /// Renews at half of the certificate's life. Runs until dropped.
    pub(crate) async fn keep_renewed(mut self, tls: ServerTls, config: ConfigHandle) {
        let mut begun = clock::now();
        loop {
            let expires = SystemTime::UNIX_EPOCH
                + Duration::from_secs(u64::try_from(self.response.not_after).unwrap_or(0));
            let due = begun + expires.duration_since(begun).unwrap_or_default() / 2;
            let left = clock::until(due);
            if !left.is_zero() {
                sleep(left.min(Duration::from_secs(60))).await;
                continue;
            }
            let renewed = self.renew(&tls).await;
            match renewed {
                Ok(trust_changed) => {
                    begun = clock::now();
                    if trust_changed
                        && config
                            .send(Message::Trust(Trust::in_roots(
                                self.response.roots_der.clone(),
                                self.response.jwks.clone(),
                            )))
                            .await
                            .is_err()
                    {
                        return;
                    }
                }
                Err(error) => {
                    tracing::error!(%error, "cannot renew the server's certificate; trying again");
                    sleep(Duration::from_secs(5)).await;
                }
            }
        }
    }

    /// Returns whether the roots or the keys of tokens are others than before.
    async fn renew(&mut self, tls: &ServerTls) -> Result<bool, ExternalAuthorityError> {
        let key = SecretKey::generate()?;
        let current = Some((self.response.chain_der.as_slice(), &self.key));
        let response = sign(
            &self.settings.address,
            &self.response.roots_der,
            current,
            &key,
            None,
        )
        .await?;
        let trust_changed =
            response.roots_der != self.response.roots_der || response.jwks != self.response.jwks;
        let renewed = Self {
            settings: self.settings.clone(),
            key,
            response,
        };
        renewed.present(tls)?;
        *self = renewed;
        Ok(trust_changed)
    }
}

/// Tells the proxies what an authority in this process says whenever that changes. Runs
/// until dropped.
pub(crate) async fn keep_roots_published(authority: Arc<Authority>, config: ConfigHandle) {
    // Keys of tokens go by time alone.
    const LOOK: Duration = Duration::from_secs(60);
    let mut changes = authority.changes();
    // They may have changed since the configuration was loaded.
    changes.mark_changed();
    let mut published = None;
    while !matches!(timeout(LOOK, changes.changed()).await, Ok(Err(_))) {
        let trust = Trust::of(&authority);
        if published.as_ref() == Some(&trust) {
            continue;
        }
        if config.send(Message::Trust(trust.clone())).await.is_err() {
            return;
        }
        published = Some(trust);
    }
}

// === impl ExternalAuthorityError ===

impl ExternalAuthorityError {
    /// Whether trying again is of no use.
    fn is_final(&self) -> bool {
        match self {
            Self::Connect { .. } => false,
            Self::Refused(status) => {
                !matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded)
            }
            _ => true,
        }
    }
}

fn read_roots(path: &PathBuf) -> Result<Vec<Vec<u8>>, ExternalAuthorityError> {
    let pem = std::fs::read(path).map_err(|source| ExternalAuthorityError::File {
        path: path.clone(),
        source,
    })?;
    let roots: Vec<Vec<u8>> = CertificateDer::pem_slice_iter(&pem)
        .filter_map(Result::ok)
        .map(|der| der.to_vec())
        .collect();
    match roots.is_empty() {
        true => Err(ExternalAuthorityError::Roots(path.clone())),
        false => Ok(roots),
    }
}

async fn sign(
    address: &ListenAddress,
    roots: &[Vec<u8>],
    current: Option<(&[Vec<u8>], &SecretKey)>,
    key: &SecretKey,
    token: Option<&str>,
) -> Result<SignResponse, ExternalAuthorityError> {
    let mut client =
        CertificateServiceClient::new(connect(address, client_config(roots, current)?).await?);
    let mut request = Request::new(SignRequest {
        csr_der: key.certificate_request()?,
        ttl_seconds: 0,
    });
    if let Some(token) = token {
        let value = format!("Bearer {token}").parse().map_err(|_| {
            ExternalAuthorityError::Refused(Box::new(Status::unauthenticated(
                "the join token holds strange characters",
            )))
        })?;
        request.metadata_mut().insert("authorization", value);
    }
    let late = || {
        ExternalAuthorityError::Refused(Box::new(Status::deadline_exceeded(
            "it did not answer in time",
        )))
    };
    let response = timeout(CALL, client.sign(request))
        .await
        .map_err(|_| late())?;
    Ok(response
        .map_err(|status| ExternalAuthorityError::Refused(Box::new(status)))?
        .into_inner())
}

fn client_config(
    roots: &[Vec<u8>],
    current: Option<(&[Vec<u8>], &SecretKey)>,
) -> Result<ClientConfig, ExternalAuthorityError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store
            .add(CertificateDer::from(root.as_slice()))
            .map_err(|error| TlsError::Root(error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TlsError::from)?
        .with_root_certificates(store);
    let mut config = match current {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = chain
                .iter()
                .map(|der| CertificateDer::from(der.clone()))
                .collect();
            let certified = rustls::sign::CertifiedKey::new(chain, key.tls_key()?);
            builder.with_client_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(
                certified,
            )))
        }
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}

async fn connect(
    address: &ListenAddress,
    config: ClientConfig,
) -> Result<Channel, ExternalAuthorityError> {
    let tls = TlsConnector::from(Arc::new(config));
    let target = address.clone();
    let connector = tower::service_fn(move |_| {
        let (tls, target) = (tls.clone(), target.clone());
        async move {
            let name = ServerName::try_from(SERVER_NAME).map_err(io::Error::other)?;
            let stream = tls.connect(name, Socket::connect(&target).await?).await?;
            Ok::<_, io::Error>(TokioIo::new(stream))
        }
    });
    Endpoint::from_static("http://meshd")
        .connect_timeout(CALL)
        .connect_with_connector(connector)
        .await
        .map_err(|source| ExternalAuthorityError::Connect {
            address: address.clone(),
            source,
        })
}
