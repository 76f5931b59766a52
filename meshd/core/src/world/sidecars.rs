//! Which Sidecar holds for a proxy.

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{SidecarObject, selects};
use crate::yaml::Labels;

/// All Sidecars by namespace, in order of age.
#[derive(Debug, Default)]
pub(crate) struct Sidecars {
    by_namespace: HashMap<String, Vec<Arc<SidecarObject>>>,
}

// === impl Sidecars ===

impl Sidecars {
    pub(super) fn new(objects: &[Arc<SidecarObject>]) -> Self {
        let mut by_namespace: HashMap<String, Vec<Arc<SidecarObject>>> = HashMap::new();
        for object in objects {
            let namespace = object.meta.namespace().to_owned();
            by_namespace
                .entry(namespace)
                .or_default()
                .push(Arc::clone(object));
        }
        Self { by_namespace }
    }

    /// What those that are for some workloads only look at.
    pub(crate) fn selectors(&self) -> impl Iterator<Item = &Labels> {
        let all = self.by_namespace.values().flatten();
        all.filter_map(|object| object.selector.as_ref())
    }

    /// One that selects the workload, or that of the namespace, or that of the mesh.
    pub(crate) fn of(
        &self,
        (namespace, labels): (&str, &Labels),
        root: &str,
    ) -> Option<&SidecarObject> {
        let all = |namespace: &str| self.by_namespace.get(namespace).into_iter().flatten();
        let selected = |object: &&Arc<SidecarObject>| {
            let selector = object.selector.as_ref();
            selector.is_some_and(|selector| selects(selector, labels))
        };
        let plain = |object: &&Arc<SidecarObject>| object.selector.is_none();
        all(namespace)
            .find(selected)
            .or_else(|| all(namespace).find(plain))
            .or_else(|| all(root).find(plain))
            .map(Arc::as_ref)
    }
}
