//! A key, a request, and the check of what came back.

use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use mesh_api::v1;
use rcgen::{CertificateParams, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm};
use rustls::crypto::aws_lc_rs::sign::any_ecdsa_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use zeroize::Zeroizing;

use super::Svid;
use crate::clock;
use crate::tls::{Leaf, LeafError};

/// A new key and the signing request for it. Its memory is wiped when it goes.
pub(super) struct Request {
    // PKCS#8.
    key_der: Zeroizing<Vec<u8>>,
    /// PKCS#10, DER.
    pub(super) csr_der: Vec<u8>,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IssuanceError {
    /// No key or request could be made.
    #[error("cannot make a key and request: {0}")]
    Request(#[from] rcgen::Error),
    /// The authority sent no certificate.
    #[error("the authority sent no certificate")]
    Empty,
    /// The certificate gives no identity.
    #[error("the authority sent an unusable certificate: {0}")]
    Leaf(#[from] LeafError),
    /// The certificate is not for this proxy's key.
    #[error("the authority sent a certificate for another key: {0}")]
    Key(rustls::Error),
    /// The certificate is over already.
    #[error("the authority sent a certificate that expired at {0}")]
    Expired(String),
    /// The authority sent no roots.
    #[error("the authority sent no roots")]
    NoRoots,
}

// A key that signs its own request.
struct Signer(EcdsaKeyPair);

// === impl Signer ===

impl PublicKeyData for Signer {
    fn der_bytes(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self.0.sign(&SystemRandom::new(), message);
        signature
            .map(|signature| signature.as_ref().to_vec())
            .map_err(|_| rcgen::Error::RingUnspecified)
    }
}

// === impl Request ===

impl Request {
    /// Makes an ECDSA P-256 key and a request that names nothing: the authority signs what the
    /// caller is.
    pub(super) fn new() -> Result<Self, IssuanceError> {
        let failed = |_| rcgen::Error::KeyGenerationUnavailable;
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map_err(failed)?;
        let key_der = Zeroizing::new(pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec());
        let csr = CertificateParams::new(Vec::new())?.serialize_request(&Signer(pair))?;
        Ok(Self {
            csr_der: csr.der().to_vec(),
            key_der,
        })
    }

    /// The key, PKCS#8 DER.
    pub(super) fn key_der(&self) -> Zeroizing<Vec<u8>> {
        self.key_der.clone()
    }

    /// Joins the key with its certificate.
    pub(super) fn finish(
        &self,
        response: v1::SignResponse,
        now: SystemTime,
    ) -> Result<Svid, IssuanceError> {
        let chain: Vec<_> = response
            .chain_der
            .into_iter()
            .map(CertificateDer::from)
            .collect();
        let leaf = Leaf::parse(chain.first().ok_or(IssuanceError::Empty)?)?;
        let id = leaf.identity()?;
        if leaf.not_after <= now {
            return Err(IssuanceError::Expired(
                clock::unix_seconds(leaf.not_after).to_string(),
            ));
        }
        if response.roots_der.is_empty() {
            return Err(IssuanceError::NoRoots);
        }
        let pkcs8 = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.key_der.as_slice()));
        let key = CertifiedKey::new(chain, any_ecdsa_type(&pkcs8).map_err(IssuanceError::Key)?);
        key.keys_match().map_err(IssuanceError::Key)?;
        Ok(Svid {
            id,
            serial: leaf.serial,
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            key: Arc::new(key),
            roots_der: response.roots_der,
            exported: None,
        })
    }
}
