//! Who asks, and what proves it.

use std::time::SystemTime;

use mesh_api::{SpiffeId, WorkloadName};
use tonic::Request;

use super::{CallRefusal, CertificateAuthority};
use crate::admission::Lane;
use crate::bearer::BearerRefusal;
use crate::binding::WorkloadBinding;
use crate::peer::PeerCertificates;
use crate::tokens::{self, CheckedToken, TokenRefusal};

/// An authenticated caller.
pub(super) enum Caller {
    Token {
        token: CheckedToken,
        identity: SpiffeId,
    },
    Bearer {
        identity: SpiffeId,
        workload: Option<WorkloadName>,
    },
    Certificate {
        identity: SpiffeId,
        serial: String,
        binding: Option<WorkloadBinding>,
    },
}

/// What is known of who asks, should it be refused.
#[derive(Default)]
pub(super) struct Asking {
    /// As far as it was proved.
    pub(super) identity: Option<SpiffeId>,
    /// As [`CertificateAuthority::key`].
    pub(super) caller: Option<String>,
    /// What it asks to be, unproved.
    pub(super) requested: Option<String>,
}

// === impl CertificateAuthority ===

impl CertificateAuthority {
    /// What a caller asks as: the workload if that is known, not all that share its service
    /// account; and the same however often it renews.
    pub(super) fn key(&self, caller: &Caller) -> String {
        match caller {
            Caller::Token { token, .. } => token.claims().workload.to_string(),
            Caller::Bearer {
                workload: Some(workload),
                ..
            } => workload.to_string(),
            Caller::Bearer { identity, .. } => identity.to_string(),
            Caller::Certificate { serial, .. } => self.ledger.lineage(serial),
        }
    }

    /// Finds out who asks, and notes what is known of it.
    pub(super) async fn authenticate<T: Sync>(
        &self,
        request: &Request<T>,
        now: SystemTime,
        asking: &mut Asking,
    ) -> Result<Caller, CallRefusal> {
        let caller = match request.metadata().get("authorization") {
            Some(value) => {
                let token = value
                    .to_str()
                    .ok()
                    .and_then(bearer)
                    .ok_or(CallRefusal::NotBearer)?;
                self.bearer(token.trim(), now).await?
            }
            None => self.certificate(request, now, asking)?,
        };
        asking.identity = Some(caller.identity().clone());
        asking.caller = Some(self.key(&caller));
        Ok(caller)
    }

    fn certificate<T>(
        &self,
        request: &Request<T>,
        now: SystemTime,
        asking: &mut Asking,
    ) -> Result<Caller, CallRefusal> {
        let peer = request
            .extensions()
            .get::<PeerCertificates>()
            .filter(|peer| !peer.is_empty());
        let peer = peer.ok_or(CallRefusal::NoCredentials)?;
        let (identity, not_after) = peer.identity()?;
        let serial = peer.serial()?;
        // The handshake has proved it, whatever has become of the certificate since.
        asking.identity = Some(identity.clone());
        asking.caller = Some(self.ledger.lineage(&serial));
        // The connection may be older than its certificate's end.
        if not_after <= now {
            return Err(CallRefusal::CertificateExpired);
        }
        if self.authority.is_revoked(&serial) {
            return Err(CallRefusal::CertificateRevoked);
        }
        Ok(Caller::Certificate {
            binding: peer.binding()?,
            identity,
            serial,
        })
    }

    async fn bearer(&self, token: &str, now: SystemTime) -> Result<Caller, CallRefusal> {
        let ours = token.split('.').next() == Some(tokens::PREFIX);
        if !ours {
            for authenticator in &self.authenticators {
                if let Some(caller) = authenticator.authenticate(token).await? {
                    let (namespace, account) = (&caller.namespace, &caller.service_account);
                    let identity = SpiffeId::new(self.authority.trust_domain(), namespace, account)
                        .map_err(|error| BearerRefusal::Identity(error.to_string()))?;
                    return Ok(Caller::Bearer {
                        identity,
                        workload: caller.workload,
                    });
                }
            }
        }
        let token = self.tokens.check(token, now)?;
        let claims = token.claims();
        let identity = SpiffeId::new(
            self.authority.trust_domain(),
            claims.workload.namespace(),
            &claims.service_account,
        )
        .map_err(|_| TokenRefusal::Malformed)?;
        Ok(Caller::Token { token, identity })
    }
}

/// The credentials of the scheme `Bearer`, whose name knows no case (RFC 9110, section 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

// === impl Caller ===

impl Caller {
    pub(super) fn identity(&self) -> &SpiffeId {
        match self {
            Self::Token { identity, .. }
            | Self::Bearer { identity, .. }
            | Self::Certificate { identity, .. } => identity,
        }
    }

    /// What is known of the workload, for the log.
    pub(super) fn workload(&self) -> Option<String> {
        match self {
            Self::Token { token, .. } => Some(token.claims().workload.to_string()),
            Self::Bearer { workload, .. } => workload.as_ref().map(ToString::to_string),
            Self::Certificate { .. } => None,
        }
    }

    /// What its certificate is to say of its workload: what its token says, or the certificate
    /// that it renews.
    pub(super) fn binding(&self) -> Option<WorkloadBinding> {
        match self {
            Self::Token { token, .. } => Some(token.claims().binding()),
            Self::Bearer { workload, .. } => workload.clone().map(|workload| WorkloadBinding {
                workload,
                labels: [].into(),
            }),
            Self::Certificate { binding, .. } => binding.clone(),
        }
    }

    /// Who shows a certificate has one, and so time.
    pub(super) fn lane(&self) -> Lane {
        match self {
            Self::Token { .. } | Self::Bearer { .. } => Lane::First,
            Self::Certificate { .. } => Lane::Renewal,
        }
    }

    /// For the record.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Token { .. } => "token",
            Self::Bearer { .. } => "bearer",
            Self::Certificate { .. } => "certificate",
        }
    }

    /// The certificate that it asks with.
    pub(super) fn previous(&self) -> Option<String> {
        match self {
            Self::Certificate { serial, .. } => Some(serial.clone()),
            Self::Token { .. } | Self::Bearer { .. } => None,
        }
    }
}
