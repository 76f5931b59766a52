//! Rules about who calls, where callers need not say who they are.

use std::collections::{BTreeMap, BTreeSet};

use mesh_api::v1::{AuthorizationAction, AuthorizationAttribute, AuthorizationRule, MtlsMode};

use super::{Finding, Place, Places, nobody, ports, some};
use crate::coverage::{Call, Enforcer, Peer, Truth};
use crate::model::AuthorizationPolicy;

const DODGED: &str = "authorization-dodged-by-plaintext";
const NEVER: &str = "authorization-needs-identity";

pub(super) fn check(
    places: &Places<'_>,
    policy: &AuthorizationPolicy,
    concerned: &[&Place<'_>],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, rule) in policy.rules.iter().enumerate() {
        let about = About::of(rule);
        let finding = match policy.action {
            AuthorizationAction::Deny if about.names => dodged(
                places,
                (policy, index, rule),
                concerned,
                "do not match it and are not denied by it",
            ),
            AuthorizationAction::Custom if about.names => dodged(
                places,
                (policy, index, rule),
                concerned,
                "do not match it, and the authorizer is not asked about them",
            ),
            AuthorizationAction::Allow if about.excludes && !about.names => dodged(
                places,
                (policy, index, rule),
                concerned,
                "match it, whoever they are: nobody is excluded who leaves the certificate out",
            ),
            AuthorizationAction::Allow if about.names => never(policy, (index, rule), concerned),
            _ => None,
        };
        findings.extend(finding);
    }
    findings
}

/// What a rule says of identities.
struct About {
    /// It matches only who has one of these.
    names: bool,
    /// It does not match who has one of those.
    excludes: bool,
}

// === impl About ===

impl About {
    fn of(rule: &AuthorizationRule) -> Self {
        let mut about = Self {
            names: false,
            excludes: false,
        };
        for source in &rule.from {
            let named = [
                &source.principals,
                &source.namespaces,
                &source.service_accounts,
                &source.trust_domains,
            ];
            let excluded = [
                &source.not_principals,
                &source.not_namespaces,
                &source.not_service_accounts,
                &source.not_trust_domains,
            ];
            about.names |= named.iter().any(|list| !list.is_empty());
            about.excludes |= excluded.iter().any(|list| !list.is_empty());
        }
        for condition in &rule.when {
            let of_identity = matches!(
                condition.attribute(),
                AuthorizationAttribute::SourcePrincipal
                    | AuthorizationAttribute::SourceNamespace
                    | AuthorizationAttribute::SourceServiceAccount
                    | AuthorizationAttribute::SourceTrustDomain
            );
            about.names |= of_identity && !condition.values.is_empty();
            about.excludes |= of_identity && !condition.not_values.is_empty();
        }
        about
    }
}

/// Ports where callers in plain text get through although the rule is about who calls, and no
/// other policy denies them.
fn dodged(
    places: &Places<'_>,
    (policy, index, rule): (&AuthorizationPolicy, usize, &AuthorizationRule),
    concerned: &[&Place<'_>],
    consequence: &str,
) -> Option<Finding> {
    // What it says of a port is the same wherever the port is.
    let mut ports: BTreeMap<u32, bool> = BTreeMap::new();
    let mut open = BTreeSet::new();
    for place in sidecars(concerned) {
        for (number, port) in &place.to.ports {
            if place.to.mtls.at(*number).0 == MtlsMode::Strict || port.tls.is_some() {
                continue;
            }
            let concerns = *ports
                .entry(*number)
                .or_insert_with(|| concerns(places, (policy, rule), *number));
            if concerns && !place.is_closed(places, *number) {
                open.insert(format!("{number} of {}", place.to.full_name()));
            }
        }
    }
    if open.is_empty() {
        return None;
    }
    let message = format!(
        "rule {index} looks at who calls, but {} {} callers in plain text, who {consequence}. Make mutual TLS STRICT there, or deny `notPrincipals: [\"*\"]`",
        if open.len() == 1 { "port" } else { "ports" },
        match open.len() {
            1 => format!("{} takes", some(&open)),
            _ => format!("{} take", some(&open)),
        }
    );
    Some((ports::place_of(policy, rule), DODGED, message))
}

fn sidecars<'p, 'w>(concerned: &'p [&'p Place<'w>]) -> impl Iterator<Item = &'p Place<'w>> {
    let places = concerned.iter().copied();
    places.filter(|place| place.to.proxy == Enforcer::Sidecar)
}

/// Whether a rule is about calls of a port, by whomever.
fn concerns(
    places: &Places<'_>,
    (policy, rule): (&AuthorizationPolicy, &AuthorizationRule),
    port: u32,
) -> bool {
    let call = nobody(places.inner, port);
    let known = Call {
        peer: Peer::Unknown,
        ..call
    };
    let matches = |call: Call<'_>| call.rule(rule, policy.action) > Truth::Never;
    matches(known) || matches(call)
}

/// Ports where nobody can prove who he is.
fn never(
    policy: &AuthorizationPolicy,
    (index, rule): (usize, &AuthorizationRule),
    concerned: &[&Place<'_>],
) -> Option<Finding> {
    let off: BTreeSet<String> = sidecars(concerned)
        .flat_map(|place| {
            let ports = place.to.ports.iter();
            let off = ports.filter(|(number, port)| {
                place.to.mtls.at(**number).0 == MtlsMode::Disable && port.tls.is_none()
            });
            off.map(|(number, _)| format!("{number} of {}", place.to.full_name()))
        })
        .collect();
    if off.is_empty() {
        return None;
    }
    let message = format!(
        "rule {index} allows callers by who they are, but mutual TLS is off for port {}: nobody proves it there, and the rule allows nothing",
        some(&off)
    );
    Some((ports::place_of(policy, rule), NEVER, message))
}
