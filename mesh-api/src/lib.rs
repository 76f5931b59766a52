//! The contract of the mesh.
//!
//! - [`v1`]: messages and, with the feature `grpc`, clients and servers of `proto/mesh/v1`.
//!   The control plane and the proxies know each other by nothing else.
//! - [`istio_auth`]: the same of `proto/istio/v1/auth`, for Istio's agents.
//! - [`envoy_auth`]: the same of `proto/envoy/service/auth/v3`, for external authorizers.
//! - [`SpiffeId`], [`TrustDomain`], [`Hostname`], [`WorkloadName`], [`ResourceName`]:
//!   identifiers that exist only in valid form.
//!
//! ```
//! use mesh_api::{ResourceName, SpiffeId};
//!
//! let id: SpiffeId = "spiffe://cluster.local/ns/default/sa/reviews".parse()?;
//! assert_eq!(id.namespace(), "default");
//! let name: ResourceName = "routes/reviews:9080".parse()?;
//! assert_eq!(name, ResourceName::Routes { host: "reviews".parse()?, port: 9080 });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#[cfg(feature = "grpc")]
mod codec;
mod credential;
mod hostname;
mod resource_name;
mod spiffe;
mod workload_name;

pub use hostname::{Hostname, InvalidHostname};
pub use resource_name::{InvalidResourceName, ResourceName};
pub use spiffe::{InvalidSpiffeId, SpiffeId, TrustDomain};
pub use workload_name::{InvalidWorkloadName, WorkloadName};

/// Messages, clients and servers of `proto/mesh/v1`, generated.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated code; the protocol files are where it is documented"
)]
pub mod v1 {
    include!("generated/mesh.v1.rs");
    include!("generated/mesh.v1.json.rs");
    include!("generated/mesh.v1.admin_json.rs");
}

/// Messages, clients and servers of `proto/istio/v1/auth`, generated.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated code; the protocol files are where it is documented"
)]
pub mod istio_auth {
    include!("generated/istio.v1.auth.rs");
}

/// Messages, clients and servers of `proto/envoy/service/auth/v3`, generated.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated code; the protocol files are where it is documented"
)]
pub mod envoy_auth {
    include!("generated/envoy.service.auth.v3.rs");
}

/// Messages, clients and servers of `proto/envoy/service/secret/v3`, generated.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated code; the protocol files are where it is documented"
)]
pub mod envoy_secret {
    include!("generated/envoy.service.secret.v3.rs");
}

/// Messages, clients and servers of `proto/spiffe`, generated.
#[allow(
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::restriction,
    reason = "generated code; the protocol files are where it is documented"
)]
pub mod spiffe_workload {
    include!("generated/_.rs");
}
