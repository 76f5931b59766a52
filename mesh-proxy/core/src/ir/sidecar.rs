//! What a Sidecar says of the ports that are served and of the workload's own calls.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use mesh_api::Hostname;

use super::{EndpointAddress, Protocol};

/// Where an application answers (Istio: Sidecar.ingress.defaultEndpoint).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AppEndpoint {
    /// A port of the loopback address.
    Loopback(AppPort),
    /// A port of the workload's own address.
    Instance(AppPort),
    /// A Unix socket.
    Unix(Arc<str>),
}

/// A port, and the family of its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppPort {
    /// Its number.
    pub port: u16,
    /// Whether IPv6 is preferred, if the workload has it; else IPv4 is, if the workload has that.
    pub prefer_ipv6: bool,
}

/// A listener for one port of the workload (Istio: Sidecar.ingress.bind and captureMode).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct InboundListener {
    /// Its address; absent for all addresses of the workload.
    pub bind: Option<IpAddr>,
    /// Also where calls to the workload are captured.
    pub always: bool,
}

/// A listener for calls of the workload (Istio: Sidecar.egress with bind or captureMode NONE).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct EgressListener {
    /// Its address.
    pub bind: EgressBind,
    /// Its port; 0 on a Unix socket.
    pub port: u16,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// The service that opaque bytes are for, with its port; absent where requests name theirs.
    pub service: Option<(Hostname, u16)>,
    /// Also where calls of the workload are captured.
    pub always: bool,
}

/// Where an [`EgressListener`] listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EgressBind {
    /// The loopback address.
    Loopback,
    /// This address.
    Ip(IpAddr),
    /// A Unix socket.
    Unix(Arc<str>),
}

// === impl AppEndpoint ===

impl AppEndpoint {
    /// The address, for a workload with these (Istio: buildInboundClustersFromSidecar). A family
    /// that the workload has no address of gives way to the other; without addresses nothing is
    /// known against it.
    pub fn address(&self, own: &[IpAddr]) -> EndpointAddress {
        let loopback = |ipv6| {
            if ipv6 {
                IpAddr::from(Ipv6Addr::LOCALHOST)
            } else {
                Ipv4Addr::LOCALHOST.into()
            }
        };
        let (ip, port) = match self {
            Self::Unix(path) => return EndpointAddress::Unix(Arc::clone(path)),
            Self::Loopback(AppPort { port, prefer_ipv6 }) => {
                let has = own.iter().any(|ip| ip.is_ipv6() == *prefer_ipv6);
                let wanted = own.is_empty() || has;
                (loopback(*prefer_ipv6 == wanted), port)
            }
            Self::Instance(AppPort { port, prefer_ipv6 }) => {
                let found = own.iter().find(|ip| ip.is_ipv6() == *prefer_ipv6);
                (
                    found.copied().unwrap_or_else(|| loopback(*prefer_ipv6)),
                    port,
                )
            }
        };
        EndpointAddress::Ip(SocketAddr::new(ip, *port))
    }
}

// === impl EgressListener ===

impl EgressListener {
    /// The address of its socket; absent for a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        let ip = match &self.bind {
            EgressBind::Loopback => Ipv4Addr::LOCALHOST.into(),
            EgressBind::Ip(ip) => *ip,
            EgressBind::Unix(_) => return None,
        };
        Some(SocketAddr::new(ip, self.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_51_endpoints_follow_the_families_of_the_workload() {
        let four: IpAddr = "10.0.0.1".parse().unwrap();
        let six: IpAddr = "fd00::1".parse().unwrap();
        let port = |prefer_ipv6| AppPort {
            port: 80,
            prefer_ipv6,
        };
        let cases: [(AppEndpoint, &[IpAddr], &str); 9] = [
            (AppEndpoint::Loopback(port(false)), &[], "127.0.0.1:80"),
            (AppEndpoint::Loopback(port(true)), &[], "[::1]:80"),
            (AppEndpoint::Loopback(port(false)), &[six], "[::1]:80"),
            (AppEndpoint::Loopback(port(true)), &[four], "127.0.0.1:80"),
            (AppEndpoint::Loopback(port(true)), &[four, six], "[::1]:80"),
            (
                AppEndpoint::Instance(port(false)),
                &[six, four],
                "10.0.0.1:80",
            ),
            (
                AppEndpoint::Instance(port(true)),
                &[four, six],
                "[fd00::1]:80",
            ),
            (AppEndpoint::Instance(port(true)), &[four], "[::1]:80"),
            (AppEndpoint::Unix("/run/a".into()), &[four], "unix:///run/a"),
        ];
        for (endpoint, own, want) in cases {
            assert_eq!(endpoint.address(own).to_string(), want, "{own:?}");
        }
    }
}
