//! Outbound connections.

use std::net::SocketAddr;
use std::sync::Arc;

use ipnet::IpNet;
use mesh_api::{Hostname, ResourceName};
use rand::Rng;

use super::Step;
use crate::ir::{Cluster, Destinations, Origin, OutboundPolicy, Protocol, RouteTable};
use crate::reason::Reason;
use crate::route;
use crate::snapshot::Snapshot;

/// What to do with a connection before its first bytes.
#[derive(Clone, Debug)]
pub struct AddressPlan {
    /// The resource that says it: for [`TcpTarget::name`].
    pub name: ResourceName,
    /// Canonical host name; absent if nobody declared the destination.
    pub host: Option<Hostname>,
    /// Service port.
    pub port: u16,
    /// What is spoken: HTTP is served as it comes, TLS is read for its server name, TCP is
    /// connected at once, and `Auto` is detected.
    pub protocol: Protocol,
    /// Nobody declared it. HTTP is still routed by its Host; other bytes follow the mesh's
    /// outbound policy.
    pub undeclared: bool,
}

/// Where a connection of opaque bytes or of foreign TLS goes.
#[derive(Clone, Debug)]
pub struct TcpTarget<'a> {
    /// The destination's resource: `address/…` or `routes/…`.
    pub name: ResourceName,
    /// Original destination address, if there is one.
    pub original: Option<SocketAddr>,
    /// Server name of the client's TLS, if it speaks TLS.
    pub sni: Option<&'a str>,
}

/// What to do with a connection of opaque bytes.
#[derive(Clone, Debug)]
pub struct TcpPlan {
    /// What happens.
    pub action: TcpAction,
    /// Place of the route in the configuration.
    pub origin: Option<Arc<Origin>>,
}

/// What happens with a connection.
#[derive(Clone, Debug)]
pub enum TcpAction {
    /// It goes to one of these endpoints.
    Forward(Arc<Cluster>),
    /// It goes where the client asked to go.
    Passthrough,
    /// It is reset.
    Refuse(Reason),
}

/// What the routes say, before one of several destinations is drawn.
pub(crate) enum TcpChoice<'a> {
    Route {
        destinations: &'a Destinations,
        origin: Option<&'a Arc<Origin>>,
    },
    Passthrough,
    Refuse(Reason),
}

/// Decides about a connection by its original destination address (transparent capture, SOCKS
/// with an address).
pub fn outbound_address(snapshot: &Snapshot, original: SocketAddr) -> Step<AddressPlan> {
    let original = SocketAddr::new(original.ip().to_canonical(), original.port());
    outbound_destination(snapshot, &ResourceName::Address(original))
}

/// Decides about a connection by the resource of its destination (CONNECT, SOCKS with a name):
/// see [`ResourceName::destination`].
pub fn outbound_destination(snapshot: &Snapshot, name: &ResourceName) -> Step<AddressPlan> {
    let Some(table) = snapshot.table(name) else {
        return Step::Need(name.clone());
    };
    let asked = match name {
        ResourceName::Routes { port, .. } => *port,
        ResourceName::Address(address) => address.port(),
        _ => table.port,
    };
    Step::Ready(AddressPlan {
        name: name.clone(),
        host: table.host.clone(),
        port: if table.undeclared { asked } else { table.port },
        protocol: if table.undeclared {
            Protocol::Auto
        } else {
            table.protocol
        },
        undeclared: table.undeclared,
    })
}

/// Decides about opaque bytes or foreign TLS.
pub fn outbound_tcp(
    snapshot: &Snapshot,
    target: &TcpTarget<'_>,
    rng: &mut (impl Rng + ?Sized),
) -> Step<TcpPlan> {
    let Some(table) = snapshot.table(&target.name) else {
        return Step::Need(target.name.clone());
    };
    if table.undeclared && !snapshot.holds(&ResourceName::Mesh) {
        return Step::Need(ResourceName::Mesh);
    }
    let choice = choose_tcp(snapshot, table, target);
    Step::Ready(pick_tcp(snapshot, &choice, rng))
}

/// Finds the route: TLS routes by server name, then TCP routes. HTTP routes say nothing here.
pub(crate) fn choose_tcp<'a>(
    snapshot: &Snapshot,
    table: &'a RouteTable,
    target: &TcpTarget<'_>,
) -> TcpChoice<'a> {
    if table.undeclared {
        return match snapshot.mesh().outbound_policy {
            OutboundPolicy::AllowAny => TcpChoice::Passthrough,
            OutboundPolicy::RegistryOnly => TcpChoice::Refuse(Reason::UndeclaredDestination),
        };
    }
    let in_subnets = |subnets: &[IpNet]| {
        let original = target.original.map(|address| address.ip().to_canonical());
        subnets.is_empty()
            || original.is_some_and(|ip| subnets.iter().any(|subnet| subnet.contains(&ip)))
    };
    let by_name = target.sni.and_then(|sni| {
        let names = |hosts: &[Hostname]| hosts.iter().any(|host| host.covers(sni));
        table
            .tls
            .iter()
            .find(|route| names(&route.sni_hosts) && in_subnets(&route.destination_subnets))
    });
    if let Some(route) = by_name {
        return TcpChoice::Route {
            destinations: &route.destinations,
            origin: route.origin.as_ref(),
        };
    }
    match table
        .tcp
        .iter()
        .find(|route| in_subnets(&route.destination_subnets))
    {
        Some(route) => TcpChoice::Route {
            destinations: &route.destinations,
            origin: route.origin.as_ref(),
        },
        None => TcpChoice::Refuse(Reason::RouteNotFound),
    }
}

/// Draws one of the destinations.
pub(crate) fn pick_tcp(
    snapshot: &Snapshot,
    choice: &TcpChoice<'_>,
    rng: &mut (impl Rng + ?Sized),
) -> TcpPlan {
    match choice {
        TcpChoice::Passthrough => TcpPlan {
            action: TcpAction::Passthrough,
            origin: None,
        },
        TcpChoice::Refuse(reason) => TcpPlan {
            action: TcpAction::Refuse(*reason),
            origin: None,
        },
        TcpChoice::Route {
            destinations,
            origin,
        } => {
            let cluster =
                route::pick(destinations, rng).and_then(|to| snapshot.cluster(&to.cluster));
            let action = match cluster {
                Some(cluster) => TcpAction::Forward(Arc::clone(cluster)),
                None => TcpAction::Refuse(Reason::ClusterNotFound),
            };
            TcpPlan {
                action,
                origin: origin.cloned(),
            }
        }
    }
}
