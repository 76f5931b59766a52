//! A Kubernetes cluster, as far as the command line needs it: which one, its pods by the names
//! that people use for them, their ports, commands inside of them, and objects to apply.
//!
//! Nothing here knows what a proxy or the control plane says; see [`crate::target`] for that.

mod connect;
mod error;
mod exec;
mod lookup;
mod objects;
mod pod;
mod pod_port;
mod read;
mod service;

pub use connect::{Cluster, ClusterOptions, DEFAULT_MESH_NAMESPACE};
pub use error::{ClusterError, Refusal};
pub use exec::{Executed, ExitCode, Interactive};
pub use lookup::{Asked, LookupError, find};
pub use objects::{ObjectRef, documents};
pub use pod::{FindError, PROXY_CONTAINER, PodInfo, PodKind};
pub use pod_port::{Complaint, PodPort, PodPortError, PodStream};
pub use read::{ReadableKind, in_force_kinds};
pub use service::chosen_port;
