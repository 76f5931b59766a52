//! Private keys.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::{AsBigEndian, AsDer, EcPrivateKeyBin, Pkcs8V1Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair as RsaKeyPair;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_SHA256,
};
use rcgen::{CertificateParams, DistinguishedName, PublicKeyData, SignatureAlgorithm, SigningKey};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use zeroize::Zeroizing;

use crate::pem;

/// A private key that signs: ECDSA on P-256 or P-384, or RSA, which is only read. Its memory is
/// wiped when the last clone goes; it is never printed.
#[derive(Clone)]
pub struct SecretKey(Arc<Pair>);

enum Pair {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// Kinds of keys that an authority makes for itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum KeyType {
    /// ECDSA on P-256.
    #[default]
    P256,
    /// ECDSA on P-384: three times as slow to sign with.
    P384,
}

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
    #[error("it holds no key of ECDSA P-256 or P-384, or RSA of 2048 to 8192 bits")]
    Kind,
}

// === impl SecretKey ===

impl SecretKey {
    /// Makes a new key on P-256.
    ///
    /// # Errors
    /// If the operating system gives no randomness.
    pub fn generate() -> Result<Self, KeyError> {
        Self::generate_of(KeyType::P256)
    }

    /// Makes a new key.
    ///
    /// # Errors
    /// If the operating system gives no randomness.
    pub fn generate_of(kind: KeyType) -> Result<Self, KeyError> {
        let pair = match kind {
            KeyType::P256 => {
                EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).map(Pair::P256)
            }
            KeyType::P384 => {
                EcdsaKeyPair::generate(&ECDSA_P384_SHA384_ASN1_SIGNING).map(Pair::P384)
            }
        };
        let pair = pair.map_err(|_| KeyError::Library("make a key"))?;
        Ok(Self(Arc::new(pair)))
    }

    /// Reads a key in PEM: PKCS#8 (RFC 5958), SEC1 (RFC 5915) or PKCS#1 (RFC 8017).
    ///
    /// # Errors
    /// If there is none, or it is of another kind.
    pub fn from_pem(text: &[u8]) -> Result<Self, KeyError> {
        let bytes = pem::private_key(text).ok_or(KeyError::NoPem)?;
        let ecdsa = |curve| EcdsaKeyPair::from_private_key_der(curve, &bytes).ok();
        let rsa = || {
            let pair = RsaKeyPair::from_pkcs8(&bytes).or_else(|_| RsaKeyPair::from_der(&bytes));
            // 2048 bits at least, as peers ask for.
            pair.ok().filter(|pair| pair.public_modulus_len() >= 256)
        };
        let pair = ecdsa(&ECDSA_P256_SHA256_ASN1_SIGNING)
            .map(Pair::P256)
            .or_else(|| ecdsa(&ECDSA_P384_SHA384_ASN1_SIGNING).map(Pair::P384))
            .or_else(|| rsa().map(Pair::Rsa));
        pair.map(|pair| Self(Arc::new(pair))).ok_or(KeyError::Kind)
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
        let der = self.pkcs8()?;
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(der.as_slice()));
        rustls::crypto::aws_lc_rs::sign::any_supported_type(&der)
            .map_err(|_| KeyError::Library("load a key for TLS"))
    }

    /// The key as PKCS#8 in PEM.
    pub(crate) fn to_pem(&self) -> Result<Zeroizing<String>, KeyError> {
        Ok(pem::encode("PRIVATE KEY", &self.pkcs8()?))
    }

    /// What other keys may be derived from: the same for the same key, however it was written.
    pub(crate) fn secret(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        match self.0.as_ref() {
            Pair::P256(pair) | Pair::P384(pair) => {
                let scalar: EcPrivateKeyBin<'_> = pair
                    .private_key()
                    .as_be_bytes()
                    .map_err(|_| KeyError::Library("encode a key"))?;
                Ok(Zeroizing::new(scalar.as_ref().to_vec()))
            }
            Pair::Rsa(_) => self.pkcs8(),
        }
    }

    fn pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let failed = |_| KeyError::Library("encode a key");
        Ok(Zeroizing::new(match self.0.as_ref() {
            Pair::P256(pair) | Pair::P384(pair) => {
                pair.to_pkcs8v1().map_err(failed)?.as_ref().to_vec()
            }
            Pair::Rsa(pair) => {
                let document: Pkcs8V1Der<'_> = pair.as_der().map_err(failed)?;
                document.as_ref().to_vec()
            }
        }))
    }

    /// The public key as certificates hold it: an uncompressed point, or an RSAPublicKey.
    pub(crate) fn public_key(&self) -> &[u8] {
        match self.0.as_ref() {
            Pair::P256(pair) | Pair::P384(pair) => pair.public_key().as_ref(),
            Pair::Rsa(pair) => pair.public_key().as_ref(),
        }
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
        match self.0.as_ref() {
            Pair::P256(_) => &rcgen::PKCS_ECDSA_P256_SHA256,
            Pair::P384(_) => &rcgen::PKCS_ECDSA_P384_SHA384,
            Pair::Rsa(_) => &rcgen::PKCS_RSA_SHA256,
        }
    }
}

impl SigningKey for SecretKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let random = SystemRandom::new();
        match self.0.as_ref() {
            Pair::P256(pair) | Pair::P384(pair) => pair
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec()),
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature)
                    .map(|()| signature)
            }
        }
        .map_err(|_| rcgen::Error::RingUnspecified)
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
    fn reads_keys_among_other_things() {
        let key = SecretKey::generate().unwrap();
        let pem = key.to_pem().unwrap();
        let text = format!(
            "# a key\r\n-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n  {}trailing",
            pem.replace('\n', "\r\n")
        );
        let again = SecretKey::from_pem(text.as_bytes()).unwrap();
        assert_eq!(key.public_key(), again.public_key());
        let other_end = pem.replace("END PRIVATE KEY", "END EC PRIVATE KEY");
        let error = SecretKey::from_pem(other_end.as_bytes()).unwrap_err();
        assert_eq!(error, KeyError::NoPem);
    }

    #[test]
    fn is_never_printed() {
        let key = SecretKey::generate().unwrap();
        assert_eq!(format!("{key:?}"), "SecretKey(elided)");
    }

    #[test]
    fn reads_what_others_make() {
        for algorithm in [&rcgen::PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_RSA_SHA256] {
            let made = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let key = SecretKey::from_pem(made.serialize_pem().as_bytes()).unwrap();
            assert_eq!(key.public_key(), made.public_key_raw());
            assert_eq!(key.algorithm(), algorithm);
            let again = SecretKey::from_pem(key.to_pem().unwrap().as_bytes()).unwrap();
            assert_eq!(key.public_key(), again.public_key());
            key.tls_key().unwrap();
        }
    }

    #[test]
    fn refuses_what_is_no_usable_key() {
        let ed25519 = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519)
            .unwrap()
            .serialize_pem();
        assert_eq!(
            SecretKey::from_pem(ed25519.as_bytes()).unwrap_err(),
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
