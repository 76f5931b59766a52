//! Gateways and their credentials.

use std::sync::Arc;

use mesh_api::{ResourceName, v1};

use super::policy::protocol;
use super::route::{http_routes, tcp};
use super::{At, Kind, Result, each, invalid, origin, port, required};
use crate::ir::{
    ClientAuth, Credential, ForwardClientCert, Gateway, GatewayHost, GatewayListener,
    GatewayTopology, Inside, ListenerId, Protocol, ServerCertificate, ServerTlsFiles, TlsServer,
    TlsServers, TlsTermination, TlsVersion, VirtualHosts,
};

pub(super) fn gateway(proto: &v1::Gateway) -> Result<Gateway> {
    let listeners = each("listeners", &proto.listeners, listener)?;
    Ok(Gateway {
        workload: proto.workload.parse().map_err(invalid).at("workload")?,
        listeners: listeners
            .into_iter()
            .map(|listener| (listener.id, listener))
            .collect(),
        policies: super::authorization::policies(&proto.policies)?,
        place: super::traffic::place(proto.place.as_ref()),
        topology: topology(proto.topology).at("topology")?,
        admission: super::admission::admission(proto.admission.as_ref()).at("admission")?,
        checks: super::security::checks(
            &proto.request_authentications,
            &proto.external_authorizers,
        )?,
        telemetry: super::telemetry::rules(proto.telemetry.as_ref()).at("telemetry")?,
    })
}

fn topology(proto: Option<v1::GatewayTopology>) -> Result<GatewayTopology> {
    use v1::ForwardClientCert as Wire;
    let proto = proto.unwrap_or_default();
    let forward_client_cert = match Wire::try_from(proto.forward_client_cert) {
        Ok(Wire::Unspecified | Wire::SanitizeSet) => ForwardClientCert::SanitizeSet,
        Ok(Wire::Sanitize) => ForwardClientCert::Sanitize,
        Ok(Wire::ForwardOnly) => ForwardClientCert::ForwardOnly,
        Ok(Wire::AppendForward) => ForwardClientCert::AppendForward,
        Ok(Wire::AlwaysForwardOnly) => ForwardClientCert::AlwaysForwardOnly,
        Err(_) => {
            let unknown = Kind::UnknownEnum(proto.forward_client_cert);
            return Err(unknown.into()).at("forward_client_cert");
        }
    };
    Ok(GatewayTopology {
        trusted_proxies: proto.trusted_proxies,
        forward_client_cert,
        proxy_protocol: proto.proxy_protocol,
    })
}

fn listener(proto: &v1::GatewayListener) -> Result<GatewayListener> {
    let bind = match proto.bind.as_str() {
        "" => None,
        address => Some(address.parse().map_err(invalid).at("bind")?),
    };
    Ok(GatewayListener {
        id: ListenerId {
            port: port(proto.port).at("port")?,
            bind,
        },
        protocol: protocol(proto.protocol).at("protocol")?,
        service_ports: each("service_ports", &proto.service_ports, |number| {
            port(*number)
        })?,
        hosts: hosts(&proto.hosts)?,
        tls: TlsServers::new(each("tls", &proto.tls, |proto| {
            server(proto).map(Arc::new)
        })?),
        tcp: each("tcp", &proto.tcp, tcp)?,
    })
}

fn hosts(list: &[v1::GatewayHost]) -> Result<VirtualHosts> {
    let hosts = each("hosts", list, |proto| {
        Ok(GatewayHost {
            domain: proto.domain.parse().map_err(invalid).at("domain")?,
            http: http_routes(&proto.http)?,
            https_redirect: proto.https_redirect,
            origin: origin(proto.origin.as_ref()),
        })
    })?;
    Ok(VirtualHosts::new(hosts))
}

pub(super) fn server(proto: &v1::TlsServer) -> Result<TlsServer> {
    let sni_hosts = each("sni_hosts", &proto.sni_hosts, |name| {
        name.parse().map_err(invalid)
    })?;
    if sni_hosts.is_empty() {
        return Err(Kind::Missing.into()).at("sni_hosts");
    }
    let termination = termination(proto)?;
    let inside = match (protocol(proto.protocol).at("protocol")?, &termination) {
        (Protocol::Http, Some(_)) => Inside::Http(hosts(&proto.hosts)?),
        (Protocol::Tcp, Some(_)) | (Protocol::Tls, None) => {
            Inside::Tcp(each("tcp", &proto.tcp, tcp)?)
        }
        _ => return Err(invalid("does not fit the mode")).at("protocol"),
    };
    Ok(TlsServer {
        sni_hosts,
        termination: termination.map(Arc::new),
        inside,
        origin: origin(proto.origin.as_ref()),
    })
}

fn termination(proto: &v1::TlsServer) -> Result<Option<TlsTermination>> {
    use v1::TlsServerMode as Mode;
    let mode = Mode::try_from(proto.mode).unwrap_or(Mode::Unspecified);
    let client = match mode {
        Mode::Unspecified => return Err(Kind::UnknownEnum(proto.mode).into()).at("mode"),
        Mode::Passthrough => return Ok(None),
        Mode::Simple => ClientAuth::None,
        Mode::OptionalMutual => ClientAuth::Optional,
        Mode::Mutual | Mode::IstioMutual => ClientAuth::Required,
    };
    let certificate = if mode == Mode::IstioMutual {
        ServerCertificate::Mesh
    } else if proto.credential.is_empty() {
        let files = required(proto.files.as_ref()).at("files")?;
        ServerCertificate::Files(server_files(files, client))
    } else {
        let name: ResourceName = format!("credential/{}", proto.credential)
            .parse()
            .map_err(invalid)
            .at("credential")?;
        ServerCertificate::Credential(name)
    };
    let (min_version, max_version) = (
        version(proto.min_version, TlsVersion::V1_2).at("min_version")?,
        version(proto.max_version, TlsVersion::V1_3).at("max_version")?,
    );
    if min_version > max_version {
        return Err(invalid("is above max_version")).at("min_version");
    }
    Ok(Some(TlsTermination {
        certificate,
        client,
        subject_alt_names: proto.subject_alt_names.clone(),
        spki_hashes: each("spki_hashes", &proto.spki_hashes, |hash| sha256(hash))?,
        certificate_hashes: each("certificate_hashes", &proto.certificate_hashes, |hash| {
            sha256(hash)
        })?,
        min_version,
        max_version,
        cipher_suites: proto.cipher_suites.clone(),
        more_credentials: each("more_credentials", &proto.more_credentials, |name| {
            format!("credential/{name}").parse().map_err(invalid)
        })?,
        unusable: (!proto.unusable.is_empty()).then(|| proto.unusable.as_str().into()),
    }))
}

fn server_files(proto: &v1::ServerTlsFiles, client: ClientAuth) -> ServerTlsFiles {
    let path = |path: &String| (!path.is_empty()).then(|| path.clone());
    // Without them a server that must ask for certificates would have nothing to check them by:
    // that makes it unusable, not open.
    let asked = client != ClientAuth::None;
    ServerTlsFiles {
        certificate: proto.certificate.clone(),
        private_key: proto.private_key.clone(),
        client_roots: path(&proto.client_roots).filter(|_| asked),
        client_crl: path(&proto.client_crl).filter(|_| asked),
    }
}

fn sha256(hash: &[u8]) -> Result<[u8; 32]> {
    hash.try_into()
        .map_err(|_| invalid(format_args!("{} bytes are no SHA-256", hash.len())))
}

fn version(value: i32, default: TlsVersion) -> Result<TlsVersion> {
    Ok(match v1::TlsVersion::try_from(value) {
        Ok(v1::TlsVersion::Unspecified) => default,
        Ok(v1::TlsVersion::TlsVersion12) => TlsVersion::V1_2,
        Ok(v1::TlsVersion::TlsVersion13) => TlsVersion::V1_3,
        Err(_) => return Err(Kind::UnknownEnum(value).into()),
    })
}

pub(super) fn credential(proto: &v1::Credential) -> Result<Credential> {
    // Of a server outside of the mesh it may be enough to know the roots.
    let roots_only = !proto.client_roots.is_empty() && proto.private_key.is_empty();
    if proto.certificate_chain.is_empty() && !roots_only {
        return Err(Kind::Missing.into()).at("certificate_chain");
    }
    if proto.private_key.is_empty() && !proto.certificate_chain.is_empty() {
        return Err(Kind::Missing.into()).at("private_key");
    }
    Ok(Credential {
        name: format!("{}/{}", proto.namespace, proto.name),
        certificate_chain: proto.certificate_chain.clone(),
        private_key: proto.private_key.clone(),
        client_roots: proto.client_roots.clone(),
        client_crls: proto.client_crls.clone(),
    })
}
