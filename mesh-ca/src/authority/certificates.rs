//! Certificates of authorities: reading them, and who signed whom.

use std::time::{Duration, SystemTime};

use mesh_api::TrustDomain;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::time::ASN1Time;

use super::AuthorityError;
use super::origin::{Origin, Part};
use crate::issue::Validity;

/// The certificates of a part, in their order.
pub(super) fn read(
    origin: &Origin,
    part: Part,
    pem: &[u8],
) -> Result<Vec<Vec<u8>>, AuthorityError> {
    let certificates = CertificateDer::pem_slice_iter(pem)
        .map(|der| der.map(|der| der.to_vec()))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| origin.corrupt(part, error.to_string()))?;
    if certificates.is_empty() {
        return Err(origin.corrupt(part, "it holds no certificate in PEM"));
    }
    for der in &certificates {
        parse(origin, part, der)?;
    }
    Ok(certificates)
}

pub(super) fn parse<'a>(
    origin: &Origin,
    part: Part,
    der: &'a [u8],
) -> Result<X509Certificate<'a>, AuthorityError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        Ok(_) => Err(origin.corrupt(part, "bytes follow a certificate")),
        Err(error) => Err(origin.corrupt(part, format!("a certificate cannot be read: {error}"))),
    }
}

/// Refuses what may not sign certificates (RFC 5280, sections 4.2.1.3 and 4.2.1.9).
pub(super) fn check_authority(
    origin: &Origin,
    part: Part,
    certificate: &X509Certificate<'_>,
) -> Result<(), AuthorityError> {
    let may_sign = certificate
        .key_usage()
        .is_ok_and(|usage| usage.is_none_or(|usage| usage.value.key_cert_sign()));
    if certificate.is_ca() && may_sign {
        return Ok(());
    }
    let why = format!(
        "the certificate `{}` is none of an authority: it needs basicConstraints CA:TRUE and keyUsage keyCertSign",
        certificate.subject()
    );
    Err(origin.corrupt(part, why))
}

/// Refuses a root that names another trust domain.
pub(super) fn check_trust_domain(
    origin: &Origin,
    root: &X509Certificate<'_>,
    wanted: &TrustDomain,
) -> Result<(), AuthorityError> {
    let names = root
        .subject_alternative_name()
        .map_err(|error| origin.corrupt(Part::Roots, error.to_string()))?;
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        // A root that somebody else made need not name its trust domain.
        if let GeneralName::URI(uri) = name
            && let Some(found) = uri.strip_prefix("spiffe://")
            && found != wanted.as_str()
        {
            return Err(AuthorityError::TrustDomain {
                entry: origin.entry(Part::Roots),
                found: found.to_owned(),
                wanted: wanted.clone(),
            });
        }
    }
    Ok(())
}

/// Whether the certificate `below` (DER) was signed by `above` (DER).
pub(super) fn is_signed_by(below: &[u8], above: &[u8]) -> bool {
    let (Ok((_, below)), Ok((_, above))) = (
        X509Certificate::from_der(below),
        X509Certificate::from_der(above),
    ) else {
        return false;
    };
    below.issuer().as_raw() == above.subject().as_raw()
        && below.verify_signature(Some(above.public_key())).is_ok()
}

pub(super) fn is_for_key(certificate: &X509Certificate<'_>, public_key: &[u8]) -> bool {
    certificate.public_key().subject_public_key.data.as_ref() == public_key
}

pub(super) fn validity(certificate: &X509Certificate<'_>) -> Validity {
    let time = |time: ASN1Time| {
        SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or(0))
    };
    let validity = certificate.validity();
    Validity {
        not_before: time(validity.not_before),
        not_after: time(validity.not_after),
    }
}

/// Whether a certificate (DER) has expired; one that cannot be read has not.
pub(super) fn has_expired(der: &[u8], now: SystemTime) -> bool {
    X509Certificate::from_der(der)
        .is_ok_and(|(_, certificate)| validity(&certificate).not_after <= now)
}
