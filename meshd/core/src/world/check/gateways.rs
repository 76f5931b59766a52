//! Gateways against workloads, Secrets, each other and VirtualServices.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use mesh_api::WorkloadName;
use mesh_api::v1::{Origin, Problem, ProxyKind, Severity};

use super::super::objects::Objects;
use super::Findings;
use crate::ingest::MESH;
use crate::model::{
    CredentialName, GatewayObject, GatewayServer, Kind, Semantics, ServerTls, selects,
};
use crate::problem::code;
use crate::translate::{Merged, domains, merge};
use crate::yaml::Labels;

pub(super) fn check(found: &mut Findings<'_>, objects: &Objects) {
    let by_name: HashMap<String, _> = objects
        .gateways
        .iter()
        .map(|gateway| (gateway.meta.full_name(), gateway))
        .collect();
    let groups = groups(found, objects);
    for gateway in &objects.gateways {
        let Some(selector) = &gateway.selector else {
            continue;
        };
        if !groups
            .iter()
            .any(|group| group.workload.is_some() && group.takes(gateway))
        {
            let text: Vec<String> = selector
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let origin = gateway.meta.origin.clone();
            found.warn(
                &origin,
                code::REFERENCED_RESOURCE_NOT_FOUND,
                format!(
                    "Referenced selector not found: \"{}\": no workload serves this {}",
                    text.join(","),
                    origin.kind
                ),
            );
        }
    }
    for group in &groups {
        conflicts(found, objects, group);
        credentials(found, objects, group);
    }
    let written = objects.virtual_services.iter();
    // Those that are made of routes of the Gateway API are bound to what serves them.
    for object in written.filter(|object| object.semantics == Semantics::Istio) {
        for name in object.gateways.iter().filter(|name| *name != MESH) {
            let origin = object.meta.origin.clone();
            let Some(gateway) = by_name.get(name) else {
                found.warn(
                    &origin,
                    code::REFERENCED_RESOURCE_NOT_FOUND,
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
                found.warn(&origin, code::HOST_NOT_IN_GATEWAY, message);
            }
        }
    }
}

/// Gateways (workloads) that serve the same objects in the same way.
struct Group<'a> {
    labels: &'a Labels,
    /// Where they are, if somebody declares them.
    namespace: Option<&'a str>,
    /// One of them; absent if nobody declares a workload with these labels.
    workload: Option<WorkloadName>,
}

/// Gateways that are declared, by namespace and labels; and what a Gateway selects that nobody
/// declares.
fn groups<'a>(found: &Findings<'a>, objects: &'a Objects) -> Vec<Group<'a>> {
    let selectors: BTreeSet<&Labels> = objects
        .gateways
        .iter()
        .filter_map(|gateway| gateway.selector.as_ref())
        .collect();
    let mut known: BTreeMap<(&str, &Labels), WorkloadName> = BTreeMap::new();
    for workload in &found.world.workloads {
        let labels: &Labels = &workload.labels;
        let key = (workload.namespace.as_str(), labels);
        let is_gateway = workload
            .pod
            .as_ref()
            .is_some_and(|pod| pod.proxy == Some(ProxyKind::Gateway));
        if known.contains_key(&key)
            || !(is_gateway || selectors.iter().any(|selector| selects(selector, labels)))
        {
            continue;
        }
        if let Ok(name) = workload.uid.parse() {
            known.insert(key, name);
        }
    }
    let undeclared = selectors
        .iter()
        .copied()
        .filter(|selector| !known.keys().any(|(_, labels)| selects(selector, labels)));
    let undeclared: Vec<Group<'a>> = undeclared
        .map(|labels| Group {
            labels,
            namespace: None,
            workload: None,
        })
        .collect();
    let declared = known
        .into_iter()
        .map(|((namespace, labels), workload)| Group {
            labels,
            namespace: Some(namespace),
            workload: Some(workload),
        });
    declared.chain(undeclared).collect()
}

// === impl Group ===

impl<'a> Group<'a> {
    fn gateways(&self, objects: &'a Objects) -> impl Iterator<Item = &'a Arc<GatewayObject>> {
        let gateways = objects.gateways.iter();
        gateways.filter(|gateway| self.takes(gateway))
    }

    fn takes(&self, gateway: &GatewayObject) -> bool {
        let anywhere = gateway.namespace.as_deref().unwrap_or_default();
        gateway.selects(self.namespace.unwrap_or(anywhere), self.labels)
    }
}

/// Servers that give way to older ones (IST0145).
fn conflicts(found: &mut Findings<'_>, objects: &Objects, group: &Group<'_>) {
    let world = found.world;
    let gateways = group.gateways(objects).map(|gateway| &**gateway);
    let Merged { skipped, .. } = merge(gateways, |port| match &group.workload {
        Some(workload) => world.listener_ports(workload, port),
        None => BTreeSet::from([port]),
    });
    for skipped in skipped {
        let origin = &skipped.placed.server.origin;
        let message = format!("this server is not served: {}", skipped.why);
        found.warn(origin, code::CONFLICTING_GATEWAYS, message);
    }
}

/// Secrets must be in the gateway's namespace, and of use (IST0101, IST0161).
fn credentials(found: &mut Findings<'_>, objects: &Objects, group: &Group<'_>) {
    let mut users: BTreeMap<&str, (&Arc<GatewayObject>, &Origin)> = BTreeMap::new();
    for gateway in group.gateways(objects) {
        for server in gateway.servers.iter().filter(|server| server.terminates()) {
            for (place, named) in server.credentials().enumerate() {
                match users.get(named.name.as_str()) {
                    // Of Ingresses it is usual, and Istio's analysis does not look at them.
                    Some((other, _))
                        if !Arc::ptr_eq(other, gateway)
                            && gateway.meta.origin.kind != Kind::Ingress.name() =>
                    {
                        let message = format!(
                            "the certificate {} is that of Gateway {} too: clients with HTTP/2 that use one connection for the hosts of both are asked to connect again",
                            named.name,
                            other.meta.full_name()
                        );
                        found.warn(&named.origin, code::DUPLICATE_CERTIFICATE, message);
                    }
                    Some(_) => {}
                    None => {
                        users.insert(&named.name, (gateway, &named.origin));
                    }
                }
                if let Some(problem) = credential(found, (server, named, place == 0), group) {
                    found.problems.push(problem);
                }
            }
        }
    }
}

fn credential(
    found: &Findings<'_>,
    (server, named, is_first): (&GatewayServer, &CredentialName, bool),
    group: &Group<'_>,
) -> Option<Problem> {
    let tls = server.tls.as_ref().filter(|_| is_first);
    let checks_clients = tls.is_some_and(ServerTls::checks_clients);
    let why = match &group.workload {
        Some(workload) => {
            let namespace = workload.namespace();
            let state = found.world.credential(namespace, named, checks_clients);
            state.into_parts().1?
        }
        // Wherever the gateway will be.
        None => {
            let mut namespaces = found
                .world
                .secrets
                .keys()
                .chain(found.world.broken_secrets.keys())
                .filter(|(_, name)| *name == named.name)
                .map(|(namespace, _)| namespace);
            match namespaces.next() {
                Some(namespace) => {
                    let state = found.world.credential(namespace, named, checks_clients);
                    state.into_parts().1?
                }
                None => format!("Secret {} not found", named.name),
            }
        }
    };
    let code = if why.ends_with("not found") {
        code::REFERENCED_RESOURCE_NOT_FOUND
    } else {
        code::INVALID_GATEWAY_CREDENTIAL
    };
    Some(Problem {
        severity: Severity::Warning.into(),
        origin: Some(named.origin.clone()),
        message: format!(
            "credentialName {}: {why}; this server {} until it is there",
            named.name,
            if is_first {
                "refuses TLS handshakes"
            } else {
                "serves with its other certificate only"
            }
        ),
        code: code.to_owned(),
    })
}
