//! Certificates of a gateway's clients.

use std::fmt::Write as _;
use std::net::IpAddr;
use std::sync::Arc;

use mesh_proxy_core::ir::{ClientAuth, TlsTermination};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, UnixTime};
use x509_parser::extensions::GeneralName;
use x509_parser::objects::{oid_registry, oid2abbrev};
use x509_parser::prelude::{FromDer, X509Certificate, X509Name};

use super::GatewayTlsError;

/// What a client's certificate says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The certificate itself, DER.
    pub der: Vec<u8>,
    /// Its subject (RFC 2253).
    pub subject: String,
    /// Its URI names.
    pub uris: Vec<String>,
    /// Its DNS names.
    pub dns: Vec<String>,
    /// Its e-mail addresses and IP addresses.
    pub others: Vec<String>,
    /// SHA-256 of its public key.
    pub spki_hash: [u8; 32],
}

/// A client certificate that is not one of those asked for.
#[derive(Debug, thiserror::Error)]
enum NotAccepted {
    #[error("the client certificate has none of the names {0:?}")]
    Names(Vec<String>),
    #[error("the client certificate is not one of those that are listed by their hash")]
    Hash,
}

/// Checks the chain, then what else the server asks for.
#[derive(Debug)]
struct Verifier {
    chain: Arc<dyn ClientCertVerifier>,
    names: Vec<String>,
    spki_hashes: Vec<[u8; 32]>,
    certificate_hashes: Vec<[u8; 32]>,
}

/// Checks clients as the server asks for it.
pub(super) fn verifier(
    termination: &TlsTermination,
    roots: RootCertStore,
    crls: Vec<CertificateRevocationListDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, GatewayTlsError> {
    if roots.is_empty() {
        return Err(GatewayTlsError::NoClientRoots);
    }
    let builder =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).with_crls(crls);
    let builder = if termination.client == ClientAuth::Optional {
        builder.allow_unauthenticated()
    } else {
        builder
    };
    Ok(Arc::new(Verifier {
        chain: builder.build()?,
        names: termination.subject_alt_names.clone(),
        spki_hashes: termination.spki_hashes.clone(),
        certificate_hashes: termination.certificate_hashes.clone(),
    }))
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut hash = [0; 32];
    hash.copy_from_slice(digest.as_ref());
    hash
}

// === impl ClientCertificate ===

impl ClientCertificate {
    /// Reads a certificate; `None` if it cannot be parsed.
    pub fn parse(der: &[u8]) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(der).ok()?;
        let names = certificate.subject_alternative_name().ok()?;
        let mut this = Self {
            der: der.to_vec(),
            subject: subject(certificate.subject()),
            uris: Vec::new(),
            dns: Vec::new(),
            others: Vec::new(),
            spki_hash: sha256(certificate.public_key().raw),
        };
        for name in names.iter().flat_map(|names| &names.value.general_names) {
            match name {
                GeneralName::URI(uri) => this.uris.push((*uri).to_owned()),
                GeneralName::DNSName(name) => this.dns.push((*name).to_owned()),
                GeneralName::RFC822Name(name) => this.others.push((*name).to_owned()),
                GeneralName::IPAddress(bytes) => this.others.extend(address(bytes)),
                _ => {}
            }
        }
        Some(this)
    }

    /// SHA-256 of the certificate.
    pub fn hash(&self) -> [u8; 32] {
        sha256(&self.der)
    }

    /// Whether it has one of the names, of whatever kind (Istio: `subjectAltNames`); none asks
    /// for nothing.
    pub fn has_one_of(&self, names: &[String]) -> bool {
        names.is_empty()
            || [&self.uris, &self.dns, &self.others]
                .into_iter()
                .flatten()
                .any(|own| names.contains(own))
    }
}

fn address(bytes: &[u8]) -> Option<String> {
    let address: IpAddr = match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok()?.into(),
        16 => <[u8; 16]>::try_from(bytes).ok()?.into(),
        _ => return None,
    };
    Some(address.to_string())
}

/// The name in the order and form of RFC 2253.
fn subject(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = Vec::new();
    for set in name.iter_rdn() {
        let mut text = String::new();
        for attribute in set.iter() {
            if !text.is_empty() {
                text.push('+');
            }
            match oid2abbrev(attribute.attr_type(), oid_registry()) {
                Ok(short) => text.push_str(short),
                Err(_) => text.push_str(&attribute.attr_type().to_id_string()),
            }
            text.push('=');
            escape(&mut text, attribute.as_str().unwrap_or_default());
        }
        parts.push(text);
    }
    parts.reverse();
    parts.join(",")
}

fn escape(text: &mut String, value: &str) {
    for (index, character) in value.char_indices() {
        let special = matches!(character, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
            || index == 0 && matches!(character, '#' | ' ');
        if special {
            text.push('\\');
        }
        if character.is_control() || !character.is_ascii() {
            let mut bytes = [0; 4];
            for byte in character.encode_utf8(&mut bytes).bytes() {
                // Writing to a string cannot fail.
                let _ = write!(text, "\\{byte:02X}");
            }
        } else {
            text.push(character);
        }
    }
}

// === impl Verifier ===

impl Verifier {
    fn check(&self, der: &[u8]) -> Result<(), Error> {
        if self.names.is_empty()
            && self.spki_hashes.is_empty()
            && self.certificate_hashes.is_empty()
        {
            return Ok(());
        }
        let certificate = ClientCertificate::parse(der)
            .ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))?;
        let refused =
            |why| Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(why))));
        if !certificate.has_one_of(&self.names) {
            return Err(refused(NotAccepted::Names(self.names.clone())));
        }
        // Envoy: a certificate that is in either list is accepted.
        let listed = self.spki_hashes.is_empty() && self.certificate_hashes.is_empty()
            || self.spki_hashes.contains(&certificate.spki_hash)
            || self.certificate_hashes.contains(&certificate.hash());
        if listed {
            Ok(())
        } else {
            Err(refused(NotAccepted::Hash))
        }
    }
}

impl ClientCertVerifier for Verifier {
    fn offer_client_auth(&self) -> bool {
        self.chain.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self
            .chain
            .verify_client_cert(end_entity, intermediates, now)?;
        self.check(end_entity)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}
