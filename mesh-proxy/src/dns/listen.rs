//! Sockets of the DNS server.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use mesh_proxy_core::dns::ResolvConf;
use socket2::SockRef;

use crate::hand_over::{Offered, Open, Sockets};
use crate::net::{StdTcpListener, StdUdpSocket};
use crate::settings::Settings;

/// Bound sockets of the DNS server: pairs of UDP and TCP.
#[derive(Default)]
pub struct DnsListeners {
    pub(super) pairs: Vec<(StdUdpSocket, StdTcpListener)>,
    pub(super) offered: Vec<Offered>,
}

/// Why there can be no DNS server.
#[derive(Debug, thiserror::Error)]
#[error("--dns: cannot listen on {address}: {source}")]
pub struct DnsError {
    address: SocketAddr,
    source: io::Error,
}

// With port 0 the port that is free for TCP may be taken for UDP.
const ATTEMPTS: usize = 16;
const ROLE: &str = "dns";

// === impl DnsListeners ===

impl DnsListeners {
    /// Binds what `settings` ask for, or takes it over; nothing if they ask for no DNS.
    ///
    /// # Errors
    /// [`DnsError`] if the address is taken.
    pub fn bind(settings: &Settings, sockets: &Sockets) -> Result<Self, DnsError> {
        let Some(address) = settings.pod.dns else {
            return Ok(Self::default());
        };
        let mut offered = Vec::new();
        let mut pair = |address| {
            let (udp, tcp) = taken_or_new(sockets, address, settings.own_mark)?;
            offered.extend([udp.1, tcp.1]);
            Ok((udp.0, tcp.0))
        };
        let first = pair(address).map_err(|source| DnsError { address, source })?;
        let port = first.0.local_addr().map_or(address.port(), |at| at.port());
        let mut pairs = vec![first];
        // Questions to a server with an IPv6 address are redirected to the other loopback.
        if address.ip() == IpAddr::V4(Ipv4Addr::LOCALHOST) && has_ipv6_server(settings) {
            let other = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
            match pair(other) {
                Ok(pair) => pairs.push(pair),
                Err(error) => tracing::warn!(address = %other, %error, "no DNS over IPv6"),
            }
        }
        Ok(Self { pairs, offered })
    }

    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        self.pairs
            .first()
            .and_then(|(udp, _)| udp.local_addr().ok())
    }

    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        let addresses = self.pairs.iter().map(|(udp, _)| udp.local_addr());
        addresses.filter_map(Result::ok).collect()
    }
}

fn has_ipv6_server(settings: &Settings) -> bool {
    let text = std::fs::read_to_string(&settings.pod.resolv_conf).unwrap_or_default();
    text.parse::<ResolvConf>()
        .is_ok_and(|conf| conf.servers.iter().any(SocketAddr::is_ipv6))
}

// Both of a predecessor, or both new.
fn taken_or_new(
    sockets: &Sockets,
    address: SocketAddr,
    mark: Option<u32>,
) -> io::Result<(Open<StdUdpSocket>, Open<StdTcpListener>)> {
    let mut new = None;
    let udp = sockets.udp(ROLE, address, |address| {
        let (udp, tcp) = pair(address, mark)?;
        new = Some(tcp);
        Ok(udp)
    })?;
    let tcp = sockets.tcp(ROLE, address, |_| match new {
        Some(tcp) => Ok(tcp),
        // Its datagrams were taken over, and its connections were not.
        None => StdTcpListener::bind(udp.0.local_addr()?),
    })?;
    udp.0.set_nonblocking(true)?;
    tcp.0.set_nonblocking(true)?;
    Ok((udp, tcp))
}

fn pair(address: SocketAddr, mark: Option<u32>) -> io::Result<(StdUdpSocket, StdTcpListener)> {
    let attempt = || {
        let tcp = StdTcpListener::bind(address)?;
        let udp = StdUdpSocket::bind(tcp.local_addr()?)?;
        tcp.set_nonblocking(true)?;
        udp.set_nonblocking(true)?;
        if let Some(mark) = mark {
            // The rules that keep captured questions apart know the answers by it.
            SockRef::from(&udp).set_mark(mark)?;
        }
        Ok((udp, tcp))
    };
    let mut result = attempt();
    for _ in 1..ATTEMPTS {
        if result.is_ok() || address.port() != 0 {
            break;
        }
        result = attempt();
    }
    result
}
