//! What one watch has told so far: names and versions, not the objects themselves.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::kubernetes::version::reaches;

/// `<namespace>/<name>`, or the name alone of what belongs to the cluster.
pub(crate) type Name = Box<str>;

/// Names, versions and fingerprints of all objects of one watch.
#[derive(Debug, Default)]
pub(crate) struct Table {
    known: HashMap<Name, Known>,
    /// Those that the list that is under way has named.
    listing: Option<HashSet<Name>>,
    /// The newest version that this watch has reached.
    position: String,
}

#[derive(Debug)]
struct Known {
    version: Box<str>,
    /// Of what is kept of the object; none if nothing is.
    fingerprint: Option<u64>,
}

/// What a new version of an object means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Difference {
    /// Nothing that is kept has changed.
    None,
    /// The object is to be taken.
    Taken,
    /// Nothing of the object is kept any more.
    Dropped,
}

/// What the API server had at one moment.
#[derive(Debug, Default)]
pub(crate) struct Inventory {
    /// Version of the list.
    pub(crate) version: String,
    /// Versions of its objects.
    pub(crate) objects: BTreeMap<Name, String>,
}

/// What a watch has still to tell before it has told all of an [`Inventory`].
#[derive(Debug)]
pub(crate) struct Outstanding {
    version: String,
    /// With a version: this or a newer one is to come. Without: it is to go.
    objects: Vec<(Name, Option<String>)>,
}

// === impl Table ===

impl Table {
    /// Number of objects of which something is kept.
    pub(crate) fn kept(&self) -> usize {
        let kept = self.known.values();
        kept.filter(|known| known.fingerprint.is_some()).count()
    }

    /// A list begins.
    pub(crate) fn begin(&mut self) {
        self.listing = Some(HashSet::with_capacity(self.known.len()));
    }

    /// A list is complete: returns the names of kept objects that are gone.
    pub(crate) fn complete(&mut self, version: String) -> Vec<Name> {
        self.position = version;
        let Some(listed) = self.listing.take() else {
            return Vec::new();
        };
        let mut gone = Vec::new();
        self.known.retain(|name, known| {
            let stays = listed.contains(name);
            if !stays && known.fingerprint.is_some() {
                gone.push(name.clone());
            }
            stays
        });
        gone
    }

    /// An object was listed or has changed.
    pub(crate) fn set(
        &mut self,
        name: Name,
        version: &str,
        fingerprint: Option<u64>,
    ) -> Difference {
        match &mut self.listing {
            Some(listed) => drop(listed.insert(name.clone())),
            None => version.clone_into(&mut self.position),
        }
        let known = Known {
            version: version.into(),
            fingerprint,
        };
        let before = self.known.insert(name, known).and_then(|k| k.fingerprint);
        match (before, fingerprint) {
            (None, None) => Difference::None,
            (Some(_), None) => Difference::Dropped,
            (before, now) if before == now => Difference::None,
            _ => Difference::Taken,
        }
    }

    /// An object is gone: returns whether something of it was kept.
    pub(crate) fn remove(&mut self, name: &str, version: &str) -> bool {
        version.clone_into(&mut self.position);
        let known = self.known.remove(name);
        known.is_some_and(|known| known.fingerprint.is_some())
    }

    /// Nothing has changed up to this version.
    pub(crate) fn pass(&mut self, version: String) {
        self.position = version;
    }

    /// Forgets everything: returns the names of kept objects.
    pub(crate) fn clear(&mut self) -> Vec<Name> {
        self.begin();
        self.complete(String::new())
    }

    /// What is still to come of an inventory.
    pub(crate) fn outstanding(&self, inventory: Inventory) -> Outstanding {
        let old_news = |known: &Known| reaches(&inventory.version, &known.version);
        let mut objects: Vec<(Name, Option<String>)> = self
            .known
            .iter()
            .filter(|(name, known)| !inventory.objects.contains_key(*name) && old_news(known))
            .map(|(name, _)| (name.clone(), None))
            .collect();
        let come = inventory.objects.into_iter();
        objects.extend(come.map(|(name, version)| (name, Some(version))));
        let mut outstanding = Outstanding {
            version: inventory.version,
            objects,
        };
        outstanding.update(self);
        outstanding
    }
}

// === impl Outstanding ===

impl Outstanding {
    /// Leaves out what the watch has told meanwhile. Returns whether nothing is left.
    pub(crate) fn update(&mut self, table: &Table) -> bool {
        if table.listing.is_none() && reaches(&table.position, &self.version) {
            self.objects.clear();
        }
        self.objects.retain(|(name, wanted)| {
            let known = table.known.get(name);
            match (known, wanted) {
                (Some(known), Some(wanted)) => !reaches(&known.version, wanted),
                // A newer object of the same name is another one.
                (Some(known), None) => reaches(&self.version, &known.version),
                (None, Some(_)) => true,
                (None, None) => false,
            }
        });
        self.objects.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inventory(version: &str, objects: &[(&str, &str)]) -> Inventory {
        Inventory {
            version: version.to_owned(),
            objects: objects
                .iter()
                .map(|(name, version)| ((*name).into(), (*version).to_owned()))
                .collect(),
        }
    }

    fn listed() -> Table {
        let mut table = Table::default();
        table.begin();
        for (name, version) in [("a/one", "7"), ("a/two", "9")] {
            assert_eq!(table.set(name.into(), version, Some(1)), Difference::Taken);
        }
        assert!(table.complete("10".to_owned()).is_empty());
        table
    }

    #[test]
    fn tells_what_changes_and_what_does_not() {
        let mut table = listed();
        assert_eq!(table.set("a/one".into(), "11", Some(1)), Difference::None);
        assert_eq!(table.set("a/one".into(), "12", Some(2)), Difference::Taken);
        assert_eq!(table.set("a/one".into(), "13", None), Difference::Dropped);
        assert_eq!(table.set("a/one".into(), "14", None), Difference::None);
        assert_eq!(table.kept(), 1);
        assert!(!table.remove("a/one", "15"));
        assert!(table.remove("a/two", "16"));
        assert!(!table.remove("a/two", "16"));
    }

    #[test]
    fn finds_at_a_new_list_what_went_meanwhile() {
        let mut table = listed();
        table.begin();
        assert_eq!(table.set("a/two".into(), "9", Some(1)), Difference::None);
        assert_eq!(table.set("a/new".into(), "20", Some(1)), Difference::Taken);
        assert_eq!(&*table.complete("21".to_owned())[0], "a/one");
        // A list that breaks off is begun again.
        table.begin();
        table.begin();
        table.set("a/new".into(), "20", Some(1));
        assert_eq!(&*table.complete("22".to_owned())[0], "a/two");
        assert_eq!(table.clear().len(), 1);
    }

    #[test]
    fn knows_when_it_has_caught_up() {
        let mut table = listed();
        // The position alone says it.
        assert!(
            table
                .outstanding(inventory("10", &[("a/x", "3")]))
                .update(&table)
        );
        // A change, a creation and a removal are still to come.
        let mut left = table.outstanding(inventory("20", &[("a/one", "12"), ("a/new", "15")]));
        assert!(!left.update(&table));
        table.set("a/one".into(), "12", Some(2));
        table.remove("a/two", "13");
        assert!(!left.update(&table));
        table.set("a/new".into(), "15", Some(1));
        assert!(left.update(&table));
        // What is newer than the inventory does not count.
        table.set("a/late".into(), "21", Some(1));
        let known = [("a/one", "12"), ("a/new", "15")];
        assert!(table.outstanding(inventory("20", &known)).update(&table));
        // Nor does what went after it, once the watch is past it.
        let mut left = table.outstanding(inventory("30", &[("a/one", "12"), ("a/gone", "25")]));
        assert!(!left.update(&table));
        table.pass("31".to_owned());
        assert!(left.update(&table));
    }
}
