//! Addresses of servers that are known by name.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use mesh_api::Hostname;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::net;

/// How long an answer is used before it is asked for again.
pub(super) const TTL: Duration = Duration::from_secs(5);

// Names that nobody asked for are forgotten.
const FORGET: Duration = Duration::from_secs(300);

/// A worker's view of the system's resolver. Answers are refreshed off the request path: an old
/// answer serves until the new one is there, and if there is none.
#[derive(Clone)]
pub struct Resolver {
    known: Rc<RefCell<HashMap<(Hostname, u16), Answer>>>,
    tasks: TaskTracker,
}

struct Answer {
    addresses: Rc<[SocketAddr]>,
    fresh_until: Instant,
    refreshing: bool,
    used: Instant,
}

// === impl Resolver ===

impl Resolver {
    /// A resolver whose look-ups belong to `tasks`.
    pub fn new(tasks: TaskTracker) -> Self {
        Self {
            known: Rc::default(),
            tasks,
        }
    }

    /// All addresses of `host`, none of them twice.
    ///
    /// # Errors
    /// If the name was never resolved and cannot be now.
    pub async fn lookup(&self, host: &Hostname, port: u16) -> io::Result<Rc<[SocketAddr]>> {
        let now = clock::monotonic();
        let key = (host.clone(), port);
        if let Some(answer) = self.known.borrow_mut().get_mut(&key) {
            answer.used = now;
            if answer.fresh_until <= now && !answer.refreshing {
                answer.refreshing = true;
                let resolver = self.clone();
                self.tasks
                    .spawn_local(async move { resolver.refresh(key).await });
            }
            return Ok(Rc::clone(&answer.addresses));
        }
        let addresses = resolve(&key).await?;
        self.learn(key, Rc::clone(&addresses));
        Ok(addresses)
    }

    /// Forgets names that are no longer used.
    pub fn sweep(&self, now: Instant) {
        self.known
            .borrow_mut()
            .retain(|_, answer| now.saturating_duration_since(answer.used) < FORGET);
    }

    async fn refresh(&self, key: (Hostname, u16)) {
        match resolve(&key).await {
            Ok(addresses) => self.learn(key, addresses),
            Err(error) => {
                tracing::debug!(host = %key.0, %error, "name not resolved, the old addresses stay");
                if let Some(answer) = self.known.borrow_mut().get_mut(&key) {
                    answer.refreshing = false;
                    answer.fresh_until = clock::monotonic() + TTL;
                }
            }
        }
    }

    fn learn(&self, key: (Hostname, u16), addresses: Rc<[SocketAddr]>) {
        let now = clock::monotonic();
        let answer = Answer {
            addresses,
            fresh_until: now + TTL,
            refreshing: false,
            used: now,
        };
        self.known.borrow_mut().insert(key, answer);
    }
}

async fn resolve((host, port): &(Hostname, u16)) -> io::Result<Rc<[SocketAddr]>> {
    let mut addresses = net::lookup(host.as_str(), *port).await?;
    addresses.sort_unstable();
    addresses.dedup();
    if addresses.is_empty() {
        return Err(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no addresses",
        ));
    }
    Ok(addresses.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_and_unknown_names() {
        let resolver = Resolver::new(TaskTracker::new());
        let host: Hostname = "127.0.0.1".parse().unwrap();
        let found = resolver.lookup(&host, 80).await.unwrap();
        assert_eq!(&*found, ["127.0.0.1:80".parse().unwrap()]);
        // RFC 6761: never resolves.
        let unknown: Hostname = "nothing.invalid".parse().unwrap();
        assert!(resolver.lookup(&unknown, 80).await.is_err());
        resolver.sweep(clock::monotonic() + FORGET);
        assert!(resolver.known.borrow().is_empty());
    }
}
