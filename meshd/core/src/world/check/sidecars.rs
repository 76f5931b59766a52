//! Sidecars that get in each other's way (IST0110, IST0111).

use std::collections::HashMap;

use super::super::objects::Objects;
use super::Findings;
use crate::model::{SidecarObject, selects};
use crate::problem::code;

pub(super) fn check(found: &mut Findings<'_>, objects: &Objects) {
    let mut plain: HashMap<&str, &SidecarObject> = HashMap::new();
    for object in &objects.sidecars {
        let namespace = object.meta.namespace();
        if object.selector.is_some() {
            overlap(found, objects, object);
        } else if let Some(first) = plain.get(namespace) {
            let message = format!(
                "The Sidecars {} and {} have no workload selector; the older one holds",
                first.meta.full_name(),
                object.meta.full_name()
            );
            found.warn(
                &object.meta.origin,
                code::SIDECARS_WITHOUT_SELECTORS,
                message,
            );
        } else {
            plain.insert(namespace, object);
        }
    }
}

/// Whether a workload is selected by an older Sidecar, too.
fn overlap(found: &mut Findings<'_>, objects: &Objects, object: &SidecarObject) {
    let namespace = object.meta.namespace();
    let older = objects
        .sidecars
        .iter()
        .take_while(|other| other.meta.id != object.meta.id)
        .filter(|other| other.meta.namespace() == namespace)
        .filter_map(|other| Some((other, other.selector.as_ref()?)));
    let Some(selector) = &object.selector else {
        return;
    };
    let both = |other: &crate::yaml::Labels| {
        found.world.workloads.iter().any(|workload| {
            workload.namespace == namespace
                && selects(selector, &workload.labels)
                && selects(other, &workload.labels)
        })
    };
    let clash = older
        .filter(|(_, other)| both(other))
        .map(|(other, _)| other.meta.full_name())
        .next();
    if let Some(other) = clash {
        let message = format!(
            "The Sidecars {other} and {} select the same workloads; the older one holds",
            object.meta.full_name()
        );
        found.warn(
            &object.meta.origin,
            code::CONFLICTING_SIDECAR_SELECTORS,
            message,
        );
    }
}
