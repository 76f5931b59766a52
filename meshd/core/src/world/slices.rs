//! Endpoints of Services of Kubernetes.
//!
//! A Service has the endpoints that its EndpointSlices name, and the WorkloadEntries that its
//! selector takes (Istio: `PILOT_ENABLE_K8S_SELECT_WORKLOAD_ENTRIES`). Pods are endpoints by
//! slices only: whether a pod takes requests is for the slices to say. So a Service without any
//! slice has WorkloadEntries only, which is all there is outside of a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use mesh_api::v1::BackingPort;

use super::services::{Linker, implied_endpoint};
use super::{ServiceId, WorkloadId};
use crate::model::{EndpointSlice, KubernetesPort, KubernetesService, SliceEndpoint};

/// An endpoint that several slices may name: a pod at an address, or an address.
type Backend = (Option<WorkloadId>, IpAddr);

struct Found<'o> {
    slice: &'o EndpointSlice,
    endpoint: &'o SliceEndpoint,
    /// By service port.
    ports: BTreeMap<u32, Answer>,
}

/// Where and how an endpoint answers a service port.
struct Answer {
    target: u32,
    ready: bool,
    draining: bool,
}

// === impl Linker ===

impl<'o> Linker<'_, 'o> {
    pub(super) fn index_slices(&mut self, slices: &'o [Arc<EndpointSlice>]) {
        for slice in slices.iter().filter(|slice| !slice.service.is_empty()) {
            let service = (slice.meta.namespace(), slice.service.as_str());
            self.slices.entry(service).or_default().push(slice);
        }
    }

    /// Puts the endpoints of a Service's slices behind it. Of each port those that are ready
    /// count; only if none is, those that still serve while they end (as kube-proxy does it).
    pub(super) fn link_slices(&mut self, id: ServiceId, service: &KubernetesService) {
        let found = self.found(service);
        let answered = |wanted: fn(&Answer) -> bool| -> BTreeSet<u32> {
            found
                .values()
                .flat_map(|found| &found.ports)
                .filter(|(_, answer)| wanted(answer))
                .map(|(port, _)| *port)
                .collect()
        };
        let ready = answered(|answer| answer.ready);
        for ((pod, address), found) in &found {
            if let (Some(pod), None) = (pod, &service.selector) {
                // Nobody selects the pod, and still it serves the Service.
                let all = found.ports.iter();
                let all = all.map(|(port, answer)| (*port, answer.target)).collect();
                self.front(*pod, id, all);
            }
            let usable = |(port, answer): &(&u32, &Answer)| {
                answer.ready || (answer.draining && !ready.contains(*port))
            };
            let ports: Vec<BackingPort> = found
                .ports
                .iter()
                .filter(usable)
                .map(|(port, answer)| BackingPort {
                    service_port: *port,
                    target_port: answer.target,
                    mutual_tls: false,
                })
                .collect();
            if ports.is_empty() {
                continue;
            }
            let workload = match pod {
                Some(pod) => self.pod_at(*pod, *address),
                None => self.nameless(service, found, *address),
            };
            let locality = self.places.find("", &found.endpoint.zone);
            if let Some(record) = self.inner.workloads.get_mut(workload) {
                if record.locality.is_empty() && !locality.is_empty() {
                    Arc::make_mut(&mut record.base).locality = locality;
                }
                record.backs.push((id, ports));
            }
        }
    }

    /// What the slices name, each once. A pod is there once, at its first address if that is
    /// among them: the slices of a service of both IP families name each pod twice.
    fn found(&self, service: &KubernetesService) -> BTreeMap<Backend, Found<'o>> {
        let mut found: BTreeMap<Backend, Found<'o>> = BTreeMap::new();
        let key = (service.meta.namespace(), service.meta.name());
        for slice in self.slices.get(&key).into_iter().flatten().copied() {
            let ports = slice_ports(&service.ports, slice);
            for endpoint in &slice.endpoints {
                let pod = match &endpoint.pod {
                    Some(uid) => match self.pod(uid) {
                        Some(pod) => Some(pod),
                        // Not known yet, or gone: who it is nobody can say.
                        None => continue,
                    },
                    None => self.pods_by_ip.get(&endpoint.address).copied(),
                };
                let held = found
                    .entry((pod, endpoint.address))
                    .or_insert_with(|| Found {
                        slice,
                        endpoint,
                        ports: BTreeMap::new(),
                    });
                for (port, target) in &ports {
                    held.answer(*port, *target, endpoint);
                }
            }
        }
        let mut last = None;
        let first_address = |pod: WorkloadId| {
            let record = self.inner.workloads.get(pod)?;
            record.pod.as_ref()?.addresses.first().copied()
        };
        let at_first: BTreeSet<WorkloadId> = found
            .keys()
            .filter_map(|(pod, address)| pod.filter(|pod| first_address(*pod) == Some(*address)))
            .collect();
        found.retain(|(pod, address), _| {
            let Some(pod) = pod else {
                return true;
            };
            if at_first.contains(pod) {
                return first_address(*pod) == Some(*address);
            }
            last.replace(*pod) != Some(*pod)
        });
        found
    }

    /// An endpoint that no pod is behind: an address that somebody wrote into a slice.
    fn nameless(
        &mut self,
        service: &KubernetesService,
        found: &Found<'_>,
        address: IpAddr,
    ) -> WorkloadId {
        let meta = &service.meta;
        let uid = format!("endpointslice/{}/{address}", meta.full_name());
        let mut endpoint = implied_endpoint(address.to_string(), found.slice.meta.origin.clone());
        endpoint.locality = self.places.find(&found.endpoint.node, &found.endpoint.zone);
        self.workload(meta, &endpoint, uid, meta.name())
    }
}

// === impl Found ===

impl Found<'_> {
    /// While an endpoint moves from one slice to another both may name it, and differ: the one
    /// that says that it is ready is believed.
    fn answer(&mut self, port: u32, target: u32, endpoint: &SliceEndpoint) {
        let answer = self.ports.entry(port).or_insert(Answer {
            target,
            ready: false,
            draining: false,
        });
        if endpoint.ready && !answer.ready {
            answer.target = target;
        }
        answer.ready |= endpoint.ready;
        answer.draining |= endpoint.draining;
    }
}

/// Service port and target port of each port that a slice has, by name.
fn slice_ports(ports: &[KubernetesPort], slice: &EndpointSlice) -> Vec<(u32, u32)> {
    ports
        .iter()
        .filter_map(|port| {
            let found = slice.ports.iter().find(|found| found.name == port.name)?;
            let target = found.number.unwrap_or(port.number);
            Some((u32::from(port.number), u32::from(target)))
        })
        .collect()
}
