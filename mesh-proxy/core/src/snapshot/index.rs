//! Services with their members: workloads become endpoints, ports times subsets become clusters.

use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_api::Hostname;

use super::nearness::Nearness;
use crate::ir::{
    Cluster, ClusterId, Endpoint, EndpointAddress, Endpoints, HashTables, Place, Service,
    ServicePort, Subset, TrafficPolicy, Workload, WorkloadAddress, Zones,
};
use crate::persistent::SortedList;

/// One host name: its service, if that has come, and the workloads that name it.
#[derive(Clone, Debug, Default)]
pub(super) struct ServiceEntry {
    service: Option<Arc<Service>>,
    members: SortedList<Arc<Workload>>,
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
        self.members.insert(Arc::clone(workload));
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
                let Some(policy) = subset.policy(port.number) else {
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

    /// Brings the clusters up to date where only these members changed. The others are not
    /// looked at.
    pub(super) fn follow(&mut self, uids: &BTreeSet<Arc<str>>, client: &Place) {
        let Some(service) = self.service.clone() else {
            return;
        };
        for cluster in &mut self.clusters {
            let of_subset = |subset: &&Subset| subset.name == cluster.id.subset;
            let Some(subset) = service.subsets.iter().find(of_subset) else {
                continue;
            };
            let Some(policy) = subset.policy(cluster.id.port) else {
                continue;
            };
            let nearness = Nearness::new(policy.traffic.locality.as_ref(), client);
            let mut making = Making {
                of: (&service.host, cluster.id.port),
                subset,
                nearness,
                zones: cluster.zones.clone(),
            };
            let mut endpoints = cluster.endpoints.clone();
            let mut changed = false;
            for uid in uids {
                let workload = self.members.get(uid);
                match workload.and_then(|workload| making.endpoint(workload)) {
                    None => changed |= endpoints.remove(uid),
                    Some(endpoint) => {
                        let same = endpoints.get(uid).is_some_and(|known| **known == endpoint);
                        if !same {
                            endpoints.insert(Arc::new(endpoint));
                            changed = true;
                        }
                    }
                }
            }
            if changed {
                let tables = HashTables::of(cluster, &endpoints, Some(cluster));
                *cluster = Arc::new(Cluster {
                    endpoints,
                    tables,
                    zones: making.zones,
                    ..Cluster::clone(cluster)
                });
            }
        }
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
        let shares = nearness.shares().into();
        let mut making = Making {
            of: (&service.host, port.number),
            subset,
            zones: nearness.zones(old.and_then(|old| old.zones.as_ref())),
            nearness,
        };
        let endpoints = self.endpoints(&mut making, old.map(|old| &old.endpoints));
        let mut cluster = Cluster {
            protocol: port.protocol,
            resolution: service.resolution,
            load_balancer: policy.load_balancer,
            connect_timeout: policy.connect_timeout,
            tls: Arc::clone(&policy.tls),
            traffic: Arc::clone(&policy.traffic),
            tables: old.and_then(|old| old.tables.clone()),
            shares,
            zones: making.zones,
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
                cluster.tables =
                    HashTables::of(&cluster, &cluster.endpoints, old.map(|old| &**old));
                Arc::new(cluster)
            }
        }
    }

    fn endpoints(&self, making: &mut Making<'_>, old: Option<&Endpoints>) -> Endpoints {
        let mut endpoints = Vec::with_capacity(self.members.len());
        for workload in &self.members {
            let Some(endpoint) = making.endpoint(workload) else {
                continue;
            };
            endpoints.push(match old.and_then(|old| old.get(&endpoint.uid)) {
                Some(known) if **known == endpoint => Arc::clone(known),
                _ => Arc::new(endpoint),
            });
        }
        endpoints.into_iter().collect()
    }
}

/// What the endpoints of one cluster are made by.
struct Making<'a> {
    // The service and its port.
    of: (&'a Hostname, u16),
    subset: &'a Subset,
    nearness: Nearness<'a>,
    zones: Option<Arc<Zones>>,
}

// === impl Making ===

impl Making<'_> {
    /// The workload as an endpoint, if it is one of this cluster.
    fn endpoint(&mut self, workload: &Workload) -> Option<Endpoint> {
        let (host, port) = self.of;
        let carries = |(key, value): (&String, &String)| workload.labels.get(key) == Some(value);
        if !self.subset.labels.iter().all(carries) {
            return None;
        }
        let mut members = workload.members(host)?.iter();
        let member = members.find(|member| member.service_port == port)?;
        let standing = self.nearness.of(workload, &mut self.zones)?;
        Some(Endpoint {
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
        })
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
