//! Bodies as they come.

use bytes::BytesMut;
use http::HeaderMap;
use http::header::{self, HeaderName};

use super::head::parse_trailers;
use super::{Length, Malformed};

/// Takes the framing off the body of one message (RFC 9112 sections 6 and 7).
#[derive(Debug)]
pub struct Decoder {
    state: State,
    trailers: Option<HeaderMap>,
}

#[derive(Debug)]
enum State {
    Done,
    Exact(u64),
    UntilClose,
    // The digits so far.
    Size { size: u64, digits: u8 },
    // White space or an extension behind the size, with its octets so far.
    Extension { size: u64, count: usize },
    // The line feed behind the size.
    SizeEnd { size: u64 },
    Chunk { left: u64 },
    // The line end behind a chunk.
    ChunkEnd { line_feed: bool },
    Trailers(Vec<u8>),
    Broken(Malformed),
}

/// Octets of chunk extensions, which nobody uses, in one chunk.
const MAX_EXTENSION: usize = 1024;

/// Octets of trailer fields.
const MAX_TRAILERS: usize = 16 * 1024;

// They frame or route the message, prove who sends it or control how it is used; behind the body
// they come too late (RFC 9110 section 6.5.1).
const NO_TRAILERS: [HeaderName; 18] = [
    header::TRANSFER_ENCODING,
    header::CONTENT_LENGTH,
    header::HOST,
    header::CONNECTION,
    header::UPGRADE,
    header::TE,
    header::TRAILER,
    header::EXPECT,
    header::AUTHORIZATION,
    header::PROXY_AUTHORIZATION,
    header::COOKIE,
    header::SET_COOKIE,
    header::CONTENT_ENCODING,
    header::CONTENT_TYPE,
    header::CONTENT_RANGE,
    header::CACHE_CONTROL,
    header::RANGE,
    header::MAX_FORWARDS,
];

// === impl Decoder ===

impl Decoder {
    /// For a body of this length.
    pub fn new(length: Length) -> Self {
        let state = match length {
            Length::None | Length::Exact(0) => State::Done,
            Length::Exact(count) => State::Exact(count),
            Length::Chunked => State::Size { size: 0, digits: 0 },
            Length::UntilClose => State::UntilClose,
        };
        Self {
            state,
            trailers: None,
        }
    }

    /// Whether the message has ended.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// The trailer fields, once.
    pub fn take_trailers(&mut self) -> Option<HeaderMap> {
        self.trailers.take()
    }

    /// Whether there are trailer fields that nobody took.
    pub fn has_trailers(&self) -> bool {
        self.trailers.is_some()
    }

    /// Octets that are still to come, if that is known.
    pub fn left(&self) -> Option<u64> {
        match self.state {
            State::Done => Some(0),
            State::Exact(left) => Some(left),
            _ => None,
        }
    }

    /// The connection has ended. Returns whether that is the end of the message.
    pub fn close(&mut self) -> bool {
        if matches!(self.state, State::UntilClose) {
            self.state = State::Done;
        }
        self.is_done()
    }

    /// Takes from `input` what belongs to the body and adds its octets to `output`. What is left
    /// of `input` then belongs to the next message.
    ///
    /// # Errors
    /// [`Malformed`], now and ever after.
    pub fn decode(&mut self, input: &mut &[u8], output: &mut BytesMut) -> Result<(), Malformed> {
        while !input.is_empty() && !self.is_done() {
            if let Err(malformed) = self.step(input, output) {
                self.state = State::Broken(malformed);
                return Err(malformed);
            }
        }
        Ok(())
    }

    fn step(&mut self, input: &mut &[u8], output: &mut BytesMut) -> Result<(), Malformed> {
        match &mut self.state {
            State::Done => {}
            State::Broken(malformed) => return Err(*malformed),
            State::Exact(left) => {
                *left -= take(input, *left, output);
                if *left == 0 {
                    self.state = State::Done;
                }
            }
            State::UntilClose => {
                take(input, u64::MAX, output);
            }
            State::Chunk { left } => {
                *left -= take(input, *left, output);
                if *left == 0 {
                    self.state = State::ChunkEnd { line_feed: false };
                }
            }
            _ => {
                let Some((octet, rest)) = input.split_first() else {
                    return Ok(());
                };
                *input = rest;
                self.framing(*octet)?;
            }
        }
        Ok(())
    }

    fn framing(&mut self, octet: u8) -> Result<(), Malformed> {
        match &mut self.state {
            State::Size { size, digits } => match (hex(octet), octet) {
                (Some(digit), _) if *digits < 16 => {
                    *size = *size << 4 | u64::from(digit);
                    *digits += 1;
                }
                (None, b'\r') if *digits > 0 => self.state = State::SizeEnd { size: *size },
                (None, b';' | b' ' | b'\t') if *digits > 0 => {
                    let size = *size;
                    self.state = State::Extension { size, count: 1 };
                }
                _ => return Err(Malformed::Chunk),
            },
            State::Extension { size, count } => match octet {
                b'\r' => self.state = State::SizeEnd { size: *size },
                b'\n' | 0 => return Err(Malformed::Chunk),
                _ if *count == MAX_EXTENSION => return Err(Malformed::Chunk),
                _ => *count += 1,
            },
            State::SizeEnd { size } => match (octet, *size) {
                (b'\n', 0) => self.state = State::Trailers(Vec::new()),
                (b'\n', left) => self.state = State::Chunk { left },
                _ => return Err(Malformed::Chunk),
            },
            State::ChunkEnd { line_feed } => match (octet, *line_feed) {
                (b'\r', false) => *line_feed = true,
                (b'\n', true) => self.state = State::Size { size: 0, digits: 0 },
                _ => return Err(Malformed::Chunk),
            },
            State::Trailers(lines) => {
                if octet == b'\n' && lines.last() != Some(&b'\r') || lines.len() == MAX_TRAILERS {
                    return Err(Malformed::Trailers);
                }
                lines.push(octet);
                if lines.as_slice() == b"\r\n" {
                    self.state = State::Done;
                } else if lines.ends_with(b"\r\n\r\n") {
                    self.trailers = trailers(lines)?;
                    self.state = State::Done;
                }
            }
            State::Done
            | State::Exact(_)
            | State::UntilClose
            | State::Chunk { .. }
            | State::Broken(_) => {}
        }
        Ok(())
    }
}

fn trailers(lines: &[u8]) -> Result<Option<HeaderMap>, Malformed> {
    let mut fields = parse_trailers(lines)?;
    for name in NO_TRAILERS {
        fields.remove(name);
    }
    Ok(Some(fields).filter(|fields| !fields.is_empty()))
}

fn take(input: &mut &[u8], most: u64, output: &mut BytesMut) -> u64 {
    let count = usize::try_from(most).map_or(input.len(), |most| most.min(input.len()));
    let (now, later) = input.split_at(count);
    output.extend_from_slice(now);
    *input = later;
    count as u64
}

fn hex(octet: u8) -> Option<u8> {
    char::from(octet)
        .to_digit(16)
        .and_then(|digit| u8::try_from(digit).ok())
}
