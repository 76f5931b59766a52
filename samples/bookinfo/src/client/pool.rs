//! Idle connections, kept for the next request to the same place.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::connection::Connection;
use crate::settings::Target;

/// How many idle connections are kept per key.
const MAX_IDLE: usize = 16;
/// How long one is kept.
const MAX_AGE: Duration = Duration::from_secs(60);

/// Where a connection goes and whom it is for: through a proxy these differ, and a
/// connection is not shared between targets.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) dial: Target,
    pub(super) target: Target,
}

#[derive(Debug, Default)]
pub(super) struct Pool {
    idle: Mutex<HashMap<Key, Vec<Idle>>>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

// === impl Pool ===

impl Pool {
    /// The connection that was used last, if there is one that is not known to be closed.
    pub(super) fn take(&self, key: &Key) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = idle.get_mut(key)?;
        idle.retain(|idle| !idle.connection.is_closed() && idle.since.elapsed() < MAX_AGE);
        Some(idle.pop()?.connection)
    }

    pub(super) fn put(&self, key: Key, connection: Connection) {
        if connection.is_closed() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let idle = idle.entry(key).or_default();
        if idle.len() < MAX_IDLE {
            idle.push(Idle {
                connection,
                since: Instant::now(),
            });
        }
    }
}
