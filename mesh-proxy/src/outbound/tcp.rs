//! Opaque bytes and foreign TLS to their destination.

use std::borrow::Cow;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;

use mesh_api::Hostname;
use mesh_proxy_core::Reason;
use mesh_proxy_core::balance::{Affinity, Outcome, Want};
use mesh_proxy_core::ir::{Cluster, PoolSettings, Resolution};
use mesh_proxy_core::labels::{PeerLabels, Reporter, SecurityPolicy, ServiceLabels};
use mesh_proxy_core::plan::{self, AddressPlan, TcpAction, TcpTarget};

use super::{Target, decide, passthrough};
use crate::clock;
use crate::drain::Work;
use crate::net::{RelayLimits, Stream};
use crate::tls::Alpn;
use crate::upstream::{Asked, Carriage, Client, DialError, LIMITS, Pick, Secure, Tracking};
use crate::worker::Worker;

// Endpoints that are tried: nothing was sent yet, so another one does no harm.
const TRIES: usize = 3;

/// A destination with an open connection to it.
pub(crate) struct Reached {
    facts: Box<Facts>,
    server: Stream,
}

/// Which endpoint it is.
pub(crate) struct Facts {
    service: Arc<ServiceLabels>,
    destination: Arc<PeerLabels>,
    cluster: String,
    host: String,
    security: SecurityPolicy,
    settings: PoolSettings,
    tracking: Tracking,
}

/// Why there is no connection to the destination.
#[derive(Debug)]
pub(crate) struct Unreachable {
    pub(crate) reason: Reason,
    pub(crate) failure: String,
}

/// Connects to the destination and carries the bytes.
pub(super) async fn serve(
    worker: Rc<Worker>,
    stream: Stream,
    target: Target,
    plan: AddressPlan,
    server_name: Option<String>,
) {
    let client = (stream.peer_addr(), stream.local_addr());
    let client = (client.0, target.original.or(client.1));
    let reached = reach(&worker, &target, &plan, (server_name.as_deref(), client));
    match Box::pin(reached).await {
        Ok(reached) => carry_named(worker, stream, reached, server_name).await,
        Err(unreachable) => {
            let mut carriage = begin(&worker, &stream);
            carriage.service = Arc::new(match &plan.host {
                Some(host) => ServiceLabels::new(host.as_str(), "", ""),
                None => ServiceLabels::passthrough(target.host.as_str()),
            });
            carriage.server_name = server_name.unwrap_or_default();
            carriage.refuse(stream, unreachable.reason, &unreachable.failure);
        }
    }
}

/// Carries bytes to a destination that was reached before.
pub(super) async fn carry(worker: Rc<Worker>, stream: Stream, reached: Reached) {
    carry_named(worker, stream, reached, None).await;
}

async fn carry_named(
    worker: Rc<Worker>,
    stream: Stream,
    reached: Reached,
    server_name: Option<String>,
) {
    let mut carriage = begin(&worker, &stream);
    carriage.server_name = server_name.unwrap_or_default();
    reached.carry(&worker, stream, carriage, pending()).await;
}

fn begin(worker: &Rc<Worker>, stream: &Stream) -> Box<Carriage> {
    let mut carriage = Carriage::begin(worker, Reporter::Source, stream);
    carriage.source = Arc::clone(&worker.own_labels);
    carriage
}

/// Opens the connection to the destination that the routes name.
pub(super) async fn reach(
    worker: &Rc<Worker>,
    target: &Target,
    plan: &AddressPlan,
    (server_name, client): (Option<&str>, Client),
) -> Result<Reached, Unreachable> {
    let decision = decide(&worker.shared, |snapshot| {
        let asked = TcpTarget {
            name: plan.name.clone(),
            original: target.original,
            sni: server_name,
        };
        plan::outbound_tcp(snapshot, &asked, &mut *worker.rng.borrow_mut())
    });
    match decision.await?.action {
        TcpAction::Refuse(reason) => Err(reason.into()),
        TcpAction::Forward(cluster) => {
            let target = asked(target, &cluster, server_name)?;
            endpoint(worker, &target, &cluster, client).await
        }
        TcpAction::Passthrough => {
            let address = passthrough::address(&target.host, target.port, target.original);
            let connector = worker.upstreams.connector();
            let server = connector
                .dial(&address, &Secure::Plain, Alpn::Tcp, passthrough::CONNECT)
                .await?;
            let facts = Box::new(Facts {
                service: Arc::new(ServiceLabels::passthrough(target.host.as_str())),
                destination: PeerLabels::unknown(),
                cluster: passthrough::CLUSTER.to_owned(),
                host: address.to_string(),
                security: SecurityPolicy::None,
                settings: PoolSettings::default(),
                tracking: Tracking::none(),
            });
            Ok(Reached { facts, server })
        }
    }
}

/// What the client asks for. A destination that stands for many names goes by the server name of
/// the client's TLS, which must be one of them.
pub(crate) fn asked<'t>(
    target: &'t Target,
    cluster: &Cluster,
    server_name: Option<&str>,
) -> Result<Cow<'t, Target>, Reason> {
    if cluster.resolution != Resolution::DynamicDns {
        return Ok(Cow::Borrowed(target));
    }
    let named: Option<Hostname> = server_name.and_then(|name| name.parse().ok());
    let host = named.unwrap_or_else(|| target.host.clone());
    if !cluster.takes(&host) || host.is_wildcard() {
        return Err(Reason::RouteNotFound);
    }
    Ok(Cow::Owned(Target {
        host,
        port: target.port,
        original: target.original,
    }))
}

/// Opens a connection to one of the endpoints. `client` is whose bytes they are.
pub(crate) async fn endpoint(
    worker: &Rc<Worker>,
    target: &Target,
    cluster: &Arc<Cluster>,
    client: Client,
) -> Result<Reached, Unreachable> {
    let state = worker.upstreams.target(cluster).await?;
    let policy = cluster.traffic.hash.as_ref();
    let source = client.0.map(|address| address.ip());
    let hash = policy.and_then(|policy| Affinity::of_connection(policy, source).hash);
    let mut tried = Vec::new();
    loop {
        let now = clock::monotonic();
        let picked = {
            let mut rng = worker.rng.borrow_mut();
            let want = Want {
                exclude: &tried,
                hash,
            };
            let asked = Asked {
                host: &target.host,
                port: target.port,
                want,
            };
            state.pick(asked, &mut *rng, now)
        };
        let Ok(Pick {
            member,
            mut tracking,
        }) = picked
        else {
            return Err(Reason::NoHealthyEndpoint.into());
        };
        let member = member.for_client(client);
        let connector = worker.upstreams.connector();
        let dialed = connector
            .endpoint_now(&member, cluster.connect_timeout)
            .await;
        match dialed {
            Ok(server) => {
                tracking.answered(Outcome::Success, clock::monotonic().duration_since(now));
                let over_mesh = member.secure.is_mesh();
                let facts = Box::new(Facts {
                    service: Arc::clone(&cluster.service),
                    destination: Arc::clone(&member.endpoint.labels),
                    cluster: state.name().to_string(),
                    host: member.host.to_string(),
                    security: if over_mesh {
                        SecurityPolicy::MutualTls
                    } else {
                        SecurityPolicy::None
                    },
                    settings: member.settings,
                    tracking,
                });
                return Ok(Reached { facts, server });
            }
            Err(error @ DialError::Limit(_)) => return Err(error.into()),
            Err(error) => {
                tracking.failed_with(Outcome::ConnectFailure);
                let again = tried.contains(&member.endpoint.uid);
                tried.push(Arc::clone(&member.endpoint.uid));
                if again || tried.len() >= TRIES {
                    return Err(error.into());
                }
            }
        }
    }
}

// === impl Reached, Unreachable ===

impl Reached {
    /// Carries the bytes of a client until the connection ends or `cut` gives a reason to end it.
    pub(crate) async fn carry(
        self,
        worker: &Rc<Worker>,
        stream: Stream,
        mut carriage: Box<Carriage>,
        cut: impl Future<Output = Reason>,
    ) {
        let _hold = worker.hold(Work::Tcp);
        let Self { facts, server } = self;
        carriage.service = facts.service;
        carriage.destination = facts.destination;
        carriage.security = facts.security;
        carriage.cluster = facts.cluster;
        carriage.host = facts.host;
        if let Some(idle) = facts.settings.tcp_idle_timeout {
            carriage.limits = RelayLimits { idle, ..LIMITS };
        }
        let too_old = async {
            match facts.settings.max_connection_duration {
                Some(age) => tokio::time::sleep(age).await,
                None => pending().await,
            }
            Reason::MaxConnectionDuration
        };
        let cut = Box::pin(async {
            tokio::select! {
                reason = cut => reason,
                reason = too_old => reason,
            }
        });
        carriage.carry(stream, server, cut).await;
        facts.tracking.finished();
    }

    pub(super) fn into_parts(self) -> (Facts, Stream) {
        (*self.facts, self.server)
    }

    pub(super) fn from_parts(facts: Facts, server: Stream) -> Self {
        Self {
            facts: Box::new(facts),
            server,
        }
    }
}

impl From<Reason> for Unreachable {
    fn from(reason: Reason) -> Self {
        Self {
            reason,
            failure: String::new(),
        }
    }
}

impl From<DialError> for Unreachable {
    fn from(error: DialError) -> Self {
        Self {
            reason: error.reason(),
            failure: error.to_string(),
        }
    }
}
