//! What tools may know of a World.

use std::collections::BTreeMap;
use std::net::IpAddr;

use mesh_api::v1::{Origin, ProxyKind, ServicePort};

use super::{Inner, ServiceRecord, WorkloadRecord};
use crate::model::{Kind, Pod};

/// A workload or another endpoint, for tools.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkloadView {
    /// `<namespace>/<name>`, or the object and position for an endpoint without a name.
    pub uid: String,
    /// Name of the workload.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its service account, may be empty.
    pub service_account: String,
    /// Its SPIFFE ID, empty without a service account.
    pub identity: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// IP address, DNS name or `unix://<path>`.
    pub address: String,
    /// What declares it.
    pub kind: WorkloadKind,
    /// All its IP addresses, the one of `address` first; none if that is a name.
    pub addresses: Vec<IpAddr>,
    /// Name of its node, empty if it is no pod or not placed yet.
    pub node: String,
    /// `region/zone/subzone`, parts may be missing.
    pub locality: String,
    /// Whether it takes new requests: of a pod, whether it is ready and not ending.
    pub healthy: bool,
    /// What its proxy is said to be; absent if nothing says so.
    pub proxy: Option<ProxyKind>,
    /// Host names of the services that it backs, sorted.
    pub services: Vec<String>,
    /// Where it is declared.
    pub origin: Origin,
}

/// What declares a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkloadKind {
    /// A Pod.
    Pod,
    /// A WorkloadEntry.
    Entry,
    /// Part of a Service, ServiceEntry or EndpointSlice.
    Endpoint,
}

/// A service, for tools.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceView {
    /// Fully qualified host name, may be a wildcard.
    pub hostname: String,
    /// Its namespace.
    pub namespace: String,
    /// Virtual addresses, declared and allocated.
    pub addresses: Vec<String>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// Whether it is outside of the mesh.
    pub external: bool,
    /// Uids of the workloads behind it, sorted.
    pub workloads: Vec<String>,
    /// Where it is declared.
    pub origin: Origin,
}

pub(super) fn workload(inner: &Inner, record: &WorkloadRecord) -> WorkloadView {
    let mut services: Vec<String> = record
        .backs
        .iter()
        .filter_map(|(id, _)| inner.services.get(*id))
        .map(|service| service.host.to_string())
        .collect();
    services.sort();
    let pod = record.pod.as_deref();
    let kind = if pod.is_some() {
        WorkloadKind::Pod
    } else if record.origin.kind == Kind::WorkloadEntry.name() {
        WorkloadKind::Entry
    } else {
        WorkloadKind::Endpoint
    };
    let mut addresses: Vec<IpAddr> = record.address.parse().into_iter().collect();
    for address in pod.map_or(&[][..], |pod| &pod.addresses) {
        if !addresses.contains(address) {
            addresses.push(*address);
        }
    }
    WorkloadView {
        uid: record.uid.clone(),
        name: record.name.clone(),
        namespace: record.namespace.clone(),
        service_account: record.service_account.clone(),
        identity: record.identity.clone(),
        labels: (*record.labels).clone(),
        address: record.address.clone(),
        kind,
        addresses,
        node: pod.map(|pod| pod.node.clone()).unwrap_or_default(),
        locality: record.locality.clone(),
        healthy: record.healthy && pod.is_none_or(Pod::serves),
        proxy: pod.and_then(|pod| pod.proxy),
        services,
        origin: record.origin.clone(),
    }
}

pub(super) fn service(inner: &Inner, record: &ServiceRecord) -> ServiceView {
    let mut workloads: Vec<String> = record
        .backends
        .iter()
        .filter_map(|id| inner.workloads.get(*id))
        .map(|workload| workload.uid.clone())
        .collect();
    workloads.sort();
    ServiceView {
        hostname: record.host.to_string(),
        namespace: record.namespace.clone(),
        addresses: record.addresses.clone(),
        ports: record.ports.clone(),
        external: record.external,
        workloads,
        origin: record.origin.clone(),
    }
}
