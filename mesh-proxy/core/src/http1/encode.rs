//! Messages as they leave.

use bytes::BytesMut;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Version, request, response};

use super::written::{Written, each_line};

/// Asks a client for the body that it holds back.
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// What a head says of the body behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Nothing: there is no body, or it ends with the connection.
    Silent,
    /// What its Content-Length says, though no body follows: the answer to a HEAD, or a 304.
    AsGiven,
    /// So many octets.
    Exact(u64),
    /// It comes in chunks.
    Chunked,
}

/// Adds the head of a request.
pub fn encode_request(parts: &request::Parts, framing: Framing, output: &mut BytesMut) {
    output.extend_from_slice(parts.method.as_str().as_bytes());
    output.extend_from_slice(b" ");
    let target = if parts.method == Method::CONNECT {
        parts.uri.authority().map(http::uri::Authority::as_str)
    } else {
        parts
            .uri
            .path_and_query()
            .map(http::uri::PathAndQuery::as_str)
    };
    output.extend_from_slice(target.unwrap_or("/").as_bytes());
    output.extend_from_slice(b" HTTP/1.1\r\n");
    encode_fields(&parts.headers, parts.extensions.get(), framing, output);
    output.extend_from_slice(b"\r\n");
}

/// Adds the head of a response to a client that speaks `version`. `connection` is told it beside
/// what the fields tell.
pub fn encode_response(
    parts: &response::Parts,
    version: Version,
    framing: Framing,
    connection: Option<&str>,
    output: &mut BytesMut,
) {
    let written: Option<&Written> = parts.extensions.get();
    output.extend_from_slice(if version == Version::HTTP_10 {
        b"HTTP/1.0 "
    } else {
        b"HTTP/1.1 "
    });
    output.extend_from_slice(parts.status.as_str().as_bytes());
    output.extend_from_slice(b" ");
    let usual = || {
        parts
            .status
            .canonical_reason()
            .unwrap_or_default()
            .as_bytes()
    };
    let phrase = written.and_then(|written| written.phrase(parts.status));
    output.extend_from_slice(phrase.unwrap_or_else(usual));
    output.extend_from_slice(b"\r\n");
    encode_fields(&parts.headers, written, framing, output);
    if let Some(connection) = connection {
        line(b"connection", connection.as_bytes(), output);
    }
    output.extend_from_slice(b"\r\n");
}

/// Adds a chunk; nothing if it is empty, for that would be the end.
pub fn encode_chunk(data: &[u8], output: &mut BytesMut) {
    if data.is_empty() {
        return;
    }
    let mut digits = [b'0'; 16];
    let mut left = data.len();
    let mut used = 0;
    for slot in digits.iter_mut().rev() {
        *slot = b"0123456789abcdef".get(left & 15).copied().unwrap_or(b'0');
        left >>= 4;
        used += 1;
        if left == 0 {
            break;
        }
    }
    output.reserve(data.len() + 2 * 2 + used);
    output.extend_from_slice(digits.get(16 - used..).unwrap_or_default());
    output.extend_from_slice(b"\r\n");
    output.extend_from_slice(data);
    output.extend_from_slice(b"\r\n");
}

/// Adds the end of a body in chunks.
pub fn encode_end(trailers: Option<&HeaderMap>, output: &mut BytesMut) {
    output.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.into_iter().flatten() {
        line(name.as_str().as_bytes(), value.as_bytes(), output);
    }
    output.extend_from_slice(b"\r\n");
}

fn encode_fields(
    fields: &HeaderMap,
    written: Option<&Written>,
    framing: Framing,
    output: &mut BytesMut,
) {
    let mut said = false;
    each_line(fields, written, |field| {
        if *field.name == TRANSFER_ENCODING {
            return;
        }
        if *field.name == CONTENT_LENGTH {
            match framing {
                Framing::Exact(count) if !said => {
                    said = true;
                    length(field.spelling, count, output);
                }
                Framing::AsGiven => line(field.spelling, field.value, output),
                _ => {}
            }
            return;
        }
        line(field.spelling, field.value, output);
    });
    match framing {
        Framing::Exact(count) if !said => length(b"content-length", count, output),
        Framing::Chunked => line(b"transfer-encoding", b"chunked", output),
        _ => {}
    }
}

fn length(name: &[u8], count: u64, output: &mut BytesMut) {
    line(name, count.to_string().as_bytes(), output);
}

fn line(name: &[u8], value: &[u8], output: &mut BytesMut) {
    output.extend_from_slice(name);
    output.extend_from_slice(b": ");
    output.extend_from_slice(value);
    output.extend_from_slice(b"\r\n");
}
