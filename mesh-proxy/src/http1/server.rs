//! The server's side.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::header::UPGRADE;
use http::{Method, Request, Response, StatusCode, Version, request};
use http_body::{Body as _, Frame};
use mesh_proxy_core::http1::{
    Framing, Length, Malformed, RequestHead, encode_chunk, encode_end, encode_response,
    parse_request,
};
use tokio::time::{Instant, Sleep};

use super::body::{RecvBody, Side};
use super::link::{CROWDED, Link};
use super::{MessageError, upgrade};
use crate::drain::Drain;
use crate::http::headers::take_hop_by_hop;
use crate::http::upgrade::{OnUpgrade, Successor};
use crate::http::{Incoming, ResponseBody, wire};
use crate::http2::Upgraded;
use crate::net::{Stream, reset};

/// How a connection of a client ended, if not in order.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionEnd {
    /// The client broke the protocol; it was told.
    #[error("the client broke the protocol: {0}")]
    Malformed(#[from] Malformed),
    /// The client went away in the middle of a request.
    #[error("the client went away in the middle of a request")]
    Gone,
    /// The response broke off; so did the connection, for the client to see it.
    #[error("the response broke off")]
    BrokenResponse,
    /// The socket or its TLS failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What clients are allowed.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// Largest head of a request in octets.
    pub head: usize,
    /// How long a client may take for a head, and how long the connection may be idle.
    pub patience: Duration,
    /// Whether a client may go on over HTTP/2 if it asks for it.
    pub http2: bool,
}

/// What a client that sends more than it is told to may take to read the answer: it must not
/// lose it to a reset (RFC 9112 section 9.6).
const LINGER: Duration = Duration::from_secs(5);

/// One connection.
struct Connection<'a> {
    link: Rc<Link>,
    allowance: Allowance,
    drain: &'a Drain,
    since: Instant,
}

// What a request's head and the state of the connection say of the response.
struct Respond {
    method: Method,
    version: Version,
    keep_alive: bool,
    successor: Option<Successor>,
}

#[expect(
    clippy::large_enum_variant,
    reason = "it is taken apart at once: a box for each request would cost more"
)]
enum Next {
    Request(RequestHead),
    Refused(Malformed),
    End,
}

// After a response.
enum After {
    Request,
    End,
    Http2(Option<Box<Successive>>),
}

/// The connection of a client that goes on over HTTP/2, and the request that asked for it.
pub type Successive = (Stream, Upgraded);

/// Answers the requests of one connection until it ends, one after the other. A request that is
/// none is answered by `refuse`. While the proxy drains, running requests finish and the
/// connection closes, an idle one only after [`Drain::idle_ends`]: its client may be sending in
/// this moment. What still runs at the end is cut. Returns the connection if it goes on over
/// HTTP/2.
///
/// # Errors
/// How it ended, if not in order.
pub async fn serve<H, F, R>(
    stream: Stream,
    allowance: Allowance,
    drain: &Drain,
    handle: H,
    refuse: R,
) -> Result<Option<Successive>, ConnectionEnd>
where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<ResponseBody>>,
    R: Fn(&request::Parts, Malformed) -> Response<ResponseBody>,
{
    let connection = Connection {
        link: Link::new(stream),
        allowance,
        drain,
        since: Instant::now(),
    };
    let link = Rc::clone(&connection.link);
    let end = tokio::select! {
        biased;
        end = connection.run(handle, refuse) => end,
        () = drain.closed() => Ok(None),
    };
    // Readers of a body and writers to it may still be there.
    link.abort();
    end
}

// === impl Connection ===

impl Connection<'_> {
    async fn run<H, F, R>(
        mut self,
        handle: H,
        refuse: R,
    ) -> Result<Option<Successive>, ConnectionEnd>
    where
        H: Fn(Request<Incoming>) -> F,
        F: Future<Output = Response<ResponseBody>>,
        R: Fn(&request::Parts, Malformed) -> Response<ResponseBody>,
    {
        let drain = self.drain;
        let mut idle_ends = pin!(async move {
            drain.started().await;
            drain.idle_ends().await;
        });
        let mut timer = pin!(tokio::time::sleep(self.allowance.patience));
        loop {
            let next = poll_fn(|cx| {
                if let Poll::Ready(next) = self.poll_next(timer.as_mut(), cx) {
                    return Poll::Ready(next);
                }
                idle_ends.as_mut().poll(cx).map(|()| Next::End)
            });
            match next.await {
                Next::End => {
                    self.shut().await;
                    return Ok(None);
                }
                Next::Refused(malformed) => {
                    return self.refuse(malformed, &refuse).await;
                }
                // An idle connection does not hold the room for an exchange.
                Next::Request(head) => match Box::pin(self.exchange(head, &handle)).await? {
                    After::Request => self.since = Instant::now(),
                    After::End => return Ok(None),
                    After::Http2(successive) => return Ok(successive.map(|it| *it)),
                },
            }
        }
    }

    fn poll_next(&self, mut timer: Pin<&mut Sleep>, cx: &mut Context<'_>) -> Poll<Next> {
        let head = self.link.poll_head(cx, self.allowance.head, parse_request);
        match head {
            Poll::Ready(Ok(head)) => return Poll::Ready(Next::Request(head)),
            Poll::Ready(Err(MessageError::Malformed(malformed))) => {
                return Poll::Ready(Next::Refused(malformed));
            }
            Poll::Ready(Err(_)) => return Poll::Ready(Next::End),
            Poll::Pending => {}
        }
        // The timer is set again only when it fires: requests need not touch it.
        loop {
            ready!(timer.as_mut().poll(cx));
            let until = self.since + self.allowance.patience;
            if Instant::now() >= until {
                let begun = self.link.has_begun();
                return Poll::Ready(if begun {
                    Next::Refused(Malformed::Slow)
                } else {
                    Next::End
                });
            }
            timer.as_mut().reset(until);
        }
    }

    async fn exchange<H, F>(&self, head: RequestHead, handle: &H) -> Result<After, ConnectionEnd>
    where
        H: Fn(Request<Incoming>) -> F,
        F: Future<Output = Response<ResponseBody>>,
    {
        let RequestHead {
            mut parts,
            length,
            keep_alive,
            expects_continue,
        } = head;
        if self.allowance.http2
            && length == Length::None
            && let Some(settings) = upgrade::http2_settings(&parts)
        {
            return self.upgrade(parts, settings).await;
        }
        let mut respond = Respond {
            method: parts.method.clone(),
            version: parts.version,
            keep_alive,
            successor: None,
        };
        if parts.method == Method::CONNECT || parts.headers.contains_key(UPGRADE) {
            let (successor, upgrade) = OnUpgrade::pair();
            respond.successor = Some(successor);
            parts.extensions.insert(upgrade);
        }
        let message = self.link.begin_body(length, expects_continue);
        let body = if length == Length::None {
            Incoming::Empty
        } else {
            let body = RecvBody::new(Rc::clone(&self.link), message, Side::Request);
            Incoming::Http1(body)
        };
        let mut work = Box::pin(handle(Request::from_parts(parts, body)));
        let response = poll_fn(|cx| {
            if let Poll::Ready(response) = work.as_mut().poll(cx) {
                return Poll::Ready(Some(response));
            }
            match self.poll_watch(cx) {
                Poll::Ready(()) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            }
        });
        let response = response.await.ok_or(ConnectionEnd::Gone)?;
        drop(work);
        self.respond(response, respond).await
    }

    // RFC 7540 section 3.2. A request with a body is answered over HTTP/1.1 instead.
    async fn upgrade(
        &self,
        mut parts: request::Parts,
        settings: Vec<u8>,
    ) -> Result<After, ConnectionEnd> {
        self.link
            .write(|output| output.extend_from_slice(upgrade::SWITCHING));
        self.flush().await?;
        take_hop_by_hop(&mut parts.headers);
        wire::to_http2(&mut parts);
        let first = Upgraded { parts, settings };
        Ok(After::Http2(
            self.link.take().map(|stream| Box::new((stream, first))),
        ))
    }

    // Ready once the client is gone. What it is told meanwhile leaves.
    fn poll_watch(&self, cx: &mut Context<'_>) -> Poll<()> {
        if let Poll::Ready(Err(_)) = self.link.poll_flush(cx) {
            return Poll::Ready(());
        }
        self.link.poll_gone(cx)
    }

    async fn respond(
        &self,
        response: Response<ResponseBody>,
        respond: Respond,
    ) -> Result<After, ConnectionEnd> {
        let (parts, body) = response.into_parts();
        let switching = parts.status == StatusCode::SWITCHING_PROTOCOLS
            || respond.method == Method::CONNECT && parts.status.is_success();
        let bodiless = switching
            || respond.method == Method::HEAD
            || parts.status == StatusCode::NO_CONTENT
            || parts.status == StatusCode::NOT_MODIFIED;
        let framing = if bodiless {
            match parts.status {
                _ if switching => Framing::Silent,
                StatusCode::NO_CONTENT => Framing::Silent,
                _ => Framing::AsGiven,
            }
        } else if let Some(count) = body.size_hint().exact() {
            Framing::Exact(count)
        } else if respond.version == Version::HTTP_10 {
            Framing::Silent
        } else {
            Framing::Chunked
        };
        // Without a length the connection's end is the body's.
        let endless = !bodiless && framing == Framing::Silent;
        let keep_alive = respond.keep_alive
            && !endless
            && !self.drain.is_draining()
            && (self.link.has_all() || !self.link.is_abandoned());
        let connection = match respond.version {
            _ if switching => None,
            Version::HTTP_10 if keep_alive => Some("keep-alive"),
            Version::HTTP_10 => None,
            _ if keep_alive => None,
            _ => Some("close"),
        };
        self.link.write(|output| {
            encode_response(&parts, respond.version, framing, connection, output);
        });
        drop(parts);
        if bodiless || framing == Framing::Exact(0) {
            body.skip();
            self.flush().await?;
        } else if let Err(end) = self.send(body, framing).await {
            if endless && let Some(stream) = self.link.take() {
                // An orderly end would look like the body's.
                reset(stream);
            }
            return Err(end);
        }
        if switching {
            if let (Some(successor), Some(stream)) = (respond.successor, self.link.take()) {
                successor.take_over(stream);
            }
            return Ok(After::End);
        }
        if self.link.has_all() && keep_alive {
            return Ok(After::Request);
        }
        if keep_alive && self.is_read_in_time().await? {
            return Ok(After::Request);
        }
        self.part(respond.keep_alive).await;
        Ok(After::End)
    }

    // The body of the request is not read to its end: whoever reads it may go on for a moment.
    async fn is_read_in_time(&self) -> Result<bool, ConnectionEnd> {
        let over = poll_fn(|cx| {
            if self.link.has_all() || self.link.is_abandoned() {
                return Poll::Ready(true);
            }
            self.poll_watch(cx).map(|()| false)
        });
        match tokio::time::timeout(LINGER, over).await {
            Ok(true) => Ok(self.link.has_all()),
            Ok(false) => Err(ConnectionEnd::Gone),
            Err(_) => Ok(false),
        }
    }

    // Ends the connection in order. A client that does not expect it may be sending: what it sent
    // would make the kernel reset the connection, and the client lose the response.
    async fn part(&self, unexpected: bool) {
        self.shut().await;
        if unexpected || !self.link.has_all() {
            let waste = poll_fn(|cx| self.link.poll_waste(cx));
            let _ = tokio::time::timeout(LINGER, waste).await;
        }
    }

    async fn refuse<R>(
        &self,
        malformed: Malformed,
        refuse: &R,
    ) -> Result<Option<Successive>, ConnectionEnd>
    where
        R: Fn(&request::Parts, Malformed) -> Response<ResponseBody>,
    {
        let (parts, ()) = Request::new(()).into_parts();
        let response = refuse(&parts, malformed);
        let respond = Respond {
            method: Method::GET,
            version: Version::HTTP_11,
            keep_alive: false,
            successor: None,
        };
        // What comes behind cannot be understood.
        self.link.begin_body(Length::UntilClose, false);
        self.respond(response, respond).await?;
        Err(malformed.into())
    }

    async fn send(&self, body: ResponseBody, framing: Framing) -> Result<(), ConnectionEnd> {
        let mut body = pin!(body);
        let mut left = match framing {
            Framing::Exact(count) => Some(count),
            _ => None,
        };
        let mut ended = false;
        let sent = poll_fn(|cx| {
            loop {
                let mut starved = false;
                while !ended && self.link.waiting() < CROWDED {
                    let Poll::Ready(frame) = body.as_mut().poll_frame(cx) else {
                        starved = true;
                        break;
                    };
                    let taken = self.take(frame.transpose(), framing, &mut left);
                    match taken {
                        Some(end) => ended = end || body.is_end_stream() && self.end(framing),
                        None => return Poll::Ready(Err(ConnectionEnd::BrokenResponse)),
                    }
                }
                match self.link.poll_flush(cx) {
                    Poll::Ready(Ok(())) if ended => return Poll::Ready(Ok(())),
                    Poll::Ready(Ok(())) if starved => {
                        return self.link.poll_gone(cx).map(|()| Err(ConnectionEnd::Gone));
                    }
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(ConnectionEnd::Gone)),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        let sent = sent.await;
        if sent.is_ok() && left.is_some_and(|left| left > 0) {
            return Err(ConnectionEnd::BrokenResponse);
        }
        sent
    }

    // Whether it was the last part; `None` if the body is not as it was announced.
    fn take<E>(
        &self,
        frame: Result<Option<Frame<Bytes>>, E>,
        framing: Framing,
        left: &mut Option<u64>,
    ) -> Option<bool> {
        let Some(frame) = frame.ok()? else {
            return Some(self.end(framing));
        };
        match frame.into_data() {
            Ok(data) => {
                if let Some(left) = left {
                    *left = left.checked_sub(data.len() as u64)?;
                }
                self.link.write(|output| match framing {
                    Framing::Chunked => encode_chunk(&data, output),
                    _ => output.extend_from_slice(&data),
                });
                Some(false)
            }
            Err(frame) => {
                if framing == Framing::Chunked {
                    let trailers = frame.into_trailers().ok();
                    self.link
                        .write(|output| encode_end(trailers.as_ref(), output));
                }
                Some(true)
            }
        }
    }

    fn end(&self, framing: Framing) -> bool {
        if framing == Framing::Chunked {
            self.link.write(|output| encode_end(None, output));
        }
        true
    }

    async fn flush(&self) -> Result<(), ConnectionEnd> {
        let flushed = poll_fn(|cx| self.link.poll_flush(cx)).await;
        flushed.map_err(|_| ConnectionEnd::Gone)
    }

    async fn shut(&self) {
        poll_fn(|cx| self.link.poll_shutdown(cx)).await;
    }
}
