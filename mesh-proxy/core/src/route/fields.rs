//! Values of header fields.

use http::{HeaderMap, HeaderName};
use smallvec::SmallVec;

/// Calls `look` with the value of a field: absent, the one value, or all values joined by commas
/// (RFC 9110 section 5.3), as Envoy compares them.
pub(crate) fn with_field<T>(
    headers: &HeaderMap,
    name: &HeaderName,
    look: impl FnOnce(Option<&[u8]>) -> T,
) -> T {
    let mut values = headers.get_all(name).iter();
    let Some(first) = values.next() else {
        return look(None);
    };
    let Some(second) = values.next() else {
        return look(Some(first.as_bytes()));
    };
    let mut joined: SmallVec<[u8; 256]> = SmallVec::from_slice(first.as_bytes());
    for value in std::iter::once(second).chain(values) {
        joined.push(b',');
        joined.extend_from_slice(value.as_bytes());
    }
    look(Some(&joined))
}
