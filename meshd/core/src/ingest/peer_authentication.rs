//! PeerAuthentication (Istio: security/v1beta1/peer_authentication.proto).

use std::collections::BTreeMap;

use mesh_api::v1::MtlsMode;

use super::metadata::match_labels;
use crate::model::{Meta, PeerAuthentication};
use crate::yaml::{Fields, Labels, Place, Report};

const MODES: &[(&str, Option<MtlsMode>)] = &[
    ("UNSET", None),
    ("DISABLE", Some(MtlsMode::Disable)),
    ("PERMISSIVE", Some(MtlsMode::Permissive)),
    ("STRICT", Some(MtlsMode::Strict)),
];

/// One without a spec: it says nothing, but takes its level's place.
pub(super) fn empty(meta: Meta) -> PeerAuthentication {
    PeerAuthentication {
        meta,
        selector: Labels::new(),
        mode: None,
        ports: BTreeMap::new(),
    }
}

pub(super) fn read(meta: Meta, spec: &mut Fields<'_>, r: &mut Report) -> PeerAuthentication {
    let selector = match_labels(spec, r);
    let mode = spec.child("mtls", r).and_then(|mtls| mode(mtls, r));
    let mut ports = BTreeMap::new();
    let listed = spec.has("portLevelMtls");
    for (key, node) in spec.entries("portLevelMtls", r) {
        let Some(settings) = Fields::open(node, &format!("spec.portLevelMtls.{}", key.text), r)
        else {
            continue;
        };
        let origin = r.at(key.place);
        match key.text.parse::<u16>() {
            Ok(port) if port > 0 => {
                let found = mode_only(settings, r);
                ports.insert(port, (found, origin));
            }
            _ => r.error(key.place, "port must be in range 1..65535"),
        }
    }
    if selector.is_empty() && !ports.is_empty() {
        r.error(spec.place(), "portLevelMtls requires selector: mesh/namespace peer authentication cannot have port level mTLS");
    } else if listed && ports.is_empty() && !r.failed() {
        r.error(
            spec.place(),
            "port level mTLS, if defined, must have at least one element",
        );
    }
    PeerAuthentication {
        meta,
        selector,
        mode,
        ports,
    }
}

fn mode(mut mtls: Fields<'_>, r: &mut Report) -> Option<(MtlsMode, mesh_api::v1::Origin)> {
    let found: Option<(Option<MtlsMode>, Place)> = mtls.choice("mode", MODES, r);
    mtls.close(r);
    let (mode, place) = found?;
    Some((mode?, r.at(place)))
}

fn mode_only(mtls: Fields<'_>, r: &mut Report) -> Option<MtlsMode> {
    mode(mtls, r).map(|(mode, _)| mode)
}
