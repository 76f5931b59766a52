//! Where the application is: an address, or what a Sidecar says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use mesh_proxy_core::ir::{Cluster, EndpointAddress, PoolSettings};
use mesh_proxy_core::{Snapshot, plan};

use crate::net::{Dialer, Stream};
use crate::settings::InboundMode;
use crate::upstream::{APP_CONNECT, AppWay, DialError};
use crate::worker::Worker;

/// Where the application is.
#[derive(Clone)]
pub(crate) struct App {
    place: Place,
    // As a Sidecar or a DestinationRule says: elsewhere, or with limits.
    declared: Option<Arc<Cluster>>,
}

/// Where it is if nobody says more.
#[derive(Clone, Copy)]
struct Place {
    address: SocketAddr,
    // Where connections to it come from.
    source: Option<IpAddr>,
}

/// The capture's rules know connections from here as the sidecar's own (Istio: 127.0.0.6, ::6).
pub(crate) fn loopback_alias(original: IpAddr) -> IpAddr {
    match original {
        IpAddr::V4(_) => Ipv4Addr::new(127, 0, 0, 6).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 6).into(),
    }
}

/// Where an application without further words is expected behind a listener of its port.
pub(super) fn beside(destination: SocketAddr) -> SocketAddr {
    let loopback: IpAddr = match destination {
        SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(loopback, destination.port())
}

// === impl App ===

impl App {
    /// An address of this machine.
    pub(super) fn at(address: SocketAddr) -> Self {
        let source = None;
        Self::of(Place { address, source })
    }

    /// The address that a captured connection was going to.
    pub(super) fn captured(original: SocketAddr) -> Self {
        Self::of(Place {
            address: original,
            source: Some(loopback_alias(original.ip())),
        })
    }

    fn of(place: Place) -> Self {
        let declared = None;
        Self { place, declared }
    }

    /// With what the configuration says of the port now.
    pub(super) fn declared(&self, worker: &Worker, snapshot: &Snapshot, port: u16) -> Self {
        let declared = snapshot
            .inbound()
            .and_then(|inbound| inbound.ports.get(&port))
            .filter(|port| plan::app_is_declared(port));
        let settings = &worker.shared.settings;
        let captures = matches!(settings.inbound, InboundMode::Transparent(_));
        let source = |to| captures.then(|| loopback_alias(to));
        let address = EndpointAddress::Ip(self.place.address);
        let cluster =
            declared.and_then(|port| plan::app_cluster(port, address, &settings.addresses, source));
        Self {
            place: self.place,
            declared: cluster.map(|cluster| worker.upstreams.app_cluster(cluster)),
        }
    }

    /// Whether calls to it come back to this listener.
    pub(super) fn is_behind(&self, listener: SocketAddr) -> bool {
        let address = match self.declared_address() {
            None => self.place.address,
            Some(EndpointAddress::Ip(address)) => *address,
            Some(_) => return false,
        };
        address.port() == listener.port()
            && (address.ip() == listener.ip() || listener.ip().is_unspecified())
    }

    /// Its address, for logs.
    pub(super) fn name(&self) -> String {
        match self.declared_address() {
            None => self.place.address.to_string(),
            Some(address) => address.to_string(),
        }
    }

    fn declared_address(&self) -> Option<&EndpointAddress> {
        let endpoint = self.declared.as_ref()?.endpoints.first()?;
        Some(&endpoint.address)
    }

    /// How connections of opaque bytes to it are kept.
    pub(super) fn settings(&self) -> PoolSettings {
        let declared = self.declared.as_ref();
        declared.map_or_else(PoolSettings::default, |cluster| cluster.traffic.pool)
    }

    /// How requests get to it.
    pub(super) fn way(&self, worker: &Rc<Worker>) -> AppWay {
        match &self.declared {
            None => AppWay::Direct {
                pool: worker.upstreams.app_pool(self.place.address),
                address: self.place.address,
                dialer: dialer(worker, self.place.source),
            },
            Some(cluster) => AppWay::Target(worker.upstreams.app_target(cluster)),
        }
    }

    /// Opens a connection for opaque bytes.
    ///
    /// # Errors
    /// [`DialError`].
    pub(super) async fn dial(&self, worker: &Rc<Worker>) -> Result<Stream, DialError> {
        let connector = worker.upstreams.connector();
        let Some(cluster) = &self.declared else {
            let dialer = dialer(worker, self.place.source);
            return connector
                .dial_from(self.place.address, dialer, APP_CONNECT)
                .await;
        };
        let member = worker.upstreams.app_target(cluster).only();
        let member = member.map_err(DialError::Limit)?;
        connector
            .endpoint_now(&member, cluster.connect_timeout)
            .await
    }
}

fn dialer(worker: &Worker, source: Option<IpAddr>) -> Dialer {
    Dialer {
        mark: worker.shared.settings.own_mark,
        source,
    }
}
