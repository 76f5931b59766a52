//! Route tables of destinations by their original address.

use std::net::SocketAddr;

use mesh_api::v1::{Protocol, RouteTable, ServicePort};

use super::View;
use super::l4::default_tls;
use crate::world::ServiceId;

// === impl View ===

impl View<'_> {
    /// What to do with connections to an address: the service that has it, the headless service
    /// whose workload has it, or what services without an address leave for the port.
    ///
    /// Says with it whether another workload could make it another table.
    pub(super) fn address(&self, address: SocketAddr) -> (RouteTable, bool) {
        let bound = self.by_egress_address(address);
        if let Some(table) = bound.or_else(|| self.by_service_address(address)) {
            return (table, false);
        }
        let table = self.by_workload_address(address);
        (table.unwrap_or_else(|| self.by_port(address.port())), true)
    }

    fn visible(&self, id: ServiceId, port: u16) -> bool {
        self.service(id)
            .is_some_and(|service| service.export_to.reaches(self.namespace()) && self.sees(id))
            && self.imports(id, Some(port))
    }

    fn by_service_address(&self, address: SocketAddr) -> Option<RouteTable> {
        let ip = address.ip();
        let exact = self.world.services_by_ip.get(&ip).into_iter().flatten();
        let ranges = self
            .world
            .services_by_range
            .iter()
            .filter(|(range, _)| range.contains(&ip))
            .map(|(_, id)| id);
        exact
            .chain(ranges)
            .filter(|id| self.visible(**id, address.port()))
            .find_map(|id| self.of_service(*id, address.port()))
    }

    /// A pod of a headless service, called by its own address. Other pods are nobody's: the
    /// connection goes where it was going.
    fn by_workload_address(&self, address: SocketAddr) -> Option<RouteTable> {
        let port = u32::from(address.port());
        let workloads = self.world.workloads_by_ip.get(&address.ip())?;
        let backs = workloads
            .iter()
            .filter_map(|id| self.world.workloads.get(*id))
            .flat_map(|workload| &workload.backs);
        let mut candidates = backs.filter(|(id, _)| {
            let service = self.service(*id);
            service.is_some_and(|service| service.headless)
        });
        candidates.find_map(|(id, ports)| {
            let found = ports.iter().find(|found| found.target_port == port)?;
            let port = u16::try_from(found.service_port).ok()?;
            self.visible(*id, port)
                .then(|| self.of_service(*id, port))?
        })
    }

    /// Services without an address take the port wherever it goes: opaque ones all of it (the
    /// oldest wins), TLS by server name. What is HTTP is told apart by its Host.
    fn by_port(&self, port: u16) -> RouteTable {
        let mut table = self.undeclared(port);
        let services = self.world.services_without_address.get(&u32::from(port));
        for id in services
            .into_iter()
            .flatten()
            .copied()
            .filter(|id| self.visible(*id, port))
        {
            let Some(service) = self.service(id) else {
                continue;
            };
            let protocol = service
                .ports
                .iter()
                .find(|found| found.number == u32::from(port))
                .map(ServicePort::protocol);
            match protocol {
                Some(Protocol::Tcp) => return self.of_service(id, port).unwrap_or(table),
                Some(Protocol::Tls) => {
                    let mut routes = self.mesh_tls(&service.host, port);
                    if routes.is_empty() {
                        routes.push(default_tls(service, u32::from(port)));
                    }
                    table.tls.extend(routes);
                }
                _ => {}
            }
        }
        table
    }
}
