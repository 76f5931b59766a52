//! A stream of HTTP/2 that carries the bytes of a connection (RFC 9113 section 8.5).

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes};
use http::{Response, StatusCode, request, response};
use mesh_proxy_core::http2::{ErrorCode, StreamId};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::StreamError;
use super::link::{Link, Slot};
use crate::net::Stream;

/// The connection that a stream carries. Its ends are ends of the stream's bodies; dropped before
/// them, the stream is reset, as a connection would be.
pub struct Tunnel {
    link: Rc<Link>,
    slot: Slot,
    id: StreamId,
    unread: Bytes,
    ends: Ends,
    // What the peer is told when this side has said all it has to and wants no more.
    leave: ErrorCode,
}

/// The addresses at the ends of a tunnel: those of the connection that it stands for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ends {
    /// This side's.
    pub local: Option<SocketAddr>,
    /// The peer's.
    pub remote: Option<SocketAddr>,
}

/// A request that may become a tunnel.
pub struct Offer {
    /// Its head.
    pub head: request::Parts,
    /// The tunnel, once the offer is accepted; reset if it is dropped before.
    pub tunnel: Tunnel,
    /// For the answer.
    pub answer: Answer,
}

/// Answers an [`Offer`].
pub struct Answer {
    link: Rc<Link>,
    id: StreamId,
}

// === impl Answer ===

impl Answer {
    /// The tunnel is open.
    pub fn accept(self) {
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.status = StatusCode::OK;
        self.link
            .with(|state| state.respond(self.id, &parts, false));
    }

    /// There is no tunnel.
    pub fn refuse(self, parts: &response::Parts) {
        self.link.with(|state| state.respond(self.id, parts, true));
    }
}

// === impl Tunnel ===

impl Tunnel {
    pub(super) fn new(link: Rc<Link>, slot: Slot, id: StreamId, leave: ErrorCode) -> Self {
        Self {
            link,
            slot,
            id,
            unread: Bytes::new(),
            ends: Ends::default(),
            leave,
        }
    }

    /// For the answer to a peer that asks for the tunnel.
    pub(super) fn answer(&self) -> Answer {
        Answer {
            link: Rc::clone(&self.link),
            id: self.id,
        }
    }

    /// The tunnel as a connection between these addresses.
    pub fn between(mut self, ends: Ends) -> Stream {
        self.ends = ends;
        Stream::from(self)
    }

    /// Address of this side.
    pub fn local(&self) -> Option<SocketAddr> {
        self.ends.local
    }

    /// Address of the peer.
    pub fn remote(&self) -> Option<SocketAddr> {
        self.ends.remote
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.unread.is_empty() {
            match ready!(self.slot.poll_chunk(cx)) {
                None => return Poll::Ready(Ok(())),
                Some(Err(error)) => return Poll::Ready(Err(broken(error))),
                // A connection has no trailers.
                Some(Ok(frame)) => self.unread = frame.into_data().unwrap_or_default(),
            }
        }
        let count = self.unread.len().min(buffer.remaining());
        buffer.put_slice(self.unread.get(..count).unwrap_or_default());
        self.unread.advance(count);
        let id = self.id;
        self.link.with(|state| state.release(id, count));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(error) = self.slot.failure() {
            return Poll::Ready(Err(broken(error)));
        }
        let Some(capacity) = ready!(self.link.poll_capacity(self.id, &self.slot, cx)) else {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        };
        let count = bytes.len().min(capacity);
        let part = bytes.get(..count).unwrap_or_default();
        let id = self.id;
        Poll::Ready(Ok(self.link.with(|state| state.send_data(id, part, false))))
    }

    // Whoever writes wakes the connection's task, which sends what there is.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let id = self.id;
        // Nothing happens the second time.
        self.link.with(|state| state.send_data(id, b"", true));
        Poll::Ready(Ok(()))
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let rest = self.slot.drop_rest() + self.unread.len();
        let (id, leave) = (self.id, self.leave);
        self.link.with(|state| {
            if rest > 0 {
                state.release(id, rest);
            }
            let code = match state.capacity(id) {
                Some(_) => ErrorCode::CONNECT_ERROR,
                None => leave,
            };
            // Nothing happens if both sides have ended.
            state.reset(id, code);
        });
        // It may have been the last that held the connection.
        self.link.wake();
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel")
            .field("id", &self.id)
            .field("ends", &self.ends)
            .finish_non_exhaustive()
    }
}

fn broken(error: StreamError) -> io::Error {
    let kind = match error {
        StreamError::Reset(_) | StreamError::Broken(_) => io::ErrorKind::ConnectionReset,
        StreamError::Unprocessed | StreamError::Disconnected => io::ErrorKind::ConnectionAborted,
    };
    io::Error::new(kind, error)
}
