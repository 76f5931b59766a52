//! The body of a message that comes over HTTP/2.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body::{Body, Frame, SizeHint};
use mesh_proxy_core::http2::{ErrorCode, StreamId};

use super::StreamError;
use super::link::{Link, Slot};

/// A body as it comes. The peer may send as much more as is taken. Dropped before its end, the
/// peer is told that nobody wants the rest.
pub struct RecvBody {
    link: Rc<Link>,
    slot: Slot,
    id: StreamId,
    side: Side,
    // What the head announced and did not come yet.
    left: Option<u64>,
}

/// Whose body it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Request,
    Response,
}

// === impl RecvBody ===

impl RecvBody {
    pub(super) fn new(
        link: Rc<Link>,
        slot: Slot,
        id: StreamId,
        side: Side,
        head: &HeaderMap,
    ) -> Self {
        let length = head
            .get(CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok());
        Self {
            left: length.and_then(|text| text.parse().ok()),
            link,
            slot,
            id,
            side,
        }
    }
}

impl Body for RecvBody {
    type Data = Bytes;
    type Error = StreamError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StreamError>>> {
        let frame = ready!(self.slot.poll_chunk(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            let count = data.len();
            self.left = self.left.map(|left| left.saturating_sub(count as u64));
            let id = self.id;
            self.link.with(|state| state.release(id, count));
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.slot.is_taken()
    }

    fn size_hint(&self) -> SizeHint {
        match self.left {
            _ if self.slot.is_taken() => SizeHint::with_exact(0),
            Some(left) => SizeHint::with_exact(left),
            None => SizeHint::default(),
        }
    }
}

impl Drop for RecvBody {
    fn drop(&mut self) {
        if self.slot.is_taken() {
            return;
        }
        let (id, rest) = (self.id, self.slot.drop_rest());
        let ended = self.slot.has_ended();
        let side = self.side;
        self.link.with(|state| {
            if side == Side::Request {
                state.discard(id);
            }
            if rest > 0 {
                state.release(id, rest);
            }
            // A request may end in peace without its body; of a response there is no use.
            if side == Side::Response && !ended {
                state.reset(id, ErrorCode::CANCEL);
            }
        });
    }
}
