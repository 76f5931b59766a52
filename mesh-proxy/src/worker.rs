//! One data thread: it accepts, owns every connection, and ends when the drain does.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use mesh_api::ResourceName;
use mesh_proxy_core::ir::TelemetryRules;
use mesh_proxy_core::labels::PeerLabels;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::task::LocalSet;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::detect::Habits;
use crate::drain::Work;
use crate::http::peer;
use crate::inbound::{self, Arrival};
use crate::net::{Acceptor, StdTcpListener, Stream, give_back, reset};
use crate::runtime::Listeners;
use crate::settings::ProxyKind;
use crate::shared::Shared;
use crate::telemetry::{Listener, LiveRules, Recorder};
use crate::upstream::{Upstreams, look_after};
use crate::{gateway, outbound, sidecar};

/// Connections that one worker serves at a time; more are reset.
const MAX_CONNECTIONS: usize = 16 * 1024;

/// How long a draining worker keeps the idle connections of callers, and serves at least:
/// clients that have not heard of the drain yet get an answer with `connection: close`. Longer
/// than [`crate::upstream::MAX_IDLE_UNREPEATABLE`], so that no mesh peer sends a request that it
/// must not repeat on a connection that is closed at the end of it.
pub const DRAIN_GRACE: Duration = Duration::from_secs(2);

const SWEEP: Duration = Duration::from_secs(5);

/// What all connections of a worker share.
pub struct Worker {
    /// What all workers share.
    pub shared: Arc<Shared>,
    /// Endpoints, their load, and the connections to them.
    pub upstreams: Rc<Upstreams>,
    /// Metrics and access log.
    pub recorder: Rc<Recorder>,
    /// What has to finish before the worker ends.
    pub tasks: TaskTracker,
    /// What ends with the worker: connections to servers, look-ups.
    background: TaskTracker,
    /// Chance. Never borrowed across an await.
    pub rng: RefCell<SmallRng>,
    /// Who speaks first on connections of the workload.
    pub outbound_habits: Habits<ResourceName>,
    /// The same on connections to the workload, by port.
    pub inbound_habits: Habits<u16>,
    /// Labels of this proxy's workload, for metrics.
    pub own_labels: Arc<PeerLabels>,
    /// The same, for the sidecars of called workloads.
    pub own_header: Option<HeaderValue>,
    rules: RefCell<LiveRules>,
    connections: Cell<usize>,
    /// Tokens and counters of authorization.
    pub authz: crate::authz::Memory,
    /// Mirrored requests under way.
    pub mirrors: Cell<usize>,
    refused: Cell<u64>,
}

/// Serves `listeners` until the drain of `shared` has ended. Everything that it starts has
/// ended, too, when it returns.
pub async fn run(shared: Arc<Shared>, listeners: Listeners) {
    // Tasks of this thread need no `Send`; nested in a caller's set this is one more queue.
    LocalSet::new().run_until(serve(shared, listeners)).await;
}

async fn serve(shared: Arc<Shared>, listeners: Listeners) {
    let worker = Worker::new(shared);
    for listener in listeners.explicit.iter().chain(&listeners.outbound) {
        if let Ok(address) = listener.local_addr() {
            worker.upstreams.connector().avoid(address);
        }
    }
    for listener in listeners.explicit {
        worker.accept(Listener::Explicit, listener, outbound::explicit);
    }
    for listener in listeners.outbound {
        worker.accept(Listener::Outbound, listener, outbound::transparent);
    }
    let bindings: Rc<[_]> = listeners.inbound.iter().map(|(one, _)| *one).collect();
    for listener in listeners.hbone {
        let bindings = Rc::clone(&bindings);
        let serve =
            move |worker, stream| inbound::serve_hbone(worker, stream, Rc::clone(&bindings));
        worker.accept(Listener::Hbone, listener, serve);
    }
    for (binding, listener) in listeners.inbound {
        let serve =
            move |worker, stream| inbound::serve(worker, stream, Arrival::Explicit(binding));
        worker.accept(Listener::Inbound, listener, serve);
    }
    for listener in listeners.inbound_transparent {
        let serve = |worker, stream| inbound::serve(worker, stream, Arrival::Transparent);
        worker.accept(Listener::Inbound, listener, serve);
    }
    let rest = listeners.gateway;
    match worker.shared.settings.kind {
        ProxyKind::Gateway => {
            let listen = gateway::listen(Rc::clone(&worker), rest);
            worker.tasks.spawn_local(listen);
        }
        ProxyKind::Sidecar => {
            let listen = sidecar::listen(Rc::clone(&worker), rest, bindings);
            worker.tasks.spawn_local(listen);
        }
    }
    worker.background.spawn_local(sweep(Rc::clone(&worker)));
    worker.background.spawn_local(share(Rc::clone(&worker)));
    worker
        .background
        .spawn_local(look_after(Rc::clone(&worker)));

    worker.shared.drain.started().await;
    worker.tasks.close();
    tokio::select! {
        () = worker.tasks.wait() => {}
        () = worker.shared.drain.closed() => {}
    }
}

async fn sweep(worker: Rc<Worker>) {
    let mut ticks = tokio::time::interval(SWEEP);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        worker.upstreams.sweep(clock::monotonic());
        // The allocator would keep what a burst needed until the next one.
        give_back();
    }
}

// Other workers may lack the connections that this one keeps without use.
async fn share(worker: Rc<Worker>) {
    let limits = Arc::clone(&worker.shared.limits);
    let mut seen = 0;
    loop {
        seen = limits.starving(seen).await;
        worker.upstreams.yield_connections();
    }
}

// === impl Worker ===

impl Worker {
    /// A worker of `shared`. Must be called on the thread that it works on.
    pub fn new(shared: Arc<Shared>) -> Rc<Self> {
        let (tasks, background) = (TaskTracker::new(), TaskTracker::new());
        let own_labels = Arc::new(shared.client.peer());
        Rc::new(Self {
            upstreams: Upstreams::new(Arc::clone(&shared), background.clone()),
            recorder: Rc::new(shared.telemetry.recorder()),
            rng: RefCell::new(SmallRng::from_rng(&mut clock::rng())),
            outbound_habits: Habits::default(),
            inbound_habits: Habits::default(),
            own_header: peer::encode(&own_labels),
            own_labels,
            rules: RefCell::new(LiveRules::new(shared.epoch())),
            connections: Cell::new(0),
            refused: Cell::new(0),
            tasks,
            background,
            authz: crate::authz::Memory::default(),
            mirrors: Cell::new(0),
            shared,
        })
    }

    /// What Telemetry objects say of what begins now.
    pub fn telemetry_rules(&self) -> Option<Arc<TelemetryRules>> {
        let load = || self.shared.snapshot().telemetry().cloned();
        self.rules.borrow_mut().current(load)
    }

    /// Accepts on a listener until the drain is about to end, each connection a task.
    pub fn accept<F>(
        self: &Rc<Self>,
        kind: Listener,
        listener: StdTcpListener,
        handle: impl Fn(Rc<Self>, Stream) -> F + 'static,
    ) where
        F: Future<Output = ()> + 'static,
    {
        let drain = self.shared.drain.clone();
        self.accept_until(kind, listener, handle, async move {
            drain.listeners_end().await;
        });
    }

    /// Accepts on a listener until `end`, each connection a task. What the kernel has accepted
    /// by then is still served.
    pub fn accept_until<F>(
        self: &Rc<Self>,
        kind: Listener,
        listener: StdTcpListener,
        handle: impl Fn(Rc<Self>, Stream) -> F + 'static,
        end: impl Future<Output = ()> + 'static,
    ) where
        F: Future<Output = ()> + 'static,
    {
        let worker = Rc::clone(self);
        let listening = self.shared.drain.listening();
        self.tasks.spawn_local(async move {
            let _listening = listening;
            let acceptor = match Acceptor::new(listener) {
                Ok(acceptor) => acceptor,
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections");
                    return;
                }
            };
            let mut end = pin!(end);
            loop {
                let (stream, peer) = tokio::select! {
                    biased;
                    accepted = acceptor.accept() => accepted,
                    () = &mut end => return,
                };
                worker.take(kind, stream.into(), Some(peer), &handle);
            }
        });
    }

    /// Serves an accepted connection, if there are not too many.
    pub(crate) fn take<F>(
        self: &Rc<Self>,
        kind: Listener,
        stream: Stream,
        peer: Option<SocketAddr>,
        handle: &impl Fn(Rc<Self>, Stream) -> F,
    ) where
        F: Future<Output = ()> + 'static,
    {
        if self.connections.get() >= MAX_CONNECTIONS {
            let refused = self.refused.get() + 1;
            self.refused.set(refused);
            if refused.is_power_of_two() {
                tracing::warn!(
                    ?peer,
                    refused,
                    limit = MAX_CONNECTIONS,
                    "too many connections, reset"
                );
            }
            reset(stream);
            return;
        }
        self.connections.set(self.connections.get() + 1);
        self.shared.drain.accepted();
        let worker = Rc::clone(self);
        let open = self.shared.telemetry.stages.accepted(kind);
        // The task would hold it twice: as what it begins with, and as what it waits for.
        let task = Box::pin(handle(Rc::clone(self), stream));
        self.tasks.spawn_local(async move {
            let _counted = (Counted(worker), open);
            task.await;
        });
    }

    /// Counts a connection in the drain until the result is dropped.
    pub fn hold(&self, work: Work) -> crate::drain::Hold {
        self.shared.drain.hold(work)
    }
}

struct Counted(Rc<Worker>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0
            .connections
            .set(self.0.connections.get().saturating_sub(1));
        self.0.shared.drain.left();
    }
}
