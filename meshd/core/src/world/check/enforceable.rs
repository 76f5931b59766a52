//! Policies against what each place can enforce: workloads without a proxy, ports that are not
//! captured, ports that carry no HTTP, callers who prove nothing.
//!
//! The proxy narrows what it cannot see, as Istio does (checkError in
//! pilot/pkg/security/authz/model): a rule of an ALLOW policy that needs HTTP matches nothing on
//! opaque connections, and one of another policy matches without what it says of HTTP, so that it
//! denies more. Who wrote it should know.

mod identity;
mod ports;

use std::collections::BTreeSet;

use mesh_api::v1::{ExternalAuthorizer, MtlsMode, Origin};

use super::super::objects::Objects;
use super::Findings;
use crate::coverage::{self, Carries, Destination, Enforcer};
use crate::model::{AuthorizationPolicy, Meta, Placement};
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
    all: Vec<Destination<'w>>,
    authorizers: Vec<ExternalAuthorizer>,
}

pub(super) fn check(found: &mut Findings<'_>, objects: &Objects) {
    let none = objects.authorization_policies.is_empty()
        && objects.request_authentications.is_empty()
        && objects.peer_authentications.is_empty();
    if none {
        return;
    }
    let places = Places {
        inner: found.world,
        all: coverage::destinations(found.world),
        authorizers: coverage::authorizers(found.world),
    };
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
            concerned.retain(|place| place.proxy != Enforcer::Gateway);
            findings.extend(without_proxy(&places, &policy.meta, &placement, &concerned));
            findings.extend(uncaptured(&policy.meta, &concerned));
        }
    }
    for (origin, code, message) in findings {
        found.warn(&origin, code, message);
    }
}

// === impl Places ===

impl<'w> Places<'w> {
    fn under(&self, meta: &Meta, placement: &Placement) -> Vec<&Destination<'w>> {
        let root = self.inner.settings.root_namespace.as_str();
        let all = self.all.iter();
        all.filter(|place| place.is_under(placement, meta.namespace(), root))
            .collect()
    }

    /// What holds for a workload, together with a policy that may not be in force yet.
    fn policies<'p>(
        &'p self,
        place: &Destination<'p>,
        new: &'p AuthorizationPolicy,
    ) -> Vec<&'p AuthorizationPolicy>
    where
        'w: 'p,
    {
        let mut policies = place.policies(self.inner);
        policies.retain(|old| old.meta.id != new.meta.id);
        policies.push(new);
        policies
    }
}

/// Workloads that nothing stands before. A policy for the whole mesh means those that are of it.
fn without_proxy(
    places: &Places<'_>,
    meta: &Meta,
    placement: &Placement,
    concerned: &[&Destination<'_>],
) -> Option<Finding> {
    let root = places.inner.settings.root_namespace.as_str();
    if meta.namespace() == root && placement.selector.is_empty() {
        return None;
    }
    let open: BTreeSet<String> = concerned
        .iter()
        .filter(|place| place.proxy == Enforcer::Nobody)
        .map(|place| place.full_name())
        .collect();
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
fn uncaptured(meta: &Meta, concerned: &[&Destination<'_>]) -> Option<Finding> {
    let open: BTreeSet<String> = concerned
        .iter()
        .filter_map(|place| {
            let name = place.full_name();
            let capture = place.capture?;
            let told = match &capture.only {
                None => listed(&capture.never),
                Some(only) if only.is_empty() => "all ports".to_owned(),
                Some(only) => format!("all ports but {}", listed(only)),
            };
            Some(format!("{told} of {name}"))
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
fn no_request(meta: &Meta, concerned: &[&Destination<'_>]) -> Option<Finding> {
    let mut ports = concerned
        .iter()
        .flat_map(|place| place.ports.values())
        .peekable();
    ports.peek()?;
    let opaque = ports.all(|port| port.carries == Carries::Opaque);
    opaque.then(|| {
        let names: BTreeSet<String> = concerned.iter().map(|place| place.full_name()).collect();
        let message = format!(
            "no port of {} carries HTTP: tokens are not looked at there",
            some(&names)
        );
        (meta.origin.clone(), "IST0167", message)
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
