//! What a sidecar accepts.

use std::collections::{BTreeMap, BTreeSet};

use mesh_api::Hostname;
use mesh_api::v1::{Inbound, InboundPort, Place, Protocol, ServicePort};

use super::View;
use super::service::{canonical_name, canonical_revision, node};
use crate::world::Mtls;

// === impl View ===

impl View<'_> {
    pub(super) fn inbound(&self, hosts: &mut BTreeSet<Hostname>) -> Inbound {
        let security = self.security(hosts);
        let workload = self.scope.workload();
        let declared = self.world.workload(workload);
        let name = declared.map_or(workload.name(), |record| record.name.as_str());
        let mtls = self
            .world
            .peer_authentications
            .effective(workload.namespace(), &self.labels);
        let mut ports = self.inbound_ports(&mtls);
        for number in mtls.ports.keys() {
            // A port with a mode of its own that no service has.
            let number = u32::from(*number);
            ports
                .entry(number)
                .or_insert_with(|| inbound_port(number, Protocol::Auto, &mtls, ("", 0)));
        }
        let mut labels = (*self.labels).clone();
        labels.insert(
            "service.istio.io/canonical-name".to_owned(),
            canonical_name(&self.labels, name).to_owned(),
        );
        labels.insert(
            "service.istio.io/canonical-revision".to_owned(),
            canonical_revision(&self.labels).to_owned(),
        );
        Inbound {
            workload: workload.to_string(),
            identity: self.scope.identity().as_str().to_owned(),
            ports: ports.into_values().collect(),
            default_mtls: mtls.mode.into(),
            mtls_origin: mtls.origin.clone(),
            policies: security.policies,
            request_authentications: security.request_authentications,
            external_authorizers: security.external_authorizers,
            labels,
            place: Some(self.place()),
            admission: self.admission(),
            egress: self.egress_listeners(),
            telemetry: self.telemetry(),
        }
    }

    /// Where the proxy is.
    pub(super) fn place(&self) -> Place {
        let workload = self.world.workload(self.scope.workload());
        let declared = workload.map(|record| record.locality.as_str());
        let said = self.scope.locality();
        Place {
            locality: declared
                .filter(|locality| !locality.is_empty())
                .unwrap_or(said)
                .to_owned(),
            node: workload.map(node).unwrap_or_default(),
            labels: (*self.labels).clone(),
            cluster: self.world.settings.cluster_name.clone(),
        }
    }

    /// Ports of the services that the workload answers for, ready or not; of two on one port the
    /// oldest wins.
    pub(super) fn service_ports(&self, mtls: &Mtls) -> BTreeMap<u32, InboundPort> {
        let mut ports: BTreeMap<u32, InboundPort> = BTreeMap::new();
        let Some(record) = self.world.workload(self.scope.workload()) else {
            return ports;
        };
        let mut fronts: Vec<_> = record.fronts.iter().collect();
        fronts.sort_by_key(|(service, _)| *service);
        for (id, fronted) in fronts {
            let Some(service) = self.service(*id) else {
                continue;
            };
            for (service_port, port) in fronted {
                let declared = service
                    .ports
                    .iter()
                    .find(|declared| declared.number == *service_port);
                let protocol = declared.map_or(Protocol::Auto, ServicePort::protocol);
                ports.entry(*port).or_insert_with(|| {
                    let front = (service.host.as_str(), *service_port);
                    let mut made = inbound_port(*port, protocol, mtls, front);
                    self.limit_by_rule(*id, &mut made);
                    made
                });
            }
        }
        ports
    }
}

fn inbound_port(
    port: u32,
    protocol: Protocol,
    mtls: &Mtls,
    (service, service_port): (&str, u32),
) -> InboundPort {
    let (mode, mtls_origin) = mtls.at(port);
    InboundPort {
        port,
        protocol: protocol.into(),
        mtls: mode.into(),
        mtls_origin,
        service: service.to_owned(),
        service_port,
        ..InboundPort::default()
    }
}
