//! The decisions of the proxy, without any I/O.
//!
//! Everything here is synchronous and total: borrow in, value out. Time and chance are
//! arguments. There is no socket, TLS, clock, file or lock; the crate `mesh-proxy` has those.
//!
//! ```text
//! DiscoveryResponse ── decode ──► ir ── snapshot::apply ──► Snapshot
//!                                                             │
//!   first bytes ── detect ─────────────────────────────────►  plan  ──► Step::Need(resource)
//!   request ───── route, filter, authz ────────────────────►   │   └──► Step::Ready(what to do)
//!                                                             ▼
//!                       balance (which endpoint) · resilience (whether again)
//! ```
//!
//! - [`snapshot`]: the configuration in force, immutable; [`session`]: how to ask for it.
//! - [`plan`]: what to do with a connection or a request. The only module that composes the
//!   others. If a resource is missing it says which: the shell fetches it and asks again.
//! - [`dns`]: which questions of DNS the mesh answers, and how.
//! - [`trace`]: which trace a request belongs to.
//! - [`expression`]: what Telemetry objects ask of a request before it is logged or counted.
//! - [`explain`]: the same decision, told: which routes were tried and why each lost.
//! - [`reason`] and [`labels`]: the closed lists that answers, logs and metrics share.

pub mod authz;
pub mod balance;
mod decode;
pub mod detect;
pub mod dns;
pub mod explain;
pub mod expression;
pub mod filter;
mod host;
pub mod http1;
pub mod http2;
pub mod ir;
pub mod jwt;
pub mod labels;
mod persistent;
pub mod plan;
pub mod reason;
pub mod resilience;
pub mod route;
pub mod session;
pub mod snapshot;
pub mod trace;

#[cfg(test)]
mod fixtures;

pub use labels::ClientInfo;
pub use reason::{Reason, ResponseFlags};
pub use snapshot::{Applied, Snapshot};
