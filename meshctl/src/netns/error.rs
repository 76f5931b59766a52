//! Why a namespace could not be made or entered.

use std::ffi::OsString;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use nix::errno::Errno;

/// Why a namespace could not be made or entered.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// A listener on the host cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A namespace of users can only be left or made while the process has one thread.
    #[error(
        "this process already runs {threads} threads: the hub must be prepared before any is started"
    )]
    Threads {
        /// How many.
        threads: usize,
    },
    /// The system does not let this user make namespaces.
    #[error(
        "this system lets you make no network namespace ({cause}): {advice}; or use --capture explicit"
    )]
    Refused {
        /// What failed.
        cause: String,
        /// What to do about it.
        advice: &'static str,
    },
    /// A program that is needed is not installed.
    #[error("the program `{tool}` is needed and not installed: apt-get install {package}")]
    MissingTool {
        /// The program.
        tool: &'static str,
        /// The Debian package that has it.
        package: &'static str,
    },
    /// A program ended with an error.
    #[error("`{command}` failed ({status}): {message}", command = command.display())]
    Tool {
        /// What was run.
        command: OsString,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of what it wrote to its standard error.
        message: String,
    },
    /// A range too small or no range.
    #[error(
        "{network}/{prefix} is no range of addresses for a mesh: give a network address with a prefix of 8 to 29 bits"
    )]
    Subnet {
        /// Its network address.
        network: Ipv4Addr,
        /// Its prefix length in bits.
        prefix: u8,
    },
    /// An address that cannot be a workload's.
    #[error("{name} cannot have the address {address}: {why}")]
    Address {
        /// The workload.
        name: String,
        /// The address.
        address: Ipv4Addr,
        /// Why not.
        why: &'static str,
    },
    /// The process whose mesh is to be entered does not run, or is somebody else's.
    #[error("cannot enter the mesh of process {pid}: {source}")]
    Join {
        /// The process of `meshctl up`.
        pid: u32,
        /// Why not.
        source: io::Error,
    },
    /// A file cannot be read, written or opened.
    #[error("cannot {what} {path}: {source}", path = path.display())]
    File {
        /// A verb.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A system call failed.
    #[error("cannot {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: Errno,
    },
    /// The mesh ended while one of its programs was being started.
    #[error("the mesh ended while the program was being started")]
    MeshEnded,
    /// No program was given.
    #[error("there is no program to run")]
    NoProgram,
    /// A program cannot be started.
    #[error("cannot run {program}: {source}", program = program.display())]
    Run {
        /// The program.
        program: OsString,
        /// Why not.
        source: io::Error,
    },
}

// === impl NetnsError ===

impl NetnsError {
    /// For `map_err` on a file operation.
    pub(super) fn file(
        what: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { what, path, source }
    }

    /// For `map_err` on a system call.
    pub(super) fn system(what: &'static str) -> impl FnOnce(Errno) -> Self {
        move |source| Self::System { what, source }
    }

    /// The exit status for a shell: 127 if the program does not exist, 126 if it cannot be run,
    /// 125 if the namespace is at fault (as in env(1) and docker-run(1)).
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Run { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            Self::Run { .. } => 126,
            _ => 125,
        }
    }
}
