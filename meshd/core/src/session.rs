//! The control plane's side of one discovery stream, as a state machine: requests in, responses
//! out. It knows what the proxy subscribes to, what it holds and what it runs.
//!
//! A response brings the proxy to one revision, whole. What the proxy refuses it is not sent
//! again until it changes.

mod held;

use std::collections::{BTreeSet, VecDeque};

use mesh_api::v1::{DiscoveryRequest, DiscoveryResponse, ProxyKind, Rejection, Resource};
use mesh_api::{InvalidResourceName, ResourceName};

use held::Held;

use crate::translate::{Translation, endpoints_after, translation};
use crate::world::{History, ServiceId};
use crate::{Scope, World};

/// Roots that one proxy may subscribe to: more than twice what ours keep.
const SUBSCRIPTIONS: usize = 16_384;
/// What a proxy says of itself, in bytes.
const LARGEST_NODE: usize = 64 * 1024;
/// The same of its certificates: a rotation has a few roots, of 32 bytes each.
const LARGEST_REPORT: usize = 16 * 1024;
/// Texts of refusals, in bytes.
const LONGEST_TEXT: usize = 1024;
/// Refusals that are remembered.
const REMEMBERED: usize = 8;
/// Responses on their way; more wait until the proxy has answered.
const IN_FLIGHT: usize = 16;

/// One proxy's stream.
#[derive(Debug)]
pub struct Session {
    scope: Scope,
    opened: bool,
    subscriptions: BTreeSet<ResourceName>,
    /// What the proxy holds, or will once it has our responses.
    held: Held,
    /// Roots to send even if the proxy may hold them: it has just asked.
    asked: BTreeSet<ResourceName>,
    /// Nonce and revision of responses without an answer.
    in_flight: VecDeque<(String, u64)>,
    responses: u64,
    /// What everything sent so far comes from; absent if the proxy wants something else now.
    seen: Option<Seen>,
    sent_revision: u64,
    acked_revision: u64,
    rejected: VecDeque<Rejection>,
}

/// A World, and what of its endpoints the proxy has.
#[derive(Debug)]
struct Seen {
    digest: String,
    history: History,
    services: Vec<ServiceId>,
    any_workload: bool,
}

/// New and changed resources, and names of those to drop.
type Change = (Vec<Resource>, Vec<String>);

/// What a proxy must not say. The stream is of no use after it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// The first request does not say who asks.
    #[error("the first request of a stream must carry the node")]
    NoNode,
    /// A later request says it again.
    #[error("only the first request of a stream may carry {0}")]
    NotFirst(&'static str),
    /// A name cannot be read.
    #[error(transparent)]
    Name(#[from] InvalidResourceName),
    /// Services and workloads come with the roots that need them.
    #[error("{0} cannot be subscribed to: it comes with what needs it")]
    NotRoot(ResourceName),
    /// `inbound/self` is for sidecars, `gateway/self` for gateways.
    #[error("{0} is not for this kind of proxy")]
    WrongKind(ResourceName),
    /// It subscribes to more than any proxy keeps.
    #[error("more than {0} subscriptions")]
    TooMany(usize),
    /// It says more of itself than there is to say.
    #[error("{0} is larger than {1} bytes")]
    TooLarge(&'static str, usize),
    /// An acknowledgement of nothing that was sent.
    #[error("nonce `{0}` does not belong to a response that waits for an answer")]
    UnknownNonce(String),
}

// === impl ProtocolError ===

impl ProtocolError {
    /// The name in snake case: what the proxy and the log are told.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NoNode => "no_node",
            Self::NotFirst(_) => "not_first_request",
            Self::Name(_) => "resource_name",
            Self::NotRoot(_) => "resource_not_root",
            Self::WrongKind(_) => "resource_of_other_kind",
            Self::TooMany(_) => "too_many_subscriptions",
            Self::TooLarge(..) => "too_large",
            Self::UnknownNonce(_) => "unknown_nonce",
        }
    }
}

// === impl Session ===

impl Session {
    /// Begins a stream for a proxy that has been authenticated.
    pub fn new(scope: Scope) -> Self {
        Self {
            scope,
            opened: false,
            subscriptions: BTreeSet::new(),
            held: Held::default(),
            asked: BTreeSet::new(),
            in_flight: VecDeque::new(),
            responses: 0,
            seen: None,
            sent_revision: 0,
            acked_revision: 0,
            rejected: VecDeque::new(),
        }
    }

    /// Takes in one request.
    ///
    /// # Errors
    /// If it breaks the protocol; nothing of it is taken in then.
    pub fn on_request(&mut self, request: &DiscoveryRequest) -> Result<(), ProtocolError> {
        if !self.opened && request.node.is_none() {
            return Err(ProtocolError::NoNode);
        }
        if self.opened && request.node.is_some() {
            return Err(ProtocolError::NotFirst("the node"));
        }
        if self.opened && !request.known.is_empty() {
            return Err(ProtocolError::NotFirst("known resources"));
        }
        for (what, size, most) in [
            (
                "the node",
                request.node.as_ref().map(prost::Message::encoded_len),
                LARGEST_NODE,
            ),
            (
                "the report",
                request.identity.as_ref().map(prost::Message::encoded_len),
                LARGEST_REPORT,
            ),
        ] {
            if size > Some(most) {
                return Err(ProtocolError::TooLarge(what, most));
            }
        }
        let new = request
            .subscribe
            .len()
            .saturating_sub(request.unsubscribe.len());
        if self.subscriptions.len().saturating_add(new) > SUBSCRIPTIONS {
            return Err(ProtocolError::TooMany(SUBSCRIPTIONS));
        }
        let subscribe = self.roots(&request.subscribe)?;
        let unsubscribe = self.roots(&request.unsubscribe)?;
        for name in request.known.keys() {
            name.parse::<ResourceName>()?;
        }
        if let Some(ack) = &request.ack {
            self.acknowledged(&ack.nonce, &ack.rejected)?;
        }
        let first = !std::mem::replace(&mut self.opened, true);
        let known = request.known.iter();
        self.held
            .extend(known.map(|(name, version)| (name.clone(), version.clone())));
        for name in unsubscribe {
            self.subscriptions.remove(&name);
            self.asked.remove(&name);
            // Whether the proxy drops it at once is its own business: asked for again, it is sent
            // again.
            self.seen = None;
        }
        for name in subscribe {
            if self.subscriptions.insert(name.clone()) {
                if !first {
                    self.asked.insert(name);
                }
                self.seen = None;
            }
        }
        Ok(())
    }

    fn roots(&self, names: &[String]) -> Result<Vec<ResourceName>, ProtocolError> {
        let mut roots = Vec::new();
        for name in names {
            let name: ResourceName = name.parse()?;
            if !name.is_root() {
                return Err(ProtocolError::NotRoot(name));
            }
            let other = match name {
                ResourceName::Inbound => ProxyKind::Gateway,
                ResourceName::Gateway => ProxyKind::Sidecar,
                _ => ProxyKind::Unspecified,
            };
            if self.scope.kind() == other {
                return Err(ProtocolError::WrongKind(name));
            }
            roots.push(name);
        }
        Ok(roots)
    }

    fn acknowledged(&mut self, nonce: &str, rejected: &[Rejection]) -> Result<(), ProtocolError> {
        let at = self.in_flight.iter().position(|(known, _)| known == nonce);
        let at = at.ok_or_else(|| ProtocolError::UnknownNonce(nonce.chars().take(64).collect()))?;
        // Responses are applied in order: an answer to one answers those before.
        let revision = self
            .in_flight
            .drain(..=at)
            .next_back()
            .map_or(0, |(_, revision)| revision);
        self.acked_revision = self.acked_revision.max(revision);
        for rejection in rejected.iter().take(REMEMBERED) {
            let mut told = rejection.clone();
            for text in [&mut told.resource, &mut told.reason, &mut told.version] {
                text.truncate(text.floor_char_boundary(LONGEST_TEXT));
            }
            self.rejected.push_front(told);
        }
        self.rejected.truncate(REMEMBERED);
        Ok(())
    }

    /// The response that brings the proxy to this World, if there is anything to say: new and
    /// changed resources, removed ones, or an answer to a subscription. The first response of a
    /// stream is always sent, so that the proxy knows that it is up to date.
    ///
    /// To be asked after every request and for every World. `revision` must not fall in the life
    /// of a session.
    pub fn next(&mut self, world: &World, revision: u64) -> Option<DiscoveryResponse> {
        if !self.opened || self.in_flight.len() >= IN_FLIGHT {
            return None;
        }
        if self.holds(world) {
            if let Some(seen) = &mut self.seen {
                seen.update(world);
            }
            self.idle(revision);
            return None;
        }
        let change = self.endpoints(world);
        let (upsert, removed) = match change {
            Some(change) => change,
            None => self.everything(world),
        };
        self.asked.clear();
        if self.responses > 0 && upsert.is_empty() && removed.is_empty() {
            self.idle(revision);
            return None;
        }
        self.responses += 1;
        let nonce = self.responses.to_string();
        self.in_flight.push_back((nonce.clone(), revision));
        self.sent_revision = revision;
        Some(DiscoveryResponse {
            nonce,
            revision,
            digest: world.digest().to_owned(),
            upsert,
            removed,
        })
    }

    /// What the proxy needs and does not hold, and what it holds and does not need, by compiling
    /// all it subscribes to.
    fn everything(&mut self, world: &World) -> Change {
        let Translation {
            resources: wanted,
            services,
            any_workload,
        } = translation(world, &self.scope, &self.subscriptions);
        let upsert: Vec<_> = wanted
            .iter()
            .filter(|(name, resource)| self.asked.contains(*name) || !self.held.has(resource))
            .map(|(_, resource)| (**resource).clone())
            .collect();
        let before = std::mem::replace(&mut self.held, Held::of(wanted.values()));
        let removed = before.missing_in(&self.held);
        self.seen = Some(Seen {
            digest: world.digest().to_owned(),
            history: world.inner().history.clone(),
            services,
            any_workload,
        });
        (upsert, removed)
    }

    /// The same where only endpoints of services changed that the proxy has: mostly so, and then
    /// a matter of these endpoints alone.
    fn endpoints(&mut self, world: &World) -> Option<Change> {
        let seen = self.seen.as_mut()?;
        let number = seen.history.number;
        if seen.is_old_for(world, &self.scope) {
            return None;
        }
        let touched: Vec<ServiceId> = seen
            .services
            .iter()
            .copied()
            .filter(|id| world.inner().service_changed(*id, number))
            .collect();
        let endpoints = endpoints_after(world, &self.scope, (&touched, number))?;
        let mut upsert = Vec::new();
        for resource in endpoints.there {
            if self.held.insert(&resource) {
                upsert.push((*resource).clone());
            }
        }
        let mut removed = Vec::new();
        for uid in endpoints.left {
            let name = ResourceName::Workload(uid.to_owned()).to_string();
            if !world.inner().backs_any(uid, &seen.services) && self.held.remove(&name) {
                removed.push(name);
            }
        }
        seen.update(world);
        Some((upsert, removed))
    }

    /// Whether all that was sent is what this World would give as well, as far as can be told
    /// without compiling: it brings nothing new for what the proxy subscribes to, nor for its
    /// workload.
    pub fn holds(&self, world: &World) -> bool {
        self.seen
            .as_ref()
            .is_some_and(|seen| seen.holds(world, &self.scope))
    }

    /// A revision that changes nothing for this proxy is reached without a word, once all that
    /// was sent before is acknowledged.
    fn idle(&mut self, revision: u64) {
        if self.responses == 0 {
            return;
        }
        self.sent_revision = self.sent_revision.max(revision);
        match self.in_flight.back_mut() {
            None => self.acked_revision = self.acked_revision.max(revision),
            Some((_, last)) => *last = revision.max(*last),
        }
    }

    /// Who it is.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Whether no response waits for its answer.
    pub fn is_settled(&self) -> bool {
        self.opened && self.in_flight.is_empty()
    }

    /// Newest revision sent; 0 before the first.
    pub fn sent_revision(&self) -> u64 {
        self.sent_revision
    }

    /// Newest revision that the proxy runs; 0 before the first.
    pub fn acked_revision(&self) -> u64 {
        self.acked_revision
    }

    /// The last refusals, newest first.
    pub fn rejected(&self) -> impl Iterator<Item = &Rejection> {
        self.rejected.iter()
    }

    /// Roots that the proxy subscribes to.
    pub fn subscriptions(&self) -> impl Iterator<Item = &ResourceName> {
        self.subscriptions.iter()
    }

    /// Number of resources that the proxy holds.
    pub fn resources(&self) -> usize {
        self.held.len()
    }
}

// === impl Seen ===

impl Seen {
    fn update(&mut self, world: &World) {
        world.digest().clone_into(&mut self.digest);
        self.history = world.inner().history.clone();
    }

    fn holds(&self, world: &World, scope: &Scope) -> bool {
        if self.digest == world.digest() {
            return true;
        }
        let (inner, number) = (world.inner(), self.history.number);
        let touched = |id: &ServiceId| inner.service_changed(*id, number);
        (inner.history.continues(&self.history) && inner.history.unchanged_since(number))
            || (!self.is_old_for(world, scope) && !self.services.iter().any(touched))
    }

    /// Whether more may have changed than endpoints of the services.
    fn is_old_for(&self, world: &World, scope: &Scope) -> bool {
        let (world, number) = (world.inner(), self.history.number);
        // Without a workload of its own there may have been one before.
        let own = world.workload(scope.workload());
        !world.history.continues(&self.history)
            || world.history.configured > number
            || self.any_workload
            || own.is_none_or(|own| own.since > number)
    }
}
