//! The body of a message as it comes, over whatever version of HTTP.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::http2::{RecvBody, StreamError};

/// A body that a peer sends.
pub enum Incoming {
    /// None.
    Empty,
    /// Over HTTP/1.
    Http1(hyper::body::Incoming),
    /// Over HTTP/2.
    Http2(RecvBody),
}

/// Why a message broke off.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// On HTTP/1.
    #[error(transparent)]
    Http1(#[from] hyper::Error),
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
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body) => body.size_hint(),
        }
    }
}
