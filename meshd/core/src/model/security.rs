//! AuthorizationPolicy, RequestAuthentication.

use mesh_api::v1::{AuthorizationAction, AuthorizationRule, JwtRule};

use super::{Meta, selects};
use crate::settings::KeySource;
use crate::yaml::Labels;

/// Label of the workloads of a Gateway of the Gateway API.
const GATEWAY_NAME: &str = "gateway.networking.k8s.io/gateway-name";

/// Workloads that a policy holds for.
#[derive(Debug, Default)]
pub(crate) struct Placement {
    /// Labels of workloads; empty holds for all of the namespace.
    pub(crate) selector: Labels,
    /// Names of Gateways of the policy's namespace (Istio: targetRefs); then only their
    /// workloads count.
    pub(crate) gateways: Vec<String>,
}

/// An AuthorizationPolicy.
#[derive(Debug)]
pub(crate) struct AuthorizationPolicy {
    pub(crate) meta: Meta,
    pub(crate) placement: Placement,
    pub(crate) action: AuthorizationAction,
    /// Principals stand as written, without `spiffe://`.
    pub(crate) rules: Vec<AuthorizationRule>,
    /// Annotation `istio.io/dry-run: "true"`: nothing is enforced.
    pub(crate) dry_run: bool,
    /// `provider.name` of a CUSTOM policy.
    pub(crate) provider: String,
}

/// A RequestAuthentication.
#[derive(Debug)]
pub(crate) struct RequestAuthentication {
    pub(crate) meta: Meta,
    pub(crate) placement: Placement,
    pub(crate) rules: Vec<TokenRule>,
}

/// One of `jwtRules`.
#[derive(Debug)]
pub(crate) struct TokenRule {
    /// Everything but keys that are fetched.
    pub(crate) wire: JwtRule,
    /// Where the keys are; absent if they stand in the rule.
    pub(crate) keys: Option<KeySource>,
}

// === impl Placement ===

impl Placement {
    /// Whether it names no workloads: it holds for all of the namespace.
    pub(crate) fn is_wide(&self) -> bool {
        self.selector.is_empty() && self.gateways.is_empty()
    }

    /// Whether it holds for a workload. `own` says that policy and workload are in one namespace.
    pub(crate) fn holds(&self, labels: &Labels, own: bool) -> bool {
        if self.gateways.is_empty() {
            return selects(&self.selector, labels);
        }
        let named = labels.get(GATEWAY_NAME);
        own && named.is_some_and(|name| self.gateways.contains(name))
    }
}
