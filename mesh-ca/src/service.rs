//! `mesh.v1.CertificateService`.

use std::sync::Arc;
use std::time::SystemTime;

use mesh_api::SpiffeId;
use mesh_api::v1;
use mesh_api::v1::certificate_service_server::{CertificateService, CertificateServiceServer};
use tonic::{Code, Request, Response, Status};

use crate::authority::Authority;
use crate::clock;
use crate::counters::{IssueCounters, RefusalReason};
use crate::issue::{self, Issue, Refusal};
use crate::peer::{PeerCertificates, PeerIdentityError};
use crate::renewal::ServerName;
use crate::tokens::{CheckedToken, JoinTokens, TokenRefusal};

/// The service. A refusal carries its [`RefusalReason`] in the metadata `mesh-refusal`.
///
/// A caller that sends `authorization: Bearer <join token>` is what the token says; any other
/// caller is what its certificate says, which the TLS layer has verified.
#[derive(Debug, Clone)]
pub struct CertificateAuthority {
    authority: Arc<Authority>,
    tokens: Arc<JoinTokens>,
    counters: Arc<IssueCounters>,
    servers: Arc<[ServerName]>,
}

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
enum CallRefusal {
    #[error("give a join token (metadata `authorization: Bearer <token>`) or a client certificate")]
    NoCredentials,
    #[error("the metadata `authorization` is not `Bearer <join token>`")]
    NotBearer,
    #[error(transparent)]
    Token(#[from] TokenRefusal),
    #[error(transparent)]
    Peer(#[from] PeerIdentityError),
    #[error(
        "the certificate of this connection has expired: connect again with a new one, or join by a token"
    )]
    CertificateExpired,
    #[error(transparent)]
    Issue(#[from] Refusal),
}

enum Caller {
    Token {
        token: CheckedToken,
        identity: SpiffeId,
    },
    Certificate(SpiffeId),
}

// === impl CertificateAuthority ===

impl CertificateAuthority {
    /// Puts the parts together.
    pub fn new(authority: Arc<Authority>, tokens: Arc<JoinTokens>) -> Self {
        Self {
            authority,
            tokens,
            counters: Arc::default(),
            servers: Arc::default(),
        }
    }

    /// Gives DNS names to callers of certain identities: servers of the control plane that run
    /// elsewhere and are called by name.
    #[must_use]
    pub fn with_servers(mut self, servers: Vec<ServerName>) -> Self {
        self.servers = servers.into();
        self
    }

    fn dns_names(&self, identity: &SpiffeId) -> Vec<String> {
        let server = self
            .servers
            .iter()
            .find(|server| server.identity == *identity);
        server
            .map(|server| server.dns_names.clone())
            .unwrap_or_default()
    }

    /// What it did so far.
    pub fn counters(&self) -> Arc<IssueCounters> {
        Arc::clone(&self.counters)
    }

    /// As a gRPC service.
    pub fn into_server(self) -> CertificateServiceServer<Self> {
        CertificateServiceServer::new(self).max_decoding_message_size(64 * 1024)
    }

    async fn serve(
        &self,
        request: Request<v1::SignRequest>,
    ) -> Result<v1::SignResponse, CallRefusal> {
        let now = clock::now();
        let caller = self.authenticate(&request, now)?;
        let wish = request.into_inner();
        let issue = Issue {
            identity: caller.identity().clone(),
            csr_der: wish.csr_der,
            ttl: (wish.ttl_seconds > 0).then(|| std::time::Duration::from_secs(wish.ttl_seconds)),
            dns_names: self.dns_names(caller.identity()),
        };
        // First sign, then spend the token: a bad request must not cost it, and a certificate
        // that nobody gets does no harm.
        let issued = self.authority.issue(&issue, now)?;
        if let Caller::Token { token, .. } = caller {
            let tokens = Arc::clone(&self.tokens);
            let holder = issue::requested_key(&issue.csr_der)?;
            // It waits for the disk.
            tokio::task::spawn_blocking(move || tokens.redeem(&token, &holder))
                .await
                .map_err(|_| Refusal::Internal)??;
        }
        tracing::info!(identity = %issue.identity, serial = %issued.serial, "issued a certificate");
        Ok(v1::SignResponse {
            chain_der: issued.chain_der,
            roots_der: self.authority.roots_der().to_vec(),
            identity: issue.identity.to_string(),
            not_before: clock::unix_seconds(issued.not_before),
            not_after: clock::unix_seconds(issued.not_after),
        })
    }

    fn authenticate<T>(
        &self,
        request: &Request<T>,
        now: SystemTime,
    ) -> Result<Caller, CallRefusal> {
        if let Some(value) = request.metadata().get("authorization") {
            let token = value
                .to_str()
                .ok()
                .and_then(bearer)
                .ok_or(CallRefusal::NotBearer)?;
            let token = self.tokens.check(token, now)?;
            let claims = token.claims();
            let identity = SpiffeId::new(
                self.authority.trust_domain(),
                claims.workload.namespace(),
                &claims.service_account,
            )
            .map_err(|_| TokenRefusal::Malformed)?;
            return Ok(Caller::Token { token, identity });
        }
        let peer = request
            .extensions()
            .get::<PeerCertificates>()
            .filter(|peer| !peer.is_empty());
        let (identity, not_after) = peer.ok_or(CallRefusal::NoCredentials)?.identity()?;
        // The connection may be older than its certificate's end.
        if not_after <= now {
            return Err(CallRefusal::CertificateExpired);
        }
        Ok(Caller::Certificate(identity))
    }
}

/// The credentials of the scheme `Bearer`, whose name knows no case (RFC 9110, section 11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, token) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token)
}

#[tonic::async_trait]
impl CertificateService for CertificateAuthority {
    async fn sign(
        &self,
        request: Request<v1::SignRequest>,
    ) -> Result<Response<v1::SignResponse>, Status> {
        match self.serve(request).await {
            Ok(response) => {
                self.counters.count_issued();
                Ok(Response::new(response))
            }
            Err(refusal) => {
                self.counters.count_refused(refusal.reason());
                tracing::warn!(
                    reason = refusal.reason().as_str(),
                    "refused a certificate: {refusal}"
                );
                Err(refusal.into())
            }
        }
    }

    async fn trust_bundle(
        &self,
        _: Request<v1::TrustBundleRequest>,
    ) -> Result<Response<v1::TrustBundleResponse>, Status> {
        Ok(Response::new(v1::TrustBundleResponse {
            roots_der: self.authority.roots_der().to_vec(),
            trust_domain: self.authority.trust_domain().to_string(),
        }))
    }
}

// === impl Caller ===

impl Caller {
    fn identity(&self) -> &SpiffeId {
        match self {
            Self::Token { identity, .. } | Self::Certificate(identity) => identity,
        }
    }
}

// === impl CallRefusal ===

impl CallRefusal {
    fn reason(&self) -> RefusalReason {
        match self {
            Self::NoCredentials => RefusalReason::NoCredentials,
            Self::NotBearer => RefusalReason::TokenMalformed,
            Self::Token(refusal) => refusal.reason(),
            Self::Peer(_) => RefusalReason::CertificateIdentity,
            Self::CertificateExpired => RefusalReason::CertificateExpired,
            Self::Issue(refusal) => refusal.reason(),
        }
    }
}

impl From<CallRefusal> for Status {
    fn from(refusal: CallRefusal) -> Self {
        let reason = refusal.reason();
        let code = match reason {
            RefusalReason::RequestMalformed
            | RefusalReason::RequestSignature
            | RefusalReason::RequestKey
            | RefusalReason::DnsName => Code::InvalidArgument,
            RefusalReason::NoCredentials
            | RefusalReason::TokenMalformed
            | RefusalReason::TokenForeign
            | RefusalReason::TokenExpired
            | RefusalReason::CertificateExpired => Code::Unauthenticated,
            RefusalReason::RequestName
            | RefusalReason::TrustDomain
            | RefusalReason::TokenReplayed
            | RefusalReason::CertificateIdentity => Code::PermissionDenied,
            RefusalReason::AuthorityExpired => Code::Unavailable,
            RefusalReason::Internal => Code::Internal,
        };
        // Paths of the server are nobody's business.
        let message = match reason {
            RefusalReason::Internal => "the authority failed; its log says why".to_owned(),
            _ => refusal.to_string(),
        };
        let mut status = Status::new(code, message);
        if let Ok(value) = reason.as_str().parse() {
            status.metadata_mut().insert("mesh-refusal", value);
        }
        status
    }
}
