//! The data path in process: real workers on their threads, real sockets on free ports, snapshots
//! made by hand.

#![expect(
    unreachable_pub,
    reason = "one crate of modules, nothing of it is an API"
)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, in its helpers, too"
)]

mod abuse;
mod admission;
mod authz;
mod authz_tcp;
mod balancing;
mod chain;
mod config;
mod explicit;
mod gateway;
mod gateway_tls;
mod hbone;
mod health;
mod http1;
mod http1_wire;
mod http2;
mod http2_streams;
mod limits;
mod peers;
mod policy;
mod proxy;
mod reasons;
mod resilience;
mod routing;
mod shutdown;
mod sidecar;
mod smuggling;
mod tcp;
mod tracing;
