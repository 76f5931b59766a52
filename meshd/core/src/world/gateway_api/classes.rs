//! Which GatewayClasses are the mesh's.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::GatewayClass;

/// Controller of GatewayClasses that are served: Istio's.
pub(super) const CONTROLLER: &str = "istio.io/gateway-controller";
/// The class that is served even if nobody declares it, as Istio does.
const BUILT_IN: &str = "istio";

/// The declared ones, with what of them cannot be done.
pub(super) fn ours(classes: &[Arc<GatewayClass>]) -> BTreeMap<String, Option<String>> {
    let ours = classes
        .iter()
        .filter(|class| class.controller == CONTROLLER);
    ours.map(|class| {
        let trouble = class
            .has_parameters
            .then(|| "parametersRef is not supported".to_owned());
        (class.meta.name().to_owned(), trouble)
    })
    .collect()
}

/// Whether Gateways of a class are served.
pub(super) fn is_served(name: &str, classes: &[Arc<GatewayClass>]) -> bool {
    let declared = classes.iter().find(|class| class.meta.name() == name);
    declared.map_or(name == BUILT_IN, |class| class.controller == CONTROLLER)
}
