//! Routes by claims of tokens at gateways that verify none (IST0149).

use std::collections::{BTreeSet, HashMap};

use super::super::objects::Objects;
use super::Findings;
use crate::ingest::{CLAIMS, MESH};
use crate::model::{GatewayObject, VirtualService};
use crate::problem::code;
use crate::world::{Inner, WorkloadRecord};

pub(super) fn check(found: &mut Findings<'_>, objects: &Objects) {
    let gateways: HashMap<String, &GatewayObject> = objects
        .gateways
        .iter()
        .map(|gateway| (gateway.meta.full_name(), &**gateway))
        .collect();
    for object in &objects.virtual_services {
        let keys = keys(object);
        if keys.is_empty() {
            continue;
        }
        for name in object.gateways.iter().filter(|name| *name != MESH) {
            let Some(gateway) = gateways.get(name) else {
                continue;
            };
            let mut served = found.world.workloads.iter().filter(|workload| {
                gateway.selector.is_some() && gateway.selects(&workload.namespace, &workload.labels)
            });
            let Some(without) = served.find(|workload| !verifies(found.world, workload)) else {
                continue;
            };
            let keys: Vec<&str> = keys.iter().copied().collect();
            let message = format!(
                "The virtual service uses the JWT claim based routing (key: {}) but found no request authentication for the gateway ({name}) pod ({}/{}). The request authentication must first be applied for the gateway pods to validate the JWT token and make the claims available for routing.",
                keys.join(", "),
                without.namespace,
                without.name
            );
            found.warn(
                &object.meta.origin,
                code::CLAIMS_WITHOUT_AUTHENTICATION,
                message,
            );
        }
    }
}

/// The claims that routes look at.
fn keys(object: &VirtualService) -> BTreeSet<&str> {
    let cases = object.http.iter().flat_map(|rule| &rule.cases);
    let fields = cases.flat_map(|case| case.wire.headers.iter().chain(&case.wire.without_headers));
    let names = fields.filter_map(|field| field.name.strip_prefix(CLAIMS));
    names.map(|name| name.trim_start_matches('.')).collect()
}

/// Whether a RequestAuthentication holds for the workload.
fn verifies(world: &Inner, workload: &WorkloadRecord) -> bool {
    let own = workload.namespace.as_str();
    let root = world.settings.root_namespace.as_str();
    [own, root].into_iter().any(|namespace| {
        let policies = world.request_authentications.get(namespace);
        policies
            .into_iter()
            .flatten()
            .any(|policy| policy.placement.holds(&workload.labels, namespace == own))
    })
}
