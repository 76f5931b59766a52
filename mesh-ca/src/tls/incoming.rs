//! The accept loop.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use futures_util::Stream;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Sleep, sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::{ServerTls, TlsConnection};
use crate::listen::{Listener, Socket};

/// Bounds of the accept loop.
#[derive(Debug, Clone, Copy)]
pub struct IncomingOptions {
    /// Time for one handshake: 10 s.
    pub handshake_timeout: Duration,
    /// Handshakes at the same time: 512. More connections wait in the backlog of the listener:
    /// when thousands of proxies come back at once, a handshake that is dropped is work lost.
    pub max_handshakes: usize,
    /// How long the oldest handshake may keep others waiting before it is ended: 1 s. An honest
    /// one takes milliseconds.
    pub patience: Duration,
}

/// Accepts connections and their TLS handshakes, each in a task of its own that ends with this
/// stream. A client that fails, stalls or speaks nonsense disturbs nobody. Never ends.
#[derive(Debug)]
pub struct Incoming {
    listener: Listener,
    tls: ServerTls,
    options: IncomingOptions,
    handshakes: JoinSet<Option<TlsConnection>>,
    // Oldest first, with the end of the patience for each. May hold some that are done.
    ages: VecDeque<(Pin<Box<Sleep>>, AbortHandle)>,
    // After the operating system had no more descriptors.
    pause: Option<Pin<Box<Sleep>>>,
}

// === impl IncomingOptions ===

impl Default for IncomingOptions {
    fn default() -> Self {
        Self {
            handshake_timeout: Duration::from_secs(10),
            max_handshakes: 512,
            patience: Duration::from_secs(1),
        }
    }
}

// === impl Incoming ===

impl Incoming {
    /// Accepts on a listener.
    pub fn new(listener: Listener, tls: ServerTls, options: IncomingOptions) -> Self {
        Self {
            listener,
            tls,
            options,
            handshakes: JoinSet::new(),
            ages: VecDeque::new(),
            pause: None,
        }
    }

    fn begin(&mut self, socket: Socket) {
        let acceptor = TlsAcceptor::from(self.tls.config());
        let limit = self.options.handshake_timeout;
        let task = async move {
            let peer = socket.peer();
            match timeout(limit, acceptor.accept(socket)).await {
                Ok(Ok(stream)) => Some(TlsConnection::new(stream)),
                Ok(Err(error)) => {
                    tracing::debug!(%peer, %error, "a TLS handshake failed");
                    None
                }
                Err(_) => {
                    tracing::debug!(%peer, "a TLS handshake took too long");
                    None
                }
            }
        };
        let patience = Box::pin(sleep(self.options.patience));
        self.ages.push_back((patience, self.handshakes.spawn(task)));
    }

    /// Whether another handshake may begin. If not, the end of one or of the patience with the
    /// oldest wakes the task.
    fn has_room(&mut self, context: &mut Context<'_>) -> bool {
        let most = self.options.max_handshakes.max(1);
        if self.ages.len() < most {
            return true;
        }
        self.ages.retain(|(_, handle)| !handle.is_finished());
        if self.ages.len() < most {
            return true;
        }
        let over = self.ages.front_mut();
        if over.is_some_and(|(patience, _)| patience.as_mut().poll(context).is_ready())
            && let Some((_, oldest)) = self.ages.pop_front()
        {
            tracing::warn!("too many TLS handshakes at the same time; the oldest is ended");
            oldest.abort();
            return true;
        }
        false
    }

    /// Takes all connections that wait.
    fn accept_waiting(&mut self, context: &mut Context<'_>) {
        loop {
            if let Some(pause) = &mut self.pause {
                if pause.as_mut().poll(context).is_pending() {
                    return;
                }
                self.pause = None;
            }
            if !self.has_room(context) {
                return;
            }
            match self.listener.poll_accept(context) {
                Poll::Pending => return,
                Poll::Ready(Ok(socket)) => self.begin(socket),
                // The client went away before we looked (accept(2)).
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Poll::Ready(Err(error)) => {
                    tracing::warn!(%error, "cannot accept a connection; trying again");
                    self.pause = Some(Box::pin(sleep(Duration::from_millis(100))));
                }
            }
        }
    }
}

impl Stream for Incoming {
    type Item = Result<TlsConnection, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            this.accept_waiting(context);
            if this.handshakes.is_empty() {
                // The listener wakes us.
                return Poll::Pending;
            }
            // One that failed or was ended as the oldest is nobody else's matter.
            if let Some(Ok(Some(connection))) = ready!(this.handshakes.poll_join_next(context)) {
                return Poll::Ready(Some(Ok(connection)));
            }
        }
    }
}
