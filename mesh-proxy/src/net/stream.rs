//! The byte stream of a connection.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use send_wrapper::SendWrapper;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::http1::PostTunnel;
use crate::http2::Tunnel;
use crate::tls::TlsStream;

/// A connection's bytes, whatever carries them, with the bytes that were read too early put
/// back in front.
pub struct Stream(Box<Inner>);

// Futures move streams about and keep them twice: they hold a pointer.
struct Inner {
    unread: BytesMut,
    carrier: Carrier,
    // Dropped with the connection.
    held: Option<Box<dyn Send + Sync>>,
}

#[derive(Debug)]
enum Carrier {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(TlsStream<Stream>),
    // All of a tunnel is on one thread. Only connections to the control plane move to another.
    Tunnel(Box<SendWrapper<Tunnel>>),
    Post(Box<PostTunnel>),
}

/// Closes a connection so that the peer sees a reset (RST), not an orderly end.
pub fn reset(stream: Stream) {
    if let Some(tcp) = stream.tcp() {
        // A failure leaves an ordinary close: the connection ends in any case.
        let _ = SockRef::from(tcp).set_linger(Some(Duration::ZERO));
    }
    drop(stream);
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("unread", &self.0.unread.len())
            .field("carrier", &self.0.carrier)
            .finish_non_exhaustive()
    }
}

// === impl Stream ===

impl Stream {
    fn over(carrier: Carrier) -> Self {
        Self(Box::new(Inner {
            unread: BytesMut::new(),
            carrier,
            held: None,
        }))
    }

    /// The bytes that were read and put back.
    pub fn unread(&self) -> &[u8] {
        &self.0.unread
    }

    /// The buffer of bytes that are to be read again; [`Stream::fill`] appends to it.
    pub fn unread_mut(&mut self) -> &mut BytesMut {
        &mut self.0.unread
    }

    /// Puts bytes in front of what is read next.
    pub fn put_back(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let rest = std::mem::take(&mut self.0.unread);
        self.0.unread.extend_from_slice(bytes);
        self.0.unread.extend_from_slice(&rest);
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
        match self.0.carrier.poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) => {
                self.0.unread.extend_from_slice(buffer.filled());
                Poll::Ready(Ok(buffer.filled().len()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => Poll::Pending,
        }
    }

    /// The TCP socket at the bottom, if it is one.
    pub fn tcp(&self) -> Option<&TcpStream> {
        match &self.0.carrier {
            Carrier::Tcp(tcp) => Some(tcp),
            Carrier::Unix(_) | Carrier::Tunnel(_) => None,
            Carrier::Tls(tls) => tls.get_ref().0.tcp(),
            Carrier::Post(post) => post.get_ref().tcp(),
        }
    }

    // The tunnel at the bottom, if it is one.
    fn tunnel(&self) -> Option<&Tunnel> {
        match &self.0.carrier {
            Carrier::Tcp(_) | Carrier::Unix(_) => None,
            Carrier::Tls(tls) => tls.get_ref().0.tunnel(),
            Carrier::Tunnel(tunnel) => Some(tunnel),
            Carrier::Post(post) => post.get_ref().tunnel(),
        }
    }

    /// Whether the bytes are protected on their way.
    pub fn is_tls(&self) -> bool {
        matches!(self.0.carrier, Carrier::Tls(_))
    }

    /// Keeps something until the connection is closed.
    pub fn hold(&mut self, kept: Box<dyn Send + Sync>) {
        self.0.held = Some(kept);
    }

    /// Probes the peer when it is silent for `time`, every `interval`, up to so many times; what
    /// is absent is left to the operating system.
    pub fn probe(&self, time: Option<Duration>, interval: Option<Duration>, retries: Option<u32>) {
        let Some(tcp) = self.tcp() else {
            return;
        };
        let mut probes = TcpKeepalive::new();
        if let Some(time) = time {
            probes = probes.with_time(time);
        }
        if let Some(interval) = interval {
            probes = probes.with_interval(interval);
        }
        if let Some(retries) = retries {
            probes = probes.with_retries(retries);
        }
        // Without it the connection works as well, but for that.
        let _ = SockRef::from(tcp).set_tcp_keepalive(&probes);
    }

    /// Address of the peer, if the connection is TCP or a tunnel.
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        match self.tunnel() {
            Some(tunnel) => tunnel.remote(),
            None => self.tcp().and_then(|tcp| tcp.peer_addr().ok()),
        }
        .map(canonical)
    }

    /// Address of this side, if the connection is TCP or a tunnel.
    pub fn local_addr(&self) -> Option<SocketAddr> {
        match self.tunnel() {
            Some(tunnel) => tunnel.local(),
            None => self.tcp().and_then(|tcp| tcp.local_addr().ok()),
        }
        .map(canonical)
    }
}

// A socket on `::` shows IPv4 addresses as mapped ones.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

impl From<TcpStream> for Stream {
    fn from(tcp: TcpStream) -> Self {
        Self::over(Carrier::Tcp(tcp))
    }
}

impl From<UnixStream> for Stream {
    fn from(unix: UnixStream) -> Self {
        Self::over(Carrier::Unix(unix))
    }
}

impl From<TlsStream<Stream>> for Stream {
    fn from(tls: TlsStream<Stream>) -> Self {
        Self::over(Carrier::Tls(tls))
    }
}

impl From<Tunnel> for Stream {
    fn from(tunnel: Tunnel) -> Self {
        Self::over(Carrier::Tunnel(Box::new(SendWrapper::new(tunnel))))
    }
}

impl From<PostTunnel> for Stream {
    fn from(post: PostTunnel) -> Self {
        Self::over(Carrier::Post(Box::new(post)))
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if !self.0.unread.is_empty() {
            let count = self.0.unread.len().min(buffer.remaining());
            buffer.put_slice(self.0.unread.get(..count).unwrap_or_default());
            self.0.unread.advance(count);
            if self.0.unread.is_empty() {
                // An idle connection keeps no buffer.
                self.0.unread = BytesMut::new();
            }
            return Poll::Ready(Ok(()));
        }
        self.0.carrier.poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0.carrier {
            Carrier::Tcp(io) => Pin::new(io).poll_write(cx, bytes),
            Carrier::Unix(io) => Pin::new(io).poll_write(cx, bytes),
            Carrier::Tls(io) => Pin::new(io).poll_write(cx, bytes),
            Carrier::Tunnel(io) => Pin::new(&mut ***io).poll_write(cx, bytes),
            Carrier::Post(io) => Pin::new(&mut **io).poll_write(cx, bytes),
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.0.carrier {
            Carrier::Tcp(io) => Pin::new(io).poll_write_vectored(cx, slices),
            Carrier::Unix(io) => Pin::new(io).poll_write_vectored(cx, slices),
            Carrier::Tls(io) => Pin::new(io).poll_write_vectored(cx, slices),
            Carrier::Tunnel(io) => Pin::new(&mut ***io).poll_write_vectored(cx, slices),
            Carrier::Post(io) => Pin::new(&mut **io).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.0.carrier {
            Carrier::Tcp(io) => io.is_write_vectored(),
            Carrier::Unix(io) => io.is_write_vectored(),
            Carrier::Tls(_) | Carrier::Tunnel(_) | Carrier::Post(_) => false,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0.carrier {
            Carrier::Tcp(io) => Pin::new(io).poll_flush(cx),
            Carrier::Unix(io) => Pin::new(io).poll_flush(cx),
            Carrier::Tls(io) => Pin::new(io).poll_flush(cx),
            Carrier::Tunnel(io) => Pin::new(&mut ***io).poll_flush(cx),
            Carrier::Post(io) => Pin::new(&mut **io).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0.carrier {
            Carrier::Tcp(io) => Pin::new(io).poll_shutdown(cx),
            Carrier::Unix(io) => Pin::new(io).poll_shutdown(cx),
            Carrier::Tls(io) => Pin::new(io).poll_shutdown(cx),
            Carrier::Tunnel(io) => Pin::new(&mut ***io).poll_shutdown(cx),
            Carrier::Post(io) => Pin::new(&mut **io).poll_shutdown(cx),
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
            Self::Tls(io) => Pin::new(io).poll_read(cx, buffer),
            Self::Tunnel(io) => Pin::new(&mut ***io).poll_read(cx, buffer),
            Self::Post(io) => Pin::new(&mut **io).poll_read(cx, buffer),
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
