//! What ends streams and connections.

use std::fmt;

use super::hpack::HpackError;

/// Why a stream or a connection ended (RFC 9113 section 7).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u32);

/// The peer broke the protocol: the connection is lost, and the peer is told the code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct ConnectionError {
    /// What the peer is told.
    pub code: ErrorCode,
    /// What it did.
    pub detail: &'static str,
}

// === impl ErrorCode ===

impl ErrorCode {
    /// An orderly end.
    pub const NO_ERROR: Self = Self(0x0);
    /// Something that the protocol does not allow.
    pub const PROTOCOL_ERROR: Self = Self(0x1);
    /// Something went wrong on the sender's side.
    pub const INTERNAL_ERROR: Self = Self(0x2);
    /// More data than the window allowed.
    pub const FLOW_CONTROL_ERROR: Self = Self(0x3);
    /// A frame for a stream that has ended.
    pub const STREAM_CLOSED: Self = Self(0x5);
    /// A frame of the wrong size.
    pub const FRAME_SIZE_ERROR: Self = Self(0x6);
    /// Nothing was done with the request: it may be sent again.
    pub const REFUSED_STREAM: Self = Self(0x7);
    /// Nobody wants the rest.
    pub const CANCEL: Self = Self(0x8);
    /// A header block that cannot be read.
    pub const COMPRESSION_ERROR: Self = Self(0x9);
    /// The connection behind a CONNECT broke.
    pub const CONNECT_ERROR: Self = Self(0xa);
    /// Too much work without sense.
    pub const ENHANCE_YOUR_CALM: Self = Self(0xb);
    /// It wants to be asked over HTTP/1.1.
    pub const HTTP_1_1_REQUIRED: Self = Self(0xd);

    /// The code's name, if it has one.
    pub fn name(self) -> Option<&'static str> {
        const NAMES: [&str; 14] = [
            "NO_ERROR",
            "PROTOCOL_ERROR",
            "INTERNAL_ERROR",
            "FLOW_CONTROL_ERROR",
            "SETTINGS_TIMEOUT",
            "STREAM_CLOSED",
            "FRAME_SIZE_ERROR",
            "REFUSED_STREAM",
            "CANCEL",
            "COMPRESSION_ERROR",
            "CONNECT_ERROR",
            "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY",
            "HTTP_1_1_REQUIRED",
        ];
        NAMES.get(usize::try_from(self.0).ok()?).copied()
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "error {:#x}", self.0),
        }
    }
}

impl fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

// === impl ConnectionError ===

impl ConnectionError {
    pub(super) const fn new(code: ErrorCode, detail: &'static str) -> Self {
        Self { code, detail }
    }

    pub(super) const fn protocol(detail: &'static str) -> Self {
        Self::new(ErrorCode::PROTOCOL_ERROR, detail)
    }

    pub(super) const fn size(detail: &'static str) -> Self {
        Self::new(ErrorCode::FRAME_SIZE_ERROR, detail)
    }

    pub(super) const fn calm(detail: &'static str) -> Self {
        Self::new(ErrorCode::ENHANCE_YOUR_CALM, detail)
    }
}

impl From<HpackError> for ConnectionError {
    fn from(error: HpackError) -> Self {
        let detail = match error {
            HpackError::Index(_) => "a header block names a field that is not there",
            HpackError::Truncated => "a header block ends in the middle of a field",
            HpackError::Overflow => "a header block holds a number that is too large",
            HpackError::Huffman => "a header block holds broken Huffman code",
            HpackError::TableSize => "a header block changes the table in a way it may not",
        };
        Self::new(ErrorCode::COMPRESSION_ERROR, detail)
    }
}
