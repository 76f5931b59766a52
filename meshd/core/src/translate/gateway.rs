//! What a gateway serves: the servers of all Gateway objects that select it.

mod merge;
mod tls;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use mesh_api::v1::resource::Body;
use mesh_api::v1::{
    Gateway, GatewayHost, GatewayListener, GatewayTopology, HttpRoute, Origin, Protocol, Resource,
    TcpRoute,
};
use mesh_api::{Hostname, ResourceName};

use super::authorization::Security;
use super::http::{self, Place, catch_alls_last};
use super::{View, resource};
use crate::model::{GatewayServer, Semantics, ServerHost, ServerProtocol, VirtualService};
use crate::names;

pub(crate) use merge::{Merged, Placed, merge};
use merge::{MergedListener, Speaks};
pub(super) use tls::terminating;

// === impl View ===

impl View<'_> {
    /// `gateway/self` and the credentials that it names, and no others.
    pub(super) fn gateway_root(
        &self,
        hosts: &mut BTreeSet<Hostname>,
        resources: &mut BTreeMap<ResourceName, Arc<Resource>>,
    ) {
        let merged = self.merged();
        let gateway = self.gateway(&merged, self.security(hosts));
        hosts_of(&gateway, hosts);
        let root = ResourceName::Gateway;
        resources.insert(root.clone(), resource(&root, Body::Gateway(gateway)));
        let placed: Vec<Placed<'_>> = merged
            .listeners
            .values()
            .flat_map(|listener| listener.servers.iter().copied())
            .collect();
        for credential in self.credentials(&placed) {
            let name = ResourceName::Credential {
                namespace: credential.namespace.clone(),
                name: credential.name.clone(),
            };
            let body = Body::Credential(credential);
            resources.insert(name.clone(), resource(&name, body));
        }
    }

    fn merged(&self) -> Merged<'_> {
        let selected = self
            .world
            .gateways
            .iter()
            .filter(|gateway| gateway.selects(self.namespace(), &self.labels));
        merge(selected.map(|gateway| &**gateway), |port| {
            self.world.listener_ports(self.scope.workload(), port)
        })
    }

    fn gateway(&self, merged: &Merged<'_>, security: Security) -> Gateway {
        Gateway {
            workload: self.scope.workload().to_string(),
            place: Some(self.place()),
            topology: Some(self.world.settings.gateway_topology)
                .filter(|topology| *topology != GatewayTopology::default()),
            listeners: merged
                .listeners
                .iter()
                .filter_map(|((port, bind), listener)| {
                    let mut wire = self.listener(listener)?;
                    wire.port = u32::from(*port);
                    wire.bind = bind.map(|bind| bind.to_string()).unwrap_or_default();
                    if listener.ports.as_slice() != [*port] {
                        wire.service_ports =
                            listener.ports.iter().copied().map(u32::from).collect();
                    }
                    Some(wire)
                })
                .collect(),
            policies: security.policies,
            request_authentications: security.request_authentications,
            external_authorizers: security.external_authorizers,
            admission: self.admission(),
            telemetry: self.telemetry(),
        }
    }

    fn listener(&self, merged: &MergedListener<'_>) -> Option<GatewayListener> {
        let first = merged.servers.first()?;
        let mut listener = GatewayListener::default();
        match merged.speaks {
            Speaks::Http => {
                if let ServerProtocol::Http(protocol) = first.server.protocol {
                    listener.set_protocol(protocol);
                }
                let mut hosts = Hosts::default();
                for placed in &merged.servers {
                    self.serve(*placed, &mut hosts);
                }
                listener.hosts = hosts.into_wire();
            }
            Speaks::Tls => {
                listener.set_protocol(Protocol::Tls);
                let mut names = BTreeSet::new();
                for placed in &merged.servers {
                    self.tls_servers(*placed, &mut names, &mut listener.tls);
                }
            }
            Speaks::Tcp => {
                listener.set_protocol(Protocol::Tcp);
                listener.tcp.push(self.gateway_tcp(*first)?);
            }
        }
        Some(listener)
    }

    /// VirtualServices that are bound to a server's Gateway, oldest first.
    fn bound<'v>(
        &'v self,
        placed: Placed<'_>,
    ) -> impl Iterator<Item = (usize, &'v Arc<VirtualService>)> {
        let bound = self
            .world
            .gateway_routes
            .get(&placed.gateway.meta.full_name());
        let objects = bound.into_iter().flatten().filter_map(|index| {
            self.world
                .virtual_services
                .get(*index)
                .map(|object| (*index, object))
        });
        objects.filter(|(_, object)| object.export_to.reaches(self.namespace()))
    }

    fn serve(&self, placed: Placed<'_>, hosts: &mut Hosts) {
        let server = placed.server;
        let name = [placed.gateway.meta.full_name()];
        let place = Place {
            gateways: &name,
            port: server.port,
        };
        for (index, object) in self.bound(placed) {
            let routes = self.http_routes(object, &place);
            // One that routes nothing here, as one for TLS, keeps no host from others (Istio: there
            // is no virtual host for it).
            if routes.is_empty() {
                continue;
            }
            for domain in domains(server, object, &self.world.settings.cluster_domain) {
                let entry = hosts
                    .0
                    .entry(domain.as_str().to_owned())
                    .or_insert_with(|| Serving::new(&server.origin));
                entry.https_redirect |= server.https_redirect;
                // A VirtualService bound by several servers of a port counts once.
                if !entry.objects.contains(&index) {
                    entry.objects.push(index);
                    entry.routes.push((index, routes.clone()));
                }
            }
        }
        if server.https_redirect {
            for host in &server.hosts {
                let entry = hosts
                    .0
                    .entry(host.host.clone())
                    .or_insert_with(|| Serving::new(&host.origin));
                entry.https_redirect = true;
            }
        }
    }
}

/// Adds the hosts that any route of a gateway sends to.
fn hosts_of(gateway: &Gateway, hosts: &mut BTreeSet<Hostname>) {
    let mut add = |routes: &[TcpRoute]| {
        let destinations = routes.iter().flat_map(|route| &route.destinations);
        hosts.extend(destinations.filter_map(|destination| destination.host.parse().ok()));
    };
    for listener in &gateway.listeners {
        add(&listener.tcp);
        listener.tls.iter().for_each(|server| add(&server.tcp));
    }
    for listener in &gateway.listeners {
        let inside = listener.tls.iter().flat_map(|server| &server.hosts);
        for host in listener.hosts.iter().chain(inside) {
            host.http
                .iter()
                .for_each(|route| http::hosts_of(route, hosts));
        }
    }
}

/// What is gathered by domain.
#[derive(Default)]
struct Hosts(BTreeMap<String, Serving>);

/// What is gathered for one domain.
struct Serving {
    origin: Origin,
    https_redirect: bool,
    objects: Vec<usize>,
    routes: Vec<(usize, Vec<HttpRoute>)>,
}

impl Serving {
    fn new(origin: &Origin) -> Self {
        Self {
            origin: origin.clone(),
            https_redirect: false,
            objects: Vec::new(),
            routes: Vec::new(),
        }
    }
}

impl Hosts {
    /// Puts the routes of each domain together, the oldest VirtualService first.
    fn into_wire(self) -> Vec<GatewayHost> {
        self.0
            .into_iter()
            .map(|(domain, mut serving)| {
                serving.routes.sort_by_key(|(index, _)| *index);
                // In one VirtualService nothing comes after what takes everything.
                let are_merged = serving.routes.len() > 1;
                let routes = serving.routes.into_iter();
                let routes: Vec<_> = routes.flat_map(|(_, routes)| routes).collect();
                GatewayHost {
                    domain,
                    http: match are_merged {
                        true => catch_alls_last(routes),
                        false => routes,
                    },
                    https_redirect: serving.https_redirect,
                    origin: Some(serving.origin),
                }
            })
            .collect()
    }
}

/// Hosts of a server that VirtualServices of a namespace may bind.
fn permitted(server: &GatewayServer, namespace: &str) -> Vec<Hostname> {
    let may_bind = |host: &&ServerHost| {
        host.namespace
            .as_deref()
            .is_none_or(|only| only == namespace)
    };
    let hosts = server.hosts.iter().filter(may_bind);
    hosts.filter_map(|host| host.host.parse().ok()).collect()
}

/// Domains that a VirtualService serves on a server: where the hosts of both meet.
pub(crate) fn domains(
    server: &GatewayServer,
    object: &VirtualService,
    cluster_domain: &str,
) -> Vec<Hostname> {
    let namespace = object.meta.namespace();
    let mut domains = Vec::new();
    for open in permitted(server, namespace) {
        for wanted in &object.hosts {
            let wanted = match object.semantics {
                Semantics::Istio => names::resolve(&wanted.text, namespace, cluster_domain),
                // There are no short names in the Gateway API.
                Semantics::GatewayApi => wanted.text.parse().ok(),
            };
            let Some(wanted) = wanted else {
                continue;
            };
            let meeting = if open == wanted || open.covers(wanted.as_str()) {
                wanted
            } else if wanted.covers(open.as_str()) {
                open.clone()
            } else {
                continue;
            };
            if !domains.contains(&meeting) {
                domains.push(meeting);
            }
        }
    }
    domains
}
