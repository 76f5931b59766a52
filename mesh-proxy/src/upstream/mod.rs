//! Servers: which endpoint, and the connections to it.

mod app;
mod carry;
mod deliver;
mod dial;
mod hbone;
mod health;
mod limits;
mod member;
mod pool;
mod probe;
mod resolve;
mod send;
mod target;
mod through;
mod tracking;

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use mesh_proxy_core::ir::{Cluster, ClusterId, EndpointAddress};
use prometheus_client::metrics::counter::Counter;
use tokio_util::task::TaskTracker;

use crate::clock;
use crate::shared::Shared;
use resolve::Resolver;

pub use app::{APP_CONNECT, AppCall, AppWay, call_app};
pub use carry::{Carriage, LIMITS};
pub use deliver::Delivery;
pub use dial::{Connector, DialError, Secure};
pub use hbone::{CONNECTION_WINDOW, MAX_HEAD as MAX_TUNNEL_HEAD, TUNNEL_WINDOW};
pub use health::{HealthBoard, look_after};
pub use limits::{Allowed, Count, Limits};
pub use member::{Client, Member};
pub use pool::{Lease, MAX_IDLE, MAX_IDLE_UNREPEATABLE, Pool, SendError};
pub use probe::HEALTH_CHECKER;
pub use send::{Answer, Failed, Hop, Origin, Sending};
pub use target::{Asked, Pick, Target};
pub use tracking::Tracking;

/// One worker's view of all servers.
pub struct Upstreams {
    connector: Connector,
    resolver: Resolver,
    clusters: RefCell<HashMap<ClusterId, Rc<Target>>>,
    direct: RefCell<HashMap<EndpointAddress, Rc<Pool>>>,
    apps: RefCell<HashMap<SocketAddr, Rc<Pool>>>,
    app_clusters: RefCell<HashMap<ClusterId, Arc<Cluster>>>,
    limits: Arc<Limits>,
    health: Arc<HealthBoard>,
    ejections: Counter,
    // How many there are of this, one for each worker.
    workers: usize,
    tasks: TaskTracker,
}

// === impl Upstreams ===

impl Upstreams {
    /// Knows nothing yet. Connections and look-ups belong to `tasks`.
    pub fn new(shared: Arc<Shared>, tasks: TaskTracker) -> Rc<Self> {
        let resolver = Resolver::new(tasks.clone());
        let limits = Arc::clone(&shared.limits);
        let health = Arc::clone(&shared.health);
        let ejections = shared.telemetry.stages.ejections.clone();
        let workers = shared.settings.concurrency.get();
        Rc::new(Self {
            connector: Connector::new(shared, resolver.clone(), tasks.clone()),
            resolver,
            clusters: RefCell::default(),
            direct: RefCell::default(),
            apps: RefCell::default(),
            app_clusters: RefCell::default(),
            limits,
            health,
            ejections,
            workers,
            tasks,
        })
    }

    /// What opens connections.
    pub fn connector(&self) -> &Connector {
        &self.connector
    }

    /// The state of a cluster, brought up to date.
    ///
    /// # Errors
    /// If all of its endpoints are known by name and no name can be resolved.
    pub async fn target(&self, cluster: &Arc<Cluster>) -> Result<Rc<Target>, DialError> {
        let target = self.watched_target(cluster).await?;
        target.touch_health(clock::monotonic());
        Ok(target)
    }

    /// As [`Self::target`], for somebody who does not call it, but only looks after it.
    pub(super) async fn watched_target(
        &self,
        cluster: &Arc<Cluster>,
    ) -> Result<Rc<Target>, DialError> {
        let target = self.known_target(cluster, clock::monotonic());
        if target.has_names() {
            target.resolve(&self.resolver).await?;
        }
        Ok(target)
    }

    // Names among its endpoints are not looked up.
    fn known_target(&self, cluster: &Arc<Cluster>, now: Instant) -> Rc<Target> {
        let known = self.clusters.borrow().get(&cluster.id).map(Rc::clone);
        let target = known.unwrap_or_else(|| {
            let target = Rc::new(Target::new(
                cluster,
                self.tasks.clone(),
                (&self.limits, &self.health, &self.ejections),
                (self.workers, now),
            ));
            self.clusters
                .borrow_mut()
                .insert(cluster.id.clone(), Rc::clone(&target));
            target
        });
        target.update(cluster, now);
        target
    }

    /// Connections to a destination that nobody declared.
    pub fn direct_pool(&self, address: &EndpointAddress) -> Rc<Pool> {
        if let Some(pool) = self.direct.borrow().get(address) {
            return Rc::clone(pool);
        }
        let pool = Pool::new(self.tasks.clone());
        self.direct
            .borrow_mut()
            .insert(address.clone(), Rc::clone(&pool));
        pool
    }

    /// Connections to the application.
    pub fn app_pool(&self, address: SocketAddr) -> Rc<Pool> {
        let mut apps = self.apps.borrow_mut();
        Rc::clone(
            apps.entry(address)
                .or_insert_with(|| Pool::new(self.tasks.clone())),
        )
    }

    /// Gives up connections that nobody uses to destinations where all that may be open are.
    pub fn yield_connections(&self) {
        for target in self.clusters.borrow().values() {
            target.yield_connections();
        }
    }

    /// Closes idle connections and forgets servers that are no longer called.
    pub fn sweep(&self, now: Instant) {
        self.resolver.sweep(now);
        self.connector.tunnels.sweep(now);
        // A pool in use by a request is kept whatever it holds.
        self.direct
            .borrow_mut()
            .retain(|_, pool| pool.sweep(now) || Rc::strong_count(pool) > 1);
        self.apps
            .borrow_mut()
            .retain(|_, pool| pool.sweep(now) || Rc::strong_count(pool) > 1);
        self.clusters
            .borrow_mut()
            .retain(|_, target| target.sweep(now) || Rc::strong_count(target) > 1);
        let used = self.clusters.borrow();
        self.app_clusters
            .borrow_mut()
            .retain(|id, _| used.contains_key(id));
    }
}
