//! The body of a response on its way to the client.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use mesh_proxy_core::Reason;
use tokio::time::{Instant, Sleep};

use super::respond::failure;
use super::{Exchange, Incoming, TransportError};
use crate::upstream::{Lease, Tracking};

/// A response's body. It tells the request's record when it ends, gives the upstream's
/// connection back, and breaks off when the request's time is up: gRPC's by its status for that.
pub struct ResponseBody {
    content: Content,
    exchange: Option<Box<Exchange>>,
    upstream: Option<Upstream>,
    deadline: Option<Pin<Box<Sleep>>>,
}

enum Content {
    Empty,
    Full(Bytes),
    Incoming(Incoming),
}

struct Upstream {
    lease: Option<Lease>,
    tracking: Option<Tracking>,
}

/// Why a response's body ended early. The client sees a broken connection or a reset stream.
#[derive(Debug, thiserror::Error)]
pub enum ResponseBodyError {
    /// The upstream broke off.
    #[error("the upstream broke off: {0}")]
    Upstream(#[from] TransportError),
    /// The request's time was up.
    #[error("the request's time was up")]
    Timeout,
}

// === impl ResponseBody ===

impl ResponseBody {
    /// A body that the proxy makes up; the request is over.
    pub fn local(bytes: Bytes, mut exchange: Box<Exchange>) -> Self {
        exchange.sent(bytes.len());
        if bytes.is_empty() {
            exchange.finish();
            return Self {
                content: Content::Empty,
                exchange: None,
                upstream: None,
                deadline: None,
            };
        }
        Self {
            content: Content::Full(bytes),
            exchange: Some(exchange),
            upstream: None,
            deadline: None,
        }
    }

    /// No body, and nothing to tell: another task tells it.
    pub fn silent() -> Self {
        Self {
            content: Content::Empty,
            exchange: None,
            upstream: None,
            deadline: None,
        }
    }

    /// What an upstream sends.
    pub fn upstream(
        incoming: Incoming,
        exchange: Box<Exchange>,
        lease: Lease,
        tracking: Tracking,
        deadline: Option<Instant>,
    ) -> Self {
        let upstream = Upstream {
            lease: Some(lease),
            tracking: Some(tracking),
        };
        let mut body = Self {
            content: Content::Incoming(incoming),
            exchange: Some(exchange),
            upstream: Some(upstream),
            deadline: None,
        };
        if body.is_end_stream() {
            // Nobody asks a finished body again.
            body.finish();
            body.content = Content::Empty;
        } else {
            body.deadline = deadline.map(|at| Box::pin(tokio::time::sleep_until(at)));
        }
        body
    }

    /// The client wants no body: its request was a HEAD.
    pub fn skip(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        if let Some(mut upstream) = self.upstream.take() {
            if let Some(lease) = upstream.lease.take() {
                lease.release();
            }
            if let Some(tracking) = upstream.tracking.take() {
                tracking.finished();
            }
        }
        if let Some(exchange) = self.exchange.take() {
            exchange.finish();
        }
    }

    fn fail(&mut self, reason: Reason) {
        if let Some(upstream) = self.upstream.take()
            && let Some(tracking) = upstream.tracking
        {
            tracking.failed();
        }
        if let Some(mut exchange) = self.exchange.take() {
            exchange.fail(reason);
            exchange.finish();
        }
        self.content = Content::Empty;
    }

    /// gRPC has a word for it in its trailers, which a reset stream has not.
    fn late_status(&mut self) -> Option<HeaderMap> {
        // Fewer octets than announced are no answer, whatever is said after them.
        if self.size_hint().exact().is_some() {
            return None;
        }
        let exchange = self.exchange.as_mut().filter(|one| one.is_grpc())?;
        let trailers = failure(Reason::RequestTimeout, "", true).into_trailers()?;
        exchange.trailers(&trailers);
        Some(trailers)
    }

    fn note(&mut self, frame: &Frame<Bytes>) {
        let Some(exchange) = self.exchange.as_mut() else {
            return;
        };
        if let Some(data) = frame.data_ref() {
            exchange.sent(data.len());
        } else if let Some(trailers) = frame.trailers_ref() {
            exchange.trailers(trailers);
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = ResponseBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ResponseBodyError>>> {
        let body = self.get_mut();
        if let Some(deadline) = body.deadline.as_mut()
            && deadline.as_mut().poll(cx).is_ready()
        {
            body.deadline = None;
            let status = body.late_status();
            body.fail(Reason::RequestTimeout);
            let status = status.map(Frame::trailers);
            return Poll::Ready(Some(status.ok_or(ResponseBodyError::Timeout)));
        }
        let frame = match &mut body.content {
            Content::Empty => None,
            Content::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                body.content = Content::Empty;
                body.finish();
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Content::Incoming(incoming) => ready!(Pin::new(incoming).poll_frame(cx)),
        };
        match frame {
            None => {
                body.finish();
                Poll::Ready(None)
            }
            Some(Err(error)) => {
                body.fail(Reason::UpstreamConnectionClosed);
                Poll::Ready(Some(Err(error.into())))
            }
            Some(Ok(frame)) => {
                body.note(&frame);
                if body.is_end_stream() {
                    body.finish();
                }
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Full(bytes) => bytes.is_empty(),
            Content::Incoming(incoming) => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Incoming(incoming) => incoming.size_hint(),
        }
    }
}
