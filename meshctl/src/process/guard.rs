//! The guard in front of an application.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, getpid, getppid};
use tokio::process::Child;
use tokio::signal::unix::{SignalKind, signal};

use super::{DIES_WITH, die_with_parent, exit_code};

/// Runs a command in a process group of its own and ends with its exit code.
///
/// On SIGTERM the group gets SIGTERM, and SIGKILL after `grace`. When the command ends, or the
/// parent of the guard dies in whatever way, everything that descends from the command is
/// killed, also what has left its process group.
///
/// # Errors
/// If the command cannot be started or the kernel refuses the guard its rights.
pub async fn guard(command: &[OsString], grace: Duration) -> io::Result<u8> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let parent = getppid();
    nix::sys::prctl::set_child_subreaper(true)?;
    die_with_parent(Signal::SIGTERM)?;
    let mut leaf = std::process::Command::new("/proc/self/exe");
    leaf.arg0("meshctl")
        .args(["internal", "leaf", "--"])
        .args(command);
    leaf.env(DIES_WITH, std::process::id().to_string())
        .process_group(0);
    leaf.stdin(std::process::Stdio::null());
    let mut child = tokio::process::Command::from(leaf).spawn()?;
    let group = child
        .id()
        .and_then(|pid| i32::try_from(pid).ok())
        .map(Pid::from_raw);
    let status = tokio::select! {
        status = child.wait() => Some(status?),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    let status = match status {
        Some(status) => status,
        None if getppid() != parent => {
            end_descendants();
            return Ok(137);
        }
        None => stop(&mut child, group, grace).await?,
    };
    end_descendants();
    Ok(exit_code(status))
}

async fn stop(
    child: &mut Child,
    group: Option<Pid>,
    grace: Duration,
) -> io::Result<std::process::ExitStatus> {
    let send = |signal| match group.map(|group| killpg(group, signal)) {
        // A group without processes is what is wanted.
        None | Some(Ok(()) | Err(Errno::ESRCH)) => Ok(()),
        Some(Err(errno)) => Err(io::Error::from(errno)),
    };
    send(Signal::SIGTERM)?;
    if let Ok(status) = tokio::time::timeout(grace, child.wait()).await {
        return status;
    }
    send(Signal::SIGKILL)?;
    child.wait().await
}

/// Kills every descendant. Their children become ours as they die (subreaper), so this ends
/// when none is left.
fn end_descendants() {
    loop {
        let children = children_of(getpid());
        if children.is_empty() {
            return;
        }
        for child in children {
            // Either it dies of this or it is dead already.
            let _ = kill(child, Signal::SIGKILL);
        }
        // Collect one, then everything that is dead by now.
        if matches!(waitpid(None, None), Err(Errno::ECHILD)) {
            return;
        }
        while matches!(waitpid(None, Some(WaitPidFlag::WNOHANG)), Ok(status) if status.pid().is_some())
        {
        }
    }
}

/// Processes whose parent is `parent`, from proc(5).
fn children_of(parent: Pid) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| parent_of(*pid) == Some(parent.as_raw()))
        .map(Pid::from_raw)
        .collect()
}

fn parent_of(pid: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // `pid (name) state ppid ...`; the name may hold anything, also parentheses.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

/// Becomes the command, bound to the life of the guard.
///
/// # Errors
/// Always: it returns only if the command cannot be run.
pub fn exec_leaf(command: &[OsString]) -> io::Error {
    if let Err(error) = die_with_parent(Signal::SIGKILL) {
        return error;
    }
    let Some((program, args)) = command.split_first() else {
        return io::Error::new(io::ErrorKind::InvalidInput, "no command given");
    };
    std::process::Command::new(program)
        .args(args)
        .env_remove(DIES_WITH)
        .exec()
}
