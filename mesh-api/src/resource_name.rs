//! Names of resources.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use crate::{Hostname, InvalidHostname};

/// The name of a resource in the discovery protocol: `<type>/<key>`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceName {
    /// `mesh/default`: mesh-wide settings.
    Mesh,
    /// `inbound/self`: what the subscribing sidecar accepts.
    Inbound,
    /// `gateway/self`: what the subscribing gateway serves.
    Gateway,
    /// `routes/<host>:<port>`: an outbound destination as the client wrote it.
    Routes {
        /// Host as the client wrote it.
        host: Hostname,
        /// Port that the client called.
        port: u16,
    },
    /// `address/<ip>:<port>`: an outbound destination by its original address.
    Address(SocketAddr),
    /// `name/<hostname>`: the addresses of a host name, for DNS.
    Name(Hostname),
    /// `service/<hostname>`: a service.
    Service(Hostname),
    /// `workload/<uid>`: an endpoint.
    Workload(String),
    /// `credential/<namespace>/<name>`: a gateway's certificate and key.
    Credential {
        /// Namespace of the Secret.
        namespace: String,
        /// Its name.
        name: String,
    },
}

/// Why a string names no resource.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResourceName {
    /// The part before the slash is unknown, or there is none.
    #[error("`{0}` names no resource: it is not <type>/<key> with a known type")]
    Type(String),
    /// The key does not fit the type.
    #[error("`{0}` names no resource: its key does not fit its type")]
    Key(String),
    /// The key holds a bad host name.
    #[error(transparent)]
    Hostname(#[from] InvalidHostname),
}

// === impl ResourceName ===

impl ResourceName {
    /// Whether a proxy may subscribe to it; services, workloads and credentials come
    /// only as part of a closure.
    pub fn is_root(&self) -> bool {
        !matches!(
            self,
            Self::Service(_) | Self::Workload(_) | Self::Credential { .. }
        )
    }

    /// `host` if a client may ask for its address: no wildcard, and no address itself.
    fn question(host: Hostname) -> Option<Hostname> {
        (!host.is_wildcard() && host.as_str().parse::<IpAddr>().is_err()).then_some(host)
    }

    /// The name for what a client wrote as host and port: an address if the host is one.
    pub fn destination(host: &Hostname, port: u16) -> Self {
        match host.as_str().parse::<IpAddr>() {
            Ok(ip) => Self::Address(SocketAddr::new(ip, port)),
            Err(_) => Self::Routes {
                host: host.clone(),
                port,
            },
        }
    }
}

impl FromStr for ResourceName {
    type Err = InvalidResourceName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let quoted = || text.chars().take(128).collect::<String>();
        let (kind, key) = text
            .split_once('/')
            .ok_or_else(|| InvalidResourceName::Type(quoted()))?;
        let bad_key = || InvalidResourceName::Key(quoted());
        match (kind, key) {
            ("mesh", "default") => Ok(Self::Mesh),
            ("inbound", "self") => Ok(Self::Inbound),
            ("gateway", "self") => Ok(Self::Gateway),
            ("mesh" | "inbound" | "gateway", _) => Err(bad_key()),
            ("routes", key) => {
                let (host, port) = key.rsplit_once(':').ok_or_else(bad_key)?;
                let port = port.parse().map_err(|_| bad_key())?;
                Ok(Self::Routes {
                    host: host.parse()?,
                    port,
                })
            }
            ("address", key) => Ok(Self::Address(key.parse().map_err(|_| bad_key())?)),
            ("name", key) => Ok(Self::Name(
                Self::question(key.parse()?).ok_or_else(bad_key)?,
            )),
            ("service", key) => Ok(Self::Service(key.parse()?)),
            ("workload", key) if !key.is_empty() => Ok(Self::Workload(key.to_owned())),
            ("workload", _) => Err(bad_key()),
            ("credential", key) => match key.split_once('/') {
                Some((namespace, name))
                    if !namespace.is_empty() && !name.is_empty() && !name.contains('/') =>
                {
                    Ok(Self::Credential {
                        namespace: namespace.to_owned(),
                        name: name.to_owned(),
                    })
                }
                _ => Err(bad_key()),
            },
            _ => Err(InvalidResourceName::Type(quoted())),
        }
    }
}

impl fmt::Display for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mesh => f.write_str("mesh/default"),
            Self::Inbound => f.write_str("inbound/self"),
            Self::Gateway => f.write_str("gateway/self"),
            Self::Routes { host, port } => write!(f, "routes/{host}:{port}"),
            Self::Address(address) => write!(f, "address/{address}"),
            Self::Name(host) => write!(f, "name/{host}"),
            Self::Service(host) => write!(f, "service/{host}"),
            Self::Workload(uid) => write!(f, "workload/{uid}"),
            Self::Credential { namespace, name } => write!(f, "credential/{namespace}/{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        for text in [
            "mesh/default",
            "inbound/self",
            "gateway/self",
            "routes/reviews:9080",
            "routes/reviews.default.svc.cluster.local:9080",
            "address/10.0.0.1:80",
            "address/[::1]:80",
            "name/reviews.default.svc.cluster.local",
            "name/reviews",
            "service/reviews.default.svc.cluster.local",
            "workload/default/reviews-v1",
            "credential/istio-system/shop-tls",
        ] {
            assert_eq!(text.parse::<ResourceName>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses() {
        for text in [
            "",
            "mesh",
            "mesh/other",
            "routes/reviews",
            "routes/:80",
            "routes/a:99999",
            "address/a:80",
            "x/y",
            "name/",
            "name/*.example.com",
            "name/10.0.0.1",
            "workload/",
            "credential/shop-tls",
            "credential//shop-tls",
            "credential/a/b/c",
        ] {
            assert!(text.parse::<ResourceName>().is_err(), "{text}");
        }
    }
}
