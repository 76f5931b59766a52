//! All simulated proxies.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use mesh_ca::listen::ListenAddress;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::identity::Certifier;
use crate::proxy::{Proxy, Standing};
use crate::topology::Topology;

/// Proxies that connect, or whose applications start, at the same time while the fleet grows.
const AT_ONCE: usize = 64;

/// The proxies. They end with it.
pub(crate) struct Fleet {
    size: usize,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

/// What all proxies share.
pub(crate) struct Shared {
    pub(crate) address: ListenAddress,
    /// Whose turn it is to connect, or to call.
    pub(crate) turns: Arc<Semaphore>,
    /// Whether the applications call their destinations.
    pub(crate) calling: watch::Sender<bool>,
    pub(crate) received: Arc<AtomicU64>,
    pushes: AtomicU64,
    standings: watch::Sender<Standings>,
    probe: Mutex<Option<Arc<Probe>>>,
    trouble: Mutex<Trouble>,
}

/// How many proxies have come how far.
#[derive(Debug, Clone, Copy, Default)]
struct Standings {
    connected: usize,
    complete: usize,
}

/// What goes wrong.
#[derive(Debug, Default)]
struct Trouble {
    times: usize,
    last: String,
    refusal: Option<String>,
}

/// A change that is on its way.
struct Probe {
    resource: String,
    since: Instant,
    expected: usize,
    arrivals: watch::Sender<Vec<Duration>>,
}

/// A change that is on its way, for who made it.
pub(crate) struct Expected<'f> {
    fleet: &'f Fleet,
    probe: Arc<Probe>,
}

/// What all proxies have received so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traffic {
    /// From the sockets, with TLS.
    pub(crate) bytes: u64,
    /// Responses.
    pub(crate) pushes: u64,
}

// === impl Fleet ===

impl Fleet {
    /// Starts the proxies. They subscribe to what every sidecar does, and to their destinations
    /// from [`Self::call`] on.
    pub(crate) fn start(
        topology: &Topology,
        address: ListenAddress,
        certifier: &Certifier,
    ) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared {
            address,
            turns: Arc::new(Semaphore::new(AT_ONCE)),
            calling: watch::Sender::new(false),
            received: Arc::default(),
            pushes: AtomicU64::new(0),
            standings: watch::Sender::default(),
            probe: Mutex::default(),
            trouble: Mutex::default(),
        });
        let namespaces = topology.namespaces();
        let clients = namespaces
            .map(|namespace| Ok((namespace.clone(), certifier.client(&namespace)?)))
            .collect::<anyhow::Result<std::collections::HashMap<_, _>>>()?;
        let mut tasks = JoinSet::new();
        for number in 0..topology.proxies {
            let namespace = topology.namespace(topology.service_of(number));
            let client = clients.get(&namespace).context("no such namespace")?;
            let (node, roots) = (topology.node(number), topology.roots_of(number));
            let proxy = Proxy::new(Arc::clone(&shared), node, roots, Arc::clone(client));
            tasks.spawn(proxy.run());
        }
        Ok(Self {
            size: topology.proxies,
            shared,
            _tasks: tasks,
        })
    }

    /// Lets the applications start: each calls its destinations, one after the other.
    pub(crate) fn call(&self) {
        self.shared.calling.send_replace(true);
    }

    /// From now on all proxies may connect at the same time.
    pub(crate) fn unleash(&self) {
        self.shared.turns.add_permits(self.size);
    }

    /// Waits until every proxy holds what it has asked for so far.
    pub(crate) async fn connected(&self, limit: Duration) -> anyhow::Result<()> {
        self.wait("connected", limit, |standings| standings.connected)
            .await
    }

    /// Waits until every proxy holds everything of its destinations.
    pub(crate) async fn complete(&self, limit: Duration) -> anyhow::Result<()> {
        self.wait("in sync", limit, |standings| standings.complete)
            .await
    }

    async fn wait(
        &self,
        what: &str,
        limit: Duration,
        count: fn(&Standings) -> usize,
    ) -> anyhow::Result<()> {
        let mut standings = self.shared.standings.subscribe();
        let all = standings.wait_for(|standings| count(standings) == self.size);
        if timeout(limit, all).await.is_err() {
            let now = count(&self.shared.standings.borrow());
            let trouble = self.shared.trouble();
            bail!(
                "waiting for proxies: {now} of {} are {what} after {limit:?}; {trouble}",
                self.size
            );
        }
        Ok(())
    }

    /// Waits until no proxy is connected.
    pub(crate) async fn gone(&self, limit: Duration) -> anyhow::Result<()> {
        let mut standings = self.shared.standings.subscribe();
        let all = standings.wait_for(|standings| standings.connected == 0);
        timeout(limit, all).await.with_context(|| {
            format!("proxies are still connected {limit:?} after meshd's end")
        })??;
        Ok(())
    }

    /// Connections that could not be made, or ended, so far.
    pub(crate) fn troubles(&self) -> usize {
        self.shared.lock_trouble().times
    }

    /// Begins to wait for a resource to arrive at, or be taken from, so many proxies.
    pub(crate) fn expect(&self, resource: String, expected: usize) -> Expected<'_> {
        let probe = Arc::new(Probe {
            resource,
            since: Instant::now(),
            expected,
            arrivals: watch::Sender::default(),
        });
        *self.shared.lock_probe() = Some(Arc::clone(&probe));
        Expected { fleet: self, probe }
    }

    pub(crate) fn traffic(&self) -> Traffic {
        Traffic {
            bytes: self.shared.received.load(Ordering::Relaxed),
            pushes: self.shared.pushes.load(Ordering::Relaxed),
        }
    }
}

// === impl Expected ===

impl Expected<'_> {
    /// Waits for it everywhere, and gives the times since [`Fleet::expect`].
    pub(crate) async fn arrivals(self, limit: Duration) -> anyhow::Result<Vec<Duration>> {
        let Probe {
            resource, expected, ..
        } = &*self.probe;
        let mut arrivals = self.probe.arrivals.subscribe();
        let all = arrivals.wait_for(|arrivals| arrivals.len() >= *expected);
        if let Ok(all) = timeout(limit, all).await {
            return Ok(all?.clone());
        }
        let count = self.probe.arrivals.borrow().len();
        let trouble = self.fleet.shared.trouble();
        bail!(
            "waiting for a change of {resource}: {count} of {expected} proxies have it after {limit:?}; {trouble}"
        );
    }
}

impl Drop for Expected<'_> {
    fn drop(&mut self) {
        *self.fleet.shared.lock_probe() = None;
    }
}

// === impl Shared ===

impl Shared {
    fn lock_probe(&self) -> std::sync::MutexGuard<'_, Option<Arc<Probe>>> {
        self.probe.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_trouble(&self) -> std::sync::MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In words.
    fn trouble(&self) -> String {
        let trouble = self.lock_trouble();
        match (&trouble.refusal, trouble.times) {
            (Some(refusal), _) => format!("a proxy refused {refusal}"),
            (None, 0) => "no connection failed".to_owned(),
            (None, times) => format!("{times} connections failed, the last one: {}", trouble.last),
        }
    }

    pub(crate) fn failed(&self, error: &anyhow::Error) {
        let mut trouble = self.lock_trouble();
        trouble.times += 1;
        trouble.last = format!("{error:#}");
    }

    /// A response came.
    pub(crate) fn came<'n>(&self, at: Instant, mut names: impl Iterator<Item = &'n String>) {
        self.pushes.fetch_add(1, Ordering::Relaxed);
        let probe = self.lock_probe().clone();
        if let Some(probe) = probe
            && names.any(|name| *name == probe.resource)
        {
            let after = at.saturating_duration_since(probe.since);
            probe.arrivals.send_if_modified(|arrivals| {
                arrivals.push(after);
                arrivals.len() >= probe.expected
            });
        }
    }

    /// A proxy has come further, or fallen back.
    pub(crate) fn moved(&self, from: Standing, to: Standing) {
        let count = |number: &mut usize, before: bool, after: bool| {
            *number = (*number + usize::from(after)).saturating_sub(usize::from(before));
        };
        self.standings.send_if_modified(|standings| {
            count(
                &mut standings.connected,
                from >= Standing::Connected,
                to >= Standing::Connected,
            );
            count(
                &mut standings.complete,
                from == Standing::Complete,
                to == Standing::Complete,
            );
            true
        });
    }
}
