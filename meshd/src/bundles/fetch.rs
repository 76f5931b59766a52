//! One fetch of a bundle, by the rules of its profile.

use std::sync::Arc;

use mesh_ca::tls::TlsError;
use mesh_ca::{BundleError, SpiffeBundle, SpiffeServerVerifier};
use meshd_core::{BundleEndpoint, EndpointProfile, MeshSettings};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;

use crate::https::{GetError, HttpClient};

/// What vouches for the server that is asked.
pub(super) enum Known {
    /// The operating system's roots.
    System,
    /// These, for its name in DNS.
    Roots(Vec<Vec<u8>>),
    /// These, for its identity.
    Identity { id: String, roots: Vec<Vec<u8>> },
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unusable {
    #[error(transparent)]
    Get(#[from] GetError),
    #[error("its server cannot be verified: {0}")]
    Server(#[from] TlsError),
    #[error("{0}")]
    Bundle(#[from] BundleError),
    #[error("a root in it is that of the trust domain {0}")]
    OtherDomain(String),
    #[error("its number {found} is lower than {known}, which was there before")]
    Older { found: u64, known: u64 },
}

// === impl Known ===

impl Known {
    /// The newest that is known (SPIFFE Federation, section 5.2.2.4).
    pub(super) fn of(
        endpoint: &BundleEndpoint,
        bundle: Option<&SpiffeBundle>,
        settings: &MeshSettings,
    ) -> Self {
        match &endpoint.profile {
            EndpointProfile::Web { roots_der } if roots_der.is_empty() => Self::System,
            EndpointProfile::Web { roots_der } => Self::Roots(roots_der.clone()),
            EndpointProfile::Spiffe { id, first } => {
                let domain = id.strip_prefix("spiffe://").unwrap_or_default();
                let domain = domain.split('/').next().unwrap_or_default();
                let roots = if domain == endpoint.trust_domain.as_str() {
                    let fetched = bundle.map(|bundle| &bundle.roots_der);
                    let first = first.as_ref().map(|first| &first.roots_der);
                    fetched.or(first).cloned().unwrap_or_default()
                } else if domain == settings.trust_domain.as_str() {
                    settings.roots_der.clone()
                } else {
                    let mut others = settings.federation().into_iter();
                    let other = others.find(|other| other.trust_domain.as_str() == domain);
                    other.map(|other| other.roots_der).unwrap_or_default()
                };
                Self::Identity {
                    id: id.clone(),
                    roots,
                }
            }
        }
    }

    fn client(self) -> Result<HttpClient, TlsError> {
        match self {
            Self::System => Ok(HttpClient::new()),
            Self::Roots(roots_der) => {
                let mut roots = RootCertStore::empty();
                for root in roots_der {
                    roots
                        .add(CertificateDer::from(root))
                        .map_err(|error| TlsError::Root(error.to_string()))?;
                }
                Ok(HttpClient::with_roots(roots))
            }
            Self::Identity { id, roots } => {
                let verifier = SpiffeServerVerifier::new(id, &roots)?;
                Ok(HttpClient::verifying(Arc::new(verifier)))
            }
        }
    }
}

/// The bundle that stands there now.
pub(super) async fn fetch(
    endpoint: &BundleEndpoint,
    known: Known,
) -> Result<SpiffeBundle, Unusable> {
    let text = known.client()?.get(&endpoint.url).await?;
    let bundle = SpiffeBundle::parse(&text)?;
    match bundle.foreign_root(endpoint.trust_domain.as_str()) {
        Some(other) => Err(Unusable::OtherDomain(other)),
        None => Ok(bundle),
    }
}
