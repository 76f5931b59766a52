//! JWT-SVIDs (SPIFFE JWT-SVID): short-lived tokens that name a workload, for an audience.
//!
//! They are signed by a key of their own, which is derived from the key that signs certificates
//! (HKDF, RFC 5869): so it needs no place to be stored, all who share an authority sign with the
//! same one, and it is replaced with the generation of keys that it comes from.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mesh_api::SpiffeId;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::clock;
use crate::secret_key::{KeyError, SecretKey};

/// So many parties may be named in one token.
pub(crate) const MOST_AUDIENCES: usize = 16;
/// So long may a name of one be, in octets.
pub(crate) const LONGEST_AUDIENCE: usize = 512;

const SALT: &[u8] = b"mesh jwt-svid";
const SCALAR: usize = 32;

/// The key that signs tokens. Its memory is wiped when the last clone goes; it is never printed.
#[derive(Clone)]
pub(crate) struct JwtKey {
    pair: Arc<EcdsaKeyPair>,
    public: JwtPublicKey,
}

/// What verifies tokens of one [`JwtKey`]: a point on P-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JwtPublicKey {
    // The thumbprint (RFC 7638).
    #[serde(rename = "kid")]
    id: String,
    x: String,
    y: String,
}

/// A key that has signed tokens and signs none any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerJwtKey {
    /// The key.
    #[serde(flatten)]
    pub key: JwtPublicKey,
    /// When nothing by it can be good any more, seconds since the Unix epoch.
    pub until: i64,
}

/// A signed token.
#[derive(Clone)]
pub struct IssuedJwt {
    /// In compact form (RFC 7515, section 7.1). It is a secret.
    pub token: String,
    /// What distinguishes it from all others (`jti`).
    pub id: String,
    /// When it was made; whole seconds count.
    pub issued_at: SystemTime,
    /// When it expires.
    pub not_after: SystemTime,
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'static str,
    kid: &'a str,
    typ: &'static str,
}

// What SPIFFE asks for (JWT-SVID, section 3), and what tells one from another.
#[derive(Serialize)]
struct Claims<'a> {
    sub: String,
    aud: &'a [String],
    exp: i64,
    iat: i64,
    jti: &'a str,
}

#[derive(Serialize)]
struct Jwk<'a> {
    kty: &'static str,
    crv: &'static str,
    alg: &'static str,
    kid: &'a str,
    x: &'a str,
    y: &'a str,
}

#[derive(Serialize)]
struct Jwks<'a> {
    keys: Vec<Jwk<'a>>,
}

// === impl JwtKey ===

impl JwtKey {
    /// The one that belongs to a key that signs certificates.
    pub(crate) fn derive(from: &SecretKey) -> Result<Self, KeyError> {
        const FAILED: KeyError = KeyError::Library("derive a key");
        let secret = from.secret()?;
        let root = Salt::new(HKDF_SHA256, SALT).extract(&secret);
        // All but one in 2^32 numbers of this length are keys.
        for attempt in 0..8_u8 {
            let mut scalar = Zeroizing::new([0; SCALAR]);
            let info = [b"ecdsa p-256".as_slice(), &[attempt]];
            root.expand(&info, HKDF_SHA256)
                .and_then(|octets| octets.fill(scalar.as_mut_slice()))
                .map_err(|_| FAILED)?;
            let der = sec1(&scalar);
            let pair = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, &der);
            if let Ok(pair) = pair {
                let public = JwtPublicKey::new(pair.public_key().as_ref()).ok_or(FAILED)?;
                return Ok(Self {
                    pair: Arc::new(pair),
                    public,
                });
            }
        }
        Err(FAILED)
    }

    pub(crate) fn public(&self) -> &JwtPublicKey {
        &self.public
    }

    /// Signs a token for a workload, for these parties.
    pub(crate) fn sign(
        &self,
        identity: &SpiffeId,
        audience: &[String],
        now: SystemTime,
        not_after: SystemTime,
    ) -> Result<IssuedJwt, KeyError> {
        const FAILED: KeyError = KeyError::Library("sign a token");
        let id: String = clock::random::<16>()
            .map_err(|_| KeyError::Library("give randomness"))?
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        let header = Header {
            alg: "ES256",
            kid: &self.public.id,
            typ: "JWT",
        };
        let claims = Claims {
            sub: identity.to_string(),
            aud: audience,
            exp: clock::unix_seconds(not_after),
            iat: clock::unix_seconds(now),
            jti: &id,
        };
        let header = serde_json::to_vec(&header).map_err(|_| FAILED)?;
        let claims = serde_json::to_vec(&claims).map_err(|_| FAILED)?;
        let mut token = URL_SAFE_NO_PAD.encode(header);
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(claims, &mut token);
        let signature = self
            .pair
            .sign(&SystemRandom::new(), token.as_bytes())
            .map_err(|_| FAILED)?;
        token.push('.');
        URL_SAFE_NO_PAD.encode_string(signature, &mut token);
        Ok(IssuedJwt {
            token,
            id,
            issued_at: now,
            not_after,
        })
    }
}

impl fmt::Debug for JwtKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtKey")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for IssuedJwt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IssuedJwt")
            .field("id", &self.id)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

/// An `ECPrivateKey` of P-256 without its public key (RFC 5915, section 3).
fn sec1(scalar: &[u8; SCALAR]) -> Zeroizing<Vec<u8>> {
    // The version 1, then the number.
    const HEAD: [u8; 7] = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
    // [0] prime256v1.
    const CURVE: [u8; 12] = [
        0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07,
    ];
    Zeroizing::new([HEAD.as_slice(), scalar, &CURVE].concat())
}

// === impl JwtPublicKey ===

impl JwtPublicKey {
    /// Of an uncompressed point.
    fn new(point: &[u8]) -> Option<Self> {
        let (x, y) = point
            .strip_prefix(&[4])
            .filter(|rest| rest.len() == 2 * SCALAR)?
            .split_at_checked(SCALAR)?;
        let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
        let members = format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#);
        let id = URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()));
        Some(Self { id, x, y })
    }

    /// The name by which tokens refer to it (`kid`).
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// A JSON Web Key Set (RFC 7517, section 5).
pub(crate) fn key_set<'a>(keys: impl Iterator<Item = &'a JwtPublicKey>) -> String {
    let keys = keys.map(|key| Jwk {
        kty: "EC",
        crv: "P-256",
        alg: "ES256",
        kid: &key.id,
        x: &key.x,
        y: &key.y,
    });
    let set = Jwks {
        keys: keys.collect(),
    };
    // Texts and lists always encode.
    serde_json::to_string(&set).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
    use serde_json::Value;

    use super::*;

    fn part(token: &str, number: usize) -> Vec<u8> {
        let text = token.split('.').nth(number).unwrap();
        URL_SAFE_NO_PAD.decode(text).unwrap()
    }

    #[test]
    fn the_same_key_gives_the_same_key_and_another_one_another() {
        for algorithm in [
            &rcgen::PKCS_ECDSA_P256_SHA256,
            &rcgen::PKCS_ECDSA_P384_SHA384,
            &rcgen::PKCS_RSA_SHA256,
        ] {
            let made = rcgen::KeyPair::generate_for(algorithm).unwrap();
            let key = SecretKey::from_pem(made.serialize_pem().as_bytes()).unwrap();
            let again = SecretKey::from_pem(key.to_pem().unwrap().as_bytes()).unwrap();
            let derived = JwtKey::derive(&key).unwrap();
            assert_eq!(derived.public(), JwtKey::derive(&again).unwrap().public());
            let other = JwtKey::derive(&SecretKey::generate().unwrap()).unwrap();
            assert_ne!(derived.public(), other.public());
        }
    }

    #[test]
    fn a_token_says_what_the_standard_asks_for_and_verifies() {
        let key = JwtKey::derive(&SecretKey::generate().unwrap()).unwrap();
        let identity: SpiffeId = "spiffe://cluster.local/ns/a/sa/b".parse().unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let end = now + Duration::from_secs(300);
        let audience = ["db".to_owned(), "https://x/\"".to_owned()];
        let issued = key.sign(&identity, &audience, now, end).unwrap();
        let header: Value = serde_json::from_slice(&part(&issued.token, 0)).unwrap();
        assert_eq!(
            header,
            serde_json::json!({"alg": "ES256", "kid": key.public().id(), "typ": "JWT"})
        );
        let claims: Value = serde_json::from_slice(&part(&issued.token, 1)).unwrap();
        assert_eq!(
            claims,
            serde_json::json!({
                "sub": "spiffe://cluster.local/ns/a/sa/b",
                "aud": ["db", "https://x/\""],
                "exp": 1_300,
                "iat": 1_000,
                "jti": issued.id,
            })
        );
        let (message, _) = issued.token.rsplit_once('.').unwrap();
        let set: Value = serde_json::from_str(&key_set(std::iter::once(key.public()))).unwrap();
        let octets = |name: &str| {
            let text = set["keys"][0][name].as_str().unwrap();
            URL_SAFE_NO_PAD.decode(text).unwrap()
        };
        let point = [vec![4], octets("x"), octets("y")].concat();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(message.as_bytes(), &part(&issued.token, 2))
            .unwrap();
        assert!(!format!("{issued:?} {key:?}").contains(message));
    }
}
