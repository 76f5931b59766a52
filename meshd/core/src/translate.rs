//! World to resources, for one proxy.

mod address;
mod authorization;
mod compiled;
mod gateway;
mod http;
mod imports;
mod inbound;
mod l4;
mod name;
mod resilience;
mod service;
mod sidecar;
mod table;
mod target;
mod telemetry;
mod traffic;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;
use std::sync::Arc;

use mesh_api::v1::resource::Body;
use mesh_api::v1::{Mesh, PathNormalization, ProxyKind, Resource, RouteTable, TrustBundle};
use mesh_api::{Hostname, ResourceName};
use prost::Message;
use sha2::{Digest, Sha256};

use crate::model::SidecarObject;
use crate::world::{EffectiveRule, Inner, ServiceId, ServiceRecord};
use crate::yaml::Labels;
use crate::{MeshSettings, Scope, World};

pub(crate) use compiled::Compiled;
use compiled::ForClients;
pub(crate) use gateway::{Merged, domains, merge};
pub(crate) use resilience::{is, is_section};
pub(crate) use service::{lists_tunnel, speaks_hbone};
pub(crate) use traffic::client_tls_mode;

/// Istio's default conditions for a retry, also used without any VirtualService.
pub(crate) const DEFAULT_RETRY_ON: [&str; 5] = [
    "connect-failure",
    "refused-stream",
    "unavailable",
    "cancelled",
    "retriable-status-codes",
];

/// Compiles the roots that a proxy subscribes to, with everything they need: a route table
/// brings the services it names, a service the workloads behind it. Every root of a kind that
/// fits the proxy is answered, if need be by a route table that says that nobody declared the
/// destination.
///
/// Versions are hashes of the content, so the same World gives the same versions anywhere.
pub fn translate(
    world: &World,
    scope: &Scope,
    roots: &BTreeSet<ResourceName>,
) -> BTreeMap<ResourceName, Arc<Resource>> {
    translation(world, scope, roots).resources
}

/// What a proxy gets, and what of the endpoints it depends on.
pub(crate) struct Translation {
    pub(crate) resources: BTreeMap<ResourceName, Arc<Resource>>,
    /// Services whose workloads are among the resources.
    pub(crate) services: Vec<ServiceId>,
    /// Any workload may change a resource: an address of a workload is among the roots, or may
    /// become one.
    pub(crate) any_workload: bool,
}

pub(crate) fn translation(
    world: &World,
    scope: &Scope,
    roots: &BTreeSet<ResourceName>,
) -> Translation {
    let view = View::new(world, scope);
    let mut resources = BTreeMap::new();
    let mut hosts: BTreeSet<Hostname> = BTreeSet::new();
    let mut any_workload = false;
    for root in roots {
        let body = match root {
            ResourceName::Inbound if scope.kind() == ProxyKind::Sidecar => {
                Body::Inbound(view.inbound(&mut hosts))
            }
            ResourceName::Gateway if scope.kind() == ProxyKind::Gateway => {
                view.gateway_root(&mut hosts, &mut resources);
                continue;
            }
            ResourceName::Mesh
            | ResourceName::Routes { .. }
            | ResourceName::Name(_)
            | ResourceName::Address(_) => {
                let compiled = view.common_root(root);
                hosts.extend(compiled.hosts.iter().cloned());
                any_workload |= compiled.any_workload;
                resources.insert(root.clone(), Arc::clone(&compiled.resource));
                continue;
            }
            _ => continue,
        };
        resources.insert(root.clone(), resource(root, body));
    }
    let services = view.close_over(&hosts, &mut resources);
    Translation {
        resources,
        services,
        any_workload,
    }
}

/// What became of the workloads of some services.
pub(crate) struct Endpoints<'w> {
    /// Those that are new or others.
    pub(crate) there: Vec<Arc<Resource>>,
    /// Uids of those that left one of the services, and may be behind another.
    pub(crate) left: Vec<&'w str>,
}

/// What changed behind services after the World of a number; none if that is too long ago.
pub(crate) fn endpoints_after<'w>(
    world: &'w World,
    scope: &'w Scope,
    (services, number): (&[ServiceId], u64),
) -> Option<Endpoints<'w>> {
    let view = View::new(world, scope);
    let mut endpoints = Endpoints {
        there: Vec::new(),
        left: Vec::new(),
    };
    for service in services {
        let service = view.service(*service)?;
        let left = service.departures.after(number)?;
        endpoints.left.extend(left);
        for id in &service.backends {
            if let Some(record) = view.world.workloads.get(*id)
                && record.since > number
            {
                let name = ResourceName::Workload(record.uid.clone());
                endpoints.there.push(view.common_workload(record, &name));
            }
        }
    }
    Some(endpoints)
}

/// Hosts of the services that a route table names.
fn hosts_of_table(table: &RouteTable) -> BTreeSet<Hostname> {
    let mut hosts = BTreeSet::new();
    for route in &table.http {
        http::hosts_of(route, &mut hosts);
    }
    let destinations = table.tls.iter().flat_map(|route| &route.destinations);
    let destinations = destinations.chain(table.tcp.iter().flat_map(|route| &route.destinations));
    hosts.extend(destinations.filter_map(|destination| destination.host.parse().ok()));
    hosts
}

fn mesh(settings: &MeshSettings, sidecar: Option<&SidecarObject>) -> Mesh {
    let outbound_policy = sidecar.and_then(|sidecar| sidecar.outbound_policy);
    Mesh {
        trust_domain: settings.trust_domain.as_str().to_owned(),
        trust_domain_aliases: settings
            .trust_domain_aliases
            .iter()
            .map(|alias| alias.as_str().to_owned())
            .collect(),
        outbound_policy: outbound_policy.unwrap_or(settings.outbound_policy).into(),
        roots_der: settings.roots_der.clone(),
        // The default goes without saying.
        path_normalization: match settings.path_normalization {
            PathNormalization::Base => PathNormalization::Unspecified.into(),
            other => other.into(),
        },
        federated: settings
            .federation()
            .into_iter()
            .map(|bundle| TrustBundle {
                trust_domain: bundle.trust_domain.as_str().to_owned(),
                roots_der: bundle.roots_der,
                jwks: bundle.jwks,
            })
            .collect(),
        crls_der: settings.crls_der.clone(),
        renew_certificates: settings.renew_certificates.clone(),
        jwks: settings.jwks.clone(),
    }
}

fn resource(name: &ResourceName, body: Body) -> Arc<Resource> {
    let mut resource = Resource {
        name: name.to_string(),
        version: String::new(),
        body: Some(body),
    };
    let hash: [u8; 32] = Sha256::digest(resource.encode_to_vec()).into();
    let [first, _] = hash.as_chunks::<16>().0 else {
        return Arc::new(resource);
    };
    resource.version = format!("{:032x}", u128::from_be_bytes(*first));
    Arc::new(resource)
}

/// A World as one proxy sees it.
pub(crate) struct View<'w> {
    world: &'w Inner,
    scope: &'w Scope,
    labels: Arc<Labels>,
    /// What narrows the view of a sidecar.
    sidecar: Option<&'w SidecarObject>,
    /// Made before for clients that see the World as this one does.
    common: Arc<ForClients>,
    rules: RefCell<HashMap<ServiceId, Rc<EffectiveRule<'w>>>>,
}

// === impl View ===

impl<'w> View<'w> {
    fn new(world: &'w World, scope: &'w Scope) -> Self {
        let labels = scope.labels(world);
        let inner = world.inner();
        let client = (scope.workload().namespace(), &*labels);
        let root = inner.settings.root_namespace.as_str();
        let sidecar = match scope.kind() {
            ProxyKind::Sidecar => inner.sidecars.of(client, root),
            ProxyKind::Gateway | ProxyKind::Unspecified => None,
        };
        let common = inner.compiled.of(scope, &labels, sidecar);
        Self {
            world: world.inner(),
            scope,
            labels,
            sidecar,
            common,
            rules: RefCell::default(),
        }
    }

    fn namespace(&self) -> &'w str {
        self.scope.workload().namespace()
    }

    fn service(&self, id: ServiceId) -> Option<&'w ServiceRecord> {
        self.world.services.get(id)
    }

    /// The DestinationRules of a service, found once.
    fn rule(&self, id: ServiceId) -> Rc<EffectiveRule<'w>> {
        if let Some(rule) = self.rules.borrow().get(&id) {
            return Rc::clone(rule);
        }
        let rule = self
            .service(id)
            .map(|service| {
                self.world
                    .destination_rule(service, self.namespace(), &self.labels)
            })
            .unwrap_or_default();
        let rule = Rc::new(rule);
        self.rules.borrow_mut().insert(id, Rc::clone(&rule));
        rule
    }

    /// Adds the services and the workloads behind them. Gives the services.
    fn close_over(
        &self,
        hosts: &BTreeSet<Hostname>,
        resources: &mut BTreeMap<ResourceName, Arc<Resource>>,
    ) -> Vec<ServiceId> {
        let mut services = Vec::new();
        let mut workloads = BTreeSet::new();
        for host in hosts {
            let Some(id) = self.world.service(host.as_str(), self.namespace()) else {
                continue;
            };
            let Some(record) = self.service(id) else {
                continue;
            };
            let name = ResourceName::Service(host.clone());
            resources.insert(name.clone(), self.common_service(id, record, &name));
            for credential in self.client_credentials(id) {
                let name = ResourceName::Credential {
                    namespace: credential.namespace.clone(),
                    name: credential.name.clone(),
                };
                // What a gateway serves with is the same Secret.
                resources
                    .entry(name.clone())
                    .or_insert_with(|| resource(&name, Body::Credential(credential)));
            }
            workloads.extend(record.backends.iter().copied());
            services.push(id);
        }
        for id in workloads {
            if let Some(record) = self.world.workloads.get(id) {
                let name = ResourceName::Workload(record.uid.clone());
                let compiled = self.common_workload(record, &name);
                resources.insert(name, compiled);
            }
        }
        services
    }
}
