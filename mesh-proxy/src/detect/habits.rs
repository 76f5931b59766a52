//! Who spoke first the last time.
//!
//! Where the client does, a connection to the server that is opened before its first bytes is
//! in vain; where the server does, every wait for the client is. One connection tells.

use std::borrow::Borrow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

// A client that speaks first has done so by then.
const CLIENT_FIRST: Duration = Duration::from_millis(30);

// More destinations than a workload has; then it is learnt anew.
const MOST: usize = 1024;

/// The side that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    /// The client.
    Client,
    /// The server.
    Server,
}

/// What one worker has seen, by destination.
#[derive(Debug)]
pub struct Habits<K>(RefCell<HashMap<K, Speaker>>);

impl<K> Default for Habits<K> {
    fn default() -> Self {
        Self(RefCell::default())
    }
}

// === impl Habits ===

impl<K: Hash + Eq> Habits<K> {
    /// How long to wait for the client's first bytes before the server is connected: not at all
    /// where nothing is known, so that no server that speaks first is ever late.
    pub fn patience<Q>(&self, of: &Q) -> Duration
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        match self.0.borrow().get(of) {
            Some(Speaker::Client) => CLIENT_FIRST,
            Some(Speaker::Server) | None => Duration::ZERO,
        }
    }

    /// Remembers who spoke first.
    pub fn learn<Q>(&self, of: &Q, speaker: Speaker)
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let mut known = self.0.borrow_mut();
        if let Some(before) = known.get_mut(of) {
            *before = speaker;
            return;
        }
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(of.to_owned(), speaker);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_connection_decides() {
        let habits = Habits::<String>::default();
        assert_eq!(habits.patience("a"), Duration::ZERO);
        habits.learn("a", Speaker::Client);
        assert_eq!(habits.patience("a"), CLIENT_FIRST);
        assert_eq!(habits.patience("b"), Duration::ZERO);
        habits.learn("a", Speaker::Server);
        assert_eq!(habits.patience("a"), Duration::ZERO);
    }

    #[test]
    fn it_does_not_grow_without_end() {
        let habits = Habits::<usize>::default();
        for destination in 0..5 * MOST {
            habits.learn(&destination, Speaker::Client);
        }
        assert!(habits.0.borrow().len() <= MOST);
    }
}
