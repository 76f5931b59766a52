//! From a question to its answer.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::join_all;
use mesh_api::{Hostname, ResourceName};
use mesh_proxy_core::dns::upstream::Servers;
use mesh_proxy_core::dns::{self, Query, ResolvConf, Step, Transport, reply};
use rand::rngs::StdRng;
use tokio::sync::Semaphore;

use super::listen::DnsListeners;
use super::metrics::DnsMetrics;
use crate::clock;
use crate::control::{Status, Store};
use crate::settings::Settings;

/// Answers questions.
pub(crate) struct Resolver {
    store: Store,
    control: Status,
    system: Mutex<System>,
    pub(super) rng: Mutex<StdRng>,
    pub(super) mark: Option<u32>,
    pub(super) metrics: DnsMetrics,
    // Bounds what one workload may ask of the control plane at a time.
    asking: Semaphore,
}

// The system's servers, as the file says.
struct System {
    path: PathBuf,
    own: Vec<SocketAddr>,
    modified: Option<SystemTime>,
    looked: Option<Instant>,
    servers: Servers,
    search: Option<Hostname>,
}

/// How long the control plane may take; then the question is passed on.
const ASK: Duration = Duration::from_secs(1);
const MOST_ASKED: usize = 64;
const LOOK: Duration = Duration::from_secs(5);

// === impl Resolver ===

impl Resolver {
    pub(crate) fn new(
        settings: &Settings,
        listeners: &DnsListeners,
        store: Store,
        control: Status,
        metrics: DnsMetrics,
    ) -> Self {
        Self {
            store,
            control,
            system: Mutex::new(System {
                path: settings.pod.resolv_conf.clone(),
                own: listeners.addresses(),
                modified: None,
                looked: None,
                servers: Servers::new([], false),
                search: None,
            }),
            rng: Mutex::new(clock::rng()),
            mark: settings.own_mark,
            metrics,
            asking: Semaphore::new(MOST_ASKED),
        }
    }

    /// What can be said at once.
    pub(super) fn decide(&self, query: &Query<'_>, transport: Transport) -> Step {
        self.metrics.queries.inc();
        let search = self.search();
        for name in dns::names(query, search.as_ref()) {
            self.store.touch(&name);
        }
        let may_ask = self.control.is_connected();
        self.step(query, transport, may_ask)
    }

    fn step(&self, query: &Query<'_>, transport: Transport, may_ask: bool) -> Step {
        let snapshot = self.store.load();
        let step = dns::resolve(query, &snapshot, self.search().as_ref(), transport, may_ask);
        if matches!(step, Step::Answer(_)) {
            self.metrics.answered.inc();
        }
        step
    }

    /// The answer to a question that has none at once.
    pub(super) async fn find(
        &self,
        query: &Query<'_>,
        step: Step,
        transport: Transport,
    ) -> Vec<u8> {
        let step = match step {
            Step::Need(names) => {
                self.ask(&names).await;
                self.step(query, transport, false)
            }
            step => step,
        };
        match step {
            Step::Answer(reply) => reply,
            Step::Need(_) | Step::Forward => self.forward(query, transport).await,
        }
    }

    // What does not come is treated as undeclared: the next question asks again.
    async fn ask(&self, names: &[ResourceName]) {
        let Ok(_permit) = self.asking.try_acquire() else {
            return;
        };
        let deadline = clock::monotonic() + ASK;
        let waits = names.iter().map(|name| self.store.need(name, deadline));
        for (name, result) in names.iter().zip(join_all(waits).await) {
            if let Err(error) = result {
                tracing::debug!(%name, %error, "passing a DNS question on");
            }
        }
    }

    async fn forward(&self, query: &Query<'_>, transport: Transport) -> Vec<u8> {
        self.metrics.forwarded.inc();
        let begun = clock::monotonic();
        let response = self.ask_servers(query, transport).await;
        let took = clock::monotonic().duration_since(begun);
        self.metrics.upstream.observe(took.as_secs_f64());
        let Some(response) = response else {
            self.metrics.failures.inc();
            return reply::server_failure(query);
        };
        let snapshot = self.store.load();
        let search = self.search();
        dns::after_upstream(query, &response, &snapshot, search.as_ref(), transport)
            .unwrap_or(response)
    }

    /// The servers in the order to ask them.
    pub(super) fn order(&self) -> Vec<SocketAddr> {
        self.system().servers.order(clock::monotonic())
    }

    pub(super) fn failed(&self, server: SocketAddr) {
        self.system().servers.failed(server, clock::monotonic());
    }

    pub(super) fn well(&self, server: SocketAddr) {
        self.system().servers.answered(server);
    }

    fn search(&self) -> Option<Hostname> {
        self.system().search.clone()
    }

    fn system(&self) -> MutexGuard<'_, System> {
        let mut system = lock(&self.system);
        system.follow();
        system
    }
}

// === impl System ===

impl System {
    /// Reads the file if it is new or has changed.
    fn follow(&mut self) {
        let now = clock::monotonic();
        let lately = |at| now.saturating_duration_since(at) < LOOK;
        if self.looked.is_some_and(lately) {
            return;
        }
        let first = self.looked.replace(now).is_none();
        let modified = std::fs::metadata(&self.path).and_then(|data| data.modified());
        let modified = modified.ok();
        if !first && modified == self.modified {
            return;
        }
        self.modified = modified;
        let read = std::fs::read_to_string(&self.path)
            .map_err(|error| error.to_string())
            .and_then(|text| {
                text.parse::<ResolvConf>()
                    .map_err(|error| error.to_string())
            });
        match read {
            Ok(conf) => self.take(conf),
            Err(error) => {
                tracing::warn!(path = %self.path.display(), error, "no DNS servers to pass questions on to");
            }
        }
    }

    fn take(&mut self, conf: ResolvConf) {
        let (own, others): (Vec<_>, Vec<_>) = conf
            .servers
            .into_iter()
            .partition(|server| self.own.contains(server));
        if !own.is_empty() {
            tracing::warn!(?own, path = %self.path.display(), "the proxy itself is no server to pass DNS questions on to");
        }
        tracing::debug!(servers = ?others, "DNS servers of the system");
        self.servers = Servers::new(others, conf.rotate);
        self.search = conf.search.into_iter().next();
    }
}

/// A poisoned lock here guards values that are whole at every step.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
