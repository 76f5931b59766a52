//! The mesh on a real cluster: what `meshctl install` has set up, with applications in namespaces
//! of the tests' own. Nothing is skipped: without a cluster they fail and say what to set.
//!
//! ```sh
//! export KUBECONFIG=…                       # a cluster with the mesh installed
//! cargo test -p mesh-tests --features cluster --test cluster
//! ```
//!
//! | variable | |
//! |---|---|
//! | `KUBECONFIG` | the cluster, its current context |
//! | `MESH_TEST_HUB`, `MESH_TEST_TAG` | images of the sample, which nodes must have or can pull (default `mesh.local`, this version) |
//! | `MESH_TEST_GATEWAY` | `HOST:PORT` of the ingress gateway, if its Service cannot be reached from here |
//! | `MESH_TEST_MESHCTL` | the `meshctl` to test (default: built from this source) |
//! | `MESH_TEST_RESTART_API_SERVER` | shell command that restarts the API server, for `kills` |
//!
//! They run one after the other, since they share the gateway and the control plane; `kills` and
//! `rolling` kill and restart those.

mod bookinfo;
mod dns;
mod gateway;
mod inject;
mod jobs;
mod kills;
mod load;
mod place;
mod pods;
mod probes;
mod rbac;
mod rolling;
mod tour;
mod user_order;
mod validation;
