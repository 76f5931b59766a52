//! Edits of the path (Istio: HTTPRewrite).

use http::uri::PathAndQuery;

use crate::ir::{HttpMatch, Rewrite, StringMatch};
use crate::route::RequestView;

/// A rewrite that makes no valid request target.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the rewritten path `{0}` is no valid request target")]
pub struct InvalidRewrite(String);

/// The path and query to send, if they differ from those of the request: rewritten, or at least
/// in normal form.
///
/// # Errors
/// If the result is no valid request target.
pub fn rewritten_path(
    rewrite: Option<&Rewrite>,
    matched: Option<&HttpMatch>,
    request: &RequestView<'_>,
) -> Result<Option<PathAndQuery>, InvalidRewrite> {
    let path = request.path();
    let uri = rewrite.and_then(|rewrite| rewrite.uri.as_deref());
    let regex = rewrite.and_then(|rewrite| rewrite.regex.as_ref());
    let invalid = |path: &str| InvalidRewrite(path.chars().take(128).collect());
    let new = match (uri, regex) {
        (Some(uri), _) => replace_prefix(uri, matched, path),
        (None, Some(regex)) => regex.apply(path).ok_or_else(|| invalid(path))?,
        (None, None) if request.is_path_changed() => path.to_owned(),
        (None, None) => return Ok(None),
    };
    let whole = match request.query() {
        Some(query) if !new.contains('?') => format!("{new}?{query}"),
        _ => new,
    };
    if !whole.starts_with('/') {
        return Err(invalid(&whole));
    }
    PathAndQuery::try_from(whole.as_str())
        .map(Some)
        .map_err(|_| invalid(&whole))
}

/// Envoy's `prefix_rewrite`: replaces what the match says of the path. A prefix by the new
/// prefix, the whole path on an exact match or an expression; without a match of the path the
/// implicit prefix is `/`.
pub(super) fn replace_prefix(new: &str, matched: Option<&HttpMatch>, path: &str) -> String {
    let replaced = match matched.and_then(|matched| matched.uri.as_ref()) {
        None | Some(StringMatch::Present) => 1.min(path.len()),
        // Compared by bytes, perhaps without regard to case: the length is that of the pattern.
        Some(StringMatch::Prefix(prefix)) => prefix.len(),
        Some(StringMatch::Exact(_) | StringMatch::Regex(_)) => path.len(),
    };
    format!("{new}{}", path.get(replaced..).unwrap_or_default())
}
