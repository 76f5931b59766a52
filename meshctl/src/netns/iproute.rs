//! The network of a namespace, by iproute2 and sysctl files.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use super::NetnsError;

/// Where an ordinary user's PATH often does not lead, and where ip(8) and nft(8) are.
const SYSTEM_PATHS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
const THREAD_NETNS: &str = "/proc/thread-self/ns/net";
/// What is kept of a failed program's standard error, in bytes.
const MESSAGE: usize = 2_000;

/// ip(8).
#[derive(Clone, Debug)]
pub(super) struct Ip {
    program: PathBuf,
}

// === impl Ip ===

impl Ip {
    pub(super) fn find() -> Result<Self, NetnsError> {
        let path = system_path();
        let found = env::split_paths(&path)
            .map(|dir| dir.join("ip"))
            .find(|file| file.is_file());
        found
            .map(|program| Self { program })
            .ok_or(NetnsError::MissingTool {
                tool: "ip",
                package: "iproute2",
            })
    }

    /// Runs commands of ip(8), one a line, in this thread's namespace; stops at the first that fails.
    pub(super) fn batch(&self, script: &str) -> Result<(), NetnsError> {
        let mut command = Command::new(&self.program);
        command
            .args(["-batch", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let run = |source| NetnsError::Run {
            program: self.program.clone().into(),
            source,
        };
        let mut child = command.spawn().map_err(run)?;
        if let Some(mut stdin) = child.stdin.take() {
            // If it cannot read all, it ended early and its status says why.
            let _ = stdin.write_all(script.as_bytes());
        }
        let output = child.wait_with_output().map_err(run)?;
        succeeded(self.program.as_os_str(), &output)
    }
}

/// PATH, and the directories of system programs behind it.
pub(super) fn system_path() -> OsString {
    let mut path = env::var_os("PATH").unwrap_or_default();
    for dir in SYSTEM_PATHS {
        if !path.is_empty() {
            path.push(":");
        }
        path.push(dir);
    }
    path
}

/// An error with what the program wrote last, if it failed.
pub(super) fn succeeded(command: &OsStr, output: &Output) -> Result<(), NetnsError> {
    if output.status.success() {
        return Ok(());
    }
    let tail = output
        .stderr
        .get(output.stderr.len().saturating_sub(MESSAGE)..)
        .unwrap_or_default();
    let message = String::from_utf8_lossy(tail).trim().replace('\n', "; ");
    Err(NetnsError::Tool {
        command: command.to_owned(),
        status: output.status,
        message,
    })
}

/// Sets a file below /proc/sys/net of this thread's namespace.
pub(super) fn sysctl(name: &str, value: &str) -> Result<(), NetnsError> {
    let path = Path::new("/proc/sys/net").join(name);
    fs::write(&path, value).map_err(NetnsError::file("write", path))
}

/// Makes a network namespace that lives as long as the file is open or a process is in it.
pub(super) fn new_netns() -> Result<File, NetnsError> {
    on_own_thread(|| {
        unshare(CloneFlags::CLONE_NEWNET)
            .map_err(NetnsError::system("make a network namespace"))?;
        File::open(THREAD_NETNS).map_err(NetnsError::file("open", THREAD_NETNS))
    })
}

/// Does something inside a network namespace; processes started by it begin there.
pub(super) fn inside<T: Send>(
    netns: &File,
    work: impl FnOnce() -> Result<T, NetnsError> + Send,
) -> Result<T, NetnsError> {
    on_own_thread(move || {
        setns(netns, CloneFlags::CLONE_NEWNET)
            .map_err(NetnsError::system("enter a network namespace"))?;
        work()
    })
}

/// A network namespace is a thread's; the thread ends with its work, so that no other work is
/// ever done in a wrong one.
fn on_own_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    match thread::scope(|scope| scope.spawn(work).join()) {
        Ok(value) => value,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
