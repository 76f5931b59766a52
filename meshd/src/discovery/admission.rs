//! Who may ask for whose configuration.

use std::time::SystemTime;

use mesh_api::v1::Node;
use mesh_api::{SpiffeId, WorkloadName};
use mesh_ca::{PeerCertificates, PeerIdentityError};
use meshd_core::{Scope, ScopeError, World};
use tonic::{Code, Status};

use crate::clock;

/// An authenticated caller.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub(super) identity: SpiffeId,
    pub(super) not_after: SystemTime,
}

/// Why a caller gets nothing. The reason stands in the metadata `mesh-refusal`, too.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error(transparent)]
    Certificate(#[from] PeerIdentityError),
    #[error("the certificate of this connection has expired: connect again with the current one")]
    CertificateExpired,
    #[error("the first request must carry `node`")]
    NoNode,
    #[error("{0} may not register itself here: its workloads are declared (--no-registration)")]
    Registration(WorkloadName),
    #[error(transparent)]
    Scope(#[from] ScopeError),
}

// === impl Peer ===

impl Peer {
    /// The identity in the certificate of a connection.
    pub(super) fn new(certificates: &PeerCertificates) -> Result<Self, Refusal> {
        let (identity, not_after) = certificates.identity()?;
        if not_after <= clock::now() {
            return Err(Refusal::CertificateExpired);
        }
        Ok(Self {
            identity,
            not_after,
        })
    }

    /// What the caller may see, if the node that it names is its own.
    pub(super) fn admit(&self, world: &World, node: &Node) -> Result<Scope, Refusal> {
        Ok(world.scope(node, &self.identity)?)
    }
}

// === impl Refusal ===

impl Refusal {
    /// The name in snake case.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Certificate(PeerIdentityError::NoCertificate) => "no_certificate",
            Self::Certificate(_) => "certificate_identity",
            Self::CertificateExpired => "certificate_expired",
            Self::NoNode => "no_node",
            Self::Registration(_) => "registration_refused",
            Self::Scope(ScopeError::Workload(_)) => "workload_name",
            Self::Scope(ScopeError::Kind(_)) => "proxy_kind",
            Self::Scope(ScopeError::Address(_)) => "address",
            Self::Scope(ScopeError::TrustDomain(_)) => "trust_domain",
            Self::Scope(ScopeError::Namespace { .. }) => "namespace_mismatch",
            Self::Scope(ScopeError::ServiceAccount { .. }) => "service_account_mismatch",
            Self::Scope(ScopeError::OtherKind { .. }) => "proxy_kind_mismatch",
            Self::Scope(ScopeError::Unknown(_)) => "workload_unknown",
        }
    }

    fn code(&self) -> Code {
        match self {
            Self::Certificate(PeerIdentityError::NoCertificate) | Self::CertificateExpired => {
                Code::Unauthenticated
            }
            Self::NoNode
            | Self::Scope(ScopeError::Workload(_) | ScopeError::Kind(_) | ScopeError::Address(_)) => {
                Code::InvalidArgument
            }
            Self::Certificate(_)
            | Self::Registration(_)
            | Self::Scope(
                ScopeError::TrustDomain(_)
                | ScopeError::Namespace { .. }
                | ScopeError::ServiceAccount { .. }
                | ScopeError::OtherKind { .. },
            ) => Code::PermissionDenied,
            // Its Pod is on the way: the proxy asks again.
            Self::Scope(ScopeError::Unknown(_)) => Code::Unavailable,
        }
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let status = Self::new(refusal.code(), refusal.to_string());
        named(status, refusal.reason())
    }
}

/// The status with its reason in the metadata `mesh-refusal`.
pub(super) fn named(mut status: Status, reason: &str) -> Status {
    if let Ok(reason) = reason.parse() {
        status.metadata_mut().insert("mesh-refusal", reason);
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_that_is_not_known_yet_is_to_ask_again() {
        let workload: mesh_api::WorkloadName = "default/late".parse().unwrap();
        let status = Status::from(Refusal::Scope(ScopeError::Unknown(workload.clone())));
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(
            status.metadata().get("mesh-refusal").unwrap(),
            "workload_unknown"
        );
        let other = Status::from(Refusal::Scope(ScopeError::OtherKind {
            workload,
            declared: "sidecar",
            claimed: "gateway",
        }));
        assert_eq!(other.code(), Code::PermissionDenied);
    }
}
