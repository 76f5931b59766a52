//! What was revoked (RFC 5280, section 5).

use std::collections::BTreeSet;
use std::time::SystemTime;

use rcgen::{
    CertificateRevocationListParams, Issuer, KeyIdMethod, RevokedCertParams, SerialNumber,
};
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::revocation_list::CertificateRevocationList;
use zeroize::Zeroizing;

use super::material::AuthorityMaterial;
use super::origin::{Origin, Part, Parts};
use super::{AuthorityError, AuthorityOptions};
use crate::issue::certificate_time;
use crate::pem;
use crate::secret_key::{KeyError, SecretKey};

/// Lists, and the serial numbers on them.
#[derive(Debug, Clone, Default)]
pub(super) struct Revoked {
    pub(super) lists: Vec<Vec<u8>>,
    serials: BTreeSet<String>,
}

// === impl Revoked ===

impl Revoked {
    pub(super) fn read(origin: &Origin, parts: &Parts) -> Result<Self, AuthorityError> {
        let Some(text) = parts
            .crl
            .as_ref()
            .filter(|text| !text.trim_ascii().is_empty())
        else {
            return Ok(Self::default());
        };
        let corrupt = |why: String| origin.corrupt(Part::Crl, why);
        let mut revoked = Self::default();
        for list in CertificateRevocationListDer::pem_slice_iter(text) {
            let list = list.map_err(|error| corrupt(error.to_string()))?;
            revoked
                .add(&list)
                .map_err(|error| corrupt(format!("a list cannot be read: {error}")))?;
        }
        match revoked.lists.is_empty() {
            true => Err(corrupt("it holds no revocation list in PEM".to_owned())),
            false => Ok(revoked),
        }
    }

    fn add(&mut self, der: &[u8]) -> Result<(), String> {
        let (_, list) =
            CertificateRevocationList::from_der(der).map_err(|error| error.to_string())?;
        let serials = list.iter_revoked_certificates().map(|revoked| {
            let serial = revoked.raw_serial();
            serial.iter().map(|byte| format!("{byte:02x}")).collect()
        });
        self.serials.extend(serials);
        self.lists.push(der.to_vec());
        Ok(())
    }

    pub(super) fn contains(&self, serial: &str) -> bool {
        self.serials.contains(serial)
    }

    pub(super) fn to_pem(&self) -> Zeroizing<String> {
        let lists = self.lists.iter();
        Zeroizing::new(
            lists
                .map(|der| pem::encode("X509 CRL", der).to_string())
                .collect(),
        )
    }
}

// === impl AuthorityMaterial ===

impl AuthorityMaterial {
    /// The same with this serial number (hexadecimal, as [`crate::Issued::serial`]) on the
    /// revocation list of the certificate that signs.
    ///
    /// # Errors
    /// If it is no serial number, or the library fails.
    pub fn revoking(
        &self,
        serial: &str,
        options: &AuthorityOptions,
        now: SystemTime,
    ) -> Result<Self, AuthorityError> {
        let mut serials = self.own_revoked();
        serials.insert(serial.to_ascii_lowercase());
        let mut entries = Vec::new();
        for serial in &serials {
            let digits = serial.as_bytes().as_chunks::<2>();
            let bytes: Option<Vec<u8>> = digits
                .0
                .iter()
                .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
                .collect();
            let bytes = bytes.filter(|bytes| digits.1.is_empty() && !bytes.is_empty());
            let Some(bytes) = bytes else {
                return Err(KeyError::Library("read the serial number").into());
            };
            entries.push(RevokedCertParams {
                serial_number: SerialNumber::from_slice(&bytes),
                revocation_time: certificate_time(now),
                reason_code: None,
                invalidity_date: None,
            });
        }
        let issuer = self.issuer()?;
        let list = sign(
            &issuer,
            entries,
            self.not_after().max(now + options.max_ttl),
            now,
        )
        .map_err(|_| KeyError::Library("sign a revocation list"))?;
        let mut revoked = Revoked::default();
        let others = self.revoked.lists.iter().filter(|der| !self.is_own(der));
        for der in others.chain(std::iter::once(&list)) {
            revoked
                .add(der)
                .map_err(|_| KeyError::Library("read a revocation list"))?;
        }
        Ok(Self {
            revoked,
            ..self.clone()
        })
    }

    // What is on the list of the certificate that signs.
    fn own_revoked(&self) -> BTreeSet<String> {
        let mut own = Revoked::default();
        for der in self.revoked.lists.iter().filter(|der| self.is_own(der)) {
            // It was read before.
            let _ = own.add(der);
        }
        own.serials
    }

    fn is_own(&self, list: &[u8]) -> bool {
        let (Ok((_, list)), Ok((_, signer))) = (
            CertificateRevocationList::from_der(list),
            X509Certificate::from_der(&self.signer),
        ) else {
            return false;
        };
        list.issuer().as_raw() == signer.subject().as_raw()
            && list.verify_signature(signer.public_key()).is_ok()
    }
}

fn sign(
    issuer: &Issuer<'static, SecretKey>,
    revoked_certs: Vec<RevokedCertParams>,
    next_update: SystemTime,
    now: SystemTime,
) -> Result<Vec<u8>, rcgen::Error> {
    let number = u64::try_from(crate::clock::unix_seconds(now)).unwrap_or(1);
    let params = CertificateRevocationListParams {
        this_update: certificate_time(now),
        next_update: certificate_time(next_update),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs,
        key_identifier_method: KeyIdMethod::Sha256,
    };
    Ok(params.signed_by(issuer)?.der().to_vec())
}
