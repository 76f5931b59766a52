//! Private keys.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use rcgen::{CertificateParams, DistinguishedName, PublicKeyData, SignatureAlgorithm, SigningKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::pem;

/// An ECDSA P-256 key. Its memory is wiped when the last clone goes; it is never printed.
#[derive(Clone)]
pub struct SecretKey(Arc<EcdsaKeyPair>);

/// Why a key cannot be made or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The cryptographic library failed.
    #[error("the cryptographic library cannot {0}")]
    Library(&'static str),
    /// There is no private key in the text.
    #[error("it holds no private key in PEM")]
    NoPem,
    /// It is another kind of key.
    #[error("it holds no ECDSA P-256 key")]
    Kind,
}

// === impl SecretKey ===

impl SecretKey {
    /// Makes a new key.
    ///
    /// # Errors
    /// If the operating system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING)
            .map_err(|_| KeyError::Library("make a key"))?;
        Ok(Self(Arc::new(pair)))
    }

    /// Reads a key in PEM: PKCS#8 (RFC 5958) or SEC1 (RFC 5915).
    ///
    /// # Errors
    /// If there is none, or it is not on P-256.
    pub fn from_pem(pem: &[u8]) -> Result<Self, KeyError> {
        let der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| KeyError::NoPem)?;
        let bytes = Zeroizing::new(der.secret_der().to_vec());
        let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, &bytes)
            .map_err(|_| KeyError::Kind)?;
        Ok(Self(Arc::new(pair)))
    }

    /// A certificate signing request (PKCS#10, DER) for this key that asks for nothing: an
    /// authority decides by the caller's identity alone.
    ///
    /// # Errors
    /// If the cryptographic library fails.
    pub fn certificate_request(&self) -> Result<Vec<u8>, KeyError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        let request = params
            .serialize_request(self)
            .map_err(|_| KeyError::Library("sign a request"))?;
        Ok(request.der().to_vec())
    }

    /// The key for TLS.
    ///
    /// # Errors
    /// If the cryptographic library fails.
    pub fn tls_key(&self) -> Result<Arc<dyn rustls::sign::SigningKey>, KeyError> {
        let document = self
            .0
            .to_pkcs8v1()
            .map_err(|_| KeyError::Library("encode a key"))?;
        let der = Zeroizing::new(document.as_ref().to_vec());
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der.as_slice()));
        rustls::crypto::aws_lc_rs::sign::any_ecdsa_type(&der)
            .map_err(|_| KeyError::Library("load a key for TLS"))
    }

    /// The key as PKCS#8 in PEM.
    pub(crate) fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        let document = self
            .0
            .to_pkcs8v1()
            .map_err(|_| KeyError::Library("encode a key"))?;
        Ok(pem::encode("PRIVATE KEY", document.as_ref()))
    }

    /// The public key: an uncompressed point.
    pub(crate) fn public_key(&self) -> &[u8] {
        self.0.public_key().as_ref()
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(elided)")
    }
}

impl PublicKeyData for SecretKey {
    fn der_bytes(&self) -> &[u8] {
        self.public_key()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for SecretKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self
            .0
            .sign(&SystemRandom::new(), message)
            .map_err(|_| rcgen::Error::RingUnspecified)?;
        Ok(signature.as_ref().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_through_pem() {
        let key = SecretKey::generate().unwrap();
        let again = SecretKey::from_pem(key.to_pem().unwrap().as_bytes()).unwrap();
        assert_eq!(key.public_key(), again.public_key());
        assert!(key.to_pem().unwrap().lines().all(|line| line.len() <= 64));
    }

    #[test]
    fn is_never_printed() {
        let key = SecretKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), "SecretKey(elided)");
    }

    #[test]
    fn refuses_what_is_no_p256_key() {
        let p384 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384)
            .unwrap()
            .serialize_pem();
        assert_eq!(
            SecretKey::from_pem(p384.as_bytes()).unwrap_err(),
            KeyError::Kind
        );
        for text in ["", "-----BEGIN PRIVATE KEY-----\nAA", "hello"] {
            assert_eq!(
                SecretKey::from_pem(text.as_bytes()).unwrap_err(),
                KeyError::NoPem
            );
        }
    }
}
