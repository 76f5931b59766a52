//! Protocols through the mesh, each with a peer that this project did not write: an application's
//! client, its sidecar, the mesh's mutual TLS, the server's sidecar, a real server.
//!
//! Needs the programs that `.ci/peers` installs; without one of them a test fails and says so.
//! Run with `cargo test -p mesh-tests --features peers --test peers`.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::expect_used,
    reason = "a test says what went wrong by failing"
)]

mod authz;
mod certificates;
mod door;
mod envoy;
mod explicit;
mod forwarded;
mod gateway_tls;
mod grpc;
mod hbone;
mod http1;
mod http2;
mod ipv6;
mod istio_ca;
mod jwks;
mod nginx;
mod place;
mod policy;
mod programs;
mod proxy;
mod proxy_protocol;
mod server_first;
mod spiffe;
mod tcp;
mod tls;
mod websocket;
