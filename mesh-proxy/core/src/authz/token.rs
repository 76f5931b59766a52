//! What policies see of a request's token.

use mesh_api::SpiffeId;
use serde_json::{Map, Value};

use super::matcher::Pattern;
use crate::ir::Mesh;

/// A token that was verified (Istio: `request.auth`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Token {
    claims: Map<String, Value>,
    // Claims that are lists of words in one string.
    space_delimited: Vec<Box<str>>,
}

/// A pattern over the issuer and subject of a token, `<issuer>/<subject>`. The last slash parts
/// them (Istio: pilot/pkg/security/authz/model/generator.go, requestPrincipalGenerator).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestPrincipalPattern {
    issuer: Option<Pattern>,
    subject: Option<Pattern>,
}

/// A pattern over a trust domain. One that stands for a name of the mesh's own trust domain
/// stands for all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrustDomainPattern(Pattern);

// === impl Token ===

impl Token {
    /// A token with these claims.
    pub fn new(claims: Map<String, Value>, space_delimited: Vec<Box<str>>) -> Self {
        Self {
            claims,
            space_delimited,
        }
    }

    /// All claims.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.claims
    }

    /// `iss`; may be empty.
    pub fn issuer(&self) -> &str {
        self.text("iss")
    }

    /// `sub`; may be empty.
    pub fn subject(&self) -> &str {
        self.text("sub")
    }

    /// `azp`; may be empty.
    pub fn presenter(&self) -> &str {
        self.text("azp")
    }

    fn text(&self, name: &str) -> &str {
        self.claims
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// A claim by its names from the outside in.
    pub fn claim<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Option<&Value> {
        let mut names = names.into_iter();
        let mut value = self.claims.get(names.next()?)?;
        for name in names {
            value = value.as_object()?.get(name)?;
        }
        Some(value)
    }

    /// Whether a claim, or an element of a claim that is a list, holds for the test. Only
    /// strings count (Istio: the same).
    pub fn claim_holds(&self, names: &[Box<str>], test: impl Fn(&str) -> bool) -> bool {
        let Some(value) = self.claim(names.iter().map(AsRef::as_ref)) else {
            return false;
        };
        match value {
            Value::String(text) => {
                let words = names
                    .first()
                    .is_some_and(|name| names.len() == 1 && self.space_delimited.contains(name));
                test(text) || words && text.split(' ').any(|word| !word.is_empty() && test(word))
            }
            Value::Array(list) => list.iter().filter_map(Value::as_str).any(test),
            _ => false,
        }
    }

    /// Whether one of the audiences holds for the test.
    pub fn audience_holds(&self, test: impl Fn(&str) -> bool) -> bool {
        match self.claims.get("aud") {
            Some(Value::String(text)) => test(text),
            Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).any(test),
            _ => false,
        }
    }
}

// === impl RequestPrincipalPattern ===

impl RequestPrincipalPattern {
    /// Reads a pattern.
    pub fn new(text: &str) -> Self {
        let (issuer, subject) = match text.rsplit_once('/') {
            _ if text == "*" => (Some(Pattern::Present), Some(Pattern::Present)),
            Some((issuer, subject)) => (Some(Pattern::new(issuer)), Some(Pattern::new(subject))),
            None if text.ends_with('*') => (Some(Pattern::new(text)), Some(Pattern::Present)),
            None if text.starts_with('*') => (Some(Pattern::Present), Some(Pattern::new(text))),
            // Names no issuer, or no subject: it is nobody's principal.
            None => (None, None),
        };
        Self { issuer, subject }
    }

    /// The patterns of issuer and subject.
    pub(super) fn parts(&self) -> (Option<&Pattern>, Option<&Pattern>) {
        (self.issuer.as_ref(), self.subject.as_ref())
    }

    /// Whether the token's issuer and subject match.
    pub fn matches(&self, token: &Token) -> bool {
        let holds = |pattern: &Option<Pattern>, text: &str| {
            let pattern = pattern.as_ref();
            !text.is_empty() && pattern.is_some_and(|pattern| pattern.matches(text.as_bytes()))
        };
        holds(&self.issuer, token.issuer()) && holds(&self.subject, token.subject())
    }
}

// === impl TrustDomainPattern ===

impl TrustDomainPattern {
    /// Reads a pattern.
    pub fn new(text: &str) -> Self {
        Self(Pattern::new(text))
    }

    /// Whether the identity's trust domain matches.
    pub fn matches(&self, identity: &SpiffeId, mesh: &Mesh) -> bool {
        let domain = identity.trust_domain();
        let names = |name: &str| self.0.matches(name.as_bytes());
        names(domain)
            || mesh.is_own_domain(domain) && (names("cluster.local") || mesh.domains().any(names))
    }
}
