//! One cluster as a worker sees it: its balancer, its retry budget, and a pool for each endpoint.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_api::Hostname;
use mesh_proxy_core::balance::{Balancer, NoEndpoint, Outcome, Token};
use mesh_proxy_core::ir::{Cluster, Endpoint, EndpointAddress, RetryPolicy, TlsFiles};
use mesh_proxy_core::plan::{PeerName, UpstreamTls, upstream_tls};
use mesh_proxy_core::resilience::{Budget, Deadline, Decision, Tries};
use rand::Rng;
use tokio_util::task::TaskTracker;

use super::resolve::Resolver;
use super::{DialError, Pool, Secure, Tracking};
use crate::tls::{Alpn, Expect, Origination};

// A cluster without requests and connections for so long is forgotten.
const FORGET: Duration = Duration::from_secs(300);

/// The state of one cluster in one worker.
pub struct Target {
    name: Rc<str>,
    has_names: Cell<bool>,
    state: RefCell<State>,
    tasks: TaskTracker,
}

struct State {
    // As configured; the balancer's own may have addresses in place of names.
    cluster: Arc<Cluster>,
    balancer: Balancer,
    budget: Budget,
    members: HashMap<Arc<str>, Rc<Member>>,
    addresses: Vec<(Hostname, Vec<IpAddr>)>,
    used: Instant,
}

/// An endpoint with the connections to it.
pub struct Member {
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// How connections to it are secured.
    pub secure: Secure,
    /// Open connections.
    pub pool: Rc<Pool>,
    /// Its address for logs.
    pub host: Rc<str>,
    // What `secure` was made from.
    cluster: Arc<Cluster>,
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
    pub(super) fn new(cluster: &Arc<Cluster>, tasks: TaskTracker, now: Instant) -> Self {
        let target = Self {
            name: cluster.id.to_string().into(),
            has_names: Cell::new(false),
            state: RefCell::new(State {
                cluster: Arc::clone(cluster),
                balancer: Balancer::new(Arc::clone(cluster)),
                budget: Budget::new(now),
                members: HashMap::new(),
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
        self.has_names.set(cluster.names().next().is_some());
        if self.has_names.get() {
            // Known addresses stay in use until the names are looked up.
            let resolved = state.resolved();
            state.balancer.update(resolved);
        } else {
            state.addresses.clear();
            state.balancer.update(Arc::clone(cluster));
        }
        let alive: Vec<Arc<str>> = state
            .balancer
            .cluster()
            .endpoints
            .iter()
            .map(|endpoint| Arc::clone(&endpoint.uid))
            .collect();
        if !cluster.is_passthrough() {
            state.members.retain(|uid, _| alive.contains(uid));
        }
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
            state.balancer.update(resolved);
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

    /// Decides after a try, with this cluster's retry budget.
    pub fn decide(&self, decide: impl FnOnce(&mut Budget) -> Decision) -> Decision {
        decide(&mut self.state.borrow_mut().budget)
    }

    /// Chooses an endpoint. `asked` is where the client wanted to go, for clusters that pass
    /// that on.
    ///
    /// # Errors
    /// If there is none.
    pub fn pick(
        self: &Rc<Self>,
        asked: (&Hostname, u16),
        exclude: &[Arc<str>],
        rng: &mut impl Rng,
        now: Instant,
    ) -> Result<Pick, NoEndpoint> {
        let mut state = self.state.borrow_mut();
        if state.cluster.is_passthrough() {
            let endpoint = state.cluster.original_endpoint(asked.0, asked.1);
            let member = state.member(endpoint, asked.0, &self.tasks);
            return Ok(Pick {
                member,
                tracking: Tracking::none(),
            });
        }
        let picked = state.balancer.pick(now, rng, exclude)?;
        let member = state.member(picked.endpoint, asked.0, &self.tasks);
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
        self.state
            .borrow_mut()
            .balancer
            .finished(token, outcome, latency, now);
    }

    // Whether it is still needed.
    pub(super) fn sweep(&self, now: Instant) -> bool {
        let mut state = self.state.borrow_mut();
        let passthrough = state.cluster.is_passthrough();
        let mut open = false;
        state.members.retain(|_, member| {
            let connected = member.pool.sweep(now);
            open |= connected;
            // Of clusters that pass on, every host that was ever called is a member.
            connected || !passthrough || Rc::strong_count(member) > 1
        });
        open || now.saturating_duration_since(state.used) < FORGET
    }
}

// === impl State ===

impl State {
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
            && Arc::ptr_eq(&known.cluster, &self.cluster)
            && Arc::ptr_eq(&known.endpoint, &endpoint)
        {
            return Rc::clone(known);
        }
        let secure = secure(&self.cluster, &endpoint, asked);
        // Open connections stay in use only if they lead to the same peer in the same way.
        let pool = known
            .filter(|known| known.endpoint.address == endpoint.address && known.secure == secure)
            .map_or_else(|| Pool::new(tasks.clone()), |known| Rc::clone(&known.pool));
        let host = match &endpoint.address {
            EndpointAddress::Ip(address) => address.to_string().into(),
            other => other.to_string().into(),
        };
        let uid = Arc::clone(&endpoint.uid);
        let member = Rc::new(Member {
            endpoint,
            secure,
            pool,
            host,
            cluster: Arc::clone(&self.cluster),
        });
        self.members.insert(uid, Rc::clone(&member));
        member
    }
}

fn secure(cluster: &Cluster, endpoint: &Endpoint, asked: &Hostname) -> Secure {
    match upstream_tls(cluster, endpoint) {
        UpstreamTls::Plain => Secure::Plain,
        UpstreamTls::Mesh { sni, peer } => Secure::Mesh {
            sni,
            expect: match peer {
                PeerName::Identity(identity) => Expect::Identity(identity),
                PeerName::OneOf(names) => {
                    Expect::AnyOf(names.iter().map(ToString::to_string).collect())
                }
                PeerName::Any => Expect::Mesh,
            },
        },
        UpstreamTls::Simple(files) => from_files(&files, cluster, asked, false),
        UpstreamTls::Mutual(files) => from_files(&files, cluster, asked, true),
    }
}

fn from_files(files: &TlsFiles, cluster: &Cluster, asked: &Hostname, mutual: bool) -> Secure {
    // Istio: the server name follows the host of the request (auto SNI), which is the
    // service's own unless the service stands for many.
    let host = if cluster.id.host.is_wildcard() {
        asked
    } else {
        &cluster.id.host
    };
    let sni = files.sni.clone().unwrap_or_else(|| host.as_str().into());
    let path = |file: &Option<Arc<str>>| file.as_deref().map(PathBuf::from);
    let client = path(&files.client_certificate)
        .zip(path(&files.private_key))
        .filter(|_| mutual);
    Secure::Files {
        sni,
        origination: Box::new(Origination {
            names: files
                .subject_alt_names
                .iter()
                .map(ToString::to_string)
                .collect(),
            roots: path(&files.ca_certificates),
            client,
            insecure: files.insecure_skip_verify,
            alpn: Alpn::Tcp,
        }),
    }
}
