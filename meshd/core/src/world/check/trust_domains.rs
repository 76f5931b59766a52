//! Policies that name trust domains of which nobody can be.

use std::collections::BTreeSet;

use mesh_api::v1::AuthorizationSource;

use super::super::objects::Objects;
use super::Findings;

/// Istio's default, which stands for the mesh's own in policies.
const OWN: &str = "cluster.local";

pub(super) fn check(found: &mut Findings<'_>, objects: &Objects) {
    let settings = &found.world.settings;
    let federation = settings.federation();
    let known: BTreeSet<&str> = std::iter::once(&settings.trust_domain)
        .chain(&settings.trust_domain_aliases)
        .chain(federation.iter().map(|bundle| &bundle.trust_domain))
        .chain(
            settings
                .bundle_endpoints
                .iter()
                .map(|one| &one.trust_domain),
        )
        .map(mesh_api::TrustDomain::as_str)
        .chain([OWN])
        .collect();
    let mut unknown = Vec::new();
    for policy in &objects.authorization_policies {
        for rule in &policy.rules {
            let named: BTreeSet<&str> = rule.from.iter().flat_map(domains).collect();
            let named = named.into_iter().filter(|domain| !known.contains(domain));
            let origin = rule.origin.as_ref().unwrap_or(&policy.meta.origin);
            unknown.extend(named.map(|domain| (origin.clone(), domain.to_owned())));
        }
    }
    for (origin, domain) in unknown {
        let message = format!(
            "`{domain}` is neither a trust domain of this mesh nor one that it trusts \
             (trustDomainAliases, caCertificates): nobody can prove to be of it, so what names it \
             matches nothing"
        );
        found.warn(&origin, "trust-domain-unknown", message);
    }
}

/// Those that stand there as they are; a pattern may mean any.
fn domains(source: &AuthorizationSource) -> impl Iterator<Item = &str> {
    let principals = source.principals.iter().chain(&source.not_principals);
    let of_principals = principals.filter_map(|name| {
        let (domain, rest) = name.split_once('/')?;
        rest.starts_with("ns/").then_some(domain)
    });
    let named = source.trust_domains.iter().chain(&source.not_trust_domains);
    of_principals
        .chain(named.map(String::as_str))
        .filter(|domain| !domain.is_empty() && !domain.contains('*'))
}
