//! TLS that a gateway ends (Istio: Gateway `tls`): a configuration for each server, kept until
//! what it is made of changes.

mod client;
mod material;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use mesh_api::ResourceName;
use mesh_proxy_core::Snapshot;
use mesh_proxy_core::ir::{
    ClientAuth, Credential, Inside, ServerCertificate, TlsServer, TlsTermination, TlsVersion,
};
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{ClientHello, NoClientAuth, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{CipherSuite, ServerConfig, SupportedProtocolVersion};

use super::mesh::TICKETS;
use super::provider;
use crate::identity::Identity;
use material::Material;

pub use client::ClientCertificate;

/// Why a server of TLS has no configuration.
#[derive(Debug, thiserror::Error)]
pub enum GatewayTlsError {
    /// The control plane says so.
    #[error("{0}")]
    Unusable(Arc<str>),
    /// The Secret is not there, or the control plane does not give it out.
    #[error("{0} is not there")]
    NoCredential(ResourceName),
    /// The gateway has no certificate of the mesh yet.
    #[error("the gateway has no certificate of the mesh yet")]
    NoIdentity,
    /// A file cannot be read.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What is wrong.
        source: rustls_pki_types::pem::Error,
    },
    /// The key is in no form that is known.
    #[error("the private key is in no known form")]
    Key,
    /// There is nothing to check client certificates by.
    #[error("no root for client certificates")]
    NoClientRoots,
    /// The client's certificates cannot be checked.
    #[error("client certificates: {0}")]
    Client(#[from] rustls::server::VerifierBuilderError),
    /// rustls refuses the parts.
    #[error(transparent)]
    Tls(#[from] rustls::Error),
}

/// What a server of TLS can do now.
#[derive(Debug, Default)]
pub struct Serving {
    /// For handshakes; `None` refuses them. The last good one, if the newest cannot be used.
    pub config: Option<Arc<ServerConfig>>,
    /// What is wrong.
    pub trouble: Option<GatewayTlsError>,
}

/// Makes server configurations and keeps them. One for all workers.
#[derive(Default)]
pub struct GatewayTls {
    made: Mutex<HashMap<Key, Made>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    termination: Arc<TlsTermination>,
    http: bool,
}

struct Made {
    config: Arc<ServerConfig>,
    from: From,
}

/// What a configuration is made of: it is made anew when this is another one.
enum From {
    Credential(Arc<Credential>, Vec<Arc<Credential>>),
    Files(Vec<Option<SystemTime>>),
    Mesh(Arc<Identity>),
}

const MOST_CONFIGS: usize = 4096;
const HTTP_ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

static NEW: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
static OLD: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];

// OpenSSL's names (Istio: `cipherSuites`) of what rustls has for TLS 1.2.
const CIPHER_SUITES: [(&str, CipherSuite); 6] = [
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-RSA-AES128-GCM-SHA256",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    ),
    (
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-RSA-AES256-GCM-SHA384",
        CipherSuite::TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    ),
    (
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
    (
        "ECDHE-RSA-CHACHA20-POLY1305",
        CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    ),
];

// === impl GatewayTls ===

impl GatewayTls {
    /// The configuration of a server that ends TLS. Reads small files if the server is made of
    /// some; meant for the moment before a handshake.
    pub fn serving(
        &self,
        server: &TlsServer,
        snapshot: &Snapshot,
        identity: Option<Arc<Identity>>,
    ) -> Serving {
        let Some(termination) = &server.termination else {
            return Serving::default();
        };
        if let Some(why) = &termination.unusable {
            return GatewayTlsError::Unusable(Arc::clone(why)).into();
        }
        let from = match From::now(termination, snapshot, identity) {
            Ok(from) => from,
            Err(error) => return error.into(),
        };
        let key = Key {
            termination: Arc::clone(termination),
            http: matches!(server.inside, Inside::Http(_)),
        };
        let mut last_good = None;
        if let Some(made) = self.lock().get(&key) {
            if made.from.is(&from) {
                return Serving {
                    config: Some(Arc::clone(&made.config)),
                    trouble: None,
                };
            }
            last_good = Some(Arc::clone(&made.config));
        }
        match make(&key, &from) {
            Ok(config) => {
                let config = Arc::new(config);
                let mut made = self.lock();
                if made.len() >= MOST_CONFIGS {
                    made.clear();
                }
                let fresh = Made {
                    config: Arc::clone(&config),
                    from,
                };
                made.insert(key, fresh);
                Serving {
                    config: Some(config),
                    trouble: None,
                }
            }
            Err(error) => Serving {
                config: last_good,
                trouble: Some(error),
            },
        }
    }

    /// Forgets the configurations, and the keys in them, of servers that are gone.
    pub fn retain(&self, snapshot: &Snapshot) {
        let listeners = snapshot
            .gateway()
            .into_iter()
            .flat_map(|gateway| gateway.listeners.values());
        let live: std::collections::HashSet<_> = listeners
            .flat_map(|listener| listener.tls.iter())
            .filter_map(|server| server.termination.clone())
            .collect();
        self.lock().retain(|key, made| {
            let held = match &made.from {
                From::Credential(credential, _) => format!("credential/{}", credential.name)
                    .parse()
                    .is_ok_and(|name| snapshot.credential(&name).is_some()),
                From::Files(_) | From::Mesh(_) => true,
            };
            held && live.contains(&key.termination)
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Made>> {
        self.made.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Serving ===

impl std::convert::From<GatewayTlsError> for Serving {
    fn from(error: GatewayTlsError) -> Self {
        Self {
            config: None,
            trouble: Some(error),
        }
    }
}

// === impl From ===

impl From {
    fn now(
        termination: &TlsTermination,
        snapshot: &Snapshot,
        identity: Option<Arc<Identity>>,
    ) -> Result<Self, GatewayTlsError> {
        Ok(match &termination.certificate {
            ServerCertificate::Credential(name) => match snapshot.credential(name) {
                Some(credential) => {
                    let more = termination.more_credentials.iter();
                    let more = more.filter_map(|name| snapshot.credential(name)).cloned();
                    Self::Credential(Arc::clone(credential), more.collect())
                }
                None => return Err(GatewayTlsError::NoCredential(name.clone())),
            },
            ServerCertificate::Files(files) => Self::Files(material::stamps(files)),
            ServerCertificate::Mesh => Self::Mesh(identity.ok_or(GatewayTlsError::NoIdentity)?),
        })
    }

    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Credential(one, more), Self::Credential(other, others)) => {
                Arc::ptr_eq(one, other)
                    && more.len() == others.len()
                    && more
                        .iter()
                        .zip(others)
                        .all(|(one, other)| Arc::ptr_eq(one, other))
            }
            (Self::Files(one), Self::Files(other)) => one == other,
            (Self::Mesh(one), Self::Mesh(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }
}

fn make(key: &Key, from: &From) -> Result<ServerConfig, GatewayTlsError> {
    let termination = &key.termination;
    let material = match (from, &termination.certificate) {
        (From::Mesh(identity), _) => {
            let mut config = ServerConfig::clone(&identity.server());
            if !key.http {
                // Peers that carry opaque bytes offer nothing that HTTP would be told by.
                config.alpn_protocols = vec![b"istio".to_vec()];
            }
            return Ok(config);
        }
        (From::Credential(credential, _), _) => Material::of_credential(credential)?,
        (From::Files(_), ServerCertificate::Files(files)) => Material::of_files(files)?,
        (From::Files(_), _) => return Err(GatewayTlsError::Key),
    };
    let provider = Arc::new(limited(termination));
    let mut certified = vec![Arc::new(CertifiedKey::from_der(
        material.chain,
        material.key,
        &provider,
    )?)];
    if let From::Credential(_, more) = from {
        for credential in more {
            let more = Material::of_credential(credential)?;
            let key = CertifiedKey::from_der(more.chain, more.key, &provider)?;
            certified.push(Arc::new(key));
        }
    }
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions(termination))?;
    let builder = if termination.client == ClientAuth::None {
        builder.with_client_cert_verifier(Arc::new(NoClientAuth))
    } else {
        let verifier = client::verifier(
            termination,
            material.client_roots,
            material.client_crls,
            provider,
        )?;
        builder.with_client_cert_verifier(verifier)
    };
    let mut config = builder.with_cert_resolver(Arc::new(ByAlgorithm(certified)));
    if key.http {
        config.alpn_protocols = HTTP_ALPN.iter().map(|token| token.to_vec()).collect();
    }
    // The clients keep what is to be remembered of them. The key of their tickets is that of this
    // configuration: other certificates, roots or lists of revoked ones end all sessions.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Ticketer::new()?;
    config.send_tls13_tickets = TICKETS;
    Ok(config)
}

/// The first certificate that the client can check the signatures of (Istio: credentialNames, one
/// of RSA and one of ECDSA).
#[derive(Debug)]
struct ByAlgorithm(Vec<Arc<CertifiedKey>>);

impl ResolvesServerCert for ByAlgorithm {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let schemes = hello.signature_schemes();
        let fits = |key: &&Arc<CertifiedKey>| key.key.choose_scheme(schemes).is_some();
        // Whoever can use none fails with the first one, and is told why.
        self.0.iter().find(fits).or(self.0.first()).cloned()
    }
}

/// The proxy's algorithms with only those suites for TLS 1.2 that the server names.
fn limited(termination: &TlsTermination) -> CryptoProvider {
    let mut provider = CryptoProvider::clone(&provider());
    if !termination.cipher_suites.is_empty() {
        let named = |suite: CipherSuite| {
            CIPHER_SUITES.iter().any(|(name, known)| {
                *known == suite
                    && termination
                        .cipher_suites
                        .iter()
                        .any(|wanted| wanted == name)
            })
        };
        provider
            .cipher_suites
            .retain(|suite| suite.tls13().is_some() || named(suite.suite()));
    }
    provider
}

fn versions(termination: &TlsTermination) -> &'static [&'static SupportedProtocolVersion] {
    match (termination.min_version, termination.max_version) {
        (TlsVersion::V1_3, _) => NEW,
        (TlsVersion::V1_2, TlsVersion::V1_2) => OLD,
        (TlsVersion::V1_2, TlsVersion::V1_3) => rustls::ALL_VERSIONS,
    }
}

#[cfg(test)]
mod tests;
