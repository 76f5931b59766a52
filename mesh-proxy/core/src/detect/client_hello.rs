//! ClientHello (RFC 8446 section 4.1.2): only the server name (RFC 6066 section 3) and the
//! protocols (RFC 7301) are read.

use std::borrow::Cow;

use super::{Detected, MAX_BYTES};

/// Content type of the first TLS record.
pub(super) const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const RECORD_LIMIT: usize = 1 << 14;
const SERVER_NAME: u16 = 0;
const ALPN: u16 = 16;

/// What a TLS client says openly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientHello {
    /// Server name, lower case; absent if there is none.
    pub sni: Option<String>,
    /// Protocols in the client's order.
    pub alpn: Vec<Vec<u8>>,
}

// === impl ClientHello ===

impl ClientHello {
    /// Whether the client is a proxy of a mesh: it offers one of Istio's own protocols.
    pub fn is_mesh(&self) -> bool {
        self.alpn
            .iter()
            .any(|protocol| crate::plan::alpn::is_mesh(protocol))
    }
}

enum Parsed<T> {
    Done(T),
    NeedMore,
    Malformed,
}

pub(super) fn classify(bytes: &[u8]) -> Detected {
    let body = match handshake(bytes) {
        Parsed::Done(body) => body,
        // More than is looked at: certainly no ClientHello of an honest client.
        Parsed::NeedMore if bytes.len() >= MAX_BYTES => return Detected::Opaque,
        Parsed::NeedMore => return Detected::NeedMore,
        Parsed::Malformed => return Detected::Opaque,
    };
    hello(&body).map_or(Detected::Opaque, Detected::Tls)
}

/// The body of the first handshake message, put together from as many records as it has.
fn handshake(bytes: &[u8]) -> Parsed<Cow<'_, [u8]>> {
    let mut message: Cow<'_, [u8]> = Cow::Borrowed(&[]);
    let mut rest = bytes;
    loop {
        let fragment = match record(rest) {
            Parsed::Done((fragment, after)) => {
                rest = after;
                fragment
            }
            // The type of the message can be wrong before its record is whole.
            Parsed::NeedMore
                if message.is_empty() && rest.get(5).is_some_and(|t| *t != CLIENT_HELLO) =>
            {
                return Parsed::Malformed;
            }
            Parsed::NeedMore => return Parsed::NeedMore,
            Parsed::Malformed => return Parsed::Malformed,
        };
        if message.is_empty() {
            message = Cow::Borrowed(fragment);
        } else {
            message.to_mut().extend_from_slice(fragment);
        }
        if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
            return Parsed::Malformed;
        }
        let [_, a, b, c, ..] = *message else {
            continue;
        };
        let end = 4 + (usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c));
        if end > MAX_BYTES {
            return Parsed::Malformed;
        }
        if message.len() >= end {
            return Parsed::Done(match message {
                Cow::Borrowed(message) => Cow::Borrowed(message.get(4..end).unwrap_or_default()),
                Cow::Owned(message) => Cow::Owned(message.get(4..end).unwrap_or_default().to_vec()),
            });
        }
    }
}

/// The fragment in the first record (RFC 8446 section 5.1), and what follows it.
fn record(bytes: &[u8]) -> Parsed<(&[u8], &[u8])> {
    // A byte that is not there yet is not wrong yet.
    if bytes.first().is_some_and(|b| *b != HANDSHAKE)
        || bytes.get(1).is_some_and(|b| *b != 3)
        || bytes.get(2).is_some_and(|b| *b > 4)
    {
        return Parsed::Malformed;
    }
    let Some((header, rest)) = bytes.split_at_checked(5) else {
        return Parsed::NeedMore;
    };
    let [_, _, _, high, low] = *header else {
        return Parsed::Malformed;
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if length == 0 || length > RECORD_LIMIT {
        return Parsed::Malformed;
    }
    rest.split_at_checked(length)
        .map_or(Parsed::NeedMore, Parsed::Done)
}

/// Bytes with length prefixes, read from the front.
struct Reader<'a>(&'a [u8]);

fn hello(body: &[u8]) -> Option<ClientHello> {
    let mut reader = Reader(body);
    reader.take(2 + 32)?; // version, random
    if reader.vector(1)?.0.len() > 32 {
        return None;
    }
    let suites = reader.vector(2)?;
    if suites.0.is_empty() || suites.0.len() % 2 != 0 {
        return None;
    }
    reader.vector(1)?; // compression
    let mut hello = ClientHello::default();
    if reader.0.is_empty() {
        return Some(hello); // no extensions: TLS 1.2 and before
    }
    let mut extensions = reader.vector(2)?;
    if !reader.0.is_empty() {
        return None;
    }
    let (mut seen_name, mut seen_alpn) = (false, false);
    while !extensions.0.is_empty() {
        let kind = extensions.number(2)?;
        let value = extensions.vector(2)?;
        match u16::try_from(kind).ok()? {
            // An extension stands only once (RFC 8446 section 4.2).
            SERVER_NAME if std::mem::replace(&mut seen_name, true) => return None,
            SERVER_NAME => hello.sni = server_name(value)?,
            ALPN if std::mem::replace(&mut seen_alpn, true) => return None,
            ALPN => hello.alpn = protocols(value)?,
            _ => {}
        }
    }
    Some(hello)
}

/// Outer absence: malformed. Inner absence: nothing in it that is a host name.
fn server_name(mut value: Reader<'_>) -> Option<Option<String>> {
    let mut names = value.vector(2)?;
    let mut found = None;
    while !names.0.is_empty() {
        let kind = names.number(1)?;
        let name = names.vector(2)?;
        if kind == 0 && found.is_none() {
            found = host(name.0);
        }
    }
    value.0.is_empty().then_some(found)
}

fn host(name: &[u8]) -> Option<String> {
    let valid = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > 255 || !name.iter().all(valid) {
        return None;
    }
    let text = std::str::from_utf8(name).ok()?;
    // The mesh's own names end in a host and hold `_.`, which is none; a trailing dot is noise.
    Some(text.trim_end_matches('.').to_ascii_lowercase()).filter(|text| !text.is_empty())
}

fn protocols(mut value: Reader<'_>) -> Option<Vec<Vec<u8>>> {
    let mut list = value.vector(2)?;
    let mut found = Vec::new();
    while !list.0.is_empty() {
        let protocol = list.vector(1)?;
        if protocol.0.is_empty() {
            return None;
        }
        found.push(protocol.0.to_vec());
    }
    value.0.is_empty().then_some(found)
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    /// A big-endian number of `size` bytes.
    fn number(&mut self, size: usize) -> Option<usize> {
        Some(
            self.take(size)?
                .iter()
                .fold(0, |number, byte| number << 8 | usize::from(*byte)),
        )
    }

    /// As many bytes as the number of `size` bytes before them says.
    fn vector(&mut self, size: usize) -> Option<Self> {
        let length = self.number(size)?;
        self.take(length).map(Reader)
    }
}
