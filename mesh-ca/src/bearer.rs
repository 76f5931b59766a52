//! Callers that prove themselves by a token of another issuer.

use std::fmt;

use mesh_api::WorkloadName;

use crate::counters::RefusalReason;

/// Who a bearer is, besides its trust domain, which is the authority's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthenticatedCaller {
    /// The namespace of its service account.
    pub namespace: String,
    /// Its service account.
    pub service_account: String,
    /// The workload that the token is bound to, such as a pod. Its certificate is bound to it, too.
    pub workload: Option<WorkloadName>,
}

/// Why a token of another issuer is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BearerRefusal {
    /// It is too late.
    #[error("the token expired {ago_seconds} s ago: read it again, its file is replaced in time")]
    Expired {
        /// How long ago.
        ago_seconds: u64,
    },
    /// It is for others.
    #[error(
        "the token is for the audience {found}, not for {wanted}: give the projected token that has it"
    )]
    Audience {
        /// Whom it is for.
        found: String,
        /// Whom it should be for.
        wanted: String,
    },
    /// Its issuer does not stand by it.
    #[error("the token is not valid: {0}")]
    Unauthenticated(String),
    /// It is good, but not of a workload.
    #[error("the token is of `{0}`, which is no service account")]
    Identity(String),
    /// It cannot be checked now.
    #[error("the token cannot be checked now: {0}")]
    Unavailable(String),
}

/// Knows the tokens of another issuer.
#[tonic::async_trait]
pub trait BearerAuthenticator: fmt::Debug + Send + Sync {
    /// Who the bearer is; `None` if the token is of another kind.
    ///
    /// # Errors
    /// A [`BearerRefusal`].
    async fn authenticate(&self, token: &str)
    -> Result<Option<AuthenticatedCaller>, BearerRefusal>;
}

// === impl BearerRefusal ===

impl BearerRefusal {
    /// The reason in the closed list.
    pub fn reason(&self) -> RefusalReason {
        match self {
            Self::Expired { .. } => RefusalReason::TokenExpired,
            Self::Audience { .. } => RefusalReason::TokenAudience,
            Self::Unauthenticated(_) => RefusalReason::TokenInvalid,
            Self::Identity(_) => RefusalReason::TokenIdentity,
            Self::Unavailable(_) => RefusalReason::IssuerUnavailable,
        }
    }
}
