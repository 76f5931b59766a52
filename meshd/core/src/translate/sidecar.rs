//! What a Sidecar says of the ports that a proxy serves, and of the listeners that it has for its
//! workload.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use mesh_api::v1::http_route::Action;
use mesh_api::v1::{
    ConnectionPool, Destination, EgressListener, Forward, HttpRoute, InboundPort, MtlsMode,
    Protocol, Resolution, RouteTable, ServicePort, TcpRoute, TlsServer,
};

use super::View;
use super::gateway::terminating;
use super::traffic::server_pool;
use crate::model::{Egress, PoolPolicy, SidecarIngress, SidecarObject};
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
        for (number, port) in &mut ports {
            let mut listed = sidecar.ingress.iter();
            let listed = listed.find(|ingress| u32::from(ingress.port) == *number);
            let own = listed.and_then(|ingress| ingress.pool);
            if let Some(pool) = own.or(sidecar.inbound_pool) {
                limit(port, &pool);
            }
        }
        ports
    }

    /// The limits toward the application that the service's DestinationRule names. A rule for
    /// some clients only says nothing of servers (Istio: buildInboundCluster).
    pub(super) fn limit_by_rule(&self, id: ServiceId, port: &mut InboundPort) {
        let Some(service) = self.service(id).filter(|_| self.imports(id, None)) else {
            return;
        };
        let rule = self.world.rule_for_servers(service, self.namespace());
        let pool = rule
            .policy
            .and_then(|policy| server_pool(policy, port.service_port));
        if let Some(pool) = pool {
            limit(port, &pool);
        }
    }

    /// Listeners for the workload's calls, beside those that every proxy has.
    pub(super) fn egress_listeners(&self) -> Vec<EgressListener> {
        let egress = self.sidecar.map_or(&[][..], |sidecar| &sidecar.egress);
        let named: BTreeSet<u16> = egress.iter().filter_map(|egress| egress.port).collect();
        let rest = egress.iter().filter_map(|egress| {
            let all = egress.all_ports.as_ref()?;
            Some(self.listeners_for_all(egress, all, &named))
        });
        let rest: Vec<EgressListener> = rest.flatten().collect();
        let listeners = egress.iter().filter_map(|egress| {
            let mut listener = egress.listener.clone()?;
            if egress.is_opaque() {
                let (id, port) = self.service_of(egress)?;
                listener.host = self.service(id)?.host.to_string();
                listener.service_port = port;
            }
            Some(listener)
        });
        listeners.chain(rest).collect()
    }

    /// A listener for each port of the services of `egress` that is not `named`. Of services with
    /// opaque bytes on one port the oldest has it, and requests name theirs (Istio:
    /// buildSidecarOutboundListeners). Where opaque bytes of a service go only their address would
    /// tell: it has none.
    fn listeners_for_all(
        &self,
        egress: &Egress,
        all: &EgressListener,
        named: &BTreeSet<u16>,
    ) -> Vec<EgressListener> {
        let mut listeners: BTreeMap<u32, EgressListener> = BTreeMap::new();
        for (id, service) in self.world.services.iter().enumerate() {
            let taken = egress.takes(
                (service.namespace.as_str(), service.host.as_str()),
                self.namespace(),
            );
            if !taken || !service.export_to.reaches(self.namespace()) || !self.sees(id) {
                continue;
            }
            let by_address = service.resolution == Resolution::None || service.host.is_wildcard();
            for port in &service.ports {
                let opaque = is_opaque(port);
                let is_named =
                    u16::try_from(port.number).is_ok_and(|number| named.contains(&number));
                if is_named || opaque && by_address {
                    continue;
                }
                listeners.entry(port.number).or_insert_with(|| {
                    let mut listener = all.clone();
                    listener.port = port.number;
                    listener.set_protocol(port.protocol());
                    if opaque {
                        listener.host = service.host.to_string();
                        listener.service_port = port.number;
                    }
                    listener
                });
            }
        }
        listeners.into_values().collect()
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
            let mut ports = service.ports.iter().filter(|port| is_opaque(port));
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

fn is_opaque(port: &ServicePort) -> bool {
    matches!(
        port.protocol(),
        Protocol::Tcp | Protocol::Tls | Protocol::Auto
    )
}

// === impl Egress ===

impl Egress {
    /// Whether what comes names no host itself.
    fn is_opaque(&self) -> bool {
        matches!(self.protocol, Protocol::Tcp | Protocol::Tls)
    }
}

fn limit(port: &mut InboundPort, pool: &PoolPolicy) {
    port.connect_timeout_ms = pool.connect_timeout_ms;
    port.connection_pool = Some(pool.wire).filter(|wire| *wire != ConnectionPool::default());
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
        connection_pool: known.and_then(|known| known.connection_pool),
        connect_timeout_ms: known.map_or(0, |known| known.connect_timeout_ms),
    }
}
