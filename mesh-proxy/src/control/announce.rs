//! What the proxy tells of itself on the stream, besides what its session does.

use mesh_api::v1;

use super::store::Writer;
use crate::drain::Drain;
use crate::identity::IdentityHandle;

/// The workload goes.
pub(super) fn leave() -> v1::DiscoveryRequest {
    v1::DiscoveryRequest {
        leaving: true,
        ..v1::DiscoveryRequest::default()
    }
}

/// The certificate and roots that are in force; `None` before the first certificate.
pub(super) fn identity(handle: &IdentityHandle) -> Option<v1::DiscoveryRequest> {
    let identity = handle.current()?;
    Some(v1::DiscoveryRequest {
        identity: Some(identity.report()),
        ..v1::DiscoveryRequest::default()
    })
}

/// Keys that tokens named and nobody here knows; `None` if there were none.
pub(super) fn unknown_keys(writer: &Writer) -> Option<v1::DiscoveryRequest> {
    let unknown_keys = writer.take_unknown_keys();
    (!unknown_keys.is_empty()).then(|| v1::DiscoveryRequest {
        unknown_keys,
        ..v1::DiscoveryRequest::default()
    })
}

/// Waits until the proxy begins to drain.
pub(super) async fn started(drain: Option<&Drain>) {
    match drain {
        Some(drain) => drain.started().await,
        None => std::future::pending().await,
    }
}
