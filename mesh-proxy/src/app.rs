//! Puts the parts together.

mod keeper;
mod pod;
mod replace;
mod serving;

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::thread;

use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::admin::{Admin, AdminError, AdminListeners};
use crate::control::{ResourcesError, Store};
use crate::drain::{self, DrainSignal};
use crate::hand_over::{HandOverError, Sockets};
use crate::identity::{IdentityFileError, IdentityHandle};
use crate::readiness::Readiness;
use crate::runtime::{self, ListenError, Listening};
use crate::settings::Settings;
use crate::telemetry::{LogError, LogLevel, SpanExporter, Telemetry};

pub use pod::{PodAddresses, PodError};

use keeper::{Keeper, Keeping, Kept};
use pod::Pod;
use replace::Replace;
use serving::Serving;

/// The composition root.
pub struct App;

/// A proxy whose sockets are bound and which does not serve yet.
pub struct Bound {
    settings: Arc<Settings>,
    sockets: Sockets,
    listening: Listening,
    replace: Replace,
    admin: AdminListeners,
    admin_address: Option<SocketAddr>,
    metrics_address: Option<SocketAddr>,
    pod: Pod,
    telemetry: Telemetry,
    spans: SpanExporter,
    drain: DrainSignal,
    readiness: Readiness,
    kept: Kept,
    keeper: Keeper,
    log_level: Option<LogLevel>,
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
    /// A process runs already, and does not hand over.
    #[error(transparent)]
    HandOver(#[from] HandOverError),
    /// What the pod asks for cannot be bound.
    #[error(transparent)]
    Pod(#[from] PodError),
    /// The access log cannot be opened.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The file of resources is not as it should be.
    #[error(transparent)]
    Resources(#[from] ResourcesError),
    /// The certificate, its key or the roots cannot be used.
    #[error(transparent)]
    Identity(#[from] IdentityFileError),
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
    keeping: Vec<Pin<Box<dyn Future<Output = ()> + Send>>>,
    listeners: AdminListeners,
    admin: Admin,
    replace: Replace,
    pod: Pod,
    spans: SpanExporter,
    ready_line: Option<String>,
}

// === impl App ===

impl App {
    /// Binds all sockets, or takes them over from a process that runs ([`Settings::hand_over`]),
    /// opens the access log and reads the cached snapshot, or the files that stand in for a control
    /// plane. Nothing is served and nobody else is called before [`Bound::run`].
    ///
    /// # Errors
    /// [`BuildError`] if an address is taken or a file cannot be used. A cache that cannot be
    /// read is no error.
    pub async fn build(settings: Settings) -> Result<Bound, BuildError> {
        let sockets = Sockets::default();
        let replace = Replace::take_over(&settings, &sockets).await?;
        let admin = AdminListeners::bind(&settings, &sockets)?;
        let pod = Pod::bind(&settings, &sockets)?;
        let listening = runtime::listen(&settings, &sockets)?;
        let mut telemetry = Telemetry::new(&settings.access_log)?;
        let spans = telemetry.tracing(&settings);
        let (keeper, kept) = keeper::open(&settings, &telemetry).await?;
        let store = kept.store.clone();
        telemetry.follow(move || store.load().telemetry().cloned());
        let (drain, listener) = drain::channel();
        Ok(Bound {
            admin_address: admin.address(),
            metrics_address: admin.metrics_address(),
            readiness: Readiness::new(
                &settings,
                kept.store.clone(),
                kept.identity.clone(),
                listener,
            ),
            settings: Arc::new(settings),
            sockets,
            listening,
            replace,
            admin,
            pod,
            telemetry,
            spans,
            drain,
            kept,
            keeper,
            log_level: None,
        })
    }
}

// === impl Bound ===

impl Bound {
    /// Where the explicit proxy listens.
    pub fn explicit(&self) -> Option<SocketAddr> {
        self.listening.addresses.explicit
    }

    /// Where captured outgoing connections are taken.
    pub fn outbound(&self) -> Option<SocketAddr> {
        self.listening.addresses.outbound
    }

    /// Where the workload's ports are served: port and address.
    pub fn inbound(&self) -> &[(u16, SocketAddr)] {
        &self.listening.addresses.inbound
    }

    /// Where captured incoming connections are taken.
    pub fn inbound_transparent(&self) -> Option<SocketAddr> {
        self.listening.addresses.inbound_transparent
    }

    /// Where the admin endpoint listens over TCP.
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin_address
    }

    /// Where metrics and readiness are served for others.
    pub fn metrics(&self) -> Option<SocketAddr> {
        self.metrics_address
    }

    /// Where DNS, status and readiness of a pod are served.
    pub fn pod(&self) -> PodAddresses {
        self.pod.addresses()
    }

    /// Steers the proxy while it runs.
    pub fn handle(&self) -> Handle {
        Handle {
            drain: self.drain.clone(),
            telemetry: self.telemetry.clone(),
            readiness: self.readiness.clone(),
            store: self.kept.store.clone(),
            identity: self.kept.identity.clone(),
        }
    }

    /// Lets the admin endpoint change the level of the program's log.
    pub fn set_log_level(&mut self, level: LogLevel) {
        self.log_level = Some(level);
    }

    /// Serves until `shutdown` is cancelled or the admin endpoint says so; then drains: is no
    /// longer ready, tells callers to go elsewhere, serves those who come all the same, and ends
    /// when nothing runs any more, not before [`Settings::drain_minimum`], or when
    /// [`Settings::drain`] is over. Runs on threads of its own.
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
        let addresses = &self.listening.addresses;
        let inbound: Vec<_> = addresses
            .inbound
            .iter()
            .map(|(port, address)| json!({ "port": port, "address": address }))
            .collect();
        let ready = json!({
            "workload": self.settings.workload.to_string(),
            "pid": std::process::id(),
            "explicit": addresses.explicit,
            "outbound": addresses.outbound,
            "inbound": inbound,
            "inbound_transparent": addresses.inbound_transparent,
            "hbone": addresses.hbone,
            "admin": self.admin_address,
            "admin_socket": self.settings.admin_socket,
            "metrics": self.metrics_address,
            "dns": self.pod().dns,
            "status": self.pod().status,
            "readiness": self.pod().readiness,
        });
        format!("ready {ready}\n")
    }
}

// === impl Handle ===

impl Handle {
    /// Tells callers to go elsewhere and lets what runs finish; the proxy goes on serving.
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
            kept,
            keeper,
            ..
        } = bound;
        let Keeping {
            tasks,
            control,
            rotate,
            app,
        } = keeper.start(&settings, &kept, telemetry.stages.clone(), &drain);
        let Kept { store, identity } = kept;
        let quit = shutdown.child_token();
        let serving = Serving {
            settings: Arc::clone(&settings),
            store: store.clone(),
            identity: identity.clone(),
            telemetry: telemetry.clone(),
            drain: drain.clone(),
            quit: quit.clone(),
            sockets: bound.sockets,
            listening: bound.listening,
            open_ports: bound.readiness.open_ports().clone(),
            started: None,
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
                keeping: tasks,
                listeners: bound.admin,
                admin,
                replace: bound.replace,
                pod: bound.pod.with_identity(app),
                spans: bound.spans,
                ready_line,
            },
            serving,
        )
    }

    async fn run(mut self, mut serving: Serving) -> Result<(), RunError> {
        let mut tasks = JoinSet::new();
        for task in self.keeping {
            tasks.spawn(task);
        }
        tokio::select! {
            serves = self.replace.turn(&self.admin) => if !serves { return Ok(()) },
            () = panicked(&mut tasks) => return Err(RunError::Control),
        }
        serving.started = self.replace.predecessor.take();
        let end = CancellationToken::new();
        self.pod.spawn(&self.admin, &end, &mut tasks);
        self.replace.await_successor(&self.admin, &end, &mut tasks);
        let spans_end = CancellationToken::new();
        let spans = {
            let (mut spans, end) = (self.spans, spans_end.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = spans.run() => {}
                    () = end.cancelled() => {}
                }
                spans.finish().await;
            })
        };
        if let Some(line) = self.ready_line {
            let readiness = self.admin.readiness.clone();
            tasks.spawn(async move {
                readiness.wait().await;
                print_line(&line);
            });
        }
        let (quit, telemetry) = (self.admin.quit.clone(), self.admin.telemetry.clone());
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
        spans_end.cancel();
        if spans.await.is_err() {
            error!("the export of spans panicked");
        }
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

#[cfg(test)]
mod tests;
