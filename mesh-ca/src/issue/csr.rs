//! Certificate signing requests: the key is taken, every wish is ignored or refused.

use mesh_api::SpiffeId;
use rcgen::SubjectPublicKeyInfo;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::cri_attributes::ParsedCriAttribute;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;

use super::Refusal;

const LONGEST: usize = 16 * 1024;

/// The public key of a request that proved to hold the private one.
pub(crate) struct RequestedKey {
    pub(crate) info: SubjectPublicKeyInfo,
    /// RSA keys may encipher keys, others only sign (RFC 5280, section 4.2.1.3).
    pub(crate) rsa: bool,
}

// === impl RequestedKey ===

impl RequestedKey {
    /// Reads a PKCS#10 request, verifies its signature, and refuses it if it names a URI other
    /// than `identity`.
    pub(crate) fn from_csr(der: &[u8], identity: &SpiffeId) -> Result<Self, Refusal> {
        if der.len() > LONGEST {
            return Err(Refusal::Malformed("it is larger than 16 KiB"));
        }
        let Ok((rest, request)) = X509CertificationRequest::from_der(der) else {
            return Err(Refusal::Malformed("it is no PKCS#10 in DER"));
        };
        if !rest.is_empty() {
            return Err(Refusal::Malformed("bytes follow it"));
        }
        let info = &request.certification_request_info;
        let rsa = match info.subject_pki.parsed() {
            Ok(PublicKey::EC(point)) if matches!(point.key_size(), 256 | 384) => false,
            Ok(PublicKey::RSA(key)) if (2048..=8192).contains(&key.key_size()) => true,
            Ok(PublicKey::Unknown(key)) if key.len() == 32 => false,
            Ok(_) => return Err(Refusal::Key),
            Err(_) => return Err(Refusal::Malformed("its public key cannot be read")),
        };
        request.verify_signature().map_err(|_| Refusal::Signature)?;
        refuse_foreign_names(&request, identity)?;
        let info =
            SubjectPublicKeyInfo::from_der(info.subject_pki.raw).map_err(|_| Refusal::Key)?;
        Ok(Self { info, rsa })
    }
}

/// The SubjectPublicKeyInfo that a request carries, DER. Verifies nothing.
pub(crate) fn requested_key(der: &[u8]) -> Result<Vec<u8>, Refusal> {
    let (_, request) = X509CertificationRequest::from_der(der)
        .map_err(|_| Refusal::Malformed("it is no PKCS#10 in DER"))?;
    Ok(request.certification_request_info.subject_pki.raw.to_vec())
}

/// The first URI that a request names, which nothing vouches for: for the record of refusals.
pub(crate) fn requested_identity(der: &[u8]) -> Option<String> {
    let der = (der.len() <= LONGEST).then_some(der)?;
    let (_, request) = X509CertificationRequest::from_der(der).ok()?;
    let mut names = request
        .requested_extensions()?
        .filter_map(|extension| match extension {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        })
        .flatten();
    names.find_map(|name| match name {
        GeneralName::URI(uri) => Some(uri.chars().take(256).collect()),
        _ => None,
    })
}

fn refuse_foreign_names(
    request: &X509CertificationRequest<'_>,
    identity: &SpiffeId,
) -> Result<(), Refusal> {
    for attribute in request.certification_request_info.iter_attributes() {
        let ParsedCriAttribute::ExtensionRequest(wishes) = attribute.parsed_attribute() else {
            continue;
        };
        for extension in &wishes.extensions {
            match extension.parsed_extension() {
                ParsedExtension::SubjectAlternativeName(names) => {
                    for name in &names.general_names {
                        match name {
                            GeneralName::URI(uri) if *uri != identity.as_str() => {
                                return Err(Refusal::ForeignName {
                                    asked: uri.chars().take(256).collect(),
                                    identity: identity.clone(),
                                });
                            }
                            GeneralName::Invalid(..) => {
                                return Err(Refusal::Malformed("one of its names cannot be read"));
                            }
                            _ => {}
                        }
                    }
                }
                ParsedExtension::ParseError { .. } => {
                    return Err(Refusal::Malformed("one of its extensions cannot be read"));
                }
                _ => {}
            }
        }
    }
    Ok(())
}
