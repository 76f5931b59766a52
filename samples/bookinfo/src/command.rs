//! The command line, shared by the `bookinfo` binary and by binaries that embed it.

use std::{collections::BTreeMap, io::IsTerminal as _};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::info;
use tracing_subscriber::EnvFilter;

use crate::{
    server::{Error, bind},
    settings::{Service, Settings},
};

/// Run one service of the Bookinfo sample application.
#[derive(Debug, Clone, clap::Args)]
// `--version` is the workload's here, also in a program that has one of its own.
#[command(disable_version_flag = true)]
pub struct Command {
    /// Which service to run.
    #[arg(value_enum)]
    pub service: Service,

    /// The version label of this workload; it selects the behaviour of `reviews` (v1: no
    /// stars, v2: black stars, v3: red stars).
    #[arg(long, env = "SERVICE_VERSION", default_value = "v1")]
    pub version: String,

    /// The port to listen on; 0 lets the system choose one.
    #[arg(long, env = "PORT", default_value_t = 9080)]
    pub port: u16,

    /// The address to listen on.
    #[arg(long, env = "HOST", default_value = "127.0.0.1")]
    pub host: String,

    /// The name this workload gives itself in its answers [default: in Kubernetes the pod's name,
    /// elsewhere SERVICE-VERSION].
    #[arg(long, env = "POD_NAME")]
    pub pod_name: Option<String>,
}

// === impl Command ===

impl Command {
    /// Serves until SIGTERM or SIGINT, then stops gracefully.
    ///
    /// Reads where the other services are, and the proxy to reach them through, from the
    /// process's environment.
    ///
    /// # Errors
    /// When the environment or the flags are not usable, or the address cannot be bound.
    pub async fn run(self) -> Result<(), Error> {
        // A variable that is not UTF-8 cannot be one of ours.
        let env: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let settings = Settings::new(self, &env)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::Signal)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Signal)?;

        let bound = bind(settings).await?;
        let shutdown = CancellationToken::new();
        let server = bound.run(shutdown.clone());
        tokio::pin!(server);
        let name = tokio::select! {
            () = &mut server => return Ok(()),
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        info!("{name}: finishing the requests in flight");
        shutdown.cancel();
        server.await;
        Ok(())
    }
}

/// Sends the services' log to standard output: level `info`, or what `RUST_LOG` says.
///
/// Does nothing when the process already has a subscriber.
pub fn init_logging() {
    let filter = EnvFilter::builder()
        .with_default_directive(tracing::Level::INFO.into())
        .from_env_lossy();
    // An error here says that the embedding program has set its own subscriber.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_target(false)
        .with_ansi(std::io::stdout().is_terminal())
        .try_init();
}
