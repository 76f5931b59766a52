//! What a peer's certificate says.

use std::time::SystemTime;

use mesh_api::SpiffeId;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::clock;

/// What is used of a leaf certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Its URI subject alternative names, in order.
    pub uris: Vec<String>,
    /// Its serial number, hexadecimal.
    pub serial: String,
    /// Valid from.
    pub not_before: SystemTime,
    /// Valid until.
    pub not_after: SystemTime,
}

/// Why a certificate gives no identity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeafError {
    /// It cannot be parsed.
    #[error("the certificate cannot be parsed")]
    Encoding,
    /// It has none, or more than one (SPIFFE X509-SVID section 5.2: exactly one).
    #[error("the certificate has {0} URI names instead of one")]
    UriNames(usize),
    /// Its URI is no identity.
    #[error(transparent)]
    Identity(#[from] mesh_api::InvalidSpiffeId),
}

// === impl Leaf ===

impl Leaf {
    /// Reads a certificate.
    ///
    /// # Errors
    /// [`LeafError::Encoding`] if it cannot be parsed.
    pub fn parse(der: &[u8]) -> Result<Self, LeafError> {
        let (_, certificate) = X509Certificate::from_der(der).map_err(|_| LeafError::Encoding)?;
        let names = certificate
            .subject_alternative_name()
            .map_err(|_| LeafError::Encoding)?;
        let uris = names
            .iter()
            .flat_map(|names| &names.value.general_names)
            .filter_map(|name| match name {
                GeneralName::URI(uri) => Some((*uri).to_owned()),
                _ => None,
            })
            .collect();
        let validity = certificate.validity();
        Ok(Self {
            uris,
            serial: certificate
                .raw_serial()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
            not_before: clock::from_unix_seconds(validity.not_before.timestamp()),
            not_after: clock::from_unix_seconds(validity.not_after.timestamp()),
        })
    }

    /// The identity: the one URI name.
    ///
    /// # Errors
    /// If there is not exactly one URI name, or it is no identity.
    pub fn identity(&self) -> Result<SpiffeId, LeafError> {
        match self.uris.as_slice() {
            [uri] => Ok(uri.parse()?),
            uris => Err(LeafError::UriNames(uris.len())),
        }
    }
}
