//! The state of one connection.

mod control;
mod heads;
mod receive;
mod send;
mod stream;

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, request, response};

use super::frame::{self, MAX_31, PREFACE, setting};
use super::guard::Guard;
use super::hpack::{Decoder, Encoder};
use super::window::{ReceiveWindow, SendWindow};
use super::{ConnectionError, ErrorCode};
use crate::Reason;
use heads::Block;
use stream::Stream;

/// Identifies a stream (RFC 9113 section 5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(pub(super) u32);

/// What this side allows its peer.
#[derive(Clone, Debug)]
pub struct Config {
    /// Octets of a stream's data that may be under way or unread; at most 2^31-1.
    pub stream_window: u32,
    /// The same for all streams together, at least 65 535.
    pub connection_window: u32,
    /// Streams that the peer may have open at the same time.
    pub max_streams: u32,
    /// Size of a header list, in octets as RFC 7541 section 4.1 counts. A request with more is
    /// answered by 431.
    pub max_head: u32,
}

/// One side of a connection. `T` is what its owner keeps for each stream: a handle, cheap to clone.
#[derive(Debug)]
pub struct Connection<T> {
    is_server: bool,
    config: Config,
    decoder: Decoder,
    encoder: Encoder,
    streams: HashMap<StreamId, Stream<T>, BuildHasherDefault<IdHasher>>,
    out: BytesMut,
    // The peer's settings.
    peer: Peer,
    send_window: SendWindow,
    receive_window: ReceiveWindow,
    // Largest stream of the peer, and the next one of this side.
    last_theirs: u32,
    next_ours: u32,
    // What came of a frame that is not complete.
    partial: Vec<u8>,
    block: Option<Block>,
    greeting: Greeting,
    guard: Guard,
    going_away: GoingAway,
    their_last: Option<u32>,
    any_authority: bool,
    // What the next response is expected to have.
    response_fields: usize,
}

/// What a peer allows this side.
#[derive(Debug)]
struct Peer {
    /// Whether it has told them.
    is_known: bool,
    initial_window: u32,
    max_payload: usize,
    max_streams: u32,
}

/// What still has to come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Greeting {
    /// The client's preface, of which so many octets were seen.
    Preface(usize),
    Settings,
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GoingAway {
    No,
    /// The peer was told to begin no more streams; those under way are still taken.
    Announced,
    /// Later streams are not looked at.
    Final(u32),
}

/// Something that the owner of a connection has to know.
#[derive(Debug)]
pub enum Event<T> {
    /// A client's request.
    Request {
        /// Its stream.
        id: StreamId,
        /// What is to be kept for it.
        data: T,
        /// Its head.
        parts: request::Parts,
        /// Whether it has no body.
        end: bool,
    },
    /// What a client sent is no request, or larger than allowed. Its stream is over for it.
    NoRequest {
        /// The cause, as logs and metrics are told.
        reason: Reason,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A server's response; informational ones are passed over.
    Response {
        /// What is kept for the stream.
        data: T,
        /// Its head.
        parts: response::Parts,
        /// Whether it has no body.
        end: bool,
    },
    /// Part of a body. Its octets count against the windows until they are
    /// [released](Connection::release).
    Data {
        /// What is kept for the stream.
        data: T,
        /// The octets; may be empty at the end.
        bytes: Bytes,
        /// Whether it is the end.
        end: bool,
    },
    /// The end of a body that has trailers.
    Trailers {
        /// What is kept for the stream.
        data: T,
        /// The trailers.
        fields: HeaderMap,
    },
    /// The stream has ended before its messages.
    Reset {
        /// What was kept for the stream.
        data: T,
        /// Why.
        code: ErrorCode,
        /// Whether this side ended it, since the peer broke the protocol on it.
        by_us: bool,
    },
    /// More may be sent on a stream.
    Window {
        /// What is kept for the stream.
        data: T,
    },
    /// More may be sent on every stream.
    Windows,
    /// The peer begins to close the connection. Its [unprocessed](Connection::unprocessed) streams
    /// may be sent elsewhere.
    GoAway {
        /// Why.
        code: ErrorCode,
    },
    /// The peer is there.
    Pong,
}

/// No stream can be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The connection is being closed, or has no identifier left.
    #[error("the connection takes no more streams")]
    Closed,
    /// As many streams are open as the peer allows.
    #[error("the connection has as many streams as it may have")]
    Full,
}

/// Servers should allow that many (RFC 9113 section 6.5.2); what they do allow they say a moment
/// after the first requests are under way.
const STREAMS_BEFORE_SETTINGS: u32 = 100;

/// The window that both sides start with (RFC 9113 section 6.9.2).
const DEFAULT_WINDOW: u32 = 65_535;

// === impl Connection ===

impl<T: Clone + Default> Connection<T> {
    /// The client's side. Its first octets are in the output at once.
    pub fn client(config: Config) -> Self {
        let mut connection = Self::new(false, config);
        connection.out.extend_from_slice(PREFACE);
        connection.greet();
        connection
    }

    /// The server's side. Its first octets are in the output at once.
    pub fn server(config: Config) -> Self {
        let mut connection = Self::new(true, config);
        connection.greet();
        connection
    }

    fn new(is_server: bool, config: Config) -> Self {
        Self {
            is_server,
            decoder: Decoder::default(),
            encoder: Encoder::default(),
            streams: HashMap::default(),
            out: BytesMut::new(),
            peer: Peer {
                is_known: false,
                initial_window: DEFAULT_WINDOW,
                max_payload: frame::MAX_PAYLOAD,
                max_streams: STREAMS_BEFORE_SETTINGS,
            },
            send_window: SendWindow::new(DEFAULT_WINDOW),
            receive_window: ReceiveWindow::new(config.connection_window),
            last_theirs: 0,
            next_ours: 1,
            partial: Vec::new(),
            block: None,
            greeting: if is_server {
                Greeting::Preface(0)
            } else {
                Greeting::Settings
            },
            guard: Guard::default(),
            going_away: GoingAway::No,
            their_last: None,
            any_authority: false,
            response_fields: heads::RESPONSE_FIELDS,
            config,
        }
    }

    fn greet(&mut self) {
        let config = &self.config;
        let mut settings = vec![
            (setting::INITIAL_WINDOW_SIZE, config.stream_window),
            (setting::MAX_HEADER_LIST_SIZE, config.max_head),
        ];
        if self.is_server {
            settings.push((setting::MAX_CONCURRENT_STREAMS, config.max_streams));
        } else {
            settings.push((setting::ENABLE_PUSH, 0));
        }
        frame::put_settings(&settings, &mut self.out);
        let more = config.connection_window.saturating_sub(DEFAULT_WINDOW);
        if more > 0 {
            frame::put_number_frame(frame::kind::WINDOW_UPDATE, 0, more, &mut self.out);
        }
    }

    /// Takes requests whose authority is no host, as if they had none. Clients of gRPC put the path
    /// of a Unix socket there.
    pub fn take_any_authority(&mut self) {
        self.any_authority = true;
    }

    /// The first request came over HTTP/1.1 and asked for HTTP/2 (RFC 7540 section 3.2): it is the
    /// first stream, and has no body. `settings` are those of its HTTP2-Settings field. To be
    /// called on a server before it receives anything.
    ///
    /// # Errors
    /// If the settings are none, or are not allowed.
    pub fn upgrade(&mut self, settings: &[u8]) -> Result<(StreamId, T), ConnectionError> {
        self.apply_settings(settings)?;
        let id = StreamId(1);
        self.last_theirs = id.0;
        let mut stream = Stream::new(
            T::default(),
            self.peer.initial_window,
            self.config.stream_window,
        );
        stream.received = stream::Received::End;
        let data = stream.data.clone();
        self.streams.insert(id, stream);
        Ok((id, data))
    }

    /// Octets for the peer. The owner takes off what it has written.
    pub fn output(&mut self) -> &mut BytesMut {
        &mut self.out
    }

    /// Number of streams that are open.
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// Everything that is kept for open streams.
    pub fn all(&self) -> impl Iterator<Item = &T> {
        self.streams.values().map(|stream| &stream.data)
    }

    /// Whether this side may open one more stream now.
    ///
    /// # Errors
    /// Why not.
    pub fn can_open(&self) -> Result<(), OpenError> {
        let closing = self.their_last.is_some() || self.going_away != GoingAway::No;
        if closing || self.next_ours > MAX_31 {
            return Err(OpenError::Closed);
        }
        if self.streams.len() >= self.peer.max_streams as usize {
            return Err(OpenError::Full);
        }
        Ok(())
    }

    /// Whether the connection is being closed and nothing is left to do on it.
    pub fn is_finished(&self) -> bool {
        let closing = self.their_last.is_some() || matches!(self.going_away, GoingAway::Final(_));
        closing && self.streams.is_empty()
    }

    /// Takes out the streams that the peer will not look at any more, after [`Event::GoAway`].
    pub fn unprocessed(&mut self) -> Vec<T> {
        let Some(last) = self.their_last else {
            return Vec::new();
        };
        let beyond = |id: &StreamId| id.0 > last;
        let found: Vec<StreamId> = self.streams.keys().copied().filter(beyond).collect();
        found
            .iter()
            .filter_map(|id| self.streams.remove(id))
            .map(|stream| stream.data)
            .collect()
    }

    /// Tells the peer to begin no more streams. Those that are under way are still taken, until
    /// its answer has come: then [`Self::is_finished`] once all have ended.
    pub fn shut_down(&mut self) {
        if self.going_away == GoingAway::No {
            self.going_away = GoingAway::Announced;
            frame::put_go_away(MAX_31, ErrorCode::NO_ERROR, "", &mut self.out);
            frame::put_ping(false, SHUT_DOWN, &mut self.out);
        }
    }

    /// Tells the peer why the connection ends. Nothing else is to be done with it but writing
    /// the output.
    pub fn abort(&mut self, error: &ConnectionError) {
        frame::put_go_away(self.last_theirs, error.code, error.detail, &mut self.out);
        self.going_away = GoingAway::Final(self.last_theirs);
    }

    /// Asks whether the peer is there: [`Event::Pong`].
    pub fn ping(&mut self) {
        frame::put_ping(false, *b"mesh-hbt", &mut self.out);
    }

    /// Memory that a connection without streams does not need.
    pub fn shrink(&mut self) {
        if self.streams.is_empty() {
            self.streams = HashMap::default();
        }
        if self.out.is_empty() {
            self.out = BytesMut::new();
        }
        if self.partial.is_empty() {
            self.partial = Vec::new();
        }
    }
}

const SHUT_DOWN: [u8; 8] = *b"mesh-end";

/// Identifiers are odd numbers in turn: multiplying spreads them well enough.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, octets: &[u8]) {
        for octet in octets {
            self.write_u32(u32::from(*octet));
        }
    }

    fn write_u32(&mut self, number: u32) {
        self.0 = (self.0.rotate_left(32) ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

#[cfg(test)]
mod tests;
