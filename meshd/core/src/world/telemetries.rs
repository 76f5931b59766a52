//! Which Telemetry objects hold for a proxy (Istio: applicableTelemetries).

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::TelemetryObject;
use crate::yaml::Labels;

/// All Telemetry objects by namespace, in order of age.
#[derive(Debug, Default)]
pub(crate) struct Telemetries {
    by_namespace: HashMap<String, Vec<Arc<TelemetryObject>>>,
}

// === impl Telemetries ===

impl Telemetries {
    pub(super) fn new(objects: &[Arc<TelemetryObject>]) -> Self {
        let mut by_namespace: HashMap<String, Vec<_>> = HashMap::new();
        for object in objects {
            let namespace = object.meta.namespace().to_owned();
            let known = by_namespace.entry(namespace).or_default();
            known.push(Arc::clone(object));
        }
        Self { by_namespace }
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<TelemetryObject>> {
        self.by_namespace.values().flatten()
    }

    /// Those for a workload, each before those that count more than it: that of the root
    /// namespace, that of its own, and all of its own namespace that select it, oldest first. Of
    /// those without selector the oldest counts. A selector counts in its own namespace only, also
    /// in the root namespace.
    pub(crate) fn of(
        &self,
        (namespace, labels): (&str, &Labels),
        root: &str,
    ) -> Vec<&TelemetryObject> {
        let of = |namespace: &str| self.by_namespace.get(namespace).into_iter().flatten();
        let wide = |namespace: &str| of(namespace).find(|object| object.placement.is_wide());
        let own = (namespace != root).then(|| wide(namespace)).flatten();
        let selected = of(namespace)
            .filter(|object| !object.placement.is_wide() && object.placement.holds(labels, true));
        let all = wide(root).into_iter().chain(own).chain(selected);
        all.map(Arc::as_ref).collect()
    }
}
