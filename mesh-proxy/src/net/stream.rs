//! The byte stream of a connection.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, BytesMut};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::{client, server};

/// A connection's bytes, whatever carries them, with the bytes that were read too early put
/// back in front.
#[derive(Debug)]
pub struct Stream {
    unread: BytesMut,
    carrier: Carrier,
}

// TLS states are large and most streams are plain.
#[derive(Debug)]
enum Carrier {
    Tcp(TcpStream),
    Unix(UnixStream),
    TlsServer(Box<server::TlsStream<Stream>>),
    TlsClient(Box<client::TlsStream<Stream>>),
}

/// Closes a connection so that the peer sees a reset (RST), not an orderly end.
pub fn reset(stream: Stream) {
    if let Some(tcp) = stream.tcp() {
        // A failure leaves an ordinary close: the connection ends in any case.
        let _ = SockRef::from(tcp).set_linger(Some(std::time::Duration::ZERO));
    }
    drop(stream);
}

// === impl Stream ===

impl Stream {
    /// The bytes that were read and put back.
    pub fn unread(&self) -> &[u8] {
        &self.unread
    }

    /// The buffer of bytes that are to be read again; [`Stream::fill`] appends to it.
    pub fn unread_mut(&mut self) -> &mut BytesMut {
        &mut self.unread
    }

    /// Puts bytes in front of what is read next.
    pub fn put_back(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let rest = std::mem::take(&mut self.unread);
        self.unread.extend_from_slice(bytes);
        self.unread.extend_from_slice(&rest);
    }

    /// Reads more bytes behind the unread ones; returns how many, 0 at the end of the stream.
    /// Cancel-safe.
    ///
    /// # Errors
    /// As reading does.
    pub async fn fill(&mut self) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// As [`Stream::fill`].
    ///
    /// # Errors
    /// As reading does.
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut chunk = [0_u8; 4096];
        let mut buffer = ReadBuf::new(&mut chunk);
        match self.carrier.poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) => {
                self.unread.extend_from_slice(buffer.filled());
                Poll::Ready(Ok(buffer.filled().len()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// The TCP socket at the bottom, if it is one.
    pub fn tcp(&self) -> Option<&TcpStream> {
        match &self.carrier {
            Carrier::Tcp(tcp) => Some(tcp),
            Carrier::Unix(_) => None,
            Carrier::TlsServer(tls) => tls.get_ref().0.tcp(),
            Carrier::TlsClient(tls) => tls.get_ref().0.tcp(),
        }
    }

    /// Address of the peer, if the connection is TCP.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.tcp()
            .and_then(|tcp| tcp.peer_addr().ok())
            .map(canonical)
    }

    /// Address of this side, if the connection is TCP.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        self.tcp()
            .and_then(|tcp| tcp.local_addr().ok())
            .map(canonical)
    }
}

// A socket on `::` shows IPv4 addresses as mapped ones.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Self {
        Self {
            unread: BytesMut::new(),
            carrier: Carrier::Tcp(tcp),
        }
    }
}

impl From<UnixStream> for Stream {
    fn from(unix: UnixStream) -> Self {
        Self {
            unread: BytesMut::new(),
            carrier: Carrier::Unix(unix),
        }
    }
}

impl From<server::TlsStream<Stream>> for Stream {
    fn from(tls: server::TlsStream<Stream>) -> Self {
        Self {
            unread: BytesMut::new(),
            carrier: Carrier::TlsServer(Box::new(tls)),
        }
    }
}

impl From<client::TlsStream<Stream>> for Stream {
    fn from(tls: client::TlsStream<Stream>) -> Self {
        Self {
            unread: BytesMut::new(),
            carrier: Carrier::TlsClient(Box::new(tls)),
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.unread.is_empty() {
            let count = self.unread.len().min(buffer.remaining());
            buffer.put_slice(self.unread.get(..count).unwrap_or_default());
            self.unread.advance(count);
            if self.unread.is_empty() {
                // An idle connection keeps no buffer.
                self.unread = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        self.carrier.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.carrier {
            Carrier::Tcp(io) => Pin::new(io).poll_write(cx, bytes),
            Carrier::Unix(io) => Pin::new(io).poll_write(cx, bytes),
            Carrier::TlsServer(io) => Pin::new(io).poll_write(cx, bytes),
            Carrier::TlsClient(io) => Pin::new(io).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.carrier {
            Carrier::Tcp(io) => Pin::new(io).poll_write_vectored(cx, slices),
            Carrier::Unix(io) => Pin::new(io).poll_write_vectored(cx, slices),
            Carrier::TlsServer(io) => Pin::new(io).poll_write_vectored(cx, slices),
            Carrier::TlsClient(io) => Pin::new(io).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.carrier {
            Carrier::Tcp(io) => io.is_write_vectored(),
            Carrier::Unix(io) => io.is_write_vectored(),
            Carrier::TlsServer(io) => io.is_write_vectored(),
            Carrier::TlsClient(io) => io.is_write_vectored(),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Tcp(io) => Pin::new(io).poll_flush(cx),
            Carrier::Unix(io) => Pin::new(io).poll_flush(cx),
            Carrier::TlsServer(io) => Pin::new(io).poll_flush(cx),
            Carrier::TlsClient(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.carrier {
            Carrier::Tcp(io) => Pin::new(io).poll_shutdown(cx),
            Carrier::Unix(io) => Pin::new(io).poll_shutdown(cx),
            Carrier::TlsServer(io) => Pin::new(io).poll_shutdown(cx),
            Carrier::TlsClient(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}

// === impl Carrier ===

impl Carrier {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self {
            Self::Tcp(io) => Pin::new(io).poll_read(cx, buffer),
            Self::Unix(io) => Pin::new(io).poll_read(cx, buffer),
            Self::TlsServer(io) => Pin::new(io).poll_read(cx, buffer),
            Self::TlsClient(io) => Pin::new(io).poll_read(cx, buffer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn bytes_put_back_come_again_first() {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut near = Stream::from(near);
        far.write_all(b"hello world").await.unwrap();
        drop(far);
        while near.unread().len() < 11 {
            assert_ne!(near.fill().await.unwrap(), 0);
        }
        near.put_back(b">> ");
        let mut text = String::new();
        near.read_to_string(&mut text).await.unwrap();
        assert_eq!(text, ">> hello world");
    }
}
