//! Services with the policies toward them, and workloads.

use std::collections::BTreeSet;

use mesh_api::v1::{
    Backing, ClientTls, ClientTlsMode, Credential, Health, LoadBalancer, ProxyKind, Service,
    Subset, Workload,
};

use super::View;
use super::traffic::policies;
use crate::model::{ClientPolicy, Pod};
use crate::world::{ServiceId, ServiceRecord, WorkloadRecord};
use crate::yaml::Labels;

/// Port of HBONE.
const HBONE: u32 = 15008;
/// Label with the kinds of tunnels that a workload takes, separated by commas.
const TUNNEL: &str = "networking.istio.io/tunnel";

// === impl View ===

impl View<'_> {
    pub(super) fn compile_service(&self, id: ServiceId, record: &ServiceRecord) -> Service {
        let rule = self.rule(id);
        let policies = |top: Option<&ClientPolicy>, subset: Option<&ClientPolicy>| {
            let mut policies = policies(record, top, subset);
            for port in &mut policies {
                let checks = self.world.health_check(record, port.port);
                if let Some(policy) = &mut port.policy
                    && policy.load_balancer() != LoadBalancer::Passthrough
                {
                    policy.health_check = checks;
                }
                if let Some(tls) = port.policy.as_mut().and_then(|policy| policy.tls.as_mut()) {
                    self.place_credential(tls, rule.selected);
                }
            }
            policies
        };
        let mut subsets = vec![Subset {
            name: String::new(),
            labels: Labels::new(),
            policies: policies(rule.policy, None),
            origin: None,
        }];
        subsets.extend(rule.subsets.iter().map(|subset| Subset {
            name: subset.name.clone(),
            labels: subset.labels.clone(),
            policies: policies(rule.policy, subset.policy.as_ref()),
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

    /// The Secret of a client is in its own namespace. Sidecars get it only by a rule that is for
    /// them by name; by any other rule they use files (Istio: credentialName).
    fn place_credential(&self, tls: &mut ClientTls, selected: bool) {
        if tls.credential.is_empty() {
            return;
        }
        if self.scope.kind() == ProxyKind::Gateway || selected {
            tls.credential = format!("{}/{}", self.namespace(), tls.credential);
        } else if tls.mode() == ClientTlsMode::Mutual {
            // It has no certificate to show: refusing is better than calling without.
            tls.credential = format!("{}/{}", self.namespace(), tls.credential);
        } else {
            tls.credential.clear();
        }
    }

    /// The Secrets that a service's policies name, if this client may have them.
    pub(super) fn client_credentials(&self, id: ServiceId) -> Vec<Credential> {
        let rule = self.rule(id);
        if self.scope.kind() != ProxyKind::Gateway && !rule.selected {
            return Vec::new();
        }
        let subsets = rule.subsets.iter();
        let subsets = subsets.filter_map(|subset| subset.policy.as_ref());
        let names: BTreeSet<&str> = rule
            .policy
            .into_iter()
            .chain(subsets)
            .flat_map(ClientPolicy::credentials)
            .collect();
        let found = names.into_iter();
        found
            .filter_map(|name| self.world.client_credential(self.namespace(), name))
            .collect()
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
            hbone_port: if speaks_hbone(record, self.world.settings.prefer_hbone) {
                HBONE
            } else {
                0
            },
        }
    }
}

/// Whether clients come through HBONE (Istio: supportTunnel): a ztunnel takes the pod's
/// connections, its own proxy says so, or it is a waypoint. One that takes Istio's mutual TLS on its
/// ports is called there all the same, unless HBONE is preferred.
pub(crate) fn speaks_hbone(record: &WorkloadRecord, prefer: bool) -> bool {
    let label = |name: &str| record.labels.get(name).map(String::as_str);
    let waypoint = label("gateway.istio.io/managed") == Some("istio.io-mesh-controller");
    let pod: Option<&Pod> = record.pod.as_deref();
    let redirected = pod.is_some_and(|pod| pod.redirected);
    let takes_tls = label("security.istio.io/tlsMode") == Some("istio");
    (lists_tunnel(record) || waypoint || redirected) && (prefer || !takes_tls)
}

/// Whether the workload's own proxy says that it takes HBONE.
pub(crate) fn lists_tunnel(record: &WorkloadRecord) -> bool {
    let list = record.labels.get(TUNNEL);
    list.is_some_and(|list| list.split(',').any(|one| one == "http"))
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
