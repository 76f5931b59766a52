//! Where tokens stand in a request.

use http::header::{AUTHORIZATION, COOKIE};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::LONGEST;
use crate::plan;
use crate::reason::Reason;

/// A place of tokens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Location {
    /// In a header, behind a prefix.
    Header {
        /// Its name.
        name: HeaderName,
        /// What stands before the token; may be empty.
        prefix: Box<str>,
        /// The prefix is a scheme, which has no case (RFC 9110 section 11.1).
        scheme: bool,
    },
    /// In a query parameter.
    Param(Box<str>),
    /// In a cookie.
    Cookie(Box<str>),
}

/// Tokens as found, or why one cannot be one.
type Found = SmallVec<[Result<String, Reason>; 1]>;

// === impl Location ===

impl Location {
    /// Where tokens stand if a rule names no place (Istio: JWTRule).
    pub fn defaults() -> Vec<Self> {
        vec![
            Self::Header {
                name: AUTHORIZATION,
                prefix: "Bearer ".into(),
                scheme: true,
            },
            Self::Param("access_token".into()),
        ]
    }

    /// What is behind the prefix, if it is there.
    fn behind<'a>(&self, value: &'a [u8]) -> Option<&'a [u8]> {
        let Self::Header { prefix, scheme, .. } = self else {
            return None;
        };
        let (head, rest) = value.split_at_checked(prefix.len())?;
        let same = if *scheme {
            head.eq_ignore_ascii_case(prefix.as_bytes())
        } else {
            head == prefix.as_bytes()
        };
        same.then_some(rest)
    }
}

/// All tokens in the places.
pub(super) fn find(locations: &[Location], parts: &Parts) -> Found {
    let mut found = Found::new();
    let mut take = |octets: &[u8]| {
        let octets = octets.trim_ascii();
        found.push(if octets.len() > LONGEST {
            Err(Reason::JwtTooLarge)
        } else {
            std::str::from_utf8(octets)
                .map(str::to_owned)
                .map_err(|_| Reason::JwtMalformed)
        });
    };
    for location in locations {
        match location {
            Location::Header { name, .. } => {
                let values = parts.headers.get_all(name).iter();
                values
                    .filter_map(|value| location.behind(value.as_bytes()))
                    .for_each(&mut take);
            }
            Location::Param(name) => {
                let pairs = parts
                    .uri
                    .query()
                    .into_iter()
                    .flat_map(|query| query.split('&'));
                pairs
                    .filter_map(|pair| pair.split_once('='))
                    .filter(|(key, _)| *key == &**name)
                    .for_each(|(_, value)| take(value.as_bytes()));
            }
            Location::Cookie(name) => {
                let values = parts.headers.get_all(COOKIE).iter();
                values
                    .filter_map(|value| value.to_str().ok())
                    .flat_map(|value| value.split(';'))
                    .filter_map(|pair| pair.trim().split_once('='))
                    .filter(|(key, _)| *key == &**name)
                    .for_each(|(_, value)| take(value.as_bytes()));
            }
        }
    }
    found
}

/// Takes the tokens out of the request.
pub(super) fn strip(locations: &[Location], parts: &mut Parts) {
    for location in locations {
        match location {
            Location::Header { name, .. } => {
                let keep: Vec<HeaderValue> = parts
                    .headers
                    .get_all(name)
                    .iter()
                    .filter(|value| location.behind(value.as_bytes()).is_none())
                    .cloned()
                    .collect();
                parts.headers.remove(name);
                for value in keep {
                    parts.headers.append(name, value);
                }
            }
            Location::Param(name) => strip_param(name, parts),
            Location::Cookie(name) => strip_cookie(name, parts),
        }
    }
}

fn strip_param(name: &str, parts: &mut Parts) {
    let Some(query) = parts.uri.query() else {
        return;
    };
    let is_token = |pair: &&str| pair.split_once('=').is_some_and(|(key, _)| key == name);
    if !query.split('&').any(|pair| is_token(&pair)) {
        return;
    }
    let rest: Vec<&str> = query.split('&').filter(|pair| !is_token(pair)).collect();
    let path = parts.uri.path();
    let whole = if rest.is_empty() {
        path.to_owned()
    } else {
        format!("{path}?{}", rest.join("&"))
    };
    if let Ok(new) = PathAndQuery::try_from(whole) {
        plan::set_path(parts, new);
    }
}

fn strip_cookie(name: &str, parts: &mut Parts) {
    let is_token = |pair: &str| {
        let pair = pair.trim();
        pair.split_once('=').is_some_and(|(key, _)| key == name)
    };
    let mut keep = Vec::new();
    for value in parts.headers.get_all(COOKIE) {
        match value.to_str() {
            Ok(text) if text.split(';').any(is_token) => {
                let rest: Vec<&str> = text
                    .split(';')
                    .filter(|pair| !is_token(pair))
                    .map(str::trim)
                    .collect();
                if !rest.is_empty()
                    && let Ok(value) = HeaderValue::try_from(rest.join("; "))
                {
                    keep.push(value);
                }
            }
            _ => keep.push(value.clone()),
        }
    }
    parts.headers.remove(COOKIE);
    for value in keep {
        parts.headers.append(COOKIE, value);
    }
}
