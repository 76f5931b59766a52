//! Reading and writing of one connection.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Buf as _;
use mesh_proxy_core::http2::{ConnectionError, ErrorCode, Event};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};
use tokio::time::Sleep;

use super::link::{Link, Slot};
use crate::clock;
use crate::net::Stream;

/// The socket of a connection, and its state.
pub(super) struct Driver {
    io: Stream,
    pub(super) link: Rc<Link>,
    heartbeat: Heartbeat,
    // Nothing was read since the output was crowded: nobody wakes this task for what is there.
    held: bool,
    // The peer did not take all that was written.
    blocked: bool,
    // The end of the connection, once the rest of the output is written.
    ending: Option<ConnectionEnd>,
}

/// Asks a silent peer whether it is there, while it owes something.
struct Heartbeat {
    interval: Duration,
    timeout: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    heard: bool,
    asked: bool,
}

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionEnd {
    /// The peer closed it.
    #[error("the peer closed the connection")]
    Closed,
    /// This side has nothing left to do on it.
    #[error("finished")]
    Finished,
    /// The socket or its TLS failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Protocol(#[from] ConnectionError),
    /// The peer does not answer.
    #[error("the peer does not answer")]
    Silent,
}

/// How much is read at once.
const READ: usize = 32 * 1024;

// Reads in a row before others have their turn.
const TURNS: usize = 4;

thread_local! {
    // Connections read in turn and keep only what they cannot use at once.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
}

// === impl Driver ===

impl Driver {
    pub(super) fn new(io: Stream, link: Rc<Link>, interval: Duration, timeout: Duration) -> Self {
        Self {
            io,
            link,
            heartbeat: Heartbeat {
                interval,
                timeout,
                timer: None,
                heard: true,
                asked: false,
            },
            held: false,
            blocked: false,
            ending: None,
        }
    }

    /// Reads what is there and gives requests to `serve`. Returns whether anything came. No more
    /// is read while the peer does not take what it is sent.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        serve: &mut dyn FnMut(Event<Slot>),
    ) -> bool {
        let mut came = false;
        for _ in 0..TURNS {
            self.held = self.link.is_crowded();
            if self.ending.is_some() || self.held {
                return came;
            }
            let result = SCRATCH.with_borrow_mut(|scratch| {
                let mut buffer = ReadBuf::new(scratch);
                ready!(Pin::new(&mut self.io).poll_read(cx, &mut buffer))?;
                if buffer.filled().is_empty() {
                    return Poll::Ready(Err(ConnectionEnd::Closed));
                }
                Poll::Ready(self.take(buffer.filled(), serve))
            });
            match result {
                Poll::Pending => return came,
                Poll::Ready(Ok(())) => came = true,
                Poll::Ready(Err(end)) => {
                    if let ConnectionEnd::Protocol(error) = &end {
                        self.link.state.borrow_mut().abort(error);
                    }
                    self.ending = Some(end);
                    return true;
                }
            }
        }
        came
    }

    fn take(
        &mut self,
        mut octets: &[u8],
        serve: &mut dyn FnMut(Event<Slot>),
    ) -> Result<(), ConnectionEnd> {
        self.heartbeat.heard = true;
        let now = clock::monotonic();
        loop {
            let event = self.link.state.borrow_mut().receive(&mut octets, now)?;
            let Some(event) = event else {
                return Ok(());
            };
            if let Some(request) = self.link.dispatch(event) {
                serve(request);
            }
        }
    }

    /// Writes what is there. Ready once the connection has ended and all is written, or cannot be.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<ConnectionEnd> {
        if let Some(end @ (ConnectionEnd::Closed | ConnectionEnd::Io(_))) = self
            .ending
            .take_if(|end| matches!(end, ConnectionEnd::Closed | ConnectionEnd::Io(_)))
        {
            return Poll::Ready(end);
        }
        match self.poll_flush(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => return Poll::Ready(error.into()),
            Poll::Pending => {
                // A peer that takes nothing is not waited for once the connection has ended.
                return match self.heartbeat.poll(cx, &self.link) {
                    Poll::Ready(()) => Poll::Ready(ConnectionEnd::Silent),
                    Poll::Pending => Poll::Pending,
                };
            }
        }
        if let Some(end) = self.ending.take() {
            return Poll::Ready(end);
        }
        if self.link.state.borrow().is_finished() {
            return Poll::Ready(ConnectionEnd::Finished);
        }
        match self.heartbeat.poll(cx, &self.link) {
            Poll::Ready(()) => Poll::Ready(ConnectionEnd::Silent),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Whether there is room again for what reading brings, after there was none.
    pub(super) fn may_read_again(&self) -> bool {
        self.held && !self.link.is_crowded()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut wrote = false;
        loop {
            let mut state = self.link.state.borrow_mut();
            let output = state.output();
            if output.is_empty() {
                break;
            }
            let Poll::Ready(count) = Pin::new(&mut self.io).poll_write(cx, output)? else {
                self.blocked = true;
                return Poll::Pending;
            };
            // A slow reader says nothing, since nothing is read from it meanwhile; that it takes
            // what it is sent shows that it is there.
            self.heartbeat.heard |= std::mem::take(&mut self.blocked);
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            output.advance(count);
            wrote = true;
            if output.is_empty() {
                // An idle connection keeps no buffer.
                *output = bytes::BytesMut::new();
            }
            drop(state);
            self.link.disperse();
        }
        if wrote {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    /// Closes the socket in order, as far as it takes that without waiting.
    pub(super) fn shut(&mut self, cx: &mut Context<'_>) {
        let _ = Pin::new(&mut self.io).poll_shutdown(cx);
    }

    /// Ends the connection from this side.
    pub(super) fn end(&mut self) {
        let error = ConnectionError {
            code: ErrorCode::NO_ERROR,
            detail: "",
        };
        self.link.state.borrow_mut().abort(&error);
        self.ending = Some(ConnectionEnd::Finished);
    }
}

// === impl Heartbeat ===

impl Heartbeat {
    /// Ready if the peer owes something and says nothing.
    fn poll(&mut self, cx: &mut Context<'_>, link: &Link) -> Poll<()> {
        loop {
            let mut state = link.state.borrow_mut();
            let owes = state.open_streams() > 0 || !state.output().is_empty();
            if !owes && self.timer.is_none() {
                return Poll::Pending;
            }
            let timer = self
                .timer
                .get_or_insert_with(|| Box::pin(tokio::time::sleep(self.interval)));
            ready!(timer.as_mut().poll(cx));
            if self.asked && !self.heard {
                return Poll::Ready(());
            }
            self.asked = owes && !self.heard;
            let wait = if self.asked {
                state.ping();
                cx.waker().wake_by_ref();
                self.timeout
            } else {
                self.interval
            };
            self.heard = false;
            if owes {
                timer.as_mut().reset(tokio::time::Instant::now() + wait);
            } else {
                self.timer = None;
                state.shrink();
            }
        }
    }
}

#[cfg(test)]
mod tests;
