//! Processes of a mesh: started, watched, started again, stopped, and never left behind.
//!
//! `up` starts everything by executing its own binary again. The control plane and the proxies
//! ask the kernel to die with it ([`die_with_parent`]). An application stands behind a guard
//! process ([`guard`]), which outlives a killed `up` just long enough to end the application
//! and everything that the application has started.

mod guard;
mod log_tail;
mod supervisor;

use std::ffi::OsString;
use std::path::PathBuf;

use crate::netns::{Privilege, WorkloadNs};

pub use guard::{exec_leaf, guard};
pub use log_tail::{Tail, tail};
pub use supervisor::{Event, FIRST_PAUSE, Stage, Supervisor, What};

/// Set for processes that must not outlive their parent; holds the parent's process id.
pub const DIES_WITH: &str = "MESHCTL_DIES_WITH";

/// A process to run, as plain data, so that it can be started again.
#[derive(Clone, Debug)]
pub struct Program {
    /// What messages call it.
    pub name: String,
    /// What it is to the mesh.
    pub role: Role,
    /// Arguments to this very binary.
    pub args: Vec<OsString>,
    /// Variables on top of the inherited environment; `None` removes one.
    pub env: Vec<(OsString, Option<OsString>)>,
    /// The network namespace to run it in, and what it may do there; none shares this process's.
    pub namespace: Option<(WorkloadNs, Privilege)>,
    /// Working directory; none inherits it.
    pub dir: Option<PathBuf>,
    /// Where its output goes.
    pub log: PathBuf,
    /// Whether it prints a line beginning with `ready` on its standard output once it serves.
    pub says_ready: bool,
}

/// What a process is to the mesh; also the order in which they end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// A gateway's proxy.
    Gateway,
    /// An application.
    App,
    /// A workload's proxy.
    Sidecar,
    /// The control plane.
    ControlPlane,
}

// === impl Role ===

impl Role {
    /// Noun for messages.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Gateway => "gateway",
            Self::App => "application",
            Self::Sidecar => "sidecar",
            Self::ControlPlane => "control plane",
        }
    }
}

/// Asks the kernel to send `signal` to this process when the thread that started it ends.
/// Does nothing unless the parent has asked for it by [`DIES_WITH`].
///
/// # Errors
/// If the parent is gone already, or the kernel refuses.
pub fn die_with_parent(signal: nix::sys::signal::Signal) -> std::io::Result<()> {
    let Some(parent) = std::env::var(DIES_WITH)
        .ok()
        .and_then(|pid| pid.parse::<i32>().ok())
    else {
        return Ok(());
    };
    nix::sys::prctl::set_pdeathsig(signal)?;
    // The parent may have died between the fork and the line above.
    if nix::unistd::getppid().as_raw() != parent {
        return Err(std::io::Error::other(
            "the process that started this one is gone",
        ));
    }
    Ok(())
}

/// The exit code that a shell reports for a status.
pub fn exit_code(status: std::process::ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1);
    u8::try_from(code).unwrap_or(1)
}
