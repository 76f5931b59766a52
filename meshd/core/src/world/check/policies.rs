//! Policies that hold for no workload (IST0127).

use mesh_api::v1::Origin;

use super::super::objects::Objects;
use super::Findings;
use crate::model::{Meta, selects};
use crate::yaml::Labels;

pub(super) fn check(found: &mut Findings<'_>, objects: &Objects) {
    for policy in &objects.peer_authentications {
        selector(found, &policy.meta, &policy.selector);
    }
    for policy in &objects.authorization_policies {
        selector(found, &policy.meta, &policy.selector);
    }
    for rule in &objects.destination_rules {
        if let Some(labels) = &rule.selector {
            selector(found, &rule.meta, labels);
        }
    }
}

fn selector(found: &mut Findings<'_>, meta: &Meta, labels: &Labels) {
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
            "IST0127",
            format!(
                "No matching workloads for this resource with the following labels: {}",
                text.join(",")
            ),
        );
    }
}
