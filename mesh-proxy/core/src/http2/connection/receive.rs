//! What the peer says.

use std::time::Instant;

use bytes::Bytes;

use super::super::frame::{self, HEAD, Head, MAX_PAYLOAD, PREFACE, flag, kind};
use super::super::{ConnectionError, ErrorCode};
use super::stream::Received;
use super::{Connection, Event, Greeting, StreamId};

pub(super) type Result<T> = std::result::Result<T, ConnectionError>;

// === impl Connection ===

impl<T: Clone + Default> Connection<T> {
    /// Takes octets off `input` until something happens that the owner has to know. `None` if
    /// all are taken. `now` is the time of a clock that never goes back.
    ///
    /// # Errors
    /// The peer broke the protocol; to be told to it by [`Self::abort`].
    pub fn receive(&mut self, input: &mut &[u8], now: Instant) -> Result<Option<Event<T>>> {
        self.take_preface(input)?;
        loop {
            let event = if self.partial.is_empty() {
                let Some((octets, rest)) = input.split_first_chunk::<HEAD>() else {
                    self.partial.extend_from_slice(std::mem::take(input));
                    return Ok(None);
                };
                let head = checked(Head::parse(octets))?;
                let Some((payload, rest)) = rest.split_at_checked(head.length) else {
                    self.partial.reserve_exact(HEAD + head.length);
                    self.partial.extend_from_slice(std::mem::take(input));
                    return Ok(None);
                };
                *input = rest;
                self.frame(head, payload, now)?
            } else {
                let Some((head, octets)) = self.complete(input)? else {
                    return Ok(None);
                };
                let event = self.frame(head, octets.get(HEAD..).unwrap_or_default(), now);
                // The room is used again for the next one.
                self.partial = octets;
                self.partial.clear();
                event?
            };
            if event.is_some() {
                return Ok(event);
            }
        }
    }

    fn take_preface(&mut self, input: &mut &[u8]) -> Result<()> {
        let Greeting::Preface(seen) = self.greeting else {
            return Ok(());
        };
        let wanted = PREFACE.get(seen..).unwrap_or_default();
        let count = wanted.len().min(input.len());
        let (came, rest) = input.split_at(count);
        if !wanted.starts_with(came) {
            return Err(ConnectionError::protocol("not the preface of HTTP/2"));
        }
        *input = rest;
        self.greeting = match seen + count {
            all if all == PREFACE.len() => Greeting::Settings,
            part => Greeting::Preface(part),
        };
        Ok(())
    }

    // Fills the incomplete frame, and takes it once it is complete.
    fn complete(&mut self, input: &mut &[u8]) -> Result<Option<(Head, Vec<u8>)>> {
        let mut fill = |partial: &mut Vec<u8>, until: usize| {
            let missing = until.saturating_sub(partial.len()).min(input.len());
            let (came, rest) = input.split_at(missing);
            partial.extend_from_slice(came);
            *input = rest;
            partial.len() >= until
        };
        if !fill(&mut self.partial, HEAD) {
            return Ok(None);
        }
        let Some(octets) = self.partial.first_chunk::<HEAD>() else {
            return Ok(None);
        };
        let head = checked(Head::parse(octets))?;
        if !fill(&mut self.partial, HEAD + head.length) {
            return Ok(None);
        }
        Ok(Some((head, std::mem::take(&mut self.partial))))
    }

    fn frame(&mut self, head: Head, payload: &[u8], now: Instant) -> Result<Option<Event<T>>> {
        if self.greeting == Greeting::Settings {
            if head.kind != kind::SETTINGS || head.has(flag::ACK) {
                return Err(ConnectionError::protocol("the first frame is not SETTINGS"));
            }
            self.greeting = Greeting::Done;
        }
        if self.block.is_some() != (head.kind == kind::CONTINUATION) {
            return Err(ConnectionError::protocol(
                "a header block is interrupted, or has no start",
            ));
        }
        let id = StreamId(head.stream);
        let of_stream = matches!(
            head.kind,
            kind::DATA | kind::HEADERS | kind::PRIORITY | kind::RST_STREAM | kind::CONTINUATION
        );
        let of_connection = matches!(head.kind, kind::SETTINGS | kind::PING | kind::GOAWAY);
        if of_stream && id.0 == 0 || of_connection && id.0 != 0 {
            return Err(ConnectionError::protocol(
                "a frame on a stream that it has nothing to do with",
            ));
        }
        match head.kind {
            kind::DATA => return self.on_data(head, id, payload, now),
            kind::HEADERS => return self.on_headers(head, id, payload, now),
            kind::CONTINUATION => return self.on_continuation(head, payload, now),
            _ => {}
        }
        if self.guard.idled() {
            return Err(ConnectionError::calm("too many frames without content"));
        }
        match head.kind {
            kind::RST_STREAM => self.on_reset(id, payload, now),
            kind::WINDOW_UPDATE => self.on_window(id, payload, now),
            kind::SETTINGS => self.on_settings(head, payload),
            kind::PING => self.on_ping(head, payload),
            kind::GOAWAY => self.on_go_away(payload),
            kind::PRIORITY if payload.len() != 5 => {
                Err(ConnectionError::size("PRIORITY of a wrong size"))
            }
            kind::PUSH_PROMISE => Err(ConnectionError::protocol("PUSH_PROMISE is not allowed")),
            // Priorities are obsolete (section 5.3.2); frames that nobody knows are passed over
            // (section 5.5).
            _ => Ok(None),
        }
    }

    fn on_data(
        &mut self,
        head: Head,
        id: StreamId,
        payload: &[u8],
        now: Instant,
    ) -> Result<Option<Event<T>>> {
        if self.receive_window.take(payload.len()).is_err() {
            let error = "more data than the connection's window allows";
            return Err(ConnectionError::new(ErrorCode::FLOW_CONTROL_ERROR, error));
        }
        let content = head.unpadded(payload)?;
        let end = head.has(flag::END_STREAM);
        if content.is_empty() && !end && self.guard.idled() {
            return Err(ConnectionError::calm("too many frames without content"));
        }
        let Some(stream) = self.streams.get_mut(&id) else {
            self.known(id)?;
            self.release(id, payload.len());
            return Ok(None);
        };
        if stream.received != Received::Head {
            self.release(id, payload.len());
            return self.end_stream(id, ErrorCode::STREAM_CLOSED, now);
        }
        if stream.receive_window.take(payload.len()).is_err() {
            self.release(id, payload.len());
            return self.end_stream(id, ErrorCode::FLOW_CONTROL_ERROR, now);
        }
        if !stream.count(content.len(), end) {
            self.release(id, payload.len());
            return self.end_stream(id, ErrorCode::PROTOCOL_ERROR, now);
        }
        if end {
            stream.received = Received::End;
        }
        let (data, discards) = (stream.data.clone(), stream.discards);
        let padding = payload.len() - content.len();
        if discards {
            // Only the connection's window: the stream's runs dry.
            if let Some(more) = self.receive_window.release(payload.len()) {
                frame::put_number_frame(kind::WINDOW_UPDATE, 0, more, &mut self.out);
            }
        } else if padding > 0 {
            self.release(id, padding);
        }
        if !content.is_empty() {
            self.guard.worked();
        }
        self.forget_if_over(id);
        let bytes = if discards {
            Bytes::new()
        } else {
            Bytes::copy_from_slice(content)
        };
        Ok(Some(Event::Data { data, bytes, end }))
    }

    // The peer broke the protocol on one stream.
    pub(super) fn end_stream(
        &mut self,
        id: StreamId,
        code: ErrorCode,
        now: Instant,
    ) -> Result<Option<Event<T>>> {
        self.waste(now)?;
        frame::put_number_frame(kind::RST_STREAM, id.0, code.0, &mut self.out);
        Ok(self.streams.remove(&id).map(|stream| Event::Reset {
            data: stream.data,
            code,
            by_us: true,
        }))
    }

    pub(super) fn waste(&mut self, now: Instant) -> Result<()> {
        if self.guard.wasted(now) {
            return Err(ConnectionError::calm("too many streams come to nothing"));
        }
        Ok(())
    }

    // A frame for a stream that is not open is fine if it has been: frames cross on the way.
    pub(super) fn known(&self, id: StreamId) -> Result<()> {
        let theirs = id.0.is_multiple_of(2) != self.is_server;
        let begun = if theirs {
            id.0 <= self.last_theirs
        } else {
            id.0 < self.next_ours
        };
        if begun {
            Ok(())
        } else {
            Err(ConnectionError::protocol(
                "a frame on a stream that has not begun",
            ))
        }
    }
}

fn checked(head: Head) -> Result<Head> {
    if head.length > MAX_PAYLOAD {
        return Err(ConnectionError::size("a frame larger than this side takes"));
    }
    Ok(head)
}
