//! `meshctl down`.

use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context as _, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cli::DownArgs;
use crate::clock;
use crate::output::say;
use crate::state::{StateDir, StateLock};

/// Longer than all stages of an orderly stop together.
const PATIENCE: Duration = Duration::from_secs(45);
const PAUSE: Duration = Duration::from_millis(20);

pub(super) fn run(args: &DownArgs) -> anyhow::Result<ExitCode> {
    let state = StateDir::find(args.state.state.as_deref())?;
    let dir = state.root().display();
    let Some(holder) = StateLock::holder(&state) else {
        say(format_args!("no mesh runs in {dir}"));
        return Ok(ExitCode::SUCCESS);
    };
    let pid = holder.with_context(|| format!("a mesh is just starting in {dir}: try again"))?;
    kill(Pid::from_raw(i32::try_from(pid)?), Signal::SIGTERM)
        .with_context(|| format!("cannot stop process {pid}, which runs the mesh in {dir}"))?;
    let deadline = clock::instant() + PATIENCE;
    while StateLock::holder(&state) == Some(Some(pid)) {
        if clock::instant() >= deadline {
            bail!(
                "process {pid} still runs the mesh in {dir} after {PATIENCE:?}: `kill -9 {pid}` ends it and all it has started"
            );
        }
        sleep(PAUSE);
    }
    say(format_args!("stopped the mesh in {dir}"));
    Ok(ExitCode::SUCCESS)
}
