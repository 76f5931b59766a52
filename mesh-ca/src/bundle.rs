//! SPIFFE bundles: what vouches for the identities of one trust domain, in the form in which
//! trust domains give it to each other (SPIFFE Trust Domain and Bundle, section 4).

mod endpoint;

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls_pki_types::CertificateDer;
use serde_json::{Map, Value, json};
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;

pub use endpoint::{SpiffeServerVerifier, uri_name};

/// Longest bundle that is read, in bytes.
pub const LONGEST_BUNDLE: usize = 1024 * 1024;
/// So many keys may be in one: a trust domain has a few.
const MOST_KEYS: usize = 256;
/// Members of a public key (RFC 7518, section 6). What else stands there, the private half for
/// example, goes no further.
const PUBLIC: [&str; 8] = ["kty", "kid", "alg", "crv", "x", "y", "n", "e"];

/// What vouches for the identities of one trust domain. It does not say of which: whoever
/// fetches it has to know.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SpiffeBundle {
    /// Roots of its X.509-SVIDs, DER.
    pub roots_der: Vec<Vec<u8>>,
    /// Keys of its JWT-SVIDs, a JSON Web Key Set (RFC 7517); empty if there are none.
    pub jwks: String,
    /// Rises with every change (`spiffe_sequence`), if it is there.
    pub sequence: Option<u64>,
    /// How often to look again (`spiffe_refresh_hint`), if it is there.
    pub refresh_hint: Option<Duration>,
}

/// Why a text is no bundle that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// It is too long.
    #[error("it is longer than {LONGEST_BUNDLE} bytes")]
    TooLong,
    /// It is no JSON Web Key Set.
    #[error("it is no JSON object with a list `keys`")]
    NoKeySet,
    /// There are too many keys in it.
    #[error("it holds more than {MOST_KEYS} keys")]
    TooManyKeys,
    /// A member of the bundle itself is not what it should be.
    #[error("`{0}` is no whole number from 0")]
    Number(&'static str),
    /// A key cannot be used.
    #[error("keys[{number}]: {why}")]
    Key {
        /// Which one, from 0.
        number: usize,
        /// What is wrong.
        why: String,
    },
    /// A root of ours cannot be written.
    #[error("a root cannot be written as a key: {0}")]
    Root(String),
}

// === impl SpiffeBundle ===

impl SpiffeBundle {
    /// Reads one. Keys of unknown type or use are passed over (section 4.2); without any key it
    /// says that nothing vouches for the trust domain any more.
    ///
    /// # Errors
    /// If it is none, or a key in it that is known cannot be used: to leave one out would be to
    /// take something else than what was published.
    pub fn parse(text: &[u8]) -> Result<Self, BundleError> {
        if text.len() > LONGEST_BUNDLE {
            return Err(BundleError::TooLong);
        }
        let Ok(Value::Object(mut set)) = serde_json::from_slice(text) else {
            return Err(BundleError::NoKeySet);
        };
        let Some(Value::Array(keys)) = set.remove("keys") else {
            return Err(BundleError::NoKeySet);
        };
        if keys.len() > MOST_KEYS {
            return Err(BundleError::TooManyKeys);
        }
        let number = |name| match set.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value.as_u64().map(Some).ok_or(BundleError::Number(name)),
        };
        let mut bundle = Self {
            sequence: number("spiffe_sequence")?,
            refresh_hint: number("spiffe_refresh_hint")?.map(Duration::from_secs),
            ..Self::default()
        };
        let mut tokens = Vec::new();
        for (number, key) in keys.iter().enumerate() {
            let failed = |why: String| BundleError::Key { number, why };
            let text = |name| key.get(name).and_then(Value::as_str);
            if !matches!(text("kty"), Some("EC" | "RSA" | "OKP")) {
                continue;
            }
            match text("use") {
                Some("x509-svid") => {
                    let root = root(key).map_err(failed)?;
                    if !bundle.roots_der.contains(&root) {
                        bundle.roots_der.push(root);
                    }
                }
                Some("jwt-svid") => tokens.push(token_key(key).map_err(failed)?),
                _ => {}
            }
        }
        if !tokens.is_empty() {
            bundle.jwks = json!({ "keys": tokens }).to_string();
        }
        Ok(bundle)
    }

    /// Writes it.
    ///
    /// # Errors
    /// If a root is no certificate.
    pub fn to_json(&self) -> Result<String, BundleError> {
        let mut keys = Vec::new();
        for root in &self.roots_der {
            keys.push(root_key(root)?);
        }
        let set: Value = serde_json::from_str(&self.jwks).unwrap_or_default();
        let tokens = set.get("keys").and_then(Value::as_array);
        for key in tokens.into_iter().flatten() {
            let mut key = key.clone();
            if let Some(members) = key.as_object_mut() {
                members.insert("use".to_owned(), "jwt-svid".into());
            }
            keys.push(key);
        }
        let mut set = Map::new();
        set.insert("keys".to_owned(), keys.into());
        if let Some(sequence) = self.sequence {
            set.insert("spiffe_sequence".to_owned(), sequence.into());
        }
        if let Some(hint) = self.refresh_hint {
            set.insert("spiffe_refresh_hint".to_owned(), hint.as_secs().into());
        }
        Ok(Value::Object(set).to_string())
    }

    /// The trust domain that a root in it names besides `expected`, if one does. Roots need not
    /// name any.
    pub fn foreign_root(&self, expected: &str) -> Option<String> {
        self.roots_der.iter().find_map(|root| {
            let named = named_domain(root)?;
            (named != expected).then_some(named)
        })
    }
}

/// The certificate of a key (X.509-SVID, section 6.2: `x5c` holds exactly one).
fn root(key: &Value) -> Result<Vec<u8>, String> {
    let chain = key.get("x5c").and_then(Value::as_array);
    let [Value::String(text)] = chain.map_or(&[][..], Vec::as_slice) else {
        return Err("`x5c` must hold exactly one certificate".to_owned());
    };
    let der = STANDARD
        .decode(text)
        .map_err(|_| "`x5c` is no base64".to_owned())?;
    let (rest, certificate) =
        X509Certificate::from_der(&der).map_err(|_| "`x5c` holds no certificate".to_owned())?;
    if !rest.is_empty() {
        return Err("`x5c` holds more than a certificate".to_owned());
    }
    if !certificate.is_ca() {
        return Err("its certificate is not that of an authority".to_owned());
    }
    rustls::RootCertStore::empty()
        .add(CertificateDer::from(der.as_slice()))
        .map_err(|error| format!("its certificate cannot be a root: {error}"))?;
    Ok(der)
}

/// A key of JWT-SVIDs (JWT-SVID, section 6): its public half only.
fn token_key(key: &Value) -> Result<Value, String> {
    let members = key.as_object().ok_or("it is no object")?;
    let id = members.get("kid").and_then(Value::as_str);
    if id.is_none_or(str::is_empty) {
        return Err("a key of tokens needs a `kid`".to_owned());
    }
    let public = members
        .iter()
        .filter(|(name, value)| PUBLIC.contains(&name.as_str()) && value.is_string())
        .map(|(name, value)| (name.clone(), value.clone()));
    Ok(Value::Object(public.collect()))
}

fn root_key(der: &[u8]) -> Result<Value, BundleError> {
    let failed = |why: &str| BundleError::Root(why.to_owned());
    let (_, certificate) =
        X509Certificate::from_der(der).map_err(|_| failed("it is no certificate"))?;
    let key = certificate
        .public_key()
        .parsed()
        .map_err(|_| failed("its key cannot be read"))?;
    let number = |octets: &[u8]| {
        let first = octets.iter().position(|octet| *octet != 0).unwrap_or(0);
        URL_SAFE_NO_PAD.encode(octets.get(first..).unwrap_or_default())
    };
    let x5c = [STANDARD.encode(der)];
    match key {
        PublicKey::RSA(key) => Ok(json!({
            "use": "x509-svid",
            "kty": "RSA",
            "n": number(key.modulus),
            "e": number(key.exponent),
            "x5c": x5c,
        })),
        PublicKey::EC(point) => {
            let point = point.data();
            let (x, y) = point
                .strip_prefix(&[4])
                .and_then(|rest| rest.split_at_checked(rest.len() / 2))
                .ok_or_else(|| failed("its point is compressed"))?;
            let curve = match x.len() {
                32 => "P-256",
                48 => "P-384",
                66 => "P-521",
                _ => return Err(failed("its curve is not known")),
            };
            Ok(json!({
                "use": "x509-svid",
                "kty": "EC",
                "crv": curve,
                "x": URL_SAFE_NO_PAD.encode(x),
                "y": URL_SAFE_NO_PAD.encode(y),
                "x5c": x5c,
            }))
        }
        _ => Err(failed("its key is neither RSA nor of an elliptic curve")),
    }
}

/// The trust domain in a root's URI SAN (X.509-SVID, section 2).
fn named_domain(der: &[u8]) -> Option<String> {
    let (_, certificate) = X509Certificate::from_der(der).ok()?;
    let names = certificate.subject_alternative_name().ok()??;
    names.value.general_names.iter().find_map(|name| {
        let GeneralName::URI(uri) = name else {
            return None;
        };
        let rest = uri.strip_prefix("spiffe://")?;
        rest.split('/').next().map(str::to_owned)
    })
}

#[cfg(test)]
mod tests;
