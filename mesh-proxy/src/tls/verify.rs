//! Checks of certificates: the chain by rustls' own code, the names here, because rustls knows
//! no URI names.

use std::collections::HashMap;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

use super::leaf::{Leaf, LeafError};
use super::mesh::{Expect, Trust};

/// A certificate of the mesh that is not the expected one.
#[derive(Debug, thiserror::Error)]
pub(super) enum NameError {
    #[error(transparent)]
    Leaf(#[from] LeafError),
    #[error("the peer is {found}, expected is {expected}")]
    Other { found: String, expected: String },
    #[error("the peer is {found}, which is of another trust domain than {domains:?}")]
    Foreign { found: String, domains: Vec<String> },
    #[error("the peer's certificate was revoked")]
    Revoked,
    #[error("the server has none of the names {0:?}")]
    NoneOf(Vec<String>),
}

/// What the names of an originated connection's server must be.
#[derive(Debug, Clone)]
pub(super) enum Names {
    /// The name that was asked for.
    Asked,
    /// One of these, as DNS or URI names.
    Any(Vec<String>),
    /// Anything, and any chain.
    Unchecked,
}

/// Checks a mesh server: its chain and its identity.
#[derive(Debug)]
pub(super) struct MeshServerVerifier {
    trust: Arc<Trust>,
    expect: Expect,
    provider: Arc<CryptoProvider>,
}

/// Checks a mesh client: its chain, and that its identity is of a known trust domain.
#[derive(Debug)]
pub(super) struct MeshClientVerifier {
    trust: Arc<Trust>,
    chain: Arc<dyn ClientCertVerifier>,
    federated: HashMap<String, Arc<dyn ClientCertVerifier>>,
}

/// Checks a server outside of the mesh.
#[derive(Debug)]
pub(super) struct ForeignServerVerifier {
    pub(super) roots: Arc<RootCertStore>,
    pub(super) names: Names,
    pub(super) provider: Arc<CryptoProvider>,
    /// Checks the chain where lists of revoked certificates are to be heeded.
    pub(super) chain: Option<Arc<WebPkiServerVerifier>>,
}

fn refused(error: NameError) -> Error {
    if matches!(error, NameError::Leaf(LeafError::Encoding)) {
        return Error::InvalidCertificate(CertificateError::BadEncoding);
    }
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(error))))
}

impl Expect {
    fn check(&self, der: &[u8], trust: &Trust) -> Result<(), NameError> {
        let identity = Leaf::parse(der)?.identity()?;
        let other = |expected: String| NameError::Other {
            found: identity.to_string(),
            expected,
        };
        match self {
            Self::Identity(expected) if *expected == identity => Ok(()),
            Self::Identity(expected) => Err(other(expected.to_string())),
            Self::AnyOf(names) if names.iter().any(|name| name == identity.as_str()) => Ok(()),
            Self::AnyOf(names) => Err(other(names.join(" or "))),
            Self::Mesh => trust.check_domain(&identity),
        }
    }
}

impl Trust {
    // The own roots never vouch for a federated domain, nor its roots for the own.
    fn roots_for(&self, identity: &mesh_api::SpiffeId) -> &RootCertStore {
        let domain = identity.trust_domain();
        match self.federated.get(domain) {
            Some(roots) if !self.is_own(domain) => roots,
            _ => &self.roots,
        }
    }

    fn is_own(&self, domain: &str) -> bool {
        self.domains.iter().any(|own| own == domain)
    }

    fn check_revoked(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
    ) -> Result<(), NameError> {
        let chain = std::iter::once(end_entity).chain(intermediates);
        match self.revoked.holds(chain.map(AsRef::as_ref)) {
            true => Err(NameError::Revoked),
            false => Ok(()),
        }
    }

    fn check_domain(&self, identity: &mesh_api::SpiffeId) -> Result<(), NameError> {
        let domain = identity.trust_domain();
        if self.is_own(domain) || self.federated.contains_key(domain) {
            Ok(())
        } else {
            Err(NameError::Foreign {
                found: identity.to_string(),
                domains: self.domains.clone(),
            })
        }
    }
}

// === impl MeshServerVerifier ===

impl MeshServerVerifier {
    pub(super) fn new(trust: Arc<Trust>, expect: Expect, provider: Arc<CryptoProvider>) -> Self {
        Self {
            trust,
            expect,
            provider,
        }
    }
}

impl ServerCertVerifier for MeshServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let algorithms = self.provider.signature_verification_algorithms.all;
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let identity = Leaf::parse(end_entity).and_then(|leaf| leaf.identity());
        // One without an identity is refused below; what is wrong with its chain is said first.
        let roots = identity.map_or(&*self.trust.roots, |id| self.trust.roots_for(&id));
        verify_server_cert_signed_by_trust_anchor(&parsed, roots, intermediates, now, algorithms)?;
        self.expect
            .check(end_entity, &self.trust)
            .and_then(|()| self.trust.check_revoked(end_entity, intermediates))
            .map_err(refused)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

// === impl MeshClientVerifier ===

impl MeshClientVerifier {
    pub(super) fn new(
        trust: Arc<Trust>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, rustls::server::VerifierBuilderError> {
        // No hints: a client of the mesh has one certificate, and they would cost bytes.
        let verifier = |roots: &Arc<RootCertStore>| {
            WebPkiClientVerifier::builder_with_provider(Arc::clone(roots), Arc::clone(provider))
                .clear_root_hint_subjects()
                .build()
        };
        let chain = verifier(&trust.roots)?;
        let mut federated = HashMap::new();
        for (domain, roots) in &trust.federated {
            // Without a root nobody of that domain is taken.
            if !roots.is_empty() && !trust.is_own(domain) {
                federated.insert(domain.clone(), verifier(roots)?);
            }
        }
        Ok(Self {
            trust,
            chain,
            federated,
        })
    }
}

impl ClientCertVerifier for MeshClientVerifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let identity = Leaf::parse(end_entity).and_then(|leaf| leaf.identity());
        let federated = identity
            .as_ref()
            .ok()
            .and_then(|identity| self.federated.get(identity.trust_domain()));
        let verified =
            federated
                .unwrap_or(&self.chain)
                .verify_client_cert(end_entity, intermediates, now)?;
        identity
            .map_err(NameError::from)
            .and_then(|identity| self.trust.check_domain(&identity))
            .and_then(|()| self.trust.check_revoked(end_entity, intermediates))
            .map_err(refused)?;
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

// === impl ForeignServerVerifier ===

impl ForeignServerVerifier {
    fn check_names(
        &self,
        parsed: &ParsedCertificate<'_>,
        der: &[u8],
        asked: &ServerName<'_>,
    ) -> Result<(), Error> {
        let names = match &self.names {
            Names::Unchecked => return Ok(()),
            Names::Asked => return verify_server_name(parsed, asked),
            Names::Any(names) => names,
        };
        let uris = Leaf::parse(der)
            .map_err(|error| refused(error.into()))?
            .uris;
        let found = names.iter().any(|name| {
            uris.contains(name)
                || ServerName::try_from(name.as_str())
                    .is_ok_and(|name| verify_server_name(parsed, &name).is_ok())
        });
        if found {
            Ok(())
        } else {
            Err(refused(NameError::NoneOf(names.clone())))
        }
    }
}

impl ServerCertVerifier for ForeignServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if !matches!(self.names, Names::Unchecked) {
            let algorithms = self.provider.signature_verification_algorithms.all;
            let parsed = ParsedCertificate::try_from(end_entity)?;
            match &self.chain {
                None => verify_server_cert_signed_by_trust_anchor(
                    &parsed,
                    &self.roots,
                    intermediates,
                    now,
                    algorithms,
                )?,
                Some(chain) => {
                    let checked =
                        chain.verify_server_cert(end_entity, intermediates, server_name, &[], now);
                    // The name comes last, and which ones are right is decided below.
                    match checked {
                        Ok(_)
                        | Err(Error::InvalidCertificate(
                            CertificateError::NotValidForName
                            | CertificateError::NotValidForNameContext { .. },
                        )) => {}
                        Err(error) => return Err(error),
                    }
                }
            }
            self.check_names(&parsed, end_entity, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
