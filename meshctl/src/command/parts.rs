//! The servers of the mesh that this binary holds.

use std::future::Future;
use std::process::ExitCode;

use anyhow::Context as _;
use meshd::{LogControl, LogFormat};
use nix::sys::signal::Signal;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use super::signals::StopSignals;
use crate::process;

/// `meshctl control-plane`.
pub(super) fn control_plane(log: &str, command: meshd::Command) -> anyhow::Result<ExitCode> {
    process::die_with_parent(Signal::SIGKILL)?;
    let log = LogControl::start(log, LogFormat::Text)?;
    until_signal(|shutdown| async { Ok(command.run(Some(log), shutdown).await?) })
}

/// `meshctl ca`.
pub(super) fn ca(log: &str, command: mesh_ca::Command) -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::try_new(log)?)
        .with_writer(std::io::stderr)
        .init();
    until_signal(|shutdown| async { Ok(command.run(shutdown).await?) })
}

/// Runs a server on as many threads as there are cores, until it ends or a signal asks it to.
fn until_signal<F>(server: impl FnOnce(CancellationToken) -> F) -> anyhow::Result<ExitCode>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    runtime
        .context("cannot start the asynchronous runtime")?
        .block_on(async {
            let mut signals = StopSignals::new()?;
            let shutdown = CancellationToken::new();
            let mut server = Box::pin(server(shutdown.clone()));
            tokio::select! {
                ended = &mut server => ended?,
                () = signals.next() => {
                    shutdown.cancel();
                    server.await?;
                }
            }
            Ok(ExitCode::SUCCESS)
        })
}
