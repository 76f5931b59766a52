//! `metadata` of any object.

use std::collections::BTreeSet;

use mesh_api::WorkloadName;
use mesh_api::v1::Origin;

use crate::model::{ExportTo, Kind, Meta, ObjectId};
use crate::yaml::{Fields, Labels, Place, Report, Word};

/// Reads `metadata`. Without a usable name there is no object.
pub(super) fn read(root: &mut Fields<'_>, kind: Kind, path: &str, r: &mut Report) -> Option<Meta> {
    let place = root.place();
    let Some(mut fields) = root.child("metadata", r) else {
        r.error(place, "metadata.name is required");
        return None;
    };
    let name = fields.word("name", r);
    let namespace = fields.word("namespace", r);
    let labels = fields.labels("labels", r).unwrap_or_default();
    let annotations = fields.labels("annotations", r).unwrap_or_default();
    fields.ignore(&[
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "finalizers",
        "generateName",
        "generation",
        "managedFields",
        "ownerReferences",
        "resourceVersion",
        "selfLink",
        "uid",
    ]);
    fields.close(r);
    let Some(name) = name else {
        r.error(place, "metadata.name is required");
        return None;
    };
    let namespace = match namespace {
        _ if kind.is_of_cluster() => String::new(),
        Some(word) if !word.text.is_empty() => word.text,
        _ => "default".to_owned(),
    };
    let checked = if namespace.is_empty() {
        "x"
    } else {
        &namespace
    };
    if WorkloadName::new(checked, &name.text).is_err() {
        r.error(
            name.place,
            format!(
                "`{namespace}/{}` is no name: write lower-case letters, digits, `-` and `.`",
                name.text
            ),
        );
        return None;
    }
    let origin = place.in_object(&Origin {
        source: path.to_owned(),
        kind: kind.name().to_owned(),
        namespace: namespace.clone(),
        name: name.text.clone(),
        ..Origin::default()
    });
    Some(Meta {
        id: ObjectId {
            kind,
            namespace,
            name: name.text,
        },
        labels,
        annotations,
        origin,
    })
}

/// Reads `exportTo` (Istio: validateExportTo).
pub(super) fn export_to(words: &[Word], namespace: &str, entry: bool, r: &mut Report) -> ExportTo {
    if words.is_empty() {
        return ExportTo::All;
    }
    let mut namespaces = BTreeSet::new();
    let mut public = false;
    let mut nobody = false;
    for word in words {
        match word.text.as_str() {
            "*" => public = true,
            "~" if entry => nobody = true,
            "." => {
                if !namespaces.insert(namespace.to_owned()) {
                    r.error(word.place, format!("duplicate entries in exportTo: . and current namespace {namespace}"));
                }
            }
            text if WorkloadName::new(text, "x").is_ok() => {
                if !namespaces.insert(text.to_owned()) {
                    r.error(word.place, format!("duplicate entries in exportTo for entry {text}"));
                }
            }
            text => r.error(word.place, format!("exportTo: only ., *, or a valid DNS 1123 label is allowed as exportTo entry, found `{text}`")),
        }
    }
    let place = words.first().map_or(Place::default(), |word| word.place);
    if public && words.len() > 1 {
        r.error(
            place,
            "cannot have both public (*) and non-public exportTo values for a resource",
        );
    }
    if nobody && words.len() > 1 {
        r.error(
            place,
            "cannot export service entry to no one (~) and someone",
        );
    }
    if public {
        ExportTo::All
    } else {
        ExportTo::Namespaces(namespaces)
    }
}

/// Checks a selector (Istio: validateWorkloadSelector).
pub(super) fn check_selector(selector: &Labels, place: Place, r: &mut Report) {
    for (key, value) in selector {
        if key.is_empty() {
            r.error(
                place,
                format!("empty key is not supported in selector: \"{key}={value}\""),
            );
        }
        if key.contains('*') || value.contains('*') {
            r.error(
                place,
                format!("wildcard is not supported in selector: \"{key}={value}\""),
            );
        }
    }
    if selector.is_empty() {
        r.warn(place, "workload selector specified without labels");
    }
}

/// Reads `selector.matchLabels`. Absent and empty are the same.
pub(super) fn match_labels(spec: &mut Fields<'_>, r: &mut Report) -> Labels {
    let Some(mut selector) = spec.child("selector", r) else {
        return Labels::new();
    };
    let labels = selector.labels("matchLabels", r).unwrap_or_default();
    check_selector(&labels, selector.place(), r);
    selector.close(r);
    labels
}
