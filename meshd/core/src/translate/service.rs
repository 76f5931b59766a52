//! Services with the policies toward them, and workloads.

use mesh_api::v1::{
    Backing, ClientTls, ClientTlsMode, Health, LoadBalancer, PortPolicy, Resolution, Service,
    Subset, TrafficPolicy, Workload,
};

use super::View;
use crate::model::{ClientPolicy, PolicyParts};
use crate::world::{ServiceId, ServiceRecord, WorkloadRecord};
use crate::yaml::Labels;

/// Time to open a connection when nothing says otherwise (Istio: connectTimeout).
const CONNECT_TIMEOUT_MS: u64 = 10_000;

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

fn policies(
    record: &ServiceRecord,
    top: Option<&ClientPolicy>,
    subset: Option<&ClientPolicy>,
) -> Vec<PortPolicy> {
    record
        .ports
        .iter()
        .map(|port| PortPolicy {
            port: port.number,
            policy: Some(policy(record, port.number, top, subset)),
        })
        .collect()
}

/// Policy of one port (Istio: MergeTrafficPolicy, MergeSubsetTrafficPolicy). A port's setting
/// replaces the whole policy above it; a subset's replaces part by part.
fn policy(
    record: &ServiceRecord,
    port: u32,
    top: Option<&ClientPolicy>,
    subset: Option<&ClientPolicy>,
) -> TrafficPolicy {
    let at = |policy: &ClientPolicy| policy.ports.get(&port).unwrap_or(&policy.parts).clone();
    let mut parts: Option<PolicyParts> = top.map(at);
    if let Some(subset) = subset {
        let own = subset.parts.clone();
        let above = parts.take();
        parts = Some(PolicyParts {
            load_balancer: own
                .load_balancer
                .or(above.as_ref().and_then(|above| above.load_balancer)),
            connect_timeout_ms: own
                .connect_timeout_ms
                .or(above.as_ref().and_then(|above| above.connect_timeout_ms)),
            tls: own.tls.or(above.and_then(|above| above.tls)),
            origin: own.origin,
        });
        if let Some(whole) = subset.ports.get(&port) {
            parts = Some(whole.clone());
        }
    }
    let by_address = record.headless || record.resolution == Resolution::None;
    let usual = if by_address {
        LoadBalancer::Passthrough
    } else {
        LoadBalancer::LeastRequest
    };
    // Clients of a headless service choose the endpoint; no policy changes that.
    let chosen = parts
        .as_ref()
        .and_then(|parts| parts.load_balancer)
        .filter(|_| !by_address);
    let timeout = parts
        .as_ref()
        .and_then(|parts| parts.connect_timeout_ms)
        .filter(|ms| *ms > 0);
    let auto = ClientTls {
        mode: ClientTlsMode::Auto.into(),
        ..ClientTls::default()
    };
    TrafficPolicy {
        load_balancer: chosen.unwrap_or(usual).into(),
        connect_timeout_ms: timeout.unwrap_or(CONNECT_TIMEOUT_MS),
        tls: Some(
            parts
                .as_ref()
                .and_then(|parts| parts.tls.clone())
                .unwrap_or(auto),
        ),
        origin: parts.map(|parts| parts.origin),
    }
}
