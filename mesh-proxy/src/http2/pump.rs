//! A body on its way to the peer.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, Bytes};
use http_body::Body;
use mesh_proxy_core::http2::{ErrorCode, StreamId};

use super::link::{Link, Slot};

/// Sends a body to its end, as the windows allow. Small, since each stream has one.
pub(super) struct Pump<B> {
    link: Rc<Link>,
    id: StreamId,
    slot: Slot,
    body: B,
    code: ErrorCode,
    // What was read and is still to be sent, and whether the body ends with it.
    rest: Bytes,
    last: bool,
}

// === impl Pump ===

impl<B> Pump<B> {
    /// A body that breaks ends the stream with `code`.
    pub(super) fn new(
        link: Rc<Link>,
        (id, slot): (StreamId, Slot),
        body: B,
        code: ErrorCode,
    ) -> Self {
        Self {
            link,
            id,
            slot,
            body,
            code,
            rest: Bytes::new(),
            last: false,
        }
    }

    // Sends what is left of a chunk; false once the stream has ended.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        // Until all is sent no more is taken: the sender is held back.
        while !self.rest.is_empty() {
            if ready!(self.link.poll_capacity(self.id, &self.slot, cx)).is_none() {
                return Poll::Ready(false);
            }
            let send = |rest: &[u8]| {
                self.link
                    .with(|state| state.send_data(self.id, rest, self.last))
            };
            let sent = send(&self.rest);
            self.rest.advance(sent.min(self.rest.len()));
        }
        Poll::Ready(true)
    }
}

impl<B: Body<Data = Bytes> + Unpin> Future for Pump<B> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let pump = self.get_mut();
        let id = pump.id;
        loop {
            if !ready!(pump.poll_rest(cx)) || pump.last {
                return Poll::Ready(());
            }
            let frame = match Pin::new(&mut pump.body).poll_frame(cx) {
                Poll::Ready(frame) => frame,
                Poll::Pending if pump.slot.has_failed(cx) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            };
            match frame {
                None => {
                    pump.link.with(|state| state.send_data(id, b"", true));
                    return Poll::Ready(());
                }
                Some(Err(_)) => {
                    pump.link.with(|state| state.reset(id, pump.code));
                    return Poll::Ready(());
                }
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => {
                        pump.rest = data;
                        pump.last = pump.body.is_end_stream();
                        if pump.rest.is_empty() {
                            // The end alone needs no window.
                            pump.link.with(|state| state.send_data(id, b"", pump.last));
                        }
                    }
                    Err(frame) => {
                        if let Ok(trailers) = frame.into_trailers() {
                            pump.link.with(|state| state.send_trailers(id, &trailers));
                            return Poll::Ready(());
                        }
                    }
                },
            }
        }
    }
}
