//! Route tables of destinations by name.

use mesh_api::Hostname;
use mesh_api::v1::{Protocol, RouteTable};

use super::View;
use crate::world::{ServiceId, ServiceRecord};

/// The one port on which Istio routes hosts that only a VirtualService names.
const ROUTED_PORT: u16 = 80;

// === impl View ===

impl View<'_> {
    /// What to do with connections to a host as the client wrote it.
    pub(super) fn routes(&self, host: &Hostname, port: u16) -> RouteTable {
        if let Some(id) = self.world.meant(host, self.namespace())
            && self.imports(id, Some(port))
            && let Some(table) = self
                .of_service(id, port)
                .or_else(|| self.by_egress_port(id, port))
        {
            return table;
        }
        self.of_virtual_service(host, port)
            .unwrap_or_else(|| self.undeclared(port))
    }

    /// The table of a service's port, if it has the port.
    pub(super) fn of_service(&self, id: ServiceId, port: u16) -> Option<RouteTable> {
        let service = self.service(id)?;
        let number = u32::from(port);
        let protocol = service
            .ports
            .iter()
            .find(|declared| declared.number == number)?
            .protocol();
        let mut table = RouteTable {
            host: service.host.to_string(),
            port: number,
            protocol: protocol.into(),
            ..RouteTable::default()
        };
        self.fill(&mut table, service, protocol, port);
        Some(table)
    }

    fn fill(&self, table: &mut RouteTable, service: &ServiceRecord, protocol: Protocol, port: u16) {
        if matches!(
            protocol,
            Protocol::Http | Protocol::Http2 | Protocol::Grpc | Protocol::Auto
        ) {
            table.http = self.mesh_http(&service.host, Some(service), port);
        }
        if protocol == Protocol::Tls {
            table.tls = self.mesh_tls(&service.host, port);
            if table.tls.is_empty() {
                table
                    .tcp
                    .push(super::l4::default_tcp(service, u32::from(port)));
            }
        }
        if matches!(protocol, Protocol::Tcp | Protocol::Auto) {
            table.tcp = self.mesh_tcp(&service.host, service, port);
        }
    }

    /// The table of a host that no service has, but a VirtualService for sidecars names.
    fn of_virtual_service(&self, host: &Hostname, port: u16) -> Option<RouteTable> {
        if port != ROUTED_PORT {
            return None;
        }
        let meanings = crate::names::meanings(
            host.as_str(),
            self.namespace(),
            &self.world.settings.cluster_domain,
        );
        let (host, http) = meanings.into_iter().find_map(|name| {
            let routes = self.mesh_http(&name, None, port);
            (!routes.is_empty()).then_some((name, routes))
        })?;
        let host = host.to_string();
        Some(RouteTable {
            host,
            port: u32::from(port),
            protocol: Protocol::Http.into(),
            http,
            ..RouteTable::default()
        })
    }
}
