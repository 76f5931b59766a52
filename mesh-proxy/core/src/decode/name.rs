//! Addresses of host names.

use std::net::IpAddr;
use std::sync::Arc;

use mesh_api::v1;

use super::{Result, each, invalid};

pub(super) fn addresses(proto: &v1::Name) -> Result<Arc<[IpAddr]>> {
    let addresses = each("addresses", &proto.addresses, |text| {
        text.parse().map_err(invalid)
    })?;
    Ok(addresses.into())
}
