//! `meshctl exec`.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use anyhow::Context as _;

use crate::cli::ExecArgs;
use crate::mesh::workload_env;
use crate::output::complain;
use crate::state::{MeshRecord, StateDir, WorkloadRecord};

/// Becomes the command, so that its exit code, signals and terminal are its own.
pub(super) fn run(args: &ExecArgs) -> anyhow::Result<ExitCode> {
    let state = StateDir::find(args.state.state.as_deref())?;
    let record = MeshRecord::of_running(&state)?;
    let workload = record.workload(&args.workload)?;
    let program = args
        .command
        .first()
        .context("no command given: meshctl exec WORKLOAD -- COMMAND...")?;
    let mut command = match enter_args(&record, workload) {
        // Namespaces are entered by a fresh process, which starts with the right environment.
        Some(enter) => {
            let mut command = Command::new("/proc/self/exe");
            command.arg0("meshctl").args(enter).args(&args.command);
            command
        }
        None => {
            let mut command = Command::new(program);
            command.args(args.command.iter().skip(1));
            command
        }
    };
    for (key, value) in workload_env(&state, workload, record.capture) {
        match value {
            // These are for the application that listens, which the command is not.
            Some(_) if key == "HOST" || key.to_string_lossy().starts_with("PORT") => &mut command,
            Some(value) => command.env(key, value),
            None => command.env_remove(key),
        };
    }
    let error = command.exec();
    complain(format_args!(
        "error: cannot run `{}`: {error}",
        program.to_string_lossy()
    ));
    Ok(if error.kind() == io::ErrorKind::NotFound {
        127
    } else {
        126
    }
    .into())
}

/// Transparent capture: how to enter the workload's namespaces.
fn enter_args(record: &MeshRecord, workload: &WorkloadRecord) -> Option<Vec<OsString>> {
    let (netns, hosts) = (workload.netns.as_ref()?, workload.hosts.as_ref()?);
    let mut args = ["internal", "enter", "--join"].map(OsString::from).to_vec();
    args.extend([
        record.pid.to_string().into(),
        "--netns".into(),
        netns.into(),
        "--hosts".into(),
        hosts.into(),
    ]);
    args.push("--".into());
    Some(args)
}
