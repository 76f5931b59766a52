//! The configuration that a proxy holds, made readable.

mod gateway;
mod matches;

use std::fmt;

use mesh_api::v1::http_route::Action;
use mesh_api::v1::resource::Body;
use mesh_api::v1::{
    AuthorizationAction, AuthorizationPolicy, Destination, Forward, HttpRoute, Inbound, MtlsMode,
    Origin, Protocol, Resource, RouteTable, Service, TcpRoute, TlsRoute, Workload,
};
use serde::Deserialize;

use crate::table::Table;

/// What `GET /config_dump` of a proxy gives.
#[derive(Debug, Deserialize)]
pub struct Dump {
    revision: u64,
    digest: String,
    resources: Vec<Resource>,
}

impl fmt::Display for Dump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.revision == 0 {
            return f
                .write_str("nothing yet: it has not reached the control plane since its start");
        }
        let digest = self.digest.get(..12).unwrap_or(&self.digest);
        write!(
            f,
            "revision {} ({digest}), {} resources",
            self.revision,
            self.resources.len()
        )?;
        let bodies = || {
            self.resources
                .iter()
                .filter_map(|resource| Some((resource.name.as_str(), resource.body.as_ref()?)))
        };
        for (_, body) in bodies() {
            match body {
                Body::Inbound(inbound) => write_inbound(f, inbound)?,
                Body::Gateway(gateway) => gateway::write_gateway(f, gateway)?,
                _ => {}
            }
        }
        let mut title = "\n\nDESTINATIONS";
        for (name, body) in bodies() {
            if let Body::Routes(table) = body {
                f.write_str(title)?;
                title = "";
                write_table(f, name, table)?;
            }
        }
        let services = bodies().filter_map(|(_, body)| {
            if let Body::Service(service) = body {
                Some(service)
            } else {
                None
            }
        });
        let workloads = bodies().filter_map(|(_, body)| {
            if let Body::Workload(workload) = body {
                Some(workload)
            } else {
                None
            }
        });
        write_endpoints(f, services, &workloads.collect::<Vec<_>>())
    }
}

fn write_inbound(f: &mut fmt::Formatter<'_>, inbound: &Inbound) -> fmt::Result {
    write!(
        f,
        "\n\nINBOUND {} as {}",
        inbound.workload, inbound.identity
    )?;
    let mut table = Table::new(["PORT", "PROTOCOL", "MUTUAL TLS", "BY", "SERVICE"]);
    for port in &inbound.ports {
        let service = match port.service.as_str() {
            "" => "-".to_owned(),
            service => format!("{service}:{}", port.service_port),
        };
        table.row([
            port.port.to_string(),
            protocol(port.protocol()),
            mtls(port.mtls()).to_owned(),
            by(port.mtls_origin.as_ref()),
            service,
        ]);
    }
    let other = inbound.mtls_origin.as_ref();
    table.row([
        "others".to_owned(),
        "detected".to_owned(),
        mtls(inbound.default_mtls()).to_owned(),
        by(other),
        "-".to_owned(),
    ]);
    write!(f, "\n{}", indent(&table.to_string(), 2))?;
    write_policies(f, &inbound.policies)
}

fn write_policies(f: &mut fmt::Formatter<'_>, policies: &[AuthorizationPolicy]) -> fmt::Result {
    for policy in policies {
        let action = match policy.action() {
            AuthorizationAction::Allow => "ALLOW",
            AuthorizationAction::Deny => "DENY",
            AuthorizationAction::Audit => "AUDIT",
            AuthorizationAction::Custom => "CUSTOM",
            AuthorizationAction::Unspecified => "?",
        };
        let rules = crate::output::count(
            u64::try_from(policy.rules.len()).unwrap_or(u64::MAX),
            "rule",
        );
        write!(
            f,
            "\n  AuthorizationPolicy {} {action}, {rules} ({})",
            policy.name,
            place(policy.origin.as_ref())
        )?;
    }
    Ok(())
}

fn write_table(f: &mut fmt::Formatter<'_>, name: &str, table: &RouteTable) -> fmt::Result {
    if table.undeclared {
        return write!(
            f,
            "\n  {name}: declared by nobody; the mesh's outbound policy applies"
        );
    }
    write!(
        f,
        "\n  {name}: {}:{} {}",
        table.host,
        table.port,
        protocol(table.protocol())
    )?;
    write_http(f, &table.http)?;
    for TlsRoute {
        sni_hosts,
        destinations,
        origin,
        ..
    } in &table.tls
    {
        write!(
            f,
            "\n    TLS to {} -> {} ({})",
            sni_hosts.join(", "),
            targets(destinations),
            place(origin.as_ref())
        )?;
    }
    for TcpRoute {
        destination_subnets,
        destinations,
        origin,
    } in &table.tcp
    {
        let subnets = if destination_subnets.is_empty() {
            "any".to_owned()
        } else {
            destination_subnets.join(", ")
        };
        write!(
            f,
            "\n    TCP to {subnets} -> {} ({})",
            targets(destinations),
            place(origin.as_ref())
        )?;
    }
    Ok(())
}

fn write_http(f: &mut fmt::Formatter<'_>, routes: &[HttpRoute]) -> fmt::Result {
    for (number, route) in routes.iter().enumerate() {
        let name = if route.name.is_empty() {
            String::new()
        } else {
            format!(" {}", route.name)
        };
        let when = matches::all(&route.matches);
        write!(
            f,
            "\n    {}.{name} {when} -> {} ({})",
            number + 1,
            action(route),
            place(route.origin.as_ref())
        )?;
    }
    Ok(())
}

fn action(route: &HttpRoute) -> String {
    let action = match &route.action {
        None => "nothing".to_owned(),
        Some(Action::Redirect(redirect)) => format!("redirect {}", redirect.code),
        Some(Action::Direct(direct)) => format!("answer {}", direct.status),
        Some(Action::Invalid(invalid)) => format!("answer {}: {}", invalid.status, invalid.message),
        Some(Action::Forward(forward)) => forwarding(forward),
    };
    match &route.fault {
        None => action,
        Some(fault) => {
            let mut parts = Vec::new();
            if fault.delay_per_million > 0 {
                parts.push(format!(
                    "delay {} ms for {}",
                    fault.delay_ms,
                    percent(fault.delay_per_million)
                ));
            }
            if fault.abort_per_million > 0 {
                let status = if fault.abort_http > 0 {
                    fault.abort_http.to_string()
                } else {
                    format!("grpc {}", fault.abort_grpc)
                };
                parts.push(format!(
                    "abort {status} for {}",
                    percent(fault.abort_per_million)
                ));
            }
            format!("{}, then {action}", parts.join(", "))
        }
    }
}

fn forwarding(forward: &Forward) -> String {
    let mut text = targets(&forward.destinations);
    if let Some(share) = &forward.invalid
        && let Some(action) = &share.action
    {
        let (weight, status) = (share.weight, action.status);
        text.push_str(&format!(", answer {status} weight {weight}"));
    }
    if forward.timeout_ms > 0 {
        text.push_str(&format!(", timeout {} ms", forward.timeout_ms));
    }
    // The mesh's own retries stand behind every route; only others are news.
    if let Some(retry) = forward
        .retry
        .as_ref()
        .filter(|retry| retry.origin.is_some())
    {
        text.push_str(&format!(
            ", {} retries on {}",
            retry.attempts,
            retry.retry_on.join(",")
        ));
    }
    for mirror in &forward.mirrors {
        let to = mirror.destination.as_ref().map(target).unwrap_or_default();
        text.push_str(&format!(", mirror {} to {to}", percent(mirror.per_million)));
    }
    text
}

fn targets(destinations: &[Destination]) -> String {
    let several = destinations.len() > 1;
    let text = |to: &Destination| {
        if several {
            format!("{} weight {}", target(to), to.weight)
        } else {
            target(to)
        }
    };
    destinations.iter().map(text).collect::<Vec<_>>().join(", ")
}

fn target(to: &Destination) -> String {
    let subset = if to.subset.is_empty() {
        String::new()
    } else {
        format!(" subset {}", to.subset)
    };
    format!("{}:{}{subset}", to.host, to.port)
}

fn write_endpoints<'a>(
    f: &mut fmt::Formatter<'_>,
    services: impl Iterator<Item = &'a Service>,
    workloads: &[&Workload],
) -> fmt::Result {
    let mut table = Table::new([
        "SERVICE",
        "ENDPOINT",
        "ADDRESS",
        "MUTUAL TLS",
        "HEALTH",
        "IDENTITY",
    ]);
    for service in services {
        for workload in workloads {
            let backing = workload
                .backs
                .iter()
                .filter(|backing| backing.service == service.hostname);
            for port in backing.flat_map(|backing| &backing.ports) {
                table.row([
                    format!("{}:{}", service.hostname, port.service_port),
                    workload.uid.clone(),
                    format!("{}:{}", workload.address, port.target_port),
                    if port.mutual_tls { "yes" } else { "no" }.to_owned(),
                    workload
                        .health()
                        .as_str_name()
                        .trim_start_matches("HEALTH_")
                        .to_ascii_lowercase(),
                    workload.identity.clone(),
                ]);
            }
        }
    }
    if table.is_empty() {
        Ok(())
    } else {
        write!(f, "\n\nENDPOINTS\n{}", indent(&table.to_string(), 2))
    }
}

fn percent(per_million: u32) -> String {
    format!("{}%", f64::from(per_million) / 10_000.0)
}

fn protocol(protocol: Protocol) -> String {
    match protocol {
        Protocol::Auto => "detected".to_owned(),
        other => other
            .as_str_name()
            .trim_start_matches("PROTOCOL_")
            .to_owned(),
    }
}

fn mtls(mode: MtlsMode) -> &'static str {
    mode.as_str_name().trim_start_matches("MTLS_MODE_")
}

fn by(origin: Option<&Origin>) -> String {
    origin.map_or_else(|| "default".to_owned(), |origin| place(Some(origin)))
}

/// `file:line`, or what there is of it.
fn place(origin: Option<&Origin>) -> String {
    match origin {
        None => "default".to_owned(),
        Some(origin) if origin.line > 0 => format!("{}:{}", origin.source, origin.line),
        Some(origin) => origin.source.clone(),
    }
}

fn indent(text: &str, by: usize) -> String {
    text.lines()
        .map(|line| format!("{}{line}", " ".repeat(by)))
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests;
