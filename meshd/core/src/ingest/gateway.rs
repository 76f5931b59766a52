//! Gateway (Istio: networking/v1alpha3/gateway.proto).

mod tls;

use std::collections::BTreeSet;
use std::net::IpAddr;

use mesh_api::Hostname;
use mesh_api::v1::{Protocol, Severity};

use crate::model::{GatewayObject, GatewayServer, Meta, ServerHost, ServerProtocol, ServerTls};
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
        namespace: None,
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
    let bind = server.word("bind", r);
    server.ignore(&["name"]);
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
    let tls = tls.map(|tls| tls::read(tls, protocol, r));
    let https_redirect = tls.as_ref().is_some_and(|tls| tls.https_redirect);
    let protocol = protocol?;
    let ends_tls = matches!(protocol, ServerProtocol::Https | ServerProtocol::Tls);
    if ends_tls && tls.is_none() {
        r.error(
            place,
            "server must have TLS settings for HTTPS/TLS protocols",
        );
    }
    Some(GatewayServer {
        origin,
        port: number?,
        protocol,
        bind: bind.and_then(|word| read_bind(&word, r)),
        hosts,
        https_redirect,
        tls: tls.and_then(|tls| tls.server).filter(|_| ends_tls),
    })
}

fn read_bind(word: &Word, r: &mut Report) -> Option<IpAddr> {
    if word.text.is_empty() {
        return None;
    }
    if word.text.starts_with("unix://") {
        r.push(
            Severity::Error,
            word.place,
            "bind: a gateway does not listen on Unix sockets".to_owned(),
            "unsupported",
        );
        return None;
    }
    match word.text.parse::<IpAddr>() {
        // All addresses are what no address means.
        Ok(address) => Some(address).filter(|address| !address.is_unspecified()),
        Err(_) => {
            r.error(
                word.place,
                format!("{} is not a valid IP address", word.text),
            );
            None
        }
    }
}

/// `tls` of a port that ends TLS without a Secret (Istio: Sidecar.ingress.tls).
pub(super) fn server_tls(tls: Fields<'_>, is_http: bool, r: &mut Report) -> Option<ServerTls> {
    let protocol = if is_http {
        ServerProtocol::Https
    } else {
        ServerProtocol::Tls
    };
    tls::read(tls, Some(protocol), r).server
}

fn read_port(
    mut port: Fields<'_>,
    r: &mut Report,
) -> (Option<u16>, String, Option<ServerProtocol>) {
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
        .and_then(|word| server_protocol(&word.text));
    if found.is_none() {
        let (text, at) = protocol.map_or((String::new(), place), |word| (word.text, word.place));
        r.error(at, format!("invalid protocol \"{text}\", supported protocols are HTTP, HTTP2, GRPC, GRPC-WEB, HTTPS, TLS, MONGO, REDIS, MYSQL, TCP"));
    }
    (number, name, found)
}

fn server_protocol(name: &str) -> Option<ServerProtocol> {
    Some(match super::service::named_protocol(name)? {
        Protocol::Tls if name.eq_ignore_ascii_case("https") => ServerProtocol::Https,
        Protocol::Tls => ServerProtocol::Tls,
        Protocol::Tcp => ServerProtocol::Tcp,
        http => ServerProtocol::Http(http),
    })
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
