//! The mesh's mutual TLS.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use mesh_api::SpiffeId;
use rustls::client::Resumption;
use rustls::server::ServerSessionMemoryCache;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::provider;
use super::verify::{MeshClientVerifier, MeshServerVerifier};

/// What a connection carries, told to the peer by Istio's ALPN tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Alpn {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Opaque bytes.
    Tcp,
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
}

/// TLS configurations of one certificate and one set of roots. Sessions made with them are
/// resumed only with them.
pub struct MeshTls {
    key: Arc<CertifiedKey>,
    trust: Arc<Trust>,
    server: Arc<ServerConfig>,
    clients: Mutex<HashMap<(Alpn, Expect), Arc<ClientConfig>>>,
}

// More expectations than a workload has destinations; then the cache starts anew.
const MOST_CLIENTS: usize = 1024;
const CLIENT_SESSIONS: usize = 8;
const SERVER_SESSIONS: usize = 256;

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

// === impl Alpn ===

impl Alpn {
    /// What a mesh client offers, best first (Istio's filter `istio.alpn`).
    pub fn mesh_tokens(self) -> Vec<Vec<u8>> {
        let tokens: &[&[u8]] = match self {
            Self::Http1 => &[b"istio-http/1.1", b"istio", b"http/1.1"],
            Self::Http2 => &[b"istio-h2", b"istio", b"h2"],
            Self::Tcp => &[b"istio"],
        };
        tokens.iter().map(|token| token.to_vec()).collect()
    }

    /// What a client offers to a server outside of the mesh.
    pub fn plain_tokens(self) -> Vec<Vec<u8>> {
        match self {
            Self::Http1 => vec![b"http/1.1".to_vec()],
            Self::Http2 => vec![b"h2".to_vec()],
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
        let server = Arc::new(server_config(Arc::clone(&key), Arc::clone(&trust))?);
        Ok(Self {
            key,
            trust,
            server,
            clients: Mutex::default(),
        })
    }

    /// For the server side of a port that takes the mesh's mutual TLS. A client certificate is
    /// required.
    pub fn server(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.server)
    }

    /// For the client side.
    ///
    /// # Errors
    /// If rustls refuses the parts.
    pub fn client(&self, alpn: Alpn, expect: &Expect) -> Result<Arc<ClientConfig>, rustls::Error> {
        let key = (alpn, expect.clone());
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = clients.get(&key) {
            return Ok(Arc::clone(config));
        }
        let provider = provider();
        let verifier = MeshServerVerifier::new(
            Arc::clone(&self.trust),
            expect.clone(),
            Arc::clone(&provider),
        );
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(&self.key))));
        config.alpn_protocols = alpn.mesh_tokens();
        config.resumption = Resumption::in_memory_sessions(CLIENT_SESSIONS);
        let config = Arc::new(config);
        if clients.len() >= MOST_CLIENTS {
            clients.clear();
        }
        clients.insert(key, Arc::clone(&config));
        Ok(config)
    }
}

fn server_config(key: Arc<CertifiedKey>, trust: Arc<Trust>) -> Result<ServerConfig, rustls::Error> {
    let provider = provider();
    let verifier = MeshClientVerifier::new(trust, Arc::clone(&provider))
        .map_err(|error| rustls::Error::General(error.to_string()))?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(key)));
    config.alpn_protocols = SERVER_ALPN.iter().map(|token| token.to_vec()).collect();
    config.session_storage = ServerSessionMemoryCache::new(SERVER_SESSIONS);
    config.send_tls13_tickets = 1;
    Ok(config)
}

impl fmt::Debug for MeshTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshTls")
            .field("trust", &self.trust)
            .finish_non_exhaustive()
    }
}
