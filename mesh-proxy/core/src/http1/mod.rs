//! HTTP/1 (RFC 9112) for proxying, without I/O: heads and bodies out of octets, and octets out of
//! them.
//!
//! A head keeps the spelling and the order of its fields ([`Written`]), so that it leaves as it
//! came but for what the proxy changed. Where a message ends is decided in one place ([`Length`]),
//! and what two implementations could understand differently is refused rather than interpreted:
//! requests cannot be smuggled through. The framing of what leaves is always the proxy's own.

mod body;
mod encode;
mod error;
mod head;
mod length;
mod written;

pub use body::Decoder;
pub use encode::{CONTINUE, Framing, encode_chunk, encode_end, encode_request, encode_response};
pub use error::Malformed;
pub use head::{RequestHead, ResponseHead, find_end, parse_request, parse_response};
pub use length::Length;
pub use written::Written;

/// Fields that a head may have, as in Envoy.
pub const MAX_FIELDS: usize = 100;

#[cfg(test)]
mod tests;
