//! VirtualServices and DestinationRules against services.

use std::collections::HashMap;
use std::sync::Arc;

use mesh_api::Hostname;
use mesh_api::v1::Origin;

use super::super::ServiceId;
use super::super::objects::Objects;
use super::{Findings, targets};
use crate::ingest::MESH;
use crate::model::{DestinationRule, Semantics, Target, VirtualService, selects};
use crate::problem::{self, code};
use crate::yaml::Word;

pub(super) fn check(found: &mut Findings<'_>, objects: &Objects) {
    let mut owners: HashMap<(Hostname, String), Arc<VirtualService>> = HashMap::new();
    for object in &objects.virtual_services {
        // Routes of the Gateway API are told of where they are linked.
        if object.semantics == Semantics::GatewayApi {
            conflicts(found, object, &mut owners);
            continue;
        }
        for target in targets(object) {
            destination(found, object, target);
        }
        conflicts(found, object, &mut owners);
    }
    for rule in &objects.destination_rules {
        destination_rule(found, rule);
    }
}

fn at(object: &Origin, word: &Word) -> Origin {
    word.place.in_object(object)
}

/// A destination's host, port and subset must exist (IST0101, IST0112).
fn destination(found: &mut Findings<'_>, object: &VirtualService, target: &Target) {
    let namespace = object.meta.namespace();
    let origin = at(&object.meta.origin, &target.host);
    let Some(host) = found.resolve(&target.host.text, namespace) else {
        return;
    };
    let Some((id, service)) = found
        .world
        .service(host.as_str(), namespace)
        .and_then(|id| Some((id, found.world.services.get(id)?)))
    else {
        let hint = found.dotted(&target.host.text);
        found.warn(
            &origin,
            code::REFERENCED_RESOURCE_NOT_FOUND,
            format!(
                "Referenced host not found: \"{}\"; requests for it answer 503{hint}",
                target.host.text
            ),
        );
        return;
    };
    match target.port {
        Some(port)
            if !service
                .ports
                .iter()
                .any(|known| known.number == u32::from(port)) =>
        {
            found.warn(
                &origin,
                code::REFERENCED_RESOURCE_NOT_FOUND,
                format!(
                    "Referenced host:port not found: \"{}:{port}\"; requests for it answer 503",
                    service.host
                ),
            );
        }
        None if service.ports.len() > 1 => {
            let ports: Vec<String> = service
                .ports
                .iter()
                .map(|port| port.number.to_string())
                .collect();
            found.warn(
                &origin,
                code::DESTINATION_PORT_REQUIRED,
                format!(
                    "This VirtualService routes to a service \"{}\" that exposes multiple ports {}. Specifying a port in the \
                     destination is required to disambiguate; without one, the port of the request is taken.",
                    service.host,
                    ports.join(", ")
                ),
            );
        }
        _ => {}
    }
    if target.subset.is_empty() {
        return;
    }
    let labels = crate::yaml::Labels::new();
    let rule = found
        .world
        .services
        .get(id)
        .map(|service| found.world.destination_rule(service, namespace, &labels));
    let exists = rule.is_some_and(|rule| {
        rule.subsets
            .iter()
            .any(|subset| subset.name == target.subset)
    });
    if !exists {
        let message = format!(
            "Referenced host+subset in destinationrule not found: \"{}+{}\"; requests for it answer 503",
            target.host.text, target.subset
        );
        found.warn(&origin, code::REFERENCED_RESOURCE_NOT_FOUND, message);
    }
}

/// Two VirtualServices for sidecars must not share a host (IST0109): only the oldest counts.
fn conflicts(
    found: &mut Findings<'_>,
    object: &Arc<VirtualService>,
    owners: &mut HashMap<(Hostname, String), Arc<VirtualService>>,
) {
    if !object.gateways.iter().any(|gateway| gateway == MESH) {
        return;
    }
    let namespace = object.meta.namespace();
    for word in &object.hosts {
        let Some(host) = found.resolve(&word.text, namespace) else {
            continue;
        };
        let key = (
            host.clone(),
            if object.export_to.is_private(namespace) {
                namespace.to_owned()
            } else {
                "*".to_owned()
            },
        );
        let Some(owner) = owners.get(&key) else {
            owners.insert(key, Arc::clone(object));
            continue;
        };
        let (older, younger) = (name(owner), name(object));
        let place = problem::in_file(&owner.meta.origin);
        let exception = match owner.semantics == object.semantics {
            true => "",
            false => " Clients in the namespace of the route of the Gateway API have that.",
        };
        let message = format!(
            "The VirtualServices {older} and {younger} associated with mesh gateway define the same host {host} which can lead to undefined \
             behavior: {older}{place} is older and holds alone.{exception}"
        );
        found.warn(
            &at(&object.meta.origin, word),
            code::CONFLICTING_MESH_GATEWAY_HOSTS,
            message,
        );
    }
}

/// By which people know it.
fn name(object: &VirtualService) -> String {
    let origin = &object.meta.origin;
    match object.semantics {
        Semantics::Istio => object.meta.full_name(),
        Semantics::GatewayApi => format!("{} {}/{}", origin.kind, origin.namespace, origin.name),
    }
}

/// The host must exist (IST0174), and every subset have endpoints (IST0173).
fn destination_rule(found: &mut Findings<'_>, rule: &DestinationRule) {
    let namespace = rule.meta.namespace();
    let Some(host) = found.resolve(&rule.host.text, namespace) else {
        return;
    };
    let services = &found.world.services;
    let matching: Vec<ServiceId> = if host.is_wildcard() {
        let covered = |name: &Hostname| *name == host || host.covers(name.as_str());
        let all = services.iter().enumerate();
        all.filter(|(_, service)| covered(&service.host))
            .map(|(id, _)| id)
            .collect()
    } else {
        let ids = found.world.services_by_host.get(&host);
        ids.cloned().unwrap_or_default()
    };
    let origin = at(&rule.meta.origin, &rule.host);
    if matching.is_empty() {
        let hint = found.dotted(&rule.host.text);
        found.warn(&origin, code::UNKNOWN_RULE_HOST, format!("The host {} defined in the DestinationRule does not match any services in the mesh{hint}", rule.host.text));
        return;
    }
    for subset in &rule.subsets {
        let selects_any = matching
            .iter()
            .flat_map(|id| found.endpoints(*id))
            .filter_map(|id| found.world.workloads.get(*id))
            .any(|workload| selects(&subset.labels, &workload.labels));
        if !selects_any {
            let labels: Vec<String> = subset
                .labels
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let message = format!(
                "The Subset {} defined in the DestinationRule does not select any pods: no endpoint of {} has {}",
                subset.name,
                rule.host.text,
                labels.join(", ")
            );
            found.warn(&subset.origin, code::EMPTY_SUBSET, message);
        }
    }
}
