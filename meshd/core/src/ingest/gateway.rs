//! Gateway (Istio: networking/v1alpha3/gateway.proto).

use std::collections::BTreeSet;

use mesh_api::Hostname;
use mesh_api::v1::{Protocol, Severity};

use crate::model::{GatewayObject, GatewayServer, Meta, ServerHost};
use crate::yaml::{Fields, Report, Word};

pub(super) fn read(meta: Meta, spec: &mut Fields<'_>, r: &mut Report) -> GatewayObject {
    if meta.name().contains('.') {
        r.error(
            spec.place(),
            format!("invalid gateway name: \"{}\"", meta.name()),
        );
    }
    let selector = spec
        .labels("selector", r)
        .filter(|labels| !labels.is_empty());
    let mut names = BTreeSet::new();
    let mut servers = Vec::new();
    let all = spec.children("servers", r);
    if all.is_empty() && !r.failed() {
        r.error(spec.place(), "gateway must have at least one server");
    }
    for mut server in all {
        servers.extend(read_server(&mut server, meta.namespace(), &mut names, r));
        server.close(r);
    }
    GatewayObject {
        meta,
        selector,
        servers,
    }
}

fn read_server(
    server: &mut Fields<'_>,
    namespace: &str,
    names: &mut BTreeSet<String>,
    r: &mut Report,
) -> Option<GatewayServer> {
    let place = server.place();
    let origin = r.at(place);
    let port = server.child("port", r);
    let words = server.words("hosts", r);
    let tls = server.child("tls", r);
    server.ignore(&["name"]);
    server.unsupported(
        "bind",
        Severity::Warning,
        "the server listens on the gateway's own address",
        r,
    );
    server.unsupported("defaultEndpoint", Severity::Warning, "it has no effect", r);
    if words.is_empty() {
        r.error(place, "server config must contain at least one host");
    }
    let hosts = words
        .iter()
        .filter_map(|word| server_host(word, namespace, r))
        .collect();
    let Some(port) = port else {
        r.error(place, "port is required");
        return None;
    };
    let (number, name, protocol) = read_port(port, r);
    if !names.insert(name.clone()) && !name.is_empty() {
        r.error(
            place,
            format!("port names in servers must be unique: duplicate name {name}"),
        );
    }
    let https_redirect = tls.map(|tls| read_tls(tls, protocol, r));
    let protocol = protocol?;
    if protocol == Protocol::Tls && https_redirect.is_none() {
        r.error(
            place,
            "server must have TLS settings for HTTPS/TLS protocols",
        );
    }
    let (number, carried) = (
        number?,
        matches!(protocol, Protocol::Http | Protocol::Http2 | Protocol::Grpc),
    );
    if !carried {
        let message = format!(
            "port {number} ({name}) is not opened: servers of this protocol are not supported yet, only HTTP, HTTP2, GRPC and GRPC-WEB"
        );
        r.push(Severity::Warning, place, message, "unsupported");
        return None;
    }
    let https_redirect = https_redirect.unwrap_or_default();
    Some(GatewayServer {
        origin,
        port: number,
        protocol,
        hosts,
        https_redirect,
    })
}

fn read_port(mut port: Fields<'_>, r: &mut Report) -> (Option<u16>, String, Option<Protocol>) {
    let place = port.place();
    let number = port.port("number", r);
    let name = port.text("name", r);
    let protocol = port.word("protocol", r);
    if let Some(target) = port.get("targetPort") {
        r.error(target.place, "targetPort has no impact on Gateways");
    }
    port.close(r);
    if number.is_none() && !r.failed() {
        r.error(place, "port number is required");
    }
    if name.is_empty() {
        r.error(place, "port name must be set");
    }
    let found = protocol
        .as_ref()
        .and_then(|word| super::service::named_protocol(&word.text));
    if found.is_none() {
        let (text, at) = protocol.map_or((String::new(), place), |word| (word.text, word.place));
        r.error(at, format!("invalid protocol \"{text}\", supported protocols are HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, TLS, MONGO, REDIS, MYSQL, TCP"));
    }
    (number, name, found)
}

/// Whether plain text is redirected. The rest of `tls` belongs to servers that are not opened.
fn read_tls(mut tls: Fields<'_>, protocol: Option<Protocol>, r: &mut Report) -> bool {
    let place = tls.place();
    let redirect = tls.boolean("httpsRedirect", r).unwrap_or_default();
    let settings = [
        "mode",
        "credentialName",
        "credentialNames",
        "caCertCredentialName",
        "serverCertificate",
        "privateKey",
        "caCertificates",
        "caCrl",
        "tlsCertificates",
        "subjectAltNames",
        "verifyCertificateSpki",
        "verifyCertificateHash",
        "minProtocolVersion",
        "maxProtocolVersion",
        "cipherSuites",
    ];
    let plain = matches!(
        protocol,
        Some(Protocol::Http | Protocol::Http2 | Protocol::Grpc)
    );
    let has_settings = settings.iter().any(|name| tls.has(name));
    tls.ignore(&settings);
    tls.close(r);
    if plain && has_settings {
        r.error(
            place,
            "server cannot have TLS settings for plain text HTTP ports",
        );
    } else if protocol == Some(Protocol::Tcp) {
        r.error(
            place,
            "server cannot have TLS settings for non HTTPS/TLS ports",
        );
    } else if !plain && redirect {
        r.warn(
            place,
            "tls.httpsRedirect should only be used with http servers",
        );
    }
    redirect
}

/// `[<namespace>/]<host>`; `.` is the Gateway's own namespace, `*` any.
fn server_host(word: &Word, own: &str, r: &mut Report) -> Option<ServerHost> {
    let (namespace, host) = match word.text.split_once('/') {
        Some((namespace, host)) => (Some(namespace), host),
        None => (None, word.text.as_str()),
    };
    let namespace = match namespace {
        None | Some("*") => None,
        Some(".") => Some(own.to_owned()),
        Some(name) if mesh_api::WorkloadName::new(name, "x").is_ok() => Some(name.to_owned()),
        Some(name) => {
            r.error(
                word.place,
                format!("namespace must be *, . or a valid DNS 1123 label, found `{name}`"),
            );
            return None;
        }
    };
    match host.parse::<Hostname>() {
        Ok(host) => Some(ServerHost {
            namespace,
            host: host.as_str().to_owned(),
            origin: r.at(word.place),
        }),
        Err(error) => {
            r.error(word.place, error.to_string());
            None
        }
    }
}
