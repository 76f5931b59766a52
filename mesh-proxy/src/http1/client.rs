//! The client's side.

use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method, Request, Response, StatusCode, request, response};
use http_body::{Body as _, Frame};
use mesh_proxy_core::http1::{Framing, encode_chunk, encode_end, encode_request, parse_response};
use tokio_util::task::TaskTracker;

use super::MessageError;
use super::body::{RecvBody, Side};
use super::link::{CROWDED, Link};
use crate::http::upgrade::OnUpgrade;
use crate::http::{Incoming, RequestBody};
use crate::net::Stream;

/// Largest head of a response in octets.
const MAX_HEAD: usize = 256 * 1024;

/// A connection to a server, for one request at a time.
pub struct Handle {
    link: Rc<Link>,
    tasks: TaskTracker,
}

/// A request that was sent. Dropped before its response has come, it gives the connection up.
pub struct Waiting {
    link: Rc<Link>,
    method: Method,
    answered: bool,
}

/// A body on its way.
struct Sending {
    body: Pin<Box<RequestBody>>,
    // Octets that were announced and are still to be written; absent if it goes in chunks.
    left: Option<u64>,
    ended: bool,
}

/// Begins HTTP/1 on a connection.
pub fn connect(stream: Stream, tasks: &TaskTracker) -> Handle {
    Handle {
        link: Link::new(stream),
        tasks: tasks.clone(),
    }
}

// === impl Handle ===

impl Handle {
    /// Whether the connection can be kept for another request: the one before is over on both
    /// sides.
    pub fn is_over(&self) -> bool {
        !self.link.is_last() && self.link.is_over()
    }

    /// The same, and the server has not closed the connection meanwhile.
    pub fn is_ready(&self) -> bool {
        !self.link.is_last() && self.link.is_quiet()
    }

    /// Sends a request. What of its body is not there yet follows when it comes.
    ///
    /// # Errors
    /// [`MessageError`], and whether the server saw nothing of the request.
    pub fn begin(&self, request: Request<RequestBody>) -> Result<Waiting, (MessageError, bool)> {
        let (mut parts, body) = request.into_parts();
        let framing = framing(&mut parts, &body);
        let link = Rc::clone(&self.link);
        link.has_sent();
        link.write(|output| encode_request(&parts, framing, output));
        let waiting = Waiting {
            link,
            method: parts.method,
            answered: false,
        };
        let mut sending = Sending::new(body, framing);
        let mut now = Context::from_waker(Waker::noop());
        match sending.poll(&waiting.link, &mut now) {
            Poll::Ready(Ok(())) => {}
            // Who answers early and closes may have answered before the rest could be written.
            Poll::Ready(Err(_)) if waiting.link.has_sent() => {}
            Poll::Ready(Err(error)) => return Err((error, true)),
            Poll::Pending => self.send_rest(sending),
        }
        Ok(waiting)
    }

    // A task writes on, also after the response has begun.
    fn send_rest(&self, mut sending: Sending) {
        let link = Rc::clone(&self.link);
        link.set_writing(true);
        self.tasks.spawn_local(async move {
            let sent = poll_fn(|cx| sending.poll(&link, cx)).await;
            link.set_writing(false);
            if let Err(error) = sent {
                tracing::trace!(%error, "the body of a request broke off");
            }
        });
    }
}

fn poll_response(
    link: &Link,
    method: &Method,
    cx: &mut Context<'_>,
) -> Poll<Result<mesh_proxy_core::http1::ResponseHead, MessageError>> {
    link.poll_head(cx, MAX_HEAD, |octets| {
        loop {
            let head = parse_response(octets, method)?;
            // Interim responses are for this hop.
            match &head {
                Some(head) if is_interim(&head.parts) => {}
                _ => return Ok(head),
            }
        }
    })
}

fn is_interim(parts: &response::Parts) -> bool {
    parts.status.is_informational() && parts.status != StatusCode::SWITCHING_PROTOCOLS
}

// Methods whose requests usually have a body say so if they have none (RFC 9110 section 8.6).
fn framing(parts: &mut request::Parts, body: &RequestBody) -> Framing {
    if body.is_end_stream() {
        let usual = matches!(parts.method, Method::POST | Method::PUT | Method::PATCH);
        return if usual || parts.headers.contains_key(CONTENT_LENGTH) {
            Framing::Exact(0)
        } else {
            Framing::Silent
        };
    }
    match body.size_hint().exact() {
        Some(count) => Framing::Exact(count),
        None => Framing::Chunked,
    }
}

// === impl Sending ===

impl Sending {
    fn new(body: RequestBody, framing: Framing) -> Self {
        let left = match framing {
            Framing::Chunked => None,
            Framing::Exact(count) => Some(count),
            Framing::Silent | Framing::AsGiven => Some(0),
        };
        Self {
            body: Box::pin(body),
            left,
            ended: left == Some(0),
        }
    }

    /// Writes as much as there is and as the socket takes; ready once all is written. If the body
    /// breaks off, so does the connection.
    fn poll(&mut self, link: &Link, cx: &mut Context<'_>) -> Poll<Result<(), MessageError>> {
        loop {
            let mut starved = false;
            while !self.ended && link.waiting() < CROWDED {
                match self.body.as_mut().poll_frame(cx) {
                    Poll::Pending => {
                        starved = true;
                        break;
                    }
                    Poll::Ready(frame) => {
                        if !self.take(link, frame.transpose().ok()) {
                            link.abort();
                            return Poll::Ready(Err(MessageError::GivenUp));
                        }
                    }
                }
            }
            match link.poll_flush(cx) {
                Poll::Ready(Ok(())) if self.ended => return Poll::Ready(Ok(())),
                Poll::Ready(Ok(())) if starved => {
                    link.wake_writer_with(cx);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    // Whether the body is as it was announced so far; `None` means that it broke off.
    fn take(&mut self, link: &Link, frame: Option<Option<Frame<Bytes>>>) -> bool {
        let Some(frame) = frame else {
            return false;
        };
        match frame.map(Frame::into_data) {
            None => self.end(link, None),
            Some(Ok(data)) => {
                let Some(left) = &mut self.left else {
                    link.write(|output| encode_chunk(&data, output));
                    return !self.body.is_end_stream() || self.end(link, None);
                };
                let Some(rest) = left.checked_sub(data.len() as u64) else {
                    return false;
                };
                *left = rest;
                self.ended = rest == 0;
                link.write(|output| output.extend_from_slice(&data));
                true
            }
            Some(Err(frame)) => self.end(link, frame.into_trailers().ok().as_ref()),
        }
    }

    fn end(&mut self, link: &Link, trailers: Option<&HeaderMap>) -> bool {
        self.ended = true;
        if self.left.is_none() {
            link.write(|output| encode_end(trailers, output));
        }
        self.left.is_none_or(|left| left == 0)
    }
}

// === impl Waiting ===

impl Waiting {
    /// The head of the response.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Response<Incoming>, MessageError>> {
        let link = &self.link;
        let head = ready!(poll_response(link, &self.method, cx))?;
        self.answered = true;
        let switching = head.parts.status == StatusCode::SWITCHING_PROTOCOLS;
        if switching || !head.keep_alive {
            link.set_last();
        }
        let message = link.begin_body(head.length, false);
        let mut response = Response::from_parts(head.parts, Incoming::Empty);
        if switching {
            if let Some(stream) = link.take() {
                response.extensions_mut().insert(OnUpgrade::now(stream));
            }
        } else if !link.has_all() {
            let body = RecvBody::new(Rc::clone(link), message, Side::Response);
            *response.body_mut() = Incoming::Http1(body);
        }
        Poll::Ready(Ok(response))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.answered {
            self.link.abort();
        }
    }
}
