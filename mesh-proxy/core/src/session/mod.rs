//! The client's side of the discovery protocol: what the proxy subscribes to, and for how long.
//!
//! A state machine without I/O: [`ClientSession::on`] takes what happened and says what to do.
//! Subscriptions outlive streams: after a reconnect the first request tells what is wanted and
//! what is still held, so that nothing is sent twice.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use mesh_api::{ResourceName, v1};

use crate::snapshot::{Applied, Snapshot};

/// The subscriptions of one proxy.
#[derive(Debug)]
pub struct ClientSession {
    node: v1::Node,
    limits: Limits,
    connected: bool,
    roots: BTreeMap<ResourceName, Root>,
}

/// Bounds of what is subscribed to on demand.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A destination that was not used for so long is dropped.
    pub idle: Duration,
    /// At most so many destinations; the least recently used one makes room.
    pub destinations: usize,
    /// The same for host names that were looked up. They never take a destination's place.
    pub names: usize,
}

/// What happened.
#[derive(Debug)]
pub enum Event<'a> {
    /// A stream was opened. The snapshot is what the proxy holds.
    Connected(&'a Snapshot),
    /// The stream ended.
    Disconnected,
    /// A destination is needed: [`Step::Need`](crate::plan::Step::Need).
    Want(ResourceName),
    /// These destinations were used.
    Used(&'a [ResourceName]),
    /// A response came and was applied.
    Response {
        /// The response.
        response: &'a v1::DiscoveryResponse,
        /// What became of it.
        applied: &'a Applied,
    },
    /// Time has passed. Ask about once a second.
    Tick,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Send this to the control plane.
    Send(Box<v1::DiscoveryRequest>),
    /// These are there now: whoever waits for one can ask again.
    Satisfied(Vec<ResourceName>),
    /// These were refused and no good version is held: whoever waits for one fails.
    Refused(Vec<ResourceName>),
    /// These are no longer subscribed to; the control plane will remove them.
    Dropped(Vec<ResourceName>),
}

#[derive(Clone, Copy, Debug)]
struct Root {
    // Absent: pinned, never dropped.
    last_used: Option<Instant>,
    held: bool,
    // Refused without a good version before; asked for again by the next want.
    refused: bool,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle: Duration::from_secs(300),
            destinations: 4096,
            names: 2048,
        }
    }
}

// === impl ClientSession ===

impl ClientSession {
    /// Subscribes to `pinned` for good (the mesh, and the proxy's own inbound or gateway
    /// configuration) and, on a lease, to the destinations that the snapshot holds from before.
    pub fn new(
        node: v1::Node,
        pinned: impl IntoIterator<Item = ResourceName>,
        limits: Limits,
        held: &Snapshot,
        now: Instant,
    ) -> Self {
        let mut roots: BTreeMap<_, _> = pinned
            .into_iter()
            .map(|name| {
                (
                    name.clone(),
                    Root {
                        last_used: None,
                        held: held.holds(&name),
                        refused: false,
                    },
                )
            })
            .collect();
        let destinations = held
            .names()
            .filter(|name| is_destination(name))
            .take(limits.destinations);
        let names = held
            .names()
            .filter(|name| is_host_name(name))
            .take(limits.names);
        for name in destinations.chain(names) {
            roots.entry(name.clone()).or_insert(Root {
                last_used: Some(now),
                held: true,
                refused: false,
            });
        }
        Self {
            node,
            limits,
            connected: false,
            roots,
        }
    }

    /// What is subscribed to, sorted.
    pub fn wanted(&self) -> impl Iterator<Item = &ResourceName> {
        self.roots.keys()
    }

    /// Whether a stream is open.
    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// Whether all the pinned resources are there: the proxy can serve.
    pub fn is_ready(&self) -> bool {
        self.roots
            .values()
            .filter(|root| root.last_used.is_none())
            .all(|root| root.held)
    }

    /// Changes what the node says of itself, from the next stream on.
    pub fn set_node(&mut self, node: v1::Node) {
        self.node = node;
    }

    /// Takes an event. The actions are to be done in order.
    pub fn on(&mut self, event: Event<'_>, now: Instant) -> Vec<Action> {
        match event {
            Event::Connected(snapshot) => self.connect(snapshot),
            Event::Disconnected => {
                self.connected = false;
                Vec::new()
            }
            Event::Want(name) => self.want(name, now),
            Event::Used(names) => {
                for name in names {
                    self.touch(name, now);
                }
                Vec::new()
            }
            Event::Response { response, applied } => self.response(response, applied),
            Event::Tick => self.expire(now),
        }
    }

    fn connect(&mut self, snapshot: &Snapshot) -> Vec<Action> {
        self.connected = true;
        for (name, root) in &mut self.roots {
            root.held = snapshot.holds(name);
            root.refused = false;
        }
        vec![Action::Send(Box::new(v1::DiscoveryRequest {
            node: Some(self.node.clone()),
            subscribe: self.roots.keys().map(ToString::to_string).collect(),
            known: snapshot.known(),
            ..v1::DiscoveryRequest::default()
        }))]
    }

    fn touch(&mut self, name: &ResourceName, now: Instant) {
        if let Some(Root {
            last_used: Some(last_used),
            ..
        }) = self.roots.get_mut(name)
        {
            *last_used = (*last_used).max(now);
        }
    }

    fn want(&mut self, name: ResourceName, now: Instant) -> Vec<Action> {
        self.touch(&name, now);
        if let Some(root) = self.roots.get_mut(&name) {
            if root.held {
                return vec![Action::Satisfied(vec![name])];
            }
            // Under way, unless it was refused: then it may have been repaired since.
            return if std::mem::take(&mut root.refused) {
                self.send(&[name], &[])
            } else {
                Vec::new()
            };
        }
        if !name.is_root() {
            // Comes only with what needs it; nobody can subscribe to it.
            return vec![Action::Refused(vec![name])];
        }
        let evicted = self.make_room(is_host_name(&name));
        self.roots.insert(
            name.clone(),
            Root {
                last_used: Some(now),
                held: false,
                refused: false,
            },
        );
        let mut actions = self.send(&[name], &evicted);
        if !evicted.is_empty() {
            actions.push(Action::Dropped(evicted));
        }
        actions
    }

    /// Drops the least recently used destinations, or host names, until one more fits.
    fn make_room(&mut self, for_host_name: bool) -> Vec<ResourceName> {
        let most = if for_host_name {
            self.limits.names
        } else {
            self.limits.destinations
        };
        let mut leased: Vec<_> = self
            .roots
            .iter()
            .filter(|(name, _)| is_host_name(name) == for_host_name)
            .filter_map(|(name, root)| Some((root.last_used?, name.clone())))
            .collect();
        let excess = (leased.len() + 1).saturating_sub(most.max(1));
        if excess == 0 {
            return Vec::new();
        }
        leased.sort();
        let evicted: Vec<_> = leased
            .into_iter()
            .take(excess)
            .map(|(_, name)| name)
            .collect();
        for name in &evicted {
            self.roots.remove(name);
        }
        evicted
    }

    fn expire(&mut self, now: Instant) -> Vec<Action> {
        let idle =
            |last_used: Instant| now.saturating_duration_since(last_used) >= self.limits.idle;
        let expired: Vec<_> = self
            .roots
            .iter()
            .filter(|(_, root)| root.last_used.is_some_and(idle))
            .map(|(name, _)| name.clone())
            .collect();
        if expired.is_empty() {
            return Vec::new();
        }
        for name in &expired {
            self.roots.remove(name);
        }
        let mut actions = self.send(&[], &expired);
        actions.push(Action::Dropped(expired));
        actions
    }

    /// A change of subscriptions, if a stream is open; otherwise the next one's first request
    /// tells.
    fn send(&self, subscribe: &[ResourceName], unsubscribe: &[ResourceName]) -> Vec<Action> {
        if !self.connected {
            return Vec::new();
        }
        let names = |list: &[ResourceName]| list.iter().map(ToString::to_string).collect();
        vec![Action::Send(Box::new(v1::DiscoveryRequest {
            subscribe: names(subscribe),
            unsubscribe: names(unsubscribe),
            ..v1::DiscoveryRequest::default()
        }))]
    }

    fn response(&mut self, response: &v1::DiscoveryResponse, applied: &Applied) -> Vec<Action> {
        let ack = v1::Ack {
            nonce: response.nonce.clone(),
            revision: response.revision,
            rejected: applied.rejected.clone(),
        };
        let request = v1::DiscoveryRequest {
            ack: Some(ack),
            ..v1::DiscoveryRequest::default()
        };
        let mut actions = vec![Action::Send(Box::new(request))];
        let rejected: BTreeSet<ResourceName> = applied
            .rejected
            .iter()
            .filter_map(|rejection| rejection.resource.parse().ok())
            .collect();
        let (mut satisfied, mut refused) = (Vec::new(), Vec::new());
        for (name, root) in &mut self.roots {
            let was_held = std::mem::replace(&mut root.held, applied.snapshot.holds(name));
            if root.held && !was_held {
                root.refused = false;
                satisfied.push(name.clone());
            } else if !root.held && rejected.contains(name) {
                root.refused = true;
                refused.push(name.clone());
            }
        }
        actions.extend((!satisfied.is_empty()).then_some(Action::Satisfied(satisfied)));
        actions.extend((!refused.is_empty()).then_some(Action::Refused(refused)));
        actions
    }
}

fn is_destination(name: &ResourceName) -> bool {
    matches!(name, ResourceName::Routes { .. } | ResourceName::Address(_))
}

fn is_host_name(name: &ResourceName) -> bool {
    matches!(name, ResourceName::Name(_))
}

#[cfg(test)]
mod tests;
