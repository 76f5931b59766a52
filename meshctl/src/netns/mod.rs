//! Network namespaces for transparent capture, on one Linux machine, as root or as an ordinary
//! user. Nothing here touches the host's network, mounts or `/run/netns`: everything hangs on
//! processes and open files, and is gone when they are, even after SIGKILL.
//!
//! ```text
//! host                        hub (meshctl up, meshd)           one namespace per workload
//! 127.0.0.1:8080 ──forward──► mesh0 10.77.0.1 (bridge) ──veth── eth0 10.77.3.5, default via 10.77.0.1
//! ```
//!
//! Processes in the hub keep the host's files, so Unix sockets work across all of these. They have
//! no way to other machines: what a workload sends to an address outside fails at once.
//!
//! How `up` and `demo` use it (steps 1 and 0 in `main`, before any thread or runtime exists):
//! 0. `meshctl internal enter` calls [`enter`] with its [`Enter`] arguments.
//! 1. [`prepare_hub`] binds the host's ports and moves this process into a new hub.
//! 2. [`Hub::add_workload`] for each sidecar and gateway.
//! 3. [`WorkloadNs::run`] installs the capture rules, [`WorkloadNs::command`] starts proxy and app,
//!    [`WorkloadNs::write_hosts`] tells names whenever services change.
//! 4. [`forward`] carries connections from each of [`Hub::take_listeners`] to a gateway.
//!
//! `meshctl exec` calls [`enter`] with the process id of `meshctl up` as [`Enter::join`].

mod enter;
mod error;
mod forward;
mod hosts;
mod hub;
mod iproute;
mod subnet;
mod workload;

pub use enter::{Enter, enter};
pub use error::NetnsError;
pub use forward::forward;
pub use hub::{Hub, HubPlan, PROXY_MARK, prepare_hub};
pub use subnet::Subnet;
pub use workload::{Privilege, WorkloadNs};
