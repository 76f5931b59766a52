//! Tokens that were verified, so that each signature is checked once.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use super::Verified;

/// Which rule verified it: the rules' id, and the number of the rule.
type Rule = (u64, u32);

/// Verified tokens of a bounded size together. Whatever was not used lately goes first: there are
/// two generations, and the older one is dropped when the younger one is full.
#[derive(Debug)]
pub struct TokenCache {
    young: Generation,
    old: Generation,
    most: usize,
}

#[derive(Debug, Default)]
struct Generation {
    tokens: HashMap<Box<str>, (Rule, Arc<Verified>)>,
    bytes: usize,
}

// === impl TokenCache ===

impl TokenCache {
    /// An empty one for so many bytes.
    pub fn new(most: usize) -> Self {
        Self {
            young: Generation::default(),
            old: Generation::default(),
            most: most / 2,
        }
    }

    /// A token that the rule has verified. Whether it has expired since is not looked at.
    pub(super) fn find(&mut self, rule: Rule, token: &str) -> Option<Arc<Verified>> {
        if let Some((by, verified)) = self.young.tokens.get(token) {
            return (*by == rule).then(|| Arc::clone(verified));
        }
        let (by, verified) = self.old.tokens.get(token)?;
        if *by != rule {
            return None;
        }
        let verified = Arc::clone(verified);
        self.keep(rule, token, Arc::clone(&verified));
        Some(verified)
    }

    /// Remembers a token.
    pub(super) fn keep(&mut self, rule: Rule, token: &str, verified: Arc<Verified>) {
        let size = token.len() + verified.size();
        if size > self.most {
            return;
        }
        if self.young.bytes + size > self.most {
            self.old = mem::take(&mut self.young);
        }
        self.young.bytes += size;
        let before = self.young.tokens.insert(token.into(), (rule, verified));
        if before.is_some() {
            self.young.bytes = self.young.bytes.saturating_sub(size);
        }
    }

    /// Bytes that it takes, about.
    pub fn bytes(&self) -> usize {
        self.young.bytes + self.old.bytes
    }
}
