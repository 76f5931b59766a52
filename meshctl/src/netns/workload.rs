//! A workload's namespace, and how to run things in it.

use std::ffi::OsStr;
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use super::iproute::{succeeded, system_path};
use super::{NetnsError, hosts};

/// This program, even if its file was replaced meanwhile (proc(5)).
const SELF: &str = "/proc/self/exe";

/// What a program may do in a workload's namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Privilege {
    /// Change the network there: set packet marks, install rules. For proxies and capture.
    Network,
    /// Nothing special: the user who started the mesh, without capabilities. If that is the real
    /// root, root. For apps.
    User,
}

/// A workload's network namespace. It lives as long as a clone of this or a process in it.
#[derive(Clone, Debug)]
pub struct WorkloadNs {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    address: Ipv4Addr,
    file: File,
    netns: PathBuf,
    hosts: PathBuf,
}

// === impl WorkloadNs ===

impl WorkloadNs {
    pub(super) fn new(name: &str, address: Ipv4Addr, file: File, hosts: &Path) -> Self {
        let netns = PathBuf::from(format!(
            "/proc/{}/fd/{}",
            std::process::id(),
            file.as_raw_fd()
        ));
        let (name, hosts) = (name.to_owned(), hosts.to_owned());
        Self {
            shared: Arc::new(Shared {
                name,
                address,
                file,
                netns,
                hosts,
            }),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Its address in the mesh.
    pub fn address(&self) -> Ipv4Addr {
        self.shared.address
    }

    /// A path to the namespace, for this process's life: what [`super::Enter::netns`] takes.
    pub fn netns(&self) -> &Path {
        &self.shared.netns
    }

    /// The file its processes see as `/etc/hosts`.
    pub fn hosts(&self) -> &Path {
        &self.shared.hosts
    }

    /// A command that runs there. Arguments, environment, directory and standard streams can be
    /// added as to any; its process id is the program's own. The program is killed when the
    /// **thread** that starts it ends: start it from one that lives as long as the mesh (the main
    /// thread or a runtime's worker, not `spawn_blocking`).
    pub fn command(&self, program: impl AsRef<OsStr>, privilege: Privilege) -> Command {
        let mut command = Command::new(SELF);
        command
            .arg0("meshctl")
            .args(["internal", "enter", "--netns"])
            .arg(self.netns());
        command.arg("--hosts").arg(self.hosts());
        command
            .arg("--die-with")
            .arg(std::process::id().to_string());
        if privilege == Privilege::Network {
            command.arg("--privileged").env("PATH", system_path());
            // iptables-legacy locks a file in /run, where an ordinary user may make none.
            command.env("XTABLES_LOCKFILE", self.hosts());
        }
        command.arg("--").arg(program);
        command
    }

    /// Runs a program there to its end with [`Privilege::Network`], for instance to install
    /// capture rules. Blocks.
    ///
    /// # Errors
    /// If it cannot be started or fails, with what it wrote to its standard error.
    pub fn run<A: AsRef<OsStr>>(
        &self,
        program: impl AsRef<OsStr>,
        args: impl IntoIterator<Item = A>,
    ) -> Result<(), NetnsError> {
        let program = program.as_ref();
        let mut command = self.command(program, Privilege::Network);
        command.args(args).stdin(Stdio::null());
        let output = command.output().map_err(|source| NetnsError::Run {
            program: program.to_owned(),
            source,
        })?;
        succeeded(program, &output)
    }

    /// Makes these the names its processes resolve, at once, also for running ones.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write_hosts(&self, services: &[(IpAddr, Vec<String>)]) -> Result<(), NetnsError> {
        let machine =
            nix::unistd::gethostname().map_err(NetnsError::system("read the host's name"))?;
        let text = hosts::render(&machine.to_string_lossy(), self.address(), services);
        hosts::write(self.hosts(), &text).map_err(NetnsError::file("write", self.hosts()))
    }

    pub(super) fn file(&self) -> &File {
        &self.shared.file
    }
}
