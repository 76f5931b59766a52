//! What a gateway serves: the servers of all Gateway objects that select it.

use std::collections::BTreeMap;
use std::sync::Arc;

use mesh_api::Hostname;
use mesh_api::v1::{Gateway, GatewayHost, GatewayListener, Origin, Protocol};

use super::View;
use super::http::{Place, catch_alls_last};
use crate::model::{GatewayObject, GatewayServer, ServerHost, VirtualService, selects};
use crate::names;

// === impl View ===

impl View<'_> {
    pub(super) fn gateway(&self) -> Gateway {
        let mut listeners: BTreeMap<u16, (Protocol, Hosts)> = BTreeMap::new();
        let selected = |gateway: &&Arc<GatewayObject>| {
            gateway
                .selector
                .as_ref()
                .is_none_or(|labels| selects(labels, &self.labels))
        };
        for gateway in self.world.gateways.iter().filter(selected) {
            for server in &gateway.servers {
                let (_, hosts) = listeners
                    .entry(server.port)
                    .or_insert_with(|| (server.protocol, Hosts::default()));
                self.serve(gateway, server, hosts);
            }
        }
        Gateway {
            workload: self.scope.workload().to_string(),
            listeners: listeners
                .into_iter()
                .map(|(port, (protocol, hosts))| listener(port, protocol, hosts))
                .collect(),
            policies: self.authorization_policies(),
        }
    }

    fn serve(&self, gateway: &GatewayObject, server: &GatewayServer, hosts: &mut Hosts) {
        let name = [gateway.meta.full_name()];
        let place = Place {
            gateways: &name,
            port: server.port,
        };
        let bound = self.world.gateway_routes.get(&gateway.meta.full_name());
        let objects = bound.into_iter().flatten().filter_map(|index| {
            self.world
                .virtual_services
                .get(*index)
                .map(|object| (*index, object))
        });
        for (index, object) in
            objects.filter(|(_, object)| object.export_to.reaches(self.namespace()))
        {
            for domain in domains(server, object, &self.world.settings.cluster_domain) {
                let entry = hosts
                    .entry(domain.as_str().to_owned())
                    .or_insert_with(|| Serving::new(&server.origin));
                entry.https_redirect |= server.https_redirect;
                // A VirtualService bound by several servers of a port counts once.
                if !entry.objects.contains(&index) {
                    entry.objects.push(index);
                    entry.routes.push((index, self.http_routes(object, &place)));
                }
            }
        }
        if server.https_redirect {
            for host in &server.hosts {
                let entry = hosts
                    .entry(host.host.clone())
                    .or_insert_with(|| Serving::new(&host.origin));
                entry.https_redirect = true;
            }
        }
    }
}

type Hosts = BTreeMap<String, Serving>;

/// What is gathered for one domain.
struct Serving {
    origin: Origin,
    https_redirect: bool,
    objects: Vec<usize>,
    routes: Vec<(usize, Vec<mesh_api::v1::HttpRoute>)>,
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

/// Puts the routes of each domain together, the oldest VirtualService first.
fn listener(port: u16, protocol: Protocol, hosts: Hosts) -> GatewayListener {
    let hosts = hosts
        .into_iter()
        .map(|(domain, mut serving)| {
            serving.routes.sort_by_key(|(index, _)| *index);
            let routes = serving
                .routes
                .into_iter()
                .flat_map(|(_, routes)| routes)
                .collect();
            GatewayHost {
                domain,
                http: catch_alls_last(routes),
                https_redirect: serving.https_redirect,
                origin: Some(serving.origin),
            }
        })
        .collect();
    GatewayListener {
        port: u32::from(port),
        protocol: protocol.into(),
        hosts,
    }
}

/// Domains that a VirtualService serves on a server: where the hosts of both meet.
pub(crate) fn domains(
    server: &GatewayServer,
    object: &VirtualService,
    cluster_domain: &str,
) -> Vec<Hostname> {
    let namespace = object.meta.namespace();
    let may_bind = |host: &&ServerHost| {
        host.namespace
            .as_deref()
            .is_none_or(|only| only == namespace)
    };
    let mut domains = Vec::new();
    for host in server.hosts.iter().filter(may_bind) {
        let Ok(open) = host.host.parse::<Hostname>() else {
            continue;
        };
        for wanted in &object.hosts {
            let Some(wanted) = names::resolve(&wanted.text, namespace, cluster_domain) else {
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
