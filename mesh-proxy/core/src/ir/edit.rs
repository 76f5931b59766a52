//! Edits of header blocks.

use http::{HeaderName, HeaderValue};

/// Edits of the request and of the response (Istio: Headers).
#[derive(Clone, Debug, Default)]
pub struct HeaderEdits {
    /// Of the request.
    pub request: FieldEdits,
    /// Of the response.
    pub response: FieldEdits,
}

/// Edits of one header block (Istio: HeaderOperations).
#[derive(Clone, Debug, Default)]
pub struct FieldEdits {
    /// New authority: Istio's `set` of `host` or `:authority`. Requests only.
    pub authority: Option<HeaderValue>,
    /// Replaces all values.
    pub set: Vec<(HeaderName, HeaderValue)>,
    /// Appends a value.
    pub add: Vec<(HeaderName, HeaderValue)>,
    /// Removed before anything is set or added.
    pub remove: Vec<HeaderName>,
}

// === impl FieldEdits ===

impl FieldEdits {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.authority.is_none()
            && self.set.is_empty()
            && self.add.is_empty()
            && self.remove.is_empty()
    }
}
