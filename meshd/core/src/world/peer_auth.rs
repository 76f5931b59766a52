//! Which mTLS mode holds for a workload (Istio: ComposePeerAuthentication).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mesh_api::v1::{MtlsMode, Origin};

use crate::model::{PeerAuthentication, selects};
use crate::yaml::Labels;

/// All PeerAuthentications by level, the oldest of each first.
#[derive(Debug, Default)]
pub(crate) struct PeerAuthentications {
    root_namespace: String,
    mesh: Option<Arc<PeerAuthentication>>,
    namespaces: HashMap<String, Arc<PeerAuthentication>>,
    workloads: HashMap<String, Vec<Arc<PeerAuthentication>>>,
}

/// The mode of one workload.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Mtls {
    pub(crate) mode: MtlsMode,
    /// Absent if no policy says so.
    pub(crate) origin: Option<Origin>,
    /// Ports with a mode of their own, by workload port.
    pub(crate) ports: BTreeMap<u16, (MtlsMode, Option<Origin>)>,
}

// === impl PeerAuthentications ===

impl PeerAuthentications {
    pub(super) fn new(root_namespace: &str) -> Self {
        Self {
            root_namespace: root_namespace.to_owned(),
            ..Self::default()
        }
    }

    /// Adds one, in order of age. Of each level only the oldest counts, and a selector in the
    /// root namespace counts nowhere; gives back why this one has no effect.
    pub(super) fn add(&mut self, policy: &Arc<PeerAuthentication>) -> Result<(), String> {
        let namespace = policy.meta.namespace();
        let of = |other: &PeerAuthentication| {
            format!(
                "{} holds already; only the oldest counts",
                other.meta.full_name()
            )
        };
        if policy.selector.is_empty() {
            let root = namespace == self.root_namespace;
            let held = if root {
                self.mesh.as_ref()
            } else {
                self.namespaces.get(namespace)
            };
            if let Some(held) = held {
                return Err(of(held));
            }
            if root {
                self.mesh = Some(Arc::clone(policy));
            } else {
                self.namespaces
                    .insert(namespace.to_owned(), Arc::clone(policy));
            }
            return Ok(());
        }
        if namespace == self.root_namespace {
            return Err("a selector has no effect in the root namespace".to_owned());
        }
        self.workloads
            .entry(namespace.to_owned())
            .or_default()
            .push(Arc::clone(policy));
        Ok(())
    }

    /// The mode of a workload with these labels.
    pub(crate) fn effective(&self, namespace: &str, labels: &Labels) -> Mtls {
        let of_namespace = self.namespaces.get(namespace);
        let of_workload = self
            .workloads
            .get(namespace)
            .into_iter()
            .flatten()
            .find(|policy| selects(&policy.selector, labels));
        let said = [of_workload, of_namespace, self.mesh.as_ref()];
        let found = said
            .into_iter()
            .flatten()
            .find_map(|policy| policy.mode.clone());
        let (mode, origin) = found.map_or((MtlsMode::Permissive, None), |(mode, origin)| {
            (mode, Some(origin))
        });
        let ports = of_workload
            .map(|policy| {
                let settings = policy.ports.iter();
                settings
                    .map(|(port, (own, place))| match own {
                        Some(own) => (*port, (*own, Some(place.clone()))),
                        None => (*port, (mode, origin.clone())),
                    })
                    .collect()
            })
            .unwrap_or_default();
        Mtls {
            mode,
            origin,
            ports,
        }
    }
}

// === impl Mtls ===

impl Mtls {
    /// The mode of one workload port.
    pub(crate) fn at(&self, port: u32) -> (MtlsMode, Option<Origin>) {
        u16::try_from(port)
            .ok()
            .and_then(|port| self.ports.get(&port).cloned())
            .unwrap_or_else(|| (self.mode, self.origin.clone()))
    }
}
