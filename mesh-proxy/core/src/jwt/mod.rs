//! Tokens of requests (Istio: RequestAuthentication; RFC 7519, RFC 7515, RFC 8725).
//!
//! A request without a token passes; whether it needs one is for authorization policies to say.
//! One whose token does not hold is refused, with the reason by name. A token that was verified
//! is remembered until it expires: [`TokenCache`].

mod cache;
mod claims;
mod key;
mod location;
mod svid;
mod verify;

use std::sync::Arc;

use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method};

use crate::authz::Token;
use crate::ir::Origin;
use crate::reason::Reason;

pub use cache::TokenCache;
pub use key::{BadKeys, KeySet};
pub use location::Location;
pub use svid::{BadSvid, JwtSvid};
pub use verify::{Verified, verify};

/// Longest token that is looked at, in bytes: that of a whole header block elsewhere.
pub const LONGEST: usize = 16 * 1024;

/// All the tokens that a workload takes.
#[derive(Clone, Debug, Default)]
pub struct TokenRules {
    /// Changes with the rules.
    pub(crate) id: u64,
    pub(crate) rules: Vec<TokenRule>,
}

/// Tokens of one issuer (Istio: JWTRule).
#[derive(Clone, Debug)]
pub struct TokenRule {
    /// `<namespace>/<name>` of the RequestAuthentication.
    pub policy: Arc<str>,
    /// The issuer.
    pub issuer: Box<str>,
    /// Any of these must be in `aud`; empty accepts any.
    pub audiences: Vec<Box<str>>,
    /// Keys of the issuer; an error says why there are none.
    pub keys: Result<KeySet, Arc<str>>,
    /// Where tokens may stand.
    pub locations: Vec<Location>,
    /// The workload gets the token, too.
    pub forward: bool,
    /// Header in which the workload gets the payload.
    pub payload_header: Option<HeaderName>,
    /// Claims, by their names from the outside in, that the workload gets as headers.
    pub claim_headers: Vec<(HeaderName, Vec<Box<str>>)>,
    /// Claims that are lists of words in one string.
    pub space_delimited: Vec<Box<str>>,
    /// Place in the configuration.
    pub origin: Option<Arc<Origin>>,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// By name.
    pub reason: Reason,
    /// `<namespace>/<name>` of the RequestAuthentication.
    pub policy: Arc<str>,
}

// === impl TokenRules ===

impl TokenRules {
    /// Rules of all policies of a workload. `id` must be another for others.
    pub fn new(id: u64, mut rules: Vec<TokenRule>) -> Self {
        // Istio: by issuer.
        rules.sort_by(|a, b| a.issuer.cmp(&b.issuer));
        Self { id, rules }
    }

    /// Whether no token is looked for.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The rules, in the order in which they are tried.
    pub fn rules(&self) -> &[TokenRule] {
        &self.rules
    }
}

/// Verifies the token of a request and edits the request as the rules say. The token is in the
/// request's extensions then, as `Arc<Token>`, for policies and routes. `now` is in seconds since
/// the Unix epoch.
///
/// The first rule with a token that holds decides. If there is none, the request is refused if
/// any rule found a token, and passes otherwise (Istio: convertToEnvoyJwtConfig).
///
/// # Errors
/// If a token does not hold.
pub fn authenticate(
    rules: &TokenRules,
    parts: &mut Parts,
    now: u64,
    cache: &mut TokenCache,
) -> Result<Option<Arc<Token>>, Refused> {
    parts.extensions.remove::<Arc<Token>>();
    for rule in &rules.rules {
        // Only what is verified may stand there.
        rule.payload_header
            .iter()
            .for_each(|name| drop(parts.headers.remove(name)));
        for (name, _) in &rule.claim_headers {
            parts.headers.remove(name);
        }
    }
    if is_preflight(parts) {
        return Ok(None);
    }
    let mut refused: Option<Refused> = None;
    for (rule, index) in rules.rules.iter().zip(0_u32..) {
        let found = location::find(&rule.locations, parts);
        if found.is_empty() {
            continue;
        }
        match rule.all(&found, (rules.id, index), now, cache) {
            Ok(verified) => {
                rule.edit(parts, &verified);
                let token = Arc::clone(&verified.token);
                parts.extensions.insert(Arc::clone(&token));
                return Ok(Some(token));
            }
            Err(reason) => {
                let policy = Arc::clone(&rule.policy);
                let better = refused.as_ref().is_none_or(|refused| {
                    // A token of another issuer says less than one of this.
                    refused.reason == Reason::JwtIssuerUnknown
                });
                if better {
                    refused = Some(Refused { reason, policy });
                }
            }
        }
    }
    refused.map_or(Ok(None), Err)
}

// Preflights carry no token (Envoy: bypass_cors_preflight).
fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS
        && parts.headers.contains_key(ORIGIN)
        && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

// === impl TokenRule ===

impl TokenRule {
    // All tokens of the rule's places must hold; the first one counts.
    fn all(
        &self,
        found: &[Result<String, Reason>],
        (id, index): (u64, u32),
        now: u64,
        cache: &mut TokenCache,
    ) -> Result<Arc<Verified>, Reason> {
        let mut first = None;
        for token in found {
            let token = token.as_deref().map_err(|reason| *reason)?;
            let known = cache.find((id, index), token);
            let verified = match known {
                Some(known) => known,
                None => {
                    let new = Arc::new(verify(self, token, now)?);
                    cache.keep((id, index), token, Arc::clone(&new));
                    new
                }
            };
            verified.check_time(now)?;
            first.get_or_insert(verified);
        }
        first.ok_or(Reason::JwtMalformed)
    }

    fn edit(&self, parts: &mut Parts, verified: &Verified) {
        if !self.forward {
            location::strip(&self.locations, parts);
        }
        if let Some(name) = &self.payload_header {
            insert(&mut parts.headers, name, &verified.payload);
        }
        for (name, claim) in &self.claim_headers {
            let names = claim.iter().map(AsRef::as_ref);
            let text = verified.token.claim(names).and_then(claims::as_header);
            if let Some(text) = text {
                insert(&mut parts.headers, name, &text);
            }
        }
    }
}

fn insert(headers: &mut HeaderMap, name: &HeaderName, text: &str) {
    // A claim that cannot stand in a header stays out.
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests;
