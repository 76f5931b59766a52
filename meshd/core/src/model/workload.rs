//! Pod, Node and EndpointSlice of Kubernetes: of each only what the mesh uses.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use mesh_api::v1::ProxyKind;

use super::Meta;
use crate::yaml::Labels;

/// A Pod.
#[derive(Debug, Hash, PartialEq)]
pub(crate) struct Pod {
    /// Without labels: they stand in [`Self::labels`].
    pub(crate) meta: Meta,
    pub(crate) labels: Arc<Labels>,
    /// Name of the workload for metrics: what made the pod, or the pod itself.
    pub(crate) workload: String,
    pub(crate) service_account: String,
    /// `status.podIPs`, the primary one first. Empty before the pod has any.
    pub(crate) addresses: Vec<IpAddr>,
    pub(crate) node: String,
    /// Named TCP ports of its containers.
    pub(crate) ports: BTreeMap<String, u16>,
    /// It has the addresses of its node.
    pub(crate) host_network: bool,
    /// Phase `Succeeded` or `Failed`: nothing runs in it any more.
    pub(crate) finished: bool,
    /// Condition `Ready`.
    pub(crate) ready: bool,
    /// `deletionTimestamp` is set.
    pub(crate) terminating: bool,
    /// A ztunnel takes its connections.
    pub(crate) redirected: bool,
    /// Which connections reach its sidecar.
    pub(crate) capture: InboundCapture,
    /// What its proxy container is said to be; absent if nothing says so.
    pub(crate) proxy: Option<ProxyKind>,
}

/// Ports whose connections are taken to the sidecar.
#[derive(Clone, Debug, Default, Hash, PartialEq)]
pub(crate) struct InboundCapture {
    /// Absent: all (Istio: includeInboundPorts `*`).
    pub(crate) only: Option<Vec<u16>>,
    /// But never these (Istio: excludeInboundPorts).
    pub(crate) never: Vec<u16>,
}

/// A Node: where its pods are.
#[derive(Debug, Hash)]
pub(crate) struct KubernetesNode {
    pub(crate) meta: Meta,
    pub(crate) region: String,
    pub(crate) zone: String,
    pub(crate) subzone: String,
}

/// Endpoints of a Service: some of them, for some of its ports.
#[derive(Debug, Hash)]
pub(crate) struct EndpointSlice {
    pub(crate) meta: Meta,
    /// The Service in the slice's namespace; empty if it belongs to none.
    pub(crate) service: String,
    pub(crate) ports: Vec<SlicePort>,
    pub(crate) endpoints: Vec<SliceEndpoint>,
}

/// One of the TCP ports of a slice.
#[derive(Debug, Hash)]
pub(crate) struct SlicePort {
    /// The Service's name for it.
    pub(crate) name: String,
    /// Absent: the number that the Service gives it.
    pub(crate) number: Option<u16>,
}

/// One of `endpoints`.
#[derive(Debug, Hash)]
pub(crate) struct SliceEndpoint {
    pub(crate) address: IpAddr,
    /// Takes connections.
    pub(crate) ready: bool,
    /// Still takes connections while it ends: for use if nothing else is there.
    pub(crate) draining: bool,
    /// The Pod behind it, `<namespace>/<name>`.
    pub(crate) pod: Option<String>,
    /// Node of an endpoint without a pod.
    pub(crate) node: String,
    pub(crate) zone: String,
}

// === impl Pod ===

impl Pod {
    /// Whether it takes new connections by itself, whatever a Service says of it.
    pub(crate) fn serves(&self) -> bool {
        self.ready && !self.terminating && !self.addresses.is_empty()
    }
}

// === impl InboundCapture ===

impl InboundCapture {
    /// Whether connections to a port reach the sidecar.
    pub(crate) fn takes(&self, port: u16) -> bool {
        let only = self.only.as_ref();
        only.is_none_or(|only| only.contains(&port)) && !self.never.contains(&port)
    }

    /// Whether all connections do.
    pub(crate) fn is_whole(&self) -> bool {
        self.only.is_none() && self.never.is_empty()
    }
}

// === impl KubernetesNode ===

impl KubernetesNode {
    /// `region/zone/subzone`, without what is unknown at the end.
    pub(crate) fn locality(&self) -> String {
        locality(&self.region, &self.zone, &self.subzone)
    }
}

/// `region/zone/subzone`, without what is unknown at the end.
pub(crate) fn locality(region: &str, zone: &str, subzone: &str) -> String {
    let whole = format!("{region}/{zone}/{subzone}");
    whole.trim_end_matches('/').to_owned()
}
