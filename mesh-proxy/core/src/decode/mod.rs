//! Protobuf to model. An error names the field; the resource is then refused whole.

mod admission;
mod authorization;
mod gateway;
mod name;
mod policy;
mod route;
mod security;
mod sidecar;
mod target;
mod telemetry;
mod traffic;

use std::fmt;

use mesh_api::{ResourceName, v1};

use crate::ir::{Credential, Gateway, Inbound, Mesh, Origin, RouteTable, Service, Workload};

/// Why a resource is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{kind}", Path(.path))]
pub(crate) struct DecodeError {
    // Innermost first.
    path: Vec<String>,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Kind {
    #[error("is not set")]
    Missing,
    #[error("{0} is no known value of this enumeration")]
    UnknownEnum(i32),
    #[error("{0} is no port (1 to 65535)")]
    Port(u32),
    #[error("{0} is no HTTP status that may stand here")]
    Status(u32),
    #[error("{0} is more than 1000000 millionths")]
    Share(u32),
    #[error("{0}")]
    Invalid(String),
}

/// A decoded resource.
pub(crate) enum Decoded {
    Mesh(Mesh),
    Inbound(Inbound),
    Gateway(Gateway),
    Routes(RouteTable),
    Name(std::sync::Arc<[std::net::IpAddr]>),
    Service(Service),
    Workload(Workload),
    Credential(Credential),
}

pub(crate) type Result<T> = std::result::Result<T, DecodeError>;

struct Path<'a>(&'a [String]);

/// Decodes one resource. Name and body must agree.
pub(crate) fn resource(resource: &v1::Resource) -> Result<(ResourceName, Decoded)> {
    use v1::resource::Body;
    let name: ResourceName = resource.name.parse().map_err(invalid).at("name")?;
    let body = resource
        .body
        .as_ref()
        .ok_or(Kind::Missing)
        .map_err(DecodeError::from)
        .at("body")?;
    let decoded = match (&name, body) {
        (ResourceName::Mesh, Body::Mesh(mesh)) => Decoded::Mesh(target::mesh(mesh).at("mesh")?),
        (ResourceName::Inbound, Body::Inbound(inbound)) => {
            Decoded::Inbound(target::inbound(inbound).at("inbound")?)
        }
        (ResourceName::Gateway, Body::Gateway(gateway)) => {
            Decoded::Gateway(gateway::gateway(gateway).at("gateway")?)
        }
        (ResourceName::Routes { .. } | ResourceName::Address(_), Body::Routes(table)) => {
            Decoded::Routes(route::table(table).at("routes")?)
        }
        (ResourceName::Name(host), Body::NameAddresses(name)) => {
            agree(&name.hostname, host.as_str()).at("name_addresses.hostname")?;
            Decoded::Name(name::addresses(name).at("name_addresses")?)
        }
        (ResourceName::Service(host), Body::Service(service)) => {
            let service = target::service(service).at("service")?;
            agree(service.host.as_str(), host.as_str()).at("service.hostname")?;
            Decoded::Service(service)
        }
        (ResourceName::Workload(uid), Body::Workload(workload)) => {
            let workload = target::workload(workload).at("workload")?;
            agree(&workload.uid, uid).at("workload.uid")?;
            Decoded::Workload(workload)
        }
        (ResourceName::Credential { namespace, name }, Body::Credential(credential)) => {
            let credential = gateway::credential(credential).at("credential")?;
            agree(&credential.name, &format!("{namespace}/{name}")).at("credential.name")?;
            Decoded::Credential(credential)
        }
        _ => return Err(Kind::Invalid("the type in the name and the body differ".into()).into()),
    };
    Ok((name, decoded))
}

fn agree(body: &str, name: &str) -> Result<()> {
    if body == name {
        Ok(())
    } else {
        Err(Kind::Invalid(format!("`{body}` differs from the resource's name")).into())
    }
}

/// An error of a parsed value.
pub(crate) fn invalid(error: impl fmt::Display) -> DecodeError {
    Kind::Invalid(error.to_string()).into()
}

/// Decodes each element; an error names its index.
pub(crate) fn each<P, T>(
    field: &str,
    list: &[P],
    decode: impl Fn(&P) -> Result<T>,
) -> Result<Vec<T>> {
    // Collected through results a list would have room for four at least.
    let mut decoded = Vec::with_capacity(list.len());
    for (index, item) in list.iter().enumerate() {
        decoded.push(decode(item).at_index(field, index)?);
    }
    Ok(decoded)
}

#[cfg(test)]
pub(crate) use telemetry::expression;

/// Routes that must be good, for tests.
#[cfg(test)]
pub(crate) fn http_routes_of(list: &[v1::HttpRoute]) -> Vec<std::sync::Arc<crate::ir::HttpRoute>> {
    route::http_routes(list).unwrap()
}

/// A port number.
pub(crate) fn port(number: u32) -> Result<u16> {
    match u16::try_from(number) {
        Ok(port) if port != 0 => Ok(port),
        _ => Err(Kind::Port(number).into()),
    }
}

/// A value that must be there.
pub(crate) fn required<T>(value: Option<&T>) -> Result<&T> {
    value.ok_or_else(|| Kind::Missing.into())
}

/// A place, shared.
pub(crate) fn origin(origin: Option<&v1::Origin>) -> Option<std::sync::Arc<Origin>> {
    let origin = origin?;
    Some(std::sync::Arc::new(Origin {
        source: origin.source.clone(),
        line: origin.line,
        column: origin.column,
        kind: origin.kind.clone(),
        namespace: origin.namespace.clone(),
        name: origin.name.clone(),
    }))
}

/// Names the field of an error.
pub(crate) trait At {
    fn at(self, field: &str) -> Self;
    fn at_index(self, field: &str, index: usize) -> Self;
}

impl<T> At for Result<T> {
    fn at(self, field: &str) -> Self {
        self.map_err(|mut error| {
            error.path.push(field.to_owned());
            error
        })
    }

    fn at_index(self, field: &str, index: usize) -> Self {
        self.map_err(|mut error| {
            error.path.push(format!("{field}[{index}]"));
            error
        })
    }
}

// === impl DecodeError ===

impl From<Kind> for DecodeError {
    fn from(kind: Kind) -> Self {
        Self {
            path: Vec::new(),
            kind,
        }
    }
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().rev().enumerate() {
            write!(f, "{}{part}", if index == 0 { "" } else { "." })?;
        }
        if self.0.is_empty() {
            Ok(())
        } else {
            f.write_str(": ")
        }
    }
}
