//! What is wrong with a message.

use crate::Reason;

/// A message that does not keep to RFC 9112, or that could be understood in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The first line is no request's or response's.
    #[error("the first line is malformed")]
    StartLine,
    /// The target of the request is no URI.
    #[error("the target of the request is malformed")]
    Target,
    /// Not HTTP/1.0 or HTTP/1.1.
    #[error("the version is not HTTP/1.0 or HTTP/1.1")]
    Version,
    /// A field's name or value has octets that it must not have, or a line is folded.
    #[error("a header field is malformed")]
    Field,
    /// The head is larger than allowed.
    #[error("the head is too large")]
    HeadTooLarge,
    /// The head did not come in time.
    #[error("the head did not come in time")]
    Slow,
    /// There is more than one Host field.
    #[error("there is more than one Host field")]
    Hosts,
    /// The Host field, or the host in the target, could be no host.
    #[error("the host is malformed")]
    Host,
    /// The length is no number, or told more than once.
    #[error("Content-Length is no number or given more than once")]
    ContentLength,
    /// Both Transfer-Encoding and Content-Length.
    #[error("both Transfer-Encoding and Content-Length are given")]
    TwoLengths,
    /// A transfer coding other than `chunked`.
    #[error("the transfer coding is not chunked")]
    TransferCoding,
    /// A transfer coding in HTTP/1.0, which has none.
    #[error("Transfer-Encoding in HTTP/1.0")]
    TransferCodingInHttp10,
    /// A body where there can be none.
    #[error("CONNECT with a body")]
    ConnectWithBody,
    /// The size of a chunk, or what is around it.
    #[error("a chunk is malformed")]
    Chunk,
    /// Trailer fields are malformed or too many.
    #[error("the trailer fields are malformed")]
    Trailers,
}

// === impl Malformed ===

impl Malformed {
    /// The cause, as the client, logs and metrics are told.
    pub fn reason(self) -> Reason {
        match self {
            Self::HeadTooLarge => Reason::RequestHeadersTooLarge,
            Self::Slow => Reason::DetectionTimeout,
            Self::Hosts | Self::Host => Reason::HostInvalid,
            _ => Reason::DownstreamProtocolError,
        }
    }
}
