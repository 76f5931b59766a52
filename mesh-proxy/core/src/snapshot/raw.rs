//! Resources as they came.

use std::fmt;

use mesh_api::{ResourceName, v1};
use prost::Message;

/// A resource but for its name, encoded: what few ask for again must not cost ten times the
/// memory of what it says.
#[derive(PartialEq, Eq)]
pub(super) struct Raw {
    version: Box<str>,
    body: Box<[u8]>,
}

// === impl Raw ===

impl Raw {
    pub(super) fn new(resource: &v1::Resource) -> Self {
        let mut body = Vec::new();
        if let Some(said) = &resource.body {
            body.reserve_exact(said.encoded_len());
            said.encode(&mut body);
        }
        Self {
            version: resource.version.as_str().into(),
            body: body.into(),
        }
    }

    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// The resource again, under the name that it is held by.
    pub(super) fn resource(&self, name: &ResourceName) -> v1::Resource {
        // The body is a field of the resource like any other; these bytes were encoded from one.
        let resource = v1::Resource::decode(&*self.body).unwrap_or_default();
        v1::Resource {
            name: name.to_string(),
            version: self.version.to_string(),
            ..resource
        }
    }
}

impl fmt::Debug for Raw {
    // The body may be a private key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raw")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}
