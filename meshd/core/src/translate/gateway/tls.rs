//! Servers of TLS, and routes for bytes.

use std::collections::BTreeSet;

use mesh_api::Hostname;
use mesh_api::v1::{Credential, Origin, Protocol, TcpRoute, TlsServer, TlsServerMode};

use super::super::View;
use super::merge::Placed;
use super::{Hosts, domains, permitted};
use crate::model::{CertificateSource, CredentialName, L4Case, L4Rule, ServerProtocol, ServerTls};

/// What `tls` says of a server, but for a certificate from a Secret.
pub(in crate::translate) fn terminating(tls: &ServerTls, origin: Origin) -> TlsServer {
    TlsServer {
        mode: tls.mode.into(),
        files: match &tls.certificate {
            CertificateSource::Files(files) => Some(files.clone()),
            CertificateSource::None | CertificateSource::Credential(..) => None,
        },
        subject_alt_names: tls.subject_alt_names.clone(),
        spki_hashes: tls.spki_hashes.clone(),
        certificate_hashes: tls.certificate_hashes.clone(),
        min_version: tls.min_version.into(),
        max_version: tls.max_version.into(),
        cipher_suites: tls.cipher_suites.clone(),
        origin: Some(origin),
        ..TlsServer::default()
    }
}

// === impl View ===

impl View<'_> {
    /// Adds what one server of TLS makes: one server of the resource, or one for each route by
    /// server name if TLS is passed through. `names` are those that are taken.
    pub(super) fn tls_servers(
        &self,
        placed: Placed<'_>,
        names: &mut BTreeSet<String>,
        servers: &mut Vec<TlsServer>,
    ) {
        let Some(tls) = &placed.server.tls else {
            return;
        };
        if tls.mode == TlsServerMode::Passthrough {
            return self.passed_through(placed, names, servers);
        }
        let mut sni_hosts: Vec<String> = Vec::new();
        for host in &placed.server.hosts {
            if names.insert(host.host.clone()) {
                sni_hosts.push(host.host.clone());
            }
        }
        if sni_hosts.is_empty() {
            return;
        }
        let mut server = self.terminating(placed, tls);
        server.sni_hosts = sni_hosts;
        if placed.server.protocol == ServerProtocol::Https {
            let mut hosts = Hosts::default();
            self.serve(placed, &mut hosts);
            server.set_protocol(Protocol::Http);
            server.hosts = hosts.into_wire();
        } else {
            let Some(route) = self.gateway_tcp(placed) else {
                return;
            };
            server.set_protocol(Protocol::Tcp);
            server.tcp = vec![route];
        }
        servers.push(server);
    }

    fn terminating(&self, placed: Placed<'_>, tls: &ServerTls) -> TlsServer {
        let mut server = terminating(tls, placed.server.origin.clone());
        match &tls.certificate {
            CertificateSource::None | CertificateSource::Files(_) => {}
            CertificateSource::Credential(name, more) => {
                let state = self
                    .world
                    .credential(self.namespace(), name, tls.checks_clients());
                server.credential = self.credential_name(name);
                server.unusable = state.into_parts().1.unwrap_or_default();
                // Without the others it can still serve most clients.
                let usable = |name: &&CredentialName| {
                    let state = self.world.credential(self.namespace(), name, false);
                    state.into_parts().0.is_some()
                };
                server.more_credentials = more
                    .iter()
                    .filter(usable)
                    .map(|name| self.credential_name(name))
                    .collect();
            }
        }
        server
    }

    /// `<namespace>/<name>` of a Secret.
    fn credential_name(&self, name: &CredentialName) -> String {
        format!("{}/{}", name.namespace(self.namespace()), name.name)
    }

    /// The certificates that the servers of this gateway name (Istio: those in its own
    /// namespace only).
    pub(super) fn credentials(&self, placed: &[Placed<'_>]) -> Vec<Credential> {
        let mut credentials: Vec<Credential> = Vec::new();
        for server in placed.iter().map(|placed| placed.server) {
            for name in server.credentials().filter(|_| server.terminates()) {
                let namespace = name.namespace(self.namespace());
                let is_it =
                    |held: &Credential| held.namespace == namespace && held.name == name.name;
                if credentials.iter().any(is_it) {
                    continue;
                }
                let state = self.world.credential(self.namespace(), name, false);
                credentials.extend(state.into_parts().0);
            }
        }
        credentials
    }

    /// Istio: buildGatewayNetworkFiltersFromTLSRoutes.
    fn passed_through(
        &self,
        placed: Placed<'_>,
        names: &mut BTreeSet<String>,
        servers: &mut Vec<TlsServer>,
    ) {
        for (_, object) in self.bound(placed) {
            let open = permitted(placed.server, object.meta.namespace());
            for rule in &object.tls {
                for case in &rule.cases {
                    if !gateway_concerns(case, placed) {
                        continue;
                    }
                    let sni_hosts = meeting(&case.sni_hosts, &open);
                    // Of two routes for one name the first counts, as a whole.
                    if sni_hosts.is_empty() || sni_hosts.iter().any(|name| names.contains(name)) {
                        continue;
                    }
                    names.extend(sni_hosts.iter().cloned());
                    servers.push(TlsServer {
                        sni_hosts,
                        mode: TlsServerMode::Passthrough.into(),
                        protocol: Protocol::Tls.into(),
                        tcp: vec![self.gateway_route(rule, case, object.meta.namespace(), placed)],
                        origin: Some(placed.server.origin.clone()),
                        ..TlsServer::default()
                    });
                }
            }
        }
    }

    /// The route for opaque bytes: the first of the VirtualServices, oldest first, that concerns
    /// the port (Istio: buildGatewayNetworkFiltersFromTCPRoutes).
    pub(super) fn gateway_tcp(&self, placed: Placed<'_>) -> Option<TcpRoute> {
        for (_, object) in self.bound(placed) {
            if domains(placed.server, object, &self.world.settings.cluster_domain).is_empty() {
                continue;
            }
            for rule in &object.tcp {
                let namespace = object.meta.namespace();
                if rule.cases.is_empty() {
                    return Some(TcpRoute {
                        destinations: self.l4_destinations(rule, namespace, placed.server.port),
                        origin: Some(rule.origin.clone()),
                        ..TcpRoute::default()
                    });
                }
                if let Some(case) = rule
                    .cases
                    .iter()
                    .find(|case| gateway_concerns(case, placed))
                {
                    return Some(self.gateway_route(rule, case, namespace, placed));
                }
            }
        }
        None
    }

    fn gateway_route(
        &self,
        rule: &L4Rule,
        case: &L4Case,
        namespace: &str,
        placed: Placed<'_>,
    ) -> TcpRoute {
        TcpRoute {
            // Connections to a gateway have no other destination than the gateway.
            destination_subnets: Vec::new(),
            destinations: self.l4_destinations(rule, namespace, placed.server.port),
            origin: Some(case.origin.clone()),
        }
    }
}

/// At a gateway only port and gateway count (Istio: l4SingleMatch).
fn gateway_concerns(case: &L4Case, placed: Placed<'_>) -> bool {
    let filter = &case.filter;
    let name = placed.gateway.meta.full_name();
    (filter.port == 0 || filter.port == u32::from(placed.server.port))
        && (filter.gateways.is_empty() || filter.gateways.contains(&name))
}

/// Names that both want: a server's hosts bound what its routes may take.
fn meeting(wanted: &[String], open: &[Hostname]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for text in wanted {
        let Ok(wanted) = text.parse::<Hostname>() else {
            continue;
        };
        for open in open {
            let name = if *open == wanted || open.covers(wanted.as_str()) {
                wanted.as_str()
            } else if wanted.covers(open.as_str()) {
                open.as_str()
            } else {
                continue;
            };
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
    }
    names
}
