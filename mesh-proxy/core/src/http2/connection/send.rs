//! What this side says.

use bytes::BytesMut;
use http::{HeaderMap, Method, request, response};

use super::super::frame::{self, HEAD, Head, MAX_31, flag, kind};
use super::super::hpack::Encoder;
use super::super::{ErrorCode, message};
use super::stream::{Received, Stream};
use super::{Connection, OpenError, StreamId};

/// The least that is allocated for output: a record of TLS.
const OUTPUT: usize = 16 * 1024;
/// Room for most header blocks, and for frames that carry a number.
const USUAL_BLOCK: usize = 1024;
const SMALL_FRAME: usize = 32;

// === impl Connection ===

impl<T: Clone + Default> Connection<T> {
    /// Sends the head of a request on a new stream; `end` if it has no body.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&mut self, parts: &request::Parts, end: bool) -> Result<(StreamId, T), OpenError> {
        self.can_open()?;
        let id = StreamId(self.next_ours);
        self.next_ours = self.next_ours.saturating_add(2);
        let mut stream = Stream::new(
            T::default(),
            self.peer.initial_window,
            self.config.stream_window,
        );
        stream.sent_end = end;
        stream.bodiless = parts.method == Method::HEAD || parts.method == Method::CONNECT;
        let data = stream.data.clone();
        self.streams.insert(id, stream);
        self.put_block(id, end, |encoder, out| {
            message::put_request(parts, encoder, out);
        });
        Ok((id, data))
    }

    /// Sends the head of a response; `end` if it has no body. Nothing happens if the stream has
    /// ended already.
    pub fn respond(&mut self, id: StreamId, parts: &response::Parts, end: bool) {
        if self.streams.get(&id).is_some_and(|stream| !stream.sent_end) {
            self.put_block(id, end, |encoder, out| {
                message::put_response(parts, encoder, out);
            });
            self.sent(id, end);
        }
    }

    /// Sends trailers, which end the message. Nothing happens if the stream has ended already.
    pub fn send_trailers(&mut self, id: StreamId, fields: &HeaderMap) {
        if self.streams.get(&id).is_some_and(|stream| !stream.sent_end) {
            self.put_block(id, true, |encoder, out| {
                message::put_trailers(fields, encoder, out);
            });
            self.sent(id, true);
        }
    }

    /// Octets that may be sent on a stream now. `None` if nothing may ever be: it has ended.
    pub fn capacity(&self, id: StreamId) -> Option<usize> {
        let stream = self.streams.get(&id).filter(|stream| !stream.sent_end)?;
        let both = stream
            .send_window
            .available()
            .min(self.send_window.available());
        Some(both)
    }

    /// Sends part of a body, as much as the windows allow; returns how much that was. The end is
    /// only sent with the last octet. Nothing happens if the stream has ended already.
    pub fn send_data(&mut self, id: StreamId, bytes: &[u8], end: bool) -> usize {
        let Some(capacity) = self.capacity(id) else {
            return bytes.len();
        };
        let count = bytes.len().min(capacity);
        let end = end && count == bytes.len();
        if count == 0 && !end {
            return 0;
        }
        let (now, _) = bytes.split_at(count);
        let mut rest = now;
        loop {
            let (piece, after) = rest.split_at(rest.len().min(self.peer.max_payload));
            rest = after;
            let last = rest.is_empty();
            let head = Head {
                length: piece.len(),
                kind: kind::DATA,
                flags: if last && end { flag::END_STREAM } else { 0 },
                stream: id.0,
            };
            self.make_room(HEAD + piece.len());
            head.put(&mut self.out);
            self.out.extend_from_slice(piece);
            if last {
                break;
            }
        }
        self.send_window.take(count);
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.send_window.take(count);
        }
        self.guard.worked();
        self.sent(id, end);
        count
    }

    /// Ends a stream in the middle. Nothing happens if it has ended already.
    pub fn reset(&mut self, id: StreamId, code: ErrorCode) {
        if self.streams.remove(&id).is_some() {
            frame::put_number_frame(kind::RST_STREAM, id.0, code.0, &mut self.out);
        }
    }

    /// Octets of a body were passed on: the peer may send as many more.
    pub fn release(&mut self, id: StreamId, count: usize) {
        if let Some(more) = self.receive_window.release(count) {
            self.make_room(SMALL_FRAME);
            frame::put_number_frame(kind::WINDOW_UPDATE, 0, more, &mut self.out);
        }
        let Some(stream) = self.streams.get_mut(&id) else {
            return;
        };
        if stream.received != Received::End
            && let Some(more) = stream.receive_window.release(count)
        {
            frame::put_number_frame(kind::WINDOW_UPDATE, id.0, more, &mut self.out);
        }
    }

    /// Nobody wants the rest of the peer's body: it is dropped as it comes, at most a window
    /// full.
    pub fn discard(&mut self, id: StreamId) {
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.discards = true;
        }
    }

    pub(super) fn sent(&mut self, id: StreamId, end: bool) {
        if !end {
            return;
        }
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.sent_end = true;
        }
        self.forget_if_over(id);
    }

    pub(super) fn forget_if_over(&mut self, id: StreamId) {
        if self.streams.get(&id).is_some_and(Stream::is_over) {
            self.streams.remove(&id);
            self.guard.completed();
        }
    }

    // The output grows by the same few sizes on every connection, so that what one gives back serves
    // the next.
    fn make_room(&mut self, octets: usize) {
        if self.out.capacity() - self.out.len() < octets {
            self.out.reserve(octets.max(OUTPUT));
        }
    }

    // Writes a header block behind the head of its frame, and cuts it if it is too long for one.
    fn put_block(
        &mut self,
        id: StreamId,
        end: bool,
        write: impl FnOnce(&mut Encoder, &mut BytesMut),
    ) {
        self.make_room(USUAL_BLOCK);
        let start = self.out.len();
        let end = if end { flag::END_STREAM } else { 0 };
        let mut head = Head {
            length: 0,
            kind: kind::HEADERS,
            flags: flag::END_HEADERS | end,
            stream: id.0 & MAX_31,
        };
        head.put(&mut self.out);
        write(&mut self.encoder, &mut self.out);
        head.length = self.out.len() - start - HEAD;
        if head.length <= self.peer.max_payload {
            if let Some(place) = self.out.get_mut(start..start + HEAD) {
                place.copy_from_slice(&head.octets());
            }
            return;
        }
        let block = self.out.split_off(start + HEAD);
        self.out.truncate(start);
        let pieces = block.chunks(self.peer.max_payload);
        let last = pieces.len() - 1;
        for (nth, piece) in pieces.enumerate() {
            let ends = if nth == last { flag::END_HEADERS } else { 0 };
            let (kind, flags) = match nth {
                0 => (kind::HEADERS, ends | end),
                _ => (kind::CONTINUATION, ends),
            };
            let head = Head {
                length: piece.len(),
                kind,
                flags,
                stream: id.0,
            };
            head.put(&mut self.out);
            self.out.extend_from_slice(piece);
        }
    }
}
