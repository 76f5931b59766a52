//! Stopping without losing requests.
//!
//! Four stages: *serving*; *draining*: not ready, HTTP/1 answers with `connection: close`, HTTP/2
//! sends GOAWAY, what runs may finish, and who comes all the same is served; *ending*: no new
//! connections; *closed*: the deadline has passed, whatever still runs is cut.
//!
//! The listeners stay open while the proxy drains: callers hear of it late, and the workload may
//! still have calls to make until it has ended itself. A proxy that was *replaced* (see
//! [`hand_over`](crate::hand_over)) drains with closed listeners: another process has them.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, watch};

use crate::worker::DRAIN_GRACE;

/// How far stopping has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Not stopping.
    Serving,
    /// Callers are told to go; what runs may finish.
    Draining,
    /// No new connections; what runs may finish.
    Ending,
    /// Everything ends now.
    Closed,
}

/// What a [`Hold`] stands for, for the log of what was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// An HTTP connection.
    Http,
    /// A connection of opaque bytes.
    Tcp,
}

/// Tells workers how far stopping has come, and counts what they still do. Cheap to clone.
#[derive(Clone)]
pub struct Drain {
    stage: watch::Receiver<Stage>,
    replaced: watch::Receiver<bool>,
    held: Arc<Held>,
    patient: bool,
}

/// Moves the stages on. Held by the runtime and the admin endpoint.
#[derive(Clone)]
pub struct DrainSignal {
    stage: watch::Sender<Stage>,
    replaced: watch::Sender<bool>,
    held: Arc<Held>,
}

/// One running connection. Dropping it says that it has ended.
#[must_use = "the connection counts as ended when this is dropped"]
pub struct Hold {
    held: Arc<Held>,
    work: Work,
}

/// One open listener. Dropping it says that it is closed.
#[must_use = "the listener counts as closed when this is dropped"]
pub struct Listening {
    held: Arc<Held>,
}

/// What is still running.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// HTTP connections.
    pub http: usize,
    /// Connections of opaque bytes.
    pub tcp: usize,
}

#[derive(Default)]
struct Held {
    // Also while it is not known yet what they carry.
    accepted: AtomicUsize,
    http: AtomicUsize,
    tcp: AtomicUsize,
    listeners: AtomicUsize,
    ended: Notify,
}

/// A signal and what listens to it.
pub fn channel() -> (DrainSignal, Drain) {
    let (sender, receiver) = watch::channel(Stage::Serving);
    let (replace, replaced) = watch::channel(false);
    let held = Arc::new(Held::default());
    (
        DrainSignal {
            stage: sender,
            replaced: replace,
            held: Arc::clone(&held),
        },
        Drain {
            stage: receiver,
            replaced,
            held,
            patient: false,
        },
    )
}

// === impl Drain ===

impl Drain {
    /// How far stopping has come.
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Whether callers are told to go.
    pub fn is_draining(&self) -> bool {
        self.stage() >= Stage::Draining
    }

    /// The same for the connections of the workload itself: unlike the mesh's proxies it may not
    /// repeat what it sends on an idle connection that is closed in the same moment.
    pub fn patient(&self) -> Self {
        Self {
            patient: true,
            ..self.clone()
        }
    }

    /// Returns once an idle HTTP/1 connection may be closed.
    pub async fn idle_ends(&self) {
        if self.patient {
            self.ending().await;
        } else {
            self.started().await;
            tokio::select! {
                () = tokio::time::sleep(DRAIN_GRACE) => {}
                () = self.closed() => {}
            }
        }
    }

    /// Returns once draining has begun (or the runtime is gone).
    pub async fn started(&self) {
        self.reached(Stage::Draining).await;
    }

    /// Returns once no new connections are taken (or the runtime is gone).
    pub async fn ending(&self) {
        self.reached(Stage::Ending).await;
    }

    /// Whether another process serves in this one's place.
    pub fn is_replaced(&self) -> bool {
        *self.replaced.borrow()
    }

    /// Returns once another process serves in this one's place; never, if that does not happen.
    pub async fn replaced(&self) {
        let mut receiver = self.replaced.clone();
        if receiver.wait_for(|replaced| *replaced).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Returns once listeners have to close: nothing new is taken, or another process takes it.
    pub async fn listeners_end(&self) {
        tokio::select! {
            () = self.ending() => {}
            () = self.replaced() => {}
        }
    }

    /// Returns once everything has to end.
    pub async fn closed(&self) {
        self.reached(Stage::Closed).await;
    }

    /// Counts a connection until the result is dropped.
    pub fn hold(&self, work: Work) -> Hold {
        self.held.counter(work).fetch_add(1, Ordering::Relaxed);
        Hold {
            held: Arc::clone(&self.held),
            work,
        }
    }

    /// Counts a connection that was accepted, until [`Self::left`]. One whose TLS handshake is
    /// under way does not run yet, and is waited for all the same: its client may know already
    /// that it is open, and send.
    pub fn accepted(&self) {
        self.held.accepted.fetch_add(1, Ordering::Relaxed);
    }

    /// An accepted connection has ended.
    pub fn left(&self) {
        self.held.accepted.fetch_sub(1, Ordering::AcqRel);
        self.held.ended.notify_waiters();
    }

    /// Counts an open listener until the result is dropped.
    pub fn listening(&self) -> Listening {
        self.held.listeners.fetch_add(1, Ordering::Relaxed);
        Listening {
            held: Arc::clone(&self.held),
        }
    }

    /// What runs now.
    pub fn running(&self) -> Running {
        self.held.running()
    }

    async fn reached(&self, stage: Stage) {
        let mut receiver = self.stage.clone();
        // An error says that the signal is gone: the runtime has ended.
        let _ = receiver.wait_for(|now| *now >= stage).await;
    }
}

// === impl DrainSignal ===

impl DrainSignal {
    /// Begins to drain. Later calls do nothing.
    pub fn start(&self) {
        self.advance(Stage::Draining);
    }

    /// Drains, and closes the listeners at once: another process serves in this one's place.
    pub fn replace(&self) {
        // Whoever sees that it drains sees why, too.
        self.replaced.send_replace(true);
        self.start();
    }

    /// Takes no more connections.
    pub fn end(&self) {
        self.advance(Stage::Ending);
    }

    /// Ends everything.
    pub fn close(&self) {
        self.advance(Stage::Closed);
    }

    /// Returns once nothing runs any more, and nothing begins.
    pub async fn idle(&self) {
        loop {
            let ended = self.held.ended.notified();
            let accepted = self.held.accepted.load(Ordering::Acquire);
            if accepted == 0 && self.held.running() == Running::default() {
                return;
            }
            ended.await;
        }
    }

    /// Returns once all listeners are closed. Call it after [`Self::end`].
    pub async fn deaf(&self) {
        loop {
            let ended = self.held.ended.notified();
            if self.held.listeners.load(Ordering::Acquire) == 0 {
                return;
            }
            ended.await;
        }
    }

    /// What runs now.
    pub fn running(&self) -> Running {
        self.held.running()
    }

    /// Whether callers are told to go.
    pub fn is_draining(&self) -> bool {
        *self.stage.borrow() >= Stage::Draining
    }

    /// Another listener to the same signal.
    pub fn subscribe(&self) -> Drain {
        Drain {
            stage: self.stage.subscribe(),
            replaced: self.replaced.subscribe(),
            held: Arc::clone(&self.held),
            patient: false,
        }
    }

    fn advance(&self, stage: Stage) {
        self.stage.send_if_modified(|now| {
            let later = stage > *now;
            if later {
                *now = stage;
            }
            later
        });
    }
}

// === impl Hold ===

impl Drop for Hold {
    fn drop(&mut self) {
        self.held.counter(self.work).fetch_sub(1, Ordering::AcqRel);
        self.held.ended.notify_waiters();
    }
}

// === impl Listening ===

impl Drop for Listening {
    fn drop(&mut self) {
        self.held.listeners.fetch_sub(1, Ordering::AcqRel);
        self.held.ended.notify_waiters();
    }
}

// === impl Held ===

impl Held {
    fn counter(&self, work: Work) -> &AtomicUsize {
        match work {
            Work::Http => &self.http,
            Work::Tcp => &self.tcp,
        }
    }

    fn running(&self) -> Running {
        Running {
            http: self.http.load(Ordering::Acquire),
            tcp: self.tcp.load(Ordering::Acquire),
        }
    }
}

impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} HTTP and {} TCP connections", self.http, self.tcp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn waits_for_what_is_held() {
        let (signal, drain) = channel();
        assert_eq!(drain.stage(), Stage::Serving);
        let http = drain.hold(Work::Http);
        let tcp = drain.hold(Work::Tcp);
        assert_eq!(signal.running().to_string(), "1 HTTP and 1 TCP connections");
        signal.start();
        drain.started().await;
        let waiter = tokio::spawn({
            let signal = signal.clone();
            async move { signal.idle().await }
        });
        drop(http);
        assert_eq!(signal.running(), Running { http: 0, tcp: 1 });
        drop(tcp);
        waiter.await.unwrap();
    }

    #[tokio::test]
    async fn who_was_accepted_is_waited_for_before_it_runs() {
        let (signal, drain) = channel();
        drain.accepted();
        signal.start();
        let idle = signal.idle();
        let mut idle = std::pin::pin!(idle);
        assert!(futures_util::poll!(idle.as_mut()).is_pending());
        // A handshake is done: what it leads to is held, and ends.
        drop(drain.hold(Work::Http));
        assert!(futures_util::poll!(idle.as_mut()).is_pending());
        drain.left();
        idle.await;
    }

    #[tokio::test]
    async fn listeners_are_waited_for_apart() {
        let (signal, drain) = channel();
        let listening = drain.listening();
        signal.start();
        signal.idle().await;
        signal.end();
        drain.ending().await;
        let waiter = tokio::spawn({
            let signal = signal.clone();
            async move { signal.deaf().await }
        });
        drop(listening);
        waiter.await.unwrap();
    }

    #[tokio::test]
    async fn who_is_replaced_closes_listeners_and_not_connections() {
        let (signal, drain) = channel();
        let early = tokio::spawn({
            let drain = drain.clone();
            async move { drain.listeners_end().await }
        });
        assert!(!drain.is_replaced());
        signal.replace();
        early.await.unwrap();
        drain.replaced().await;
        assert_eq!(drain.stage(), Stage::Draining);
        assert!(signal.subscribe().is_replaced());
    }

    #[tokio::test(start_paused = true)]
    async fn the_workloads_idle_connections_last_longest() {
        let (signal, drain) = channel();
        signal.start();
        drain.idle_ends().await;
        let patient = drain.patient();
        let wait = tokio::time::timeout(10 * DRAIN_GRACE, patient.idle_ends());
        assert!(wait.await.is_err());
        signal.end();
        patient.idle_ends().await;
    }

    #[tokio::test]
    async fn stages_only_rise() {
        let (signal, drain) = channel();
        signal.close();
        signal.start();
        assert_eq!(drain.stage(), Stage::Closed);
        drain.started().await;
        drain.closed().await;
    }
}
