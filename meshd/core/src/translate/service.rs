//! Services with the policies toward them, and workloads.

use mesh_api::v1::{Backing, Health, Service, Subset, Workload};

use super::View;
use super::traffic::policies;
use crate::model::Pod;
use crate::world::{ServiceId, ServiceRecord, WorkloadRecord};
use crate::yaml::Labels;

// === impl View ===

impl View<'_> {
    pub(super) fn compile_service(&self, id: ServiceId, record: &ServiceRecord) -> Service {
        let rule = self.rule(id);
        let mut subsets = vec![Subset {
            name: String::new(),
            labels: Labels::new(),
            policies: policies(record, rule.policy, None),
            origin: None,
        }];
        subsets.extend(rule.subsets.iter().map(|subset| Subset {
            name: subset.name.clone(),
            labels: subset.labels.clone(),
            policies: policies(record, rule.policy, subset.policy.as_ref()),
            origin: Some(subset.origin.clone()),
        }));
        Service {
            hostname: record.host.to_string(),
            namespace: record.namespace.clone(),
            short_name: record.short_name.clone(),
            ports: record.ports.clone(),
            addresses: record.addresses.clone(),
            resolution: record.resolution.into(),
            mesh_external: record.external,
            subsets,
            subject_alt_names: record.subject_alt_names.clone(),
            origin: Some(record.origin.clone()),
        }
    }

    /// Whether clients of this namespace mean this service by its host.
    pub(super) fn sees(&self, id: ServiceId) -> bool {
        let service = self.service(id);
        service.is_some_and(|service| {
            self.world.service(service.host.as_str(), self.namespace()) == Some(id)
        })
    }

    /// A workload with those of its services that this proxy can see.
    pub(super) fn compile_workload(&self, record: &WorkloadRecord) -> Workload {
        let mut backs: Vec<Backing> = record
            .backs
            .iter()
            .filter_map(|(id, ports)| {
                let service = self.service(*id)?;
                self.sees(*id).then(|| Backing {
                    service: service.host.to_string(),
                    ports: ports.clone(),
                })
            })
            .collect();
        backs.sort_by(|a, b| a.service.cmp(&b.service));
        let health = if record.healthy {
            Health::Healthy
        } else {
            Health::Unhealthy
        };
        Workload {
            uid: record.uid.clone(),
            name: record.name.clone(),
            namespace: record.namespace.clone(),
            identity: record.identity.clone(),
            labels: (*record.labels).clone(),
            address: record.address.clone(),
            locality: record.locality.clone(),
            cluster: self.world.settings.cluster_name.clone(),
            weight: record.weight,
            health: health.into(),
            backs,
            canonical_name: canonical_name(&record.labels, &record.name).to_owned(),
            canonical_revision: canonical_revision(&record.labels).to_owned(),
            node: node(record),
        }
    }
}

/// Istio's canonical service: the first of these labels, or the workload's name.
pub(super) fn canonical_name<'l>(labels: &'l Labels, name: &'l str) -> &'l str {
    let first = [
        "service.istio.io/canonical-name",
        "app.kubernetes.io/name",
        "app",
    ]
    .iter()
    .find_map(|label| labels.get(*label));
    first.map_or(name, String::as_str)
}

/// Istio's canonical revision: the first of these labels, or `latest`.
pub(super) fn canonical_revision(labels: &Labels) -> &str {
    let names = [
        "service.istio.io/canonical-revision",
        "app.kubernetes.io/version",
        "version",
    ];
    names
        .iter()
        .find_map(|label| labels.get(*label))
        .map_or("latest", String::as_str)
}

/// Name of the node of a pod; empty for what is no pod.
pub(super) fn node(record: &WorkloadRecord) -> String {
    let pod: Option<&Pod> = record.pod.as_deref();
    pod.map(|pod| pod.node.clone()).unwrap_or_default()
}
