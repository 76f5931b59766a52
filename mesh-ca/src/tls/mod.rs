//! The TLS endpoint of the control plane: TLS 1.3, a client certificate if the client has one.
//!
//! Its own certificate and the roots for clients can be swapped while it serves: the next
//! handshake uses the new ones. [`Incoming`] makes a stream of connections for tonic's
//! `serve_with_incoming`; every request then carries [`crate::PeerCertificates`] in its
//! extensions.

mod connection;
mod incoming;

use std::fmt;
use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{
    DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, UnixTime};

pub use connection::TlsConnection;
pub use incoming::{Incoming, IncomingOptions};

use crate::secret_key::{KeyError, SecretKey};

/// The configuration of a TLS server, with its swappable parts.
#[derive(Debug, Clone)]
pub struct ServerTls {
    config: Arc<ServerConfig>,
    certificate: Arc<SwappableCertificate>,
    // None: clients are not asked for certificates.
    clients: Option<Arc<SwappableRoots>>,
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A root cannot be used.
    #[error("a root certificate cannot be used: {0}")]
    Root(String),
    /// The library refuses the configuration.
    #[error("TLS cannot be set up: {0}")]
    Library(#[from] rustls::Error),
}

#[derive(Default)]
struct SwappableCertificate(ArcSwapOption<CertifiedKey>);

struct SwappableRoots {
    current: ArcSwap<Clients>,
    provider: Arc<CryptoProvider>,
}

struct Clients(Arc<dyn ClientCertVerifier>);

// === impl ServerTls ===

impl ServerTls {
    /// Sets up TLS that takes client certificates from these roots (DER). It refuses handshakes
    /// until it has a certificate of its own.
    ///
    /// # Errors
    /// If there is no root, or one cannot be used.
    pub fn new(client_roots: &[Vec<u8>]) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let clients = Arc::new(SwappableRoots {
            current: ArcSwap::from_pointee(Clients::new(client_roots, &provider)?),
            provider,
        });
        Self::build(Some(clients), Arc::default(), &[b"h2"])
    }

    /// Sets up TLS for HTTP/2 and HTTP/1.1 that asks clients for no certificate: for webhooks,
    /// whose client, the API server of Kubernetes, has none. It refuses handshakes until it has a
    /// certificate of its own.
    ///
    /// # Errors
    /// If the library refuses the configuration.
    pub fn without_client_certificates() -> Result<Self, TlsError> {
        Self::build(None, Arc::default(), &[b"h2", b"http/1.1"])
    }

    /// The same certificate, now and whenever it is replaced, for documents: HTTP/1.1, and no
    /// client is asked for a certificate.
    ///
    /// # Errors
    /// If the library refuses the configuration.
    pub fn for_documents(&self) -> Result<Self, TlsError> {
        Self::build(None, Arc::clone(&self.certificate), &[b"http/1.1"])
    }

    fn build(
        clients: Option<Arc<SwappableRoots>>,
        certificate: Arc<SwappableCertificate>,
        alpn: &[&[u8]],
    ) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?;
        let builder = match &clients {
            Some(clients) => builder
                .with_client_cert_verifier(Arc::clone(clients) as Arc<dyn ClientCertVerifier>),
            None => builder.with_no_client_auth(),
        };
        let mut config =
            builder.with_cert_resolver(Arc::clone(&certificate) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        // A resumed session would bring back a client certificate without looking at its expiry.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self {
            config: Arc::new(config),
            certificate,
            clients,
        })
    }

    /// Presents this chain (DER, leaf first) from the next handshake on.
    ///
    /// # Errors
    /// If the key cannot be used. The old certificate stays then.
    pub fn set_certificate(&self, chain_der: &[Vec<u8>], key: &SecretKey) -> Result<(), TlsError> {
        let chain = chain_der
            .iter()
            .map(|der| CertificateDer::from(der.clone()))
            .collect();
        let certified = CertifiedKey::new(chain, key.tls_key()?);
        certified.keys_match()?;
        self.certificate.0.store(Some(Arc::new(certified)));
        Ok(())
    }

    /// Takes client certificates from these roots (DER) from the next handshake on. Nothing
    /// happens where no client is asked for one.
    ///
    /// # Errors
    /// If there is no root, or one cannot be used. The old roots stay then.
    pub fn set_client_roots(&self, roots: &[Vec<u8>]) -> Result<(), TlsError> {
        if let Some(clients) = &self.clients {
            let verifier = Clients::new(roots, &clients.provider)?;
            clients.current.store(Arc::new(verifier));
        }
        Ok(())
    }

    /// For rustls.
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

// === impl SwappableCertificate ===

impl ResolvesServerCert for SwappableCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.load_full()
    }
}

impl fmt::Debug for SwappableCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SwappableCertificate")
    }
}

// === impl Clients ===

impl Clients {
    fn new(roots: &[Vec<u8>], provider: &Arc<CryptoProvider>) -> Result<Self, TlsError> {
        let mut store = RootCertStore::empty();
        for root in roots {
            store
                .add(CertificateDer::from(root.as_slice()))
                .map_err(|error| TlsError::Root(error.to_string()))?;
        }
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
                // The names of the roots can change between handshakes, and our clients have one
                // certificate anyway.
                .clear_root_hint_subjects()
                .allow_unauthenticated()
                .build()
                .map_err(|error| TlsError::Root(error.to_string()))?;
        Ok(Self(verifier))
    }
}

// === impl SwappableRoots ===

impl ClientCertVerifier for SwappableRoots {
    fn offer_client_auth(&self) -> bool {
        true
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        self.current
            .load()
            .0
            .verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current
            .load()
            .0
            .verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.current
            .load()
            .0
            .verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current.load().0.supported_verify_schemes()
    }
}

impl fmt::Debug for SwappableRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SwappableRoots")
    }
}
