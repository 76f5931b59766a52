//! What the authority did, for metrics.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why a certificate was refused: a closed list, for metrics and for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum RefusalReason {
    /// The signing request is no PKCS#10 or too large.
    RequestMalformed,
    /// The request is not signed by the key that it names.
    RequestSignature,
    /// The authority does not certify this kind of key.
    RequestKey,
    /// The request names an identity that is not the caller's.
    RequestName,
    /// A DNS name is none.
    DnsName,
    /// A JWT-SVID is asked for for nobody, or for too many.
    Audience,
    /// The identity is of another trust domain.
    TrustDomain,
    /// The authority's own certificate has expired.
    AuthorityExpired,
    /// The caller gave neither a token nor a certificate.
    NoCredentials,
    /// The token is damaged.
    TokenMalformed,
    /// The token is of another authority.
    TokenForeign,
    /// The token has expired.
    TokenExpired,
    /// The token was used before.
    TokenReplayed,
    /// The token is for single use, and this authority shares no memory of used ones.
    TokenSharedSingleUse,
    /// The token is for another audience.
    TokenAudience,
    /// The issuer of the token does not stand by it.
    TokenInvalid,
    /// The token is not of a workload.
    TokenIdentity,
    /// The issuer of the token cannot be asked.
    IssuerUnavailable,
    /// The certificate of the connection has expired meanwhile.
    CertificateExpired,
    /// The certificate of the connection names no identity of this mesh.
    CertificateIdentity,
    /// The caller asks too often.
    TooOften,
    /// Too many ask at once.
    Overloaded,
    /// The certificate of the connection was revoked.
    CertificateRevoked,
    /// Others may have retired the authority's keys.
    KeysUnconfirmed,
    /// The authority failed: signing or its storage.
    Internal,
}

/// Counters of one authority since its start.
#[derive(Debug, Default)]
pub struct IssueCounters {
    issued: AtomicU64,
    refused: [AtomicU64; RefusalReason::ALL.len()],
}

// === impl RefusalReason ===

impl RefusalReason {
    /// All reasons, in the order of their declaration.
    pub const ALL: [Self; 25] = [
        Self::RequestMalformed,
        Self::RequestSignature,
        Self::RequestKey,
        Self::RequestName,
        Self::DnsName,
        Self::Audience,
        Self::TrustDomain,
        Self::AuthorityExpired,
        Self::NoCredentials,
        Self::TokenMalformed,
        Self::TokenForeign,
        Self::TokenExpired,
        Self::TokenReplayed,
        Self::TokenSharedSingleUse,
        Self::TokenAudience,
        Self::TokenInvalid,
        Self::TokenIdentity,
        Self::IssuerUnavailable,
        Self::CertificateExpired,
        Self::CertificateIdentity,
        Self::TooOften,
        Self::Overloaded,
        Self::CertificateRevoked,
        Self::KeysUnconfirmed,
        Self::Internal,
    ];

    /// The name in snake case, for labels and for the metadata `mesh-refusal` of a gRPC status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequestMalformed => "request_malformed",
            Self::RequestSignature => "request_signature",
            Self::RequestKey => "request_key",
            Self::RequestName => "request_name",
            Self::DnsName => "dns_name",
            Self::Audience => "audience",
            Self::TrustDomain => "trust_domain",
            Self::AuthorityExpired => "authority_expired",
            Self::NoCredentials => "no_credentials",
            Self::TokenMalformed => "token_malformed",
            Self::TokenForeign => "token_foreign",
            Self::TokenExpired => "token_expired",
            Self::TokenReplayed => "token_replayed",
            Self::TokenSharedSingleUse => "token_single_use",
            Self::TokenAudience => "token_audience",
            Self::TokenInvalid => "token_invalid",
            Self::TokenIdentity => "token_identity",
            Self::IssuerUnavailable => "issuer_unavailable",
            Self::CertificateExpired => "certificate_expired",
            Self::CertificateIdentity => "certificate_identity",
            Self::TooOften => "too_often",
            Self::Overloaded => "overloaded",
            Self::CertificateRevoked => "certificate_revoked",
            Self::KeysUnconfirmed => "keys_unconfirmed",
            Self::Internal => "internal",
        }
    }
}

// === impl IssueCounters ===

impl IssueCounters {
    /// Certificates that were issued.
    pub fn issued(&self) -> u64 {
        self.issued.load(Ordering::Relaxed)
    }

    /// Requests that were refused, by reason; every reason is there.
    pub fn refused(&self) -> impl Iterator<Item = (RefusalReason, u64)> + '_ {
        RefusalReason::ALL.into_iter().zip(
            self.refused
                .iter()
                .map(|count| count.load(Ordering::Relaxed)),
        )
    }

    /// Counts a certificate.
    pub fn count_issued(&self) {
        self.issued.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a refusal.
    pub fn count_refused(&self, reason: RefusalReason) {
        if let Some(count) = self.refused.get(reason as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_has_its_own_counter_and_name() {
        let counters = IssueCounters::default();
        for (n, reason) in RefusalReason::ALL.into_iter().enumerate() {
            assert_eq!(n, reason as usize);
            (0..=n).for_each(|_| counters.count_refused(reason));
        }
        assert!(
            counters
                .refused()
                .enumerate()
                .all(|(n, (_, count))| count == n as u64 + 1)
        );
        let names: std::collections::BTreeSet<_> =
            RefusalReason::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(names.len(), RefusalReason::ALL.len());
    }
}
