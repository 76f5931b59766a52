//! What a gateway serves.

use std::fmt;

use mesh_api::v1::{Gateway, GatewayHost, GatewayListener, TlsServer};

use super::{place, protocol, targets, write_http, write_policies};

pub(super) fn write_gateway(f: &mut fmt::Formatter<'_>, gateway: &Gateway) -> fmt::Result {
    write!(f, "\n\nGATEWAY {}", gateway.workload)?;
    for listener in &gateway.listeners {
        let port = port_of(listener);
        for host in &listener.hosts {
            write!(f, "\n  port {port} {}", protocol(listener.protocol()))?;
            write_host(f, host)?;
        }
        for server in &listener.tls {
            write_tls_server(f, &port, server)?;
        }
        for route in &listener.tcp {
            let origin = place(route.origin.as_ref());
            let to = targets(&route.destinations);
            write!(f, "\n  port {port} TCP -> {to} ({origin})")?;
        }
    }
    write_policies(f, &gateway.policies)
}

/// The port that is called, and where that leads to.
fn port_of(listener: &GatewayListener) -> String {
    let bind = match listener.bind.as_str() {
        "" => String::new(),
        bind => format!(" of {bind}"),
    };
    match listener.service_ports.as_slice() {
        [] => format!("{}{bind}", listener.port),
        ports => {
            let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
            format!("{} (at {}{bind})", ports.join(", "), listener.port)
        }
    }
}

fn write_host(f: &mut fmt::Formatter<'_>, host: &GatewayHost) -> fmt::Result {
    let redirect = if host.https_redirect {
        ", redirects to https"
    } else {
        ""
    };
    let origin = place(host.origin.as_ref());
    write!(f, " host {}{redirect} ({origin})", host.domain)?;
    write_http(f, &host.http)
}

fn write_tls_server(f: &mut fmt::Formatter<'_>, port: &str, server: &TlsServer) -> fmt::Result {
    let mode = server.mode();
    let mode = mode.as_str_name().trim_start_matches("TLS_SERVER_MODE_");
    let certificate = match (&server.files, server.credential.as_str()) {
        (Some(files), _) => format!(" with file {}", files.certificate),
        (None, "") => String::new(),
        (None, name) => format!(" with Secret {name}"),
    };
    let (names, origin) = (server.sni_hosts.join(", "), place(server.origin.as_ref()));
    write!(
        f,
        "\n  port {port} TLS {mode} for {names}{certificate} ({origin})"
    )?;
    if !server.unusable.is_empty() {
        write!(f, "\n    refuses handshakes: {}", server.unusable)?;
    }
    for host in &server.hosts {
        f.write_str("\n   ")?;
        write_host(f, host)?;
    }
    for route in &server.tcp {
        let (to, origin) = (targets(&route.destinations), place(route.origin.as_ref()));
        write!(f, "\n    -> {to} ({origin})")?;
    }
    Ok(())
}
