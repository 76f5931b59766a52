//! The command line of the proxy, for its own binary and for programs that embed it.

mod ask;

use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::app::{App, Handle};
use crate::capture::{self, CaptureArgs, Operation};
use crate::memory;
use crate::net::{forbid_core_files, raise_descriptor_limit};
use crate::runtime;
use crate::settings::{Settings, SettingsSource};
use crate::telemetry::install_tracing;

pub use ask::{DrainArgs, WaitArgs};

pub(crate) const RESOURCES_HELP: &str = "\
Without a control plane (--resources FILE):
  The file is a map in YAML or JSON with one key, `resources`: a list of the messages `Resource` of
  proto/mesh/v1/resource.proto in protobuf's JSON form. What the admin endpoint gives at
  /config_dump is such a file. It is taken whole or not at all, at once when it changes; an error
  names line, resource and field, and the last good file stays in force. Whatever the file does not
  have is a destination that nobody declared: `outbound_policy` says what becomes of it.

  resources:
  - name: mesh/default
    mesh: {trust_domain: cluster.local, outbound_policy: OUTBOUND_POLICY_ALLOW_ANY}
  - name: inbound/self
    inbound:
      workload: default/web
      default_mtls: MTLS_MODE_STRICT
      ports: [{port: 8080, protocol: PROTOCOL_HTTP, mtls: MTLS_MODE_STRICT}]
  - name: routes/reviews:9080
    routes:
      host: reviews.default.svc.cluster.local
      port: 9080
      protocol: PROTOCOL_HTTP
      http:
      - name: all
        forward:
          destinations: [{host: reviews.default.svc.cluster.local, port: 9080, weight: 1}]
  - name: service/reviews.default.svc.cluster.local
    service:
      hostname: reviews.default.svc.cluster.local
      namespace: default
      short_name: reviews
      resolution: RESOLUTION_STATIC
      ports: [{number: 9080, name: http, protocol: PROTOCOL_HTTP}]
      subsets:
      - policies:
        - port: 9080
          policy:
            load_balancer: LOAD_BALANCER_LEAST_REQUEST
            tls: {mode: CLIENT_TLS_MODE_AUTO}
  - name: workload/default/reviews-v1
    workload:
      uid: default/reviews-v1
      address: 10.0.0.7
      identity: spiffe://cluster.local/ns/default/sa/reviews
      health: HEALTH_HEALTHY
      backs:
      - service: reviews.default.svc.cluster.local
        ports: [{service_port: 9080, target_port: 9080, mutual_tls: true}]

  mesh-proxy run --workload default/web --explicit 127.0.0.1:15080 \\
    --inbound 8080=10.0.0.6:8080=127.0.0.1:8080 --resources mesh.yaml \\
    --certificate web.crt --private-key web.key --roots roots.pem
";

/// What the proxy's binary does.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// Run the proxy
    #[command(after_long_help = RESOURCES_HELP)]
    Run(Box<RunArgs>),
    /// Redirect a workload's connections to its sidecar, with nftables or iptables
    #[command(subcommand)]
    Capture(CaptureCommand),
    /// Wait until the proxy beside this command serves: a postStart hook
    Wait(WaitArgs),
    /// Tell the proxy to drain: a preStop hook. It goes on serving those who come all the same
    Drain(DrainArgs),
}

/// Options of `run`.
#[derive(Clone, Debug, clap::Args)]
pub struct RunArgs {
    /// How the proxy is started.
    #[command(flatten)]
    pub settings: SettingsSource,
    /// Log level: error, warn, info, debug, trace, or directives such as info,mesh_proxy=debug
    #[arg(long, env = "MESH_LOG", default_value = "info", value_name = "LEVEL")]
    pub log: String,
    /// Install capture rules before anything else, then give up root for the user and group of
    /// the rules: options of `capture install` in one string, which may be empty
    #[arg(long, env = "MESH_CAPTURE", value_name = "OPTIONS")]
    pub capture: Option<String>,
    /// Log as JSON
    #[arg(long, env = "MESH_LOG_JSON")]
    pub log_json: bool,
    /// Let a crash leave a core file, which holds the keys of the workload
    #[arg(long, env = "MESH_CORE_FILES")]
    pub core_files: bool,
}

/// A proxy that serves for so long has started.
const STARTED: Duration = Duration::from_secs(2);

/// What `capture` does.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum CaptureCommand {
    /// Put the rules in force, replacing earlier ones
    Install(Box<CaptureArgs>),
    /// Take the rules away
    Remove(Box<CaptureArgs>),
    /// Print what install would do
    Print(Box<CaptureArgs>),
}

// === impl Command ===

impl Command {
    /// Does it, and returns when it is done. Makes its own runtime; call it from `main`.
    ///
    /// # Errors
    /// Whatever went wrong, ready to be printed.
    pub fn execute(self) -> anyhow::Result<()> {
        match self {
            Self::Run(args) => run(*args),
            Self::Wait(args) => runtime::single_threaded()?.block_on(ask::wait(&args)),
            Self::Drain(args) => runtime::single_threaded()?.block_on(ask::drain(&args)),
            Self::Capture(CaptureCommand::Install(args)) => {
                Ok(capture::run(&args, Operation::Install)?)
            }
            Self::Capture(CaptureCommand::Remove(args)) => {
                Ok(capture::run(&args, Operation::Remove)?)
            }
            Self::Capture(CaptureCommand::Print(args)) => {
                Ok(capture::run(&args, Operation::Print)?)
            }
        }
    }
}

fn run(args: RunArgs) -> anyhow::Result<()> {
    let settings = Settings::try_from(args.settings)?;
    if let Some(line) = &args.capture {
        capture::capture_first(line)?;
    }
    let level = install_tracing(&args.log, args.log_json)?;
    raise_descriptor_limit();
    if !args.core_files {
        forbid_core_files();
    }
    // Every configuration names its provider; this is for libraries that do not.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    runtime::single_threaded()
        .context("cannot make a runtime")?
        .block_on(async {
            let mut bound = App::build(settings).await?;
            bound.set_log_level(level);
            let shutdown = CancellationToken::new();
            let signals = signals(shutdown.clone(), bound.handle())?;
            let signals = tokio::spawn(signals);
            let handle = bound.handle();
            let settled = tokio::spawn(async move {
                handle.readiness().wait().await;
                tokio::time::sleep(STARTED).await;
                memory::keep_small().await;
            });
            let result = bound.run(shutdown).await;
            signals.abort();
            settled.abort();
            Ok(result?)
        })
}

/// The first SIGTERM or SIGINT drains and ends, the second cuts; SIGUSR1 opens the access log
/// again.
fn signals(
    shutdown: CancellationToken,
    handle: Handle,
) -> anyhow::Result<impl Future<Output = ()>> {
    let listen = |kind| signal(kind).context("cannot listen to signals");
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    let mut reopen = listen(SignalKind::user_defined1())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
                _ = reopen.recv() => {
                    info!("opening the access log again");
                    handle.reopen_log();
                    continue;
                }
            }
            if shutdown.is_cancelled() {
                warn!("a second signal: ending at once");
                handle.close();
            } else {
                shutdown.cancel();
            }
        }
    })
}
