//! Issuing one certificate: pure, given the issuer, the time and a serial number.

mod csr;
mod profile;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

use mesh_api::SpiffeId;
use rcgen::{Issuer, SerialNumber};
use std::time::Duration;

use crate::binding::WorkloadBinding;
use crate::counters::RefusalReason;
use crate::fingerprint::Fingerprint;
use crate::secret_key::SecretKey;

pub(crate) use csr::{RequestedKey, requested_identity, requested_key};
pub(crate) use profile::{Lifetime, Validity, authority_profile, certificate_time};

/// What to certify.
#[derive(Debug, Clone)]
pub struct Issue {
    /// Whom: the identity of the authenticated caller. It becomes the one URI SAN.
    pub identity: SpiffeId,
    /// A PKCS#10 request, DER, at most 16 KiB. Only its public key is used.
    pub csr_der: Vec<u8>,
    /// The wished lifetime; `None` takes the authority's default. Capped by the authority.
    pub ttl: Option<Duration>,
    /// DNS SANs, for servers that are called by name.
    pub dns_names: Vec<String>,
    /// The workload of the authenticated caller and the labels that were granted to it, if that is
    /// known.
    pub binding: Option<WorkloadBinding>,
}

/// A certificate.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The leaf first, then the intermediates, each DER; without the root.
    pub chain_der: Vec<Vec<u8>>,
    /// When the leaf becomes valid: a little before it was issued, for clocks that are behind.
    pub not_before: SystemTime,
    /// When the leaf expires.
    pub not_after: SystemTime,
    /// Serial number, hexadecimal.
    pub serial: String,
    /// The root that vouches for it.
    pub root: Fingerprint,
}

/// Why no certificate was issued.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request cannot be read.
    #[error("the signing request is malformed: {0}")]
    Malformed(&'static str),
    /// The request is not signed by its own key (RFC 2986, section 4.2).
    #[error("the signature of the signing request does not verify")]
    Signature,
    /// The key is of a kind or size that is not certified.
    #[error(
        "the key is not certified: use ECDSA P-256 or P-384, Ed25519, or RSA of 2048 to 8192 bits"
    )]
    Key,
    /// The request asks for another identity.
    #[error("the request names `{asked}`, but the caller is {identity}")]
    ForeignName {
        /// What the request names.
        asked: String,
        /// What the caller is.
        identity: SpiffeId,
    },
    /// The identity is not of the authority's trust domain.
    #[error("{identity} is not of the trust domain `{trust_domain}`")]
    TrustDomain {
        /// Whose certificate was asked for.
        identity: SpiffeId,
        /// What the authority certifies.
        trust_domain: String,
    },
    /// A token is for nobody, or for too many.
    #[error(
        "a JWT-SVID is for 1 to {} parties, each named in 1 to {} octets",
        crate::jwt::MOST_AUDIENCES,
        crate::jwt::LONGEST_AUDIENCE
    )]
    Audience,
    /// A DNS SAN is no DNS name.
    #[error("`{0}` is no DNS name")]
    DnsName(String),
    /// The authority's own certificate is about to expire.
    #[error("the certificate of the authority has expired; restart it with its root key at hand")]
    AuthorityExpired,
    /// Others may have retired the keys.
    #[error(
        "this replica of the control plane could not reach the API server for {limit:?} and does not know whether its keys are still in force; it signs again when it knows"
    )]
    Unconfirmed {
        /// How long it signs without knowing.
        limit: Duration,
    },
    /// The cryptographic library failed.
    #[error("the authority cannot sign")]
    Internal,
}

/// What signs leaves.
pub(crate) struct Signer<'a> {
    pub(crate) issuer: &'a Issuer<'static, SecretKey>,
    pub(crate) validity: Validity,
    pub(crate) trust_domain: &'a str,
    pub(crate) lifetime: &'a Lifetime,
}

// === impl Signer ===

impl Signer<'_> {
    /// Checks the request and signs a leaf. Returns it with its validity.
    pub(crate) fn sign(
        &self,
        request: &Issue,
        now: SystemTime,
        serial: [u8; 16],
    ) -> Result<(Vec<u8>, Validity), Refusal> {
        if request.identity.trust_domain() != self.trust_domain {
            return Err(Refusal::TrustDomain {
                identity: request.identity.clone(),
                trust_domain: self.trust_domain.to_owned(),
            });
        }
        let key = RequestedKey::from_csr(&request.csr_der, &request.identity)?;
        let validity = self
            .lifetime
            .leaf(now, request.ttl, &self.validity)
            .ok_or(Refusal::AuthorityExpired)?;
        let mut params = profile::leaf_profile(&request.identity, &request.dns_names, &key)?;
        (params.not_before, params.not_after) = (
            certificate_time(validity.not_before),
            certificate_time(validity.not_after),
        );
        if let Some(binding) = &request.binding {
            let extension = binding.extension().map_err(|_| Refusal::Internal)?;
            params.custom_extensions = vec![extension];
        }
        params.serial_number = Some(SerialNumber::from_slice(&serial));
        let leaf = params
            .signed_by(&key.info, self.issuer)
            .map_err(|_| Refusal::Internal)?;
        Ok((leaf.der().to_vec(), validity))
    }
}

// === impl Refusal ===

impl Refusal {
    /// The reason in the closed list.
    pub fn reason(&self) -> RefusalReason {
        match self {
            Self::Malformed(_) => RefusalReason::RequestMalformed,
            Self::Signature => RefusalReason::RequestSignature,
            Self::Key => RefusalReason::RequestKey,
            Self::ForeignName { .. } => RefusalReason::RequestName,
            Self::TrustDomain { .. } => RefusalReason::TrustDomain,
            Self::DnsName(_) => RefusalReason::DnsName,
            Self::Audience => RefusalReason::Audience,
            Self::AuthorityExpired => RefusalReason::AuthorityExpired,
            Self::Unconfirmed { .. } => RefusalReason::KeysUnconfirmed,
            Self::Internal => RefusalReason::Internal,
        }
    }
}
