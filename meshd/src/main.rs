//! The control plane of the mesh.

use std::process::ExitCode;

use clap::Parser;
use meshd::{Command, LogControl, LogFormat};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// The control plane of the mesh: compiles configuration for proxies and certifies workloads.
#[derive(Debug, Parser)]
#[command(name = "meshd", version, propagate_version = true)]
struct Cli {
    /// What to log: error, warn, info, debug, or a filter such as meshd=debug
    #[arg(
        long,
        env = "MESHD_LOG",
        default_value = "info,kube_client=off",
        global = true,
        value_name = "FILTER"
    )]
    log: String,
    /// How log lines look
    #[arg(
        long,
        env = "MESHD_LOG_FORMAT",
        default_value = "text",
        global = true,
        value_name = "FORMAT"
    )]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<()> {
    let log = LogControl::start(&cli.log, cli.log_format)?;
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut command = Box::pin(cli.command.run(Some(log), shutdown.clone()));
    tokio::select! {
        result = &mut command => return Ok(result?),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    shutdown.cancel();
    Ok(command.await?)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}
