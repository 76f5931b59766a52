//! The byte stream inside TLS.
//!
//! rustls keeps the keys and the state of the protocol, and no buffers (its unbuffered API): what
//! one system call brings is decrypted where it was read, in a buffer of the thread, and all of it
//! at once. A connection keeps octets only while a record is incomplete, or while its reader or
//! its peer is slower than the other side, so that an idle one holds nothing but its keys.

use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use rustls::CommonState;
use rustls::client::UnbufferedClientConnection;
use rustls::server::UnbufferedServerConnection;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::session::{Got, Next, Session};

/// A stream inside TLS, after its handshake. Small: it is moved about.
pub struct TlsStream<IO>(Box<Inner<IO>>);

struct Inner<IO> {
    io: IO,
    session: Session,
    // Of a record that is not whole.
    incoming: BytesMut,
    // What the reader did not take yet.
    plain: BytesMut,
    // What the peer did not take yet.
    output: BytesMut,
    // The peer has ended its side in order.
    ended: bool,
    // What came cannot be trusted, for this reason; the session must not be used any more.
    failed: Option<Box<rustls::Error>>,
    // This side was ended.
    shut: bool,
}

/// What one system call may bring, and more than the longest message of a handshake that rustls
/// takes from anybody.
const READ: usize = 128 * 1024;

/// No record is longer (RFC 8446 section 5.2, RFC 5246 section 6.2.3).
const RECORD: usize = 5 + 16 * 1024 + 2048;

/// What is encrypted at once: four records.
const WRITE: usize = 64 * 1024;

/// Room for it: each record is at most 40 octets longer than what it carries.
const SEALED: usize = WRITE + 1024;

thread_local! {
    static INCOMING: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
    static SEAL: RefCell<Box<[u8]>> = RefCell::new(vec![0; SEALED].into());
}

// === impl TlsStream ===

impl<IO> TlsStream<IO> {
    /// What carries it, and what is known of the session.
    pub fn get_ref(&self) -> (&IO, &CommonState) {
        (&self.0.io, self.0.session.state())
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> TlsStream<IO> {
    /// Does the client's side of the handshake. An error holds the reason of rustls.
    pub(super) async fn connect(io: IO, session: UnbufferedClientConnection) -> io::Result<Self> {
        Self::shake(io, Session::Client(session)).await
    }

    /// Does the server's side of the handshake. An error holds the reason of rustls.
    pub(super) async fn accept(io: IO, session: UnbufferedServerConnection) -> io::Result<Self> {
        Self::shake(io, Session::Server(session)).await
    }

    async fn shake(io: IO, session: Session) -> io::Result<Self> {
        let mut inner = Box::new(Inner {
            io,
            session,
            incoming: BytesMut::new(),
            plain: BytesMut::new(),
            output: BytesMut::new(),
            ended: false,
            failed: None,
            shut: false,
        });
        poll_fn(|cx| inner.poll_shake(cx)).await?;
        Ok(Self(inner))
    }
}

impl<IO> fmt::Debug for TlsStream<IO> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream").finish_non_exhaustive()
    }
}

// === impl Inner ===

impl<IO: AsyncRead + AsyncWrite + Unpin> Inner<IO> {
    fn poll_shake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut nobody = ReadBuf::new(&mut []);
        if self.incoming.is_empty() {
            // A client speaks first.
            self.take(&mut [], &mut nobody);
        }
        while self.session.state().is_handshaking() {
            self.trusted()?;
            ready!(self.poll_send(cx))?;
            let count = ready!(self.poll_fill(cx, &mut nobody))?;
            if self.failed.is_some() {
                // The peer is told why, if it still listens.
                let _ = self.poll_send(cx);
                self.trusted()?;
            }
            if count == 0 {
                let error = "the peer closed the connection in the handshake";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, error)));
            }
        }
        self.trusted()?;
        // A server's tickets, for example.
        self.poll_send(cx)
    }

    fn trusted(&self) -> io::Result<()> {
        match &self.failed {
            None => Ok(()),
            Some(error) => {
                let error = rustls::Error::clone(error);
                Err(io::Error::new(io::ErrorKind::InvalidData, error))
            }
        }
    }

    /// Reads once, and takes all whole records: what they carry goes to `buffer`, and the rest of
    /// it to `plain`. Returns how many octets were read.
    fn poll_fill(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        INCOMING.with(|scratch| match scratch.try_borrow_mut() {
            Ok(mut scratch) => self.poll_fill_by(cx, buffer, &mut scratch),
            // TLS in TLS: the inner one has it.
            Err(_) => self.poll_fill_by(cx, buffer, &mut vec![0; READ]),
        })
    }

    fn poll_fill_by(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
        scratch: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let known = self.incoming.len();
        let Some((front, room)) = scratch
            .split_at_mut_checked(known)
            .filter(|(_, room)| !room.is_empty())
        else {
            let error = "a message of TLS is too long";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, error)));
        };
        // A reader who wants little leaves the rest where it is, so that its sender waits.
        let most = RECORD.max(buffer.remaining() + RECORD / 8);
        let length = most.saturating_sub(known).max(RECORD / 8).min(room.len());
        let mut read = ReadBuf::new(room.get_mut(..length).unwrap_or_default());
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut read))?;
        let count = read.filled().len();
        front.copy_from_slice(&self.incoming);
        // An idle connection keeps no buffer.
        self.incoming = BytesMut::new();
        let all = scratch.get_mut(..known + count).unwrap_or_default();
        self.take(all, buffer);
        Poll::Ready(Ok(count))
    }

    /// Takes all whole records, and keeps the rest.
    fn take(&mut self, octets: &mut [u8], buffer: &mut ReadBuf<'_>) {
        if self.failed.is_some() {
            return;
        }
        let mut done = 0;
        loop {
            let rest = octets.get_mut(done..).unwrap_or_default();
            let plain = &mut self.plain;
            let mut got = |payload: &[u8]| {
                // What came before it comes first.
                let room = if plain.is_empty() {
                    buffer.remaining()
                } else {
                    0
                };
                let (now, later) = payload.split_at(room.min(payload.len()));
                buffer.put_slice(now);
                plain.extend_from_slice(later);
            };
            let Got { discard, next } = self.session.step(rest, &mut got, &mut self.output);
            done += discard;
            match next {
                Ok(Next::Again) => {}
                Ok(Next::Idle) => break,
                Ok(Next::Ended) => {
                    self.ended = true;
                    break;
                }
                Err(error) => {
                    self.failed = Some(Box::new(error));
                    let rest = octets.get_mut(done..).unwrap_or_default();
                    self.session.alert(rest, &mut self.output);
                    return;
                }
            }
        }
        let rest = octets.get(done..).unwrap_or_default();
        if !rest.is_empty() && !self.ended {
            self.incoming.extend_from_slice(rest);
        }
    }

    /// Writes what waits.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.output.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !self.output.is_empty() {
            let count = ready!(Pin::new(&mut self.io).poll_write(cx, &self.output))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.advance(count);
        }
        self.output = BytesMut::new();
        Pin::new(&mut self.io).poll_flush(cx)
    }

    /// Encrypts and writes; what the socket does not take, waits.
    fn poll_seal(
        &mut self,
        cx: &mut Context<'_>,
        octets: &[u8],
        sealed: &mut [u8],
    ) -> io::Result<usize> {
        let octets = octets.get(..WRITE).unwrap_or(octets);
        let (incoming, output) = (&mut self.incoming, &mut self.output);
        let length = self.session.seal(octets, sealed, incoming, output)?;
        let mut rest = sealed.get(..length).unwrap_or_default();
        // Unless something has to go first.
        while self.output.is_empty() && !rest.is_empty() {
            match Pin::new(&mut self.io).poll_write(cx, rest) {
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(count)) => rest = rest.get(count..).unwrap_or_default(),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Pending => break,
            }
        }
        self.output.extend_from_slice(rest);
        Ok(octets.len())
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<IO> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let inner = &mut *self.0;
        let before = buffer.filled().len();
        loop {
            if !inner.plain.is_empty() {
                let count = inner.plain.len().min(buffer.remaining());
                buffer.put_slice(inner.plain.get(..count).unwrap_or_default());
                inner.plain.advance(count);
                if inner.plain.is_empty() {
                    inner.plain = BytesMut::new();
                }
                return Poll::Ready(Ok(()));
            }
            if buffer.remaining() == 0 || buffer.filled().len() > before {
                return Poll::Ready(Ok(()));
            }
            // What came before it was passed on first.
            inner.trusted()?;
            if inner.ended {
                return Poll::Ready(Ok(()));
            }
            let waits = !inner.output.is_empty();
            let count = ready!(inner.poll_fill(cx, buffer))?;
            // Why it fails, for example. If more waits already, its writer is the one to be woken.
            if !waits
                && let Poll::Ready(Err(error)) = inner.poll_send(cx)
                && inner.failed.is_none()
            {
                return Poll::Ready(Err(error));
            }
            if count == 0 && !inner.ended {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the peer closed the connection without ending TLS",
                )));
            }
        }
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<IO> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        let inner = &mut *self.0;
        if inner.shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        inner.trusted()?;
        ready!(inner.poll_send(cx))?;
        Poll::Ready(SEAL.with(|sealed| match sealed.try_borrow_mut() {
            Ok(mut sealed) => inner.poll_seal(cx, octets, &mut sealed),
            // TLS in TLS: the inner one has it.
            Err(_) => inner.poll_seal(cx, octets, &mut vec![0; SEALED]),
        }))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.0;
        ready!(inner.poll_send(cx))?;
        Pin::new(&mut inner.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = &mut *self.0;
        if !inner.shut {
            inner.shut = true;
            // A failed session has said so.
            if inner.failed.is_none() {
                let (incoming, output) = (&mut inner.incoming, &mut inner.output);
                inner.session.end(incoming, output)?;
            }
        }
        ready!(inner.poll_send(cx))?;
        match ready!(Pin::new(&mut inner.io).poll_shutdown(cx)) {
            // The peer has closed everything already.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            other => Poll::Ready(other),
        }
    }
}

#[cfg(test)]
mod tests;
