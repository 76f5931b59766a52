//! What a client speaks, from its first bytes.
//!
//! [`classify`] is given all bytes so far and is asked again with more until it knows. Once it
//! knows, more bytes do not change the answer. It looks at no more than [`MAX_BYTES`].

mod client_hello;
mod http1;
mod proxy_header;

pub use client_hello::ClientHello;
pub use proxy_header::{MAX_PROXY_HEADER, ProxyHeader, proxy_header};

/// No answer needs more than these many bytes: the largest ClientHello that is looked into.
pub const MAX_BYTES: usize = 32 * 1024;

/// What the bytes are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detected {
    /// Not known yet; give more.
    NeedMore,
    /// HTTP/1.1.
    Http1,
    /// HTTP/1.0. Istio serves it on a port of unknown protocol as opaque bytes, and refuses it
    /// with 426 on an HTTP port.
    Http10,
    /// HTTP/2 with prior knowledge: the connection preface (RFC 9113 section 3.4).
    Http2,
    /// TLS.
    Tls(ClientHello),
    /// Anything else.
    Opaque,
}

/// What a client of the explicit listener speaks, from its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Explicit {
    /// SOCKS version 5 (RFC 1928).
    Socks5,
    /// SOCKS version 4, which is not served.
    Socks4,
    /// HTTP proxy requests.
    Http,
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Says what the bytes are. Total: any bytes have an answer.
pub fn classify(bytes: &[u8]) -> Detected {
    let bytes = bytes.get(..MAX_BYTES).unwrap_or(bytes);
    let Some(first) = bytes.first() else {
        return Detected::NeedMore;
    };
    if *first == client_hello::HANDSHAKE {
        return client_hello::classify(bytes);
    }
    let common = bytes
        .iter()
        .zip(PREFACE)
        .take_while(|(a, b)| a == b)
        .count();
    if common == PREFACE.len() {
        return Detected::Http2;
    }
    if common == bytes.len() {
        return Detected::NeedMore;
    }
    http1::classify(bytes)
}

/// Tells a SOCKS client from an HTTP client on one port.
pub fn explicit(first_byte: u8) -> Explicit {
    match first_byte {
        5 => Explicit::Socks5,
        4 => Explicit::Socks4,
        _ => Explicit::Http,
    }
}

// === impl Detected ===

impl Detected {
    /// Whether requests can be read from it.
    pub fn is_http(&self) -> bool {
        matches!(self, Self::Http1 | Self::Http2)
    }
}

#[cfg(test)]
mod tests;
