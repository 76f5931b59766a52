//! The certificate authority of the mesh.

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;
use mesh_ca::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

/// The certificate authority of the mesh: certifies workloads by their SPIFFE ID.
#[derive(Debug, Parser)]
#[command(name = "mesh-ca", version, propagate_version = true)]
struct Cli {
    /// What to log: error, warn, info, debug, or a filter such as mesh_ca=debug
    #[arg(
        long,
        env = "MESH_CA_LOG",
        default_value = "info",
        global = true,
        value_name = "FILTER"
    )]
    log: String,
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
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(&cli.log)?)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let shutdown = CancellationToken::new();
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let command = cli.command.run(shutdown.clone());
    tokio::pin!(command);
    tokio::select! {
        result = &mut command => return Ok(result?),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
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
