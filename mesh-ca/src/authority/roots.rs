//! The roots of an authority.

use std::time::SystemTime;

use rcgen::{Certificate, Issuer, SerialNumber};
use rustls_pki_types::CertificateDer;

use super::certificates::{self, check_authority, is_for_key, parse, validity};
use super::origin::{Layout, Origin, Part, Parts};
use super::{AuthorityError, AuthorityOptions, HOUR};
use crate::clock;
use crate::issue::{Validity, authority_profile};
use crate::secret_key::{KeyError, SecretKey};

/// Trusted roots; the first one is ours if its key is here.
#[derive(Clone)]
pub(super) struct Roots {
    pub(super) ders: Vec<Vec<u8>>,
    pub(super) key: Option<SecretKey>,
}

/// The first ones, then the others; each once.
pub(super) fn union(first: &[Vec<u8>], others: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut all = Vec::with_capacity(first.len());
    for der in first.iter().chain(others) {
        if !all.contains(der) {
            all.push(der.clone());
        }
    }
    all
}

// === impl Roots ===

impl Roots {
    /// Reads the roots, and their key if it is there.
    pub(super) fn read(
        origin: &Origin,
        parts: &Parts,
        options: &AuthorityOptions,
    ) -> Result<Self, AuthorityError> {
        let Some(pem) = &parts.roots else {
            let why = "without a root nobody can check what the authority signs; restore it";
            return Err(origin.missing(Part::Roots, why));
        };
        let ders = certificates::read(origin, Part::Roots, pem)?;
        let mut parsed = Vec::new();
        for der in &ders {
            let root = parse(origin, Part::Roots, der)?;
            check_authority(origin, Part::Roots, &root)?;
            // Elsewhere an intermediate may be what is trusted.
            if origin.layout() == Layout::Mesh && root.verify_signature(None).is_err() {
                return Err(origin.corrupt(Part::Roots, "a root is not signed by itself"));
            }
            parsed.push(root);
        }
        let first = parsed
            .first()
            .ok_or_else(|| origin.corrupt(Part::Roots, "it holds no certificate in PEM"))?;
        if origin.layout() == Layout::Mesh {
            certificates::check_trust_domain(origin, first, &options.trust_domain)?;
        }
        let key = match &parts.root_key {
            None => None,
            Some(pem) => Some(
                SecretKey::from_pem(pem)
                    .map_err(|error| origin.corrupt(Part::RootKey, error.to_string()))?,
            ),
        };
        if let Some(key) = &key
            && !is_for_key(first, key.public_key())
        {
            let why = "the first certificate is for another key";
            return Err(origin.mismatch(Part::Roots, Part::RootKey, why));
        }
        Ok(Self { ders, key })
    }

    /// Signs an intermediate for this key, DER.
    pub(super) fn sign_intermediate(
        &self,
        origin: &Origin,
        options: &AuthorityOptions,
        key: &SecretKey,
        now: SystemTime,
    ) -> Result<Vec<u8>, AuthorityError> {
        let (Some(root), Some(root_key)) = (self.ders.first(), &self.key) else {
            let why = "an intermediate must be signed; put the key of root.pem there for that time";
            return Err(origin.missing(Part::RootKey, why));
        };
        let root_validity = validity(&parse(origin, Part::Roots, root)?);
        if root_validity.not_after <= now {
            return Err(origin.expired(Part::Roots));
        }
        let validity = Validity {
            not_before: (now - HOUR).max(root_validity.not_before),
            not_after: (now + options.intermediate_life).min(root_validity.not_after),
        };
        // Renewed intermediates have the same key, from which a number would be made else.
        let serial =
            clock::random::<16>().map_err(|_| KeyError::Library("make a serial number"))?;
        let signed: Result<Certificate, rcgen::Error> = (|| {
            let der = CertificateDer::from(root.as_slice());
            let issuer = Issuer::from_ca_cert_der(&der, root_key.clone())?;
            let mut params =
                authority_profile(&options.trust_domain, "mesh intermediate", 0, validity)?;
            params.serial_number = Some(SerialNumber::from_slice(&serial));
            params.signed_by(key, &issuer)
        })();
        let signed = signed.map_err(|_| KeyError::Library("sign an intermediate"))?;
        Ok(signed.der().to_vec())
    }
}

/// A root for this key, signed by itself, DER.
pub(super) fn new_root(
    options: &AuthorityOptions,
    key: &SecretKey,
    now: SystemTime,
) -> Result<Vec<u8>, AuthorityError> {
    let validity = Validity {
        not_before: now - HOUR,
        not_after: now + options.root_life,
    };
    let params = authority_profile(&options.trust_domain, "mesh root", 1, validity)
        .map_err(|_| KeyError::Library("describe a root"))?;
    let root = params
        .self_signed(key)
        .map_err(|_| KeyError::Library("sign a root"))?;
    Ok(root.der().to_vec())
}
