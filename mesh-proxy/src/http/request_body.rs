//! The body of a request on its way to one or several servers.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::sync::mpsc;

use super::{Incoming, TransportError};

/// Bytes of a body that are kept for another try. Longer bodies are sent once.
pub const REPLAY_LIMIT: usize = 64 * 1024;

// Frames that a mirror may lag behind before it is given up.
const MIRROR_QUEUE: usize = 32;

/// A client's body, read once and sent as often as needed. Cheap to clone.
#[derive(Clone)]
pub struct BodySource(Rc<RefCell<Source>>);

struct Source {
    incoming: Incoming,
    kept: Vec<Bytes>,
    kept_bytes: usize,
    keep: bool,
    trailers: Option<HeaderMap>,
    ended: bool,
    failed: bool,
    received: u64,
    // Only the newest try reads; older ones may live on for a moment after they were given up.
    try_number: u32,
    mirrors: Vec<Mirror>,
}

struct Mirror {
    frames: mpsc::Sender<Frame<Bytes>>,
    // Set once all frames have been sent.
    complete: Rc<Cell<bool>>,
}

/// The body of one try, or of a mirrored copy.
pub enum RequestBody {
    /// Nothing.
    Empty,
    /// The client's bytes, from the beginning.
    Client(Try),
    /// A copy of what is sent elsewhere.
    Mirror(Mirrored),
}

/// One try's reader of a [`BodySource`].
pub struct Try {
    source: BodySource,
    number: u32,
    position: usize,
    trailers_sent: bool,
}

/// A copy of a body, as its frames go by.
pub struct Mirrored {
    frames: mpsc::Receiver<Frame<Bytes>>,
    complete: Rc<Cell<bool>>,
    hint: SizeHint,
}

/// Why a body ended early.
#[derive(Debug, thiserror::Error)]
pub enum RequestBodyError {
    /// The client broke off.
    #[error("the client broke off: {0}")]
    Client(#[from] TransportError),
    /// Another try has taken over.
    #[error("another try has taken over")]
    Superseded,
    /// The mirror was too slow.
    #[error("the mirror was too slow")]
    Slow,
}

// === impl BodySource ===

impl BodySource {
    /// Wraps a body that is not empty.
    pub fn new(incoming: Incoming) -> Self {
        Self(Rc::new(RefCell::new(Source {
            incoming,
            kept: Vec::new(),
            kept_bytes: 0,
            keep: true,
            trailers: None,
            ended: false,
            failed: false,
            received: 0,
            try_number: 0,
            mirrors: Vec::new(),
        })))
    }

    /// Whether another try can send the whole body.
    pub fn can_replay(&self) -> bool {
        let source = self.0.borrow();
        source.keep && !source.failed
    }

    /// Whether the client broke off in the middle.
    pub fn client_failed(&self) -> bool {
        self.0.borrow().failed
    }

    /// Bytes that came from the client so far.
    pub fn received(&self) -> u64 {
        self.0.borrow().received
    }

    /// The body for the next try. The one before gets no more bytes.
    pub fn next_try(&self) -> RequestBody {
        let mut source = self.0.borrow_mut();
        source.try_number = source.try_number.wrapping_add(1);
        RequestBody::Client(Try {
            source: self.clone(),
            number: source.try_number,
            position: 0,
            trailers_sent: false,
        })
    }

    /// A copy of all frames that are read from now on. It never slows the original down: a
    /// reader that lags behind is cut off.
    pub fn mirror(&self) -> RequestBody {
        let (sender, frames) = mpsc::channel(MIRROR_QUEUE);
        let mut source = self.0.borrow_mut();
        let hint = source.incoming.size_hint();
        let complete = Rc::new(Cell::new(false));
        source.mirrors.push(Mirror {
            frames: sender,
            complete: Rc::clone(&complete),
        });
        RequestBody::Mirror(Mirrored {
            frames,
            complete,
            hint,
        })
    }
}

// === impl Source ===

impl Source {
    fn poll_more(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
            Some(Ok(frame)) => {
                self.note(&frame);
                Poll::Ready(Some(Ok(frame)))
            }
            Some(Err(error)) => {
                self.failed = true;
                self.mirrors.clear();
                Poll::Ready(Some(Err(error.into())))
            }
            None => {
                self.ended = true;
                for mirror in self.mirrors.drain(..) {
                    mirror.complete.set(true);
                }
                Poll::Ready(None)
            }
        }
    }

    fn note(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            self.received += data.len() as u64;
            if self.keep && self.kept_bytes + data.len() <= REPLAY_LIMIT {
                self.kept_bytes += data.len();
                self.kept.push(data.clone());
            } else if self.keep {
                self.keep = false;
                self.kept = Vec::new();
            }
            self.mirrors
                .retain(|mirror| mirror.frames.try_send(Frame::data(data.clone())).is_ok());
        } else if let Some(trailers) = frame.trailers_ref() {
            self.trailers = Some(trailers.clone());
            self.mirrors.retain(|mirror| {
                mirror
                    .frames
                    .try_send(Frame::trailers(trailers.clone()))
                    .is_ok()
            });
        }
    }
}

// === impl RequestBody ===

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            Self::Client(body) => body.poll_frame(cx),
            Self::Mirror(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Client(body) => body.is_end_stream(),
            Self::Mirror(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Client(body) => body.size_hint(),
            Self::Mirror(body) => body.hint,
        }
    }
}

// === impl Try ===

impl Try {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let mut source = self.source.0.borrow_mut();
        if source.try_number != self.number {
            return Poll::Ready(Some(Err(RequestBodyError::Superseded)));
        }
        if let Some(data) = source.kept.get(self.position) {
            self.position += 1;
            return Poll::Ready(Some(Ok(Frame::data(data.clone()))));
        }
        if let Some(trailers) = source.trailers.as_ref().filter(|_| !self.trailers_sent) {
            self.trailers_sent = true;
            return Poll::Ready(Some(Ok(Frame::trailers(trailers.clone()))));
        }
        if source.ended {
            return Poll::Ready(None);
        }
        let frame = ready!(source.poll_more(cx));
        self.position = source.kept.len();
        if let Some(Ok(frame)) = &frame {
            self.trailers_sent |= frame.is_trailers();
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        let source = self.source.0.borrow();
        let all_sent =
            self.position >= source.kept.len() && (self.trailers_sent || source.trailers.is_none());
        source.try_number == self.number
            && all_sent
            && (source.ended || source.incoming.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let source = self.source.0.borrow();
        let ahead: u64 = source
            .kept
            .iter()
            .skip(self.position)
            .map(|data| data.len() as u64)
            .sum();
        let rest = source.incoming.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(ahead + rest.lower());
        if let Some(upper) = rest.upper() {
            hint.set_upper(ahead + upper);
        }
        hint
    }
}

// === impl Mirrored ===

impl Mirrored {
    fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        match ready!(self.frames.poll_recv(cx)) {
            Some(frame) => Poll::Ready(Some(Ok(frame))),
            None if self.complete.get() => Poll::Ready(None),
            None => Poll::Ready(Some(Err(RequestBodyError::Slow))),
        }
    }
}
