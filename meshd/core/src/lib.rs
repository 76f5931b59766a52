//! The compiler of the mesh: Istio's configuration in, resources for each proxy out.
//!
//! ```text
//! files, objects ──► Store ──► World ──► translate(World, Scope, roots) ──► resources
//!             set_file     world()   │                                        │
//!             set_object             └─► problems                  session::Session ──► responses
//! ```
//!
//! - [`Store`] takes files of YAML and objects of an API server. It is strict and names the
//!   place of everything; an object that cannot be used does not come into force, its last good
//!   version stays, and so do its neighbours. Pods, Nodes and EndpointSlices are read leniently.
//! - [`World`] is everything in force at one moment: immutable, linked, with what is wrong.
//! - [`translate`] compiles what one proxy (a [`Scope`]) subscribes to, with all it needs.
//! - [`session`] is the control plane's side of a discovery stream.
//! - [`analyze`](fn@analyze) gives the findings only.
//! - [`World::coverage`] tells which policy decides about whom.
//!
//! All of it is synchronous and pure: the same input gives the same output, without clocks,
//! files or sockets.
//!
//! ```
//! use std::collections::BTreeSet;
//! use mesh_api::{ResourceName, SpiffeId, v1};
//! use meshd_core::{MeshSettings, Store, translate};
//!
//! let mut store = Store::new();
//! store.set_file("reviews.yaml", "
//! apiVersion: v1
//! kind: Service
//! metadata: { name: reviews }
//! spec:
//!   selector: { app: reviews }
//!   ports: [{ name: http, port: 9080 }]
//! ");
//! let world = store.world(&MeshSettings::default());
//! let node = v1::Node {
//!     workload: "default/productpage-v1".into(),
//!     kind: v1::ProxyKind::Sidecar.into(),
//!     ..v1::Node::default()
//! };
//! let identity: SpiffeId = "spiffe://cluster.local/ns/default/sa/productpage".parse()?;
//! let scope = world.scope(&node, &identity)?;
//! let root: ResourceName = "routes/reviews:9080".parse()?;
//! let resources = translate(&world, &scope, &BTreeSet::from([root.clone()]));
//! assert!(resources.contains_key(&root));
//! assert!(resources.contains_key(&"service/reviews.default.svc.cluster.local".parse()?));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod inject;
pub mod session;

mod analyze;
mod coverage;
mod ingest;
mod model;
mod names;
mod object_key;
mod problem;
mod proxy_headers;
mod redact;
mod scope;
mod settings;
mod store;
mod topology;
mod translate;
mod world;
mod yaml;

pub use analyze::analyze;
pub use coverage::{
    Coverage, CoverageFilter, CoveragePolicy, CoverageRow, CoverageVerdict, Holds, Transport,
};
pub use object_key::ObjectKey;
pub use problem::{ProblemLine, code};
pub use proxy_headers::proxy_headers_without_effect;
pub use redact::without_secrets;
pub use scope::{Scope, ScopeError};
pub use settings::{
    BundleEndpoint, EndpointProfile, IngressMode, IngressSettings, KeySet, KeySource, MeshSettings,
    TelemetryProvider, TelemetrySettings, TrustBundle,
};
pub use store::Store;
pub use topology::gateway_topology;
pub use translate::translate;
pub use world::{IngressView, ProxyConfigs, ServiceView, WorkloadKind, WorkloadView, World};
