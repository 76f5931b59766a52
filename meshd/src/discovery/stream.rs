//! One stream: requests and published worlds in, responses out.
//!
//! It runs in the task of its connection, so that it ends with it, and a slow reader holds up
//! nobody else. One push is under way at a time; what changes meanwhile is in the next one.

use std::sync::Arc;
use std::time::Instant;

use futures_util::{Stream, stream};
use mesh_api::v1::{DiscoveryRequest, DiscoveryResponse, Node};
use meshd_core::session::{ProtocolError, Session};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tonic::{Status, Streaming};

use super::admission::{Peer, Refusal, named};
use super::{FIRST_REQUEST, Shared};
use crate::clock;
use crate::publish::Published;
use crate::registration::Stay;
use crate::registry::{Live, Presence};

/// Refusals of one response that are logged, and characters of each.
const LOGGED: usize = 64;
const LONGEST_LOGGED: usize = 512;

struct Conversation {
    shared: Arc<Shared>,
    peer: Peer,
    node: Node,
    requests: Streaming<DiscoveryRequest>,
    published: watch::Receiver<Arc<Published>>,
    presence: Presence,
    // A push whose way into force is measured: its nonce, and when its revision was published.
    measured: Option<(String, Instant)>,
    // It has asked for something and is answered whatever else is under way.
    asked: bool,
    stay: Option<Stay>,
}

/// A stream before its first request.
struct Opening {
    shared: Arc<Shared>,
    peer: Peer,
    requests: Streaming<DiscoveryRequest>,
}

enum State {
    Begin(Box<Opening>),
    Talk(Box<Conversation>),
    End,
}

/// The responses to a stream of requests.
pub(super) fn responses(
    shared: Arc<Shared>,
    peer: Peer,
    requests: Streaming<DiscoveryRequest>,
) -> impl Stream<Item = Result<DiscoveryResponse, Status>> {
    let opening = Opening {
        shared,
        peer,
        requests,
    };
    stream::unfold(State::Begin(Box::new(opening)), |state| async move {
        let mut conversation = match state {
            State::Begin(opening) => match Box::pin(begin(*opening)).await {
                Ok(Some(conversation)) => conversation,
                Ok(None) => return None,
                Err(status) => return Some((Err(status), State::End)),
            },
            State::Talk(conversation) => conversation,
            State::End => return None,
        };
        match conversation.next().await {
            Ok(Some(response)) => Some((Ok(response), State::Talk(conversation))),
            Ok(None) => None,
            Err(status) => Some((Err(status), State::End)),
        }
    })
}

/// Waits for the first request and decides whether to talk.
async fn begin(opening: Opening) -> Result<Option<Box<Conversation>>, Status> {
    let Opening {
        shared,
        peer,
        mut requests,
    } = opening;
    let first = timeout(FIRST_REQUEST, requests.message())
        .await
        .map_err(|_| Status::deadline_exceeded("no first request came"))??;
    let Some(first) = first else {
        return Ok(None);
    };
    let mut published = shared.published.clone();
    let refuse = |refusal: Refusal| {
        shared.refused(&refusal);
        Status::from(refusal)
    };
    let mut node = first.node.clone().ok_or_else(|| refuse(Refusal::NoNode))?;
    let world = published.borrow_and_update().world.clone();
    let mut scope = peer.admit(&world, &node).map_err(refuse)?;
    let workload = scope.workload().clone();
    let labels = peer
        .may_register(&workload, &node, shared.registrations.allowed())
        .map_err(refuse)?;
    if let Some(labels) = &labels {
        // Policies for its labels hold from its first configuration on.
        node.labels.extend(labels.clone());
        scope = peer.admit(&world, &node).map_err(refuse)?;
    }
    let mut session = Session::new(scope);
    session
        .on_request(&first)
        .map_err(|error| broken(&shared, &node, &error))?;
    tracing::info!(%workload, identity = %peer.identity, "a proxy connected");
    let live = Live::new(
        session,
        node.clone(),
        peer.identity.clone(),
        clock::unix_seconds(peer.not_after),
    );
    let presence = shared.registry.enter(workload, live);
    let number = presence.number();
    let stay = labels.and_then(|labels| {
        let registrations = &shared.registrations;
        registrations.enter(&node, labels, &peer.identity, number)
    });
    Ok(Some(Box::new(Conversation {
        shared,
        peer,
        node,
        requests,
        published,
        presence,
        measured: None,
        asked: true,
        stay,
    })))
}

// === impl Conversation ===

impl Conversation {
    /// The next thing to say; `None` when the proxy has hung up.
    async fn next(&mut self) -> Result<Option<DiscoveryResponse>, Status> {
        let mut pushing = false;
        loop {
            if std::mem::take(&mut self.asked) || self.presence.with(|session| session.is_settled())
            {
                let published = self.published.borrow_and_update().clone();
                if let Some(response) = self.respond(&published, std::mem::take(&mut pushing)) {
                    return Ok(Some(response));
                }
            }
            tokio::select! {
                request = self.requests.message() => match request? {
                    Some(request) => self.take(&request)?,
                    None => return Ok(None),
                },
                changed = self.published.changed() => {
                    changed.map_err(|_| stopping())?;
                    pushing = true;
                    if !self.holds() {
                        self.admit_again()?;
                    }
                }
                () = self.shared.shutdown.cancelled() => return Err(stopping()),
                // In steps, since the wall clock may be set.
                () = sleep(clock::until(self.peer.not_after).min(FIRST_REQUEST)) => {
                    if clock::until(self.peer.not_after).is_zero() {
                        tracing::info!(workload = self.node.workload, "the certificate of a stream has expired");
                        return Err(Status::unavailable(Refusal::CertificateExpired.to_string()));
                    }
                }
            }
        }
    }

    fn respond(&mut self, published: &Published, pushing: bool) -> Option<DiscoveryResponse> {
        let response = self
            .presence
            .with(|session| session.next(&published.world, published.revision))?;
        self.shared.metrics.count_push();
        tracing::debug!(
            workload = self.node.workload,
            revision = response.revision,
            upsert = response.upsert.len(),
            removed = response.removed.len(),
            "sent"
        );
        if pushing {
            self.measured = Some((response.nonce.clone(), published.at));
        }
        Some(response)
    }

    fn take(&mut self, request: &DiscoveryRequest) -> Result<(), Status> {
        let rejected = request
            .ack
            .as_ref()
            .map(|ack| ack.rejected.as_slice())
            .unwrap_or_default();
        for rejection in rejected.iter().take(LOGGED) {
            self.shared.metrics.count_reject();
            let short = |text: &str| text.chars().take(LONGEST_LOGGED).collect::<String>();
            tracing::warn!(
                workload = self.node.workload,
                resource = short(&rejection.resource),
                reason = short(&rejection.reason),
                "a proxy refused a resource; it keeps the last good version"
            );
        }
        self.presence
            .with(|session| session.on_request(request))
            .map_err(|error| broken(&self.shared, &self.node, &error))?;
        self.asked |= !request.subscribe.is_empty();
        if let Some(report) = &request.identity {
            self.presence.identity_reported(report);
        }
        self.shared.keys.unknown(&request.unknown_keys);
        if request.leaving {
            self.presence.leaves();
            if let Some(stay) = &self.stay {
                stay.leave();
            }
        }
        if let Some(ack) = &request.ack
            && let Some((_, published)) = self.measured.take_if(|(nonce, _)| *nonce == ack.nonce)
        {
            self.shared
                .metrics
                .converged(clock::instant().saturating_duration_since(published));
        }
        Ok(())
    }

    /// Whether the new world is nothing to this proxy. Most are, where there are many proxies.
    fn holds(&self) -> bool {
        let published = self.published.borrow();
        self.presence
            .with(|session| session.holds(&published.world))
    }

    /// The new world may know the workload by another service account.
    fn admit_again(&self) -> Result<(), Status> {
        let world = self.published.borrow().world.clone();
        self.peer
            .admit(&world, &self.node)
            .map(drop)
            .map_err(|refusal| {
                self.shared.refused(&refusal);
                Status::from(refusal)
            })
    }
}

fn broken(shared: &Shared, node: &Node, error: &ProtocolError) -> Status {
    let reason = error.reason();
    shared.metrics.count_refused();
    tracing::warn!(workload = node.workload, reason, %error, "a proxy breaks the protocol; its stream ends");
    named(Status::invalid_argument(error.to_string()), reason)
}

fn stopping() -> Status {
    Status::unavailable("the control plane stops; connect again")
}
