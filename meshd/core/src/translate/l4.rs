//! Routes for TLS that is passed through, and for opaque bytes.

use mesh_api::Hostname;
use mesh_api::v1::{Destination, TcpRoute, TlsRoute};

use super::View;
use super::http::Place;
use crate::ingest::MESH;
use crate::model::{L4Case, L4Rule, selects};
use crate::world::ServiceRecord;

// === impl View ===

impl View<'_> {
    /// TLS routes of a host from all VirtualServices that speak of it.
    pub(super) fn mesh_tls(&self, host: &Hostname, port: u16) -> Vec<TlsRoute> {
        let mut routes: Vec<TlsRoute> = Vec::new();
        for object in self.mesh_objects(host) {
            for rule in &object.tls {
                for case in rule
                    .cases
                    .iter()
                    .filter(|case| self.l4_concerns(case, port))
                {
                    let known = |route: &TlsRoute| {
                        route.sni_hosts == case.sni_hosts
                            && route.destination_subnets == case.subnets
                    };
                    if routes.iter().any(known) {
                        continue;
                    }
                    routes.push(TlsRoute {
                        sni_hosts: case.sni_hosts.clone(),
                        destination_subnets: case.subnets.clone(),
                        destinations: self.l4_destinations(rule, object.meta.namespace(), port),
                        origin: Some(case.origin.clone()),
                    });
                }
            }
        }
        routes
    }

    /// TCP routes of a host, up to the first without a subnet; then the default.
    pub(super) fn mesh_tcp(
        &self,
        host: &Hostname,
        service: &ServiceRecord,
        port: u16,
    ) -> Vec<TcpRoute> {
        let mut routes = Vec::new();
        for object in self.mesh_objects(host) {
            for rule in &object.tcp {
                let destinations = || self.l4_destinations(rule, object.meta.namespace(), port);
                if rule.cases.is_empty() {
                    let origin = Some(rule.origin.clone());
                    routes.push(TcpRoute {
                        destination_subnets: Vec::new(),
                        destinations: destinations(),
                        origin,
                    });
                    return routes;
                }
                for case in rule
                    .cases
                    .iter()
                    .filter(|case| self.l4_concerns(case, port))
                {
                    let origin = Some(case.origin.clone());
                    routes.push(TcpRoute {
                        destination_subnets: case.subnets.clone(),
                        destinations: destinations(),
                        origin,
                    });
                    if case.subnets.is_empty() {
                        return routes;
                    }
                }
            }
        }
        routes.push(default_tcp(service, u32::from(port)));
        routes
    }

    /// Here all given parts must hold, other than for HTTP (Istio: matchTCP, matchTLS).
    fn l4_concerns(&self, case: &L4Case, port: u16) -> bool {
        let filter = &case.filter;
        let gateways = [MESH.to_owned()];
        self.concerns(
            filter,
            &Place {
                gateways: &gateways,
                port,
            },
        ) && selects(&filter.source_labels, &self.labels)
            && (filter.source_namespace.is_empty() || filter.source_namespace == self.namespace())
    }

    /// Destinations of a rule. Those that do not exist stay: their share fails.
    pub(super) fn l4_destinations(
        &self,
        rule: &L4Rule,
        namespace: &str,
        port: u16,
    ) -> Vec<Destination> {
        self.resolve_all(&rule.targets, namespace, port)
            .into_iter()
            .map(|resolved| resolved.destination)
            .collect()
    }
}

/// The route of a service that no VirtualService speaks of.
pub(super) fn default_tcp(service: &ServiceRecord, port: u32) -> TcpRoute {
    TcpRoute {
        destination_subnets: Vec::new(),
        destinations: vec![to_service(service, port)],
        origin: None,
    }
}

/// The route by server name for a service that has no address to be told by.
pub(super) fn default_tls(service: &ServiceRecord, port: u32) -> TlsRoute {
    TlsRoute {
        sni_hosts: vec![service.host.to_string()],
        destination_subnets: Vec::new(),
        destinations: vec![to_service(service, port)],
        origin: Some(service.origin.clone()),
    }
}

fn to_service(service: &ServiceRecord, port: u32) -> Destination {
    Destination {
        host: service.host.to_string(),
        port,
        weight: 100,
        ..Destination::default()
    }
}
