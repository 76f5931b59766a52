//! What the tasks of a connection share: its state, and a slot for each stream.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http::{HeaderMap, response};
use mesh_proxy_core::http2::{Connection, ErrorCode, Event, StreamId};

/// One connection. Whoever adds to its output wakes its task.
pub(super) struct Link {
    pub(super) state: RefCell<Connection<Slot>>,
    /// Whether nothing goes over it any more.
    pub(super) closed: Cell<bool>,
    driver: RefCell<Option<Waker>>,
    // Those that wait for room in the output.
    crowd: RefCell<Vec<Waker>>,
}

/// What has come on a stream, and who waits for more.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot(Rc<RefCell<Inner>>);

#[derive(Debug, Default)]
struct Inner {
    head: Option<(response::Parts, bool)>,
    chunks: VecDeque<Bytes>,
    trailers: Option<HeaderMap>,
    ended: bool,
    failure: Option<StreamError>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    owner: Option<Waker>,
}

/// Why a stream ended before its messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// The peer ended it.
    #[error("the peer reset the stream: {0}")]
    Reset(ErrorCode),
    /// This side ended it: the peer broke the protocol.
    #[error("the peer broke the protocol on the stream: {0}")]
    Broken(ErrorCode),
    /// The peer did nothing with the request, and will not.
    #[error("the peer closed the connection and did not process the stream")]
    Unprocessed,
    /// The connection ended.
    #[error("the connection ended")]
    Disconnected,
}

/// Output that waits for the socket; nobody adds more data to more than that.
const CROWDED: usize = 64 * 1024;

/// Chunks smaller than this are put together while nobody takes them: many small frames shall
/// not cost more memory than their octets.
const SMALL: usize = 1024;

// === impl Link ===

impl Link {
    pub(super) fn new(state: Connection<Slot>) -> Rc<Self> {
        Rc::new(Self {
            state: RefCell::new(state),
            closed: Cell::new(false),
            driver: RefCell::default(),
            crowd: RefCell::default(),
        })
    }

    /// Does something with the state, and lets the connection's task write what came of it.
    pub(super) fn with<R>(&self, act: impl FnOnce(&mut Connection<Slot>) -> R) -> R {
        let mut state = self.state.borrow_mut();
        let before = state.output().len();
        let result = act(&mut state);
        let more = state.output().len() > before;
        drop(state);
        if more {
            self.wake();
        }
        result
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = self.driver.borrow_mut().take() {
            waker.wake();
        }
    }

    /// The task that is running is the connection's: it is awake.
    pub(super) fn is_awake(&self) {
        self.driver.borrow_mut().take();
    }

    /// The connection's task has nothing to do for now.
    pub(super) fn sleeps(&self, cx: &Context<'_>) {
        *self.driver.borrow_mut() = Some(cx.waker().clone());
    }

    /// Octets that may be sent on a stream now; waits until there may be some. `None` once the
    /// stream has ended.
    pub(super) fn poll_capacity(
        &self,
        id: StreamId,
        slot: &Slot,
        cx: &Context<'_>,
    ) -> Poll<Option<usize>> {
        let mut state = self.state.borrow_mut();
        match state.capacity(id) {
            None => Poll::Ready(None),
            Some(0) => {
                slot.0.borrow_mut().writer = Some(cx.waker().clone());
                Poll::Pending
            }
            Some(_) if state.output().len() >= CROWDED => {
                let mut crowd = self.crowd.borrow_mut();
                // Whoever has asked just before would only be woken twice.
                if !crowd.last().is_some_and(|last| last.will_wake(cx.waker())) {
                    crowd.push(cx.waker().clone());
                }
                Poll::Pending
            }
            Some(capacity) => Poll::Ready(Some(capacity)),
        }
    }

    pub(super) fn is_crowded(&self) -> bool {
        self.state.borrow_mut().output().len() >= CROWDED
    }

    /// There is room in the output again.
    pub(super) fn disperse(&self) {
        let mut crowd = self.crowd.borrow_mut();
        if !crowd.is_empty() {
            let crowd = std::mem::take(&mut *crowd);
            crowd.into_iter().for_each(Waker::wake);
        }
    }

    /// Nothing goes over the connection any more: all streams end.
    pub(super) fn close(&self) {
        self.closed.set(true);
        let state = self.state.borrow();
        for slot in state.all() {
            slot.fail(StreamError::Disconnected);
        }
        drop(state);
        self.disperse();
    }

    /// Puts an event where it belongs. Returns what is for the server: a request, or that there
    /// is none.
    pub(super) fn dispatch(&self, event: Event<Slot>) -> Option<Event<Slot>> {
        match event {
            Event::Request { .. } | Event::NoRequest { .. } => return Some(event),
            Event::Response { data, parts, end } => data.answer(parts, end),
            Event::Data { data, bytes, end } => data.push(bytes, end),
            Event::Trailers { data, fields } => data.finish(fields),
            Event::Reset { data, code, by_us } => data.fail(if by_us {
                StreamError::Broken(code)
            } else {
                StreamError::Reset(code)
            }),
            Event::Window { data } => data.writable(),
            Event::Windows => self.state.borrow().all().for_each(Slot::writable),
            Event::GoAway { .. } => {
                let unprocessed = self.state.borrow_mut().unprocessed();
                for slot in unprocessed {
                    slot.fail(StreamError::Unprocessed);
                }
            }
            Event::Pong => {}
        }
        None
    }
}

// === impl Slot ===

impl Slot {
    fn answer(&self, parts: response::Parts, end: bool) {
        let mut inner = self.0.borrow_mut();
        inner.head = Some((parts, end));
        inner.ended |= end;
        wake(&mut inner.reader);
    }

    fn push(&self, bytes: Bytes, end: bool) {
        let mut inner = self.0.borrow_mut();
        if !bytes.is_empty() {
            match inner.chunks.back_mut() {
                Some(last) if last.len() + bytes.len() <= SMALL => {
                    *last = [&last[..], &bytes[..]].concat().into();
                }
                _ => inner.chunks.push_back(bytes),
            }
        }
        inner.ended |= end;
        wake(&mut inner.reader);
    }

    fn finish(&self, trailers: HeaderMap) {
        let mut inner = self.0.borrow_mut();
        inner.trailers = Some(trailers);
        inner.ended = true;
        wake(&mut inner.reader);
    }

    pub(super) fn fail(&self, error: StreamError) {
        let mut inner = self.0.borrow_mut();
        inner.failure.get_or_insert(error);
        wake(&mut inner.reader);
        wake(&mut inner.writer);
        wake(&mut inner.owner);
    }

    /// Nothing will come.
    pub(super) fn end(&self) {
        self.0.borrow_mut().ended = true;
    }

    fn writable(&self) {
        wake(&mut self.0.borrow_mut().writer);
    }

    /// The head of the response, and whether it is all of it.
    pub(super) fn poll_head(
        &self,
        cx: &Context<'_>,
    ) -> Poll<Result<(response::Parts, bool), StreamError>> {
        let mut inner = self.0.borrow_mut();
        if let Some(head) = inner.head.take() {
            return Poll::Ready(Ok(head));
        }
        if let Some(failure) = inner.failure {
            return Poll::Ready(Err(failure));
        }
        inner.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// The next part of the body.
    pub(super) fn poll_chunk(
        &self,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, StreamError>>> {
        let mut inner = self.0.borrow_mut();
        if let Some(chunk) = inner.chunks.pop_front() {
            return Poll::Ready(Some(Ok(http_body::Frame::data(chunk))));
        }
        if let Some(trailers) = inner.trailers.take() {
            return Poll::Ready(Some(Ok(http_body::Frame::trailers(trailers))));
        }
        if inner.ended {
            return Poll::Ready(None);
        }
        if let Some(failure) = inner.failure {
            return Poll::Ready(Some(Err(failure)));
        }
        inner.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Whether the body has been taken to its end.
    pub(super) fn is_taken(&self) -> bool {
        let inner = self.0.borrow();
        inner.ended && inner.chunks.is_empty() && inner.trailers.is_none()
    }

    /// Whether the peer has sent all it has to.
    pub(super) fn has_ended(&self) -> bool {
        self.0.borrow().ended
    }

    /// Octets that nobody has taken; they are dropped.
    pub(super) fn drop_rest(&self) -> usize {
        let mut inner = self.0.borrow_mut();
        let rest = inner.chunks.drain(..);
        rest.map(|chunk| chunk.len()).sum()
    }

    /// Why the stream has failed, if it has.
    pub(super) fn failure(&self) -> Option<StreamError> {
        self.0.borrow().failure
    }

    /// Whether the stream has failed; whoever asks is woken when it does.
    pub(super) fn has_failed(&self, cx: &Context<'_>) -> bool {
        let mut inner = self.0.borrow_mut();
        if inner.failure.is_some() {
            return true;
        }
        match &inner.owner {
            Some(owner) if owner.will_wake(cx.waker()) => {}
            _ => inner.owner = Some(cx.waker().clone()),
        }
        false
    }
}

fn wake(waiting: &mut Option<Waker>) {
    if let Some(waker) = waiting.take() {
        waker.wake();
    }
}
