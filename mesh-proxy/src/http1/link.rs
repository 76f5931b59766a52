//! What those share who read from and write to one connection.

use std::cell::RefCell;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, Bytes, BytesMut};
use http_body::Frame;
use mesh_proxy_core::http1::{CONTINUE, Decoder, Length, Malformed, find_end};
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use crate::net::Stream;

/// One connection.
pub(super) struct Link(RefCell<Inner>);

struct Inner {
    // Absent once the connection was given up, or taken over by another protocol.
    io: Option<Stream>,
    unread: BytesMut,
    // Octets of them that are known to hold no whole head.
    looked_at: usize,
    output: BytesMut,
    // Whether the socket took anything since the message before.
    sent: bool,
    // A task writes the body of a request.
    writing: bool,
    // The peer takes no message after the one at hand.
    last: bool,
    decoder: Decoder,
    // Which message the decoder is for: readers of earlier ones get nothing of it.
    message: u32,
    // The client waits for a word before it sends the body.
    expects_continue: bool,
    // Nobody reads the rest of the body.
    abandoned: bool,
    // The server's task, which watches while others read or write.
    owner: Option<Waker>,
    writer: Option<Waker>,
}

/// Why a message broke off.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The peer closed the connection before a message.
    #[error("the peer closed the connection")]
    Closed,
    /// The peer closed the connection in the middle of a message.
    #[error("the peer closed the connection in the middle of a message")]
    Incomplete,
    /// This side gave the connection up.
    #[error("the connection was given up")]
    GivenUp,
    /// The peer broke the protocol.
    #[error("the peer broke the protocol: {0}")]
    Malformed(#[from] Malformed),
    /// The socket or its TLS failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// What one read may bring: as much as TLS reads ahead.
const READ: usize = 64 * 1024;

/// Output that waits for the socket; nobody adds more data to more than that.
pub(super) const CROWDED: usize = 64 * 1024;

/// What is read ahead of the message at hand, for the peer's end to be seen.
const AHEAD: usize = 64 * 1024;

thread_local! {
    // Connections read in turn and keep only what they cannot use at once.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; READ].into());
}

// === impl Link ===

impl Link {
    pub(super) fn new(io: Stream) -> Rc<Self> {
        Rc::new(Self(RefCell::new(Inner {
            io: Some(io),
            unread: BytesMut::new(),
            looked_at: 0,
            output: BytesMut::new(),
            sent: false,
            writing: false,
            last: false,
            decoder: Decoder::new(Length::None),
            message: 0,
            expects_continue: false,
            abandoned: false,
            owner: None,
            writer: None,
        })))
    }

    /// Gives the octets that were read to `parse` as soon as they may be a whole head, until it
    /// takes one. `Closed` if the peer ends before the first octet.
    pub(super) fn poll_head<T>(
        &self,
        cx: &mut Context<'_>,
        most: usize,
        mut parse: impl FnMut(&mut BytesMut) -> Result<Option<T>, Malformed>,
    ) -> Poll<Result<T, MessageError>> {
        let mut inner = self.0.borrow_mut();
        loop {
            if find_end(&inner.unread, inner.looked_at).is_some()
                && let Some(head) = parse(&mut inner.unread)?
            {
                inner.looked_at = 0;
                return Poll::Ready(Ok(head));
            }
            inner.looked_at = inner.unread.len();
            if inner.looked_at > most {
                return Poll::Ready(Err(Malformed::HeadTooLarge.into()));
            }
            let ended = match ready!(inner.poll_fill(cx)) {
                Ok(count) => count == 0,
                // TLS that was not ended in order.
                Err(MessageError::Io(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    true
                }
                Err(error) => return Poll::Ready(Err(error)),
            };
            if ended {
                let nothing = inner.unread.is_empty();
                return Poll::Ready(Err(if nothing {
                    MessageError::Closed
                } else {
                    MessageError::Incomplete
                }));
            }
        }
    }

    /// Whether the socket took anything since it was asked last.
    pub(super) fn has_sent(&self) -> bool {
        std::mem::take(&mut self.0.borrow_mut().sent)
    }

    /// The peer takes no message after the one at hand.
    pub(super) fn set_last(&self) {
        self.0.borrow_mut().last = true;
    }

    pub(super) fn is_last(&self) -> bool {
        self.0.borrow().last
    }

    /// A task writes the body of a request, or has done so.
    pub(super) fn set_writing(&self, writing: bool) {
        self.0.borrow_mut().writing = writing;
    }

    /// A message's body comes now. Returns its number.
    pub(super) fn begin_body(&self, length: Length, expects_continue: bool) -> u32 {
        let mut inner = self.0.borrow_mut();
        inner.decoder = Decoder::new(length);
        inner.message = inner.message.wrapping_add(1);
        inner.expects_continue = expects_continue;
        inner.abandoned = false;
        inner.message
    }

    /// The next part of a message's body.
    pub(super) fn poll_body(
        &self,
        message: u32,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, MessageError>>> {
        let mut inner = self.0.borrow_mut();
        if inner.message != message {
            return Poll::Ready(None);
        }
        let part = ready!(inner.poll_part(cx));
        if inner.decoder.is_done() || matches!(part, Some(Err(_))) {
            // From now on the owner watches.
            wake(&mut inner.owner);
        }
        Poll::Ready(part)
    }

    /// Whether a message's body has been taken to its end.
    pub(super) fn is_taken(&self, message: u32) -> bool {
        let inner = self.0.borrow();
        inner.message != message || inner.decoder.is_done() && !inner.decoder.has_trailers()
    }

    /// Octets of a message's body that are still to come, if that is known.
    pub(super) fn left(&self, message: u32) -> Option<u64> {
        let inner = self.0.borrow();
        if inner.message == message {
            inner.decoder.left()
        } else {
            Some(0)
        }
    }

    /// Whether the peer has sent the whole of its message.
    pub(super) fn has_all(&self) -> bool {
        self.0.borrow().decoder.is_done()
    }

    /// Nobody reads the rest of a message's body.
    pub(super) fn abandon(&self, message: u32) {
        let mut inner = self.0.borrow_mut();
        if inner.message == message && !inner.decoder.is_done() {
            inner.abandoned = true;
            wake(&mut inner.owner);
        }
    }

    /// Whether nobody reads the rest of the body, or the client was not asked for it.
    pub(super) fn is_abandoned(&self) -> bool {
        let inner = self.0.borrow();
        inner.abandoned || inner.expects_continue
    }

    /// Whether something has come of a message whose head is not whole.
    pub(super) fn has_begun(&self) -> bool {
        !self.0.borrow().unread.is_empty()
    }

    /// Ready once the peer has closed the connection, or broken it; whoever polls is woken for
    /// that, and when somebody else has read the body to its end. Reads what comes behind the
    /// message meanwhile, up to some octets.
    pub(super) fn poll_gone(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.0.borrow_mut();
        match &inner.owner {
            Some(owner) if owner.will_wake(cx.waker()) => {}
            _ => inner.owner = Some(cx.waker().clone()),
        }
        while inner.decoder.is_done() && inner.unread.len() < AHEAD {
            match ready!(inner.poll_fill(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }

    /// Whether the connection is open, the message before is over on both sides, and nothing was
    /// read behind it.
    pub(super) fn is_over(&self) -> bool {
        let inner = self.0.borrow();
        let written = !inner.writing && inner.output.is_empty();
        written && inner.decoder.is_done() && inner.unread.is_empty() && inner.io.is_some()
    }

    /// The same, and nothing came since.
    pub(super) fn is_quiet(&self) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        self.is_over() && self.0.borrow_mut().poll_fill(&mut cx).is_pending()
    }

    /// Adds to the output. Returns its octets.
    pub(super) fn write<R>(&self, act: impl FnOnce(&mut BytesMut) -> R) -> R {
        act(&mut self.0.borrow_mut().output)
    }

    /// Octets that wait for the socket.
    pub(super) fn waiting(&self) -> usize {
        self.0.borrow().output.len()
    }

    /// Writes what is there.
    pub(super) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<(), MessageError>> {
        let mut inner = self.0.borrow_mut();
        let inner = &mut *inner;
        let Some(io) = inner.io.as_mut() else {
            return Poll::Ready(Err(MessageError::GivenUp));
        };
        let mut io = Pin::new(io);
        if inner.output.is_empty() {
            return Poll::Ready(Ok(()));
        }
        while !inner.output.is_empty() {
            let Poll::Ready(count) = io.as_mut().poll_write(cx, &inner.output)? else {
                inner.writer = Some(cx.waker().clone());
                return Poll::Pending;
            };
            if count == 0 {
                return Poll::Ready(Err(io::Error::from(io::ErrorKind::WriteZero).into()));
            }
            inner.sent = true;
            inner.output.advance(count);
        }
        // An idle connection keeps no buffer.
        inner.output = BytesMut::new();
        ready!(io.poll_flush(cx))?;
        Poll::Ready(Ok(()))
    }

    /// Ends the output in order.
    pub(super) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.0.borrow_mut();
        match inner.io.as_mut() {
            Some(io) => Pin::new(io).poll_shutdown(cx).map(drop),
            None => Poll::Ready(()),
        }
    }

    /// Reads and drops what comes, until the peer closes.
    pub(super) fn poll_waste(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.0.borrow_mut();
        loop {
            inner.unread = BytesMut::new();
            match ready!(inner.poll_fill(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
    }

    /// Takes the stream, with what was read too early in front; nothing goes over this
    /// connection any more.
    pub(super) fn take(&self) -> Option<Stream> {
        let mut inner = self.0.borrow_mut();
        let mut io = inner.io.take()?;
        io.put_back(&std::mem::take(&mut inner.unread));
        Some(io)
    }

    /// Closes the connection at once; whoever waits for it is told.
    pub(super) fn abort(&self) {
        let mut inner = self.0.borrow_mut();
        let io = inner.io.take();
        wake(&mut inner.writer);
        wake(&mut inner.owner);
        drop(inner);
        drop(io);
    }

    /// Whoever waits for the body of a request to come is told when the connection is given up.
    pub(super) fn wake_writer_with(&self, cx: &Context<'_>) {
        let mut inner = self.0.borrow_mut();
        match &inner.writer {
            Some(writer) if writer.will_wake(cx.waker()) => {}
            _ => inner.writer = Some(cx.waker().clone()),
        }
    }
}

// === impl Inner ===

impl Inner {
    // Reads behind what was read.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, MessageError>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let octets = ready!(self.poll_read(cx, scratch))?;
            self.unread.extend_from_slice(octets);
            Poll::Ready(Ok(octets.len()))
        })
    }

    fn poll_read<'a>(
        &mut self,
        cx: &mut Context<'_>,
        scratch: &'a mut [u8],
    ) -> Poll<Result<&'a [u8], MessageError>> {
        let Some(io) = self.io.as_mut() else {
            return Poll::Ready(Err(MessageError::GivenUp));
        };
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(io).poll_read(cx, &mut buffer))?;
        let count = buffer.filled().len();
        Poll::Ready(Ok(scratch.get(..count).unwrap_or_default()))
    }

    fn poll_part(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, MessageError>>> {
        loop {
            if self.decoder.is_done() {
                let trailers = self.decoder.take_trailers();
                return Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers))));
            }
            if std::mem::take(&mut self.expects_continue) && self.unread.is_empty() {
                self.output.extend_from_slice(CONTINUE);
                // It is the owner who writes.
                wake(&mut self.owner);
            }
            let part = if self.unread.is_empty() {
                ready!(self.poll_decode(cx))
            } else {
                let octets = std::mem::take(&mut self.unread);
                self.decode(&octets)
            };
            match part {
                Ok(part) if part.is_empty() => {}
                Ok(part) => return Poll::Ready(Some(Ok(Frame::data(part)))),
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }

    fn poll_decode(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, MessageError>> {
        SCRATCH.with_borrow_mut(|scratch| {
            let octets = ready!(self.poll_read(cx, scratch))?;
            if octets.is_empty() && !self.decoder.close() {
                return Poll::Ready(Err(MessageError::Incomplete));
            }
            Poll::Ready(self.decode(octets))
        })
    }

    // What is not the message's is read again later.
    fn decode(&mut self, mut octets: &[u8]) -> Result<Bytes, MessageError> {
        let mut part = BytesMut::with_capacity(octets.len());
        self.decoder.decode(&mut octets, &mut part)?;
        self.unread.extend_from_slice(octets);
        Ok(part.freeze())
    }
}

fn wake(waiting: &mut Option<Waker>) {
    if let Some(waker) = waiting.take() {
        waker.wake();
    }
}
