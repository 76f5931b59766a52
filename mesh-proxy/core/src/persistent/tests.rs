use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::{Change, Keyed, Shards, SortedList};

#[derive(Clone, Debug, PartialEq, Eq)]
struct Item(u16, u8);

impl Keyed for Item {
    type Key = u16;

    fn key(&self) -> &u16 {
        &self.0
    }
}

fn edits() -> impl Strategy<Value = Vec<(u16, Option<u8>)>> {
    // Few keys, so that many are hit again.
    prop::collection::vec(
        (0..400_u16, prop::option::weighted(0.7, any::<u8>())),
        0..900,
    )
}

fn edit(list: &mut SortedList<Item>, model: &mut BTreeMap<u16, u8>, edits: &[(u16, Option<u8>)]) {
    for (key, value) in edits {
        let (found, want) = match value {
            Some(value) => (list.insert(Item(*key, *value)), model.insert(*key, *value)),
            None => (list.remove(key), model.remove(key)),
        };
        assert_eq!(found.map(|item| item.1), want);
    }
}

fn contents(list: &SortedList<Item>) -> BTreeMap<u16, u8> {
    list.iter().map(|item| (item.0, item.1)).collect()
}

proptest! {
    #[test]
    fn a_list_is_a_sorted_map(first in edits(), second in edits()) {
        let mut list = SortedList::default();
        let mut model = BTreeMap::new();
        edit(&mut list, &mut model, &first);
        let (kept, before) = (list.clone(), model.clone());
        edit(&mut list, &mut model, &second);
        for (list, model) in [(&list, &model), (&kept, &before)] {
            prop_assert_eq!(contents(list), model.clone());
            prop_assert!(list.iter().is_sorted_by_key(|item| item.0));
            prop_assert_eq!(list.len(), model.len());
            for key in 0..400 {
                prop_assert_eq!(list.get(&key).map(|item| item.1), model.get(&key).copied());
            }
        }
        let made: SortedList<Item> = list.iter().cloned().collect();
        prop_assert!(made == list);
        prop_assert_eq!(kept == list, before == model);
    }

    #[test]
    fn changes_are_the_difference(first in edits(), second in edits()) {
        let mut list = SortedList::default();
        let mut model = BTreeMap::new();
        edit(&mut list, &mut model, &first);
        let before = list.clone();
        edit(&mut list, &mut model, &second);
        let mut replayed = contents(&before);
        let mut keys = Vec::new();
        list.changes_since(&before, |one, other| one == other, |change| match change {
            Change::Came(item) => {
                keys.push(item.0);
                assert_eq!(replayed.insert(item.0, item.1), None);
            }
            Change::Left(item) => {
                keys.push(item.0);
                assert_eq!(replayed.remove(&item.0), Some(item.1));
            }
            Change::Replaced { before, after } => {
                keys.push(after.0);
                assert_ne!(before, after);
                assert_eq!(replayed.insert(after.0, after.1), Some(before.1));
            }
        });
        prop_assert_eq!(replayed, model);
        prop_assert!(keys.is_sorted());
    }

    #[test]
    fn shards_are_a_hash_map(first in edits(), second in edits()) {
        let mut shards: Shards<u16, u8> = Shards::default();
        let mut model = HashMap::new();
        let apply = |edits: &[(u16, Option<u8>)], shards: &mut Shards<u16, u8>, model: &mut HashMap<u16, u8>| {
            for (key, value) in edits {
                match value {
                    Some(value) => assert_eq!(shards.insert(*key, *value), model.insert(*key, *value)),
                    None => assert_eq!(shards.remove(key), model.remove(key)),
                }
            }
        };
        apply(&first, &mut shards, &mut model);
        let (kept, before) = (shards.clone(), model.clone());
        apply(&second, &mut shards, &mut model);
        for (shards, model) in [(&shards, &model), (&kept, &before)] {
            for key in 0..400 {
                prop_assert_eq!(shards.get(&key), model.get(&key));
            }
            prop_assert_eq!(shards.keys().count(), model.len());
            prop_assert_eq!(shards.values().count(), model.len());
        }
    }
}

#[test]
fn a_change_of_one_is_found_without_looking_at_the_rest() {
    let list: SortedList<Item> = (0..5000).map(|key| Item(key, 0)).collect();
    let mut next = list.clone();
    next.insert(Item(2500, 1));
    let looked = std::cell::Cell::new(0);
    let mut found = Vec::new();
    let same = |one: &Item, other: &Item| {
        looked.set(looked.get() + 1);
        one == other
    };
    next.changes_since(&list, same, |change| found.push(change));
    assert_eq!(
        found,
        [Change::Replaced {
            before: &Item(2500, 0),
            after: &Item(2500, 1)
        }]
    );
    assert!(looked.get() <= 64, "{}", looked.get());
}
