//! Which service, VirtualService and DestinationRule a client in a namespace gets.

use std::sync::Arc;

use mesh_api::Hostname;

use super::{Inner, ServiceId, ServiceRecord};
use crate::model::{ClientPolicy, DestinationRule, SubsetSpec, VirtualService, selects};
use crate::names;
use crate::yaml::Labels;

/// What all DestinationRules together say of one service.
#[derive(Default)]
pub(crate) struct EffectiveRule<'w> {
    pub(crate) policy: Option<&'w ClientPolicy>,
    /// Each name once.
    pub(crate) subsets: Vec<&'w SubsetSpec>,
    /// It is for some workloads of its namespace only.
    pub(crate) selected: bool,
}

// === impl Inner ===

impl Inner {
    /// The service of a full host name that clients in `namespace` see: one of their own
    /// namespace, then a Service of Kubernetes, then the oldest.
    pub(crate) fn service(&self, host: &str, namespace: &str) -> Option<ServiceId> {
        let visible = |id: &&ServiceId| {
            self.services
                .get(**id)
                .is_some_and(|service| service.export_to.reaches(namespace))
        };
        let rank = |id: &&ServiceId| {
            let service = self.services.get(**id);
            (
                service.is_none_or(|service| service.namespace != namespace),
                service.is_none_or(|service| !service.kubernetes),
                **id,
            )
        };
        self.services_by_host
            .get(host)?
            .iter()
            .filter(visible)
            .min_by_key(rank)
            .copied()
    }

    /// The service that a client in `namespace` means by a host: by any of the name's meanings,
    /// a pod of a headless service, or the longest wildcard.
    pub(crate) fn meant(&self, host: &Hostname, namespace: &str) -> Option<ServiceId> {
        let domain = &self.settings.cluster_domain;
        let meanings = names::meanings(host.as_str(), namespace, domain);
        for name in &meanings {
            if let Some(target) = self.aliases.get(name)
                && let Some(id) = self.service(target.as_str(), namespace)
            {
                return Some(id);
            }
            if let Some(id) = self.service(name.as_str(), namespace) {
                return Some(id);
            }
        }
        if let Some((_, rest)) = host.as_str().split_once('.') {
            let headless = |id: &ServiceId| {
                self.services
                    .get(*id)
                    .is_some_and(|service| service.headless)
            };
            let of_pod = names::meanings(rest, namespace, domain);
            if let Some(id) = of_pod
                .iter()
                .find_map(|name| self.service(name.as_str(), namespace))
                .filter(headless)
            {
                return Some(id);
            }
        }
        names::wildcards(host.as_str()).find_map(|wildcard| self.service(&wildcard, namespace))
    }

    /// VirtualServices for sidecars that speak of a host, the one to try first first: the most
    /// specific host, then private before exported before public, then the oldest.
    pub(crate) fn mesh_routes(&self, host: &str, namespace: &str) -> Vec<&Arc<VirtualService>> {
        let mut found: Vec<&Arc<VirtualService>> = Vec::new();
        let patterns = std::iter::once(host.to_owned()).chain(names::wildcards(host));
        for pattern in patterns {
            let mut same: Vec<(u8, &Arc<VirtualService>)> = self
                .mesh_routes
                .get(pattern.as_str())
                .into_iter()
                .flatten()
                .filter_map(|index| self.virtual_services.get(*index))
                .filter(|object| object.export_to.reaches(namespace))
                .map(|object| (visibility(object, namespace), object))
                .collect();
            same.sort_by_key(|(class, _)| *class);
            for (_, object) in same {
                if !found.iter().any(|known| Arc::ptr_eq(known, object)) {
                    found.push(object);
                }
            }
        }
        found
    }

    /// The DestinationRules of a service for a client (Istio: PushContext.destinationRule): the
    /// client's namespace, the service's, then the root's; in each the most specific host.
    pub(crate) fn destination_rule(
        &self,
        service: &ServiceRecord,
        namespace: &str,
        labels: &Labels,
    ) -> EffectiveRule<'_> {
        self.rule_where(service, namespace, |place, selector| {
            place == namespace && selects(selector, labels)
        })
    }

    /// The same for the proxies of the service itself, which rules for some clients are not for
    /// (Istio: SidecarScope.DestinationRule, inbound).
    pub(crate) fn rule_for_servers(
        &self,
        service: &ServiceRecord,
        namespace: &str,
    ) -> EffectiveRule<'_> {
        self.rule_where(service, namespace, |_, _| false)
    }

    fn rule_where(
        &self,
        service: &ServiceRecord,
        namespace: &str,
        is_for: impl Fn(&str, &Labels) -> bool,
    ) -> EffectiveRule<'_> {
        let root = self.settings.root_namespace.as_str();
        let host = service.host.as_str();
        let mut places: Vec<(&str, bool)> = vec![(namespace, true)];
        places.push((service.namespace.as_str(), false));
        places.push((root, false));
        for (place, own) in places {
            let Some(rules) = self.most_specific(place, host) else {
                continue;
            };
            let rules: Vec<&DestinationRule> = rules
                .iter()
                .map(Arc::as_ref)
                .filter(|rule| match (own, namespace == root) {
                    // A client in the root namespace sees its private rules first.
                    (true, true) => rule.export_to.is_private(root),
                    (true, false) => true,
                    (false, _) => rule.export_to.reaches(namespace),
                })
                .collect();
            // Rules of one place hide those of the next, also where they are for others.
            if !rules.is_empty() {
                let mut chosen = rules;
                chosen.retain(|rule| {
                    let selector = rule.selector.as_ref();
                    selector.is_none_or(|selector| is_for(place, selector))
                });
                return merge(&chosen);
            }
        }
        EffectiveRule::default()
    }

    fn most_specific(&self, namespace: &str, host: &str) -> Option<&Vec<Arc<DestinationRule>>> {
        let rules = self.destination_rules.get(namespace)?;
        rules
            .get(host)
            .or_else(|| names::wildcards(host).find_map(|wildcard| rules.get(wildcard.as_str())))
    }
}

/// Istio: VirtualServicesForGateway, SelectVirtualServices. Among those for everybody the routes
/// of the Gateway API of the client's own namespace go first.
fn visibility(object: &VirtualService, namespace: &str) -> u8 {
    use crate::model::{ExportTo, Semantics};
    if object.semantics == Semantics::GatewayApi {
        return match object.meta.namespace() == namespace {
            true => 2,
            false => 3,
        };
    }
    match &object.export_to {
        only if only.is_private(object.meta.namespace())
            && object.meta.namespace() == namespace =>
        {
            0
        }
        ExportTo::Namespaces(_) => 1,
        ExportTo::All => 3,
    }
}

/// Rules for one host in one namespace, in order of age (Istio: mergeDestinationRule): those
/// with a selector go first and stand alone; of the others subsets are put together and the
/// first policy counts.
fn merge<'w>(rules: &[&'w DestinationRule]) -> EffectiveRule<'w> {
    let selected: Vec<&'w DestinationRule> = rules
        .iter()
        .copied()
        .filter(|rule| rule.selector.is_some())
        .collect();
    let plain: Vec<&'w DestinationRule> = rules
        .iter()
        .copied()
        .filter(|rule| rule.selector.is_none())
        .collect();
    let group = if selected.is_empty() { plain } else { selected };
    let Some(first) = group.first() else {
        return EffectiveRule::default();
    };
    let mut merged = EffectiveRule {
        policy: first.policy.as_ref(),
        subsets: first.subsets.iter().collect(),
        selected: first.selector.is_some(),
    };
    for rule in group.iter().skip(1) {
        if rule.selector != first.selector || !first.export_to.includes(&rule.export_to) {
            continue;
        }
        merged.policy = merged.policy.or(rule.policy.as_ref());
        for subset in &rule.subsets {
            if !merged.subsets.iter().any(|known| known.name == subset.name) {
                merged.subsets.push(subset);
            }
        }
    }
    merged
}
