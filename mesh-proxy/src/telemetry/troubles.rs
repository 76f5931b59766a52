//! What the proxy cannot do now, for the operator.

use std::collections::BTreeMap;
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

#[cfg(test)]
mod tests {
    use super::*;

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
