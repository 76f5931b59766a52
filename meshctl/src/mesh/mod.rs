//! A running mesh: prepared, started, kept running, stopped.
//!
//! [`Prepared`] does what must happen before any thread exists (lock, addresses, namespaces,
//! keys, derived objects); [`Running`] owns the processes from then on.

mod configuration;
mod health;
mod listening;
mod names;
mod notice;
mod prepare;
mod programs;
mod running;

use std::path::PathBuf;

use crate::mesh_file::MeshFile;
use crate::state::{Capture, StateDir};

pub use notice::{Notice, Notices};
pub use prepare::{PrepareError, Prepared};
pub use programs::workload_env;
pub use running::{Running, StartError};

/// What to run.
#[derive(Clone, Debug)]
pub struct MeshPlan {
    /// Workloads and gateways.
    pub mesh: MeshFile,
    /// Files and directories of configuration.
    pub config: Vec<PathBuf>,
    /// How traffic is captured.
    pub capture: Capture,
    /// Where everything lies.
    pub state: StateDir,
}
