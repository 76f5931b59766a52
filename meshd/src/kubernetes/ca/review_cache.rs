//! Tokens that were found good a moment ago. Pure.

use std::collections::{HashMap, VecDeque};
use std::time::Instant;

use mesh_ca::AuthenticatedCaller;

/// SHA-256 of a token: the token itself is not kept.
pub(super) type TokenHash = [u8; 32];

/// A bounded number of callers, each until a time. Beyond the bound the oldest goes.
pub(super) struct ReviewCache {
    callers: HashMap<TokenHash, (AuthenticatedCaller, Instant)>,
    // Oldest first; each entry of `callers` once.
    order: VecDeque<TokenHash>,
    most: usize,
}

// === impl ReviewCache ===

impl ReviewCache {
    pub(super) fn new(most: usize) -> Self {
        Self {
            callers: HashMap::new(),
            order: VecDeque::new(),
            most,
        }
    }

    pub(super) fn get(&self, token: &TokenHash, now: Instant) -> Option<AuthenticatedCaller> {
        let (caller, until) = self.callers.get(token)?;
        (*until > now).then(|| caller.clone())
    }

    pub(super) fn insert(&mut self, token: TokenHash, caller: AuthenticatedCaller, until: Instant) {
        if self.callers.insert(token, (caller, until)).is_none() {
            self.order.push_back(token);
        }
        while self.callers.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.callers.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn caller(name: &str) -> AuthenticatedCaller {
        AuthenticatedCaller {
            namespace: "default".to_owned(),
            service_account: name.to_owned(),
            workload: None,
        }
    }

    #[test]
    fn forgets_by_time_and_beyond_its_bound() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut cache = ReviewCache::new(2);
        cache.insert([1; 32], caller("a"), after(10));
        assert_eq!(cache.get(&[1; 32], after(9)), Some(caller("a")));
        assert_eq!(cache.get(&[1; 32], after(10)), None);
        assert_eq!(cache.get(&[2; 32], start), None);
        cache.insert([1; 32], caller("a"), after(20));
        cache.insert([2; 32], caller("b"), after(20));
        cache.insert([3; 32], caller("c"), after(20));
        let held = [1, 2, 3].map(|n| cache.get(&[n; 32], start).is_some());
        assert_eq!(held, [false, true, true]);
        assert_eq!((cache.callers.len(), cache.order.len()), (2, 2));
    }
}
