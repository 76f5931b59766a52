//! Policies that say something of HTTP about ports that speak something else.
//!
//! The proxy narrows them as Istio does (checkError in pilot/pkg/security/authz/model): a rule of
//! an ALLOW policy that needs HTTP matches nothing there, and one of another policy matches
//! without what it says of HTTP, so that it denies more. Who wrote it should know.

use std::collections::{BTreeMap, BTreeSet};

use mesh_api::v1::{
    AuthorizationAction, AuthorizationAttribute, AuthorizationRule, Origin, Protocol,
};

use super::super::objects::Objects;
use super::Findings;
use crate::model::AuthorizationPolicy;

const CODE: &str = "authorization-needs-http";

/// Ports of opaque bytes of the workloads that a policy holds for, with their services.
type Ports = BTreeMap<u32, String>;

pub(super) fn check(found: &mut Findings<'_>, objects: &Objects) {
    let mut findings: Vec<(Origin, String)> = Vec::new();
    for policy in &objects.authorization_policies {
        let unenforceable = policy.rules.iter().any(|rule| !of_http(rule).is_empty());
        if !unenforceable && policy.action != AuthorizationAction::Custom {
            continue;
        }
        let ports = opaque_ports(found, policy);
        if ports.is_empty() {
            continue;
        }
        findings.extend(authorizer(found, policy, &ports));
        for (index, rule) in policy.rules.iter().enumerate() {
            findings.extend(of_rule(policy, (index, rule), &ports));
        }
    }
    for (origin, message) in findings {
        found.warn(&origin, CODE, message);
    }
}

fn opaque_ports(found: &Findings<'_>, policy: &AuthorizationPolicy) -> Ports {
    let world = found.world;
    let namespace = policy.meta.namespace();
    let anywhere = namespace == world.settings.root_namespace;
    let mut ports = Ports::new();
    for workload in &world.workloads {
        let own = workload.namespace == namespace;
        if !(own || anywhere) || !policy.placement.holds(&workload.labels, own) {
            continue;
        }
        for (service, fronted) in &workload.fronts {
            let Some(service) = world.services.get(*service) else {
                continue;
            };
            for (number, target) in fronted {
                let declared = service.ports.iter().find(|port| port.number == *number);
                let opaque = declared
                    .is_some_and(|port| matches!(port.protocol(), Protocol::Tcp | Protocol::Tls));
                if opaque {
                    let host = &service.host;
                    ports.entry(*target).or_insert_with(|| host.to_string());
                }
            }
        }
    }
    ports
}

/// A CUSTOM policy whose authorizer speaks HTTP is passed over on ports that do not.
fn authorizer(
    found: &Findings<'_>,
    policy: &AuthorizationPolicy,
    ports: &Ports,
) -> Option<(Origin, String)> {
    if policy.action != AuthorizationAction::Custom {
        return None;
    }
    let mut known = found.world.settings.authorizers.iter();
    let authorizer = known.find(|known| known.name == policy.provider)?;
    let consequence = if authorizer.grpc {
        "connections that it selects are denied there: authorizers are asked about requests only"
    } else {
        "it has no effect there: an authorizer that speaks HTTP cannot be asked about them; deny them by another policy"
    };
    let message = format!(
        "CUSTOM policy with the provider {}: {} no HTTP; {consequence}",
        policy.provider,
        listed(ports)
    );
    Some((policy.meta.origin.clone(), message))
}

fn of_rule(
    policy: &AuthorizationPolicy,
    (index, rule): (usize, &AuthorizationRule),
    ports: &Ports,
) -> Option<(Origin, String)> {
    let fields = of_http(rule);
    let concerned: Ports = ports
        .iter()
        .filter(|(port, _)| reaches(rule, **port))
        .map(|(port, host)| (*port, host.clone()))
        .collect();
    if fields.is_empty() || concerned.is_empty() {
        return None;
    }
    let consequence = match policy.action {
        AuthorizationAction::Allow => "the rule allows nothing there".to_owned(),
        _ => format!(
            "there the rule holds without {}, and so for more",
            join(&fields)
        ),
    };
    let message = format!(
        "rule {index} looks at {}, and {} no HTTP; {consequence}. Name the ports that it is for in `to.operation.ports`",
        join(&fields),
        listed(&concerned)
    );
    let origin = rule.origin.clone();
    Some((
        origin.unwrap_or_else(|| policy.meta.origin.clone()),
        message,
    ))
}

/// Whether a rule may be about a port.
fn reaches(rule: &AuthorizationRule, port: u32) -> bool {
    let ports = |operation: &mesh_api::v1::AuthorizationOperation| {
        (operation.ports.is_empty() || operation.ports.contains(&port))
            && !operation.not_ports.contains(&port)
    };
    rule.to.is_empty() || rule.to.iter().any(ports)
}

/// Fields of a rule that only HTTP has.
fn of_http(rule: &AuthorizationRule) -> BTreeSet<&'static str> {
    let mut fields = BTreeSet::new();
    for source in &rule.from {
        if !(source.request_principals.is_empty() && source.not_request_principals.is_empty()) {
            fields.insert("requestPrincipals");
        }
    }
    for operation in &rule.to {
        for (name, lists) in [
            ("hosts", [&operation.hosts, &operation.not_hosts]),
            ("methods", [&operation.methods, &operation.not_methods]),
            ("paths", [&operation.paths, &operation.not_paths]),
        ] {
            if lists.iter().any(|list| !list.is_empty()) {
                fields.insert(name);
            }
        }
    }
    for condition in &rule.when {
        match condition.attribute() {
            AuthorizationAttribute::RequestHeader => fields.insert("request.headers"),
            AuthorizationAttribute::RequestPrincipal
            | AuthorizationAttribute::RequestAudiences
            | AuthorizationAttribute::RequestPresenter
            | AuthorizationAttribute::RequestClaim => fields.insert("request.auth"),
            _ => false,
        };
    }
    fields
}

fn join(fields: &BTreeSet<&'static str>) -> String {
    let names: Vec<&str> = fields.iter().copied().collect();
    names.join(", ")
}

/// `port 3306 of db.default.svc.cluster.local speaks`.
fn listed(ports: &Ports) -> String {
    let names: Vec<String> = ports
        .iter()
        .take(5)
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
