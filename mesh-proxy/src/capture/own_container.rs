//! Capture and sidecar in one container: the rules first, as root, then the proxy, as nobody
//! special.

use clap::Parser;
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

use super::options::{CaptureArgs, CaptureOptions, Owner};
use super::{CaptureError, InvalidCapture, Operation, run};

/// Why a process that was to capture and then to give up root did not.
#[derive(Debug, thiserror::Error)]
pub enum CaptureFirstError {
    /// The options cannot be read.
    #[error("--capture: {0}")]
    Options(#[from] clap::Error),
    /// An option is wrong.
    #[error(transparent)]
    Invalid(#[from] InvalidCapture),
    /// The rules are not in force.
    #[error(
        "{0}; this needs root and the capability NET_ADMIN in the workload's network namespace"
    )]
    Capture(#[from] CaptureError),
    /// Root cannot be given up.
    #[error("cannot become user {uid}, group {gid}: {source}")]
    Privileges {
        /// The user.
        uid: u32,
        /// The group.
        gid: u32,
        /// What the operating system says.
        source: nix::Error,
    },
}

#[derive(Debug, Parser)]
#[command(no_binary_name = true)]
struct Line {
    #[command(flatten)]
    args: CaptureArgs,
}

/// Puts the rules in force and becomes the user and group that they recognise the sidecar by.
/// Call it while the process has one thread. `line` holds options of `capture install`.
///
/// # Errors
/// [`CaptureFirstError`]; the process may have given up some of its rights then and should end.
pub fn capture_first(line: &str) -> Result<(), CaptureFirstError> {
    let Line { args } = Line::try_parse_from(line.split_whitespace())?;
    let owner = CaptureOptions::try_from(&args)?.own;
    run(&args, Operation::Install)?;
    let Owner::UserGroup { uid, gid } = owner else {
        // Recognised by its packet mark, which needs NET_ADMIN later on, too.
        return Ok(());
    };
    let failed = |source| CaptureFirstError::Privileges { uid, gid, source };
    setgroups(&[]).map_err(failed)?;
    setgid(Gid::from_raw(gid)).map_err(failed)?;
    // The kernel takes all capabilities away with the user.
    setuid(Uid::from_raw(uid)).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_line_changes_nothing() {
        let told = capture_first("--uid 1337 --exclude-inbound-ports many").unwrap_err();
        assert!(told.to_string().contains("`many` is not a port"), "{told}");
        assert!(capture_first("--nonsense").is_err());
    }
}
