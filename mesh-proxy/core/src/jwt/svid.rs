//! JWT-SVIDs: tokens that name a workload (SPIFFE JWT-SVID).

use base64::Engine as _;
use serde_json::{Map, Value};

use super::key::{Algorithm, BASE64URL, Checked};
use super::verify::object;
use super::{KeySet, LONGEST};

/// How far clocks may be apart, in seconds.
const SKEW: f64 = 60.0;

/// A token that holds.
#[derive(Clone, Debug, PartialEq)]
pub struct JwtSvid {
    /// Whom it names: a SPIFFE ID.
    pub id: String,
    /// All that it says.
    pub claims: Map<String, Value>,
}

/// Why a token does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSvid {
    /// It is none.
    #[error("this is no JWT-SVID: {0}")]
    Malformed(&'static str),
    /// It is signed as none may be (JWT-SVID, section 2.2).
    #[error("its algorithm is none of those for JWT-SVIDs")]
    Algorithm,
    /// It is for others.
    #[error("it is for another audience")]
    Audience,
    /// It is too late for it.
    #[error("it has expired")]
    Expired,
    /// It is too early for it.
    #[error("it is not valid yet")]
    NotYet,
    /// There are no keys of its trust domain.
    #[error("no keys of the trust domain {0} are known")]
    TrustDomain(String),
    /// None of the keys of its trust domain has signed it.
    #[error("no key of its trust domain has signed it")]
    Signature,
}

// === impl JwtSvid ===

impl JwtSvid {
    /// Verifies a token for an audience (JWT-SVID, section 5). `keys` gives the keys of a trust
    /// domain; `now` is in seconds since the Unix epoch.
    ///
    /// # Errors
    /// Why it does not hold.
    pub fn verify(
        text: &str,
        audience: &str,
        keys: impl FnOnce(&str) -> Option<KeySet>,
        now: u64,
    ) -> Result<Self, BadSvid> {
        if text.len() > LONGEST {
            return Err(BadSvid::Malformed("it is too long"));
        }
        let mut parts = text.split('.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(BadSvid::Malformed("it has not three parts"));
        };
        let head = object(header).map_err(|_| BadSvid::Malformed("its header is no object"))?;
        let algorithm = algorithm(&head)?;
        let claims = object(payload).map_err(|_| BadSvid::Malformed("its claims are no object"))?;
        let id = claims.get("sub").and_then(Value::as_str);
        let id = id.ok_or(BadSvid::Malformed("it has no `sub`"))?.to_owned();
        let domain = trust_domain(&id).ok_or(BadSvid::Malformed("its `sub` is no SPIFFE ID"))?;
        check_time(&claims, now)?;
        if !names(claims.get("aud"), audience) {
            return Err(BadSvid::Audience);
        }
        let keys = keys(domain).ok_or_else(|| BadSvid::TrustDomain(domain.to_owned()))?;
        let octets = BASE64URL
            .decode(signature)
            .map_err(|_| BadSvid::Malformed("its signature is no base64url"))?;
        let key = match head.get("kid") {
            None => None,
            Some(key) => Some(
                key.as_str()
                    .ok_or(BadSvid::Malformed("its `kid` is no text"))?,
            ),
        };
        let signed = text.get(..header.len() + 1 + payload.len());
        let message = signed.unwrap_or_default().as_bytes();
        match keys.check(algorithm, key, message, &octets) {
            Checked::Good => Ok(Self { id, claims }),
            Checked::Bad | Checked::NoKey => Err(BadSvid::Signature),
        }
    }
}

// RS, PS and ES, and nothing else (JWT-SVID, section 2.1).
fn algorithm(head: &Map<String, Value>) -> Result<Algorithm, BadSvid> {
    let named = head.get("alg").and_then(Value::as_str);
    let algorithm = named.and_then(Algorithm::new).ok_or(BadSvid::Algorithm)?;
    if algorithm == Algorithm::EdDsa {
        return Err(BadSvid::Algorithm);
    }
    // RFC 7515 section 4.1.11: nothing of it is understood here.
    if head.contains_key("crit") {
        return Err(BadSvid::Malformed("it asks for extensions"));
    }
    match head.get("typ").map(Value::as_str) {
        None | Some(Some("JWT" | "JOSE")) => Ok(algorithm),
        Some(_) => Err(BadSvid::Malformed("its `typ` is neither JWT nor JOSE")),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "exact until long after all certificates have expired"
)]
fn check_time(claims: &Map<String, Value>, now: u64) -> Result<(), BadSvid> {
    let now = now as f64;
    let expires = claims.get("exp").and_then(Value::as_f64);
    // Without an end it is none (JWT-SVID, section 3.3).
    let expires = expires.ok_or(BadSvid::Malformed("it has no `exp`"))?;
    if now > expires + SKEW {
        return Err(BadSvid::Expired);
    }
    match claims.get("nbf").map(Value::as_f64) {
        None => Ok(()),
        Some(Some(begins)) if now + SKEW >= begins => Ok(()),
        Some(Some(_)) => Err(BadSvid::NotYet),
        Some(None) => Err(BadSvid::Malformed("its `nbf` is no time")),
    }
}

fn names(claim: Option<&Value>, audience: &str) -> bool {
    match claim {
        Some(Value::String(one)) => one == audience,
        Some(Value::Array(list)) => list.iter().any(|one| one == audience),
        _ => false,
    }
}

/// The trust domain of a workload's SPIFFE ID (SPIFFE-ID, section 2); not only of those in the
/// form of the mesh.
fn trust_domain(id: &str) -> Option<&str> {
    let (domain, path) = id.strip_prefix("spiffe://")?.split_once('/')?;
    let lower = |octet: u8| matches!(octet, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-' | b'_');
    let any = |octet: u8| lower(octet) || octet.is_ascii_uppercase();
    let segment =
        |text: &str| !text.is_empty() && text != "." && text != ".." && text.bytes().all(any);
    let good = id.len() <= 2048
        && (1..=255).contains(&domain.len())
        && domain.bytes().all(lower)
        && path.split('/').all(segment);
    good.then_some(domain)
}
