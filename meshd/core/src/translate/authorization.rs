//! Which AuthorizationPolicies and RequestAuthentications hold for a workload.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use mesh_api::Hostname;
use mesh_api::v1::{
    AuthorizationAction, AuthorizationAttribute, AuthorizationPolicy, ExternalAuthorizer, JwtRule,
    RequestAuthentication,
};

use super::View;
use crate::model::{Placement, TokenRule};
use crate::{MeshSettings, model};

/// The local trust domain as Istio's policies may always call it.
const LOCAL: &str = "cluster.local";

/// What is asked of requests to a workload.
pub(super) struct Security {
    pub(super) policies: Vec<AuthorizationPolicy>,
    pub(super) request_authentications: Vec<RequestAuthentication>,
    pub(super) external_authorizers: Vec<ExternalAuthorizer>,
}

// === impl View ===

impl View<'_> {
    /// Policies of the workload's and the root namespace that select the workload, by name, and
    /// whom they ask. The hosts of those are added.
    pub(super) fn security(&self, hosts: &mut BTreeSet<Hostname>) -> Security {
        let mut policies: Vec<AuthorizationPolicy> = self
            .selected(&self.world.authorization_policies, |policy| {
                (&policy.placement, policy.meta.namespace())
            })
            .map(|policy| self.authorization_policy(policy))
            .collect();
        policies.sort_by(|a, b| a.name.cmp(&b.name));
        let mut request_authentications: Vec<RequestAuthentication> = self
            .selected(&self.world.request_authentications, |policy| {
                (&policy.placement, policy.meta.namespace())
            })
            .map(|policy| RequestAuthentication {
                name: policy.meta.full_name(),
                rules: policy
                    .rules
                    .iter()
                    .map(|rule| self.token_rule(rule))
                    .collect(),
                origin: Some(policy.meta.origin.clone()),
            })
            .collect();
        request_authentications.sort_by(|a, b| a.name.cmp(&b.name));
        let named: BTreeSet<&str> = policies
            .iter()
            .filter(|policy| policy.action() == AuthorizationAction::Custom)
            .map(|policy| policy.authorizer.as_str())
            .collect();
        let external_authorizers = named
            .into_iter()
            .map(|name| self.external_authorizer(name, hosts))
            .collect();
        Security {
            policies,
            request_authentications,
            external_authorizers,
        }
    }

    fn selected<'a, T>(
        &'a self,
        all: &'a HashMap<String, Vec<Arc<T>>>,
        placed: fn(&T) -> (&Placement, &str),
    ) -> impl Iterator<Item = &'a T> {
        let own = self.namespace();
        let root = self.world.settings.root_namespace.as_str();
        let namespaces = std::iter::once(own).chain((root != own).then_some(root));
        let policies = namespaces.filter_map(|namespace| all.get(namespace));
        policies.flatten().map(Arc::as_ref).filter(move |policy| {
            let (placement, namespace) = placed(policy);
            placement.holds(&self.labels, namespace == own)
        })
    }

    fn token_rule(&self, rule: &TokenRule) -> JwtRule {
        let mut wire = rule.wire.clone();
        let Some(source) = &rule.keys else {
            return wire;
        };
        match self.world.settings.key_sets.get(source) {
            Some(keys) if !keys.jwks.is_empty() => wire.jwks.clone_from(&keys.jwks),
            Some(keys) => wire.unavailable.clone_from(&keys.problem),
            None => wire.unavailable = format!("the keys of {source} have not come yet"),
        }
        wire
    }

    fn external_authorizer(
        &self,
        name: &str,
        hosts: &mut BTreeSet<Hostname>,
    ) -> ExternalAuthorizer {
        let authorizer = self.world.external_authorizer(name);
        // Empty if nobody declares it.
        hosts.extend(authorizer.host.parse::<Hostname>());
        authorizer
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
            dry_run: policy.dry_run,
            authorizer: policy.provider.clone(),
        }
    }

    fn all_trust_domains(&self, principals: &mut Vec<String>) {
        let mut all: Vec<String> = Vec::new();
        for principal in principals.drain(..) {
            for form in principal_forms(&principal, &self.world.settings) {
                if !all.contains(&form) {
                    all.push(form);
                }
            }
        }
        *principals = all;
    }
}

/// A principal of the mesh's trust domain holds for all names of that domain (Istio: trust domain
/// aliases).
fn principal_forms(principal: &str, settings: &MeshSettings) -> Vec<String> {
    let ours = || {
        std::iter::once(&settings.trust_domain)
            .chain(&settings.trust_domain_aliases)
            .map(mesh_api::TrustDomain::as_str)
    };
    match principal.split_once('/') {
        Some((domain, rest)) if domain == LOCAL || ours().any(|own| own == domain) => {
            ours().map(|own| format!("{own}/{rest}")).collect()
        }
        _ => vec![principal.to_owned()],
    }
}
