//! The other side of a TLS connection.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_api::SpiffeId;
use rustls_pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::binding::{InvalidBinding, WorkloadBinding};

/// The certificates that a client presented; none if it did not. In the extensions of every
/// request that came over [`crate::tls`]. The TLS layer has verified the chain.
#[derive(Debug, Clone, Default)]
pub struct PeerCertificates {
    chain: Arc<[CertificateDer<'static>]>,
    address: Option<IpAddr>,
}

/// Why a certificate gives no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerIdentityError {
    /// The client presented none.
    #[error("the client presented no certificate")]
    NoCertificate,
    /// It cannot be read.
    #[error("the client's certificate cannot be read")]
    Malformed,
    /// It is not exactly one URI SAN that it has (X.509-SVID, section 2), or the one has another
    /// form.
    #[error("the client's certificate names no identity: {0}")]
    NoIdentity(String),
    /// It is the certificate of an authority (X.509-SVID, section 4.1).
    #[error("the client's certificate is one of an authority")]
    Authority,
    /// It says in no way that is understood whose it is.
    #[error("the client's certificate cannot be used: {0}")]
    Binding(#[from] InvalidBinding),
}

// === impl PeerCertificates ===

impl PeerCertificates {
    /// The chain, the leaf first.
    pub fn new(chain: Vec<CertificateDer<'static>>) -> Self {
        Self {
            chain: chain.into(),
            address: None,
        }
    }

    /// With the address that the client calls from; it proves nothing.
    #[must_use]
    pub fn from_address(self, address: Option<IpAddr>) -> Self {
        Self { address, ..self }
    }

    /// The address that the client calls from; none on a Unix socket.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The chain, the leaf first.
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// Whether the client presented any.
    pub fn is_empty(&self) -> bool {
        self.chain.is_empty()
    }

    /// Serial number of the leaf, hexadecimal, as [`crate::Issued::serial`].
    ///
    /// # Errors
    /// If there is no leaf, or it cannot be read.
    pub fn serial(&self) -> Result<String, PeerIdentityError> {
        let (_, certificate) =
            X509Certificate::from_der(self.leaf()?).map_err(|_| PeerIdentityError::Malformed)?;
        let serial = certificate.raw_serial();
        Ok(serial.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The identity in the leaf, and until when it is valid.
    ///
    /// # Errors
    /// A [`PeerIdentityError`].
    pub fn identity(&self) -> Result<(SpiffeId, SystemTime), PeerIdentityError> {
        certificate_identity(self.leaf()?)
    }

    /// The workload that the leaf was issued to; `None` if it is bound to none.
    ///
    /// # Errors
    /// If there is no leaf, it cannot be read, or what it says of its workload cannot.
    pub fn binding(&self) -> Result<Option<WorkloadBinding>, PeerIdentityError> {
        certificate_binding(self.leaf()?)
    }

    fn leaf(&self) -> Result<&CertificateDer<'static>, PeerIdentityError> {
        self.chain.first().ok_or(PeerIdentityError::NoCertificate)
    }
}

/// The workload that a leaf was issued to; `None` if it is bound to none. Does not verify its
/// chain.
///
/// # Errors
/// [`PeerIdentityError::Malformed`] or [`PeerIdentityError::Binding`].
pub fn certificate_binding(leaf: &[u8]) -> Result<Option<WorkloadBinding>, PeerIdentityError> {
    let (_, certificate) =
        X509Certificate::from_der(leaf).map_err(|_| PeerIdentityError::Malformed)?;
    Ok(WorkloadBinding::of(&certificate)?)
}

/// The identity that a leaf names, and until when it is valid. Does not verify its chain.
///
/// # Errors
/// A [`PeerIdentityError`].
pub fn certificate_identity(leaf: &[u8]) -> Result<(SpiffeId, SystemTime), PeerIdentityError> {
    let (_, certificate) =
        X509Certificate::from_der(leaf).map_err(|_| PeerIdentityError::Malformed)?;
    if certificate.is_ca() {
        return Err(PeerIdentityError::Authority);
    }
    let names = certificate
        .subject_alternative_name()
        .map_err(|_| PeerIdentityError::Malformed)?;
    let mut uris = names
        .iter()
        .flat_map(|names| &names.value.general_names)
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
    let (Some(uri), None) = (uris.next(), uris.next()) else {
        return Err(PeerIdentityError::NoIdentity(
            "it does not have exactly one URI SAN".to_owned(),
        ));
    };
    let identity = uri
        .parse::<SpiffeId>()
        .map_err(|error| PeerIdentityError::NoIdentity(error.to_string()))?;
    let not_after = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
    Ok((
        identity,
        SystemTime::UNIX_EPOCH + Duration::from_secs(not_after),
    ))
}
