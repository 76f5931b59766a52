//! Workloads that a policy holds for: `selector` or `targetRefs`.

use mesh_api::v1::Severity;

use super::metadata::match_labels;
use crate::model::Placement;
use crate::yaml::{Fields, Report};

const GATEWAY_API: &str = "gateway.networking.k8s.io";

/// Reads `selector`, `targetRefs` and `targetRef` (Istio: PolicyTargetReference).
pub(super) fn read(spec: &mut Fields<'_>, namespace: &str, r: &mut Report) -> Placement {
    let place = spec.place();
    if spec.has("targetRefs") && spec.has("targetRef") {
        r.error(place, "only one of targetRefs or targetRef can be set");
    } else if spec.has("selector") && (spec.has("targetRefs") || spec.has("targetRef")) {
        r.error(place, "only one of targetRefs or selector can be set");
    }
    let selector = match_labels(spec, r);
    let mut targets = spec.children("targetRefs", r);
    targets.extend(spec.child("targetRef", r));
    let gateways = targets
        .into_iter()
        .filter_map(|target| gateway(target, namespace, r))
        .collect();
    Placement { selector, gateways }
}

fn gateway(mut target: Fields<'_>, namespace: &str, r: &mut Report) -> Option<String> {
    let place = target.place();
    let group = target.text("group", r);
    let kind = target.text("kind", r);
    let name = target.text("name", r);
    let of = target.text("namespace", r);
    target.close(r);
    if name.is_empty() {
        r.error(place, "targetRef.name must be set");
        return None;
    }
    if !of.is_empty() && of != namespace {
        r.error(
            place,
            "cross namespace referencing is not currently supported",
        );
        return None;
    }
    match (group.as_str(), kind.as_str()) {
        (GATEWAY_API, "Gateway") => Some(name),
        // Waypoints alone look at these, and this mesh has none: the policy would hold nowhere.
        ("" | "core", "Service")
        | ("networking.istio.io", "ServiceEntry")
        | (GATEWAY_API, "GatewayClass") => {
            let message = format!(
                "targetRef: a policy for a {kind} holds in waypoints only, and there are none here; select workloads with `selector`"
            );
            r.push(Severity::Error, place, message, "unsupported");
            None
        }
        _ => {
            let message =
                format!("targetRef: `{group}/{kind}` is no kind that policies are attached to");
            r.error(place, message);
            None
        }
    }
}
