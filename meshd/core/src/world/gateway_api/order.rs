//! Which of several matches takes a request (Gateway API: HTTPRouteRule.matches).

use crate::model::{ApiCase, PathMatch};

/// What is compared first is first; what is greater is tried first. Equals go by age of the
/// route, its namespace and name, and by their order in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Precedence {
    path: u8,
    length: usize,
    method: bool,
    headers: usize,
    query_params: usize,
}

// === impl Precedence ===

impl Precedence {
    /// An exact path goes before a prefix, and that before an expression (Istio: getURIRank); then
    /// the longer one.
    pub(super) fn of(case: &ApiCase) -> Self {
        let (path, length) = match &case.path {
            PathMatch::Exact(path) => (3, path.len()),
            PathMatch::Prefix(path) => (2, path.len()),
            PathMatch::All => (2, 1),
            PathMatch::Regex(expression) => (1, expression.len()),
        };
        Self {
            path,
            length,
            method: case.wire.method.is_some(),
            headers: case.wire.headers.len(),
            query_params: case.wire.query_params.len(),
        }
    }
}
