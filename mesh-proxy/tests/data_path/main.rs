//! The data path in process: real workers on their threads, real sockets on free ports, snapshots
//! made by hand.

#![expect(unreachable_pub, reason = "one crate of modules, nothing of it is an API")]

mod abuse;
mod config;
mod explicit;
mod gateway;
mod http1;
mod http2;
mod peers;
mod policy;
mod proxy;
mod resilience;
mod routing;
mod shutdown;
mod tcp;
