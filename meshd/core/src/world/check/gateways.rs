//! Gateways against workloads and VirtualServices.

use std::collections::HashMap;

use super::super::objects::Objects;
use super::Findings;
use crate::ingest::MESH;
use crate::model::selects;
use crate::translate::domains;

pub(super) fn check(found: &mut Findings<'_>, objects: &Objects) {
    let by_name: HashMap<String, _> = objects
        .gateways
        .iter()
        .map(|gateway| (gateway.meta.full_name(), gateway))
        .collect();
    for gateway in &objects.gateways {
        let Some(selector) = &gateway.selector else {
            continue;
        };
        if !found
            .world
            .workloads
            .iter()
            .any(|workload| selects(selector, &workload.labels))
        {
            let text: Vec<String> = selector
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let origin = gateway.meta.origin.clone();
            found.warn(
                &origin,
                "IST0101",
                format!(
                    "Referenced selector not found: \"{}\": no workload serves this Gateway",
                    text.join(",")
                ),
            );
        }
    }
    for object in &objects.virtual_services {
        for name in object.gateways.iter().filter(|name| *name != MESH) {
            let origin = object.meta.origin.clone();
            let Some(gateway) = by_name.get(name) else {
                found.warn(
                    &origin,
                    "IST0101",
                    format!("Referenced gateway not found: \"{name}\""),
                );
                continue;
            };
            let cluster_domain = &found.world.settings.cluster_domain;
            if !gateway.servers.is_empty()
                && gateway
                    .servers
                    .iter()
                    .all(|server| domains(server, object, cluster_domain).is_empty())
            {
                let hosts: Vec<&str> = object.hosts.iter().map(|host| host.text.as_str()).collect();
                let message = format!(
                    "one or more host {:?} defined in VirtualService {} not found in Gateway {name}.",
                    hosts,
                    object.meta.full_name()
                );
                found.warn(&origin, "IST0132", message);
            }
        }
    }
}
