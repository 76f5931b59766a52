//! Which version of HTTP a server is spoken to in.

use crate::ir::{Cluster, HttpUpgrade, Protocol};

/// What is known of a request that is about to be sent.
#[derive(Clone, Copy, Debug)]
pub struct Speech {
    /// The client speaks HTTP/2.
    pub client_http2: bool,
    /// The request asks for another protocol (WebSocket).
    pub upgrades: bool,
    /// It is gRPC.
    pub grpc: bool,
    /// The endpoint has a proxy of the mesh.
    pub over_mesh: bool,
}

/// Whether a server is spoken to in HTTP/2, else in HTTP/1.1. What a port declares wins unless
/// the policy says otherwise (Istio: useClientProtocol, h2UpgradePolicy); otherwise servers are
/// spoken to as the client speaks. A server of plain HTTP/1 behind a proxy of the mesh gets that
/// in any case, from its own proxy.
pub fn speaks_http2(cluster: &Cluster, speech: Speech) -> bool {
    if speech.upgrades {
        return false;
    }
    match (cluster.traffic.http, cluster.protocol) {
        (HttpUpgrade::AsClient, _) => speech.client_http2,
        (_, Protocol::Http2 | Protocol::Grpc) | (HttpUpgrade::Http2, _) => true,
        (HttpUpgrade::AsDeclared, Protocol::Http) if !speech.over_mesh && !speech.grpc => false,
        (HttpUpgrade::AsDeclared, _) => speech.client_http2,
    }
}
