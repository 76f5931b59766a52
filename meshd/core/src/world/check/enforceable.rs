//! Policies against what each place can enforce: workloads without a proxy, ports that are not
//! captured, ports that carry no HTTP, callers who prove nothing.
//!
//! The proxy narrows what it cannot see, as Istio does (checkError in
//! pilot/pkg/security/authz/model): a rule of an ALLOW policy that needs HTTP matches nothing on
//! opaque connections, and one of another policy matches without what it says of HTTP, so that it
//! denies more. Who wrote it should know.

mod identity;
mod ports;

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use mesh_api::v1::{ExternalAuthorizer, MtlsMode, Origin};

use super::super::objects::Objects;
use super::Findings;
use crate::coverage::{
    self, Call, Called, Carries, CoverageVerdict, Destination, Enforcer, Peer, Strongest, decide_by,
};
use crate::model::{AuthorizationPolicy, Meta, Placement};
use crate::problem::code;
use crate::world::Inner;

/// A policy cannot hold somewhere, for there is nothing to enforce it.
const NOT_ENFORCED: &str = "policy-not-enforced";
/// So many are named in a message.
const NAMED: usize = 5;

/// What a finding is about, its code and its text.
type Finding = (Origin, &'static str, String);

/// What policies are held against.
struct Places<'w> {
    inner: &'w Inner,
    all: Vec<Place<'w>>,
    /// By namespace.
    placed: HashMap<&'w str, Vec<usize>>,
    authorizers: Vec<ExternalAuthorizer>,
    /// What policies, by their addresses, say of those who prove nothing: by port, and whether
    /// they send requests.
    strongest: RefCell<HashMap<(usize, u32, bool), Strongest>>,
}

/// A workload, with what is found out about it once for all policies.
struct Place<'w> {
    to: Destination<'w>,
    /// Ports where none gets in who proves nothing.
    closed: OnceCell<BTreeSet<u32>>,
}

/// What was found, for the Worlds that come after: pods come and go more often than anything
/// changes of this.
#[derive(Clone, Debug, Default)]
pub(crate) struct Enforced {
    /// The destinations that it is about.
    destinations: u64,
    findings: Arc<Vec<Finding>>,
}

pub(super) fn check(
    found: &mut Findings<'_>,
    objects: &Objects,
    before: Option<&Inner>,
) -> Enforced {
    let none = objects.authorization_policies.is_empty()
        && objects.request_authentications.is_empty()
        && objects.peer_authentications.is_empty();
    if none {
        return Enforced::default();
    }
    let destinations = coverage::fingerprint(found.world);
    let same = before.filter(|before| {
        let history = &found.world.history;
        history.continues(&before.history)
            && history.configured <= before.history.number
            && before.enforced.destinations == destinations
    });
    let findings = match same {
        Some(before) => Arc::clone(&before.enforced.findings),
        None => Arc::new(findings(found.world, objects)),
    };
    for (origin, code, message) in findings.iter() {
        found.warn(origin, code, message.clone());
    }
    Enforced {
        destinations,
        findings,
    }
}

fn findings(world: &Inner, objects: &Objects) -> Vec<Finding> {
    let places = Places::new(world);
    let mut findings: Vec<Finding> = Vec::new();
    for policy in &objects.authorization_policies {
        let concerned = places.under(&policy.meta, &policy.placement);
        findings.extend(without_proxy(
            &places,
            &policy.meta,
            &policy.placement,
            &concerned,
        ));
        findings.extend(uncaptured(&policy.meta, &concerned));
        findings.extend(ports::check(&places, policy, &concerned));
        findings.extend(identity::check(&places, policy, &concerned));
    }
    for policy in &objects.request_authentications {
        let concerned = places.under(&policy.meta, &policy.placement);
        findings.extend(without_proxy(
            &places,
            &policy.meta,
            &policy.placement,
            &concerned,
        ));
        findings.extend(uncaptured(&policy.meta, &concerned));
        findings.extend(no_request(&policy.meta, &concerned));
    }
    for policy in &objects.peer_authentications {
        let strict = |mode: &Option<MtlsMode>| *mode == Some(MtlsMode::Strict);
        let whole = policy.mode.as_ref().map(|(mode, _)| *mode);
        if strict(&whole) || policy.ports.values().any(|(mode, _)| strict(mode)) {
            let placement = Placement {
                selector: policy.selector.clone(),
                gateways: Vec::new(),
            };
            let mut concerned = places.under(&policy.meta, &placement);
            // What clients of gateways have to prove, Gateways say.
            concerned.retain(|place| place.to.proxy != Enforcer::Gateway);
            findings.extend(without_proxy(&places, &policy.meta, &placement, &concerned));
            findings.extend(uncaptured(&policy.meta, &concerned));
        }
    }
    findings
}

// === impl Places ===

impl<'w> Places<'w> {
    fn new(inner: &'w Inner) -> Self {
        let all = coverage::destinations(inner).into_iter();
        let all: Vec<Place<'w>> = all
            .map(|to| Place {
                to,
                closed: OnceCell::new(),
            })
            .collect();
        let mut placed: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, place) in all.iter().enumerate() {
            placed.entry(place.to.namespace).or_default().push(index);
        }
        Self {
            inner,
            all,
            placed,
            authorizers: coverage::authorizers(inner),
            strongest: RefCell::default(),
        }
    }

    /// Whether policies deny a port to whoever proves nothing.
    fn is_denied(&self, policies: &[&AuthorizationPolicy], port: (u32, Carries)) -> bool {
        let strongest = |policy: &AuthorizationPolicy, call: Call<'_>| {
            let key = (std::ptr::from_ref(policy).addr(), port.0, call.http);
            let mut known = self.strongest.borrow_mut();
            *known
                .entry(key)
                .or_insert_with(|| coverage::strongest(policy, call))
        };
        let call = (nobody(self.inner, port.0), port.1);
        let decision = decide_by(strongest, policies, &self.authorizers, call);
        decision.verdict == CoverageVerdict::Denied
    }

    /// Where a policy holds.
    fn under(&self, meta: &Meta, placement: &Placement) -> Vec<&Place<'w>> {
        let root = self.inner.settings.root_namespace.as_str();
        let holds = |place: &&Place<'w>| place.to.is_under(placement, meta.namespace(), root);
        if meta.namespace() == root {
            return self.all.iter().filter(holds).collect();
        }
        let own = self.placed.get(meta.namespace()).into_iter().flatten();
        own.filter_map(|index| self.all.get(*index))
            .filter(holds)
            .collect()
    }
}

// === impl Place ===

impl Place<'_> {
    /// Whether policies deny a port to whoever proves nothing.
    fn is_closed(&self, places: &Places<'_>, port: u32) -> bool {
        let closed = self.closed.get_or_init(|| {
            let policies: Vec<&AuthorizationPolicy> = self.to.in_force(places.inner).collect();
            let ports = self.to.ports.iter();
            let ports = ports.map(|(number, port)| (*number, port.carries));
            ports
                .filter(|port| places.is_denied(&policies, *port))
                .map(|(number, _)| number)
                .collect()
        });
        closed.contains(&port)
    }
}

/// Calls of a port by whoever proves nothing.
fn nobody(inner: &Inner, port: u32) -> Call<'_> {
    Call {
        peer: Peer::Nobody,
        port: Called::Port(port),
        http: true,
        settings: &inner.settings,
    }
}

/// The names of some workloads.
fn names<'p, 'w: 'p>(places: impl IntoIterator<Item = &'p &'p Place<'w>>) -> BTreeSet<String> {
    let places = places.into_iter();
    places.map(|place| place.to.full_name()).collect()
}

/// Workloads that nothing stands before. A policy for the whole mesh means those that are of it.
fn without_proxy(
    places: &Places<'_>,
    meta: &Meta,
    placement: &Placement,
    concerned: &[&Place<'_>],
) -> Option<Finding> {
    let root = places.inner.settings.root_namespace.as_str();
    if meta.namespace() == root && placement.selector.is_empty() {
        return None;
    }
    let open = names(
        concerned
            .iter()
            .filter(|place| place.to.proxy == Enforcer::Nobody),
    );
    if open.is_empty() {
        return None;
    }
    let (verb, it) = match open.len() {
        1 => ("has", "it"),
        _ => ("have", "them"),
    };
    let message = format!(
        "{} {verb} no proxy, and nothing else enforces this policy there: whoever reaches {it} gets through. Give {it} a sidecar, or leave {it} out by the selector",
        some(&open)
    );
    Some((meta.origin.clone(), NOT_ENFORCED, message))
}

/// Ports that the sidecar never sees.
fn uncaptured(meta: &Meta, concerned: &[&Place<'_>]) -> Option<Finding> {
    let open: BTreeSet<String> = concerned
        .iter()
        .filter_map(|place| {
            let capture = place.to.capture?;
            let told = match &capture.only {
                None => listed(&capture.never),
                Some(only) if only.is_empty() => "all ports".to_owned(),
                Some(only) => format!("all ports but {}", listed(only)),
            };
            Some(format!("{told} of {}", place.to.full_name()))
        })
        .collect();
    if open.is_empty() {
        return None;
    }
    let message = format!(
        "connections to {} do not pass the sidecar (annotations includeInboundPorts, excludeInboundPorts and interceptionMode): this policy does not hold for them",
        some(&open)
    );
    Some((meta.origin.clone(), NOT_ENFORCED, message))
}

fn listed(ports: &[u16]) -> String {
    let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
    let noun = if ports.len() == 1 { "port" } else { "ports" };
    format!("{noun} {}", ports.join(", "))
}

/// Tokens where no port has requests.
fn no_request(meta: &Meta, concerned: &[&Place<'_>]) -> Option<Finding> {
    let mut ports = concerned
        .iter()
        .flat_map(|place| place.to.ports.values())
        .peekable();
    ports.peek()?;
    let opaque = ports.all(|port| port.carries == Carries::Opaque);
    opaque.then(|| {
        let names = names(concerned);
        let message = format!(
            "no port of {} carries HTTP: tokens are not looked at there",
            some(&names)
        );
        (meta.origin.clone(), code::INEFFECTIVE_POLICY, message)
    })
}

/// Some names and how many more.
fn some(names: &BTreeSet<String>) -> String {
    let shown: Vec<&str> = names.iter().take(NAMED).map(String::as_str).collect();
    let text = shown.join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => text,
        more => format!("{text} and {more} more"),
    }
}
