//! ServiceAccount and Namespace: objects of Kubernetes that the mesh knows by name.

use crate::model::Kind;
use crate::yaml::{Fields, Report};

/// Reads over the fields that belong to Kubernetes.
pub(super) fn read(kind: Kind, root: &mut Fields<'_>, r: &mut Report) {
    match kind {
        Kind::ServiceAccount => root.ignore(&[
            "secrets",
            "imagePullSecrets",
            "automountServiceAccountToken",
        ]),
        _ => {
            if let Some(mut spec) = root.child("spec", r) {
                spec.ignore(&["finalizers"]);
                spec.close(r);
            }
        }
    }
}
