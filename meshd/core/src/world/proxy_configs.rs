//! Which ProxyConfigs hold for a pod (Istio: EffectiveProxyConfig).

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::ProxyConfigObject;

/// All ProxyConfigs by level, the oldest of each first. Injection reads them, see
/// [`InjectContext`](crate::inject::InjectContext).
#[derive(Clone, Debug, Default)]
pub struct ProxyConfigs {
    root_namespace: String,
    /// Without a selector, by namespace.
    namespaces: BTreeMap<String, Arc<ProxyConfigObject>>,
    /// With one, by namespace.
    workloads: BTreeMap<String, Vec<Arc<ProxyConfigObject>>>,
}

/// What holds for one pod. Each level says something of its own or inherits field by field from
/// the one before.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ProxyConfigLevels<'a> {
    /// That of the root namespace.
    pub(crate) mesh: Option<&'a ProxyConfigObject>,
    pub(crate) namespace: Option<&'a ProxyConfigObject>,
    /// The one whose selector matches. It counts more than the annotation of the pod, which counts
    /// more than the others.
    pub(crate) workload: Option<&'a ProxyConfigObject>,
}

// === impl ProxyConfigs ===

impl ProxyConfigs {
    /// None at all.
    pub(crate) const NONE: Self = Self {
        root_namespace: String::new(),
        namespaces: BTreeMap::new(),
        workloads: BTreeMap::new(),
    };

    pub(super) fn new(root_namespace: &str) -> Self {
        Self {
            root_namespace: root_namespace.to_owned(),
            ..Self::NONE
        }
    }

    /// Adds one, in order of age. Of those of a namespace without selector only the oldest counts;
    /// gives back why this one has no effect.
    pub(super) fn add(&mut self, object: &Arc<ProxyConfigObject>) -> Result<(), String> {
        let namespace = object.meta.namespace();
        match &object.selector {
            None => {
                if let Some(held) = self.namespaces.get(namespace) {
                    return Err(format!(
                        "{} holds already; only the oldest counts",
                        held.meta.full_name()
                    ));
                }
                let object = Arc::clone(object);
                self.namespaces.insert(namespace.to_owned(), object);
            }
            Some(labels) if labels.is_empty() => {
                return Err("a selector without labels selects nothing".to_owned());
            }
            Some(_) => self
                .workloads
                .entry(namespace.to_owned())
                .or_default()
                .push(Arc::clone(object)),
        }
        Ok(())
    }

    /// Those for a pod of this namespace with these labels. A selector counts in its own namespace
    /// only, also in the root namespace.
    pub(crate) fn of_pod<'a>(
        &self,
        namespace: &str,
        label: impl Fn(&str) -> Option<&'a str>,
    ) -> ProxyConfigLevels<'_> {
        let of = |namespace: &str| self.namespaces.get(namespace).map(Arc::as_ref);
        let mut workloads = self.workloads.get(namespace).into_iter().flatten();
        let matches = |object: &&Arc<ProxyConfigObject>| {
            let mut selector = object.selector.iter().flatten();
            selector.all(|(name, value)| label(name) == Some(value))
        };
        ProxyConfigLevels {
            mesh: of(&self.root_namespace),
            namespace: of(namespace).filter(|_| namespace != self.root_namespace),
            workload: workloads.find(matches).map(Arc::as_ref),
        }
    }
}
