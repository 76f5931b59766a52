//! Pods as workloads.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use mesh_api::SpiffeId;

use super::services::Linker;
use super::{WorkloadBase, WorkloadId};
use crate::model::{KubernetesNode, KubernetesPort, Pod, TargetPort, locality};
use crate::yaml::Labels;

/// Labels of a pod that say where it is, whatever its node says (Istio: GetLocalityLabel). They
/// may have dots for the slashes that a label's value cannot have.
const LOCALITY: [&str; 2] = ["topology.istio.io/locality", "istio-locality"];

/// Where nodes are, and what lies in the same zone.
#[derive(Default)]
pub(super) struct Places<'o> {
    of_nodes: HashMap<&'o str, String>,
    of_zones: HashMap<&'o str, String>,
}

// === impl Places ===

impl<'o> Places<'o> {
    pub(super) fn new(nodes: &'o [Arc<KubernetesNode>]) -> Self {
        let mut places = Self::default();
        for node in nodes {
            places.of_nodes.insert(node.meta.name(), node.locality());
            if !node.zone.is_empty() {
                let zone = || locality(&node.region, &node.zone, "");
                places.of_zones.entry(&node.zone).or_insert_with(zone);
            }
        }
        places
    }

    /// Locality of a node, or of a zone if the node is not known.
    pub(super) fn find(&self, node: &str, zone: &str) -> String {
        if let Some(found) = self.of_nodes.get(node).or_else(|| self.of_zones.get(zone)) {
            return found.clone();
        }
        if zone.is_empty() {
            String::new()
        } else {
            locality("", zone, "")
        }
    }
}

// === impl Linker ===

impl<'o> Linker<'_, 'o> {
    /// Adds pods. What runs nothing any more is none.
    pub(super) fn pods(&mut self, pods: &'o [Arc<Pod>]) {
        for pod in pods.iter().filter(|pod| !pod.finished) {
            let base = self.known_pod(pod).unwrap_or_else(|| self.pod_base(pod));
            let id = self.push(base);
            self.pods.add(pod.meta.namespace(), &pod.labels, id);
            if !pod.host_network {
                for address in &pod.addresses {
                    // While an address goes from one pod to the next, the younger has it.
                    self.pods_by_ip.insert(*address, id);
                }
            }
        }
    }

    fn locality(&self, pod: &Pod) -> String {
        labelled_locality(&pod.labels).unwrap_or_else(|| self.places.find(&pod.node, ""))
    }

    /// What the World before had of a pod that did not change, nor its place.
    fn known_pod(&self, pod: &Arc<Pod>) -> Option<Arc<WorkloadBase>> {
        let before = self.before?;
        if before.settings.trust_domain != self.inner.settings.trust_domain {
            return None;
        }
        let id = before.workloads_by_uid.get(&pod.meta.full_name())?;
        let base = &before.workloads.get(*id)?.base;
        let same = base.pod.as_ref().is_some_and(|held| Arc::ptr_eq(held, pod));
        (same && base.locality == self.locality(pod)).then(|| Arc::clone(base))
    }

    fn pod_base(&self, pod: &Arc<Pod>) -> Arc<WorkloadBase> {
        let namespace = pod.meta.namespace();
        let domain = &self.inner.settings.trust_domain;
        let identity = SpiffeId::new(domain, namespace, &pod.service_account)
            .map(|id| id.as_str().to_owned())
            .unwrap_or_default();
        Arc::new(WorkloadBase {
            uid: pod.meta.full_name(),
            name: pod.workload.clone(),
            namespace: namespace.to_owned(),
            service_account: pod.service_account.clone(),
            identity,
            labels: Arc::clone(&pod.labels),
            address: pod
                .addresses
                .first()
                .map(ToString::to_string)
                .unwrap_or_default(),
            // Those of its containers stand in the Pod.
            ports: BTreeMap::new(),
            locality: self.locality(pod),
            weight: 1,
            // Whether a service counts on it is the service's: it backs it or not.
            healthy: true,
            origin: pod.meta.origin.clone(),
            pod: Some(Arc::clone(pod)),
        })
    }

    /// The pod of a uid.
    pub(super) fn pod(&self, uid: &str) -> Option<WorkloadId> {
        let id = *self.inner.workloads_by_uid.get(uid)?;
        let record = self.inner.workloads.get(id)?;
        record.pod.is_some().then_some(id)
    }

    /// A pod at one of its addresses. Where that is not the first one, it is an endpoint of its
    /// own.
    pub(super) fn pod_at(&mut self, id: WorkloadId, address: IpAddr) -> WorkloadId {
        let Some(record) = self.inner.workloads.get(id) else {
            return id;
        };
        let address = address.to_string();
        if record.address == address {
            return id;
        }
        let uid = format!("{}/{address}", record.uid);
        if let Some(known) = self.inner.workloads_by_uid.get(&uid) {
            return *known;
        }
        let base = WorkloadBase {
            uid,
            address,
            ..WorkloadBase::clone(&record.base)
        };
        self.push(base)
    }
}

fn labelled_locality(labels: &Labels) -> Option<String> {
    let text = LOCALITY.iter().find_map(|label| labels.get(*label))?;
    Some(if text.contains('/') {
        text.clone()
    } else {
        text.replace('.', "/")
    })
    .filter(|text| !text.is_empty())
}

/// Where a pod answers the ports of a Service that selects it: by service port. A name that none
/// of its containers has is nowhere.
pub(super) fn pod_ports(ports: &[KubernetesPort], pod: &Pod) -> Vec<(u32, u32)> {
    let target = |port: &KubernetesPort| match &port.target {
        TargetPort::Name(name) => pod.ports.get(name).copied(),
        TargetPort::Number(number) => Some(*number),
    };
    ports
        .iter()
        .filter_map(|port| Some((u32::from(port.number), u32::from(target(port)?))))
        .collect()
}
