//! The server's side.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use http::header::CONTENT_LENGTH;
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response};
use http_body::Body;
use mesh_proxy_core::Reason;
use mesh_proxy_core::http2::{Config, Connection, ErrorCode, Event, StreamId};

use super::body::Side;
use super::driver::{ConnectionEnd, Driver};
use super::link::{Link, Slot};
use super::pump::Pump;
use super::{Offer, RecvBody, Tunnel};
use crate::drain::Drain;
use crate::http::{Incoming, ResponseBody};
use crate::net::Stream;

/// How long a client may be silent while it owes something, and how long it may take to show that
/// it is there.
pub struct Patience {
    /// Until it is asked.
    pub interval: std::time::Duration,
    /// For its answer.
    pub timeout: std::time::Duration,
}

/// The body of an answer.
pub trait AnswerBody: Body<Data = Bytes> + Unpin {
    /// Whether requests may name an authority that is no host: on sockets that have a path.
    const ANY_AUTHORITY: bool = false;

    /// Nobody wants the body: the request was a HEAD, or there is nothing to send.
    fn skip(self);
}

impl AnswerBody for ResponseBody {
    fn skip(self) {
        Self::skip(self);
    }
}

/// A request that came over HTTP/1.1 and goes on over HTTP/2.
pub struct Upgraded {
    /// Its head, in HTTP/2's form. It has no body.
    pub parts: Parts,
    /// The client's settings.
    pub settings: Vec<u8>,
}

/// One request: dropped as soon as its client gives it up.
struct Exchange<F, B> {
    link: Rc<Link>,
    id: StreamId,
    slot: Slot,
    is_head: bool,
    stage: Stage<F, B>,
}

enum Stage<F, B> {
    Answering(Pin<Box<F>>),
    Sending(Pump<B>),
    Over,
}

/// Answers the requests of one connection until it ends, `first` if it came before. What is no
/// request is refused by the protocol, and told to `refuse` with its cause. While the proxy drains,
/// running requests finish, and no more are taken once the client knows; what still runs at the end
/// is cut.
///
/// # Errors
/// How it ended, if not in order.
pub async fn serve<H, F, B, R>(
    stream: Stream,
    config: Config,
    patience: Patience,
    drain: &Drain,
    first: Option<Upgraded>,
    (handle, refuse): (H, R),
) -> Result<(), ConnectionEnd>
where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: AnswerBody,
    R: Fn(Reason, &'static str),
{
    let mut state = Connection::server(config);
    if B::ANY_AUTHORITY {
        state.take_any_authority();
    }
    let link = Link::new(state);
    let driver = Driver::new(
        stream,
        Rc::clone(&link),
        patience.interval,
        patience.timeout,
    );
    let mut running = FuturesUnordered::new();
    let begin = |id, slot: Slot, request: Request<Incoming>| Exchange {
        link: Rc::clone(&link),
        id,
        slot,
        is_head: request.method() == Method::HEAD,
        stage: Stage::Answering(Box::pin(handle(request))),
    };
    if let Some(Upgraded { parts, settings }) = first {
        let (id, slot) = link.with(|state| state.upgrade(&settings))?;
        running.push(begin(id, slot, Request::from_parts(parts, Incoming::Empty)));
    }
    run(driver, drain, |driver, cx| {
        let came = driver.poll_read(cx, &mut |event| {
            if let Event::NoRequest { reason, why } = event {
                refuse(reason, why);
            } else if let Some((id, slot, request)) = take(&link, event) {
                running.push(begin(id, slot, request));
            }
        });
        let mut done = false;
        while let Poll::Ready(Some(())) = running.poll_next_unpin(cx) {
            done = true;
        }
        came || done
    })
    .await
}

/// Offers each request of one connection as a tunnel, until the connection ends. While the proxy
/// drains, open tunnels live, and no more are taken once the client knows.
///
/// # Errors
/// How it ended, if not in order.
pub async fn serve_tunnels(
    stream: Stream,
    config: Config,
    patience: Patience,
    drain: &Drain,
    accept: impl Fn(Offer),
) -> Result<(), ConnectionEnd> {
    let link = Link::new(Connection::server(config));
    let driver = Driver::new(
        stream,
        Rc::clone(&link),
        patience.interval,
        patience.timeout,
    );
    run(driver, drain, |driver, cx| {
        driver.poll_read(cx, &mut |event| {
            let Event::Request {
                id,
                data: slot,
                parts: head,
                end,
            } = event
            else {
                return;
            };
            if end {
                slot.end();
            }
            let tunnel = Tunnel::new(Rc::clone(&link), slot, id, ErrorCode::NO_ERROR);
            let answer = tunnel.answer();
            accept(Offer {
                head,
                tunnel,
                answer,
            });
        })
    })
    .await
}

// `step` reads and does what came of it; it returns whether that was anything.
async fn run(
    mut driver: Driver,
    drain: &Drain,
    mut step: impl FnMut(&mut Driver, &mut Context<'_>) -> bool,
) -> Result<(), ConnectionEnd> {
    let link = Rc::clone(&driver.link);
    let mut drained = pin!(drain.started());
    let mut is_draining = false;
    let run = poll_fn(|cx: &mut Context<'_>| {
        link.is_awake();
        if !is_draining && drained.as_mut().poll(cx).is_ready() {
            is_draining = true;
            link.state.borrow_mut().shut_down();
        }
        loop {
            let came = step(&mut driver, cx);
            if let Poll::Ready(end) = driver.poll_write(cx) {
                driver.shut(cx);
                return Poll::Ready(end);
            }
            if !came && !driver.may_read_again() {
                link.sleeps(cx);
                return Poll::Pending;
            }
        }
    });
    let mut run = pin!(run);
    let end = tokio::select! {
        biased;
        end = &mut run => end,
        () = drain.closed() => ConnectionEnd::Finished,
    };
    link.close();
    match end {
        ConnectionEnd::Finished | ConnectionEnd::Closed => Ok(()),
        other => Err(other),
    }
}

fn take(link: &Rc<Link>, event: Event<Slot>) -> Option<(StreamId, Slot, Request<Incoming>)> {
    let Event::Request {
        id,
        data: slot,
        parts,
        end,
    } = event
    else {
        return None;
    };
    let body = if end {
        Incoming::Empty
    } else {
        let body = RecvBody::new(
            Rc::clone(link),
            slot.clone(),
            id,
            Side::Request,
            &parts.headers,
        );
        Incoming::Http2(body)
    };
    Some((id, slot, Request::from_parts(parts, body)))
}

// Sends the head of an answer. Returns its body, if that is to be sent.
fn respond<B: AnswerBody>(
    link: &Link,
    id: StreamId,
    is_head: bool,
    response: Response<B>,
) -> Option<B> {
    let (mut parts, body) = response.into_parts();
    let end = is_head || body.is_end_stream();
    if let Some(length) = body.size_hint().exact()
        && length > 0
        && !parts.headers.contains_key(CONTENT_LENGTH)
    {
        parts
            .headers
            .insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    link.with(|state| state.respond(id, &parts, end));
    if end {
        body.skip();
        return None;
    }
    Some(body)
}

// === impl Exchange ===

impl<F, B> Exchange<F, B> {
    fn end(&mut self) -> Poll<()> {
        self.stage = Stage::Over;
        // What is left of the request is of no use (RFC 9113 section 8.1).
        self.link
            .with(|state| state.reset(self.id, ErrorCode::NO_ERROR));
        Poll::Ready(())
    }
}

impl<F, B> Future for Exchange<F, B>
where
    F: Future<Output = Response<B>>,
    B: AnswerBody,
{
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let exchange = self.get_mut();
        if exchange.slot.has_failed(cx) {
            exchange.stage = Stage::Over;
        }
        loop {
            match &mut exchange.stage {
                Stage::Over => return Poll::Ready(()),
                Stage::Answering(answer) => {
                    let response = ready!(answer.as_mut().poll(cx));
                    let (link, id) = (&exchange.link, exchange.id);
                    let Some(body) = respond(link, id, exchange.is_head, response) else {
                        return exchange.end();
                    };
                    let stream = (id, exchange.slot.clone());
                    let code = ErrorCode::INTERNAL_ERROR;
                    let pump = Pump::new(Rc::clone(link), stream, body, code);
                    // The answer's future is gone before its body is sent.
                    exchange.stage = Stage::Sending(pump);
                }
                Stage::Sending(pump) => {
                    ready!(Pin::new(pump).poll(cx));
                    return exchange.end();
                }
            }
        }
    }
}
