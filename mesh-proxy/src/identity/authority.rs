//! The client of the certificate authority.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use mesh_api::v1;
use mesh_api::v1::certificate_service_client::CertificateServiceClient;
use rustls::sign::CertifiedKey;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::transport::Channel;
use tonic::{Code, Request};

use super::Svid;
use super::issuance::{self, IssuanceError};
use crate::clock;
use crate::control::{DialError, dial};
use crate::net::Dialer;
use crate::settings::{ControlPlane, Settings};
use crate::tls::{RootsError, control_client, control_roots};

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// The authority's certificate cannot be checked.
    #[error("{source}{hint}")]
    Roots {
        /// What is wrong.
        source: RootsError,
        /// What to look at.
        hint: Hint,
    },
    /// The token cannot be read.
    #[error("the token in {path} cannot be read: {why}{hint}")]
    Token {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
        /// What to look at.
        hint: Hint,
    },
    /// There is nothing to prove oneself with.
    #[error("no token is given (--token) and there is no valid certificate to renew with")]
    NoCredential,
    /// The authority cannot be reached.
    #[error("cannot reach the certificate authority: {0}")]
    Dial(#[from] DialError),
    /// TLS cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The authority refused.
    #[error("the certificate authority refused: {} ({:?})", .0.message(), .0.code())]
    Refused(Box<tonic::Status>),
    /// The authority did not answer in time.
    #[error("the certificate authority did not answer in time")]
    Timeout,
    /// What it sent cannot be used.
    #[error(transparent)]
    Issuance(#[from] IssuanceError),
}

/// Where a file should have come from, as far as its path tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// A ConfigMap of the pod's namespace.
    ConfigMap {
        /// The namespace.
        namespace: String,
    },
    /// A projected volume of the pod.
    Projected,
    /// It is given by the operator.
    None,
}

/// Asks for certificates; dials anew each time, with the credential of that moment.
pub(super) struct CaClient {
    settings: Arc<Settings>,
    plane: Arc<ControlPlane>,
    // Kept until it is certified: a token that is good for one join is good for one key, and
    // an answer may get lost.
    pending: Option<issuance::Request>,
    // Whether the keys are for the application.
    exports: bool,
}

enum Credential {
    Certificate(Arc<Svid>),
    Token(MetadataValue<Ascii>),
}

const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

// === impl CaClient ===

impl CaClient {
    pub(super) fn new(settings: Arc<Settings>, plane: Arc<ControlPlane>) -> Self {
        Self {
            settings,
            plane,
            pending: None,
            exports: false,
        }
    }

    /// One whose keys are for the application.
    pub(super) fn exporting(settings: Arc<Settings>, plane: Arc<ControlPlane>) -> Self {
        Self {
            exports: true,
            ..Self::new(settings, plane)
        }
    }

    /// A new certificate for a new key. A valid certificate proves who asks; without one, or if
    /// the authority does not take it, the token does: a join token, or one of a service account.
    pub(super) async fn sign(
        &mut self,
        current: Option<Arc<Svid>>,
        more_roots: &[Vec<u8>],
    ) -> Result<Svid, CaError> {
        let valid = current.filter(|svid| svid.not_after > clock::wall());
        let Some(svid) = valid else {
            let token = self.token().await?.ok_or(CaError::NoCredential)?;
            return self.sign_as(Credential::Token(token), more_roots).await;
        };
        match self
            .sign_as(Credential::Certificate(svid), more_roots)
            .await
        {
            Err(error) if error.may_be_credential() => match self.token().await {
                Ok(Some(token)) => self.sign_as(Credential::Token(token), more_roots).await,
                Ok(None) | Err(_) => Err(error),
            },
            result => result,
        }
    }

    async fn sign_as(
        &mut self,
        credential: Credential,
        more_roots: &[Vec<u8>],
    ) -> Result<Svid, CaError> {
        let exchange = Box::pin(self.exchange(credential, more_roots));
        tokio::time::timeout(ANSWER_TIMEOUT, exchange)
            .await
            .unwrap_or(Err(CaError::Timeout))
    }

    async fn exchange(
        &mut self,
        credential: Credential,
        more_roots: &[Vec<u8>],
    ) -> Result<Svid, CaError> {
        let settings = &self.settings;
        let key = match &credential {
            Credential::Certificate(svid) => Some(Arc::clone(&svid.key)),
            Credential::Token(_) => None,
        };
        let channel = self.channel(key, more_roots).await?;
        let ours = match self.pending.take() {
            Some(pending) => self.pending.insert(pending),
            None => self.pending.insert(issuance::Request::new()?),
        };
        let message = v1::SignRequest {
            csr_der: ours.csr_der.clone(),
            ttl_seconds: settings.certificate_ttl.as_secs(),
        };
        let mut request = Request::new(message);
        if let Credential::Token(token) = credential {
            request.metadata_mut().insert("authorization", token);
        }
        let answer = CertificateServiceClient::new(channel).sign(request).await;
        let response = answer
            .map_err(|status| CaError::Refused(Box::new(status)))?
            .into_inner();
        let mut svid = ours.finish(response, clock::wall())?;
        svid.exported = self.exports.then(|| ours.key_der());
        self.pending = None;
        Ok(svid)
    }

    /// A JWT-SVID for an audience, for whom this certificate names.
    pub(super) async fn sign_jwt(
        &self,
        svid: &Svid,
        more_roots: &[Vec<u8>],
        audience: Vec<String>,
    ) -> Result<v1::SignJwtResponse, CaError> {
        let exchange = async {
            let key = Some(Arc::clone(&svid.key));
            let channel = self.channel(key, more_roots).await?;
            let request = v1::SignJwtRequest { audience };
            let mut client = CertificateServiceClient::new(channel);
            let answer = client.sign_jwt(request).await;
            let refused = |status| CaError::Refused(Box::new(status));
            Ok(answer.map_err(refused)?.into_inner())
        };
        tokio::time::timeout(ANSWER_TIMEOUT, Box::pin(exchange))
            .await
            .unwrap_or(Err(CaError::Timeout))
    }

    async fn channel(
        &self,
        key: Option<Arc<CertifiedKey>>,
        more_roots: &[Vec<u8>],
    ) -> Result<Channel, CaError> {
        let (settings, plane) = (&self.settings, &self.plane);
        // Read anew each time: in a pod the file follows its ConfigMap.
        let roots = control_roots(&plane.roots, more_roots).map_err(|source| {
            let namespace = settings.workload.namespace().to_owned();
            let hint = match is_mounted(&plane.roots) {
                true => Hint::ConfigMap { namespace },
                false => Hint::None,
            };
            CaError::Roots { source, hint }
        })?;
        let config = Arc::new(control_client(roots, key)?);
        let dialer = Dialer {
            mark: settings.own_mark,
            source: None,
        };
        Ok(dial(&plane.ca, &plane.name, config, dialer).await?)
    }

    // Read anew each time: the kubelet replaces the file before its token expires.
    async fn token(&self) -> Result<Option<MetadataValue<Ascii>>, CaError> {
        let Some(path) = &self.plane.token else {
            return Ok(None);
        };
        let failed = |why: String| CaError::Token {
            path: path.clone(),
            why,
            hint: match is_mounted(path) {
                true => Hint::Projected,
                false => Hint::None,
            },
        };
        let text = tokio::fs::read_to_string(path)
            .await
            .map_err(|error| failed(error.to_string()))?;
        let header = format!("Bearer {}", text.trim());
        let mut value = MetadataValue::try_from(header)
            .map_err(|_| failed("it is no text of one line".to_owned()))?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// Whether the kubelet put the file there.
fn is_mounted(path: &Path) -> bool {
    path.starts_with("/var/run/secrets") || path.starts_with("/run/secrets")
}

// === impl Hint ===

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConfigMap { namespace } => write!(
                f,
                "; is the ConfigMap mesh-ca-root-cert in namespace {namespace}? is meshd running, which writes it?"
            ),
            Self::Projected => f.write_str(
                "; does the pod have the projected service-account token istio-token? was it injected?",
            ),
            Self::None => Ok(()),
        }
    }
}

// === impl CaError ===

impl CaError {
    /// After what time the authority wants to be asked again, if it said so.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let Self::Refused(status) = self else {
            return None;
        };
        let seconds = status.metadata().get("retry-after")?.to_str().ok()?;
        // An authority that has lost its mind does not end a proxy.
        Some(Duration::from_secs(seconds.parse::<u64>().ok()?.min(3600)))
    }

    // The authority may have been set up anew, or may not know the certificate's issuer.
    fn may_be_credential(&self) -> bool {
        match self {
            Self::Refused(status) => {
                matches!(
                    status.code(),
                    Code::Unauthenticated
                        | Code::PermissionDenied
                        | Code::Unavailable
                        | Code::Unknown
                )
            }
            Self::Dial(DialError::Tls(_) | DialError::Channel(_)) => true,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_in_a_pod_is_named() {
        let path = Path::new("/var/run/secrets/mesh/root-cert.pem");
        assert!(is_mounted(path) && !is_mounted(Path::new("/etc/mesh/root.pem")));
        let source = control_roots(path, &[]).unwrap_err();
        let namespace = "shop".to_owned();
        let hint = Hint::ConfigMap { namespace };
        let text = CaError::Roots { source, hint }.to_string();
        for words in [
            "/var/run/secrets/mesh/root-cert.pem",
            "mesh-ca-root-cert in namespace shop",
            "meshd running",
        ] {
            assert!(text.contains(words), "{text}");
        }
    }
}
