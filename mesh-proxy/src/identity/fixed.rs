//! Identities that come from elsewhere and stay: for tools, and for tests of the data path.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs::sign::any_supported_type;
use rustls::sign::CertifiedKey;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use super::{Identity, IdentityHandle, IssuanceError, Svid, Trusted};
use crate::tls::Leaf;

// === impl Identity ===

impl Identity {
    /// From a certificate chain (the leaf first), its key (PKCS#8), the roots to trust and the
    /// trust domain with its aliases.
    ///
    /// # Errors
    /// [`IssuanceError`] if the parts do not fit together.
    pub fn from_der(
        chain: Vec<Vec<u8>>,
        key_pkcs8: Vec<u8>,
        roots_der: Vec<Vec<u8>>,
        domains: Vec<String>,
    ) -> Result<Self, IssuanceError> {
        let chain: Vec<_> = chain.into_iter().map(CertificateDer::from).collect();
        let leaf = Leaf::parse(chain.first().ok_or(IssuanceError::Empty)?)?;
        let pkcs8 = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key_pkcs8));
        let key = CertifiedKey::new(
            chain,
            any_supported_type(&pkcs8).map_err(IssuanceError::Key)?,
        );
        key.keys_match().map_err(IssuanceError::Key)?;
        let svid = Svid {
            id: leaf.identity()?,
            serial: leaf.serial,
            not_before: leaf.not_before,
            not_after: leaf.not_after,
            key: Arc::new(key),
            roots_der: roots_der.clone(),
            exported: None,
        };
        let trusted = Trusted {
            roots_der,
            domains,
            ..Trusted::default()
        };
        Self::new(Arc::new(svid), trusted).map_err(IssuanceError::Key)
    }
}

// === impl IdentityHandle ===

impl IdentityHandle {
    /// A handle whose certificate never changes.
    pub fn fixed(identity: Identity) -> Self {
        let (publisher, handle) = Self::channel();
        publisher.publish(identity);
        handle
    }

    /// A handle without a certificate.
    pub fn none() -> Self {
        Self::channel().1
    }
}
