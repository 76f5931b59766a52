//! The bytes of a connection as the bodies of one request and its answer.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use mesh_proxy_core::http1::{Decoder, Length, encode_chunk, encode_end};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::net::Stream;

/// Octets of one chunk.
const CHUNK: usize = 16 * 1024;

/// A connection through a server that was asked for it by POST (Istio: tunnel.protocol POST;
/// Envoy: tunneling_config.use_post). What is written leaves in chunks as the request's body, and
/// what is read is the body of the answer. Each side ends by the end of its body.
pub struct PostTunnel {
    stream: Stream,
    decoder: Decoder,
    // Out of chunks, for the reader.
    decoded: BytesMut,
    // In chunks, for the server.
    encoded: BytesMut,
    ended: bool,
}

// === impl PostTunnel ===

impl PostTunnel {
    /// Behind the heads of the request, which has said that its body comes in chunks, and of the
    /// answer, with the length of its body.
    pub fn new(stream: Stream, answer: Length) -> Self {
        Self {
            stream,
            decoder: Decoder::new(answer),
            decoded: BytesMut::new(),
            encoded: BytesMut::new(),
            ended: false,
        }
    }

    /// The connection to the server.
    pub fn get_ref(&self) -> &Stream {
        &self.stream
    }

    fn decode(&mut self) -> io::Result<()> {
        let mut input = self.stream.unread();
        let before = input.len();
        self.decoder
            .decode(&mut input, &mut self.decoded)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let taken = before - input.len();
        let unread = self.stream.unread_mut();
        unread.advance(taken);
        if unread.is_empty() {
            // An idle connection keeps no buffer.
            *unread = BytesMut::new();
        }
        Ok(())
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.encoded.is_empty() {
            let count = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.encoded))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.encoded.advance(count);
        }
        self.encoded = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for PostTunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.decoded.is_empty() {
            if self.decoder.is_done() {
                return Poll::Ready(Ok(()));
            }
            if self.stream.unread().is_empty() && ready!(self.stream.poll_fill(cx))? == 0 {
                return Poll::Ready(if self.decoder.close() {
                    Ok(())
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                });
            }
            self.decode()?;
        }
        let count = self.decoded.len().min(buffer.remaining());
        buffer.put_slice(self.decoded.get(..count).unwrap_or_default());
        self.decoded.advance(count);
        if self.decoded.is_empty() {
            self.decoded = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for PostTunnel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        ready!(self.poll_drain(cx))?;
        let part = bytes.get(..bytes.len().min(CHUNK)).unwrap_or_default();
        encode_chunk(part, &mut self.encoded);
        // What cannot leave now does with the next bytes, or when it is flushed.
        match self.poll_drain(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(part.len())),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    // The connection stays open for the rest of the answer.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.ended {
            self.ended = true;
            encode_end(None, &mut self.encoded);
        }
        self.poll_flush(cx)
    }
}

impl fmt::Debug for PostTunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostTunnel")
            .field("stream", &self.stream)
            .field("ended", &self.ended)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::UnixStream;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    fn tunnel(length: Length) -> (UnixStream, Stream) {
        let (far, near) = UnixStream::pair().unwrap();
        (far, PostTunnel::new(near.into(), length).into())
    }

    #[tokio::test]
    async fn both_sides_speak_in_bodies_and_end_for_themselves() {
        let (mut far, mut near) = tunnel(Length::Chunked);
        near.write_all(b"hello").await.unwrap();
        near.write_all(b", world").await.unwrap();
        near.shutdown().await.unwrap();
        let want = b"5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n";
        let mut got = vec![0; want.len()];
        far.read_exact(&mut got).await.unwrap();
        assert_eq!(got, want);
        // Octet by octet, with an extension that nobody needs and a trailer.
        let write = async {
            for octet in b"3;x=y\r\nabc\r\n2\r\nde\r\n0\r\nX-A: b\r\n\r\n" {
                far.write_all(&[*octet]).await.unwrap();
                tokio::task::yield_now().await;
            }
        };
        let mut text = String::new();
        let (read, ()) = tokio::join!(near.read_to_string(&mut text), write);
        read.unwrap();
        assert_eq!(text, "abcde");
    }

    #[tokio::test]
    async fn much_passes_through_a_narrow_way() {
        let (far, mut near) = tunnel(Length::UntilClose);
        let all: Vec<u8> = (0..1_000_000_u32).map(|number| number as u8).collect();
        let (mut from, mut to) = far.into_split();
        let write = async {
            near.write_all(&all).await.unwrap();
            near.shutdown().await.unwrap();
        };
        let read = async {
            let mut decoder = Decoder::new(Length::Chunked);
            let (mut got, mut buffer) = (BytesMut::new(), BytesMut::new());
            while !decoder.is_done() {
                assert!(from.read_buf(&mut buffer).await.unwrap() > 0);
                let mut input = &buffer[..];
                decoder.decode(&mut input, &mut got).unwrap();
                assert!(input.is_empty());
                buffer.clear();
            }
            got
        };
        let ((), got) = tokio::join!(write, read);
        assert!(got == all);
        to.write_all(b"until the end").await.unwrap();
        drop((from, to));
        let mut text = String::new();
        near.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "until the end");
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_is_no_end() {
        for begun in [&b"5\r\nab"[..], b"x\r\n"] {
            let (mut far, mut near) = tunnel(Length::Chunked);
            far.write_all(begun).await.unwrap();
            drop(far);
            near.read_to_end(&mut Vec::new()).await.unwrap_err();
        }
    }
}
