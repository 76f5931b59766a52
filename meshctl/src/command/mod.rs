//! The commands, one file each.

mod analyze;
mod bug_report;
mod ca;
mod completions;
mod config;
mod dashboard;
mod demo;
mod down;
mod exec;
mod explain;
mod inject;
mod install;
mod parts;
mod policy;
mod signals;
mod status;
mod tag;
mod token;
mod uninstall;
mod up;
mod upgrade;
mod wait;

use std::future::Future;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use nix::sys::signal::Signal;

use meshd_core::World;

use crate::cli::{CaCommand, Cli, Command, Internal, Sample};
use crate::output::{complain, count};
use crate::{call, netns, offline, process};

/// Runs a command to its end. Call it before any thread exists.
///
/// # Errors
/// With what went wrong and what to do, for standard error.
pub fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Demo(args) => demo::run(&args),
        Command::Up(args) => up::run(args),
        Command::Exec(args) => exec::run(&args),
        Command::Status(args) => block_on(status::run(&args)),
        Command::Config(args) => block_on(config::run(&args)),
        Command::Down(args) => down::run(&args),
        Command::Explain(args) => block_on(explain::run(args)),
        Command::Analyze(args) => block_on(analyze::run(&args)),
        Command::Policy(args) => block_on(policy::run(&args)),
        Command::Wait(args) => block_on(wait::run(&args)),
        Command::Dashboard(args) => block_on(dashboard::run(&args)),
        Command::BugReport(args) => block_on(bug_report::run(&args)),
        Command::Install(args) => block_on(install::run(&args)),
        Command::Upgrade(args) => block_on(upgrade::run(&args)),
        Command::Uninstall(args) => block_on(uninstall::run(&args)),
        Command::Tag(args) => block_on(tag::run(&args)),
        Command::Inject(args) => inject::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Completions(args) => completions::run(&args),
        Command::Sample(args) => {
            process::die_with_parent(Signal::SIGKILL)?;
            let Sample::Bookinfo(command) = args.sample;
            bookinfo::init_logging();
            block_on(async { Ok(command.run().await.map(|()| ExitCode::SUCCESS)?) })
        }
        Command::ControlPlane { log, command } => parts::control_plane(&log, command),
        Command::Proxy { command } => {
            process::die_with_parent(Signal::SIGKILL)?;
            command.execute()?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Ca { log, command } => match command {
            CaCommand::Status(args) => block_on(ca::status(&args)),
            CaCommand::Rotate(args) => block_on(ca::rotate(&args)),
            CaCommand::Revoke(args) => block_on(ca::revoke(&args)),
            CaCommand::Own(command) => parts::ca(&log, command),
        },
        Command::Internal(args) => internal(args.part),
    }
}

fn internal(part: Internal) -> anyhow::Result<ExitCode> {
    match part {
        Internal::Guard { grace, command } => block_on(async {
            Ok(process::guard(&command, Duration::from_secs(grace))
                .await?
                .into())
        }),
        Internal::Leaf { command } => {
            let error = process::exec_leaf(&command);
            let program = command
                .first()
                .map(|program| program.to_string_lossy().into_owned())
                .unwrap_or_default();
            Err(error).with_context(|| format!("cannot run `{program}`"))
        }
        Internal::Enter(enter) => {
            let Err(error) = netns::enter(&enter);
            complain(format_args!("error: {error}"));
            Ok(error.exit_code().into())
        }
        Internal::Caller => {
            block_on(async { Ok(call::serve_caller().await.map(|()| ExitCode::SUCCESS)?) })
        }
    }
}

/// What files would make. If something is wrong with them, that is noted.
fn saved_world(paths: &[impl AsRef<Path>], mesh: Option<&Path>) -> anyhow::Result<World> {
    let (world, problems) = offline::world(paths, mesh)?;
    if problems > 0 {
        let problems = count(u64::try_from(problems)?, "problem");
        complain(format_args!(
            "note: the configuration has {problems}; `meshctl analyze` shows them"
        ));
    }
    Ok(world)
}

/// One thread: the kernel takes the thread that starts a process for its parent.
fn block_on<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .context("cannot start the asynchronous runtime")?
        .block_on(future)
}
