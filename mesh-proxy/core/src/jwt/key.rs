//! Keys of issuers (RFC 7517, RFC 7518, RFC 8037).

use aws_lc_rs::signature::{
    self, EcdsaVerificationAlgorithm, RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, GeneralPurpose as Engine};
use serde_json::Value;

/// base64url, with or without padding.
pub(super) const BASE64URL: Engine = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Keys of an issuer that can verify something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeySet {
    keys: Vec<Key>,
}

/// Why a set of keys cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadKeys {
    /// It is none.
    #[error("this is no JSON Web Key Set")]
    Malformed,
    /// There is none that the mesh can use.
    #[error("the JSON Web Key Set has no key for RS, PS, ES or EdDSA signatures")]
    Empty,
}

/// Algorithms of signatures. There is no `none`, and nothing with a shared secret: a public key
/// could be taken for one (RFC 8725 sections 2.1 and 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    Es512,
    EdDsa,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    id: Option<Box<str>>,
    // The one algorithm that the key is for, if it says so.
    only: Option<Algorithm>,
    material: Material,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    Curve(Curve, Vec<u8>),
    Ed25519(Vec<u8>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Curve {
    P256,
    P384,
    P521,
}

/// What became of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Checked {
    Good,
    /// A key that fits says no.
    Bad,
    /// No key fits.
    NoKey,
}

// === impl Algorithm ===

impl Algorithm {
    pub(super) fn new(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "ES512" => Self::Es512,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }

    // From 2048 bits on (RFC 7518 section 3.3).
    fn rsa(self) -> Option<&'static RsaParameters> {
        Some(match self {
            Self::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
            Self::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
            Self::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
            Self::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
            Self::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
            Self::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
            Self::Es256 | Self::Es384 | Self::Es512 | Self::EdDsa => return None,
        })
    }

    fn curve(self) -> Option<(Curve, &'static EcdsaVerificationAlgorithm)> {
        Some(match self {
            Self::Es256 => (Curve::P256, &signature::ECDSA_P256_SHA256_FIXED),
            Self::Es384 => (Curve::P384, &signature::ECDSA_P384_SHA384_FIXED),
            Self::Es512 => (Curve::P521, &signature::ECDSA_P521_SHA512_FIXED),
            _ => return None,
        })
    }
}

// === impl KeySet ===

impl KeySet {
    /// Reads a JSON Web Key Set. Keys of other kinds and for other uses are left out.
    ///
    /// # Errors
    /// If it is none, or nothing of it can be used.
    pub fn parse(text: &str) -> Result<Self, BadKeys> {
        let set: Value = serde_json::from_str(text).map_err(|_| BadKeys::Malformed)?;
        let list = set.get("keys").and_then(Value::as_array);
        let keys: Vec<Key> = list
            .ok_or(BadKeys::Malformed)?
            .iter()
            .filter_map(Key::parse)
            .collect();
        if keys.is_empty() {
            return Err(BadKeys::Empty);
        }
        Ok(Self { keys })
    }

    /// Checks a signature with the key of this name, or with each key if there is no name. Keys
    /// without a name may have any.
    pub(super) fn check(
        &self,
        algorithm: Algorithm,
        id: Option<&str>,
        message: &[u8],
        signature: &[u8],
    ) -> Checked {
        let mut checked = Checked::NoKey;
        let named = |key: &&Key| match (id, &key.id) {
            (Some(id), Some(known)) => **known == *id,
            _ => true,
        };
        for key in self.keys.iter().filter(named) {
            match key.check(algorithm, message, signature) {
                Some(true) => return Checked::Good,
                Some(false) => checked = Checked::Bad,
                None => {}
            }
        }
        checked
    }
}

// === impl Key ===

impl Key {
    fn parse(value: &Value) -> Option<Self> {
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let octets = |name: &str| BASE64URL.decode(text(name)?).ok();
        if text("use").is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let operations = value.get("key_ops").and_then(Value::as_array);
        if operations.is_some_and(|list| !list.iter().any(|entry| entry == "verify")) {
            return None;
        }
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => Material::Rsa {
                n: octets("n")?,
                e: octets("e")?,
            },
            ("EC", Some(curve)) => {
                let (curve, size) = match curve {
                    "P-256" => (Curve::P256, 32),
                    "P-384" => (Curve::P384, 48),
                    "P-521" => (Curve::P521, 66),
                    _ => return None,
                };
                let (x, y) = (octets("x")?, octets("y")?);
                if x.len() != size || y.len() != size {
                    return None;
                }
                // An uncompressed point (SEC 1 section 2.3.3).
                Material::Curve(curve, [&[4][..], &x, &y].concat())
            }
            ("OKP", Some("Ed25519")) => Material::Ed25519(octets("x")?),
            _ => return None,
        };
        let only = match text("alg") {
            // A key for something else is none for this.
            Some(name) => Some(Algorithm::new(name)?),
            None => None,
        };
        Some(Self {
            id: text("kid").map(Into::into),
            only,
            material,
        })
    }

    /// Whether the signature holds; none if the key is not for the algorithm.
    fn check(&self, algorithm: Algorithm, message: &[u8], signature: &[u8]) -> Option<bool> {
        if self.only.is_some_and(|only| only != algorithm) {
            return None;
        }
        let result = match &self.material {
            Material::Rsa { n, e } => {
                let key = RsaPublicKeyComponents { n, e };
                key.verify(algorithm.rsa()?, message, signature)
            }
            Material::Curve(curve, point) => {
                let (wanted, algorithm) = algorithm.curve()?;
                if wanted != *curve {
                    return None;
                }
                UnparsedPublicKey::new(algorithm, point).verify(message, signature)
            }
            Material::Ed25519(point) => {
                if algorithm != Algorithm::EdDsa {
                    return None;
                }
                UnparsedPublicKey::new(&signature::ED25519, point).verify(message, signature)
            }
        };
        Some(result.is_ok())
    }
}
