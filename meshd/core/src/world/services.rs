//! Services and the workloads behind them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use mesh_api::v1::{Origin, Problem, Resolution, ServicePort, Severity};
use mesh_api::{Hostname, SpiffeId};

use super::build::{backing, fits};
use super::{Inner, ServiceId, ServiceRecord, WorkloadId, WorkloadRecord};
use crate::model::{
    Endpoint, EntryPort, KubernetesPort, KubernetesService, Meta, ServiceEntry, TargetPort,
    WorkloadEntry, selects,
};
use crate::names;
use crate::yaml::Labels;

/// Fills services and workloads of a World.
pub(super) struct Linker<'w> {
    inner: &'w mut Inner,
    problems: &'w mut Vec<Problem>,
    by_label: HashMap<(String, String, String), Vec<WorkloadId>>,
    by_namespace: HashMap<String, Vec<WorkloadId>>,
    /// The service of a host in a namespace; of one host there may be one in each namespace.
    known: HashMap<(Hostname, String), ServiceId>,
    /// Services of Kubernetes by host.
    kubernetes: HashMap<Hostname, ServiceId>,
    unallocated: Vec<String>,
}

/// What decides a service's allocated address.
pub(super) fn allocation_key(host: &Hostname, namespace: &str) -> String {
    format!("{host}/{namespace}")
}

// === impl Linker ===

impl<'w> Linker<'w> {
    pub(super) fn new(inner: &'w mut Inner, problems: &'w mut Vec<Problem>) -> Self {
        Self {
            inner,
            problems,
            by_label: HashMap::new(),
            by_namespace: HashMap::new(),
            known: HashMap::new(),
            kubernetes: HashMap::new(),
            unallocated: Vec::new(),
        }
    }

    /// Services that want an address, by [`allocation_key`].
    pub(super) fn without_address(self) -> Vec<String> {
        self.unallocated
    }

    pub(super) fn workloads(&mut self, entries: &[Arc<WorkloadEntry>]) {
        for entry in entries {
            let meta = &entry.meta;
            let id = self.workload(meta, &entry.endpoint, meta.full_name(), meta.name());
            if let Some(record) = self.inner.workloads.get_mut(id) {
                record.origin = meta.origin.clone();
                record.healthy = !entry.unhealthy;
            }
            let namespace = meta.namespace().to_owned();
            self.by_namespace
                .entry(namespace.clone())
                .or_default()
                .push(id);
            for (name, value) in &entry.endpoint.labels {
                self.by_label
                    .entry((namespace.clone(), name.clone(), value.clone()))
                    .or_default()
                    .push(id);
            }
        }
    }

    fn workload(
        &mut self,
        meta: &Meta,
        endpoint: &Endpoint,
        uid: String,
        name: &str,
    ) -> WorkloadId {
        let domain = &self.inner.settings.trust_domain;
        let account = &endpoint.service_account;
        let identity = SpiffeId::new(domain, meta.namespace(), account)
            .map(|id| id.as_str().to_owned())
            .unwrap_or_default();
        if identity.is_empty() && !account.is_empty() {
            let message =
                format!("serviceAccount: `{account}` is no name; the workload has no identity");
            self.warn(endpoint.origin.clone(), message, "IST0133");
        }
        self.inner.workloads.push(WorkloadRecord {
            uid,
            name: name.to_owned(),
            namespace: meta.namespace().to_owned(),
            service_account: account.clone(),
            identity,
            labels: endpoint.labels.clone(),
            address: endpoint.address.clone(),
            ports: endpoint.ports.clone(),
            locality: endpoint.locality.clone(),
            weight: endpoint.weight,
            healthy: true,
            origin: endpoint.origin.clone(),
            backs: Vec::new(),
        });
        self.inner.workloads.len() - 1
    }

    fn warn(&mut self, origin: Origin, message: String, code: &str) {
        self.problems.push(Problem {
            severity: Severity::Warning.into(),
            origin: Some(origin),
            message,
            code: code.to_owned(),
        });
    }

    /// Workloads of a namespace that a selector takes, by the rarest of its labels.
    fn selected(&self, namespace: &str, selector: &Labels) -> Vec<WorkloadId> {
        let lists = selector.iter().map(|(name, value)| {
            self.by_label
                .get(&(namespace.to_owned(), name.clone(), value.clone()))
        });
        let candidates = if selector.is_empty() {
            self.by_namespace.get(namespace)
        } else {
            lists.min_by_key(|list| list.map_or(0, Vec::len)).flatten()
        };
        let labels = |id: &WorkloadId| {
            self.inner
                .workloads
                .get(*id)
                .map(|workload| &workload.labels)
        };
        candidates
            .into_iter()
            .flatten()
            .filter(|id| labels(id).is_some_and(|labels| selects(selector, labels)))
            .copied()
            .collect()
    }

    /// Adds Services. A derived one gives way to a ServiceEntry of the same host.
    pub(super) fn kubernetes(
        &mut self,
        services: &[Arc<KubernetesService>],
        entries: &[Arc<ServiceEntry>],
    ) {
        let entries = entries.iter().flat_map(|entry| &entry.hosts);
        let taken: HashSet<&str> = entries.map(|host| host.text.as_str()).collect();
        for service in services {
            let domain = &self.inner.settings.cluster_domain;
            let Some(host) =
                names::service_host(service.meta.name(), service.meta.namespace(), domain)
            else {
                self.warn(
                    service.meta.origin.clone(),
                    format!("`{}` is no host name", service.meta.name()),
                    "IST0133",
                );
                continue;
            };
            if service.derived && taken.contains(host.as_str()) {
                continue;
            }
            let id = self.add(kubernetes_record(service, host.clone()));
            self.kubernetes.insert(host.clone(), id);
            if let Some(target) = &service.external_name {
                self.external_name(service, (id, host), target);
                continue;
            }
            if service.addresses.is_empty() && !service.headless {
                self.unallocated
                    .push(allocation_key(&host, service.meta.namespace()));
            }
            let Some(selector) = &service.selector else {
                continue;
            };
            for workload in self.selected(service.meta.namespace(), selector) {
                let Some(record) = self.inner.workloads.get_mut(workload) else {
                    continue;
                };
                let ports = kubernetes_ports(&service.ports, &record.ports);
                if !ports.is_empty() && fits(Resolution::Static, &record.address) {
                    record.backs.push((id, backing(ports)));
                }
            }
        }
    }

    /// An ExternalName service is another name of its target (Istio: service aliases). If the
    /// target is not declared, it is looked up.
    fn external_name(
        &mut self,
        service: &KubernetesService,
        (id, host): (ServiceId, Hostname),
        target: &str,
    ) {
        let Ok(target) = target.parse::<Hostname>() else {
            self.warn(
                service.meta.origin.clone(),
                format!("spec.externalName: `{target}` is no host name"),
                "IST0133",
            );
            return;
        };
        let endpoint = implied_endpoint(&target, service.meta.origin.clone());
        let uid = format!("service/{}/external", service.meta.full_name());
        let workload = self.workload(&service.meta, &endpoint, uid, service.meta.name());
        let ports = service
            .ports
            .iter()
            .map(|port| (u32::from(port.number), u32::from(port.number)))
            .collect();
        if let Some(record) = self.inner.workloads.get_mut(workload) {
            record.backs.push((id, backing(ports)));
        }
        self.inner.aliases.insert(host, target);
    }

    fn add(&mut self, record: ServiceRecord) -> ServiceId {
        let id = self.inner.services.len();
        self.known
            .entry((record.host.clone(), record.namespace.clone()))
            .or_insert(id);
        self.inner.services.push(record);
        id
    }

    pub(super) fn entries(&mut self, entries: &[Arc<ServiceEntry>]) {
        for entry in entries {
            let endpoints: Vec<WorkloadId> = entry
                .endpoints
                .iter()
                .enumerate()
                .map(|(index, endpoint)| {
                    let uid = format!("serviceentry/{}/{index}", entry.meta.full_name());
                    self.workload(&entry.meta, endpoint, uid, entry.meta.name())
                })
                .collect();
            for host in &entry.hosts {
                let Ok(name) = host.text.parse::<Hostname>() else {
                    continue;
                };
                let origin = Origin {
                    line: host.place.line,
                    column: host.place.column,
                    ..entry.meta.origin.clone()
                };
                self.entry_host(entry, &name, origin, &endpoints);
            }
        }
    }

    fn entry_host(
        &mut self,
        entry: &ServiceEntry,
        host: &Hostname,
        origin: Origin,
        endpoints: &[WorkloadId],
    ) {
        let namespace = entry.meta.namespace();
        if let Some(&id) = self.kubernetes.get(host) {
            // A Service is not replaced, only described further.
            if let Some(service) = self.inner.services.get_mut(id) {
                service
                    .subject_alt_names
                    .extend(entry.subject_alt_names.iter().cloned());
            }
            let message =
                format!("{host} is a Kubernetes Service; only subjectAltNames of this entry count");
            self.warn(origin, message, "conflict");
            return;
        } else if let Some(older) = self.known.get(&(host.clone(), namespace.to_owned())) {
            let older = self
                .inner
                .services
                .get(*older)
                .map(|service| service.origin.clone())
                .unwrap_or_default();
            let message = format!(
                "{host} is declared by {} {}/{} ({}:{}) already; the older one holds",
                older.kind, older.namespace, older.name, older.source, older.line
            );
            self.warn(origin, message, "conflict");
            return;
        }
        let id = self.add(entry_record(entry, host.clone(), origin.clone()));
        if entry.resolution != Resolution::None
            && entry.addresses.is_empty()
            && !entry.fixed_addresses
            && !host.is_wildcard()
        {
            self.unallocated.push(allocation_key(host, namespace));
        }
        let mut backends = endpoints.to_vec();
        if let Some(selector) = &entry.selector {
            backends.extend(self.selected(namespace, selector));
        } else if entry.resolution == Resolution::Dns && endpoints.is_empty() {
            let uid = format!("serviceentry/{}/{host}", entry.meta.full_name());
            let endpoint = implied_endpoint(host, origin);
            backends.push(self.workload(&entry.meta, &endpoint, uid, host.as_str()));
        }
        for workload in backends {
            let Some(record) = self.inner.workloads.get_mut(workload) else {
                continue;
            };
            let ports = entry_ports(&entry.ports, &record.ports);
            if !ports.is_empty() && fits(entry.resolution, &record.address) {
                record.backs.push((id, backing(ports)));
            }
        }
    }
}

fn implied_endpoint(host: &Hostname, origin: Origin) -> Endpoint {
    Endpoint {
        origin,
        address: host.as_str().to_owned(),
        ports: BTreeMap::new(),
        labels: Labels::new(),
        locality: String::new(),
        weight: 1,
        service_account: String::new(),
    }
}

fn kubernetes_record(service: &KubernetesService, host: Hostname) -> ServiceRecord {
    let port = |port: &KubernetesPort| ServicePort {
        number: u32::from(port.number),
        name: port.name.clone(),
        protocol: port.protocol.into(),
    };
    let external = service.external_name.is_some();
    ServiceRecord {
        host,
        namespace: service.meta.namespace().to_owned(),
        short_name: service.meta.name().to_owned(),
        kubernetes: true,
        headless: service.headless && !external,
        ports: service.ports.iter().map(port).collect(),
        addresses: service.addresses.clone(),
        resolution: if external {
            Resolution::Dns
        } else {
            Resolution::Static
        },
        external,
        export_to: service.export_to.clone(),
        subject_alt_names: Vec::new(),
        origin: service.meta.origin.clone(),
        backends: Vec::new(),
    }
}

fn entry_record(entry: &ServiceEntry, host: Hostname, origin: Origin) -> ServiceRecord {
    let port = |port: &EntryPort| ServicePort {
        number: u32::from(port.number),
        name: port.name.clone(),
        protocol: port.protocol.into(),
    };
    ServiceRecord {
        short_name: host.as_str().to_owned(),
        host,
        namespace: entry.meta.namespace().to_owned(),
        kubernetes: false,
        headless: false,
        ports: entry.ports.iter().map(port).collect(),
        addresses: entry.addresses.clone(),
        resolution: entry.resolution,
        external: entry.external,
        export_to: entry.export_to.clone(),
        subject_alt_names: entry.subject_alt_names.clone(),
        origin,
        backends: Vec::new(),
    }
}

/// Workload ports by service port (Istio: serviceInstanceFromWorkloadInstance). An explicit name
/// must be among the workload's ports; a port name of the service that is there wins over the
/// number.
fn kubernetes_ports(
    ports: &[KubernetesPort],
    of_workload: &BTreeMap<String, u16>,
) -> BTreeMap<u32, u32> {
    let target = |port: &KubernetesPort| match &port.target {
        TargetPort::Name(name) => of_workload.get(name).copied(),
        TargetPort::Number(number) => Some(of_workload.get(&port.name).copied().unwrap_or(*number)),
    };
    ports
        .iter()
        .filter_map(|port| Some((u32::from(port.number), u32::from(target(port)?))))
        .collect()
}

/// The same for ServiceEntry: the endpoint's port of that name, or the entry's target port.
fn entry_ports(ports: &[EntryPort], of_workload: &BTreeMap<String, u16>) -> BTreeMap<u32, u32> {
    let target = |port: &EntryPort| of_workload.get(&port.name).copied().unwrap_or(port.target);
    ports
        .iter()
        .map(|port| (u32::from(port.number), u32::from(target(port))))
        .collect()
}
