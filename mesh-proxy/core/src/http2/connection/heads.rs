//! Heads and trailers that the peer sends.

use std::time::Instant;

use http::StatusCode;

use super::super::frame::{self, Head, MAX_PAYLOAD, flag, kind};
use super::super::message::{self, Collector, Malformed, Unusable};
use super::super::{ConnectionError, ErrorCode};
use super::receive::Result;
use super::stream::{Received, Stream};
use super::{Connection, Event, GoingAway, StreamId};
use crate::Reason;

/// Room for fields, so that maps do not grow: those of a usual request,
const REQUEST_FIELDS: usize = 12;
/// of the first response (later ones are taken to have as many as the last),
pub(super) const RESPONSE_FIELDS: usize = 12;
/// and of trailers.
const TRAILERS: usize = 3;
/// What a proxy adds to a response, and the most that is kept free for any.
const OF_PROXY: usize = 1;
const MOST_FIELDS: usize = 48;

/// A header block of which parts are still to come.
#[derive(Debug)]
pub(super) struct Block {
    id: StreamId,
    end: bool,
    octets: Vec<u8>,
}

// === impl Connection ===

impl<T: Clone + Default> Connection<T> {
    pub(super) fn on_headers(
        &mut self,
        head: Head,
        id: StreamId,
        payload: &[u8],
        now: Instant,
    ) -> Result<Option<Event<T>>> {
        let mut block = head.unpadded(payload)?;
        if head.has(flag::PRIORITY) {
            let short = ConnectionError::size("HEADERS without the priority they announce");
            block = block.get(5..).ok_or(short)?;
        }
        let end = head.has(flag::END_STREAM);
        if head.has(flag::END_HEADERS) {
            return self.on_block(id, end, block, now);
        }
        let octets = block.to_vec();
        self.block = Some(Block { id, end, octets });
        Ok(None)
    }

    pub(super) fn on_continuation(
        &mut self,
        head: Head,
        payload: &[u8],
        now: Instant,
    ) -> Result<Option<Event<T>>> {
        let Some(mut block) = self.block.take().filter(|block| block.id.0 == head.stream) else {
            return Err(ConnectionError::protocol("CONTINUATION of another stream"));
        };
        // Compressed, a block is smaller than its list, except for lists without sense.
        let limit = self.config.max_head as usize + MAX_PAYLOAD;
        if self.guard.continued(payload.len()) || block.octets.len() + payload.len() > limit {
            return Err(ConnectionError::calm("a header block without end"));
        }
        block.octets.extend_from_slice(payload);
        if head.has(flag::END_HEADERS) {
            return self.on_block(block.id, block.end, &block.octets, now);
        }
        self.block = Some(block);
        Ok(None)
    }

    // A whole header block. It is decoded whatever becomes of it: the next ones refer to it.
    fn on_block(
        &mut self,
        id: StreamId,
        end: bool,
        block: &[u8],
        now: Instant,
    ) -> Result<Option<Event<T>>> {
        let fields = self.decode(id, block)?;
        if self.streams.contains_key(&id) {
            return self.on_next_block(id, end, fields, now);
        }
        if !self.is_server || id.0.is_multiple_of(2) {
            self.known(id)?;
            return Ok(None);
        }
        if id.0 <= self.last_theirs {
            // Of a stream that this side has ended meanwhile, or the peer is confused.
            return if self.guard.idled() {
                Err(ConnectionError::new(
                    ErrorCode::STREAM_CLOSED,
                    "HEADERS on closed streams",
                ))
            } else {
                Ok(None)
            };
        }
        if let GoingAway::Final(_) = self.going_away {
            return Ok(None);
        }
        self.last_theirs = id.0;
        self.guard.worked();
        if self.streams.len() >= self.config.max_streams as usize {
            frame::put_number_frame(
                kind::RST_STREAM,
                id.0,
                ErrorCode::REFUSED_STREAM.0,
                &mut self.out,
            );
            return self.waste(now).map(|()| None);
        }
        let mut stream = Stream::new(
            T::default(),
            self.peer.initial_window,
            self.config.stream_window,
        );
        stream.received = if end { Received::End } else { Received::Head };
        let request = fields.request(self.any_authority).and_then(|parts| {
            stream.announced = message::content_length(&parts.headers)?;
            if stream.count(0, end) {
                Ok(parts)
            } else {
                Err(Malformed("a body shorter than announced").into())
            }
        });
        match request {
            Ok(parts) => {
                let data = stream.data.clone();
                self.streams.insert(id, stream);
                Ok(Some(Event::Request {
                    id,
                    data,
                    parts,
                    end,
                }))
            }
            Err(Unusable::TooLarge) => {
                self.streams.insert(id, stream);
                self.refuse_head(id, end);
                Ok(Some(Event::NoRequest {
                    reason: Reason::RequestHeadersTooLarge,
                    why: "the head is too large",
                }))
            }
            Err(Unusable::Malformed(fault)) => {
                let code = ErrorCode::PROTOCOL_ERROR.0;
                frame::put_number_frame(kind::RST_STREAM, id.0, code, &mut self.out);
                let event = Event::NoRequest {
                    reason: fault.reason(),
                    why: fault.0,
                };
                self.waste(now).map(|()| Some(event))
            }
        }
    }

    fn decode(&mut self, id: StreamId, block: &[u8]) -> Result<Collector> {
        let usual = match self.streams.get(&id).map(|stream| stream.received) {
            None => REQUEST_FIELDS,
            Some(Received::Nothing) => self.response_fields,
            Some(Received::Head | Received::End) => TRAILERS,
        };
        let mut fields = Collector::new(self.config.max_head as usize, usual);
        self.decoder.decode(block, |field| fields.add(field))?;
        Ok(fields)
    }

    // RFC 6585 section 5.
    fn refuse_head(&mut self, id: StreamId, end: bool) {
        let (mut parts, ()) = http::Response::new(()).into_parts();
        parts.status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        self.respond(id, &parts, true);
        if !end {
            self.reset(id, ErrorCode::NO_ERROR);
        }
    }

    // The head of a response, or trailers.
    fn on_next_block(
        &mut self,
        id: StreamId,
        end: bool,
        fields: Collector,
        now: Instant,
    ) -> Result<Option<Event<T>>> {
        self.guard.worked();
        let Some(stream) = self.streams.get_mut(&id) else {
            return Ok(None);
        };
        let event = match stream.received {
            Received::Nothing => match fields.response() {
                // Informational; what they would say is said between neighbours only.
                Ok(parts) if parts.status.is_informational() && !end && parts.status != 101 => {
                    return Ok(None);
                }
                Ok(parts) if !parts.status.is_informational() => {
                    let none = stream.bodiless
                        || matches!(
                            parts.status,
                            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
                        );
                    self.response_fields = (parts.headers.len() + OF_PROXY).min(MOST_FIELDS);
                    let length = message::content_length(&parts.headers);
                    stream.received = if end { Received::End } else { Received::Head };
                    stream.announced = length.unwrap_or_default().filter(|_| !none);
                    (length.is_ok() && stream.count(0, end)).then(|| Event::Response {
                        data: stream.data.clone(),
                        parts,
                        end,
                    })
                }
                _ => None,
            },
            Received::Head => {
                stream.received = Received::End;
                let whole = end && stream.count(0, true);
                let trailers = fields.trailers().ok().filter(|_| whole);
                trailers.map(|fields| Event::Trailers {
                    data: stream.data.clone(),
                    fields,
                })
            }
            Received::End => return self.end_stream(id, ErrorCode::STREAM_CLOSED, now),
        };
        let Some(event) = event else {
            return self.end_stream(id, ErrorCode::PROTOCOL_ERROR, now);
        };
        self.forget_if_over(id);
        Ok(Some(event))
    }
}
