//! Becoming a program inside a workload's namespace.

use std::convert::Infallible;
use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::prctl::{set_dumpable, set_pdeathsig};
use nix::sys::signal::Signal;
use nix::unistd::{Gid, Uid, geteuid, getppid, setresgid, setresuid};

use super::NetnsError;
use super::hub::map_user;

const HOSTS: &str = "/etc/hosts";

/// Runs a program inside a workload's namespace.
#[derive(Clone, Debug, clap::Args)]
pub struct Enter {
    /// First enter the mesh of this `meshctl up` process
    #[arg(long, value_name = "PID")]
    pub join: Option<u32>,
    /// The network namespace
    #[arg(long, value_name = "PATH")]
    pub netns: PathBuf,
    /// The file to show as /etc/hosts
    #[arg(long, value_name = "PATH")]
    pub hosts: PathBuf,
    /// Keep the right to change the network there
    #[arg(long)]
    pub privileged: bool,
    /// End when this process, which must be the parent, ends
    #[arg(long, value_name = "PID")]
    pub die_with: Option<u32>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// Enters the namespaces and becomes the program, keeping process id, directory, environment and
/// open standard streams. Returns only what went wrong. Call it before any thread is started.
///
/// # Errors
/// If the mesh or the workload cannot be entered, or the program cannot be run.
pub fn enter(args: &Enter) -> Result<Infallible, NetnsError> {
    let (program, arguments) = args.command.split_first().ok_or(NetnsError::NoProgram)?;
    let netns = File::open(&args.netns).map_err(|source| match args.join {
        Some(pid) => NetnsError::Join { pid, source },
        None => NetnsError::File {
            what: "open",
            path: args.netns.clone(),
            source,
        },
    })?;
    if let Some(pid) = args.join {
        join(pid)?;
    }
    setns(&netns, CloneFlags::CLONE_NEWNET)
        .map_err(NetnsError::system("enter the workload's network"))?;
    show_hosts(&args.hosts)?;
    if !args.privileged {
        drop_privilege()?;
    }
    if let Some(parent) = args.die_with {
        die_with(parent)?;
    }
    let source = Command::new(program).args(arguments).exec();
    Err(NetnsError::Run {
        program: program.clone(),
        source,
    })
}

/// Enters the user and mount namespaces of a hub from outside.
fn join(pid: u32) -> Result<(), NetnsError> {
    let failed = |source: io::Error| NetnsError::Join { pid, source };
    let path = |kind: &str| PathBuf::from(format!("/proc/{pid}/ns/{kind}"));
    let user = File::open(path("user")).map_err(failed)?;
    let mounts = File::open(path("mnt")).map_err(failed)?;
    let directory = env::current_dir();

    // One's own user namespace cannot be entered (setns(2)): root's meshes have none.
    let own = fs::metadata("/proc/self/ns/user").map_err(failed)?.ino();
    if user.metadata().map_err(failed)?.ino() != own {
        setns(&user, CloneFlags::CLONE_NEWUSER).map_err(|errno| failed(errno.into()))?;
        if !geteuid().is_root() {
            // The host's root in a user's mesh: it has no name there. Become that user.
            setresgid(Gid::from_raw(0), Gid::from_raw(0), Gid::from_raw(0))
                .map_err(|errno| failed(errno.into()))?;
            setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0))
                .map_err(|errno| failed(errno.into()))?;
            // A change of user closes /proc/self, which is written below (proc(5)).
            set_dumpable(true).map_err(|errno| failed(errno.into()))?;
        }
    }
    setns(&mounts, CloneFlags::CLONE_NEWNS).map_err(|errno| failed(errno.into()))?;
    // It went to the root of the other's mounts. A directory that is not there is no reason to fail.
    if let Ok(directory) = directory {
        let _ = env::set_current_dir(directory);
    }
    Ok(())
}

fn show_hosts(hosts: &Path) -> Result<(), NetnsError> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(NetnsError::system("make a mount namespace"))?;
    let shown = mount(
        Some(hosts),
        HOSTS,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    );
    shown.map_err(|errno| NetnsError::file("show as /etc/hosts", hosts)(errno.into()))
}

/// Makes the user who started the mesh out of the hub's root, in a user namespace below it, which
/// has no rights over the workload's network. Nothing to do if that user is the real root.
fn drop_privilege() -> Result<(), NetnsError> {
    let read =
        |path: &'static str| fs::read_to_string(path).map_err(NetnsError::file("read", path));
    let (Some(uid), Some(gid)) = (
        mapped_to(&read("/proc/self/uid_map")?),
        mapped_to(&read("/proc/self/gid_map")?),
    ) else {
        return Ok(());
    };
    unshare(CloneFlags::CLONE_NEWUSER)
        .map_err(NetnsError::system("drop the rights over the network"))?;
    map_user(uid, 0, gid, 0)
}

/// Who root is outside, if this is the map of a hub: one line, one id (user_namespaces(7)).
fn mapped_to(map: &str) -> Option<u32> {
    let fields: Vec<&str> = map.split_whitespace().collect();
    match fields.as_slice() {
        ["0", outer, "1"] => outer.parse().ok(),
        _ => None,
    }
}

/// After all changes of identity: they reset it (prctl(2)).
fn die_with(parent: u32) -> Result<(), NetnsError> {
    set_pdeathsig(Signal::SIGKILL).map_err(NetnsError::system("be told of the mesh's end"))?;
    // It may have ended before.
    if u32::try_from(getppid().as_raw()) == Ok(parent) {
        Ok(())
    } else {
        Err(NetnsError::MeshEnded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_a_hub_by_its_map() {
        assert_eq!(mapped_to("         0       1000          1\n"), Some(1000));
        assert_eq!(mapped_to("         0          0 4294967295\n"), None);
        // A rootless container's.
        assert_eq!(
            mapped_to("         0       1000          1\n         1     100000      65536\n"),
            None
        );
        assert_eq!(mapped_to(""), None);
    }
}
