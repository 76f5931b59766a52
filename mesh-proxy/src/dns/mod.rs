//! DNS for the captured workload, over UDP and TCP (Istio: the DNS proxy of its agent, 15053).
//!
//! The decisions are in [`mesh_proxy_core::dns`]; here are the sockets, the demands for what is
//! not known yet, and the way to the system's DNS servers. All of it runs on the control thread:
//! a slow server never stalls a data worker.

mod listen;
mod metrics;
mod resolver;
mod server;
mod upstream;

pub use listen::{DnsError, DnsListeners};

pub(crate) use metrics::DnsMetrics;
pub(crate) use resolver::Resolver;

#[cfg(test)]
mod tests;
