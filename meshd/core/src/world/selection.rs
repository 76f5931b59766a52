//! Workloads by their labels.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::WorkloadId;
use crate::model::selects;
use crate::yaml::Labels;

/// An index of workloads by namespace and label.
#[derive(Default)]
pub(super) struct Selection<'o> {
    by_namespace: HashMap<&'o str, Namespace<'o>>,
}

#[derive(Default)]
struct Namespace<'o> {
    all: Vec<Selectable<'o>>,
    /// Places in `all` by value, of each label that a selector has asked for: of most labels of
    /// pods none does.
    by_label: RefCell<HashMap<String, ByValue>>,
}

type Selectable<'o> = (WorkloadId, &'o Labels);
type ByValue = HashMap<String, Rc<[usize]>>;

// === impl Selection ===

impl<'o> Selection<'o> {
    pub(super) fn add(&mut self, namespace: &'o str, labels: &'o Labels, id: WorkloadId) {
        let of_namespace = self.by_namespace.entry(namespace).or_default();
        of_namespace.all.push((id, labels));
        of_namespace.by_label.get_mut().clear();
    }

    /// Workloads of a namespace that a selector takes, in order, found by the rarest of its
    /// labels. An empty selector takes all.
    pub(super) fn selected<'s>(
        &'s self,
        namespace: &str,
        selector: &'s Labels,
    ) -> impl Iterator<Item = WorkloadId> + use<'s, 'o> {
        let namespace = self.by_namespace.get(namespace);
        let rarest = namespace.and_then(|namespace| namespace.rarest(selector));
        let all = namespace.map_or(&[][..], |namespace| &namespace.all);
        let count = rarest.as_ref().map_or(all.len(), |places| places.len());
        (0..count).filter_map(move |index| {
            let place = match &rarest {
                Some(places) => *places.get(index)?,
                None => index,
            };
            let (id, labels) = all.get(place)?;
            selects(selector, labels).then_some(*id)
        })
    }
}

// === impl Namespace ===

impl Namespace<'_> {
    /// Those that have the label of the selector that the fewest have; none without any label.
    fn rarest(&self, selector: &Labels) -> Option<Rc<[usize]>> {
        let mut by_label = self.by_label.borrow_mut();
        let lists = selector.iter().map(|(name, value)| {
            if !by_label.contains_key(name) {
                by_label.insert(name.clone(), self.index(name));
            }
            let values = by_label.get(name);
            let list = values.and_then(|values| values.get(value));
            list.map_or_else(|| Rc::from([]), Rc::clone)
        });
        lists.min_by_key(|list| list.len())
    }

    fn index(&self, name: &str) -> ByValue {
        let mut values: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, (_, labels)) in self.all.iter().enumerate() {
            if let Some(value) = labels.get(name) {
                values.entry(value).or_default().push(place);
            }
        }
        let values = values.into_iter();
        values
            .map(|(value, places)| (value.to_owned(), places.into()))
            .collect()
    }
}
