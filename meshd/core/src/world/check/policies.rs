//! Policies that hold for no workload (IST0127), and what policies name that is not there.

use mesh_api::v1::{AuthorizationAction, Origin, Resolution};

use super::super::objects::Objects;
use super::Findings;
use crate::model::{
    AuthorizationPolicy, Meta, PolicyTarget, ResiliencePolicy, TargetKind, TargetRef, selects,
};
use crate::problem::code;
use crate::translate::{is, is_section};
use crate::world::ServiceRecord;
use crate::yaml::Labels;

pub(super) fn check(found: &mut Findings<'_>, objects: &Objects) {
    for policy in &objects.peer_authentications {
        selector(found, &policy.meta, &policy.selector);
    }
    for policy in &objects.authorization_policies {
        selector(found, &policy.meta, &policy.placement.selector);
        authorizer(found, policy);
    }
    for policy in &objects.request_authentications {
        selector(found, &policy.meta, &policy.placement.selector);
    }
    for policy in &objects.resilience_policies {
        match &policy.target {
            PolicyTarget::Workloads(labels) => selector(found, &policy.meta, labels),
            PolicyTarget::Objects(targets) => {
                for target in targets {
                    referenced(found, objects, policy, target);
                }
            }
        }
    }
    for rule in &objects.destination_rules {
        for name in rule.credentials() {
            secret(found, &rule.meta, rule.selector.is_some(), name);
        }
        if let Some(labels) = &rule.selector {
            selector(found, &rule.meta, labels);
        }
    }
}

/// A selector selects something.
pub(super) fn selector(found: &mut Findings<'_>, meta: &Meta, labels: &Labels) {
    if labels.is_empty() {
        return;
    }
    let anywhere = meta.namespace() == found.world.settings.root_namespace;
    let matches = if anywhere {
        let mut workloads = found.world.workloads.iter();
        workloads.any(|workload| selects(labels, &workload.labels))
    } else {
        let (linked, namespace) = (found.linked, meta.namespace());
        let mut entries = linked.entries.selected(namespace, labels);
        entries.next().is_some() || linked.pods.selected(namespace, labels).next().is_some()
    };
    if !matches {
        let text: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let origin: Origin = meta.origin.clone();
        found.warn(
            &origin,
            code::NO_MATCHING_WORKLOADS,
            format!(
                "No matching workloads for this resource with the following labels: {}",
                text.join(",")
            ),
        );
    }
}

/// A CUSTOM policy asks somebody who can answer.
fn authorizer(found: &mut Findings<'_>, policy: &AuthorizationPolicy) {
    if policy.action != AuthorizationAction::Custom || policy.dry_run {
        return;
    }
    let authorizer = found.world.external_authorizer(&policy.provider);
    let Some(why) = found.world.unanswered(&authorizer) else {
        return;
    };
    let consequence = match authorizer.fail_open {
        true => "passes unasked, as its failOpen says",
        false => "is denied",
    };
    let text = format!("{why}; everything that this policy selects {consequence}");
    found.warn(&policy.meta.origin, "authorization-provider-missing", text);
}

/// An object that a policy is for is there, has the section that it names, and can do what the
/// policy wants.
fn referenced(
    found: &mut Findings<'_>,
    objects: &Objects,
    policy: &ResiliencePolicy,
    target: &TargetRef,
) {
    if target.kind == TargetKind::VirtualService {
        return referenced_route(found, objects, policy, target);
    }
    let namespace = policy.meta.namespace();
    let what = format!("{} {namespace}/{}", target.kind.name(), target.name);
    let world = found.world;
    if target.kind == TargetKind::Gateway {
        let named = |meta: &Meta| (meta.namespace(), meta.name()) == (namespace, &*target.name);
        if !world.gateways.iter().any(|gateway| named(&gateway.meta)) {
            found.warn(
                &target.origin,
                code::REFERENCED_RESOURCE_NOT_FOUND,
                format!("targetRefs: {what} is not there"),
            );
        }
        return;
    }
    let services = world.services.iter();
    let named: Vec<&ServiceRecord> = services
        .filter(|service| is(service, target, namespace))
        .collect();
    if named.is_empty() {
        found.warn(
            &target.origin,
            code::REFERENCED_RESOURCE_NOT_FOUND,
            format!("targetRefs: {what} is not there"),
        );
        return;
    }
    let mut ports = named
        .iter()
        .flat_map(|service| service.ports.iter().map(move |port| (service, port.number)));
    if !ports.any(|(service, port)| is_section(service, port, target)) {
        let section = target.section.as_deref().unwrap_or_default();
        let text = format!("targetRefs: {what} has no port `{section}`");
        found.warn(&target.origin, code::REFERENCED_RESOURCE_NOT_FOUND, text);
    }
    let unchecked = |service: &&ServiceRecord| {
        service.headless
            || matches!(
                service.resolution,
                Resolution::None | Resolution::DynamicDns
            )
    };
    if policy.health_check.is_some() && named.iter().all(unchecked) {
        let text = format!(
            "healthCheck has no effect on {what}: its clients choose the endpoint themselves"
        );
        found.warn(&target.origin, code::INEFFECTIVE_POLICY, text);
    }
}

/// A VirtualService that a policy is for is there, and has the rule that it names.
fn referenced_route(
    found: &mut Findings<'_>,
    objects: &Objects,
    policy: &ResiliencePolicy,
    target: &TargetRef,
) {
    let namespace = policy.meta.namespace();
    let what = format!("VirtualService {namespace}/{}", target.name);
    let mut routes = objects.virtual_services.iter();
    let object =
        routes.find(|one| (one.meta.namespace(), one.meta.name()) == (namespace, &*target.name));
    let trouble = match (object, &target.section) {
        (None, _) => format!("{what} is not there"),
        (Some(object), Some(section)) if !object.http.iter().any(|rule| rule.name == *section) => {
            format!("{what} has no HTTP rule `{section}`")
        }
        (Some(object), None) if object.http.is_empty() => {
            format!("{what} has no HTTP rules: rates of requests mean nothing to others")
        }
        _ => return,
    };
    found.warn(
        &target.origin,
        code::REFERENCED_RESOURCE_NOT_FOUND,
        format!("targetRefs: {trouble}"),
    );
}

/// The Secret of a client is in the client's namespace: that of the rule, if it has a selector;
/// else that of any gateway.
fn secret(found: &mut Findings<'_>, meta: &Meta, selected: bool, name: &str) {
    let here = (meta.namespace().to_owned(), name.to_owned());
    let mut secrets = found.world.secrets.keys();
    let there = if selected {
        found.world.secrets.contains_key(&here)
    } else {
        secrets.any(|(_, known)| known == name)
    };
    if !there {
        let origin: Origin = meta.origin.clone();
        let text = format!("credentialName {name}: Secret not found; connections are refused");
        found.warn(&origin, code::REFERENCED_RESOURCE_NOT_FOUND, text);
    }
}
