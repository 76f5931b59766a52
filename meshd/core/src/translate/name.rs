//! Addresses of host names, for the DNS of captured workloads (Istio: the name table of its DNS
//! proxy, pkg/dns/server).

use std::net::IpAddr;

use mesh_api::Hostname;
use mesh_api::v1::Name;

use super::View;

// === impl View ===

impl View<'_> {
    /// The virtual addresses of what the client means by a host name. A range is no address to
    /// answer, and a headless service has none: its pods are known to the cluster's own DNS.
    pub(super) fn name(&self, host: &Hostname) -> Name {
        let meant = self
            .world
            .meant(host, self.namespace())
            .filter(|id| self.imports(*id, None))
            .and_then(|id| self.service(id));
        let Some(service) = meant else {
            return Name {
                hostname: host.to_string(),
                ..Name::default()
            };
        };
        let mut addresses: Vec<IpAddr> = service
            .addresses
            .iter()
            .filter_map(|address| address.parse().ok())
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        Name {
            hostname: host.to_string(),
            addresses: addresses.iter().map(ToString::to_string).collect(),
            declared: service.host.to_string(),
        }
    }
}
