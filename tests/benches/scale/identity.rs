//! Certificates of the simulated proxies: made by the authority in meshd's own directory, one for
//! each service account.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::Context as _;
use mesh_api::{SpiffeId, TrustDomain};
use mesh_ca::{Authority, AuthorityOptions, Issue, SecretKey};
use mesh_proxy::tls::control_client;
use rustls::pki_types::CertificateDer;
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, RootCertStore};

use crate::topology::SERVICE_ACCOUNT;

/// Who certifies.
pub(crate) struct Certifier {
    authority: Authority,
    trust_domain: TrustDomain,
}

// === impl Certifier ===

impl Certifier {
    /// Opens the authority that meshd serves with.
    pub(crate) fn open(directory: &Path) -> anyhow::Result<Self> {
        let options = AuthorityOptions::default();
        Ok(Self {
            trust_domain: options.trust_domain.clone(),
            authority: Authority::open(directory, &options)?,
        })
    }

    /// TLS of the proxies of a namespace, as `mesh-proxy` sets it up.
    pub(crate) fn client(&self, namespace: &str) -> anyhow::Result<Arc<ClientConfig>> {
        let key = SecretKey::generate()?;
        let request = Issue {
            identity: SpiffeId::new(&self.trust_domain, namespace, SERVICE_ACCOUNT)?,
            csr_der: key.certificate_request()?,
            ttl: None,
            dns_names: Vec::new(),
            binding: None,
        };
        let issued = self
            .authority
            .issue(&request, SystemTime::now())
            .context("cannot certify the simulated proxies")?;
        let chain = issued.chain_der.into_iter().map(CertificateDer::from);
        let certified = CertifiedKey::new(chain.collect(), key.tls_key()?);
        let mut roots = RootCertStore::empty();
        for root in self.authority.roots_der().iter() {
            roots.add(CertificateDer::from(root.as_slice()))?;
        }
        Ok(Arc::new(control_client(roots, Some(Arc::new(certified)))?))
    }
}
