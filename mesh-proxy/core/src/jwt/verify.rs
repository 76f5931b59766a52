//! One token.

use std::sync::Arc;

use base64::Engine as _;
use serde_json::{Map, Value};

use super::key::{Algorithm, BASE64URL, Checked};
use super::{LONGEST, TokenRule};
use crate::authz::Token;
use crate::reason::Reason;

/// How far clocks may be apart, in seconds (Envoy: clock_skew_seconds).
const SKEW: u64 = 60;

/// A token whose signature, issuer and audience hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// What it says.
    pub token: Arc<Token>,
    /// Its payload as it came, base64url.
    pub payload: Box<str>,
    // Seconds since the Unix epoch.
    expires: Option<u64>,
    begins: Option<u64>,
}

/// Verifies a token by a rule (RFC 7519 section 7.2). `now` is in seconds since the Unix epoch.
///
/// # Errors
/// The reason why it does not hold.
pub fn verify(rule: &TokenRule, text: &str, now: u64) -> Result<Verified, Reason> {
    if text.len() > LONGEST {
        return Err(Reason::JwtTooLarge);
    }
    let mut parts = text.split('.');
    let (Some(header), Some(payload), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(Reason::JwtMalformed);
    };
    let head = object(header)?;
    let name = head.get("alg").and_then(Value::as_str);
    let name = name.ok_or(Reason::JwtMalformed)?;
    let algorithm = Algorithm::new(name).ok_or(Reason::JwtAlgorithmRefused)?;
    // RFC 7515 section 4.1.11: nothing of it is understood here.
    if head.contains_key("crit") {
        return Err(Reason::JwtMalformed);
    }
    let id = match head.get("kid") {
        None => None,
        Some(id) => Some(id.as_str().ok_or(Reason::JwtMalformed)?),
    };
    let claims = object(payload)?;
    if claims.get("iss").and_then(Value::as_str) != Some(&rule.issuer) {
        return Err(Reason::JwtIssuerUnknown);
    }
    let token = Token::new(claims, rule.space_delimited.clone());
    let verified = Verified {
        expires: time(&token, "exp")?,
        begins: time(&token, "nbf")?,
        token: Arc::new(token),
        payload: payload.trim_end_matches('=').into(),
    };
    verified.check_time(now)?;
    if !rule.audiences.is_empty() {
        let wanted = |audience: &str| {
            let audience = bare(audience);
            rule.audiences.iter().any(|known| bare(known) == audience)
        };
        if !verified.token.audience_holds(wanted) {
            return Err(Reason::JwtAudienceRefused);
        }
    }
    let Ok(keys) = &rule.keys else {
        return Err(Reason::JwtKeysUnavailable);
    };
    let octets = BASE64URL
        .decode(signature)
        .map_err(|_| Reason::JwtMalformed)?;
    let signed = text.get(..header.len() + 1 + payload.len());
    let message = signed.unwrap_or_default().as_bytes();
    match keys.check(algorithm, id, message, &octets) {
        Checked::Good => Ok(verified),
        Checked::Bad => Err(Reason::JwtSignatureInvalid),
        Checked::NoKey => Err(Reason::JwtKeyUnknown),
    }
}

pub(super) fn object(part: &str) -> Result<Map<String, Value>, Reason> {
    let octets = BASE64URL.decode(part).map_err(|_| Reason::JwtMalformed)?;
    serde_json::from_slice(&octets).map_err(|_| Reason::JwtMalformed)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "fractions of seconds and times after the year 10^11 do not matter"
)]
fn time(token: &Token, claim: &str) -> Result<Option<u64>, Reason> {
    match token.claims().get(claim) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(seconds) if seconds >= 0.0 => Ok(Some(seconds as u64)),
            _ => Err(Reason::JwtMalformed),
        },
    }
}

// Envoy compares audiences without scheme and last slash.
fn bare(audience: &str) -> &str {
    let rest = audience
        .strip_prefix("https://")
        .or_else(|| audience.strip_prefix("http://"))
        .unwrap_or(audience);
    rest.strip_suffix('/').unwrap_or(rest)
}

// === impl Verified ===

impl Verified {
    /// Whether it holds at this time.
    pub(super) fn check_time(&self, now: u64) -> Result<(), Reason> {
        if self
            .expires
            .is_some_and(|expires| now > expires.saturating_add(SKEW))
        {
            return Err(Reason::JwtExpired);
        }
        if self
            .begins
            .is_some_and(|begins| now.saturating_add(SKEW) < begins)
        {
            return Err(Reason::JwtNotYetValid);
        }
        Ok(())
    }

    /// What it takes in memory, about, in bytes.
    pub(super) fn size(&self) -> usize {
        // Claims are a tree of small allocations.
        self.payload.len() * 4 + 512
    }
}
