//! The command line of the mesh: runs a whole mesh on one machine, and explains it.
//!
//! - [`cli`] is what can be typed, [`command`] what happens then.
//! - [`mesh_file`] reads MESH.yaml; [`placement`] gives its workloads addresses ([`address`]);
//!   [`world`] writes them down as Istio's objects for the control plane.
//! - [`mesh`] owns a running mesh, [`process`] its processes, [`state`] its directory, and
//!   [`netns`] its network namespaces when traffic is captured transparently.
//! - [`clock`] and [`output`] are the only places that read clocks and print.
//! - [`explain`] answers what would happen to a request, from running proxies ([`call`]) or from
//!   files ([`offline`]); [`dump`] makes a proxy's configuration readable.
//! - [`target`] is where a command looks: a mesh of this machine, or one in a Kubernetes cluster
//!   ([`cluster`]); [`live`] compiles what a cluster has.
//! - [`demo`] is the Bookinfo sample with its traffic, its table and its tour, which takes the
//!   same steps on a laptop, in a cluster and under docker-compose.
//!
//! `meshctl` is one binary that holds the whole mesh: it starts the control plane and the
//! proxies by executing itself again.

pub mod address;
pub mod call;
pub mod cli;
pub mod clock;
pub mod cluster;
pub mod command;
pub mod demo;
pub mod dump;
pub mod explain;
pub mod file;
pub mod inject;
pub mod install;
pub mod live;
pub mod mesh;
pub mod mesh_file;
pub mod netns;
pub mod offline;
pub mod output;
pub mod placement;
pub mod process;
pub mod state;
pub mod table;
pub mod target;
pub mod world;
