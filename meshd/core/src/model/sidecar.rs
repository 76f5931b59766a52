//! Sidecar: what the proxies of some workloads may ask for, and which ports they serve.

use std::net::IpAddr;

use mesh_api::v1::{
    AppEndpoint, EgressListener, InboundListener, Origin, OutboundPolicy, Protocol,
};

use super::{Meta, PoolPolicy, ServerTls, Target};
use crate::yaml::Labels;

/// A Sidecar.
#[derive(Debug)]
pub(crate) struct SidecarObject {
    pub(crate) meta: Meta,
    /// Absent: all workloads of the namespace, or of the mesh in the root namespace.
    pub(crate) selector: Option<Labels>,
    /// Ports that are served, in place of those of the Services; none: those of the Services.
    pub(crate) ingress: Vec<SidecarIngress>,
    /// Limits toward the application on ports that have none of their own.
    pub(crate) inbound_pool: Option<PoolPolicy>,
    /// None: everything (Istio: `*/*`).
    pub(crate) egress: Vec<Egress>,
    /// Takes the place of the mesh's.
    pub(crate) outbound_policy: Option<OutboundPolicy>,
    /// Where everything goes that nobody declared.
    pub(crate) egress_proxy: Option<Target>,
}

/// One of `ingress`.
#[derive(Debug)]
pub(crate) struct SidecarIngress {
    pub(crate) origin: Origin,
    pub(crate) port: u16,
    /// As declared, with TLS if TLS is declared.
    pub(crate) protocol: Protocol,
    /// The same once TLS is taken off.
    pub(crate) inside: Protocol,
    pub(crate) listener: Option<InboundListener>,
    pub(crate) endpoint: Option<AppEndpoint>,
    pub(crate) tls: Option<ServerTls>,
    pub(crate) pool: Option<PoolPolicy>,
}

/// One of `egress`.
#[derive(Debug)]
pub(crate) struct Egress {
    /// Absent: all ports that no other one names.
    pub(crate) port: Option<u16>,
    pub(crate) hosts: Vec<EgressHost>,
    /// A listener of its own, without a service yet.
    pub(crate) listener: Option<EgressListener>,
    /// Without a port: one for each port of its services that no other listener names.
    pub(crate) all_ports: Option<EgressListener>,
    /// Address that captured connections are told by.
    pub(crate) bind: Option<IpAddr>,
    pub(crate) protocol: Protocol,
}

/// One of `egress[].hosts`.
#[derive(Debug, PartialEq)]
pub(crate) struct EgressHost {
    /// Written `~namespace/host`: not these.
    pub(crate) excluded: bool,
    pub(crate) namespace: EgressNamespace,
    /// Full name, `*.suffix` or `*`; lower case.
    pub(crate) host: String,
}

/// The namespace before the slash.
#[derive(Debug, PartialEq)]
pub(crate) enum EgressNamespace {
    /// `*`
    Any,
    /// `~`
    None,
    /// A name.
    Named(String),
    /// `.`
    Own,
}

// === impl EgressHost ===

impl EgressHost {
    /// Whether it speaks of objects of this namespace, for a proxy in `own`.
    pub(crate) fn is_of(&self, namespace: &str, own: &str) -> bool {
        match &self.namespace {
            EgressNamespace::Any => true,
            EgressNamespace::None => false,
            EgressNamespace::Named(name) => name == namespace,
            EgressNamespace::Own => namespace == own,
        }
    }

    /// Whether it speaks of this host, which may be a wildcard itself.
    pub(crate) fn covers(&self, host: &str) -> bool {
        self.host == "*"
            || self.host == host
            || self
                .host
                .strip_prefix('*')
                .is_some_and(|suffix| host.len() > suffix.len() && host.ends_with(suffix))
    }
}
