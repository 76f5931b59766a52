//! What a gateway serves: listeners, servers of TLS, virtual hosts.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mesh_api::{Hostname, ResourceName, WorkloadName};

use super::{
    Admission, GatewayTopology, HttpRoute, Origin, Place, Protocol, RequestChecks, TcpRoute,
    TelemetryRules,
};
use crate::authz::PolicySet;

/// What a gateway serves.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// The gateway's workload.
    pub workload: WorkloadName,
    /// By address.
    pub listeners: BTreeMap<ListenerId, GatewayListener>,
    /// Authorization policies.
    pub policies: PolicySet,
    /// Where it is.
    pub place: Arc<Place>,
    /// Who is before it.
    pub topology: GatewayTopology,
    /// What is let in, besides authorization.
    pub admission: Arc<Admission>,
    /// What is asked of requests besides authorization policies.
    pub checks: Arc<RequestChecks>,
    /// What it reports; absent: as it was started.
    pub telemetry: Option<Arc<TelemetryRules>>,
}

/// Where a gateway listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ListenerId {
    /// The port.
    pub port: u16,
    /// The address (Istio: `bind`); absent is all of the gateway's.
    pub bind: Option<IpAddr>,
}

/// One port of a gateway.
#[derive(Clone, Debug)]
pub struct GatewayListener {
    /// Where it listens.
    pub id: ListenerId,
    /// What is spoken on it.
    pub protocol: Protocol,
    /// Ports by which clients and Gateway objects know it; empty if that is the port itself.
    pub service_ports: Vec<u16>,
    /// Virtual hosts of plain HTTP.
    pub hosts: VirtualHosts,
    /// Servers of TLS.
    pub tls: TlsServers,
    /// Routes for opaque bytes; the first one takes the connection.
    pub tcp: Vec<TcpRoute>,
}

/// Routes of one domain on a gateway's port.
#[derive(Clone, Debug)]
pub struct GatewayHost {
    /// Exact name, `*.suffix`, or `*`.
    pub domain: Hostname,
    /// Routes in order. Nothing matching answers 404.
    pub http: Vec<Arc<HttpRoute>>,
    /// Whether plain text is answered by a redirect to https.
    pub https_redirect: bool,
    /// The Gateway server that opened the domain.
    pub origin: Option<Arc<Origin>>,
}

/// Virtual hosts, found by the name that a request is for.
#[derive(Clone, Debug, Default)]
pub struct VirtualHosts {
    hosts: Vec<GatewayHost>,
    index: DomainIndex,
}

/// Servers of TLS, found by the server name of a connection.
#[derive(Clone, Debug, Default)]
pub struct TlsServers {
    servers: Vec<Arc<TlsServer>>,
    index: DomainIndex,
}

/// One server of TLS.
#[derive(Clone, Debug)]
pub struct TlsServer {
    /// Server names: exact, `*.suffix`, or `*`.
    pub sni_hosts: Vec<Hostname>,
    /// Who ends TLS: the gateway, or (absent) the destination.
    pub termination: Option<Arc<TlsTermination>>,
    /// What is inside.
    pub inside: Inside,
    /// The Gateway server.
    pub origin: Option<Arc<Origin>>,
}

/// What a server of TLS carries.
#[derive(Clone, Debug)]
pub enum Inside {
    /// HTTP, for these hosts.
    Http(VirtualHosts),
    /// Opaque bytes, or TLS of the destination. The first route takes the connection.
    Tcp(Vec<TcpRoute>),
}

/// How a gateway ends TLS. Equal values make equal servers.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TlsTermination {
    /// The server's certificate.
    pub certificate: ServerCertificate,
    /// What is asked of clients.
    pub client: ClientAuth,
    /// Names that a client certificate may present, any of them; empty accepts all.
    pub subject_alt_names: Vec<String>,
    /// SHA-256 of public keys of accepted client certificates.
    pub spki_hashes: Vec<[u8; 32]>,
    /// SHA-256 of accepted client certificates.
    pub certificate_hashes: Vec<[u8; 32]>,
    /// Oldest version.
    pub min_version: TlsVersion,
    /// Newest version.
    pub max_version: TlsVersion,
    /// Cipher suites for TLS 1.2 by OpenSSL's names; empty takes all.
    pub cipher_suites: Vec<String>,
    /// Further certificates, for clients that cannot use the first.
    pub more_credentials: Vec<ResourceName>,
    /// Why it cannot serve.
    pub unusable: Option<Arc<str>>,
}

/// Where a server's certificate comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ServerCertificate {
    /// The resource of this name.
    Credential(ResourceName),
    /// Files of the gateway.
    Files(ServerTlsFiles),
    /// The gateway's own identity in the mesh (Istio: ISTIO_MUTUAL).
    Mesh,
}

/// PEM files on the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServerTlsFiles {
    /// Certificate chain.
    pub certificate: String,
    /// Private key.
    pub private_key: String,
    /// Roots for client certificates.
    pub client_roots: Option<String>,
    /// Revocation lists for client certificates.
    pub client_crl: Option<String>,
}

/// What a server of TLS asks of clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClientAuth {
    /// Nothing.
    None,
    /// A certificate, if they have one.
    Optional,
    /// A certificate.
    Required,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TlsVersion {
    /// TLS 1.2.
    V1_2,
    /// TLS 1.3.
    V1_3,
}

/// A certificate with its key, for a gateway's server.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    /// `<namespace>/<name>` of the Secret.
    pub name: String,
    /// Certificate chain, DER, the leaf first.
    pub certificate_chain: Vec<Vec<u8>>,
    /// Private key, DER.
    pub private_key: Vec<u8>,
    /// Roots for client certificates, DER.
    pub client_roots: Vec<Vec<u8>>,
    /// Revocation lists for client certificates, DER.
    pub client_crls: Vec<Vec<u8>>,
}

#[derive(Clone, Debug, Default)]
struct DomainIndex {
    exact: HashMap<Hostname, usize>,
    // By what follows the asterisk, with its dot.
    suffixes: HashMap<Box<str>, usize>,
    any: Option<usize>,
}

// === impl Gateway ===

impl Gateway {
    /// The listener that a client gets who calls the port: that of the Service, or the
    /// listener's own.
    pub fn on_port(&self, port: u16) -> Option<&GatewayListener> {
        let of_service = |listener: &&GatewayListener| listener.service_ports.contains(&port);
        let own = |listener: &&GatewayListener| {
            listener.id.port == port && listener.service_ports.is_empty()
        };
        let listening = |listener: &&GatewayListener| listener.id.port == port;
        let all = || self.listeners.values();
        all()
            .find(of_service)
            .or_else(|| all().find(own))
            .or_else(|| all().find(listening))
    }
}

// === impl ListenerId ===

impl From<u16> for ListenerId {
    /// The port on all addresses.
    fn from(port: u16) -> Self {
        Self { port, bind: None }
    }
}

impl fmt::Display for ListenerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.bind {
            Some(address) => write!(f, "{}", SocketAddr::new(address, self.port)),
            None => write!(f, "{}", self.port),
        }
    }
}

impl ListenerId {
    /// The address to listen on; `any` stands for all of the gateway's.
    pub fn address(&self, any: IpAddr) -> SocketAddr {
        SocketAddr::new(self.bind.unwrap_or(any), self.port)
    }
}

// === impl GatewayListener ===

impl GatewayListener {
    /// One without servers.
    pub fn new(id: ListenerId, protocol: Protocol) -> Self {
        Self {
            id,
            protocol,
            service_ports: Vec::new(),
            hosts: VirtualHosts::default(),
            tls: TlsServers::default(),
            tcp: Vec::new(),
        }
    }

    /// The port that clients call.
    pub fn called_port(&self) -> u16 {
        self.service_ports.first().copied().unwrap_or(self.id.port)
    }
}

// === impl VirtualHosts ===

impl VirtualHosts {
    /// Indexes the hosts. Of two equal domains the first counts.
    pub fn new(hosts: Vec<GatewayHost>) -> Self {
        let domains = hosts
            .iter()
            .enumerate()
            .map(|(index, host)| (&host.domain, index));
        Self {
            index: DomainIndex::new(domains),
            hosts,
        }
    }

    /// All hosts in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &GatewayHost> {
        self.hosts.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The most specific domain that covers the name (lower case, without port): exact, then the
    /// longest suffix, then `*`.
    pub fn find(&self, name: &str) -> Option<&GatewayHost> {
        self.hosts.get(self.index.find(name)?)
    }
}

// === impl TlsServers ===

impl TlsServers {
    /// Indexes the servers. Of two equal server names the first counts.
    pub fn new(servers: Vec<Arc<TlsServer>>) -> Self {
        let names = servers
            .iter()
            .enumerate()
            .flat_map(|(index, server)| server.sni_hosts.iter().map(move |name| (name, index)));
        Self {
            index: DomainIndex::new(names),
            servers,
        }
    }

    /// All servers in the order of the configuration.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<TlsServer>> {
        self.servers.iter()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// The server for a connection's server name (lower case): the most specific that covers it;
    /// without a name only `*` does.
    pub fn find(&self, sni: Option<&str>) -> Option<&Arc<TlsServer>> {
        let index = match sni {
            Some(name) => self.index.find(name),
            None => self.index.any,
        };
        self.servers.get(index?)
    }
}

// === impl DomainIndex ===

impl DomainIndex {
    fn new<'a>(domains: impl Iterator<Item = (&'a Hostname, usize)>) -> Self {
        let mut index = Self::default();
        for (domain, at) in domains {
            match domain.as_str().strip_prefix('*') {
                Some("") => {
                    index.any.get_or_insert(at);
                }
                Some(suffix) => {
                    index.suffixes.entry(suffix.into()).or_insert(at);
                }
                None => {
                    index.exact.entry(domain.clone()).or_insert(at);
                }
            }
        }
        index
    }

    fn find(&self, name: &str) -> Option<usize> {
        // The longest suffix first; an asterisk stands for one letter at least.
        let by_suffix = || {
            let dots = name.match_indices('.').filter(|(dot, _)| *dot > 0);
            let mut suffixes = dots.filter_map(|(dot, _)| name.get(dot..));
            suffixes.find_map(|suffix| self.suffixes.get(suffix))
        };
        self.exact
            .get(name)
            .or_else(by_suffix)
            .or(self.any.as_ref())
            .copied()
    }
}

// === impl TlsServer ===

impl TlsServer {
    /// Istio's name of its mode.
    pub fn mode(&self) -> &'static str {
        match self.termination.as_deref() {
            None => "PASSTHROUGH",
            Some(TlsTermination {
                certificate: ServerCertificate::Mesh,
                ..
            }) => "ISTIO_MUTUAL",
            Some(termination) => match termination.client {
                ClientAuth::None => "SIMPLE",
                ClientAuth::Optional => "OPTIONAL_MUTUAL",
                ClientAuth::Required => "MUTUAL",
            },
        }
    }
}

// === impl ServerCertificate ===

impl fmt::Display for ServerCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential(name) => name.fmt(f),
            Self::Files(files) => write!(f, "file {}", files.certificate),
            Self::Mesh => f.write_str("the gateway's own identity"),
        }
    }
}

// === impl Credential ===

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(names: &[&str]) -> Arc<TlsServer> {
        Arc::new(TlsServer {
            sni_hosts: names.iter().map(|name| name.parse().unwrap()).collect(),
            termination: None,
            inside: Inside::Tcp(Vec::new()),
            origin: None,
        })
    }

    #[test]
    fn the_most_specific_server_name_wins() {
        let all = [
            server(&["*"]),
            server(&["*.example.com", "a.example.org"]),
            server(&["*.a.example.com"]),
            server(&["x.example.com"]),
        ];
        let servers = TlsServers::new(all.to_vec());
        for (sni, want) in [
            (Some("x.example.com"), 3),
            (Some("y.example.com"), 1),
            (Some("a.example.org"), 1),
            (Some("b.a.example.com"), 2),
            (Some("example.com"), 0),
            (None, 0),
        ] {
            let found = servers.find(sni).unwrap();
            assert!(Arc::ptr_eq(found, &all[want]), "{sni:?}");
        }
        let some = TlsServers::new(vec![server(&["*.example.com"])]);
        assert!(some.find(None).is_none());
        assert!(some.find(Some("example.com")).is_none());
        assert!(some.find(Some("other.org")).is_none());
    }

    #[test]
    fn a_port_is_that_of_the_service_first() {
        let listener = |port: u16, service_ports: &[u16]| GatewayListener {
            service_ports: service_ports.to_vec(),
            ..GatewayListener::new(port.into(), Protocol::Http)
        };
        let all = [
            listener(80, &[8080]),
            listener(8080, &[80, 81]),
            listener(443, &[]),
        ];
        let gateway = Gateway {
            workload: "a/gw".parse().unwrap(),
            listeners: all.into_iter().map(|one| (one.id, one)).collect(),
            policies: PolicySet::default(),
            place: Arc::default(),
            topology: GatewayTopology::default(),
            admission: Arc::default(),
            checks: Arc::default(),
            telemetry: None,
        };
        for (port, want) in [(80, 8080), (81, 8080), (8080, 80), (443, 443)] {
            assert_eq!(gateway.on_port(port).unwrap().id.port, want, "{port}");
        }
        assert!(gateway.on_port(9).is_none());
    }

    #[test]
    fn debug_does_not_tell_the_key() {
        let credential = Credential {
            name: "a/b".into(),
            certificate_chain: vec![],
            private_key: vec![77, 78, 79],
            client_roots: vec![],
            client_crls: vec![],
        };
        assert!(!format!("{credential:?}").contains("77"));
    }
}
