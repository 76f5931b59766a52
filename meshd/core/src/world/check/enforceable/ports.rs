//! What a rule says against what ports carry.

use std::collections::{BTreeMap, BTreeSet};

use mesh_api::v1::{AuthorizationAction, AuthorizationOperation, AuthorizationRule};

use super::{Finding, NAMED, Place, Places};
use crate::coverage::{Carries, Enforcer, of_http};
use crate::model::AuthorizationPolicy;

const NEEDS_HTTP: &str = "authorization-needs-http";
const SERVICE_PORT: &str = "authorization-service-port";

/// Ports of opaque bytes of the workloads that a policy holds for, with whose they are.
type Ports = BTreeMap<u32, String>;

pub(super) fn check(
    places: &Places<'_>,
    policy: &AuthorizationPolicy,
    concerned: &[&Place<'_>],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let about_http = |rule: &AuthorizationRule| !of_http(rule).is_empty();
    let matters =
        policy.action == AuthorizationAction::Custom || policy.rules.iter().any(about_http);
    let opaque = if matters {
        opaque(places, concerned)
    } else {
        Ports::new()
    };
    if !opaque.is_empty() {
        findings.extend(authorizer(places, policy, &opaque));
    }
    for (index, rule) in policy.rules.iter().enumerate() {
        findings.extend(without_http(policy, (index, rule), &opaque));
        findings.extend(of_the_service(places, policy, (index, rule), concerned));
    }
    findings
}

fn opaque(places: &Places<'_>, concerned: &[&Place<'_>]) -> Ports {
    let mut ports = Ports::new();
    for place in concerned
        .iter()
        .filter(|place| place.to.proxy != Enforcer::Nobody)
    {
        for (number, port) in &place.to.ports {
            if port.carries != Carries::Opaque {
                continue;
            }
            let front = port
                .front()
                .and_then(|(service, _)| places.inner.services.get(service));
            let name =
                || front.map_or_else(|| place.to.full_name(), |service| service.host.to_string());
            ports.entry(*number).or_insert_with(name);
        }
    }
    ports
}

/// An authorizer that speaks HTTP cannot be asked about opaque bytes.
fn authorizer(places: &Places<'_>, policy: &AuthorizationPolicy, ports: &Ports) -> Option<Finding> {
    if policy.action != AuthorizationAction::Custom {
        return None;
    }
    let concerned = reached(ports, |port| {
        policy.rules.iter().any(|rule| reaches(rule, port))
    });
    let mut known = places.authorizers.iter();
    let known = known.find(|known| known.name == policy.provider)?;
    if known.grpc || concerned.is_empty() {
        return None;
    }
    let message = format!(
        "CUSTOM policy with the provider {}: {} no HTTP; it has no effect there: an authorizer that speaks HTTP cannot be asked about them; take one that speaks gRPC, or deny them by another policy",
        policy.provider,
        listed(&concerned)
    );
    Some((policy.meta.origin.clone(), NEEDS_HTTP, message))
}

fn without_http(
    policy: &AuthorizationPolicy,
    (index, rule): (usize, &AuthorizationRule),
    ports: &Ports,
) -> Option<Finding> {
    let fields = of_http(rule);
    let concerned = reached(ports, |port| reaches(rule, port));
    if fields.is_empty() || concerned.is_empty() {
        return None;
    }
    let fields: Vec<&str> = fields.into_iter().collect();
    let fields = fields.join(", ");
    let consequence = match policy.action {
        AuthorizationAction::Allow => "the rule allows nothing there".to_owned(),
        _ => format!("there the rule holds without {fields}, and so for more"),
    };
    let message = format!(
        "rule {index} looks at {fields}, and {} no HTTP; {consequence}. Name the ports that it is for in `to.operation.ports`",
        listed(&concerned)
    );
    Some((place_of(policy, rule), NEEDS_HTTP, message))
}

/// Policies see the workload's port, not that of the Service in front of it: a rule for the
/// Service's holds nowhere, and whoever calls gets around it.
fn of_the_service(
    places: &Places<'_>,
    policy: &AuthorizationPolicy,
    (index, rule): (usize, &AuthorizationRule),
    concerned: &[&Place<'_>],
) -> Option<Finding> {
    let wanted: BTreeSet<u32> = rule.to.iter().flat_map(|to| &to.ports).copied().collect();
    let number = wanted.into_iter().find_map(|number| {
        if concerned
            .iter()
            .any(|place| place.to.ports.contains_key(&number))
        {
            return None;
        }
        let ports = concerned.iter().flat_map(|place| &place.to.ports);
        let mut fronted = ports.filter_map(|(target, port)| {
            let (service, of_service) = port.front()?;
            let service = places.inner.services.get(service)?;
            (of_service == number).then_some((number, *target, service.host.as_str()))
        });
        fronted.next()
    });
    let (number, target, host) = number?;
    let consequence = match policy.action {
        AuthorizationAction::Allow => "allows nothing",
        AuthorizationAction::Deny => "denies nothing",
        _ => "selects nothing",
    };
    let message = format!(
        "rule {index}: {number} is the port of the Service {host}, whose workloads listen on {target}; policies see the workload's port, so {number} {consequence}"
    );
    Some((place_of(policy, rule), SERVICE_PORT, message))
}

pub(super) fn place_of(
    policy: &AuthorizationPolicy,
    rule: &AuthorizationRule,
) -> mesh_api::v1::Origin {
    let origin = rule.origin.clone();
    origin.unwrap_or_else(|| policy.meta.origin.clone())
}

fn reached(ports: &Ports, is_reached: impl Fn(u32) -> bool) -> Ports {
    let mut reached = ports.clone();
    reached.retain(|port, _| is_reached(*port));
    reached
}

/// Whether a rule may be about a port.
fn reaches(rule: &AuthorizationRule, port: u32) -> bool {
    let ports = |operation: &AuthorizationOperation| {
        (operation.ports.is_empty() || operation.ports.contains(&port))
            && !operation.not_ports.contains(&port)
    };
    rule.to.is_empty() || rule.to.iter().any(ports)
}

/// `port 3306 of db.default.svc.cluster.local speaks`.
fn listed(ports: &Ports) -> String {
    let names: Vec<String> = ports
        .iter()
        .take(NAMED)
        .map(|(port, host)| format!("{port} of {host}"))
        .collect();
    let more = if ports.len() > names.len() {
        " and more"
    } else {
        ""
    };
    match (ports.len(), names.join(", ")) {
        (1, name) => format!("port {name} speaks"),
        (_, list) => format!("ports {list}{more} speak"),
    }
}
