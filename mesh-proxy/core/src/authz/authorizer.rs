//! External authorizers (Istio: meshConfig.extensionProviders, envoyExtAuthzHttp and
//! envoyExtAuthzGrpc).

use std::sync::Arc;
use std::time::Duration;

use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::Pattern;
use crate::ir::ClusterId;

/// An external authorizer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorizer {
    /// Its name.
    pub name: Arc<str>,
    /// Its service; an error says why it cannot be asked.
    pub cluster: Result<ClusterId, Arc<str>>,
    /// Time for its answer.
    pub timeout: Duration,
    /// Requests pass if it cannot be asked.
    pub fail_open: bool,
    /// Status for requests if it cannot be asked.
    pub status_on_error: StatusCode,
    /// How much of the body it gets.
    pub body: Option<BodyLimit>,
    /// How it is asked over HTTP; absent: over gRPC.
    pub http: Option<HttpQuestion>,
    /// Headers of its answer that the client gets if it denies; empty: all (HTTP).
    pub to_downstream_on_deny: Vec<HeaderPattern>,
    /// Headers of its answer that the client gets if it allows (HTTP).
    pub to_downstream_on_allow: Vec<HeaderPattern>,
    /// Headers of its answer that the workload gets if it allows (HTTP).
    pub to_upstream_on_allow: Vec<HeaderPattern>,
}

/// How much of a request's body an authorizer gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyLimit {
    /// At most so many bytes.
    pub max_bytes: usize,
    /// A longer body is cut; otherwise the request is refused.
    pub allow_partial: bool,
    /// It is given as bytes, not as text (gRPC).
    pub as_bytes: bool,
}

/// How an authorizer is asked over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpQuestion {
    /// Stands before the path.
    pub path_prefix: Box<str>,
    /// Headers of the request that it gets.
    pub include: Vec<HeaderPattern>,
    /// Headers that it gets with these values.
    pub additional: Vec<(HeaderName, HeaderValue)>,
}

/// A pattern over names of headers, without regard to case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderPattern(Pattern);

// === impl HeaderPattern ===

impl HeaderPattern {
    /// Reads a pattern: exact, `prefix*`, `*suffix` or `*`.
    pub fn new(text: &str) -> Self {
        Self(Pattern::new(&text.to_ascii_lowercase()))
    }

    /// Whether a name matches.
    pub fn matches(&self, name: &HeaderName) -> bool {
        self.0.matches(name.as_str().as_bytes())
    }
}

fn any(patterns: &[HeaderPattern], name: &HeaderName) -> bool {
    patterns.iter().any(|pattern| pattern.matches(name))
}

// === impl HttpQuestion ===

impl HttpQuestion {
    /// The headers of the question. Host, method, path, `Authorization` and, by Envoy's rule,
    /// nothing else goes without being named.
    pub fn headers(&self, request: &HeaderMap) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in request {
            let hop = name == CONTENT_LENGTH || name == HOST;
            if !hop && (name == AUTHORIZATION || any(&self.include, name)) {
                headers.append(name, value.clone());
            }
        }
        for (name, value) in &self.additional {
            headers.insert(name, value.clone());
        }
        headers
    }
}

// === impl Authorizer ===

impl Authorizer {
    /// Headers of its answer that the workload gets.
    pub fn for_workload(&self, answer: &HeaderMap) -> HeaderMap {
        chosen(answer, |name| any(&self.to_upstream_on_allow, name))
    }

    /// Headers of its answer that the client gets with the workload's answer.
    pub fn for_client(&self, answer: &HeaderMap) -> HeaderMap {
        chosen(answer, |name| any(&self.to_downstream_on_allow, name))
    }

    /// Headers of its answer that the client gets if it denies (Envoy: without a list all; with
    /// one also those that tell the client what to do).
    pub fn for_denied(&self, answer: &HeaderMap) -> HeaderMap {
        let always = |name: &HeaderName| {
            [
                http::header::WWW_AUTHENTICATE,
                http::header::PROXY_AUTHENTICATE,
                http::header::LOCATION,
                http::header::CONTENT_TYPE,
            ]
            .contains(name)
        };
        let list = &self.to_downstream_on_deny;
        let all = list.is_empty();
        chosen(answer, |name| all || always(name) || any(list, name))
    }
}

fn chosen(answer: &HeaderMap, wanted: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let hop = |name: &HeaderName| {
        [
            http::header::CONNECTION,
            CONTENT_LENGTH,
            http::header::TRANSFER_ENCODING,
            http::header::UPGRADE,
            HOST,
        ]
        .contains(name)
    };
    for (name, value) in answer {
        if hop(name) || !wanted(name) {
            continue;
        }
        headers.append(name, value.clone());
    }
    headers
}

/// Puts headers of an authorizer on a message: each replaces those of the name, but cookies are
/// added.
pub fn put(headers: &mut HeaderMap, new: HeaderMap) {
    for name in new.keys().filter(|name| **name != SET_COOKIE) {
        headers.remove(name);
    }
    let mut last = None;
    for (name, value) in new {
        last = name.or(last);
        if let Some(name) = &last {
            headers.append(name, value);
        }
    }
}
