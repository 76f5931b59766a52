//! The client's side.

use std::future::{Future as _, poll_fn};
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use http::{Request, Response, request, response};
use http_body::Body as _;
use mesh_proxy_core::http2::{Config, Connection, ErrorCode, OpenError, StreamId};
use tokio_util::task::TaskTracker;

use super::body::Side;
use super::driver::{ConnectionEnd, Driver};
use super::link::{Link, Slot};
use super::pump::Pump;
use super::{RecvBody, StreamError, Tunnel};
use crate::http::{Incoming, RequestBody};
use crate::net::Stream;

/// A connection to a server. Closed once all handles and all requests are gone.
pub struct Handle {
    link: Rc<Link>,
    tasks: TaskTracker,
}

/// What a client wants of a connection.
pub struct Opening {
    /// What the server is allowed.
    pub config: Config,
    /// How long the server may be silent while it owes something.
    pub interval: Duration,
    /// How long it may take then to show that it is there.
    pub timeout: Duration,
}

/// A request that was sent. Dropped before its response has come, it is given up.
pub struct Waiting {
    link: Rc<Link>,
    slot: Slot,
    id: StreamId,
    answered: bool,
}

/// Begins HTTP/2 on a connection, with prior knowledge. It is driven by a task among `tasks`.
pub fn connect(stream: Stream, opening: Opening, tasks: &TaskTracker) -> Handle {
    let link = Link::new(Connection::client(opening.config));
    let driver = Driver::new(stream, Rc::clone(&link), opening.interval, opening.timeout);
    tasks.spawn_local(drive(driver));
    Handle {
        link,
        tasks: tasks.clone(),
    }
}

async fn drive(mut driver: Driver) {
    let link = Rc::clone(&driver.link);
    let end = poll_fn(|cx: &mut Context<'_>| {
        link.is_awake();
        loop {
            let came = driver.poll_read(cx, &mut drop);
            // This function's, and the driver's own.
            if Rc::strong_count(&link) <= 2 && link.state.borrow().open_streams() == 0 {
                driver.end();
            }
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
    match end.await {
        ConnectionEnd::Finished => {}
        end => tracing::trace!(%end, "upstream connection ended"),
    }
    link.close();
}

// === impl Handle ===

impl Clone for Handle {
    fn clone(&self) -> Self {
        Self {
            link: Rc::clone(&self.link),
            tasks: self.tasks.clone(),
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        // It may be the last one.
        self.link.wake();
    }
}

impl Handle {
    /// Whether a request can begin now.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn can_open(&self) -> Result<(), OpenError> {
        if self.link.closed.get() {
            return Err(OpenError::Closed);
        }
        self.link.state.borrow().can_open()
    }

    /// Requests under way.
    pub fn open_streams(&self) -> usize {
        self.link.state.borrow().open_streams()
    }

    /// Sends a request. Its body follows as the server takes it.
    ///
    /// # Errors
    /// [`StreamError::Unprocessed`]: the connection takes no more requests.
    pub fn begin(&self, request: Request<RequestBody>) -> Result<Waiting, StreamError> {
        let (parts, body) = request.into_parts();
        let end = body.is_end_stream();
        self.can_open().map_err(|_| StreamError::Unprocessed)?;
        let opened = self.link.with(|state| state.open(&parts, end));
        let (id, slot) = opened.map_err(|_| StreamError::Unprocessed)?;
        let waiting = Waiting {
            link: Rc::clone(&self.link),
            slot,
            id,
            answered: false,
        };
        if !end {
            self.send_body(id, &waiting.slot, body);
        }
        Ok(waiting)
    }

    /// Asks for a tunnel. The server's answer is the error of the result if there is none. Dropping
    /// the future gives the request up.
    ///
    /// # Errors
    /// [`StreamError`]; `Unprocessed` if nothing of the request was looked at.
    pub async fn tunnel(
        &self,
        head: &request::Parts,
    ) -> Result<Result<Tunnel, Box<response::Parts>>, StreamError> {
        self.can_open().map_err(|_| StreamError::Unprocessed)?;
        let opened = self.link.with(|state| state.open(head, false));
        let (id, slot) = opened.map_err(|_| StreamError::Unprocessed)?;
        let tunnel = Tunnel::new(Rc::clone(&self.link), slot.clone(), id, ErrorCode::CANCEL);
        let (parts, _) = poll_fn(|cx| slot.poll_head(cx)).await?;
        Ok(if parts.status.is_success() {
            Ok(tunnel)
        } else {
            Err(Box::new(parts))
        })
    }

    // At once, if the body is there; otherwise a task sends it, also after the response has
    // begun.
    fn send_body(&self, id: StreamId, slot: &Slot, body: RequestBody) {
        let stream = (id, slot.clone());
        let pump = Pump::new(Rc::clone(&self.link), stream, body, ErrorCode::CANCEL);
        let mut work = Box::pin(pump);
        let now = &mut Context::from_waker(Waker::noop());
        if work.as_mut().poll(now).is_pending() {
            self.tasks.spawn_local(work);
        }
    }
}

// === impl Waiting ===

impl Waiting {
    /// The head of the response.
    ///
    /// # Errors
    /// [`StreamError`]; `Unprocessed` if nothing of the request was looked at.
    pub fn poll_answer(
        &mut self,
        cx: &Context<'_>,
    ) -> Poll<Result<Response<Incoming>, StreamError>> {
        let (parts, end) = ready!(self.slot.poll_head(cx))?;
        self.answered = true;
        let body = if end {
            Incoming::Empty
        } else {
            let (link, slot) = (Rc::clone(&self.link), self.slot.clone());
            let body = RecvBody::new(link, slot, self.id, Side::Response, &parts.headers);
            Incoming::Http2(body)
        };
        Poll::Ready(Ok(Response::from_parts(parts, body)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.answered {
            let id = self.id;
            self.link.with(|state| state.reset(id, ErrorCode::CANCEL));
        }
    }
}
