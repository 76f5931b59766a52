//! Opaque bytes and foreign TLS to their destination.

use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;

use mesh_proxy_core::Reason;
use mesh_proxy_core::balance::Outcome;
use mesh_proxy_core::ir::Cluster;
use mesh_proxy_core::labels::{PeerLabels, Reporter, SecurityPolicy, ServiceLabels};
use mesh_proxy_core::plan::{self, AddressPlan, TcpAction, TcpTarget};

use super::{Target, decide, passthrough};
use crate::clock;
use crate::drain::Work;
use crate::net::Stream;
use crate::tls::Alpn;
use crate::upstream::{Carriage, DialError, Pick, Secure, Tracking};
use crate::worker::Worker;

// Endpoints that are tried: nothing was sent yet, so another one does no harm.
const TRIES: usize = 3;

/// A destination with an open connection to it.
pub(crate) struct Reached {
    facts: Facts,
    server: Stream,
}

/// Which endpoint it is.
pub(crate) struct Facts {
    service: Arc<ServiceLabels>,
    destination: Arc<PeerLabels>,
    cluster: String,
    host: String,
    security: SecurityPolicy,
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
    match reach(&worker, &target, &plan, server_name.as_deref()).await {
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

fn begin(worker: &Rc<Worker>, stream: &Stream) -> Carriage {
    let mut carriage = Carriage::begin(worker, Reporter::Source, stream);
    carriage.source = Arc::clone(&worker.own_labels);
    carriage
}

/// Opens the connection to the destination that the routes name.
pub(super) async fn reach(
    worker: &Rc<Worker>,
    target: &Target,
    plan: &AddressPlan,
    server_name: Option<&str>,
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
        TcpAction::Forward(cluster) => endpoint(worker, target, &cluster).await,
        TcpAction::Passthrough => {
            let address = passthrough::address(&target.host, target.port, target.original);
            let connector = worker.upstreams.connector();
            let server = connector
                .dial(&address, &Secure::Plain, Alpn::Tcp, passthrough::CONNECT)
                .await?;
            let facts = Facts {
                service: Arc::new(ServiceLabels::passthrough(target.host.as_str())),
                destination: PeerLabels::unknown(),
                cluster: passthrough::CLUSTER.to_owned(),
                host: address.to_string(),
                security: SecurityPolicy::None,
                tracking: Tracking::none(),
            };
            Ok(Reached { facts, server })
        }
    }
}

/// Opens a connection to one of the endpoints.
pub(crate) async fn endpoint(
    worker: &Rc<Worker>,
    target: &Target,
    cluster: &Arc<Cluster>,
) -> Result<Reached, Unreachable> {
    let state = worker.upstreams.target(cluster).await?;
    let mut tried = Vec::new();
    loop {
        let now = clock::monotonic();
        let picked = {
            let mut rng = worker.rng.borrow_mut();
            state.pick((&target.host, target.port), &tried, &mut *rng, now)
        };
        let Ok(Pick {
            member,
            mut tracking,
        }) = picked
        else {
            return Err(Reason::NoHealthyEndpoint.into());
        };
        let connector = worker.upstreams.connector();
        let dialed = connector
            .dial(
                &member.endpoint.address,
                &member.secure,
                Alpn::Tcp,
                cluster.connect_timeout,
            )
            .await;
        match dialed {
            Ok(server) => {
                tracking.answered(Outcome::Success, clock::monotonic().duration_since(now));
                let over_mesh = matches!(member.secure, Secure::Mesh { .. });
                let facts = Facts {
                    service: Arc::clone(&cluster.service),
                    destination: Arc::clone(&member.endpoint.labels),
                    cluster: state.name().to_string(),
                    host: member.host.to_string(),
                    security: if over_mesh {
                        SecurityPolicy::MutualTls
                    } else {
                        SecurityPolicy::None
                    },
                    tracking,
                };
                return Ok(Reached { facts, server });
            }
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
        mut carriage: Carriage,
        cut: impl Future<Output = Reason>,
    ) {
        let _hold = worker.hold(Work::Tcp);
        let Self { facts, server } = self;
        carriage.service = facts.service;
        carriage.destination = facts.destination;
        carriage.security = facts.security;
        carriage.cluster = facts.cluster;
        carriage.host = facts.host;
        carriage.carry(stream, server, cut).await;
        facts.tracking.finished();
    }

    pub(super) fn into_parts(self) -> (Facts, Stream) {
        (self.facts, self.server)
    }

    pub(super) fn from_parts(facts: Facts, server: Stream) -> Self {
        Self { facts, server }
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
