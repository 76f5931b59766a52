//! Services with their members: workloads become endpoints, ports times subsets become clusters.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_api::Hostname;

use super::nearness::Nearness;
use crate::ir::{
    Cluster, ClusterId, Endpoint, EndpointAddress, HashTables, Place, Service, ServicePort, Subset,
    TrafficPolicy, Workload, WorkloadAddress,
};

/// One host name: its service, if that has come, and the workloads that name it.
#[derive(Clone, Debug, Default)]
pub(super) struct ServiceEntry {
    service: Option<Arc<Service>>,
    members: BTreeMap<Arc<str>, Arc<Workload>>,
    // Sorted by port and subset.
    clusters: Vec<Arc<Cluster>>,
}

// === impl ServiceEntry ===

impl ServiceEntry {
    pub(super) fn service(&self) -> Option<&Arc<Service>> {
        self.service.as_ref()
    }

    pub(super) fn cluster(&self, id: &ClusterId) -> Option<&Arc<Cluster>> {
        let wanted = (id.port, &id.subset);
        let at = self
            .clusters
            .binary_search_by(|cluster| (cluster.id.port, &cluster.id.subset).cmp(&wanted));
        self.clusters.get(at.ok()?)
    }

    pub(super) fn clusters(&self) -> impl Iterator<Item = &Arc<Cluster>> {
        self.clusters.iter()
    }

    pub(super) fn set_service(&mut self, service: Option<Arc<Service>>) {
        self.service = service;
    }

    pub(super) fn set_member(&mut self, workload: &Arc<Workload>) {
        self.members
            .insert(Arc::clone(&workload.uid), Arc::clone(workload));
    }

    pub(super) fn remove_member(&mut self, uid: &str) {
        self.members.remove(uid);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.service.is_none() && self.members.is_empty()
    }

    /// Makes the clusters anew. Clusters and endpoints that come out equal stay the same
    /// allocation, so that holders can tell by pointer that nothing changed.
    pub(super) fn rebuild(&mut self, client: &Place) {
        let Some(service) = self.service.clone() else {
            self.clusters.clear();
            return;
        };
        let mut clusters = Vec::with_capacity(service.ports.len() * service.subsets.len());
        for subset in &service.subsets {
            for port in &service.ports {
                // Decoding makes sure that each subset has a policy for each port.
                let Some(policy) = subset.policies.get(&port.number) else {
                    continue;
                };
                clusters.push(self.build(&service, subset, port, (policy, client)));
            }
        }
        clusters.sort_by(|one, other| {
            (one.id.port, &one.id.subset).cmp(&(other.id.port, &other.id.subset))
        });
        self.clusters = clusters;
    }

    fn build(
        &self,
        service: &Service,
        subset: &Subset,
        port: &ServicePort,
        (policy, client): (&TrafficPolicy, &Place),
    ) -> Arc<Cluster> {
        let id = ClusterId {
            host: service.host.clone(),
            port: port.number,
            subset: Arc::clone(&subset.name),
        };
        let old = self.cluster(&id);
        let mesh_sni = format!("outbound_.{}_.{}_.{}", id.port, id.subset, id.host);
        let nearness = Nearness::new(policy.traffic.locality.as_ref(), client);
        let endpoints = self.endpoints(
            (&service.host, port.number),
            subset,
            &nearness,
            old.map(|old| old.endpoints.as_slice()),
        );
        let mut cluster = Cluster {
            protocol: port.protocol,
            resolution: service.resolution,
            load_balancer: policy.load_balancer,
            connect_timeout: policy.connect_timeout,
            tls: Arc::clone(&policy.tls),
            traffic: Arc::clone(&policy.traffic),
            tables: old.and_then(|old| old.tables.clone()),
            shares: nearness.shares().into(),
            mesh_external: service.mesh_external,
            subject_alt_names: Arc::clone(&service.subject_alt_names),
            mesh_sni: mesh_sni.into(),
            endpoints,
            service: Arc::clone(&service.labels),
            origin: service.origin.clone(),
            subset_origin: subset.origin.clone(),
            policy_origin: policy.origin.clone(),
            id,
        };
        match old {
            Some(old) if **old == cluster => Arc::clone(old),
            _ => {
                cluster.tables = HashTables::of(&cluster.traffic, &cluster.endpoints);
                Arc::new(cluster)
            }
        }
    }

    fn endpoints(
        &self,
        (host, port): (&Hostname, u16),
        subset: &Subset,
        nearness: &Nearness<'_>,
        old: Option<&[Arc<Endpoint>]>,
    ) -> Vec<Arc<Endpoint>> {
        let old = old.unwrap_or_default();
        let carries = |workload: &Workload| {
            subset
                .labels
                .iter()
                .all(|(key, value)| workload.labels.get(key) == Some(value))
        };
        let mut endpoints = Vec::with_capacity(old.len().max(1));
        for workload in self.members.values().filter(|workload| carries(workload)) {
            let Some(members) = workload.backs.get(host) else {
                continue;
            };
            let Some(member) = members.iter().find(|member| member.service_port == port) else {
                continue;
            };
            let Some(standing) = nearness.of(workload) else {
                continue;
            };
            let endpoint = Endpoint {
                uid: Arc::clone(&workload.uid),
                address: workload.address.with_port(member.target_port),
                source: None,
                identity: workload.identity.clone(),
                mutual_tls: member.mutual_tls,
                hbone_port: workload.hbone_port,
                weight: workload.weight,
                health: workload.health,
                labels: Arc::clone(&workload.peer),
                locality: Arc::clone(&workload.locality),
                priority: standing.priority,
                group: standing.group,
            };
            // Both lists are sorted by uid.
            let known = old
                .binary_search_by(|known| known.uid.cmp(&endpoint.uid))
                .ok();
            match known.and_then(|index| old.get(index)) {
                Some(known) if **known == endpoint => endpoints.push(Arc::clone(known)),
                _ => endpoints.push(Arc::new(endpoint)),
            }
        }
        endpoints
    }
}

// === impl WorkloadAddress ===

impl WorkloadAddress {
    fn with_port(&self, port: u16) -> EndpointAddress {
        match self {
            Self::Ip(ip) => EndpointAddress::Ip((*ip, port).into()),
            Self::Name(host) => EndpointAddress::Name {
                host: host.clone(),
                port,
            },
            Self::Unix(path) => EndpointAddress::Unix(Arc::clone(path)),
        }
    }
}
