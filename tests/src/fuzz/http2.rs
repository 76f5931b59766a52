//! HTTP/2: whatever a peer sends, and whatever is done with it in between.

mod peer;

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, request};
use mesh_proxy_core::http2::hpack::{Decoder, Encoder, Field};
use mesh_proxy_core::http2::{Config, Connection, ErrorCode, Event, StreamId};

use super::prefixed;
use peer::Peer;

/// Small enough that short inputs reach the limits.
const CONFIG: Config = Config {
    stream_window: 20_000,
    connection_window: 70_000,
    max_streams: 4,
    max_head: 1024,
};

/// Header blocks without references: requests, responses, trailers.
const BLOCKS: [&[u8]; 8] = [
    b"\x82\x87\x84\x01\x01a",
    b"\x83\x87\x84\x01\x01a\x0f\x0d\x0210",
    b"\x88",
    b"\x89",
    b"\x08\x03100",
    b"\x88\x0f\x0d\x0210",
    b"\x00\x01t\x01v",
    b"\x82\x87\x84\x01\x01a\x00\x01n\x01v",
];

/// What the owner of a connection keeps for a stream.
#[derive(Debug, Default)]
struct Kept {
    id: Cell<Option<StreamId>>,
    unreleased: Cell<usize>,
    has_head: Cell<bool>,
    has_all: Cell<bool>,
    has_ended: Cell<bool>,
    may_send: Cell<bool>,
}

type Handle = Rc<Kept>;

struct Owner {
    side: Connection<Handle>,
    is_server: bool,
    peer: Peer,
    handles: Vec<Handle>,
    now: Instant,
    lost: bool,
}

/// A server: see [`http2_client`].
pub fn http2_server(data: &[u8]) {
    run(data, true);
}

/// A client. The input is a row of steps: octets or frames of the peer, and calls of the owner.
/// What the connection says has to be HTTP/2 that keeps to all windows, not much more than it
/// was told, and no window may leak.
pub fn http2_client(data: &[u8]) {
    run(data, false);
}

fn run(data: &[u8], is_server: bool) {
    let side = match is_server {
        true => Connection::server(CONFIG),
        false => Connection::client(CONFIG),
    };
    let mut owner = Owner {
        side,
        is_server,
        peer: Peer::new(is_server, &CONFIG),
        handles: Vec::new(),
        now: Instant::now(),
        lost: false,
    };
    owner.flush();
    let mut rest = data;
    while !owner.lost && owner.step(&mut rest).is_some() {
        owner.flush();
    }
    if !owner.lost {
        owner.settle();
    }
}

/// Row of: what the table may have in units of 32 octets, length, header block.
pub fn hpack(data: &[u8]) {
    let (mut theirs, mut encoder, mut ours) =
        (Decoder::default(), Encoder::default(), Decoder::default());
    let mut rest = data;
    while let Some((allowed, after)) = rest.split_first() {
        let Some((block, after)) = prefixed(after) else {
            return;
        };
        rest = after;
        let mut fields = Vec::new();
        if theirs.decode(block, |field| fields.push(field)).is_err() {
            return;
        }
        assert!(fields.len() <= block.len(), "fields from nowhere");
        fields.retain(|field| !matches!(field, Field::Invalid(..)));
        encoder.set_allowed(usize::from(*allowed) * 32);
        let mut out = BytesMut::new();
        encoder.begin(&mut out);
        for field in &fields {
            match field {
                Field::Pseudo(name, value) => encoder.pseudo(*name, value, &mut out),
                Field::Regular(name, value) => encoder.field(name, value, &mut out),
                Field::Invalid(..) => {}
            }
        }
        let mut again = Vec::new();
        let read = ours.decode(&out, |field| again.push(field));
        assert_eq!(read, Ok(()), "this side does not read what it writes");
        assert_eq!(again, fields);
    }
}

fn byte(rest: &mut &[u8]) -> Option<u8> {
    let (first, after) = rest.split_first()?;
    *rest = after;
    Some(*first)
}

fn request(kind: u8) -> Option<request::Parts> {
    let (method, target) = match kind % 4 {
        0 => ("GET", "http://reviews:9080/a?b=c"),
        1 => ("POST", "https://reviews/"),
        2 => ("HEAD", "/"),
        _ => ("CONNECT", "reviews:9080"),
    };
    let mut builder = Request::builder().method(method).uri(target);
    if kind & 4 != 0 {
        // More than one frame takes.
        builder = builder.header("x-long", "v".repeat(20_000));
    }
    builder = builder.header("x-kind", kind.to_string());
    builder.body(()).ok().map(|request| request.into_parts().0)
}

// === impl Owner ===

impl Owner {
    /// One step; `None` at the end of the input.
    fn step(&mut self, rest: &mut &[u8]) -> Option<()> {
        let first = byte(rest)?;
        let (step, kind) = (first & 7, first >> 3);
        match step {
            0 => {
                let (octets, after) = prefixed(rest)?;
                *rest = after;
                for piece in octets.chunks(usize::from(kind) * 8 + 1) {
                    self.feed(piece);
                }
            }
            1 => {
                let frame = frame(kind, rest)?;
                self.feed(&frame);
            }
            2 => self.begin(kind),
            3 => self.send(kind, byte(rest)?),
            4 => {
                let fields = [(
                    HeaderName::from_static("x-end"),
                    HeaderValue::from(u16::from(kind)),
                )];
                if let Some((_, id)) = self.pick(kind).filter(|(kept, _)| kept.may_send.get()) {
                    self.side.send_trailers(id, &HeaderMap::from_iter(fields));
                }
            }
            5 => {
                if let Some((kept, id)) = self.pick(kind) {
                    self.side.reset(id, ErrorCode::CANCEL);
                    kept.has_ended.set(true);
                }
            }
            6 => {
                let count = usize::from(byte(rest)?) * 128;
                if let Some((kept, _)) = self.pick(kind) {
                    self.release(&kept, count);
                }
            }
            _ => self.other(kind),
        }
        Some(())
    }

    fn begin(&mut self, kind: u8) {
        let end = kind & 8 != 0;
        if !self.is_server {
            let Some(parts) = request(kind) else { return };
            if let Ok((id, kept)) = self.side.open(&parts, end) {
                kept.id.set(Some(id));
                kept.may_send.set(true);
                self.handles.push(kept);
            }
            return;
        }
        let (mut parts, ()) = Response::new(()).into_parts();
        parts
            .headers
            .insert("x-kind", HeaderValue::from(u16::from(kind)));
        if let Some((kept, id)) = self.pick(kind).filter(|(kept, _)| !kept.may_send.get()) {
            self.side.respond(id, &parts, end);
            kept.may_send.set(true);
        }
    }

    fn send(&mut self, kind: u8, size: u8) {
        let Some((_, id)) = self.pick(kind).filter(|(kept, _)| kept.may_send.get()) else {
            return;
        };
        let octets = vec![b'd'; usize::from(size) * 256];
        let capacity = self.side.capacity(id);
        let sent = self.side.send_data(id, &octets, kind & 16 != 0);
        let expected = capacity.map_or(octets.len(), |capacity| capacity.min(octets.len()));
        assert_eq!(sent, expected, "not what the windows allow");
    }

    fn other(&mut self, kind: u8) {
        match kind % 8 {
            0 => self.side.shut_down(),
            1 => self.side.ping(),
            2 => self.side.shrink(),
            3 => self.now += Duration::from_millis(200),
            4 => {
                for kept in self.side.unprocessed() {
                    assert!(!kept.has_ended.replace(true), "ended twice");
                }
            }
            _ => {
                if let Some((kept, id)) = self.pick(kind / 8) {
                    self.side.discard(id);
                    self.release(&kept, usize::MAX);
                }
            }
        }
    }

    fn pick(&self, kind: u8) -> Option<(Handle, StreamId)> {
        // The latest ones are those under way.
        let kept = self.handles.iter().rev().nth(usize::from(kind & 3))?;
        Some((Rc::clone(kept), kept.id.get()?))
    }

    fn release(&mut self, kept: &Kept, count: usize) {
        let held = kept.unreleased.get();
        let count = count.min(held);
        kept.unreleased.set(held - count);
        if let Some(id) = kept.id.get() {
            self.side.release(id, count);
        }
    }

    fn feed(&mut self, octets: &[u8]) {
        if self.lost {
            return;
        }
        let mut rest = octets;
        loop {
            match self.side.receive(&mut rest, self.now) {
                Ok(Some(event)) => self.on(event),
                Ok(None) => break,
                Err(error) => {
                    self.lost = true;
                    self.side.abort(&error);
                    break;
                }
            }
        }
        assert!(self.lost || rest.is_empty(), "octets are left");
        let said = self.side.output().len();
        self.peer.hears(octets, said, self.lost);
        self.flush();
        let held: usize = self.handles.iter().map(|kept| kept.unreleased.get()).sum();
        assert!(held <= CONFIG.connection_window as usize, "{held} octets");
        if self.is_server {
            assert!(self.side.open_streams() <= CONFIG.max_streams as usize);
        }
    }

    fn on(&mut self, event: Event<Handle>) {
        match event {
            Event::Request { id, data, end, .. } => {
                assert!(self.is_server && data.id.replace(Some(id)).is_none());
                data.has_head.set(true);
                data.has_all.set(end);
                self.handles.push(data);
            }
            Event::Response { data, end, .. } => {
                assert!(!self.is_server && !data.has_ended.get());
                assert!(!data.has_head.replace(true), "two responses");
                data.has_all.set(end);
            }
            Event::Data { data, bytes, end } => {
                assert!(data.has_head.get() && !data.has_ended.get());
                assert!(!data.has_all.replace(end), "data behind the end");
                data.unreleased.set(data.unreleased.get() + bytes.len());
                assert!(data.unreleased.get() <= CONFIG.stream_window as usize);
            }
            Event::Trailers { data, .. } => {
                assert!(data.has_head.get() && !data.has_ended.get());
                assert!(!data.has_all.replace(true), "trailers behind the end");
            }
            Event::Reset { data, .. } => {
                assert!(!data.has_ended.replace(true), "ended twice");
            }
            Event::Window { data } => assert!(!data.has_ended.get()),
            Event::NoRequest { .. } | Event::Windows | Event::GoAway { .. } | Event::Pong => {}
        }
    }

    fn flush(&mut self) {
        let octets = self.side.output().split();
        self.peer.reads(&octets);
    }

    /// Everything is passed on at last: the connection's window must be open again.
    fn settle(&mut self) {
        for kept in std::mem::take(&mut self.handles) {
            self.release(&kept, usize::MAX);
        }
        self.flush();
        self.peer.settled();
    }
}

/// A frame with a head that fits: kind, flags, stream and content as the input says.
fn frame(kind: u8, rest: &mut &[u8]) -> Option<Vec<u8>> {
    let (kind_of_frame, flags, stream, size) = (byte(rest)?, byte(rest)?, byte(rest)?, byte(rest)?);
    let mut content = match kind {
        0..16 => {
            let (content, after) = rest.split_at(usize::from(size).min(rest.len()));
            *rest = after;
            content.to_vec()
        }
        16..24 => vec![0; usize::from(size) * 64],
        _ => BLOCKS
            .get(usize::from(kind & 7))
            .map_or_else(Vec::new, |block| block.to_vec()),
    };
    let length = u32::try_from(content.len()).ok()?.to_be_bytes();
    let mut frame = length.get(1..)?.to_vec();
    frame.extend([kind_of_frame, flags, 0, 0, 0, stream]);
    frame.append(&mut content);
    Some(frame)
}
