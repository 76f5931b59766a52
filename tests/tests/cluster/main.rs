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
//! | `MESH_TEST_BOOKINFO` | manifests of Bookinfo in place of the sample's, for example Istio's; of each image only the name counts |
//! | `MESH_TEST_UPGRADE_TAG` | tag of a second version's images, for `upgrade` |
//! | `MESH_TEST_RESTART_API_SERVER` | shell command that restarts the API server, for `kills` |
//! | `MESH_TEST_RESTART_NODE_PROXY` | shell command that kills and restarts kube-proxy, for `kills` |
//! | `MESH_TEST_KILL_CONTAINER` | shell command that kills the container whose id `$CONTAINER` is, with SIGKILL, for `kills` |
//!
//! They run one after the other, since they share the gateway and the control plane; `kills`,
//! `rolling` and `rotation` kill and restart those, `upgrade` replaces them. So give them a cluster of their own.

mod bookinfo;
mod chart;
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
mod rotation;
mod tokens;
mod tour;
mod upgrade;
mod user_order;
mod validation;
