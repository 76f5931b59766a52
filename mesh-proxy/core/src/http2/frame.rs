//! Frames (RFC 9113 section 4.1 and 6).

use bytes::{BufMut, BytesMut};

use super::{ConnectionError, ErrorCode};

/// What a client sends first (RFC 9113 section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Octets of a frame's head.
pub(super) const HEAD: usize = 9;
/// Largest payload that this side takes: what every peer may send (section 4.2).
pub(super) const MAX_PAYLOAD: usize = 16_384;

/// Largest window, and largest stream identifier.
pub(super) const MAX_31: u32 = (1 << 31) - 1;

/// Kinds of frames.
pub(super) mod kind {
    pub(crate) const DATA: u8 = 0x0;
    pub(crate) const HEADERS: u8 = 0x1;
    pub(crate) const PRIORITY: u8 = 0x2;
    pub(crate) const RST_STREAM: u8 = 0x3;
    pub(crate) const SETTINGS: u8 = 0x4;
    pub(crate) const PUSH_PROMISE: u8 = 0x5;
    pub(crate) const PING: u8 = 0x6;
    pub(crate) const GOAWAY: u8 = 0x7;
    pub(crate) const WINDOW_UPDATE: u8 = 0x8;
    pub(crate) const CONTINUATION: u8 = 0x9;
}

/// Flags of frames.
pub(super) mod flag {
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

/// Parameters of a SETTINGS frame (section 6.5.2).
pub(super) mod setting {
    pub(crate) const HEADER_TABLE_SIZE: u16 = 0x1;
    pub(crate) const ENABLE_PUSH: u16 = 0x2;
    pub(crate) const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    pub(crate) const INITIAL_WINDOW_SIZE: u16 = 0x4;
    pub(crate) const MAX_FRAME_SIZE: u16 = 0x5;
    pub(crate) const MAX_HEADER_LIST_SIZE: u16 = 0x6;
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) length: usize,
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

// === impl Head ===

impl Head {
    pub(super) fn parse(octets: &[u8; HEAD]) -> Self {
        let [a, b, c, kind, flags, stream @ ..] = *octets;
        Self {
            length: u32::from_be_bytes([0, a, b, c]) as usize,
            kind,
            flags,
            stream: u32::from_be_bytes(stream) & MAX_31,
        }
    }

    pub(super) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub(super) fn octets(&self) -> [u8; HEAD] {
        let [_, a, b, c] = (self.length as u32).to_be_bytes();
        let [d, e, f, g] = self.stream.to_be_bytes();
        [a, b, c, self.kind, self.flags, d, e, f, g]
    }

    pub(super) fn put(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.octets());
    }

    /// The payload without its padding (sections 6.1, 6.2).
    pub(super) fn unpadded<'a>(&self, payload: &'a [u8]) -> Result<&'a [u8], ConnectionError> {
        if !self.has(flag::PADDED) {
            return Ok(payload);
        }
        let too_long = ConnectionError::protocol("more padding than payload");
        let (length, rest) = payload.split_first().ok_or_else(|| too_long.clone())?;
        let left = rest
            .len()
            .checked_sub(usize::from(*length))
            .ok_or_else(|| too_long.clone())?;
        rest.get(..left).ok_or(too_long)
    }
}

/// A number of four octets at the front.
pub(super) fn number(payload: &[u8]) -> Option<u32> {
    payload
        .first_chunk()
        .map(|octets| u32::from_be_bytes(*octets))
}

pub(super) fn put_number_frame(kind: u8, stream: u32, number: u32, out: &mut BytesMut) {
    let head = Head {
        length: 4,
        kind,
        flags: 0,
        stream,
    };
    head.put(out);
    out.put_u32(number);
}

pub(super) fn put_settings(settings: &[(u16, u32)], out: &mut BytesMut) {
    let head = Head {
        length: settings.len() * 6,
        kind: kind::SETTINGS,
        flags: 0,
        stream: 0,
    };
    head.put(out);
    for (parameter, value) in settings {
        out.put_u16(*parameter);
        out.put_u32(*value);
    }
}

pub(super) fn put_settings_ack(out: &mut BytesMut) {
    let head = Head {
        length: 0,
        kind: kind::SETTINGS,
        flags: flag::ACK,
        stream: 0,
    };
    head.put(out);
}

pub(super) fn put_ping(ack: bool, payload: [u8; 8], out: &mut BytesMut) {
    let head = Head {
        length: 8,
        kind: kind::PING,
        flags: if ack { flag::ACK } else { 0 },
        stream: 0,
    };
    head.put(out);
    out.extend_from_slice(&payload);
}

pub(super) fn put_go_away(last: u32, code: ErrorCode, detail: &str, out: &mut BytesMut) {
    let head = Head {
        length: 8 + detail.len(),
        kind: kind::GOAWAY,
        flags: 0,
        stream: 0,
    };
    head.put(out);
    out.put_u32(last);
    out.put_u32(code.0);
    out.extend_from_slice(detail.as_bytes());
}
