//! One cluster as a worker sees it: its balancer, its retry budget, and a pool for each endpoint.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_api::Hostname;
use mesh_proxy_core::Reason;
use mesh_proxy_core::balance::{Balancer, NoEndpoint, Outcome, Token, Want};
use mesh_proxy_core::ir::{Cluster, Endpoint, Resolution, RetryPolicy};
use mesh_proxy_core::resilience::{Allowance, Budget, Deadline, Decision, Resource, Tries};
use prometheus_client::metrics::counter::Counter;
use rand::Rng;
use tokio_util::task::TaskTracker;

use super::health::Watched;
use super::limits::Gate;
use super::member::secure;
use super::resolve::Resolver;
use super::{Allowed, Count, DialError, HealthBoard, Limits, Member, Pool, Tracking};
use crate::clock;

// A cluster without requests and connections for so long is forgotten: what was learned of its
// endpoints is old by then (the longest rest of an ejected one is half of it).
const FORGET: Duration = Duration::from_secs(60);
// With outlierDetection endpoints are ejected for longer (Envoy: max_ejection_time).
const FORGET_OUTLIERS: Duration = Duration::from_secs(300);

/// The state of one cluster in one worker.
pub struct Target {
    name: Rc<str>,
    has_names: Cell<bool>,
    state: RefCell<State>,
    tasks: TaskTracker,
    limits: Arc<Limits>,
    health: Arc<HealthBoard>,
    ejections: Counter,
}

struct State {
    // As configured; the balancer's own may have addresses in place of names.
    cluster: Arc<Cluster>,
    // The same without endpoints: another one if anything else is different.
    frame: Arc<Cluster>,
    balancer: Balancer,
    budget: Budget,
    // Counters that all workers share, if the policy needs any.
    gate: Option<Gate>,
    // What was last heard of ejections, and when to look again.
    ejections: (u64, Instant),
    // What health checks say, and its version that is in the balancer.
    checked: Option<(Arc<Watched>, u64)>,
    members: HashMap<Arc<str>, Rc<Member>>,
    // The member of a cluster of one endpoint.
    only: Option<Rc<Member>>,
    addresses: Vec<(Hostname, Vec<IpAddr>)>,
    used: Instant,
}

/// What one try asks for.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// Where the client wanted to go, for clusters that pass that on.
    pub host: &'a Hostname,
    /// Its port.
    pub port: u16,
    /// Which endpoint would be best.
    pub want: Want<'a>,
}

/// Grants retries: by the worker's budget, and by the cluster's limits.
pub struct Grants<'a> {
    budget: &'a mut Budget,
    gate: Option<&'a Gate>,
    granted: Option<Count>,
}

/// An endpoint for one try.
pub struct Pick {
    /// The endpoint.
    pub member: Rc<Member>,
    /// To be told how the try ends.
    pub tracking: Tracking,
}

// === impl Target ===

impl Target {
    pub(super) fn new(
        cluster: &Arc<Cluster>,
        tasks: TaskTracker,
        (limits, health, ejections): (&Arc<Limits>, &Arc<HealthBoard>, &Counter),
        (workers, now): (usize, Instant),
    ) -> Self {
        let gate = Gate::of(limits, cluster);
        if let Some(gate) = &gate {
            gate.detect(cluster, now);
        }
        let target = Self {
            limits: Arc::clone(limits),
            health: Arc::clone(health),
            ejections: ejections.clone(),
            name: cluster.id.to_string().into(),
            has_names: Cell::new(false),
            state: RefCell::new(State {
                cluster: Arc::clone(cluster),
                frame: Arc::new(cluster.frame()),
                balancer: Balancer::new(Arc::clone(cluster), now),
                budget: Budget::new(workers, now),
                gate,
                ejections: (u64::MAX, now),
                checked: health.of(cluster, now).map(|watched| (watched, u64::MAX)),
                members: HashMap::new(),
                only: None,
                addresses: Vec::new(),
                used: now,
            }),
            tasks,
        };
        target.has_names.set(cluster.names().next().is_some());
        target
    }

    /// Name in Istio's form.
    pub fn name(&self) -> &Rc<str> {
        &self.name
    }

    pub(super) fn connect_timeout(&self) -> Duration {
        self.state.borrow().cluster.connect_timeout
    }

    pub(super) fn has_names(&self) -> bool {
        self.has_names.get()
    }

    pub(super) fn update(&self, cluster: &Arc<Cluster>, now: Instant) {
        let mut state = self.state.borrow_mut();
        state.used = now;
        if Arc::ptr_eq(&state.cluster, cluster) {
            return;
        }
        state.cluster = Arc::clone(cluster);
        state.only = None;
        if !state.frame.frames(cluster) {
            state.frame = Arc::new(cluster.frame());
        }
        self.has_names.set(cluster.names().next().is_some());
        if self.has_names.get() {
            // Known addresses stay in use until the names are looked up.
            let resolved = state.resolved();
            state.choose_from(resolved, now);
        } else {
            state.addresses.clear();
            state.choose_from(Arc::clone(cluster), now);
        }
        state.gate = Gate::of(&self.limits, cluster);
        state.detect(now);
        let checked = self.health.of(cluster, now);
        if checked.is_none() && state.checked.is_some() {
            state.balancer.mark_down([]);
        }
        state.checked = checked.map(|watched| (watched, u64::MAX));
    }

    /// Somebody calls it: its endpoints are checked, if the policy says so.
    pub(super) fn touch_health(&self, now: Instant) {
        if let Some((watched, _)) = &self.state.borrow().checked {
            watched.touch(now);
        }
    }

    /// The cluster with addresses in place of names.
    pub(super) fn endpoints(&self) -> Arc<Cluster> {
        Arc::clone(self.state.borrow().balancer.cluster())
    }

    /// One of its endpoints.
    pub(super) fn watched_member(&self, uid: &str) -> Option<Rc<Member>> {
        let mut state = self.state.borrow_mut();
        let cluster = Arc::clone(state.balancer.cluster());
        let endpoint = cluster.endpoints.get(uid)?;
        let asked = cluster.id.host.clone();
        Some(state.member(Arc::clone(endpoint), &asked, &self.tasks))
    }

    /// Looks up the names among the endpoints; known answers cost no waiting.
    pub(super) async fn resolve(&self, resolver: &Resolver) -> Result<(), DialError> {
        let cluster = Arc::clone(&self.state.borrow().cluster);
        let mut addresses = Vec::new();
        let mut failure = None;
        for host in cluster.names() {
            match tokio::time::timeout(cluster.connect_timeout, resolver.lookup(host, 0)).await {
                Ok(Ok(found)) => {
                    addresses.push((host.clone(), found.iter().map(SocketAddr::ip).collect()));
                }
                Ok(Err(source)) => {
                    failure = Some(DialError::Name {
                        host: host.to_string(),
                        source,
                    });
                }
                Err(_) => {
                    let source = std::io::ErrorKind::TimedOut.into();
                    failure = Some(DialError::Name {
                        host: host.to_string(),
                        source,
                    });
                }
            }
        }
        let mut state = self.state.borrow_mut();
        if state.addresses != addresses
            || !Arc::ptr_eq(&state.cluster, &cluster)
            || state.balancer.cluster().names().next().is_some()
        {
            state.addresses = addresses;
            let resolved = state.resolved();
            let now = clock::monotonic();
            state.choose_from(resolved, now);
            state.detect(now);
            state.forget_checks();
        }
        match failure {
            Some(failure) if state.balancer.cluster().endpoints.is_empty() => Err(failure),
            _ => Ok(()),
        }
    }

    /// Begins a request: pays into the retry budget.
    pub fn tries(
        &self,
        policy: Option<Arc<RetryPolicy>>,
        deadline: Deadline,
        now: Instant,
    ) -> Tries {
        Tries::new(policy, deadline, &mut self.state.borrow_mut().budget, now)
    }

    /// Decides after a try, with this cluster's retry budget and limits. A retry that is granted
    /// counts until what comes with the decision is dropped.
    pub fn decide(
        &self,
        decide: impl FnOnce(&mut Grants<'_>) -> Decision,
    ) -> (Decision, Option<Count>) {
        let state = &mut *self.state.borrow_mut();
        let mut grants = Grants {
            budget: &mut state.budget,
            gate: state.gate.as_ref(),
            granted: None,
        };
        let decision = decide(&mut grants);
        (decision, grants.granted)
    }

    /// Counts a request, if there are limits.
    ///
    /// # Errors
    /// If no more may be under way.
    pub fn admit(&self) -> Result<Allowed, Reason> {
        Allowed::of(self.state.borrow().gate.clone())
    }

    /// The endpoint of a cluster that has one. It is never ejected: nobody says how it does.
    ///
    /// # Errors
    /// If there is none.
    pub fn only(&self) -> Result<Rc<Member>, Reason> {
        let state = &mut *self.state.borrow_mut();
        if let Some(only) = &state.only {
            return Ok(Rc::clone(only));
        }
        let cluster = Arc::clone(state.balancer.cluster());
        let endpoint = cluster.endpoints.first().ok_or(Reason::NoHealthyEndpoint)?;
        let member = state.member(Arc::clone(endpoint), &cluster.id.host, &self.tasks);
        state.only = Some(Rc::clone(&member));
        Ok(member)
    }

    /// Chooses an endpoint.
    ///
    /// # Errors
    /// If there is none.
    pub fn pick(
        self: &Rc<Self>,
        asked: Asked<'_>,
        rng: &mut impl Rng,
        now: Instant,
    ) -> Result<Pick, NoEndpoint> {
        let mut state = self.state.borrow_mut();
        if state.cluster.is_passthrough() {
            let by_name = state.cluster.resolution == Resolution::DynamicDns;
            if by_name && !state.cluster.takes(asked.host) {
                return Err(NoEndpoint);
            }
            let endpoint = state.cluster.original_endpoint(asked.host, asked.port);
            let member = state.member(endpoint, asked.host, &self.tasks);
            return Ok(Pick {
                member,
                tracking: Tracking::none(),
            });
        }
        state.hear_of_ejections(now);
        state.hear_of_checks();
        let picked = state.balancer.pick(now, rng, asked.want)?;
        let member = state.member(picked.endpoint, asked.host, &self.tasks);
        drop(state);
        Ok(Pick {
            member,
            tracking: Tracking::new(Rc::clone(self), picked.token),
        })
    }

    pub(super) fn finished(
        &self,
        token: Token,
        outcome: Outcome,
        latency: Option<Duration>,
        now: Instant,
    ) {
        let state = &mut *self.state.borrow_mut();
        let before = state.balancer.ejections();
        let uid = state.balancer.finished(token, outcome, latency, now);
        let watched = state.cluster.traffic.outliers.is_some();
        let detected = uid
            .zip(state.gate.as_ref().filter(|_| watched))
            .is_some_and(|(uid, gate)| gate.observe(uid, outcome, now));
        if detected || state.balancer.ejections() > before {
            self.ejections.inc();
        }
    }

    /// Gives up connections that nobody uses, if all that may be open are.
    pub(super) fn yield_connections(&self) {
        let state = self.state.borrow();
        if state.gate.as_ref().is_some_and(Gate::is_starving) {
            state.members.values().for_each(|member| member.clear());
        }
    }

    // Whether it is still needed.
    pub(super) fn sweep(&self, now: Instant) -> bool {
        let mut state = self.state.borrow_mut();
        let passthrough = state.cluster.is_passthrough();
        let mut open = false;
        state.members.retain(|_, member| {
            let connected = member.sweep(now);
            open |= connected;
            // Of clusters that pass on, every host that was ever called is a member.
            connected || !passthrough || Rc::strong_count(member) > 1
        });
        let forget = match state.cluster.traffic.outliers {
            Some(_) => FORGET_OUTLIERS,
            None => FORGET,
        };
        let fresh = now.saturating_duration_since(state.used) < forget;
        open || fresh || state.balancer.is_warming(now)
    }
}

// === impl Grants ===

impl Allowance for Grants<'_> {
    fn withdraw(&mut self, now: Instant) -> bool {
        let Some(gate) = self.gate else {
            return self.budget.withdraw(now);
        };
        let Ok(count) = gate.take(Resource::Retry) else {
            return false;
        };
        let granted = gate.has_budget() || self.budget.withdraw(now);
        self.granted = granted.then_some(count);
        granted
    }
}

// === impl State ===

impl State {
    // Takes the endpoints of a version of the cluster, and gives up those that left.
    fn choose_from(&mut self, cluster: Arc<Cluster>, now: Instant) {
        let before = Arc::clone(self.balancer.cluster());
        self.balancer.update(cluster, now);
        let cluster = Arc::clone(self.balancer.cluster());
        // Of clusters that pass on, members are not endpoints.
        if cluster.is_passthrough() {
            return;
        }
        let endpoints = &cluster.endpoints;
        endpoints.changes_since(&before.endpoints, |old, new| {
            if let (Some(old), None) = (old, new) {
                self.members.remove(&old.uid);
            }
        });
    }

    fn detect(&mut self, now: Instant) {
        if let Some(gate) = &self.gate {
            gate.detect(self.balancer.cluster(), now);
            self.ejections = (u64::MAX, now);
        }
    }

    // Other workers' requests eject endpoints, too.
    fn hear_of_ejections(&mut self, now: Instant) {
        let Some(gate) = &self.gate else {
            return;
        };
        let (version, next_look) = self.ejections;
        if self.cluster.traffic.outliers.is_none() || gate.version() == version && now < next_look {
            return;
        }
        if let Some(ejected) = gate.ejected(now) {
            self.ejections = (ejected.version, ejected.next_look);
            if ejected.version != version {
                self.balancer.eject(&ejected.uids);
            }
        }
    }

    // The balancer has new endpoints, of which it does not know what checks say.
    fn forget_checks(&mut self) {
        if let Some((_, version)) = &mut self.checked {
            *version = u64::MAX;
        }
    }

    fn hear_of_checks(&mut self) {
        let Some((watched, version)) = &mut self.checked else {
            return;
        };
        let now = watched.version();
        if now != *version {
            *version = now;
            let down = watched.down();
            self.balancer.mark_down(&*down);
        }
    }

    fn resolved(&self) -> Arc<Cluster> {
        let lookup = |host: &Hostname| {
            self.addresses
                .iter()
                .find(|(name, _)| name == host)
                .map(|(_, found)| found.clone())
                .unwrap_or_default()
        };
        Arc::new(self.cluster.resolved(lookup))
    }

    fn member(
        &mut self,
        endpoint: Arc<Endpoint>,
        asked: &Hostname,
        tasks: &TaskTracker,
    ) -> Rc<Member> {
        let known = self.members.get(&endpoint.uid);
        if let Some(known) = known
            && Arc::ptr_eq(known.cluster(), &self.frame)
            && Arc::ptr_eq(&known.endpoint, &endpoint)
        {
            return Rc::clone(known);
        }
        let secure = secure(&self.frame, &endpoint, asked);
        // Open connections stay in use only if they lead to the same peer in the same way.
        let pool = known
            .filter(|known| known.endpoint.address == endpoint.address && known.secure == secure)
            .filter(|known| known.settings == self.cluster.traffic.pool)
            .map_or_else(
                || Pool::with_settings(self.cluster.traffic.pool, tasks.clone()),
                |known| Rc::clone(&known.pool),
            );
        let uid = Arc::clone(&endpoint.uid);
        let of = (Arc::clone(&self.frame), self.gate.clone());
        let member = Rc::new(Member::new(of, endpoint, (secure, pool), tasks));
        self.members.insert(uid, Rc::clone(&member));
        member
    }
}
