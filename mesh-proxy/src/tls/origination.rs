//! TLS to servers outside of the mesh (Istio: DestinationRule `tls.mode` SIMPLE and MUTUAL).

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use mesh_api::ResourceName;
use mesh_proxy_core::ir::Credential;
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use super::mesh::Alpn;
use super::verify::{ForeignServerVerifier, Names};
use super::{RootsError, provider, read_certificates, root_store};

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
    /// Revocation lists for the server's certificate, a PEM file (`caCrl`).
    pub crl: Option<PathBuf>,
    /// A Secret in place of the files (`credentialName`).
    pub credential: Option<ClientCredential>,
}

/// A Secret with roots for a server, and a certificate for the client.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ClientCredential {
    /// The resource.
    pub name: ResourceName,
    /// Whether the client presents the certificate (MUTUAL).
    pub presented: bool,
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
    /// The Secret is not there, or the control plane does not give it out.
    #[error("{0} is not there")]
    NoCredential(ResourceName),
    /// The Secret holds no certificate with a key in a known form.
    #[error("{0} holds no certificate with its key")]
    NoCertificate(ResourceName),
    /// The lists of revoked certificates cannot be read.
    #[error("revocation lists in {path}: {source}")]
    Crl {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: rustls_pki_types::pem::Error,
    },
    /// The server's certificates cannot be checked.
    #[error("server certificates: {0}")]
    Verifier(#[from] rustls::client::VerifierBuilderError),
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
    credential: Option<Arc<Credential>>,
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
        self.client_with(origination, None)
    }

    /// As [`Self::client`], with the Secret that `origination` names.
    ///
    /// # Errors
    /// As [`Self::client`], and if the Secret is not there.
    pub fn client_with(
        &self,
        origination: &Origination,
        credential: Option<Arc<Credential>>,
    ) -> Result<Arc<ClientConfig>, OriginationError> {
        let same = |made: &Made| match (&made.credential, &credential) {
            (Some(made), Some(now)) => Arc::ptr_eq(made, now),
            (made, now) => made.is_none() && now.is_none(),
        };
        let stamps = origination.stamps();
        {
            let configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(made) = configs
                .get(origination)
                .filter(|made| made.stamps == stamps && same(made))
            {
                return Ok(Arc::clone(&made.config));
            }
        }
        let config = Arc::new(self.make(origination, credential.as_deref())?);
        let mut configs = self.configs.lock().unwrap_or_else(PoisonError::into_inner);
        if configs.len() >= MOST_CONFIGS {
            configs.clear();
        }
        configs.insert(
            origination.clone(),
            Made {
                config: Arc::clone(&config),
                stamps,
                credential,
            },
        );
        Ok(config)
    }

    fn make(
        &self,
        origination: &Origination,
        credential: Option<&Credential>,
    ) -> Result<ClientConfig, OriginationError> {
        let provider = provider();
        let named = origination.credential.as_ref();
        if let (Some(named), None) = (named, credential) {
            return Err(OriginationError::NoCredential(named.name.clone()));
        }
        let names = match (origination.insecure, origination.names.is_empty()) {
            (true, _) => Names::Unchecked,
            (false, true) => Names::Asked,
            (false, false) => Names::Any(origination.names.clone()),
        };
        let given = credential.filter(|credential| !credential.client_roots.is_empty());
        let roots = match (&names, &origination.roots, given) {
            (Names::Unchecked, ..) => Arc::new(RootCertStore::empty()),
            (_, _, Some(given)) => {
                let roots = given.client_roots.iter().map(Vec::as_slice);
                Arc::new(root_store(roots))
            }
            (_, Some(path), None) => Arc::new(file_roots(path)?),
            (_, None, None) => self.system_roots()?,
        };
        let crls = revocation_lists(origination, credential)?;
        let chain = if crls.is_empty() || origination.insecure {
            None
        } else {
            let (roots, provider) = (Arc::clone(&roots), Arc::clone(&provider));
            let builder = WebPkiServerVerifier::builder_with_provider(roots, provider);
            Some(builder.with_crls(crls).build()?)
        };
        let verifier = ForeignServerVerifier {
            roots,
            names,
            provider: Arc::clone(&provider),
            chain,
        };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match client_certificate(origination, credential)? {
            None => builder.with_no_client_auth(),
            Some((chain, key)) => builder.with_client_auth_cert(chain, key)?,
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

type OwnCertificate = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

// What the client shows, if anything.
fn client_certificate(
    origination: &Origination,
    credential: Option<&Credential>,
) -> Result<Option<OwnCertificate>, OriginationError> {
    let named = origination.credential.as_ref();
    if let (Some(named), Some(credential)) = (named.filter(|named| named.presented), credential) {
        let none = || OriginationError::NoCertificate(named.name.clone());
        let key = PrivateKeyDer::try_from(credential.private_key.clone()).map_err(|_| none())?;
        let chain = credential.certificate_chain.iter().cloned();
        return Ok(Some((chain.map(CertificateDer::from).collect(), key)));
    }
    let Some((chain, key)) = &origination.client else {
        return Ok(None);
    };
    let chain = read_certificates(chain)?;
    let key = PrivateKeyDer::from_pem_file(key).map_err(|source| OriginationError::Key {
        path: key.clone(),
        source,
    })?;
    Ok(Some((chain, key)))
}

fn revocation_lists(
    origination: &Origination,
    credential: Option<&Credential>,
) -> Result<Vec<CertificateRevocationListDer<'static>>, OriginationError> {
    if let Some(credential) = credential {
        let lists = credential.client_crls.iter().cloned();
        return Ok(lists.map(CertificateRevocationListDer::from).collect());
    }
    let Some(path) = &origination.crl else {
        return Ok(Vec::new());
    };
    CertificateRevocationListDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|source| OriginationError::Crl {
            path: path.clone(),
            source,
        })
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
            .chain(&self.crl)
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
