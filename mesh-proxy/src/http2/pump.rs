//! A body on its way to the peer.

use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::{Buf, Bytes};
use http_body::Body;
use mesh_proxy_core::http2::{ErrorCode, StreamId};

use super::link::{Link, Slot};

/// Sends a body to its end, as the windows allow. A body that breaks ends the stream with `code`.
pub(super) async fn send_body<B>(
    link: &Rc<Link>,
    id: StreamId,
    slot: &Slot,
    body: B,
    code: ErrorCode,
) where
    B: Body<Data = Bytes>,
{
    let mut body = pin!(body);
    loop {
        let gone = poll_fn(|cx| match body.as_mut().poll_frame(cx) {
            Poll::Ready(frame) => Poll::Ready(Some(frame)),
            Poll::Pending if slot.has_failed(cx) => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        let Some(frame) = gone.await else {
            return;
        };
        match frame {
            None => {
                link.with(|state| state.send_data(id, b"", true));
                return;
            }
            Some(Err(_)) => {
                link.with(|state| state.reset(id, code));
                return;
            }
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => {
                    let end = body.is_end_stream();
                    send_chunk(link, id, slot, data, end).await;
                    if end {
                        return;
                    }
                }
                Err(frame) => {
                    if let Ok(trailers) = frame.into_trailers() {
                        link.with(|state| state.send_trailers(id, &trailers));
                        return;
                    }
                }
            },
        }
    }
}

async fn send_chunk(link: &Rc<Link>, id: StreamId, slot: &Slot, mut data: Bytes, end: bool) {
    // The end alone needs no window.
    if data.is_empty() {
        link.with(|state| state.send_data(id, b"", end));
        return;
    }
    // Until all is sent no more is taken: the sender is held back.
    while !data.is_empty() {
        if poll_fn(|cx| link.poll_capacity(id, slot, cx))
            .await
            .is_none()
        {
            return;
        }
        let sent = link.with(|state| state.send_data(id, &data, end));
        data.advance(sent.min(data.len()));
    }
}
