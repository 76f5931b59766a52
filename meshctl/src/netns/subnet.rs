//! The range of addresses inside a mesh.

use std::net::Ipv4Addr;

use super::NetnsError;

/// The IPv4 range of a mesh. It exists only inside the hub, so meshes never collide, and each may
/// use the same. Its first address is the hub's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subnet {
    network: u32,
    prefix: u8,
}

// === impl Subnet ===

impl Subnet {
    /// A range of 8 to 29 prefix bits.
    ///
    /// # Errors
    /// If the prefix is outside of that, or `network` has bits beyond it.
    pub fn new(network: Ipv4Addr, prefix: u8) -> Result<Self, NetnsError> {
        let subnet = Self {
            network: network.to_bits(),
            prefix,
        };
        if !(8..=29).contains(&prefix) || subnet.network & subnet.host_mask() != 0 {
            return Err(NetnsError::Subnet { network, prefix });
        }
        Ok(subnet)
    }

    /// The hub's own address: the first of the range.
    pub fn hub(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network | 1)
    }

    /// The n-th address for workloads, counted from 0. None if the range is used up.
    pub fn workload(&self, n: u32) -> Option<Ipv4Addr> {
        let host = n.checked_add(2)?;
        // The last one is the broadcast address.
        (host < self.host_mask()).then(|| Ipv4Addr::from_bits(self.network | host))
    }

    /// How many bits of an address are the network's.
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Why a workload cannot have this address, if it cannot.
    pub(super) fn objection(&self, address: Ipv4Addr) -> Option<&'static str> {
        let bits = address.to_bits();
        if bits & !self.host_mask() != self.network {
            Some("it is outside of the mesh's range")
        } else if address == self.hub() {
            Some("it is the hub's")
        } else if bits == self.network || bits & self.host_mask() == self.host_mask() {
            Some("it is the range's network or broadcast address")
        } else {
            None
        }
    }

    fn host_mask(&self) -> u32 {
        u32::MAX.checked_shr(u32::from(self.prefix)).unwrap_or(0)
    }
}

impl Default for Subnet {
    /// 10.77.0.0/16: private (RFC 1918), and the kernel's bridge ends at 1023 ports long before it.
    fn default() -> Self {
        Self {
            network: Ipv4Addr::new(10, 77, 0, 0).to_bits(),
            prefix: 16,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_addresses() {
        let subnet = Subnet::default();
        assert_eq!(subnet.hub(), Ipv4Addr::new(10, 77, 0, 1));
        assert_eq!(subnet.workload(0), Some(Ipv4Addr::new(10, 77, 0, 2)));
        assert_eq!(subnet.workload(254), Some(Ipv4Addr::new(10, 77, 1, 0)));
        assert_eq!(
            subnet.workload(65532),
            Some(Ipv4Addr::new(10, 77, 255, 254))
        );
        assert_eq!(subnet.workload(65533), None);
        assert_eq!(subnet.workload(u32::MAX), None);
    }

    #[test]
    fn every_address_it_counts_is_fit_for_a_workload() {
        let subnet = Subnet::new(Ipv4Addr::new(10, 1, 2, 16), 28).unwrap();
        let addresses: Vec<Ipv4Addr> = (0..).map_while(|n| subnet.workload(n)).collect();
        assert_eq!(addresses.len(), 13);
        assert!(
            addresses
                .iter()
                .all(|address| subnet.objection(*address).is_none())
        );
    }

    #[test]
    fn objects_to_what_is_no_workloads_address() {
        let subnet = Subnet::new(Ipv4Addr::new(10, 1, 2, 0), 24).unwrap();
        for address in [[10, 1, 2, 0], [10, 1, 2, 1], [10, 1, 2, 255], [10, 1, 3, 2]] {
            assert!(
                subnet.objection(Ipv4Addr::from_octets(address)).is_some(),
                "{address:?}"
            );
        }
    }

    #[test]
    fn refuses_what_is_no_range() {
        for (network, prefix) in [
            ([10, 1, 2, 3], 24),
            ([10, 0, 0, 0], 7),
            ([10, 0, 0, 0], 30),
            ([10, 0, 0, 0], 200),
        ] {
            assert!(
                Subnet::new(Ipv4Addr::from_octets(network), prefix).is_err(),
                "{network:?}/{prefix}"
            );
        }
    }
}
