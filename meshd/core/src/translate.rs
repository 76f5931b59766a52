//! World to resources, for one proxy.

mod address;
mod authorization;
mod gateway;
mod http;
mod inbound;
mod l4;
mod name;
mod service;
mod table;
mod target;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::rc::Rc;
use std::sync::Arc;

use mesh_api::v1::resource::Body;
use mesh_api::v1::{Mesh, ProxyKind, Resource, RouteTable};
use mesh_api::{Hostname, ResourceName};
use prost::Message;
use sha2::{Digest, Sha256};

use crate::world::{EffectiveRule, Inner, ServiceId, ServiceRecord};
use crate::yaml::Labels;
use crate::{Scope, World};

pub(crate) use gateway::{Merged, domains, merge};

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
    let view = View::new(world, scope);
    let mut resources = BTreeMap::new();
    let mut hosts: BTreeSet<Hostname> = BTreeSet::new();
    for root in roots {
        let body = match root {
            ResourceName::Mesh => Body::Mesh(mesh(world)),
            ResourceName::Inbound if scope.kind() == ProxyKind::Sidecar => {
                Body::Inbound(view.inbound())
            }
            ResourceName::Gateway if scope.kind() == ProxyKind::Gateway => {
                view.gateway_root(&mut hosts, &mut resources);
                continue;
            }
            ResourceName::Routes { host, port } => table_body(view.routes(host, *port), &mut hosts),
            ResourceName::Name(host) => Body::NameAddresses(view.name(host)),
            ResourceName::Address(address) => table_body(view.address(*address), &mut hosts),
            _ => continue,
        };
        resources.insert(root.clone(), resource(root, body));
    }
    view.close_over(&hosts, &mut resources);
    resources
}

fn table_body(table: RouteTable, hosts: &mut BTreeSet<Hostname>) -> Body {
    table
        .http
        .iter()
        .for_each(|route| http::hosts_of(route, hosts));
    let destinations = table.tls.iter().flat_map(|route| &route.destinations);
    let destinations = destinations.chain(table.tcp.iter().flat_map(|route| &route.destinations));
    hosts.extend(destinations.filter_map(|destination| destination.host.parse().ok()));
    Body::Routes(table)
}

fn mesh(world: &World) -> Mesh {
    let settings = world.settings();
    Mesh {
        trust_domain: settings.trust_domain.as_str().to_owned(),
        trust_domain_aliases: settings
            .trust_domain_aliases
            .iter()
            .map(|alias| alias.as_str().to_owned())
            .collect(),
        outbound_policy: settings.outbound_policy.into(),
        roots_der: settings.roots_der.clone(),
    }
}

fn resource(name: &ResourceName, body: Body) -> Arc<Resource> {
    let mut resource = Resource {
        name: name.to_string(),
        version: String::new(),
        body: Some(body),
    };
    let hash: [u8; 32] = Sha256::digest(resource.encode_to_vec()).into();
    for byte in hash.iter().take(16) {
        let _ = write!(resource.version, "{byte:02x}");
    }
    Arc::new(resource)
}

/// A World as one proxy sees it.
pub(crate) struct View<'w> {
    world: &'w Inner,
    scope: &'w Scope,
    labels: Arc<Labels>,
    rules: RefCell<HashMap<ServiceId, Rc<EffectiveRule<'w>>>>,
}

// === impl View ===

impl<'w> View<'w> {
    fn new(world: &'w World, scope: &'w Scope) -> Self {
        Self {
            world: world.inner(),
            scope,
            labels: scope.labels(world),
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

    /// Adds the services and the workloads behind them.
    fn close_over(
        &self,
        hosts: &BTreeSet<Hostname>,
        resources: &mut BTreeMap<ResourceName, Arc<Resource>>,
    ) {
        let mut workloads = BTreeSet::new();
        for host in hosts {
            let Some(id) = self.world.service(host.as_str(), self.namespace()) else {
                continue;
            };
            let Some(record) = self.service(id) else {
                continue;
            };
            let name = ResourceName::Service(host.clone());
            let body = Body::Service(self.compile_service(id, record));
            resources.insert(name.clone(), resource(&name, body));
            workloads.extend(record.backends.iter().copied());
        }
        for id in workloads {
            let Some(record) = self.world.workloads.get(id) else {
                continue;
            };
            let name = ResourceName::Workload(record.uid.clone());
            resources.insert(
                name.clone(),
                resource(&name, Body::Workload(self.compile_workload(record))),
            );
        }
    }
}
