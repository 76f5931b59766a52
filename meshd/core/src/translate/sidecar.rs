//! What a Sidecar says of the ports that a proxy serves, and of the listeners that it has for its
//! workload.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use mesh_api::v1::http_route::Action;
use mesh_api::v1::{
    Destination, EgressListener, Forward, HttpRoute, InboundPort, MtlsMode, Protocol, RouteTable,
    ServicePort, TcpRoute, TlsServer,
};

use super::View;
use super::gateway::terminating;
use crate::model::{Egress, SidecarIngress, SidecarObject};
use crate::world::{Mtls, ServiceId};

// === impl View ===

impl View<'_> {
    /// Ports that the proxy serves: those that its Sidecar lists, or else those of the services
    /// in front of it.
    pub(super) fn inbound_ports(&self, mtls: &Mtls) -> BTreeMap<u32, InboundPort> {
        let of_services = self.service_ports(mtls);
        let Some(sidecar) = self.sidecar else {
            return of_services;
        };
        let mut ports = if sidecar.ingress.is_empty() {
            of_services
        } else {
            let listed = sidecar.ingress.iter().map(|ingress| {
                let number = u32::from(ingress.port);
                let known = of_services.get(&number);
                (number, listed(sidecar, ingress, known, mtls))
            });
            listed.collect()
        };
        for port in ports.values_mut() {
            if port.connection_pool.is_none() {
                port.connection_pool = sidecar.inbound_pool;
            }
        }
        ports
    }

    /// Listeners for the workload's calls, beside those that every proxy has.
    pub(super) fn egress_listeners(&self) -> Vec<EgressListener> {
        let egress = self.sidecar.map_or(&[][..], |sidecar| &sidecar.egress);
        let listeners = egress.iter().filter_map(|egress| {
            let mut listener = egress.listener.clone()?;
            if egress.is_opaque() {
                let (id, port) = self.service_of(egress)?;
                listener.host = self.service(id)?.host.to_string();
                listener.service_port = port;
            }
            Some(listener)
        });
        listeners.collect()
    }

    /// The table of an address that an egress listener binds.
    pub(super) fn by_egress_address(&self, address: SocketAddr) -> Option<RouteTable> {
        let egress = self.sidecar?.egress.iter().find(|egress| {
            egress.bind == Some(address.ip()) && egress.port == Some(address.port())
        })?;
        if !egress.is_opaque() {
            // Requests go by their hosts.
            let mut table = self.undeclared(address.port());
            table.protocol = egress.protocol.into();
            return Some(table);
        }
        let (id, port) = self.service_of(egress)?;
        self.of_service(id, u16::try_from(port).ok()?)
    }

    /// The table of a host's port that is a listener's and none of the service's: a service with
    /// one port is meant by it (Istio: buildSidecarOutboundListeners).
    pub(super) fn by_egress_port(&self, id: ServiceId, port: u16) -> Option<RouteTable> {
        let sidecar = self.sidecar?;
        sidecar
            .egress
            .iter()
            .find(|egress| egress.port == Some(port))?;
        let [only] = self.service(id)?.ports.as_slice() else {
            return None;
        };
        self.of_service(id, u16::try_from(only.number).ok()?)
    }

    /// The service that opaque bytes of a listener are for: the first that has its port, or has
    /// one port only.
    fn service_of(&self, egress: &Egress) -> Option<(ServiceId, u32)> {
        let number = egress.port.map(u32::from);
        let opaque = |port: &&ServicePort| {
            matches!(
                port.protocol(),
                Protocol::Tcp | Protocol::Tls | Protocol::Auto
            )
        };
        let services = || {
            let all = self.world.services.iter().enumerate();
            all.filter(|(id, service)| {
                let named = (service.namespace.as_str(), service.host.as_str());
                service.export_to.reaches(self.namespace())
                    && self.sees(*id)
                    && egress.takes(named, self.namespace())
            })
        };
        let exact = services().find_map(|(id, service)| {
            let mut ports = service.ports.iter().filter(opaque);
            let port = ports.find(|port| Some(port.number) == number)?;
            Some((id, port.number))
        });
        exact.or_else(|| {
            services().find_map(|(id, service)| match service.ports.as_slice() {
                [only] => Some((id, only.number)),
                _ => None,
            })
        })
    }

    /// What becomes of destinations that nobody declared.
    pub(super) fn undeclared(&self, port: u16) -> RouteTable {
        let mut table = RouteTable {
            port: u32::from(port),
            protocol: Protocol::Auto.into(),
            undeclared: true,
            ..RouteTable::default()
        };
        let Some((sidecar, proxy)) = self
            .sidecar
            .and_then(|sidecar| Some((sidecar, sidecar.egress_proxy.as_ref()?)))
        else {
            return table;
        };
        let found = self
            .resolve(proxy, sidecar.meta.namespace(), port)
            .destination;
        let destination = Destination {
            weight: 100,
            ..found
        };
        table.undeclared = false;
        // No time limit and no retries (Istio: buildCatchAllVirtualHost).
        table.http.push(HttpRoute {
            name: "allow_any".to_owned(),
            origin: Some(sidecar.meta.origin.clone()),
            action: Some(Action::Forward(Forward {
                destinations: vec![destination.clone()],
                ..Forward::default()
            })),
            ..HttpRoute::default()
        });
        table.tcp.push(TcpRoute {
            destinations: vec![destination],
            origin: Some(sidecar.meta.origin.clone()),
            ..TcpRoute::default()
        });
        table
    }
}

// === impl Egress ===

impl Egress {
    /// Whether what comes names no host itself.
    fn is_opaque(&self) -> bool {
        matches!(self.protocol, Protocol::Tcp | Protocol::Tls)
    }
}

/// A port of `ingress`. Without a service in front of it metrics name the Sidecar (Istio:
/// findOrCreateService).
fn listed(
    sidecar: &SidecarObject,
    ingress: &SidecarIngress,
    known: Option<&InboundPort>,
    mtls: &Mtls,
) -> InboundPort {
    let number = u32::from(ingress.port);
    let (mode, mtls_origin) = mtls.at(number);
    // Callers outside of the mesh have TLS of their own only where the mesh's is off.
    let tls = ingress.tls.as_ref().filter(|_| mode == MtlsMode::Disable);
    let (service, service_port) = match known {
        Some(known) => (known.service.clone(), known.service_port),
        None => {
            let meta = &sidecar.meta;
            (format!("{}.{}", meta.name(), meta.namespace()), number)
        }
    };
    let protocol = if tls.is_some() {
        ingress.inside
    } else {
        ingress.protocol
    };
    InboundPort {
        port: number,
        protocol: protocol.into(),
        mtls: mode.into(),
        mtls_origin,
        service,
        service_port,
        endpoint: ingress.endpoint.clone(),
        listener: ingress.listener.clone(),
        tls: tls.map(|tls| TlsServer {
            // Whatever name a client asks for.
            sni_hosts: vec!["*".to_owned()],
            protocol: protocol.into(),
            ..terminating(tls, ingress.origin.clone())
        }),
        connection_pool: ingress.pool,
    }
}
