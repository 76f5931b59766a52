//! Puts the parts together.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use mesh_proxy_core::Snapshot;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::admin::{Admin, AdminError, AdminListeners};
use crate::control::{Cache, Client, Demands, Store, Writer};
use crate::drain::{self, DrainSignal};
use crate::identity::{IdentityHandle, Manager, Publisher};
use crate::readiness::Readiness;
use crate::runtime::{self, Addresses, ListenError, Listeners, Workers};
use crate::settings::Settings;
use crate::shared::{Shared, client_info};
use crate::telemetry::{LogError, LogLevel, Telemetry};
use crate::tls::Originator;

/// The composition root.
pub struct App;

/// A proxy whose sockets are bound and which does not serve yet.
pub struct Bound {
    settings: Arc<Settings>,
    listeners: Vec<Listeners>,
    addresses: Addresses,
    admin: AdminListeners,
    admin_address: Option<SocketAddr>,
    metrics_address: Option<SocketAddr>,
    telemetry: Telemetry,
    drain: DrainSignal,
    readiness: Readiness,
    store: Store,
    identity: IdentityHandle,
    writers: Writers,
    log_level: Option<LogLevel>,
}

// The ends that the control thread writes to.
struct Writers {
    snapshot: Writer,
    demands: Demands,
    identity: Publisher,
}

/// Steers a running proxy from outside. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    drain: DrainSignal,
    telemetry: Telemetry,
    readiness: Readiness,
    store: Store,
    identity: IdentityHandle,
}

/// Why a proxy cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A listener cannot be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The admin endpoint cannot be bound.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The access log cannot be opened.
    #[error(transparent)]
    Log(#[from] LogError),
}

/// Why a proxy ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A thread or runtime cannot be made.
    #[error("cannot start: {0}")]
    Start(#[from] io::Error),
    /// The admin endpoint ended.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A data worker ended.
    #[error("a data worker ended unexpectedly")]
    Worker,
    /// The control thread ended.
    #[error("the control thread ended unexpectedly")]
    Control,
}

// Everything that runs on the control thread.
struct Control {
    settings: Arc<Settings>,
    client: Client,
    manager: Manager,
    listeners: AdminListeners,
    admin: Admin,
    ready_line: Option<String>,
}

// === impl App ===

impl App {
    /// Binds all sockets, opens the access log and reads the cached snapshot. Nothing is served
    /// and nobody is called before [`Bound::run`].
    ///
    /// # Errors
    /// [`BuildError`] if an address is taken or a file cannot be opened. A cache that cannot be
    /// read is no error.
    pub async fn build(settings: Settings) -> Result<Bound, BuildError> {
        let kind = settings.kind;
        let (listeners, addresses) = runtime::listen(&settings)?;
        let admin = AdminListeners::bind(&settings)?;
        let telemetry = Telemetry::new(&settings.access_log)?;
        let (store, snapshot, demands) = Store::new(cached(&settings).await);
        let (publisher, identity) = IdentityHandle::channel();
        let (drain, listener) = drain::channel();
        Ok(Bound {
            admin_address: admin.address(),
            metrics_address: admin.metrics_address(),
            settings: Arc::new(settings),
            listeners,
            addresses,
            admin,
            telemetry,
            drain,
            readiness: Readiness::new(kind, store.clone(), identity.clone(), listener),
            store,
            identity,
            writers: Writers {
                snapshot,
                demands,
                identity: publisher,
            },
            log_level: None,
        })
    }
}

async fn cached(settings: &Settings) -> Snapshot {
    let Some(directory) = &settings.state else {
        return Snapshot::empty();
    };
    match Cache::new(directory, &settings.workload).load().await {
        Ok(Some(snapshot)) => {
            info!(
                revision = snapshot.revision(),
                "serving the snapshot of an earlier run until the control plane answers"
            );
            snapshot
        }
        Ok(None) => Snapshot::empty(),
        Err(error) => {
            warn!(%error, "no snapshot of an earlier run");
            Snapshot::empty()
        }
    }
}

// === impl Bound ===

impl Bound {
    /// Where the explicit proxy listens.
    pub fn explicit(&self) -> Option<SocketAddr> {
        self.addresses.explicit
    }

    /// Where captured outgoing connections are taken.
    pub fn outbound(&self) -> Option<SocketAddr> {
        self.addresses.outbound
    }

    /// Where the workload's ports are served: port and address.
    pub fn inbound(&self) -> &[(u16, SocketAddr)] {
        &self.addresses.inbound
    }

    /// Where captured incoming connections are taken.
    pub fn inbound_transparent(&self) -> Option<SocketAddr> {
        self.addresses.inbound_transparent
    }

    /// Where the admin endpoint listens over TCP.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Where metrics and readiness are served for others.
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Steers the proxy while it runs.
    pub fn handle(&self) -> Handle {
        Handle {
            drain: self.drain.clone(),
            telemetry: self.telemetry.clone(),
            readiness: self.readiness.clone(),
            store: self.store.clone(),
            identity: self.identity.clone(),
        }
    }

    /// Lets the admin endpoint change the level of the program's log.
    pub fn set_log_level(&mut self, level: LogLevel) {
        self.log_level = Some(level);
    }

    /// Serves until `shutdown` is cancelled or the admin endpoint says so; then drains: takes
    /// nothing new, lets what runs finish until [`Settings::drain`] is over, and ends. Runs on
    /// threads of its own.
    ///
    /// # Errors
    /// [`RunError`] if it ended for another reason.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), RunError> {
        let (done, result) = oneshot::channel();
        // Whoever drops this future ends the proxy, too; the caller's token stays as it is.
        let shutdown = shutdown.child_token();
        let _end = shutdown.clone().drop_guard();
        let thread = thread::Builder::new()
            .name("control".to_owned())
            .spawn(move || {
                let outcome =
                    runtime::single_threaded()
                        .map_err(RunError::from)
                        .and_then(|runtime| {
                            let (control, serving) = Control::new(self, &shutdown);
                            runtime.block_on(Box::pin(control.run(serving)))
                        });
                // The receiver may be gone: then nobody waits.
                let _ = done.send(outcome);
            })?;
        let outcome = result.await.unwrap_or(Err(RunError::Control));
        // It has sent its result: nothing is waited for here.
        if thread.join().is_err() {
            error!("the control thread panicked");
        }
        outcome
    }

    // The line that tells a parent process where everything is.
    fn ready_line(&self) -> String {
        let inbound: Vec<_> = self
            .addresses
            .inbound
            .iter()
            .map(|(port, address)| json!({ "port": port, "address": address }))
            .collect();
        let ready = json!({
            "workload": self.settings.workload.to_string(),
            "pid": std::process::id(),
            "explicit": self.addresses.explicit,
            "outbound": self.addresses.outbound,
            "inbound": inbound,
            "inbound_transparent": self.addresses.inbound_transparent,
            "admin": self.admin_address,
            "admin_socket": self.settings.admin_socket,
            "metrics": self.metrics_address,
        });
        format!("ready {ready}\n")
    }
}

// === impl Handle ===

impl Handle {
    /// Takes nothing new and lets what runs finish; the proxy does not end.
    pub fn drain(&self) {
        self.drain.start();
    }

    /// Cuts whatever still runs.
    pub fn close(&self) {
        self.drain.close();
    }

    /// Opens the access log again, after a rotation.
    pub fn reopen_log(&self) {
        self.telemetry.reopen_log();
    }

    /// Whether the proxy serves, and waiting for it.
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// The configuration in force.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The certificate in force.
    pub fn identity(&self) -> &IdentityHandle {
        &self.identity
    }

    /// The proxy's metrics.
    pub fn telemetry(&self) -> &Telemetry {
        &self.telemetry
    }
}

// === impl Control ===

impl Control {
    fn new(bound: Bound, shutdown: &CancellationToken) -> (Self, Serving) {
        let ready_line = bound.settings.on_ready.then(|| bound.ready_line());
        let Bound {
            settings,
            telemetry,
            drain,
            store,
            identity,
            writers,
            ..
        } = bound;
        let stages = telemetry.stages.clone();
        let (manager, rotate) =
            Manager::new(&settings, store.clone(), writers.identity, stages.clone());
        let (client, control) = Client::new(
            &settings,
            writers.snapshot,
            writers.demands,
            identity.clone(),
            stages,
        );
        let quit = shutdown.child_token();
        let serving = Serving {
            settings: Arc::clone(&settings),
            store: store.clone(),
            identity: identity.clone(),
            telemetry: telemetry.clone(),
            drain: drain.clone(),
            quit: quit.clone(),
            listeners: bound.listeners,
        };
        let admin = Admin {
            settings: Arc::clone(&settings),
            store,
            identity,
            telemetry,
            readiness: bound.readiness,
            control,
            rotate,
            drain,
            quit,
            log_level: bound.log_level,
        };
        (
            Self {
                settings,
                client,
                manager,
                listeners: bound.admin,
                admin,
                ready_line,
            },
            serving,
        )
    }

    async fn run(self, serving: Serving) -> Result<(), RunError> {
        let mut tasks = JoinSet::new();
        tasks.spawn(self.client.run());
        tasks.spawn(self.manager.run());
        if let Some(directory) = &self.settings.state {
            let cache = Cache::new(directory, &self.settings.workload);
            tasks.spawn(cache.follow(self.admin.store.clone()));
        }
        if let Some(line) = self.ready_line {
            let readiness = self.admin.readiness.clone();
            tasks.spawn(async move {
                readiness.wait().await;
                print_line(&line);
            });
        }
        let (quit, telemetry) = (self.admin.quit.clone(), self.admin.telemetry.clone());
        let end = CancellationToken::new();
        let mut admin = tokio::spawn(self.listeners.serve(self.admin, end.clone()));
        let mut serving = std::pin::pin!(serving.run());
        let result = tokio::select! {
            result = &mut serving => result,
            () = panicked(&mut tasks) => {
                quit.cancel();
                serving.await.and(Err(RunError::Control))
            }
            Ok(Err(error)) = &mut admin => {
                quit.cancel();
                serving.await.and(Err(error.into()))
            }
        };
        end.cancel();
        if !admin.is_finished() && admin.await.is_err() {
            error!("the admin endpoint panicked");
        }
        tasks.shutdown().await;
        telemetry.close();
        result
    }
}

// A proxy whose control side is half dead would serve ever older configuration in silence.
async fn panicked(tasks: &mut JoinSet<()>) {
    while let Some(result) = tasks.join_next().await {
        if result.is_err() {
            error!("a task of the control thread panicked");
            return;
        }
    }
    std::future::pending::<()>().await;
}

fn print_line(line: &str) {
    use io::Write;
    let mut stdout = io::stdout().lock();
    if let Err(error) = stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.flush())
    {
        warn!(%error, "cannot say on standard output that the proxy is ready");
    }
}

// The data workers, from their start to the end of the drain.
struct Serving {
    settings: Arc<Settings>,
    store: Store,
    identity: IdentityHandle,
    telemetry: Telemetry,
    drain: DrainSignal,
    quit: CancellationToken,
    listeners: Vec<Listeners>,
}

// Nothing runs any more, and whoever has not heard of the drain had the time to.
async fn quiet(drain: &DrainSignal) {
    tokio::time::sleep(crate::worker::DRAIN_GRACE).await;
    drain.idle().await;
}

impl Serving {
    async fn run(self) -> Result<(), RunError> {
        // The kernel queues connections until then. Without a certificate little can be served,
        // but that little (plain text, a cached snapshot) is not held back for ever.
        let first = tokio::time::timeout(self.settings.need_timeout, self.identity.wait());
        let identity = tokio::select! {
            first = first => first.ok().flatten(),
            () = self.quit.cancelled() => return Ok(()),
        };
        let client = client_info(&self.settings, identity.as_deref(), &self.store.load());
        let shared = Arc::new(Shared {
            store: self.store,
            identity: self.identity,
            originator: Originator::default(),
            drain: self.drain.subscribe(),
            settings: Arc::clone(&self.settings),
            telemetry: self.telemetry,
            client: Arc::new(client),
        });
        let mut workers = Workers::start(&shared, self.listeners)?;
        let result = tokio::select! {
            () = self.quit.cancelled() => Ok(()),
            () = workers.any_ended() => {
                if shared.drain.is_draining() { Ok(()) } else { Err(RunError::Worker) }
            }
        };
        self.drain.start();
        info!(deadline = ?self.settings.drain, running = %self.drain.running(), "draining");
        tokio::select! {
            () = workers.all_ended() => {}
            // Then only connections to endpoints are left that carry nothing.
            () = quiet(&self.drain) => {}
            () = shared.drain.closed() => warn!(cut = %self.drain.running(), "ended at once"),
            () = tokio::time::sleep(self.settings.drain) => {
                warn!(cut = %self.drain.running(), "the time to drain is over");
            }
        }
        self.drain.close();
        workers.all_ended().await;
        workers.join();
        result
    }
}

#[cfg(test)]
mod tests;
