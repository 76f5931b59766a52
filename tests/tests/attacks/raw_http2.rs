//! A client of HTTP/2 that sends whatever it is told, frame by frame.

use std::net::SocketAddr;

use mesh_proxy_core::http2::PREFACE;
use mesh_proxy_core::http2::hpack::Decoder;
use mesh_tests::laptop::LIMIT;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// RFC 9113 section 7.
pub(crate) const PROTOCOL_ERROR: u32 = 1;

/// One field of a block, as it is sent.
pub(crate) type Field<'a> = (&'a str, &'a str);

/// What became of a stream.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was answered: status, and the reason that the mesh names.
    Answered(u16, String),
    /// It was reset.
    Reset(u32),
    /// The connection was ended.
    Ended(Option<u32>),
}

/// A connection.
pub(crate) struct Raw {
    stream: TcpStream,
    decoder: Decoder,
    next: u32,
}

// === impl Raw ===

impl Raw {
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(to).await.unwrap();
        stream.write_all(PREFACE).await.unwrap();
        let mut raw = Self {
            stream,
            decoder: Decoder::default(),
            next: 1,
        };
        raw.send(SETTINGS, 0, 0, &[]).await;
        raw
    }

    /// A request with all that it has, which is over with its head.
    pub(crate) async fn request(&mut self, fields: &[Field<'_>]) -> u32 {
        let id = self.stream_id();
        self.head(id, END_HEADERS | END_STREAM, fields).await;
        id
    }

    pub(crate) fn stream_id(&mut self) -> u32 {
        let id = self.next;
        self.next += 2;
        id
    }

    pub(crate) async fn head(&mut self, id: u32, flags: u8, fields: &[Field<'_>]) {
        self.send(HEADERS, flags, id, &block(fields)).await;
    }

    pub(crate) async fn continued(&mut self, id: u32, fields: &[Field<'_>]) {
        self.send(CONTINUATION, END_HEADERS, id, &block(fields))
            .await;
    }

    pub(crate) async fn body(&mut self, id: u32, flags: u8, bytes: &[u8]) {
        self.send(DATA, flags, id, bytes).await;
    }

    async fn send(&mut self, kind: u8, flags: u8, id: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(id.to_be_bytes());
        frame.extend(payload);
        // The other side may have ended the connection: then that is read.
        let _ = self.stream.write_all(&frame).await;
    }

    /// What becomes of a stream.
    pub(crate) async fn outcome(&mut self, id: u32) -> Outcome {
        let told = async {
            loop {
                let Some((kind, flags, stream, payload)) = self.frame().await else {
                    return Outcome::Ended(None);
                };
                match kind {
                    SETTINGS if flags & 1 == 0 => self.send(SETTINGS, 1, 0, &[]).await,
                    GOAWAY => {
                        return Outcome::Ended(Some(number(payload.get(4..8).unwrap())));
                    }
                    // Of all streams: later blocks refer to earlier ones.
                    HEADERS => {
                        let answered = self.answered(&payload);
                        if let Some(answered) = answered.filter(|_| stream == id) {
                            return answered;
                        }
                    }
                    RST_STREAM if stream == id => return Outcome::Reset(number(&payload)),
                    _ => {}
                }
            }
        };
        tokio::time::timeout(LIMIT, told).await.unwrap()
    }

    /// The head of an answer; `None` for trailers.
    fn answered(&mut self, block: &[u8]) -> Option<Outcome> {
        let (mut status, mut reason) = (None, String::new());
        self.decoder
            .decode(block, |field| {
                let value = String::from_utf8_lossy(field.value()).into_owned();
                match field.name() {
                    b":status" => status = value.parse().ok(),
                    b"x-mesh-reason" => reason = value,
                    _ => {}
                }
            })
            .unwrap();
        Some(Outcome::Answered(status?, reason))
    }

    async fn frame(&mut self) -> Option<(u8, u8, u32, Vec<u8>)> {
        let mut head = [0; 9];
        self.stream.read_exact(&mut head).await.ok()?;
        let [a, b, c, kind, flags, ..] = head;
        let length = u32::from_be_bytes([0, a, b, c]);
        let mut payload = vec![0; usize::try_from(length).unwrap()];
        self.stream.read_exact(&mut payload).await.ok()?;
        Some((kind, flags, number(&head[5..]) & 0x7fff_ffff, payload))
    }
}

fn number(octets: &[u8]) -> u32 {
    u32::from_be_bytes(octets.try_into().unwrap())
}

/// Literals that nothing refers to (RFC 7541 section 6.2.2), as they are.
fn block(fields: &[Field<'_>]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            let length = u8::try_from(text.len()).unwrap();
            assert!(length < 127, "short enough for one octet");
            block.push(length);
            block.extend(text.as_bytes());
        }
    }
    block
}
