//! The other side, which keeps the accounts.

use std::collections::{BTreeMap, BTreeSet};

use mesh_proxy_core::http2::hpack::Decoder;
use mesh_proxy_core::http2::{Config, PREFACE};

const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;
const CONTINUATION: u8 = 9;

const DEFAULT_WINDOW: i64 = 65_535;

/// A direction of data: octets that were sent, and those that the windows allow.
#[derive(Debug, Default)]
struct Flow {
    data: BTreeMap<u32, i64>,
    given: BTreeMap<u32, i64>,
}

/// What the connection was told and what it has said. Stream 0 stands for all together.
#[derive(Debug)]
pub(super) struct Peer {
    told: Vec<u8>,
    said: Vec<u8>,
    /// What is left of the prefaces.
    told_preface: usize,
    said_preface: usize,
    octets_told: usize,
    octets_answered: usize,
    to_us: Flow,
    from_us: Flow,
    initial: i64,
    config: Config,
    ended: BTreeSet<u32>,
    decoder: Decoder,
    block: Option<Vec<u8>>,
}

struct Frame {
    kind: u8,
    flags: u8,
    stream: u32,
    content: Vec<u8>,
}

// === impl Peer ===

impl Peer {
    pub(super) fn new(is_server: bool, config: &Config) -> Self {
        Self {
            told: Vec::new(),
            said: Vec::new(),
            told_preface: if is_server { PREFACE.len() } else { 0 },
            said_preface: if is_server { 0 } else { PREFACE.len() },
            octets_told: 0,
            octets_answered: 0,
            to_us: Flow::default(),
            from_us: Flow::default(),
            initial: DEFAULT_WINDOW,
            config: config.clone(),
            ended: BTreeSet::new(),
            decoder: Decoder::default(),
            block: None,
        }
    }

    /// The connection took these octets, and answered by so many.
    pub(super) fn hears(&mut self, octets: &[u8], answered: usize, is_lost: bool) {
        self.octets_told += octets.len();
        self.octets_answered += answered;
        assert!(
            self.octets_answered <= 8 * self.octets_told + 256,
            "{} octets for {}",
            self.octets_answered,
            self.octets_told
        );
        self.told.extend_from_slice(octets);
        if is_lost {
            // How far it has read is not known.
            return;
        }
        while let Some(frame) = next(&mut self.told, &mut self.told_preface) {
            self.heard(&frame);
        }
    }

    fn heard(&mut self, frame: &Frame) {
        match frame.kind {
            DATA => self.to_us.sent(frame),
            WINDOW_UPDATE => self.from_us.gives(frame),
            SETTINGS if frame.flags & 1 == 0 => {
                for setting in frame.content.as_chunks::<6>().0 {
                    let [0, 4, value @ ..] = setting else {
                        continue;
                    };
                    self.initial = i64::from(u32::from_be_bytes(*value));
                }
            }
            _ => {}
        }
    }

    /// What the connection says.
    pub(super) fn reads(&mut self, octets: &[u8]) {
        self.said.extend_from_slice(octets);
        while let Some(frame) = next(&mut self.said, &mut self.said_preface) {
            assert!(frame.content.len() <= 16_384, "a frame too large");
            self.read(&frame);
        }
        assert!(self.said.is_empty(), "half a frame");
    }

    fn read(&mut self, frame: &Frame) {
        let stream = frame.stream;
        assert_eq!(
            self.block.is_some(),
            frame.kind == CONTINUATION,
            "a block is interrupted"
        );
        match frame.kind {
            DATA => {
                assert!(!self.ended.contains(&stream), "data behind the end");
                self.from_us.sent(frame);
                if !frame.content.is_empty() {
                    assert!(self.from_us.left(0, DEFAULT_WINDOW) >= 0, "too much in all");
                    assert!(self.from_us.left(stream, self.initial) >= 0, "too much");
                }
            }
            HEADERS => {
                assert!(!self.ended.contains(&stream), "a head behind the end");
                self.block = Some(Vec::new());
            }
            RESET => {
                self.ended.insert(stream);
            }
            WINDOW_UPDATE => {
                assert!(number(&frame.content) > 0, "a window of nothing");
                self.to_us.gives(frame);
            }
            _ => {}
        }
        if matches!(frame.kind, DATA | HEADERS) && frame.flags & 1 != 0 {
            self.ended.insert(stream);
        }
        if let Some(mut block) = self.block.take() {
            block.extend_from_slice(&frame.content);
            if frame.flags & 4 == 0 {
                self.block = Some(block);
            } else {
                let read = self.decoder.decode(&block, |_| {});
                assert_eq!(read, Ok(()), "a block that nobody can read");
            }
        }
        // Only the connection's window is made larger at the start, never beyond its size later.
        let sizes = [
            (0, self.config.connection_window),
            (stream, self.config.stream_window),
        ];
        for (of, size) in sizes.into_iter().take(if stream == 0 { 1 } else { 2 }) {
            let start = if of == 0 {
                DEFAULT_WINDOW
            } else {
                i64::from(size)
            };
            assert!(
                frame.kind != WINDOW_UPDATE || self.to_us.left(of, start) <= i64::from(size),
                "a window beyond its size"
            );
        }
    }

    /// Nothing is left to be passed on.
    pub(super) fn settled(&self) {
        let left = self.to_us.left(0, DEFAULT_WINDOW);
        assert!(
            left >= i64::from(self.config.connection_window / 2),
            "the window has lost octets: {left}"
        );
    }
}

// === impl Flow ===

impl Flow {
    fn sent(&mut self, frame: &Frame) {
        for of in [0, frame.stream] {
            *self.data.entry(of).or_default() += frame.content.len() as i64;
        }
    }

    fn gives(&mut self, frame: &Frame) {
        *self.given.entry(frame.stream).or_default() += number(&frame.content);
    }

    fn left(&self, of: u32, start: i64) -> i64 {
        let sum = |all: &BTreeMap<u32, i64>| all.get(&of).copied().unwrap_or_default();
        start + sum(&self.given) - sum(&self.data)
    }
}

fn number(content: &[u8]) -> i64 {
    let number = content.first_chunk::<4>().copied().unwrap_or_default();
    i64::from(u32::from_be_bytes(number) & 0x7fff_ffff)
}

/// Takes a frame off, behind the preface.
fn next(octets: &mut Vec<u8>, preface: &mut usize) -> Option<Frame> {
    if *preface > 0 {
        octets.get(..*preface)?;
        octets.drain(..std::mem::take(preface));
    }
    let [a, b, c, kind, flags, d, e, f, g] = *octets.first_chunk::<HEAD>()?;
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    let content = octets.get(HEAD..HEAD + length)?.to_vec();
    octets.drain(..HEAD + length);
    Some(Frame {
        kind,
        flags,
        stream: u32::from_be_bytes([d & 0x7f, e, f, g]),
        content,
    })
}
