//! DNS for captured workloads (Istio: DNS proxying, pkg/dns/client): which questions the mesh
//! answers itself, how, and where the others go.
//!
//! A name that the mesh declares with an address is answered here, so that also names that no DNS
//! server knows (ServiceEntry hosts) lead to their service. Everything else is passed on to the
//! servers of `/etc/resolv.conf`, byte for byte but for the number of the message.
//!
//! [`Query::parse`] reads a question, [`resolve`] decides, [`reply`] makes messages, and
//! [`upstream`] chooses servers and checks what they say.

mod query;
pub mod reply;
mod resolv_conf;
mod resolve;
pub mod upstream;

pub use query::{Query, Transport, Unusable};
pub use resolv_conf::{InvalidResolvConf, ResolvConf};
pub use resolve::{Step, after_upstream, names, resolve};

#[cfg(test)]
mod tests;
