//! Services and the workloads behind them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;

use mesh_api::v1::{Origin, Problem, Resolution, ServicePort, Severity};
use mesh_api::{Hostname, SpiffeId};

use super::build::{backing, fits};
use super::objects::Objects;
use super::pods::{Places, pod_ports};
use super::selection::Selection;
use super::{
    Departures, Inner, ServiceId, ServiceRecord, WorkloadBase, WorkloadId, WorkloadRecord, World,
};
use crate::model::{
    Endpoint, EndpointSlice, EntryPort, KubernetesPort, KubernetesService, Meta, ServiceEntry,
    TargetPort, WorkloadEntry,
};
use crate::problem::code;
use crate::yaml::Labels;
use crate::{names, problem};

/// Fills services and workloads of a World.
pub(super) struct Linker<'w, 'o> {
    pub(super) inner: &'w mut Inner,
    /// The World before, whose records serve again where nothing changed.
    pub(super) before: Option<&'w Inner>,
    problems: &'w mut Vec<Problem>,
    pub(super) places: Places<'o>,
    pub(super) pods: Selection<'o>,
    /// Without those that have their node's address.
    pub(super) pods_by_ip: HashMap<IpAddr, WorkloadId>,
    entries: Selection<'o>,
    /// By namespace and Service.
    pub(super) slices: HashMap<(&'o str, &'o str), Vec<&'o EndpointSlice>>,
    /// The service of a host in a namespace; of one host there may be one in each namespace.
    known: HashMap<(Hostname, String), ServiceId>,
    /// Services of Kubernetes by host.
    kubernetes: HashMap<Hostname, ServiceId>,
    unallocated: Vec<String>,
}

/// What is left of linking.
pub(super) struct Linked<'o> {
    /// Services that want an address, by [`allocation_key`].
    pub(super) without_address: Vec<String>,
    pub(super) pods: Selection<'o>,
    pub(super) entries: Selection<'o>,
}

/// What decides a service's allocated address.
pub(super) fn allocation_key(host: &Hostname, namespace: &str) -> String {
    format!("{host}/{namespace}")
}

/// Links services and workloads.
pub(super) fn link<'o>(
    inner: &mut Inner,
    before: Option<&World>,
    objects: &'o Objects,
    problems: &mut Vec<Problem>,
) -> Linked<'o> {
    let mut linker = Linker {
        inner,
        before: before.map(World::inner),
        problems,
        places: Places::new(&objects.nodes),
        pods: Selection::default(),
        pods_by_ip: HashMap::new(),
        entries: Selection::default(),
        slices: HashMap::new(),
        known: HashMap::new(),
        kubernetes: HashMap::new(),
        unallocated: Vec::new(),
    };
    linker.pods(&objects.pods);
    linker.workload_entries(&objects.workload_entries);
    linker.index_slices(&objects.endpoint_slices);
    linker.kubernetes(&objects.services, &objects.service_entries);
    linker.service_entries(&objects.service_entries);
    Linked {
        without_address: linker.unallocated,
        pods: linker.pods,
        entries: linker.entries,
    }
}

// === impl Linker ===

impl<'o> Linker<'_, 'o> {
    fn workload_entries(&mut self, entries: &'o [Arc<WorkloadEntry>]) {
        for entry in entries {
            let meta = &entry.meta;
            if self.pod(&meta.full_name()).is_some() {
                let message = format!("{} is the name of a Pod; the Pod holds", meta.full_name());
                self.warn(meta.origin.clone(), message, "conflict");
                continue;
            }
            let id = self.workload(meta, &entry.endpoint, meta.full_name(), meta.name());
            if let Some(record) = self.inner.workloads.get_mut(id) {
                let base = Arc::make_mut(&mut record.base);
                base.origin = meta.origin.clone();
                base.healthy = !entry.unhealthy;
            }
            self.entries
                .add(meta.namespace(), &entry.endpoint.labels, id);
        }
    }

    /// Adds a workload.
    pub(super) fn push(&mut self, base: impl Into<Arc<WorkloadBase>>) -> WorkloadId {
        let id = self.inner.workloads.len();
        let record = WorkloadRecord::new(base.into());
        self.inner
            .workloads_by_uid
            .entry(record.uid.clone())
            .or_insert(id);
        self.inner.workloads.push(record);
        id
    }

    /// Tells a workload for which service it answers, at which ports.
    pub(super) fn front(
        &mut self,
        workload: WorkloadId,
        service: ServiceId,
        ports: Vec<(u32, u32)>,
    ) {
        if let Some(record) = self.inner.workloads.get_mut(workload)
            && !ports.is_empty()
        {
            record.fronts.push((service, ports));
        }
    }

    pub(super) fn workload(
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
            self.warn(endpoint.origin.clone(), message, code::SCHEMA_WARNING);
        }
        self.push(WorkloadBase {
            uid,
            name: name.to_owned(),
            namespace: meta.namespace().to_owned(),
            service_account: account.clone(),
            identity,
            labels: Arc::new(endpoint.labels.clone()),
            address: endpoint.address.clone(),
            ports: endpoint.ports.clone(),
            locality: endpoint.locality.clone(),
            weight: endpoint.weight,
            healthy: true,
            origin: endpoint.origin.clone(),
            pod: None,
        })
    }

    fn warn(&mut self, origin: Origin, message: String, code: &str) {
        self.problems.push(Problem {
            severity: Severity::Warning.into(),
            origin: Some(origin),
            message,
            code: code.to_owned(),
        });
    }

    /// Adds Services. A derived one gives way to a ServiceEntry of the same host.
    fn kubernetes(&mut self, services: &[Arc<KubernetesService>], entries: &[Arc<ServiceEntry>]) {
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
                    code::SCHEMA_WARNING,
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
            self.select(id, service);
            self.link_slices(id, service);
        }
    }

    /// WorkloadEntries that a Service selects stand behind it. Pods that it selects answer for
    /// it; whether they take its requests its slices say.
    fn select(&mut self, id: ServiceId, service: &KubernetesService) {
        let Some(selector) = &service.selector else {
            return;
        };
        let namespace = service.meta.namespace();
        let workloads = &mut self.inner.workloads;
        for workload in self.entries.selected(namespace, selector) {
            let Some(record) = workloads.get_mut(workload) else {
                continue;
            };
            let ports = kubernetes_ports(&service.ports, &record.ports);
            if fits(Resolution::Static, &record.address) {
                record.back(id, ports, true);
            }
        }
        for workload in self.pods.selected(namespace, selector) {
            let Some(record) = workloads.get_mut(workload) else {
                continue;
            };
            if let Some(pod) = &record.pod {
                let ports = pod_ports(&service.ports, pod).into_iter().collect();
                record.back(id, ports, false);
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
                code::SCHEMA_WARNING,
            );
            return;
        };
        let endpoint = implied_endpoint(target.to_string(), service.meta.origin.clone());
        let uid = format!("service/{}/external", service.meta.full_name());
        let workload = self.workload(&service.meta, &endpoint, uid, service.meta.name());
        let ports = service
            .ports
            .iter()
            .map(|port| (u32::from(port.number), u32::from(port.number)))
            .collect();
        if let Some(record) = self.inner.workloads.get_mut(workload) {
            record.back(id, ports, true);
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

    fn service_entries(&mut self, entries: &[Arc<ServiceEntry>]) {
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
                let origin = host.place.in_object(&entry.meta.origin);
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
                "{host} is declared by {} {}/{}{} already; the older one holds",
                older.kind,
                older.namespace,
                older.name,
                problem::in_file(&older)
            );
            self.warn(origin, message, "conflict");
            return;
        }
        let id = self.add(entry_record(entry, host.clone(), origin.clone()));
        let by_name = entry.resolution == Resolution::DynamicDns || !host.is_wildcard();
        if entry.resolution != Resolution::None
            && entry.addresses.is_empty()
            && !entry.fixed_addresses
            && by_name
        {
            self.unallocated.push(allocation_key(host, namespace));
        }
        let mut backends = endpoints.to_vec();
        if let Some(selector) = &entry.selector {
            backends.extend(self.entries.selected(namespace, selector));
            backends.extend(self.pods.selected(namespace, selector));
        } else if matches!(
            entry.resolution,
            Resolution::Dns | Resolution::DnsRoundRobin
        ) && endpoints.is_empty()
        {
            let uid = format!("serviceentry/{}/{host}", entry.meta.full_name());
            let endpoint = implied_endpoint(host.to_string(), origin);
            backends.push(self.workload(&entry.meta, &endpoint, uid, host.as_str()));
        }
        for workload in backends {
            let Some(record) = self.inner.workloads.get_mut(workload) else {
                continue;
            };
            let named = record.pod.as_ref().map_or(&record.ports, |pod| &pod.ports);
            let ports = entry_ports(&entry.ports, named);
            // No slice speaks of these: a pod takes requests when it is ready.
            let usable = record.pod.as_ref().is_none_or(|pod| pod.serves());
            if fits(entry.resolution, &record.address) {
                record.back(id, ports, usable);
            }
        }
    }
}

/// An endpoint that is only an address.
pub(super) fn implied_endpoint(address: String, origin: Origin) -> Endpoint {
    Endpoint {
        origin,
        address,
        ports: BTreeMap::new(),
        labels: Labels::new(),
        locality: String::new(),
        weight: 1,
        service_account: String::new(),
    }
}

// === impl WorkloadRecord ===

impl WorkloadRecord {
    /// Puts it behind a service, at these ports by service port; or, as long as it is not
    /// usable, only lets it answer for the service.
    fn back(&mut self, service: ServiceId, ports: BTreeMap<u32, u32>, usable: bool) {
        if ports.is_empty() {
            return;
        }
        let fronts = ports.iter().map(|(port, target)| (*port, *target));
        self.fronts.push((service, fronts.collect()));
        if usable {
            self.backs.push((service, backing(ports)));
        }
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
        near: service.near,
        subject_alt_names: Vec::new(),
        origin: service.meta.origin.clone(),
        backends: Vec::new(),
        since: 0,
        departures: Departures::default(),
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
        near: entry.near,
        subject_alt_names: entry.subject_alt_names.clone(),
        origin,
        backends: Vec::new(),
        since: 0,
        departures: Departures::default(),
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
