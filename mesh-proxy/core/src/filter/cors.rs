//! Cross-origin requests (Istio: CorsPolicy; Fetch standard, section 3.2).

use bytes::Bytes;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, HeaderName, ORIGIN, VARY,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};

use super::LocalResponse;
use crate::ir::{Cors, StringMatch};
use crate::reason::Reason;

/// What the rules say to one request.
#[derive(Clone, Debug)]
pub enum CorsOutcome {
    /// Nothing: no cross-origin request, or its origin is not accepted.
    Ignore,
    /// It goes on, and its response gets these fields.
    Grant(CorsGrant),
    /// It is a preflight; this is the answer.
    Preflight(Box<LocalResponse>),
}

/// Fields for the response to an accepted cross-origin request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsGrant {
    origin: HeaderValue,
    expose_headers: Option<HeaderValue>,
    allow_credentials: bool,
}

/// Looks at a request. `OPTIONS` with `Origin` and `Access-Control-Request-Method` is a
/// preflight.
pub fn cors(rules: &Cors, request: &Parts) -> CorsOutcome {
    let Some(origin) = request
        .headers
        .get(ORIGIN)
        .filter(|origin| !origin.is_empty())
    else {
        return CorsOutcome::Ignore;
    };
    let accepts = |rule: &StringMatch| {
        rule.matches(origin.as_bytes()) || matches!(rule, StringMatch::Exact(any) if &**any == "*")
    };
    let accepted = rules.allow_origins.iter().any(accepts);
    let preflight = request.method == Method::OPTIONS
        && request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    let grant = CorsGrant {
        origin: origin.clone(),
        expose_headers: rules.expose_headers.clone(),
        allow_credentials: rules.allow_credentials,
    };
    match (preflight, accepted) {
        (true, true) => {
            CorsOutcome::Preflight(Box::new(preflight_answer(rules, &grant, &request.headers)))
        }
        (true, false) if !rules.forward_unmatched_preflights => {
            CorsOutcome::Preflight(Box::new(empty_answer()))
        }
        (false, true) => CorsOutcome::Grant(grant),
        (_, false) => CorsOutcome::Ignore,
    }
}

fn empty_answer() -> LocalResponse {
    LocalResponse::new(Reason::CorsPreflight, StatusCode::OK, Bytes::new(), false)
}

fn preflight_answer(rules: &Cors, grant: &CorsGrant, asked: &HeaderMap) -> LocalResponse {
    let mut answer = empty_answer();
    grant.origin_fields(&mut answer.headers);
    // With credentials a `*` is a name like any other (Fetch standard, section 3.2.5): what is
    // asked for is named instead.
    let named = |value: &Option<HeaderValue>, asked_by: HeaderName| match value {
        Some(any) if any == "*" && rules.allow_credentials => asked.get(asked_by).cloned(),
        other => other.clone(),
    };
    let methods = named(&rules.allow_methods, ACCESS_CONTROL_REQUEST_METHOD);
    let headers = named(&rules.allow_headers, ACCESS_CONTROL_REQUEST_HEADERS);
    let fields = [
        (ACCESS_CONTROL_ALLOW_METHODS, methods),
        (ACCESS_CONTROL_ALLOW_HEADERS, headers),
        (ACCESS_CONTROL_MAX_AGE, rules.max_age.clone()),
    ];
    for (name, value) in fields {
        if let Some(value) = value {
            answer.headers.insert(name, value);
        }
    }
    answer
}

// === impl CorsGrant ===

impl CorsGrant {
    /// Puts the fields into a response.
    pub fn apply(&self, headers: &mut HeaderMap) {
        self.origin_fields(headers);
        if let Some(names) = &self.expose_headers {
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, names.clone());
        }
    }

    fn origin_fields(&self, headers: &mut HeaderMap) {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, self.origin.clone());
        // The answer depends on the origin: caches must know (Fetch standard, section 3.2.5).
        headers.append(VARY, HeaderValue::from_static("origin"));
        if self.allow_credentials {
            headers.insert(
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
    }
}
