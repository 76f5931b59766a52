//! The parts of a request that matches look at.

use std::borrow::Cow;
use std::sync::Arc;

use http::request::Parts;

use super::with_field;
use crate::authz::Token;
use crate::authz::path::PathForm;
use crate::ir::{FieldMatch, FieldName};

/// A request as matches see it: the path in normal form, the query apart.
#[derive(Clone, Debug)]
pub struct RequestView<'a> {
    parts: &'a Parts,
    path: Cow<'a, str>,
    query: Option<&'a str>,
    authority: &'a str,
    scheme: &'a str,
}

// === impl RequestView ===

impl<'a> RequestView<'a> {
    /// Looks at a request. The authority of the target wins over the Host field (RFC 9112
    /// section 3.2.2); the scheme is that of the target, or `http`.
    pub fn new(parts: &'a Parts) -> Self {
        Self::in_form(parts, PathForm::Base)
    }

    /// The same, with the path in this normal form.
    pub fn in_form(parts: &'a Parts, form: PathForm) -> Self {
        Self {
            path: form.apply(parts.uri.path()),
            query: parts.uri.query(),
            authority: authority(parts),
            scheme: parts.uri.scheme_str().unwrap_or("http"),
            parts,
        }
    }

    /// The same, with the scheme that the request came by: a client's own word does not count.
    pub fn by_scheme(mut self, scheme: &'a str) -> Self {
        self.scheme = scheme;
        self
    }

    /// The request itself.
    pub fn parts(&self) -> &'a Parts {
        self.parts
    }

    /// Path in normal form, without query.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the path was not in normal form.
    pub fn is_path_changed(&self) -> bool {
        self.path != self.parts.uri.path()
    }

    /// The query as sent, without `?`.
    pub fn query(&self) -> Option<&'a str> {
        self.query
    }

    /// Host with port, as sent.
    pub fn authority(&self) -> &'a str {
        self.authority
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> &'a str {
        self.scheme
    }

    /// Method.
    pub fn method(&self) -> &'a str {
        self.parts.method.as_str()
    }

    pub(super) fn field_matches(&self, field: &FieldMatch<FieldName>) -> bool {
        if let FieldName::Claim(names) = &field.name {
            let token = self.parts.extensions.get::<Arc<Token>>();
            return token.is_some_and(|token| {
                token.claim_holds(names, |text| field.value.matches(text.as_bytes()))
            });
        }
        self.with_value(&field.name, |value| {
            value.is_some_and(|value| field.value.matches(value))
        })
    }

    /// Calls `look` with the value of a field, if it is there.
    pub(crate) fn with_value<T>(
        &self,
        name: &FieldName,
        look: impl FnOnce(Option<&[u8]>) -> T,
    ) -> T {
        match (name, self.query) {
            (FieldName::Header(name), _) => with_field(&self.parts.headers, name, look),
            (FieldName::Claim(names), _) => {
                let token = self.parts.extensions.get::<Arc<Token>>();
                let names = names.iter().map(AsRef::as_ref);
                let claim = token.and_then(|token| token.claim(names));
                let text = claim.map(|claim| match claim.as_str() {
                    Some(text) => text.to_owned(),
                    None => claim.to_string(),
                });
                look(text.as_deref().map(str::as_bytes))
            }
            (FieldName::Authority, _) => look(Some(self.authority.as_bytes())),
            (FieldName::Method, _) => look(Some(self.method().as_bytes())),
            (FieldName::Scheme, _) => look(Some(self.scheme.as_bytes())),
            (FieldName::Path, None) => look(Some(self.path().as_bytes())),
            (FieldName::Path, Some(query)) => {
                look(Some(format!("{}?{query}", self.path).as_bytes()))
            }
        }
    }

    /// The first parameter of the name counts; nothing is decoded (Envoy: `parseQueryString`).
    pub(super) fn parameter_matches(&self, field: &FieldMatch<Box<str>>) -> bool {
        let pairs = self.query.into_iter().flat_map(|query| query.split('&'));
        let mut named = pairs.filter_map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (*name == *field.name).then_some(value)
        });
        named
            .next()
            .is_some_and(|value| field.value.matches(value.as_bytes()))
    }
}

/// The authority of the target, else the Host field.
pub(crate) fn authority(parts: &Parts) -> &str {
    match parts.uri.authority() {
        // What stands before an `@` is no part of the host.
        Some(authority) => authority.as_str().rsplit('@').next().unwrap_or_default(),
        None => parts
            .headers
            .get(http::header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default(),
    }
}
