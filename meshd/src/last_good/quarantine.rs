//! Objects in quarantine, as replicas tell each other of them.
//!
//! What was last good is known only to who has seen it. So that all replicas have the same in
//! force, also those that start later, one of them writes it down for all.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{LastGood, OBJECT, is_object};

/// An object in quarantine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// The `metadata.generation` that is in quarantine.
    pub(crate) bad: i64,
    /// The version that is in force.
    pub(crate) good: Value,
}

/// By `<kind>.<namespace>.<name>`; the first two have no dots.
pub(crate) type Quarantine = BTreeMap<String, Kept>;

// === impl LastGood ===

impl LastGood {
    /// Takes what another replica has written down.
    pub(crate) fn share(&mut self, shared: Quarantine) {
        self.shared = shared
            .into_iter()
            .map(|(key, kept)| (name_of_key(&key), kept))
            .collect();
    }

    /// What is to be set, in this order, so that the same is in force here as in other replicas:
    /// where they tell of this very version, or where nothing better is known.
    pub(super) fn adopted(&mut self, spoilt: &BTreeSet<String>) -> Vec<Value> {
        let mut objects = Vec::new();
        for name in spoilt {
            let Some(kept) = self.shared.get(name) else {
                continue;
            };
            let bad = self.fresh.get(name).or_else(|| self.bad.get(name));
            let Some(bad) = bad.and_then(|text| serde_json::from_str::<Value>(text).ok()) else {
                continue;
            };
            let own = self.texts.get(name);
            let own = own.and_then(|text| serde_json::from_str::<Value>(text).ok());
            if own.as_ref() == Some(&kept.good) || (own.is_some() && kept.bad != generation(&bad)) {
                continue;
            }
            self.texts.insert(name.clone(), kept.good.to_string());
            self.unsaved = true;
            objects.extend([kept.good.clone(), bad]);
        }
        objects
    }

    /// Tells what is in quarantine now.
    pub(super) fn tell(&self) {
        let quarantine: Quarantine = self
            .bad
            .iter()
            .filter_map(|(name, bad)| {
                let good = serde_json::from_str(self.texts.get(name)?).ok()?;
                let bad = generation(&serde_json::from_str(bad).ok()?);
                Some((key_of_name(name), Kept { bad, good }))
            })
            .collect();
        self.quarantine.send_if_modified(|told| {
            let modified = *told != quarantine;
            *told = quarantine;
            modified
        });
    }
}

fn generation(object: &Value) -> i64 {
    let generation = object.pointer("/metadata/generation");
    generation.and_then(Value::as_i64).unwrap_or(0)
}

fn key_of_name(name: &str) -> String {
    debug_assert!(is_object(name));
    name.trim_start_matches(OBJECT).replace('/', ".")
}

fn name_of_key(key: &str) -> String {
    let parts: Vec<&str> = key.splitn(3, '.').collect();
    format!("{OBJECT}{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use meshd_core::ObjectKey;
    use serde_json::json;

    use super::super::tests::error_in;
    use super::*;

    fn object(generation: i64) -> Value {
        json!({"apiVersion": "networking.istio.io/v1", "kind": "Sidecar",
            "metadata": {"namespace": "shop", "name": "a.b", "generation": generation}, "spec": {}})
    }

    fn see(memory: &mut LastGood, generation: i64, bad: bool) {
        let problems = [error_in("Sidecar", "a.b")];
        let object = object(generation);
        memory.object_changed(&ObjectKey::of(&object), &object);
        memory.learn(if bad { &problems } else { &[] });
    }

    fn fresh() -> (tempfile::TempDir, LastGood) {
        let dir = tempfile::tempdir().unwrap();
        let memory = LastGood::open(dir.path()).unwrap();
        (dir, memory)
    }

    #[test]
    fn one_tells_and_another_adopts() {
        let (_dir, mut old) = fresh();
        let told = old.quarantine();
        see(&mut old, 1, false);
        assert!(told.borrow().is_empty());
        see(&mut old, 2, true);
        let shared = told.borrow().clone();
        let kept = Kept {
            bad: 2,
            good: object(1),
        };
        assert_eq!(
            shared,
            Quarantine::from([("Sidecar.shop.a.b".to_owned(), kept)])
        );

        // One that starts later and has never seen the good version.
        let (_dir, mut new) = fresh();
        see(&mut new, 2, true);
        let problems = [error_in("Sidecar", "a.b")];
        assert!(new.adopt(&problems).is_empty());
        new.share(shared.clone());
        assert_eq!(new.adopt(&problems), [object(1), object(2)]);
        assert!(new.adopt(&problems).is_empty(), "once");
        new.learn(&problems);
        assert_eq!(*new.quarantine().borrow(), shared);

        // One that knows better does not take what is old.
        let (_dir, mut other) = fresh();
        see(&mut other, 3, false);
        see(&mut other, 4, true);
        other.share(shared);
        assert!(other.adopt(&problems).is_empty());

        see(&mut old, 5, false);
        assert!(told.borrow().is_empty());
    }
}
