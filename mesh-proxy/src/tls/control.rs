//! TLS to the control plane and the certificate authority.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore};

use super::{RootsError, provider};

/// A configuration for gRPC to the control plane: its chain and DNS name are checked, and the
/// workload's certificate is shown if there is one. Nothing is resumed.
///
/// # Errors
/// If there is no root, or rustls refuses the parts.
pub fn control_client(
    roots: RootCertStore,
    key: Option<Arc<CertifiedKey>>,
) -> Result<ClientConfig, rustls::Error> {
    let provider = provider();
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_webpki_verifier(verifier);
    let mut config = match key {
        Some(key) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(key))),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    config.resumption = rustls::client::Resumption::disabled();
    Ok(config)
}

/// The roots that the control plane is checked against: those of the file, and those learned
/// since.
///
/// # Errors
/// If the file cannot be read while no others are known.
pub fn control_roots(file: &Path, learned: &[Vec<u8>]) -> Result<RootCertStore, RootsError> {
    let mut roots = super::root_store(learned.iter().map(Vec::as_slice));
    match super::read_certificates(file) {
        Ok(certificates) => {
            roots.add_parsable_certificates(certificates);
        }
        Err(error) if roots.is_empty() => return Err(error),
        Err(error) => {
            tracing::debug!(%error, "the roots given at the start cannot be read any more");
        }
    }
    if roots.is_empty() {
        Err(RootsError::Empty(file.display().to_string()))
    } else {
        Ok(roots)
    }
}
