//! Workloads by their labels.

use std::collections::HashMap;

use super::WorkloadId;
use crate::model::selects;
use crate::yaml::Labels;

/// An index of workloads by namespace and label.
#[derive(Default)]
pub(super) struct Selection<'o> {
    by_label: HashMap<(&'o str, &'o str, &'o str), Vec<Selectable<'o>>>,
    by_namespace: HashMap<&'o str, Vec<Selectable<'o>>>,
}

type Selectable<'o> = (WorkloadId, &'o Labels);

// === impl Selection ===

impl<'o> Selection<'o> {
    pub(super) fn add(&mut self, namespace: &'o str, labels: &'o Labels, id: WorkloadId) {
        let of_namespace = self.by_namespace.entry(namespace).or_default();
        of_namespace.push((id, labels));
        for (name, value) in labels {
            let of_label = self.by_label.entry((namespace, name, value)).or_default();
            of_label.push((id, labels));
        }
    }

    /// Workloads of a namespace that a selector takes, found by the rarest of its labels. An
    /// empty selector takes all.
    pub(super) fn selected<'s>(
        &'s self,
        namespace: &'s str,
        selector: &'s Labels,
    ) -> impl Iterator<Item = WorkloadId> + 's {
        let lists = selector.iter().map(|(name, value)| {
            self.by_label
                .get(&(namespace, name.as_str(), value.as_str()))
        });
        let candidates = if selector.is_empty() {
            self.by_namespace.get(namespace)
        } else {
            lists.min_by_key(|list| list.map_or(0, Vec::len)).flatten()
        };
        candidates
            .into_iter()
            .flatten()
            .filter(|(_, labels)| selects(selector, labels))
            .map(|(id, _)| *id)
    }
}
