//! Service, ServiceEntry, WorkloadEntry.

use std::collections::BTreeMap;

use mesh_api::v1::{Origin, Protocol, Resolution};

use super::{ExportTo, Meta};
use crate::yaml::{Labels, Word};

/// A Kubernetes Service.
#[derive(Debug)]
pub(crate) struct KubernetesService {
    pub(crate) meta: Meta,
    /// Absent: the service has no endpoints of its own.
    pub(crate) selector: Option<Labels>,
    pub(crate) ports: Vec<KubernetesPort>,
    pub(crate) addresses: Vec<String>,
    /// `clusterIP: None`.
    pub(crate) headless: bool,
    /// `type: ExternalName`.
    pub(crate) external_name: Option<String>,
    pub(crate) export_to: ExportTo,
    pub(crate) near: Near,
    /// Annotation `mesh.dev/derived: "true"`: gives way to one that somebody wrote.
    pub(crate) derived: bool,
}

/// Labels by which near endpoints are preferred (`trafficDistribution`); none for no preference.
pub(crate) type Near = &'static [&'static str];

/// One of `spec.ports` that is not UDP.
#[derive(Debug)]
pub(crate) struct KubernetesPort {
    pub(crate) number: u16,
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) target: TargetPort,
}

/// `targetPort`.
#[derive(Debug)]
pub(crate) enum TargetPort {
    Number(u16),
    /// A name from the workload's ports.
    Name(String),
}

/// A ServiceEntry.
#[derive(Debug)]
pub(crate) struct ServiceEntry {
    pub(crate) meta: Meta,
    /// Lower case.
    pub(crate) hosts: Vec<Word>,
    pub(crate) addresses: Vec<String>,
    pub(crate) ports: Vec<EntryPort>,
    /// `location: MESH_EXTERNAL`.
    pub(crate) external: bool,
    pub(crate) resolution: Resolution,
    pub(crate) endpoints: Vec<Endpoint>,
    /// `workloadSelector`.
    pub(crate) selector: Option<Labels>,
    pub(crate) export_to: ExportTo,
    pub(crate) subject_alt_names: Vec<String>,
    pub(crate) near: Near,
    /// No address may be allocated for it.
    pub(crate) fixed_addresses: bool,
}

/// One of `spec.ports` of a ServiceEntry.
#[derive(Debug)]
pub(crate) struct EntryPort {
    pub(crate) number: u16,
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) target: u16,
}

/// An endpoint: inline in a ServiceEntry, or a WorkloadEntry.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) origin: Origin,
    /// IP, DNS name or `unix://<path>`.
    pub(crate) address: String,
    pub(crate) ports: BTreeMap<String, u16>,
    pub(crate) labels: Labels,
    pub(crate) locality: String,
    /// At least 1.
    pub(crate) weight: u32,
    pub(crate) service_account: String,
}

/// A WorkloadEntry.
#[derive(Debug)]
pub(crate) struct WorkloadEntry {
    pub(crate) meta: Meta,
    pub(crate) endpoint: Endpoint,
    /// Annotation `mesh.dev/health: unhealthy`.
    pub(crate) unhealthy: bool,
}
