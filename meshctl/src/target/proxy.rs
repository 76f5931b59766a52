//! A proxy that can be asked.

use std::net::IpAddr;

use super::control_plane::ADMIN_PORT;
use crate::call::{Admin, Via};
use crate::cluster::{Cluster, PodInfo, PodKind, PodPort};
use crate::state::{PortRecord, WorkloadKind, WorkloadRecord};

/// A workload's proxy.
#[derive(Clone, Debug)]
pub struct Proxy {
    /// `<namespace>/<name>` of its workload, as the control plane calls it.
    pub name: String,
    /// Sidecar or gateway.
    pub kind: WorkloadKind,
    /// Address that other workloads call; none before the pod has one.
    pub address: Option<IpAddr>,
    /// Ports, where they are not as the objects say.
    pub ports: Vec<PortRecord>,
    /// Its admin endpoint.
    pub admin: Admin,
}

// === impl Proxy ===

impl Proxy {
    /// That of a workload of this machine.
    pub fn on_laptop(workload: &WorkloadRecord) -> Self {
        Self {
            name: workload.name.clone(),
            kind: workload.kind,
            address: Some(workload.address),
            ports: workload.ports.clone(),
            admin: Admin::new(format!("the proxy of {}", workload.name), &workload.admin),
        }
    }

    /// That of a pod, if it has one.
    pub fn in_pod(cluster: &Cluster, pod: &PodInfo) -> Option<Self> {
        let kind = match pod.kind {
            PodKind::Outside => return None,
            PodKind::Sidecar => WorkloadKind::Sidecar,
            PodKind::Gateway => WorkloadKind::Gateway,
        };
        let port = PodPort::new(cluster, &pod.namespace, &pod.name, ADMIN_PORT);
        Some(Self {
            name: pod.uid(),
            kind,
            address: pod.address,
            ports: Vec::new(),
            admin: Admin::at(
                format!("the proxy of {}", pod.uid()),
                Via::Pod(Box::new(port)),
            ),
        })
    }
}
