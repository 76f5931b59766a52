//! The server's side.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use http::header::CONTENT_LENGTH;
use http::{HeaderValue, Method, Request, Response};
use http_body::Body as _;
use mesh_proxy_core::http2::{Config, Connection, ErrorCode, Event, StreamId};

use super::body::Side;
use super::driver::{ConnectionEnd, Driver};
use super::link::{Link, Slot};
use super::{RecvBody, pump};
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

/// One request: dropped as soon as its client gives it up.
struct Exchange<F> {
    work: Option<Pin<Box<F>>>,
    slot: Slot,
}

/// Answers the requests of one connection until it ends. While the proxy drains, running requests
/// finish, and no more are taken once the client knows; what still runs at the end is cut.
///
/// # Errors
/// How it ended, if not in order.
pub async fn serve<H, F>(
    stream: Stream,
    config: Config,
    patience: Patience,
    drain: &Drain,
    handle: H,
) -> Result<(), ConnectionEnd>
where
    H: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<ResponseBody>>,
{
    let link = Link::new(Connection::server(config));
    let mut driver = Driver::new(
        stream,
        Rc::clone(&link),
        patience.interval,
        patience.timeout,
    );
    let mut running = FuturesUnordered::new();
    let mut drained = pin!(drain.started());
    let mut is_draining = false;
    let run = poll_fn(|cx: &mut Context<'_>| {
        link.is_awake();
        if !is_draining && drained.as_mut().poll(cx).is_ready() {
            is_draining = true;
            link.state.borrow_mut().shut_down();
        }
        loop {
            let came = driver.poll_read(cx, &mut |event| {
                if let Some((id, slot, request)) = take(&link, event) {
                    let is_head = request.method() == Method::HEAD;
                    let answer = handle(request);
                    let work = exchange(Rc::clone(&link), id, slot.clone(), is_head, answer);
                    let work = Some(Box::pin(work));
                    running.push(Exchange { work, slot });
                }
            });
            let mut done = false;
            while let Poll::Ready(Some(())) = running.poll_next_unpin(cx) {
                done = true;
            }
            if let Poll::Ready(end) = driver.poll_write(cx) {
                driver.shut(cx);
                return Poll::Ready(end);
            }
            if !came && !done && !driver.may_read_again() {
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

async fn exchange<F>(link: Rc<Link>, id: StreamId, slot: Slot, is_head: bool, answer: F)
where
    F: Future<Output = Response<ResponseBody>>,
{
    let (mut parts, body) = answer.await.into_parts();
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
    } else {
        pump::send_body(&link, id, &slot, body, ErrorCode::INTERNAL_ERROR).await;
    }
    // What is left of the request is of no use (RFC 9113 section 8.1).
    link.with(|state| state.reset(id, ErrorCode::NO_ERROR));
}

// === impl Exchange ===

impl<F: Future<Output = ()>> Future for Exchange<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.slot.has_failed(cx) {
            self.work = None;
        }
        match &mut self.work {
            None => Poll::Ready(()),
            Some(work) => work.as_mut().poll(cx),
        }
    }
}
