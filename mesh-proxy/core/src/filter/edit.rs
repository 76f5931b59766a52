//! Edits of header blocks.

use http::header::HOST;
use http::request::Parts;
use http::uri::{Authority, Uri};
use http::{HeaderMap, HeaderValue, Version};

use crate::ir::FieldEdits;

/// Applies several edits as one (Istio joins those of the route and of the destination): all
/// removals first, then for each what is set, then what is added.
pub fn edit_fields<'a>(
    headers: &mut HeaderMap,
    edits: impl Iterator<Item = &'a FieldEdits> + Clone,
) {
    for name in edits.clone().flat_map(|edits| &edits.remove) {
        headers.remove(name);
    }
    for edits in edits {
        for (name, value) in &edits.set {
            headers.insert(name.clone(), value.clone());
        }
        for (name, value) in &edits.add {
            headers.append(name.clone(), value.clone());
        }
    }
}

/// Gives the request another authority: in its target if that has one, and in its Host field
/// unless it is an HTTP/2 request without one.
pub fn set_authority(parts: &mut Parts, authority: &HeaderValue) {
    if parts.uri.authority().is_some()
        && let Ok(new) = Authority::try_from(authority.as_bytes())
    {
        let mut uri = std::mem::take(&mut parts.uri).into_parts();
        uri.authority = Some(new);
        // Only the authority changed, so the parts still fit together.
        parts.uri = Uri::from_parts(uri).unwrap_or_default();
    }
    if parts.version < Version::HTTP_2 || parts.headers.contains_key(HOST) {
        parts.headers.insert(HOST, authority.clone());
    }
}
