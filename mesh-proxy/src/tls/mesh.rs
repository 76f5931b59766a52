//! The mesh's mutual TLS.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use mesh_api::SpiffeId;
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

use super::verify::{MeshClientVerifier, MeshServerVerifier};
use super::{Revoked, provider};

/// What a connection carries, told to the peer by Istio's ALPN tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alpn {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Opaque bytes.
    Tcp,
    /// Tunnels by HTTP/2 CONNECT.
    Hbone,
}

/// Who the server of a mesh connection must be.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Expect {
    /// Exactly this identity.
    Identity(SpiffeId),
    /// One of these URI names (`subjectAltNames` of a ServiceEntry or DestinationRule).
    AnyOf(Arc<[String]>),
    /// Any identity of the mesh: the endpoint's own is not known.
    Mesh,
}

/// Whom the mesh's mutual TLS trusts.
#[derive(Debug)]
pub struct Trust {
    /// The roots.
    pub roots: Arc<RootCertStore>,
    /// The trust domain and its aliases.
    pub domains: Vec<String>,
    /// Other trust domains, each with its roots: they vouch for its identities only.
    pub federated: HashMap<String, Arc<RootCertStore>>,
    /// What is taken no more.
    pub revoked: Revoked,
}

/// TLS configurations of one certificate and one set of roots.
///
/// Sessions made with them are resumed only with them: the server's tickets are sealed with a key
/// of its own configuration, and clients keep their tickets apart by what they expect of the
/// server. So neither a new certificate nor new roots nor another expectation is ever met by a
/// session from before, whose peer was checked by the old ones. What a resumed session says of
/// the peer is its certificate of the full handshake, and authorization decides by that as ever;
/// its end is checked with each resumption, and a ticket ends after 12 hours.
pub struct MeshTls {
    key: Arc<CertifiedKey>,
    trust: Arc<Trust>,
    server: Arc<ServerConfig>,
    hbone: Arc<ServerConfig>,
    clients: Mutex<HashMap<(Alpn, Expect), Client>>,
}

struct Client {
    config: Arc<ClientConfig>,
    // The same with a store of sessions for each endpoint: endpoints of one service go by one
    // server name, and none can open the tickets of another.
    endpoints: HashMap<Option<SocketAddr>, Arc<ClientConfig>>,
}

// More expectations than a workload has destinations; then the cache starts anew.
const MOST_CLIENTS: usize = 1024;
// The same for endpoints of one expectation. Each has up to eight tickets of 1 KiB.
const MOST_ENDPOINTS: usize = 256;
// rustls counts eight for each server name; an endpoint may serve several services.
const CLIENT_SESSIONS: usize = 16;
/// Tickets after each handshake. Each is used once (RFC 8446 appendix C.4), so a second one lets
/// the number of connections grow.
pub(super) const TICKETS: usize = 2;

// In order of preference. Istio's servers answer `h2` or `http/1.1` to clients that offer
// `istio-h2, istio, h2` or `istio-http/1.1, istio, http/1.1`, and clients of opaque bytes
// offer `istio-peer-exchange, istio`. The first of those begins with an exchange of metadata
// that this proxy does not take part in, so it is not in the list.
const SERVER_ALPN: [&[u8]; 7] = [
    b"h2",
    b"istio-h2",
    b"http/1.1",
    b"istio-http/1.1",
    b"http/1.0",
    b"istio-http/1.0",
    b"istio",
];

/// HBONE is TLS 1.3 only (ztunnel).
const HBONE_VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

// === impl Alpn ===

impl Alpn {
    /// What a mesh client offers, best first (Istio's filter `istio.alpn`).
    pub fn mesh_tokens(self) -> Vec<Vec<u8>> {
        let tokens: &[&[u8]] = match self {
            Self::Http1 => &[b"istio-http/1.1", b"istio", b"http/1.1"],
            Self::Http2 => &[b"istio-h2", b"istio", b"h2"],
            Self::Tcp => &[b"istio"],
            Self::Hbone => &[b"h2"],
        };
        tokens.iter().map(|token| token.to_vec()).collect()
    }

    /// What a client offers to a server outside of the mesh.
    pub fn plain_tokens(self) -> Vec<Vec<u8>> {
        match self {
            Self::Http1 => vec![b"http/1.1".to_vec()],
            Self::Http2 | Self::Hbone => vec![b"h2".to_vec()],
            Self::Tcp => Vec::new(),
        }
    }

    /// What an agreed token says; `None` for one that says nothing.
    pub fn from_token(token: &[u8]) -> Option<Self> {
        match token {
            b"h2" | b"istio-h2" => Some(Self::Http2),
            b"http/1.1" | b"istio-http/1.1" | b"http/1.0" | b"istio-http/1.0" => Some(Self::Http1),
            _ => None,
        }
    }

    /// Whether a client that offers this token is a mesh client: a permissive port then
    /// terminates TLS, and passes other TLS through to the application (Istio).
    pub fn is_mesh_token(token: &[u8]) -> bool {
        token == b"istio" || token == b"istio-peer-exchange" || token.starts_with(b"istio-")
    }
}

// === impl MeshTls ===

impl MeshTls {
    /// Configurations for this certificate and these roots.
    ///
    /// # Errors
    /// If there is no root, or rustls refuses the parts.
    pub fn new(key: Arc<CertifiedKey>, trust: Arc<Trust>) -> Result<Self, rustls::Error> {
        let offer = |versions, tokens: &[&[u8]]| {
            server_config(Arc::clone(&key), Arc::clone(&trust), versions, tokens).map(Arc::new)
        };
        let server = offer(rustls::DEFAULT_VERSIONS, &SERVER_ALPN)?;
        let hbone = offer(HBONE_VERSIONS, &[b"h2"])?;
        Ok(Self {
            key,
            trust,
            server,
            hbone,
            clients: Mutex::default(),
        })
    }

    /// For the server side of a port that takes the mesh's mutual TLS. A client certificate is
    /// required.
    pub fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// The same for HBONE.
    pub fn hbone(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.hbone)
    }

    /// For the client side.
    ///
    /// # Errors
    /// If rustls refuses the parts.
    pub fn client(&self, alpn: Alpn, expect: &Expect) -> Result<Arc<ClientConfig>, rustls::Error> {
        self.client_to(alpn, expect, None)
    }

    /// For the client side of a connection to `endpoint`, with the sessions that can be resumed
    /// there.
    ///
    /// # Errors
    /// If rustls refuses the parts.
    pub fn client_to(
        &self,
        alpn: Alpn,
        expect: &Expect,
        endpoint: Option<SocketAddr>,
    ) -> Result<Arc<ClientConfig>, rustls::Error> {
        let key = (alpn, expect.clone());
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get_mut(&key) {
            return Ok(client.to(endpoint));
        }
        let mut client = Client {
            config: Arc::new(self.client_config(alpn, expect)?),
            endpoints: HashMap::new(),
        };
        let config = client.to(endpoint);
        if clients.len() >= MOST_CLIENTS {
            clients.clear();
        }
        clients.insert(key, client);
        Ok(config)
    }

    fn client_config(&self, alpn: Alpn, expect: &Expect) -> Result<ClientConfig, rustls::Error> {
        let provider = provider();
        let verifier = MeshServerVerifier::new(
            Arc::clone(&self.trust),
            expect.clone(),
            Arc::clone(&provider),
        );
        let versions = match alpn {
            Alpn::Hbone => HBONE_VERSIONS,
            _ => rustls::DEFAULT_VERSIONS,
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&self.key))));
        config.alpn_protocols = alpn.mesh_tokens();
        config.resumption = Resumption::disabled();
        Ok(config)
    }
}

// === impl Client ===

impl Client {
    fn to(&mut self, endpoint: Option<SocketAddr>) -> Arc<ClientConfig> {
        if let Some(config) = self.endpoints.get(&endpoint) {
            return Arc::clone(config);
        }
        let mut config = ClientConfig::clone(&self.config);
        config.resumption = Resumption::in_memory_sessions(CLIENT_SESSIONS);
        let config = Arc::new(config);
        if self.endpoints.len() >= MOST_ENDPOINTS {
            self.endpoints.clear();
        }
        self.endpoints.insert(endpoint, Arc::clone(&config));
        config
    }
}

fn server_config(
    key: Arc<CertifiedKey>,
    trust: Arc<Trust>,
    versions: &[&'static SupportedProtocolVersion],
    tokens: &[&[u8]],
) -> Result<ServerConfig, rustls::Error> {
    let provider = provider();
    let verifier = MeshClientVerifier::new(trust, &provider)
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = tokens.iter().map(|token| token.to_vec()).collect();
    // The peer keeps what is to be remembered of it.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Ticketer::new()?;
    config.send_tls13_tickets = TICKETS;
    Ok(config)
}

impl fmt::Debug for MeshTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshTls")
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}
