//! Protocol names of the mesh's TLS (Istio: pilot/pkg/networking/util, `ALPNInMesh*`).

/// What a client sidecar offers for HTTP/1.1 over the mesh's mutual TLS.
pub const MESH_HTTP1: &[&[u8]] = &[b"istio-http/1.1", b"istio", b"http/1.1"];
/// The same for HTTP/2.
pub const MESH_HTTP2: &[&[u8]] = &[b"istio-h2", b"istio", b"h2"];
/// The same for opaque bytes.
pub const MESH_TCP: &[&[u8]] = &[b"istio-peer-exchange", b"istio"];
/// What a server sidecar accepts over the mesh's mutual TLS, preferred first.
pub const MESH_SERVER: &[&[u8]] = &[
    b"istio-peer-exchange",
    b"istio-h2",
    b"istio-http/1.1",
    b"istio-http/1.0",
    b"istio",
    b"h2",
    b"http/1.1",
];

/// Whether only a proxy of a mesh offers it.
pub fn is_mesh(protocol: &[u8]) -> bool {
    protocol == b"istio" || protocol.starts_with(b"istio-")
}

/// Whether HTTP/2 is spoken after it was chosen.
pub fn is_http2(protocol: &[u8]) -> bool {
    matches!(protocol, b"h2" | b"istio-h2")
}
