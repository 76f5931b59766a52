//! TLS to servers outside of the mesh (Istio: DestinationRule `tls.mode` SIMPLE and MUTUAL).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use rustls::client::Resumption;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use super::mesh::Alpn;
use super::verify::{ForeignServerVerifier, Names};
use super::{RootsError, provider, read_certificates};

/// How a server outside of the mesh is spoken to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Origination {
    /// Names that the server may present, as DNS or URI names; empty expects the name that is
    /// asked for (`subjectAltNames`).
    pub names: Vec<String>,
    /// Roots, a PEM file; `None` takes the operating system's (`caCertificates`).
    pub roots: Option<PathBuf>,
    /// The client's certificate chain and key, PEM files (MUTUAL: `clientCertificate`,
    /// `privateKey`).
    pub client: Option<(PathBuf, PathBuf)>,
    /// Accept any certificate (`insecureSkipVerify`).
    pub insecure: bool,
    /// What the connection will carry.
    pub alpn: Alpn,
}

/// Why TLS to a server outside of the mesh cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum OriginationError {
    /// A file of certificates cannot be used.
    #[error(transparent)]
    Certificates(#[from] RootsError),
    /// The key cannot be read.
    #[error("key in {path}: {source}")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rustls_pki_types::pem::Error,
    },
    /// The operating system has no roots.
    #[error("the operating system gives no root certificates: {0}")]
    SystemRoots(String),
    /// rustls refuses the parts.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
}

/// Makes client configurations and keeps them until a file changes. One for all workers.
#[derive(Default)]
pub struct Originator {
    configs: Mutex<HashMap<Origination, Made>>,
    system: Mutex<Option<Arc<RootCertStore>>>,
}

struct Made {
    config: Arc<ClientConfig>,
    stamps: Vec<Option<SystemTime>>,
}

const MOST_CONFIGS: usize = 256;
const SESSIONS: usize = 8;

// === impl Originator ===

impl Originator {
    /// The configuration for `origination`, new if one of its files has changed. Reads small
    /// files; meant for the moment before a connection, not for every request.
    ///
    /// # Errors
    /// [`OriginationError`].
    pub fn client(&self, origination: &Origination) -> Result<Arc<ClientConfig>, OriginationError> {
        let stamps = origination.stamps();
        {
            let configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(made) = configs
                .get(origination)
                .filter(|made| made.stamps == stamps)
            {
                return Ok(Arc::clone(&made.config));
            }
        }
        let config = Arc::new(self.make(origination)?);
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if configs.len() >= MOST_CONFIGS {
            configs.clear();
        }
        configs.insert(
            origination.clone(),
            Made {
                config: Arc::clone(&config),
                stamps,
            },
        );
        Ok(config)
    }

    fn make(&self, origination: &Origination) -> Result<ClientConfig, OriginationError> {
        let provider = provider();
        let names = match (origination.insecure, origination.names.is_empty()) {
            (true, _) => Names::Unchecked,
            (false, true) => Names::Asked,
            (false, false) => Names::Any(origination.names.clone()),
        };
        let roots = match (&names, &origination.roots) {
            (Names::Unchecked, _) => Arc::new(RootCertStore::empty()),
            (_, Some(path)) => Arc::new(file_roots(path)?),
            (_, None) => self.system_roots()?,
        };
        let verifier = ForeignServerVerifier {
            roots,
            names,
            provider: Arc::clone(&provider),
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &origination.client {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => {
                let chain = read_certificates(chain)?;
                let der =
                    PrivateKeyDer::from_pem_file(key).map_err(|source| OriginationError::Key {
                        path: key.clone(),
                        source,
                    })?;
                builder.with_client_auth_cert(chain, der)?
            }
        };
        config.alpn_protocols = origination.alpn.plain_tokens();
        config.resumption = Resumption::in_memory_sessions(SESSIONS);
        Ok(config)
    }

    // Hundreds of certificates: read once, and only when the first connection needs them.
    fn system_roots(&self) -> Result<Arc<RootCertStore>, OriginationError> {
        let mut system = self.system.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(roots) = &*system {
            return Ok(Arc::clone(roots));
        }
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            let reasons: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
            return Err(OriginationError::SystemRoots(reasons.join("; ")));
        }
        let roots = Arc::new(roots);
        *system = Some(Arc::clone(&roots));
        Ok(roots)
    }
}

fn file_roots(path: &Path) -> Result<RootCertStore, OriginationError> {
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(read_certificates(path)?);
    if added == 0 {
        Err(RootsError::Empty(path.display().to_string()).into())
    } else {
        Ok(roots)
    }
}

// === impl Origination ===

impl Origination {
    fn stamps(&self) -> Vec<Option<SystemTime>> {
        let client = self.client.iter().flat_map(|(chain, key)| [chain, key]);
        self.roots
            .iter()
            .chain(client)
            .map(|path| {
                std::fs::metadata(path)
                    .and_then(|data| data.modified())
                    .ok()
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
