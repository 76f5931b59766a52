//! Addresses of this machine, or of this network namespace.

use std::net::{IpAddr, Ipv6Addr};

use nix::ifaddrs::getifaddrs;

/// Addresses of the network interfaces that others can reach: no loopback, no link-local ones.
/// IPv4 first, otherwise in the kernel's order. Empty if the kernel does not tell.
pub fn own_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = getifaddrs() else {
        return Vec::new();
    };
    let mut addresses: Vec<IpAddr> = interfaces
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
            v4.or_else(|| address.as_sockaddr_in6().map(|v6| IpAddr::V6(v6.ip())))
        })
        .filter(is_reachable)
        .collect();
    addresses.sort_by_key(IpAddr::is_ipv6);
    addresses
}

fn is_reachable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_loopback() && !v4.is_link_local(),
        IpAddr::V6(v6) => *v6 != Ipv6Addr::LOCALHOST && !v6.is_unicast_link_local(),
    }
}
