//! `ingress` of a Sidecar.

use std::net::{Ipv4Addr, SocketAddr};

use mesh_api::v1::app_endpoint::Kind;
use mesh_api::v1::{AppEndpoint, InboundListener, Protocol, TlsServerMode};

use super::{Capture, UNIX, capture_mode, check_unix, read_bind, read_port};
use crate::ingest::{connection_pool, gateway};
use crate::model::{CertificateSource, ServerTls, SidecarIngress};
use crate::yaml::{Fields, Place, Report, Word};

pub(super) fn read(spec: &mut Fields<'_>, r: &mut Report) -> Vec<SidecarIngress> {
    let mut all: Vec<SidecarIngress> = Vec::new();
    for fields in spec.children("ingress", r) {
        let place = fields.place();
        let Some(listener) = one(fields, r) else {
            continue;
        };
        if all.iter().any(|other| other.port == listener.port) {
            r.error(place, "sidecar: ports on IP bound listeners must be unique");
        }
        all.push(listener);
    }
    all
}

fn one(mut fields: Fields<'_>, r: &mut Report) -> Option<SidecarIngress> {
    let place = fields.place();
    let port = fields.child("port", r).map(|port| (port.place(), port));
    let bind = fields.word("bind", r).filter(|word| !word.text.is_empty());
    let (capture, _) = capture_mode(&mut fields, r);
    let endpoint = fields.word("defaultEndpoint", r);
    let tls = fields.child("tls", r);
    let pool = fields.child("connectionPool", r).map(|fields| {
        (
            fields.place(),
            fields.has("http"),
            connection_pool::pool(fields, r),
        )
    });
    fields.close(r);
    let Some((port_place, port)) = port else {
        r.error(place, "sidecar: port is required for ingress listeners");
        return None;
    };
    let is_https = is_https(&port);
    let (number, protocol) = read_port(port, r);
    let Some(number) = number else {
        r.error(port_place, "port number must be in the range 1..65535");
        return None;
    };
    let is_http = is_https || matches!(protocol, Protocol::Http | Protocol::Http2 | Protocol::Grpc);
    if let Some((place, true, _)) = &pool
        && !is_http
    {
        let message = format!(
            "sidecar: HTTP connection pool settings are configured for port {number} but its protocol is not HTTP; only TCP settings will apply"
        );
        r.warn(*place, message);
    }
    let bind = bind.and_then(|word| read_bind(&word, r));
    Some(SidecarIngress {
        origin: r.at(place),
        port: number,
        protocol,
        inside: match protocol {
            Protocol::Tls if is_https => Protocol::Http,
            Protocol::Tls => Protocol::Tcp,
            other => other,
        },
        listener: (capture != Capture::Captured).then(|| InboundListener {
            bind: bind.map(|address| address.to_string()).unwrap_or_default(),
            always: capture == Capture::Direct,
        }),
        endpoint: endpoint.and_then(|word| default_endpoint(&word, r)),
        tls: tls.and_then(|tls| server_tls(tls, protocol, is_https, r)),
        pool: pool.map(|(_, _, pool)| pool),
    })
}

fn is_https(port: &Fields<'_>) -> bool {
    port.peek("protocol")
        .is_some_and(|name| name.eq_ignore_ascii_case("https"))
}

/// Where the application answers (Istio: buildInboundClustersFromSidecar). An address without a
/// host says nothing there either.
fn default_endpoint(word: &Word, r: &mut Report) -> Option<AppEndpoint> {
    let text = word.text.as_str();
    if text.is_empty() {
        return None;
    }
    if let Some(path) = text.strip_prefix(UNIX) {
        check_unix(word, r);
        return Some(AppEndpoint {
            kind: Some(Kind::UnixPath(path.to_owned())),
            prefer_ipv6: false,
        });
    }
    if let Some(port) = text
        .strip_prefix(':')
        .and_then(|port| port.parse::<u16>().ok())
    {
        r.warn(
            word.place,
            format!("sidecar: defaultEndpoint `:{port}` has no effect; write 127.0.0.1:{port}"),
        );
        return None;
    }
    let Ok(address) = text.parse::<SocketAddr>() else {
        r.error(word.place, FORMS);
        return None;
    };
    let ip = address.ip();
    let port = u32::from(address.port());
    let kind = if ip.is_unspecified() {
        Kind::InstancePort(port)
    } else if ip == Ipv4Addr::LOCALHOST || ip.is_ipv6() && ip.is_loopback() {
        Kind::LoopbackPort(port)
    } else {
        r.error(word.place, FORMS);
        return None;
    };
    if port == 0 {
        r.error(
            word.place,
            "sidecar: defaultEndpoint port must be in the range 1..65535",
        );
    }
    Some(AppEndpoint {
        kind: Some(kind),
        prefer_ipv6: ip.is_ipv6(),
    })
}

const FORMS: &str = "sidecar: defaultEndpoint must be of form 127.0.0.1:<port>,0.0.0.0:<port>,[::1]:port,[::]:port,unix://filepath or unset";

/// Istio's rules for TLS that a sidecar ends.
fn server_tls(
    tls: Fields<'_>,
    protocol: Protocol,
    is_https: bool,
    r: &mut Report,
) -> Option<ServerTls> {
    let place = tls.place();
    let forbidden = [
        (
            "subjectAltNames",
            "sidecar: subjectAltNames is not supported in ingress tls",
        ),
        ("httpsRedirect", "sidecar: httpsRedirect is not supported"),
        (
            "credentialName",
            "sidecar: credentialName is not currently supported",
        ),
        (
            "credentialNames",
            "sidecar: credentialNames is not currently supported",
        ),
        (
            "tlsCertificates",
            "sidecar: tls_certificates is not currently supported",
        ),
    ];
    for (name, message) in forbidden {
        if tls.has(name) {
            r.error(place, message);
        }
    }
    if protocol != Protocol::Tls {
        r.error(
            place,
            "server cannot have TLS settings for non HTTPS/TLS ports",
        );
        return None;
    }
    if r.failed() {
        return None;
    }
    let server = gateway::server_tls(tls, is_https, r)?;
    terminates(&server, place, r).then_some(server)
}

fn terminates(server: &ServerTls, place: Place, r: &mut Report) -> bool {
    let has_files = matches!(server.certificate, CertificateSource::Files(_));
    if server.mode == TlsServerMode::IstioMutual {
        r.error(
            place,
            "configuration is invalid: cannot set mode to ISTIO_MUTUAL in sidecar ingress tls",
        );
    }
    has_files
}
