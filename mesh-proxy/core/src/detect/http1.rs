//! HTTP/1 request lines (RFC 9112 section 3).

use super::Detected;

/// A request line longer than this is judged by its begin alone.
const LINE_LIMIT: usize = 4096;
/// No registered method is as long.
const METHOD_LIMIT: usize = 32;

const METHODS: &[&[u8]] = &[
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"CONNECT", b"OPTIONS", b"TRACE", b"PATCH",
];

/// Waits for the whole request line: only its version tells HTTP from other protocols of words
/// and lines. Gives up as soon as a byte cannot stand where it is.
pub(super) fn classify(bytes: &[u8]) -> Detected {
    let bytes = bytes.get(..LINE_LIMIT).unwrap_or(bytes);
    let Some(space) = bytes.iter().position(|b| !is_token(*b)) else {
        return if bytes.len() > METHOD_LIMIT {
            Detected::Opaque
        } else {
            Detected::NeedMore
        };
    };
    if space == 0 || space > METHOD_LIMIT || bytes.get(space) != Some(&b' ') {
        return Detected::Opaque;
    }
    let (method, rest) = (
        bytes.get(..space).unwrap_or_default(),
        bytes.get(space + 1..).unwrap_or_default(),
    );
    let end = rest.iter().position(|b| matches!(b, b'\r' | b'\n'));
    let line = end.and_then(|end| rest.get(..end)).unwrap_or(rest);
    if line.iter().any(|b| *b < b' ' || *b == 0x7f) || line.first() == Some(&b' ') {
        return Detected::Opaque;
    }
    match end {
        Some(_) => version(line),
        None if bytes.len() < LINE_LIMIT => Detected::NeedMore,
        None if METHODS.contains(&method) && matches!(rest.first(), Some(b'/' | b'h')) => {
            Detected::Http1
        }
        None => Detected::Opaque,
    }
}

fn version(line: &[u8]) -> Detected {
    let mut words = line.rsplitn(2, |b| *b == b' ');
    let (version, target) = (words.next(), words.next());
    if target.is_none_or(<[u8]>::is_empty) {
        return Detected::Opaque;
    }
    match version {
        Some(b"HTTP/1.1") => Detected::Http1,
        Some(b"HTTP/1.0") => Detected::Http10,
        _ => Detected::Opaque,
    }
}

/// `tchar` of RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
