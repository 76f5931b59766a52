//! What the ResiliencePolicies make of a proxy's inbound side, and of a service's endpoints.

use std::collections::BTreeSet;

use mesh_api::v1::{Admission, HealthCheck, Origin, OverloadProtection, ProxyKind, RateLimit};

use super::View;
use crate::model::{
    HttpRule, PolicyTarget, ResiliencePolicy, TargetKind, TargetRef, VirtualService, selects,
};
use crate::world::{Inner, ServiceRecord};

/// Where in a proxy a policy holds.
enum Reach {
    Everywhere,
    Ports(BTreeSet<u32>),
}

/// What is nearest to a workload, the nearest first; of equals the oldest counts.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Nearness {
    Named,
    Selected,
    Namespace,
    Mesh,
}

// === impl View ===

impl View<'_> {
    /// What the proxy lets in; absent if no policy says anything.
    pub(super) fn admission(&self) -> Option<Admission> {
        let root = self.world.settings.root_namespace.as_str();
        let mut namespaces = vec![self.namespace()];
        if root != self.namespace() {
            namespaces.push(root);
        }
        let mut admission = Admission::default();
        let mut overload: Option<(Nearness, &OverloadProtection)> = None;
        for namespace in namespaces {
            let policies = self.world.resilience_policies.get(namespace);
            for policy in policies.into_iter().flatten() {
                let Some((reach, nearness)) = self.reach(policy, namespace == root) else {
                    continue;
                };
                for limit in &policy.rate_limits {
                    let mut limit = limit.clone();
                    if let Reach::Ports(ports) = &reach {
                        limit.ports = ports.iter().copied().collect();
                    }
                    admission.rate_limits.push(limit);
                }
                if let Some(own) = &policy.overload
                    && overload.as_ref().is_none_or(|(best, _)| nearness < *best)
                {
                    overload = Some((nearness, own));
                }
            }
        }
        admission
            .rate_limits
            .sort_by(|a, b| (&a.policy, &a.name).cmp(&(&b.policy, &b.name)));
        admission.overload = overload.map(|(_, own)| own.clone());
        (admission != Admission::default()).then_some(admission)
    }

    /// Rates of the requests that a rule of a VirtualService takes: of policies for that object,
    /// and for the delegate that the rule comes from.
    pub(super) fn route_limits(&self, object: &VirtualService, rule: &HttpRule) -> Vec<RateLimit> {
        let (meta, origin) = (&object.meta, &rule.origin);
        // Ingresses become VirtualServices, too, and are none that a policy could name.
        if origin.kind != "VirtualService" {
            return Vec::new();
        }
        let joined = rule.joined.as_ref();
        let section = joined.map_or(&rule.name, |joined| &joined.root);
        let own = (meta.namespace(), meta.name(), section);
        // Policies for a delegate are those of its own rule.
        let delegate = joined.map(|joined| {
            let (namespace, name) = (origin.namespace.as_str(), origin.name.as_str());
            (namespace, name, &joined.delegate)
        });
        let mut limits = Vec::new();
        for (namespace, name, section) in [Some(own), delegate].into_iter().flatten() {
            let policies = self.world.resilience_policies.get(namespace);
            for policy in policies.into_iter().flatten() {
                let PolicyTarget::Objects(targets) = &policy.target else {
                    continue;
                };
                let named = targets.iter().any(|target| {
                    target.kind == TargetKind::VirtualService
                        && target.name == name
                        && target
                            .section
                            .as_ref()
                            .is_none_or(|wanted| wanted == section)
                });
                if named {
                    limits.extend(policy.rate_limits.iter().cloned());
                }
            }
        }
        limits
    }

    fn reach(&self, policy: &ResiliencePolicy, of_root: bool) -> Option<(Reach, Nearness)> {
        match &policy.target {
            PolicyTarget::Workloads(labels) => {
                let nearness = match (labels.is_empty(), of_root) {
                    (false, _) => Nearness::Selected,
                    (true, false) => Nearness::Namespace,
                    (true, true) => Nearness::Mesh,
                };
                selects(labels, &self.labels).then_some((Reach::Everywhere, nearness))
            }
            PolicyTarget::Objects(targets) => {
                let namespace = policy.meta.namespace();
                let ports: BTreeSet<u32> = targets
                    .iter()
                    .flat_map(|target| self.ports_of(target, namespace))
                    .collect();
                (!ports.is_empty()).then_some((Reach::Ports(ports), Nearness::Named))
            }
        }
    }

    /// Ports of this proxy that serve the object.
    fn ports_of(&self, target: &TargetRef, namespace: &str) -> BTreeSet<u32> {
        let is_gateway = self.scope.kind() == ProxyKind::Gateway;
        if target.kind == TargetKind::Gateway {
            if !is_gateway {
                return BTreeSet::new();
            }
            return self.listeners_of(target, namespace);
        }
        // A gateway's Service is in front of it, and not what it serves.
        let workload = self.world.workload(self.scope.workload());
        let Some(record) = workload.filter(|_| !is_gateway) else {
            return BTreeSet::new();
        };
        let mut ports = BTreeSet::new();
        for (id, fronts) in &record.fronts {
            let Some(service) = self
                .service(*id)
                .filter(|service| is(service, target, namespace))
            else {
                continue;
            };
            let wanted = fronts
                .iter()
                .filter(|(port, _)| is_section(service, *port, target));
            ports.extend(wanted.map(|(_, own)| *own));
        }
        ports
    }

    fn listeners_of(&self, target: &TargetRef, namespace: &str) -> BTreeSet<u32> {
        let mut ports = BTreeSet::new();
        for gateway in &self.world.gateways {
            let meta = &gateway.meta;
            if (meta.namespace(), meta.name()) != (namespace, target.name.as_str())
                || !gateway.selects(self.namespace(), &self.labels)
            {
                continue;
            }
            let servers = gateway.servers.iter().filter(|server| {
                let section = target.section.as_deref();
                section.is_none_or(|section| server.port.to_string() == section)
            });
            for server in servers {
                let listeners = self
                    .world
                    .listener_ports(self.scope.workload(), server.port);
                ports.extend(listeners.into_iter().map(u32::from));
            }
        }
        ports
    }
}

// === impl Inner ===

impl Inner {
    /// How clients look after the endpoints of a service's port: the oldest policy of the
    /// service's namespace counts.
    pub(super) fn health_check(&self, service: &ServiceRecord, port: u32) -> Option<HealthCheck> {
        let policies = self.resilience_policies.get(&service.namespace)?;
        let checking = policies.iter().find_map(|policy| {
            let check = policy.health_check.as_ref()?;
            let PolicyTarget::Objects(targets) = &policy.target else {
                return None;
            };
            let named = targets.iter().any(|target| {
                is(service, target, policy.meta.namespace()) && is_section(service, port, target)
            });
            named.then_some(check)
        });
        checking.cloned()
    }
}

/// Whether it is the object that a policy of a namespace names.
pub(crate) fn is(service: &ServiceRecord, target: &TargetRef, namespace: &str) -> bool {
    let kind = if service.kubernetes {
        TargetKind::Service
    } else {
        TargetKind::ServiceEntry
    };
    let origin: &Origin = &service.origin;
    kind == target.kind && service.namespace == namespace && origin.name == target.name
}

/// Whether a policy is for this port of the service, by its name or number.
pub(crate) fn is_section(service: &ServiceRecord, port: u32, target: &TargetRef) -> bool {
    let Some(section) = &target.section else {
        return true;
    };
    let declared = service
        .ports
        .iter()
        .find(|declared| declared.number == port);
    declared.is_some_and(|declared| declared.name == *section) || port.to_string() == *section
}
