//! The workload's identity for the application itself, over a Unix socket: the SPIFFE Workload
//! API, for programs with a SPIFFE library, and Envoy's secret discovery, for those that speak it.
//!
//! The application gets a certificate for a key of its own ([`crate::identity::AppIdentity`]),
//! and the roots. Who is not among the allowed users is not served.

mod connections;
mod listen;
mod secrets;
mod spiffe;
mod tokens;
mod updates;

pub use listen::WorkloadApiError;
pub(crate) use listen::WorkloadListener;
pub use tokens::validate;
