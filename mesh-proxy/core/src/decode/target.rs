//! Mesh, services, workloads, and what the proxy itself accepts.

use std::sync::Arc;
use std::time::Duration;

use mesh_api::{Hostname, SpiffeId, WorkloadName, v1};

use super::policy::{port_policy, protocol};
use super::route::cidr;
use super::sidecar;
use super::{At, Kind, Result, each, invalid, origin, port};
use crate::ir::{
    Health, Inbound, InboundPort, Member, Mesh, MtlsMode, OutboundPolicy, Resolution, Service,
    ServicePort, Subset, TrustBundle, Workload, WorkloadAddress,
};
use crate::labels::{PeerLabels, PeerSource, ServiceLabels};

pub(super) fn mesh(proto: &v1::Mesh) -> Result<Mesh> {
    let outbound_policy = match v1::OutboundPolicy::try_from(proto.outbound_policy) {
        Ok(v1::OutboundPolicy::AllowAny) => OutboundPolicy::AllowAny,
        Ok(v1::OutboundPolicy::RegistryOnly) => OutboundPolicy::RegistryOnly,
        Ok(v1::OutboundPolicy::Unspecified) | Err(_) => {
            return Err(Kind::UnknownEnum(proto.outbound_policy).into()).at("outbound_policy");
        }
    };
    Ok(Mesh {
        trust_domain: proto
            .trust_domain
            .parse()
            .map_err(invalid)
            .at("trust_domain")?,
        trust_domain_aliases: each(
            "trust_domain_aliases",
            &proto.trust_domain_aliases,
            |name| name.parse().map_err(invalid),
        )?,
        outbound_policy,
        roots_der: proto.roots_der.clone(),
        federated: each("federated", &proto.federated, |bundle| {
            Ok(TrustBundle {
                trust_domain: bundle
                    .trust_domain
                    .parse()
                    .map_err(invalid)
                    .at("trust_domain")?,
                roots_der: bundle.roots_der.clone(),
                jwks: bundle.jwks.clone(),
            })
        })?,
        crls_der: proto.crls_der.clone(),
        renew_certificates: proto.renew_certificates.clone(),
        jwks: proto.jwks.clone(),
        path_form: super::security::path_form(proto.path_normalization).at("path_normalization")?,
    })
}

pub(super) fn service(proto: &v1::Service) -> Result<Service> {
    let host: Hostname = proto.hostname.parse().map_err(invalid).at("hostname")?;
    let resolution = match v1::Resolution::try_from(proto.resolution) {
        Ok(v1::Resolution::Static) => Resolution::Static,
        Ok(v1::Resolution::Dns) => Resolution::Dns,
        Ok(v1::Resolution::None) => Resolution::None,
        Ok(v1::Resolution::DnsRoundRobin) => Resolution::DnsRoundRobin,
        Ok(v1::Resolution::DynamicDns) => Resolution::DynamicDns,
        Ok(v1::Resolution::Unspecified) | Err(_) => {
            return Err(Kind::UnknownEnum(proto.resolution).into()).at("resolution");
        }
    };
    let ports = each("ports", &proto.ports, |proto| {
        Ok(ServicePort {
            number: port(proto.number).at("number")?,
            protocol: protocol(proto.protocol).at("protocol")?,
        })
    })?;
    let subsets = each("subsets", &proto.subsets, |proto| subset(proto, &ports))?;
    if !subsets.first().is_some_and(|subset| subset.name.is_empty()) {
        return Err(invalid(
            "the first one must be the unnamed set of all endpoints",
        ))
        .at("subsets");
    }
    Ok(Service {
        labels: Arc::new(ServiceLabels::new(
            host.as_str(),
            &proto.short_name,
            &proto.namespace,
        )),
        host,
        ports,
        addresses: each("addresses", &proto.addresses, |text| cidr(text))?,
        resolution,
        mesh_external: proto.mesh_external,
        subject_alt_names: proto
            .subject_alt_names
            .iter()
            .map(|name| Arc::from(name.as_str()))
            .collect(),
        subsets,
        origin: origin(proto.origin.as_ref()),
    })
}

fn subset(proto: &v1::Subset, ports: &[ServicePort]) -> Result<Subset> {
    let mut policies = each("policies", &proto.policies, port_policy)?;
    // Of two for one port the last one counts.
    policies.reverse();
    // A port without policy would have no cluster; with a default one it could lose its TLS.
    if let Some(port) = ports
        .iter()
        .find(|port| !policies.iter().any(|(number, _)| *number == port.number))
    {
        return Err(invalid(format_args!("port {} has none", port.number))).at("policies");
    }
    Ok(Subset {
        name: proto.name.as_str().into(),
        labels: proto.labels.clone(),
        policies,
        origin: origin(proto.origin.as_ref()),
    })
}

pub(super) fn workload(proto: &v1::Workload) -> Result<Workload> {
    let health = match v1::Health::try_from(proto.health) {
        Ok(v1::Health::Healthy) => Health::Healthy,
        Ok(v1::Health::Unhealthy) => Health::Unhealthy,
        Ok(v1::Health::Unspecified) | Err(_) => {
            return Err(Kind::UnknownEnum(proto.health).into()).at("health");
        }
    };
    let identity = identity(&proto.identity).at("identity")?;
    let mut backs: Vec<(Hostname, Vec<Member>)> = Vec::with_capacity(proto.backs.len());
    for (index, backing) in proto.backs.iter().enumerate() {
        let (host, members) = backing_ports(backing).at_index("backs", index)?;
        match backs.iter_mut().find(|(known, _)| *known == host) {
            Some((_, known)) => known.extend(members),
            None => backs.push((host, members)),
        }
    }
    let source = PeerSource {
        workload: &proto.name,
        namespace: &proto.namespace,
        identity: identity.as_ref(),
        cluster: &proto.cluster,
        canonical_name: &proto.canonical_name,
        canonical_revision: &proto.canonical_revision,
    };
    Ok(Workload {
        uid: proto.uid.as_str().into(),
        peer: Arc::new(PeerLabels::new(&source, &proto.labels)),
        identity,
        labels: proto.labels.clone(),
        address: address(&proto.address).at("address")?,
        locality: proto.locality.as_str().into(),
        node: proto.node.as_str().into(),
        weight: proto.weight.max(1),
        health,
        hbone_port: match proto.hbone_port {
            0 => None,
            number => Some(port(number).at("hbone_port")?),
        },
        backs,
    })
}

fn backing_ports(proto: &v1::Backing) -> Result<(Hostname, Vec<Member>)> {
    let host = proto.service.parse().map_err(invalid).at("service")?;
    let members = each("ports", &proto.ports, |proto| {
        Ok(Member {
            service_port: port(proto.service_port).at("service_port")?,
            // A Unix socket has no port.
            target_port: u16::try_from(proto.target_port)
                .map_err(|_| Kind::Port(proto.target_port).into())
                .at("target_port")?,
            mutual_tls: proto.mutual_tls,
        })
    })?;
    Ok((host, members))
}

fn address(text: &str) -> Result<WorkloadAddress> {
    if let Some(path) = text.strip_prefix("unix://") {
        if path.is_empty() {
            return Err(invalid("the path of the Unix socket is empty"));
        }
        return Ok(WorkloadAddress::Unix(path.into()));
    }
    match text.parse() {
        Ok(ip) => Ok(WorkloadAddress::Ip(ip)),
        Err(_) => text.parse().map(WorkloadAddress::Name).map_err(invalid),
    }
}

fn identity(text: &str) -> Result<Option<SpiffeId>> {
    if text.is_empty() {
        Ok(None)
    } else {
        text.parse().map(Some).map_err(invalid)
    }
}

fn mtls(value: i32) -> Result<MtlsMode> {
    Ok(match v1::MtlsMode::try_from(value) {
        Ok(v1::MtlsMode::Disable) => MtlsMode::Disable,
        Ok(v1::MtlsMode::Permissive) => MtlsMode::Permissive,
        Ok(v1::MtlsMode::Strict) => MtlsMode::Strict,
        Ok(v1::MtlsMode::Unspecified) | Err(_) => return Err(Kind::UnknownEnum(value).into()),
    })
}

pub(super) fn inbound(proto: &v1::Inbound) -> Result<Inbound> {
    let workload: WorkloadName = proto.workload.parse().map_err(invalid).at("workload")?;
    let identity = identity(&proto.identity).at("identity")?;
    let ports = each("ports", &proto.ports, inbound_port)?;
    let source = PeerSource {
        workload: workload.name(),
        namespace: workload.namespace(),
        identity: identity.as_ref(),
        ..PeerSource::default()
    };
    Ok(Inbound {
        labels: Arc::new(PeerLabels::new(&source, &proto.labels)),
        workload,
        identity,
        ports: ports.into_iter().map(|port| (port.port, port)).collect(),
        default_mtls: mtls(proto.default_mtls).at("default_mtls")?,
        mtls_origin: origin(proto.mtls_origin.as_ref()),
        policies: super::authorization::policies(&proto.policies)?,
        place: super::traffic::place(proto.place.as_ref()),
        egress: each("egress", &proto.egress, sidecar::egress)?,
        admission: super::admission::admission(proto.admission.as_ref()).at("admission")?,
        checks: super::security::checks(
            &proto.request_authentications,
            &proto.external_authorizers,
        )?,
        telemetry: super::telemetry::rules(proto.telemetry.as_ref()).at("telemetry")?,
    })
}

fn inbound_port(proto: &v1::InboundPort) -> Result<InboundPort> {
    let service = match proto.service.as_str() {
        "" => None,
        host => Some((
            host.parse().map_err(invalid).at("service")?,
            port(proto.service_port).at("service_port")?,
        )),
    };
    Ok(InboundPort {
        port: port(proto.port).at("port")?,
        protocol: protocol(proto.protocol).at("protocol")?,
        mtls: mtls(proto.mtls).at("mtls")?,
        mtls_origin: origin(proto.mtls_origin.as_ref()),
        service,
        endpoint: sidecar::endpoint(proto.endpoint.as_ref()).at("endpoint")?,
        listener: sidecar::inbound_listener(proto.listener.as_ref()).at("listener")?,
        tls: sidecar::tls(proto.tls.as_ref()).at("tls")?,
        traffic: sidecar::traffic(proto.connection_pool.as_ref()).at("connection_pool")?,
        connect_timeout: match proto.connect_timeout_ms {
            0 => None,
            ms => Some(Duration::from_millis(ms)),
        },
    })
}
