//! Which AuthorizationPolicies hold for a workload.

use mesh_api::v1::{AuthorizationAttribute, AuthorizationPolicy};

use super::View;
use crate::model;
use crate::model::selects;

/// The local trust domain as Istio's policies may always call it.
const LOCAL: &str = "cluster.local";

// === impl View ===

impl View<'_> {
    /// Policies of the workload's and the root namespace that select the workload, by name.
    pub(super) fn authorization_policies(&self) -> Vec<AuthorizationPolicy> {
        let root = self.world.settings.root_namespace.as_str();
        let mut namespaces = vec![self.namespace()];
        if root != self.namespace() {
            namespaces.push(root);
        }
        let policies = namespaces
            .into_iter()
            .filter_map(|namespace| self.world.authorization_policies.get(namespace));
        let mut policies: Vec<AuthorizationPolicy> = policies
            .flatten()
            .filter(|policy| !policy.dry_run && selects(&policy.selector, &self.labels))
            .map(|policy| self.authorization_policy(policy))
            .collect();
        policies.sort_by(|a, b| a.name.cmp(&b.name));
        policies
    }

    fn authorization_policy(&self, policy: &model::AuthorizationPolicy) -> AuthorizationPolicy {
        let mut rules = policy.rules.clone();
        for rule in &mut rules {
            for source in &mut rule.from {
                self.all_trust_domains(&mut source.principals);
                self.all_trust_domains(&mut source.not_principals);
            }
            for condition in &mut rule.when {
                if condition.attribute() == AuthorizationAttribute::SourcePrincipal {
                    self.all_trust_domains(&mut condition.values);
                    self.all_trust_domains(&mut condition.not_values);
                }
            }
        }
        AuthorizationPolicy {
            name: policy.meta.full_name(),
            action: policy.action.into(),
            rules,
            origin: Some(policy.meta.origin.clone()),
        }
    }

    /// A principal of the mesh's trust domain holds for all names of that domain (Istio: trust
    /// domain aliases).
    fn all_trust_domains(&self, principals: &mut Vec<String>) {
        let settings = &self.world.settings;
        let ours: Vec<&str> = std::iter::once(settings.trust_domain.as_str())
            .chain(
                settings
                    .trust_domain_aliases
                    .iter()
                    .map(mesh_api::TrustDomain::as_str),
            )
            .collect();
        let mut all: Vec<String> = Vec::new();
        for principal in principals.drain(..) {
            let mut forms = vec![principal.clone()];
            if let Some((domain, rest)) = principal.split_once('/')
                && (domain == LOCAL || ours.contains(&domain))
            {
                forms = ours
                    .iter()
                    .map(|domain| format!("{domain}/{rest}"))
                    .collect();
            }
            for form in forms {
                if !all.contains(&form) {
                    all.push(form);
                }
            }
        }
        *principals = all;
    }
}
