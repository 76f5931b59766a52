//! Compression of header fields (HPACK, RFC 7541).
//!
//! Made for proxying: a field that repeats on a connection is one or two bytes on the wire and a
//! counted reference in memory, in both directions.

mod decoder;
mod encoder;
mod huffman;
mod static_table;
mod table;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

pub use decoder::{Decoder, HpackError};
pub use encoder::Encoder;

/// One field of a header block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// Control data of a request or response (RFC 9113 section 8.3).
    Pseudo(Pseudo, Bytes),
    /// A header or trailer field.
    Regular(HeaderName, HeaderValue),
    /// A field whose name or value HTTP does not allow. It takes part in compression; the message
    /// that it stands in is malformed.
    Invalid(Bytes, Bytes),
}

/// Names of control data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pseudo {
    /// `:authority`
    Authority,
    /// `:method`
    Method,
    /// `:path`
    Path,
    /// `:protocol` (RFC 8441)
    Protocol,
    /// `:scheme`
    Scheme,
    /// `:status`
    Status,
}

/// Size of a dynamic table that both sides start with, in bytes (RFC 9113 section 6.5.2).
pub const DEFAULT_TABLE_SIZE: usize = 4096;

/// What every entry counts beside its bytes (RFC 7541 section 4.1).
const ENTRY_OVERHEAD: usize = 32;

// === impl Field ===

impl Field {
    /// Makes a field of its octets. Names have to be in lower case (RFC 9113 section 8.2.1).
    fn from_octets(name: &[u8], value: Bytes) -> Self {
        if let Some(pseudo) = Pseudo::from_name(name) {
            return Self::Pseudo(pseudo, value);
        }
        Self::regular(HeaderName::from_lowercase(name).ok(), name, value)
    }

    fn regular(parsed: Option<HeaderName>, name: &[u8], value: Bytes) -> Self {
        let surrounded = matches!(value.first(), Some(b' ' | b'\t'))
            || matches!(value.last(), Some(b' ' | b'\t'));
        let Some(parsed) = parsed.filter(|_| !surrounded) else {
            return Self::Invalid(Bytes::copy_from_slice(name), value);
        };
        match HeaderValue::from_maybe_shared(value.clone()) {
            Ok(value) => Self::Regular(parsed, value),
            Err(_) => Self::Invalid(Bytes::copy_from_slice(name), value),
        }
    }

    /// The same name with another value.
    fn with_value(&self, value: Bytes) -> Self {
        match self {
            Self::Pseudo(pseudo, _) => Self::Pseudo(*pseudo, value),
            Self::Regular(name, _) => {
                Self::regular(Some(name.clone()), name.as_str().as_bytes(), value)
            }
            Self::Invalid(name, _) => Self::Invalid(name.clone(), value),
        }
    }

    /// Octets of the name.
    pub fn name(&self) -> &[u8] {
        match self {
            Self::Pseudo(pseudo, _) => pseudo.as_str().as_bytes(),
            Self::Regular(name, _) => name.as_str().as_bytes(),
            Self::Invalid(name, _) => name,
        }
    }

    /// Octets of the value.
    pub fn value(&self) -> &[u8] {
        match self {
            Self::Pseudo(_, value) | Self::Invalid(_, value) => value,
            Self::Regular(_, value) => value.as_bytes(),
        }
    }

    /// What it counts in a table and in a header list, in bytes (RFC 7541 section 4.1).
    pub fn size(&self) -> usize {
        self.name().len() + self.value().len() + ENTRY_OVERHEAD
    }
}

// === impl Pseudo ===

impl Pseudo {
    /// The name with its colon.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Authority => ":authority",
            Self::Method => ":method",
            Self::Path => ":path",
            Self::Protocol => ":protocol",
            Self::Scheme => ":scheme",
            Self::Status => ":status",
        }
    }

    fn from_name(name: &[u8]) -> Option<Self> {
        if name.first() != Some(&b':') {
            return None;
        }
        match name {
            b":authority" => Some(Self::Authority),
            b":method" => Some(Self::Method),
            b":path" => Some(Self::Path),
            b":protocol" => Some(Self::Protocol),
            b":scheme" => Some(Self::Scheme),
            b":status" => Some(Self::Status),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
