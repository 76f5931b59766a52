//! The servers of all Gateways that one gateway serves, put together by address (Istio:
//! mergeGateways).

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::model::{GatewayObject, GatewayServer, ServerProtocol};

/// Where a gateway listens: its own port, and the address if there is a `bind`.
pub(crate) type Address = (u16, Option<IpAddr>);

/// What is served, and what is not.
#[derive(Default)]
pub(crate) struct Merged<'g> {
    pub(crate) listeners: BTreeMap<Address, MergedListener<'g>>,
    pub(crate) skipped: Vec<Skipped<'g>>,
}

/// The servers of one address.
pub(crate) struct MergedListener<'g> {
    pub(crate) speaks: Speaks,
    /// Oldest first.
    pub(crate) servers: Vec<Placed<'g>>,
    /// Ports by which the servers name it, each once.
    pub(crate) ports: Vec<u16>,
    /// Hosts of TLS servers, with the Gateway that has them.
    names: BTreeMap<&'g str, &'g GatewayObject>,
}

/// A server and its Gateway.
#[derive(Clone, Copy)]
pub(crate) struct Placed<'g> {
    pub(crate) gateway: &'g GatewayObject,
    pub(crate) server: &'g GatewayServer,
}

/// What is spoken on a port: the first server says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Speaks {
    Http,
    Tls,
    Tcp,
}

/// A server that gives way to an older one.
pub(crate) struct Skipped<'g> {
    pub(crate) placed: Placed<'g>,
    pub(crate) why: String,
}

/// Puts servers together. `gateways` are in order of age; `ports_of` tells where the gateway
/// listens for a server's port.
pub(crate) fn merge<'g>(
    gateways: impl Iterator<Item = &'g GatewayObject>,
    ports_of: impl Fn(u16) -> BTreeSet<u16>,
) -> Merged<'g> {
    let mut merged = Merged::default();
    for gateway in gateways {
        for server in &gateway.servers {
            for port in ports_of(server.port) {
                merged.add(port, Placed { gateway, server });
            }
        }
    }
    merged
}

// === impl Merged ===

impl<'g> Merged<'g> {
    fn add(&mut self, port: u16, placed: Placed<'g>) {
        let server = placed.server;
        let listener = self
            .listeners
            .entry((port, server.bind))
            .or_insert_with(|| MergedListener {
                speaks: Speaks::of(server),
                servers: Vec::new(),
                ports: Vec::new(),
                names: BTreeMap::new(),
            });
        match listener.conflict(port, placed) {
            Some(why) => self.skipped.push(Skipped { placed, why }),
            None => listener.take(placed),
        }
    }
}

// === impl MergedListener ===

impl<'g> MergedListener<'g> {
    /// Why the server cannot be served beside the older ones.
    fn conflict(&self, port: u16, placed: Placed<'g>) -> Option<String> {
        let server = placed.server;
        let first = self.servers.first()?;
        let holder = || first.gateway.meta.full_name();
        if self.speaks != Speaks::of(server) {
            return Some(format!(
                "port {port} speaks {} for Gateway {} already",
                self.speaks.name(),
                holder()
            ));
        }
        match self.speaks {
            Speaks::Http => None,
            Speaks::Tcp => Some(format!(
                "port {port} carries opaque bytes for Gateway {} already",
                holder()
            )),
            Speaks::Tls => server.hosts.iter().find_map(|host| {
                let holder = self.names.get(host.host.as_str())?;
                Some(format!(
                    "host {} is served on port {port} by Gateway {} already",
                    host.host,
                    holder.meta.full_name()
                ))
            }),
        }
    }

    fn take(&mut self, placed: Placed<'g>) {
        if self.speaks == Speaks::Tls {
            for host in &placed.server.hosts {
                self.names.entry(&host.host).or_insert(placed.gateway);
            }
        }
        if !self.ports.contains(&placed.server.port) {
            self.ports.push(placed.server.port);
        }
        self.servers.push(placed);
    }
}

// === impl Speaks ===

impl Speaks {
    fn of(server: &GatewayServer) -> Self {
        match server.protocol {
            ServerProtocol::Http(_) => Self::Http,
            ServerProtocol::Https | ServerProtocol::Tls => Self::Tls,
            ServerProtocol::Tcp => Self::Tcp,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Http => "HTTP",
            Self::Tls => "TLS",
            Self::Tcp => "TCP",
        }
    }
}
