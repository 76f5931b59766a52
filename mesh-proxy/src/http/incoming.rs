//! The body of a message as it comes, over whatever version of HTTP.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::http1::{self, MessageError};
use crate::http2::{RecvBody, StreamError};

/// A body that a peer sends.
pub enum Incoming {
    /// None.
    Empty,
    /// Over HTTP/1.
    Http1(http1::RecvBody),
    /// Over HTTP/2.
    Http2(RecvBody),
    /// The beginning was read already.
    Buffered(Box<Buffered>),
}

/// A body whose beginning was read already: it comes again, then the rest.
pub struct Buffered {
    frames: VecDeque<Frame<Bytes>>,
    rest: Incoming,
}

/// Why a message broke off.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// On HTTP/1.
    #[error(transparent)]
    Http1(#[from] MessageError),
    /// On HTTP/2.
    #[error(transparent)]
    Http2(#[from] StreamError),
}

// === impl Incoming ===

impl Body for Incoming {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Http1(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Http2(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            Self::Buffered(body) => match body.frames.pop_front() {
                Some(frame) => Poll::Ready(Some(Ok(frame))),
                None => Pin::new(&mut body.rest).poll_frame(cx),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
            Self::Buffered(body) => body.frames.is_empty() && body.rest.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
            Self::Buffered(body) => body.size(),
        }
    }
}

// === impl Buffered ===

impl Buffered {
    /// These frames, then the rest.
    pub fn new(frames: VecDeque<Frame<Bytes>>, rest: Incoming) -> Self {
        Self { frames, rest }
    }

    fn size(&self) -> SizeHint {
        let data = self.frames.iter().filter_map(Frame::data_ref);
        let ahead: u64 = data.map(|data| data.len() as u64).sum();
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(ahead + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(ahead + upper);
        }
        hint
    }
}
