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
pub(crate) enum App {
    /// At an address.
    Direct {
        /// The address.
        address: SocketAddr,
        /// Where connections to it come from.
        source: Option<IpAddr>,
    },
    /// As a Sidecar says: elsewhere, or with limits.
    Declared(Arc<Cluster>),
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
        Self::Direct {
            address,
            source: None,
        }
    }

    /// The address that a captured connection was going to.
    pub(super) fn captured(original: SocketAddr) -> Self {
        Self::Direct {
            address: original,
            source: Some(loopback_alias(original.ip())),
        }
    }

    /// With what the configuration says of the port.
    pub(super) fn declared(self, worker: &Worker, snapshot: &Snapshot, port: u16) -> Self {
        let Self::Direct { address, .. } = self else {
            return self;
        };
        let declared = snapshot
            .inbound()
            .and_then(|inbound| inbound.ports.get(&port))
            .filter(|port| plan::app_is_declared(port));
        let Some(port) = declared else {
            return self;
        };
        let settings = &worker.shared.settings;
        let captures = matches!(settings.inbound, InboundMode::Transparent(_));
        let source = |to| captures.then(|| loopback_alias(to));
        let address = EndpointAddress::Ip(address);
        match plan::app_cluster(port, address, &settings.addresses, source) {
            Some(cluster) => Self::Declared(worker.upstreams.app_cluster(cluster)),
            None => self,
        }
    }

    /// Whether calls to it come back to this listener.
    pub(super) fn is_behind(&self, listener: SocketAddr) -> bool {
        let address = match self {
            Self::Direct { address, .. } => *address,
            Self::Declared(cluster) => match cluster.endpoints.first().map(|one| &one.address) {
                Some(EndpointAddress::Ip(address)) => *address,
                _ => return false,
            },
        };
        address.port() == listener.port()
            && (address.ip() == listener.ip() || listener.ip().is_unspecified())
    }

    /// Its address, for logs.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Direct { address, .. } => address.to_string(),
            Self::Declared(cluster) => {
                let endpoint = cluster.endpoints.first();
                endpoint.map_or_else(String::new, |endpoint| endpoint.address.to_string())
            }
        }
    }

    /// How connections of opaque bytes to it are kept.
    pub(super) fn settings(&self) -> PoolSettings {
        match self {
            Self::Direct { .. } => PoolSettings::default(),
            Self::Declared(cluster) => cluster.traffic.pool,
        }
    }

    /// How requests get to it.
    ///
    /// # Errors
    /// [`DialError`].
    pub(super) async fn way(&self, worker: &Rc<Worker>) -> Result<AppWay, DialError> {
        match self {
            Self::Direct { address, source } => Ok(AppWay::Direct {
                pool: worker.upstreams.app_pool(*address),
                address: *address,
                dialer: dialer(worker, *source),
            }),
            Self::Declared(cluster) => worker.upstreams.target(cluster).await.map(AppWay::Target),
        }
    }

    /// Opens a connection for opaque bytes.
    ///
    /// # Errors
    /// [`DialError`].
    pub(super) async fn dial(&self, worker: &Rc<Worker>) -> Result<Stream, DialError> {
        let connector = worker.upstreams.connector();
        match self {
            Self::Direct { address, source } => {
                let dialer = dialer(worker, *source);
                connector.dial_from(*address, dialer, APP_CONNECT).await
            }
            Self::Declared(cluster) => {
                let target = worker.upstreams.target(cluster).await?;
                let member = target.only(worker).map_err(DialError::Limit)?;
                connector
                    .endpoint_now(&member, cluster.connect_timeout)
                    .await
            }
        }
    }
}

fn dialer(worker: &Worker, source: Option<IpAddr>) -> Dialer {
    Dialer {
        mark: worker.shared.settings.own_mark,
        source,
    }
}
