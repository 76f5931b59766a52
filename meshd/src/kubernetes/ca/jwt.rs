//! What a JSON Web Token (RFC 7519) says of itself. Nothing is verified: this only spares the API
//! server tokens that it would refuse, and tells their bearers why.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// No service-account token comes near to this.
const LONGEST: usize = 16 * 1024;

/// Claims that a token makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claims {
    /// Whom it is for; empty if it does not say.
    pub(super) audiences: Vec<String>,
    /// Until when, if it says.
    pub(super) expires: Option<SystemTime>,
}

#[derive(Deserialize)]
struct Wire {
    #[serde(default)]
    aud: Option<Audience>,
    #[serde(default)]
    exp: Option<f64>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// Reads the claims; `None` if it is no JWT.
pub(super) fn claims(token: &str) -> Option<Claims> {
    if token.len() > LONGEST {
        return None;
    }
    let mut parts = token.split('.');
    let (Some(header), Some(payload), Some(_), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let json = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
    serde_json::from_slice::<serde::de::IgnoredAny>(&json(header)?).ok()?;
    let wire: Wire = serde_json::from_slice(&json(payload)?).ok()?;
    let audiences = match wire.aud {
        None => Vec::new(),
        Some(Audience::One(audience)) => vec![audience],
        Some(Audience::Many(audiences)) => audiences,
    };
    let expires = wire
        .exp
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .and_then(|since| SystemTime::UNIX_EPOCH.checked_add(since));
    Some(Claims { audiences, expires })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(payload: &str) -> String {
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        format!("{}.{}.c2ln", part(r#"{"alg":"RS256"}"#), part(payload))
    }

    #[test]
    fn reads_what_tokens_say() {
        let at = |seconds| Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds));
        for (payload, audiences, expires) in [
            (
                r#"{"aud":["istio-ca"],"exp":1800000000}"#,
                vec!["istio-ca"],
                at(1_800_000_000),
            ),
            (r#"{"aud":"a","sub":"x"}"#, vec!["a"], None),
            (r#"{"exp":1.5e9}"#, vec![], at(1_500_000_000)),
            (r#"{"exp":-1}"#, vec![], None),
            (r#"{"exp":1e300}"#, vec![], None),
        ] {
            let claims = claims(&token(payload)).unwrap();
            assert_eq!(claims.audiences, audiences, "{payload}");
            assert_eq!(claims.expires, expires, "{payload}");
        }
    }

    #[test]
    fn knows_what_is_no_jwt() {
        let long = token(&format!(r#"{{"aud":"{}"}}"#, "a".repeat(LONGEST)));
        for text in [
            "",
            "a.b.c",
            "mesh1.a.b.c",
            "e30.e30",
            "e30.bm8.c2ln",
            &token(r#"{"aud":7}"#),
            &long,
        ] {
            assert_eq!(claims(text), None, "{text}");
        }
    }
}
