//! ServiceEntries that take more than they seem to (IST0134).

use mesh_api::v1::{Protocol, ServicePort};

use super::Findings;
use crate::problem::code;

/// Opaque bytes have no host: without an address a port is taken wherever connections go.
pub(super) fn check(found: &mut Findings<'_>) {
    let world = found.world;
    for service in &world.services {
        if service.kubernetes || !service.addresses.is_empty() {
            continue;
        }
        let mut ports = service.ports.iter();
        let Some(port) = ports.find(|port| ServicePort::protocol(port) == Protocol::Tcp) else {
            continue;
        };
        let text = format!(
            "ServiceEntry addresses are required for this protocol: all connections to port {} that no other service takes go to {}",
            port.number, service.host
        );
        found.warn(&service.origin, code::ADDRESSES_REQUIRED, text);
    }
}
