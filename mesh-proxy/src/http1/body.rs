//! The body of a message that comes over HTTP/1.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::MessageError;
use super::link::Link;

/// A body as it comes: read from the socket as it is asked for. Dropped before its end, the
/// connection carries no other message.
pub struct RecvBody {
    link: Rc<Link>,
    message: u32,
    side: Side,
}

/// Whose body it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

// === impl RecvBody ===

impl RecvBody {
    pub(super) fn new(link: Rc<Link>, message: u32, side: Side) -> Self {
        Self {
            link,
            message,
            side,
        }
    }
}

impl Body for RecvBody {
    type Data = Bytes;
    type Error = MessageError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, MessageError>>> {
        self.link.poll_body(self.message, cx)
    }

    fn is_end_stream(&self) -> bool {
        self.link.is_taken(self.message)
    }

    fn size_hint(&self) -> SizeHint {
        match self.link.left(self.message) {
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}

impl Drop for RecvBody {
    fn drop(&mut self) {
        if self.link.is_taken(self.message) {
            return;
        }
        match self.side {
            Side::Request => self.link.abandon(self.message),
            // Of a response there is no use without its body.
            Side::Response => self.link.abort(),
        }
    }
}
