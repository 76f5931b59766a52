//! Stopping without losing requests.
//!
//! Three stages: *serving*; *draining*: no new connections, HTTP/1 answers with
//! `connection: close`, HTTP/2 sends GOAWAY, what runs may finish; *closed*: the deadline has
//! passed, whatever still runs is cut.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Notify, watch};

/// How far stopping has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Not stopping.
    Serving,
    /// Nothing new; what runs may finish.
    Draining,
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
    held: Arc<Held>,
}

/// Moves the stages on. Held by the runtime and the admin endpoint.
#[derive(Clone)]
pub struct DrainSignal {
    stage: watch::Sender<Stage>,
    held: Arc<Held>,
}

/// One running connection. Dropping it says that it has ended.
#[must_use = "the connection counts as ended when this is dropped"]
pub struct Hold {
    held: Arc<Held>,
    work: Work,
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
    http: AtomicUsize,
    tcp: AtomicUsize,
    ended: Notify,
}

/// A signal and what listens to it.
pub fn channel() -> (DrainSignal, Drain) {
    let (sender, receiver) = watch::channel(Stage::Serving);
    let held = Arc::new(Held::default());
    (
        DrainSignal {
            stage: sender,
            held: Arc::clone(&held),
        },
        Drain {
            stage: receiver,
            held,
        },
    )
}

// === impl Drain ===

impl Drain {
    /// How far stopping has come.
    pub fn stage(&self) -> Stage {
        *self.stage.borrow()
    }

    /// Whether nothing new may be taken.
    pub fn is_draining(&self) -> bool {
        self.stage() >= Stage::Draining
    }

    /// Returns once draining has begun (or the runtime is gone).
    pub async fn started(&self) {
        self.reached(Stage::Draining).await;
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

    /// Ends everything.
    pub fn close(&self) {
        self.advance(Stage::Closed);
    }

    /// Returns once nothing runs any more.
    pub async fn idle(&self) {
        loop {
            let ended = self.held.ended.notified();
            if self.held.running() == Running::default() {
                return;
            }
            ended.await;
        }
    }

    /// What runs now.
    pub fn running(&self) -> Running {
        self.held.running()
    }

    /// Whether nothing new may be taken.
    pub fn is_draining(&self) -> bool {
        *self.stage.borrow() >= Stage::Draining
    }

    /// Another listener to the same signal.
    pub fn subscribe(&self) -> Drain {
        Drain {
            stage: self.stage.subscribe(),
            held: Arc::clone(&self.held),
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
    async fn stages_only_rise() {
        let (signal, drain) = channel();
        signal.close();
        signal.start();
        assert_eq!(drain.stage(), Stage::Closed);
        drain.started().await;
        drain.closed().await;
    }
}
