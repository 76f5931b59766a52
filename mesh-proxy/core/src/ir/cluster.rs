//! Destinations: services, workloads, and the sets of endpoints made from them.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use mesh_api::{Hostname, SpiffeId};

use super::{
    ClientTls, Endpoints, HashTables, LoadBalancer, Origin, Protocol, TrafficPolicy,
    TrafficSettings,
};
use crate::labels::{PeerLabels, ServiceLabels};

/// Names a set of endpoints: one port of a subset of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClusterId {
    /// Fully qualified host name of the service.
    pub host: Hostname,
    /// Service port.
    pub port: u16,
    /// Subset; empty for all endpoints.
    pub subset: Arc<str>,
}

/// A set of endpoints with the client's policy toward it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// Its name.
    pub id: ClusterId,
    /// What is spoken there.
    pub protocol: Protocol,
    /// How endpoints are found.
    pub resolution: Resolution,
    /// How endpoints are chosen.
    pub load_balancer: LoadBalancer,
    /// Time to open a connection.
    pub connect_timeout: Duration,
    /// How connections are secured; see [`crate::plan::upstream_tls`].
    pub tls: Arc<ClientTls>,
    /// Limits, ejection, affinity and preferences.
    pub traffic: Arc<TrafficSettings>,
    /// Finds endpoints by hashes; only with affinity.
    pub tables: Option<Arc<HashTables>>,
    /// Shares of groups of endpoints, where traffic is distributed over localities; else empty.
    pub shares: Arc<[u32]>,
    /// Outside of the mesh: never the mesh's TLS unless asked for by name.
    pub mesh_external: bool,
    /// Identities that a server may present; empty accepts each endpoint's own.
    pub subject_alt_names: Arc<[Arc<str>]>,
    /// Server name of the mesh's TLS: `outbound_.<port>_.<subset>_.<host>`.
    pub mesh_sni: Arc<str>,
    /// The zones that groups of endpoints are; only where zones matter.
    pub zones: Option<Arc<Zones>>,
    /// Endpoints; unhealthy ones, too.
    pub endpoints: Endpoints,
    /// Metric labels of the service.
    pub service: Arc<ServiceLabels>,
    /// The object that declares the service.
    pub origin: Option<Arc<Origin>>,
    /// The subset in its DestinationRule.
    pub subset_origin: Option<Arc<Origin>>,
    /// The DestinationRule that gives the policy.
    pub policy_origin: Option<Arc<Origin>>,
}

/// One endpoint of one cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Unique in the cluster.
    pub uid: Arc<str>,
    /// Where it is.
    pub address: EndpointAddress,
    /// Address that connections to it come from; absent for any.
    pub source: Option<IpAddr>,
    /// Its identity, if it has one.
    pub identity: Option<SpiffeId>,
    /// Whether its proxy takes the mesh's mutual TLS on this port.
    pub mutual_tls: bool,
    /// Port of its proxy that takes connections by HBONE, if they are to come that way.
    pub hbone_port: Option<u16>,
    /// Share of traffic relative to the other endpoints, at least 1.
    pub weight: u32,
    /// Whether it takes new requests.
    pub health: Health,
    /// Metric labels of the workload.
    pub labels: Arc<PeerLabels>,
    /// `region/zone/subzone`, may be empty.
    pub locality: Arc<str>,
    /// Endpoints of a number are used when there are not enough healthy ones of lower numbers.
    pub priority: u32,
    /// Index in [`Cluster::shares`] or in the zones; 0 without either.
    pub group: u32,
}

/// Zones whose endpoints are groups (Istio: zoneAwareLbSetting).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zones {
    /// With fewer healthy endpoints than this in the client's region, zones do not matter.
    pub minimum: u32,
    /// `region/zone` by number of the group; the first one is the client's own.
    pub names: Vec<Arc<str>>,
}

/// Where an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum EndpointAddress {
    /// Address and port.
    Ip(SocketAddr),
    /// A name to look up, and a port; all its addresses are used.
    Name {
        /// The name.
        host: Hostname,
        /// The port.
        port: u16,
    },
    /// A Unix socket.
    Unix(Arc<str>),
}

/// How endpoints of a service are found (Istio: ServiceEntry.resolution).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Resolution {
    /// The workloads that name the service.
    Static,
    /// The same, and names are looked up.
    Dns,
    /// The address that the client was going to.
    None,
    /// One workload; each connection looks its name up.
    DnsRoundRobin,
    /// The name that the client asks for, looked up.
    DynamicDns,
}

/// Whether an endpoint takes requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Health {
    /// It does.
    Healthy,
    /// It does not.
    Unhealthy,
}

/// A service as it was declared.
#[derive(Clone, Debug)]
pub struct Service {
    /// Fully qualified host name.
    pub host: Hostname,
    /// Metric labels.
    pub labels: Arc<ServiceLabels>,
    /// Declared ports.
    pub ports: Vec<ServicePort>,
    /// Virtual addresses.
    pub addresses: Vec<IpNet>,
    /// How endpoints are found.
    pub resolution: Resolution,
    /// Outside of the mesh.
    pub mesh_external: bool,
    /// Identities that a server may present.
    pub subject_alt_names: Arc<[Arc<str>]>,
    /// Subsets; the one without name first.
    pub subsets: Vec<Subset>,
    /// The object that declares the service.
    pub origin: Option<Arc<Origin>>,
}

/// One port of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Number that clients call.
    pub number: u16,
    /// What is spoken on it.
    pub protocol: Protocol,
}

/// Endpoints of a service that carry some labels.
#[derive(Clone, Debug)]
pub struct Subset {
    /// Name; empty for all endpoints.
    pub name: Arc<str>,
    /// All of these must be on an endpoint.
    pub labels: BTreeMap<String, String>,
    /// Policy for each port of the service.
    pub policies: Vec<(u16, TrafficPolicy)>,
    /// The subset in its DestinationRule.
    pub origin: Option<Arc<Origin>>,
}

/// A workload: one endpoint for each service that it backs.
#[derive(Clone, Debug)]
pub struct Workload {
    /// Unique name.
    pub uid: Arc<str>,
    /// Its identity, if it has one.
    pub identity: Option<SpiffeId>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Its address without port: IP, name, or path of a Unix socket.
    pub(crate) address: WorkloadAddress,
    /// `region/zone/subzone`.
    pub locality: Arc<str>,
    /// Name of its node; may be empty.
    pub node: Arc<str>,
    /// Share of traffic.
    pub weight: u32,
    /// Whether it takes new requests.
    pub health: Health,
    /// Port of its proxy that takes connections by HBONE, if they are to come that way.
    pub hbone_port: Option<u16>,
    /// Metric labels.
    pub peer: Arc<PeerLabels>,
    /// Ports by service, each of which is named once.
    pub backs: Vec<(Hostname, Vec<Member>)>,
}

/// A workload's port behind a service's port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Port of the service.
    pub service_port: u16,
    /// Port of the workload.
    pub target_port: u16,
    /// Whether the mesh's mutual TLS is taken there.
    pub mutual_tls: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum WorkloadAddress {
    Ip(IpAddr),
    Name(Hostname),
    Unix(Arc<str>),
}

// === impl Subset, Workload ===

impl Subset {
    /// The policy toward a port of the service.
    pub fn policy(&self, port: u16) -> Option<&TrafficPolicy> {
        let mut policies = self.policies.iter();
        policies
            .find(|(number, _)| *number == port)
            .map(|(_, policy)| policy)
    }
}

impl Workload {
    /// Its ports behind a service.
    pub fn members(&self, service: &Hostname) -> Option<&[Member]> {
        let mut backs = self.backs.iter();
        backs
            .find(|(host, _)| host == service)
            .map(|(_, members)| members.as_slice())
    }
}

// === impl Endpoint ===

impl Endpoint {
    /// One of which nothing is known but its address.
    pub fn at(uid: Arc<str>, address: EndpointAddress) -> Self {
        Self {
            uid,
            address,
            source: None,
            identity: None,
            mutual_tls: false,
            hbone_port: None,
            weight: 1,
            health: Health::Healthy,
            labels: PeerLabels::unknown(),
            locality: "".into(),
            priority: 0,
            group: 0,
        }
    }
}

// === impl ClusterId ===

impl fmt::Display for ClusterId {
    /// Envoy's name of a cluster in Istio: `outbound|<port>|<subset>|<host>`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "outbound|{}|{}|{}", self.port, self.subset, self.host)
    }
}

// === impl Cluster ===

impl Cluster {
    /// Whether connections go where the client was going, instead of to one of the endpoints.
    pub fn is_passthrough(&self) -> bool {
        matches!(self.resolution, Resolution::None | Resolution::DynamicDns)
            || self.load_balancer == LoadBalancer::Passthrough
    }

    /// The same without endpoints: what is left is what policies say. Versions of a cluster of
    /// which only the endpoints differ are equal here.
    #[must_use]
    pub fn frame(&self) -> Self {
        Self {
            endpoints: Endpoints::default(),
            tables: None,
            zones: None,
            ..self.clone()
        }
    }

    /// Whether it is another version of the cluster that this is the [frame](Self::frame) of, in
    /// which nothing but endpoints is different.
    pub fn frames(&self, other: &Self) -> bool {
        self.id == other.id
            && (self.protocol, self.resolution, self.load_balancer)
                == (other.protocol, other.resolution, other.load_balancer)
            && (self.connect_timeout, self.mesh_external)
                == (other.connect_timeout, other.mesh_external)
            && self.tls == other.tls
            && self.traffic == other.traffic
            && self.shares == other.shares
            && self.subject_alt_names == other.subject_alt_names
            && self.mesh_sni == other.mesh_sni
            && self.service == other.service
            && self.origin == other.origin
            && self.subset_origin == other.subset_origin
            && self.policy_origin == other.policy_origin
    }

    /// An endpoint for where the client was going, for a cluster that
    /// [passes through](Self::is_passthrough).
    pub fn original_endpoint(&self, host: &Hostname, port: u16) -> Arc<Endpoint> {
        let address = match host.as_str().parse() {
            Ok(ip) => EndpointAddress::Ip(SocketAddr::new(ip, port)),
            Err(_) => EndpointAddress::Name {
                host: host.clone(),
                port,
            },
        };
        // A declared workload of that address keeps its identity and labels.
        let known = self
            .endpoints
            .iter()
            .find(|endpoint| endpoint.address == address);
        known.cloned().unwrap_or_else(|| {
            let uid = format!("{host}:{port}").into();
            Arc::new(Endpoint::at(uid, address))
        })
    }

    /// Whether clients of this cluster may ask for a name: it stands for those under its own.
    pub fn takes(&self, name: &Hostname) -> bool {
        self.id.host == *name || self.id.host.covers(name.as_str())
    }

    /// Names that endpoints are known by and that the proxy has to look up before it chooses.
    pub fn names(&self) -> impl Iterator<Item = &Hostname> {
        let late = self.resolution == Resolution::DnsRoundRobin;
        let some = !late && self.endpoints.has_names();
        let all = some.then(|| self.endpoints.iter()).into_iter().flatten();
        all.filter_map(|endpoint| match &endpoint.address {
            EndpointAddress::Name { host, .. } => Some(host),
            _ => None,
        })
    }

    /// The same cluster with one endpoint for each address of a name. A name without addresses
    /// has no endpoint.
    #[must_use]
    pub fn resolved(&self, lookup: impl Fn(&Hostname) -> Vec<IpAddr>) -> Self {
        let endpoints = self.endpoints.resolved(lookup);
        let tables = HashTables::of(self, &endpoints, None);
        Self {
            endpoints,
            tables,
            ..self.clone()
        }
    }
}

// === impl EndpointAddress ===

impl fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => write!(f, "{address}"),
            Self::Name { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix://{path}"),
        }
    }
}
