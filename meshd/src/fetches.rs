//! Documents that the configuration names and the control plane fetches, and fetches again.

use std::sync::Arc;
use std::time::Instant;

use meshd_core::World;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::publish::Published;

/// Fetches at a time.
const MOST: usize = 16;

/// What is under way, and the configuration that says what is wanted.
pub(crate) struct Fetches<T> {
    published: watch::Receiver<Arc<Published>>,
    under_way: JoinSet<T>,
}

/// Why to go on.
pub(crate) enum Wake<T> {
    /// The configuration may have changed, or something may be due.
    Look,
    /// A fetch has ended so.
    Done(T),
    /// The control plane has stopped.
    Stopped,
}

// === impl Fetches ===

impl<T: Send + 'static> Fetches<T> {
    pub(crate) fn new(published: watch::Receiver<Arc<Published>>) -> Self {
        Self {
            published,
            under_way: JoinSet::new(),
        }
    }

    /// The configuration of now. The next look is for one that comes after.
    pub(crate) fn world(&mut self) -> World {
        self.published.borrow_and_update().world.clone()
    }

    /// How many more may begin.
    pub(crate) fn room(&self) -> usize {
        MOST.saturating_sub(self.under_way.len())
    }

    pub(crate) fn begin(&mut self, fetch: impl Future<Output = T> + Send + 'static) {
        self.under_way.spawn(fetch);
    }

    /// Waits for news. Nothing is lost if it is dropped meanwhile.
    pub(crate) async fn wake(&mut self, due: Option<Instant>) -> Wake<T> {
        let due = async {
            match due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.published.changed() => match changed {
                Ok(()) => Wake::Look,
                Err(_) => Wake::Stopped,
            },
            // One that has panicked is never done.
            Some(done) = self.under_way.join_next() => done.map_or(Wake::Look, Wake::Done),
            () = due => Wake::Look,
        }
    }
}
