//! Who serves a bundle, where that is proved by an identity and not by a name in DNS (SPIFFE
//! Federation, section 5.2.2: `https_spiffe`).

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, OtherError, RootCertStore, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::tls::TlsError;

/// Takes the server with exactly this identity, certified by these roots.
#[derive(Debug)]
pub struct SpiffeServerVerifier {
    id: String,
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug, thiserror::Error)]
#[error("the server is {found}, expected is {expected}")]
struct OtherServer {
    found: String,
    expected: String,
}

/// The one URI that a leaf names (X.509-SVID, section 2), in any form. Its chain is not verified.
pub fn uri_name(leaf: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
    if certificate.is_ca() {
        return None;
    }
    let names = certificate.subject_alternative_name().ok()??;
    let mut uris = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
    match (uris.next(), uris.next()) {
        (Some(uri), None) => Some(uri.to_owned()),
        _ => None,
    }
}

// === impl SpiffeServerVerifier ===

impl SpiffeServerVerifier {
    /// For a server's SPIFFE ID, and the roots (DER) of its trust domain.
    ///
    /// # Errors
    /// If there is no root, or one cannot be used.
    pub fn new(id: String, roots_der: &[Vec<u8>]) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for root in roots_der {
            roots
                .add(CertificateDer::from(root.as_slice()))
                .map_err(|error| TlsError::Root(error.to_string()))?;
        }
        if roots.is_empty() {
            return Err(TlsError::Root("there is none".to_owned()));
        }
        Ok(Self {
            id,
            roots,
            provider: Arc::new(aws_lc_rs::default_provider()),
        })
    }
}

impl ServerCertVerifier for SpiffeServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        let found = uri_name(end_entity);
        if found.as_ref() == Some(&self.id) {
            return Ok(ServerCertVerified::assertion());
        }
        let other = OtherServer {
            found: found.unwrap_or_else(|| "nobody by a SPIFFE ID".to_owned()),
            expected: self.id.clone(),
        };
        Err(Error::InvalidCertificate(CertificateError::Other(
            OtherError(Arc::new(other)),
        )))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}
