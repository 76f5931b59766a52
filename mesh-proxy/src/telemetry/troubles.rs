//! What the proxy cannot do now, for the operator.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use super::lock;

/// Troubles that last, each under a name. Cheap to clone; all clones are the same list.
#[derive(Clone, Debug, Default)]
pub struct Troubles(Arc<Mutex<BTreeMap<String, String>>>);

// === impl Troubles ===

impl Troubles {
    /// Notes a trouble and returns whether it is news.
    pub fn note(&self, name: &str, text: &str) -> bool {
        lock(&self.0)
            .insert(name.to_owned(), text.to_owned())
            .is_none_or(|before| before != text)
    }

    /// It is over.
    pub fn over(&self, name: &str) {
        lock(&self.0).remove(name);
    }

    /// All of them, sorted by name.
    pub fn list(&self) -> Vec<String> {
        lock(&self.0).values().cloned().collect()
    }
}

/// The troubles of one who looks again and again: what it does not find any more is over.
#[derive(Debug, Default)]
pub struct Found {
    before: BTreeSet<String>,
    now: BTreeSet<String>,
}

// === impl Found ===

impl Found {
    /// Looks again.
    pub fn begin(&mut self) {
        self.before = std::mem::take(&mut self.now);
    }

    /// There is one. The log is told if it is news.
    pub fn note(&mut self, troubles: &Troubles, name: String, text: &str) {
        if troubles.note(&name, text) {
            tracing::error!("{text}");
        }
        self.now.insert(name);
    }

    /// That was all.
    pub fn end(&mut self, troubles: &Troubles) {
        for over in self.before.difference(&self.now) {
            troubles.over(over);
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.now.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_found_again_is_over() {
        let (troubles, mut found) = (Troubles::default(), Found::default());
        for (names, want) in [
            (&["a", "b"][..], &["a", "b"][..]),
            (&["b", "c"], &["b", "c"]),
            (&[], &[]),
        ] {
            found.begin();
            for name in names {
                found.note(&troubles, (*name).to_owned(), name);
            }
            found.end(&troubles);
            assert_eq!(troubles.list(), want);
            assert_eq!(found.is_empty(), want.is_empty());
        }
    }

    #[test]
    fn tells_news_once() {
        let troubles = Troubles::default();
        assert!(troubles.note("a", "port 80 is taken"));
        assert!(!troubles.clone().note("a", "port 80 is taken"));
        assert!(troubles.note("a", "port 80 needs a privilege"));
        assert_eq!(troubles.list(), ["port 80 needs a privilege"]);
        troubles.over("a");
        assert!(troubles.list().is_empty());
    }
}
