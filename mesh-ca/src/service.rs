//! `mesh.v1.CertificateService`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_api::SpiffeId;
use mesh_api::istio_auth::istio_certificate_service_server::IstioCertificateServiceServer;
use mesh_api::v1;
use mesh_api::v1::certificate_service_server::{CertificateService, CertificateServiceServer};
use tonic::{Code, Request, Response, Status};

use crate::admission::{Admission, AdmissionOptions, Later};
use crate::authority::Authority;
use crate::bearer::{BearerAuthenticator, BearerRefusal};
use crate::clock;
use crate::counters::{IssueCounters, RefusalReason};
use crate::issue::{self, Issue, Issued, Refusal};
use crate::istio::IstioCertificates;
use crate::ledger::{IssuedLeaf, Ledger, RefusedCall};
use crate::peer::{PeerCertificates, PeerIdentityError};
use crate::renewal::ServerName;
use crate::storage::FileError;
use crate::tokens::{JoinTokens, TokenRefusal};

mod caller;
mod jwt;

use caller::{Asking, Caller};

/// The service. A refusal carries its [`RefusalReason`] in the metadata `mesh-refusal`, and if the
/// caller is to come again, after how many seconds in `retry-after`.
///
/// A caller that sends `authorization: Bearer <token>` is what the token says: a join token of
/// ours, or one that a [`BearerAuthenticator`] knows. Any other caller is what its certificate
/// says, which the TLS layer has verified.
#[derive(Debug, Clone)]
pub struct CertificateAuthority {
    authority: Arc<Authority>,
    tokens: Arc<JoinTokens>,
    counters: Arc<IssueCounters>,
    servers: Arc<[ServerName]>,
    authenticators: Vec<Arc<dyn BearerAuthenticator>>,
    ledger: Arc<Ledger>,
    admission: Arc<Admission>,
}

/// A certificate, whose it is, and the roots to trust.
pub(crate) struct Certified {
    pub(crate) identity: SpiffeId,
    pub(crate) issued: Issued,
    pub(crate) roots_der: Arc<Vec<Vec<u8>>>,
}

/// Why a call is refused.
#[derive(Debug, thiserror::Error)]
enum CallRefusal {
    #[error("give a token (metadata `authorization: Bearer <token>`) or a client certificate")]
    NoCredentials,
    #[error("a JWT-SVID is for who shows a client certificate")]
    NoCertificate,
    #[error("the metadata `authorization` is not `Bearer <token>`")]
    NotBearer,
    #[error(transparent)]
    Token(#[from] TokenRefusal),
    #[error(transparent)]
    Bearer(#[from] BearerRefusal),
    #[error(transparent)]
    Peer(#[from] PeerIdentityError),
    #[error(
        "the certificate of this connection has expired: connect again with a new one, or join by a token"
    )]
    CertificateExpired,
    #[error("the certificate of this connection was revoked: join by a token")]
    CertificateRevoked,
    #[error(transparent)]
    Later(#[from] Later),
    #[error(transparent)]
    Ledger(#[from] FileError),
    #[error(transparent)]
    Issue(#[from] Refusal),
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
            authenticators: Vec::new(),
            ledger: Arc::new(Ledger::in_memory()),
            admission: Arc::new(Admission::new(&AdmissionOptions::default())),
        }
    }

    /// Writes down what it issues and refuses.
    #[must_use]
    pub fn with_ledger(mut self, ledger: Arc<Ledger>) -> Self {
        self.ledger = ledger;
        self
    }

    /// Limits callers otherwise than by default.
    #[must_use]
    pub fn with_admission(mut self, options: &AdmissionOptions) -> Self {
        self.admission = Arc::new(Admission::new(options));
        self
    }

    /// Takes the tokens of another issuer, too. Those that were given before are asked first.
    #[must_use]
    pub fn with_authenticator(mut self, authenticator: Arc<dyn BearerAuthenticator>) -> Self {
        self.authenticators.push(authenticator);
        self
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

    /// The same as Istio's agents speak it.
    pub fn into_istio_server(self) -> IstioCertificateServiceServer<IstioCertificates> {
        IstioCertificateServiceServer::new(IstioCertificates(self))
            .max_decoding_message_size(64 * 1024)
    }

    /// Certifies the caller of a request, and counts and tells what became of it.
    pub(crate) async fn certify<T: Sync>(
        &self,
        request: &Request<T>,
        csr_der: &[u8],
        ttl: Option<Duration>,
    ) -> Result<Certified, Status> {
        let mut asking = Asking::default();
        match self.serve(request, csr_der, ttl, &mut asking).await {
            Ok(certified) => {
                self.counters.count_issued();
                Ok(certified)
            }
            Err(refusal) => {
                asking.requested = issue::requested_identity(csr_der);
                Err(self.refuse(request, "certificate", refusal, asking))
            }
        }
    }

    /// Counts a refusal, and tells and writes it down.
    fn refuse<T>(
        &self,
        request: &Request<T>,
        what: &str,
        refusal: CallRefusal,
        asking: Asking,
    ) -> Status {
        let reason = refusal.reason();
        self.counters.count_refused(reason);
        tracing::warn!(reason = reason.as_str(), "refused a {what}: {refusal}");
        let peer = request.extensions().get::<PeerCertificates>();
        let call = RefusedCall {
            reason: reason.as_str().to_owned(),
            detail: refusal.to_string().chars().take(512).collect(),
            identity: asking.identity.map(|identity| identity.to_string()),
            caller: asking.caller,
            peer: peer.and_then(|peer| Some(peer.address()?.to_string())),
            requested: asking.requested,
        };
        self.ledger.refused(call, clock::now());
        refusal.into()
    }

    async fn serve<T: Sync>(
        &self,
        request: &Request<T>,
        csr_der: &[u8],
        ttl: Option<Duration>,
        asking: &mut Asking,
    ) -> Result<Certified, CallRefusal> {
        let now = clock::now();
        let caller = self.authenticate(request, now, asking).await?;
        let turn = self
            .admission
            .enter(self.key(&caller), caller.lane())
            .await?;
        let issue = Issue {
            identity: caller.identity().clone(),
            csr_der: csr_der.to_vec(),
            ttl,
            dns_names: self.dns_names(caller.identity()),
            binding: caller.binding(),
        };
        if let Caller::Token { token, .. } = &caller
            && token.claims().single_use
        {
            // First sign, then spend the token: a bad request must not cost it. What is signed here
            // nobody gets, and so it is not written down.
            self.authority.issue(&issue, now)?;
            let (tokens, token) = (Arc::clone(&self.tokens), token.clone());
            let holder = issue::requested_key(&issue.csr_der)?;
            // It waits for the disk.
            tokio::task::spawn_blocking(move || tokens.redeem(&token, &holder))
                .await
                .map_err(|_| Refusal::Internal)??;
        }
        let issued = self.sign(&issue, &caller, now)?;
        drop(turn);
        let workload = caller.workload();
        tracing::info!(identity = %issue.identity, serial = %issued.serial, workload, "issued a certificate");
        Ok(Certified {
            identity: issue.identity,
            issued,
            roots_der: self.authority.roots_der(),
        })
    }

    /// Signs, and writes it down before anybody gets it.
    fn sign(&self, issue: &Issue, caller: &Caller, now: SystemTime) -> Result<Issued, CallRefusal> {
        let _signing = self.ledger.signing();
        let issued = self.authority.issue(issue, now)?;
        let leaf = IssuedLeaf {
            serial: issued.serial.clone(),
            identity: issue.identity.clone(),
            workload: caller.workload(),
            previous: caller.previous(),
            root: issued.root,
            not_after: clock::unix_seconds(issued.not_after),
        };
        self.ledger.issued(caller.kind(), leaf, now)?;
        Ok(issued)
    }
}

#[tonic::async_trait]
impl CertificateService for CertificateAuthority {
    async fn sign(
        &self,
        request: Request<v1::SignRequest>,
    ) -> Result<Response<v1::SignResponse>, Status> {
        let wish = request.get_ref();
        let ttl = (wish.ttl_seconds > 0).then(|| Duration::from_secs(wish.ttl_seconds));
        let certified = self.certify(&request, &wish.csr_der, ttl).await?;
        let Certified {
            identity, issued, ..
        } = certified;
        Ok(Response::new(v1::SignResponse {
            chain_der: issued.chain_der,
            roots_der: certified.roots_der.to_vec(),
            identity: identity.to_string(),
            not_before: clock::unix_seconds(issued.not_before),
            not_after: clock::unix_seconds(issued.not_after),
            jwks: self.authority.jwks(clock::now()),
        }))
    }

    async fn sign_jwt(
        &self,
        request: Request<v1::SignJwtRequest>,
    ) -> Result<Response<v1::SignJwtResponse>, Status> {
        self.token(&request).await.map(Response::new)
    }

    async fn trust_bundle(
        &self,
        _: Request<v1::TrustBundleRequest>,
    ) -> Result<Response<v1::TrustBundleResponse>, Status> {
        Ok(Response::new(v1::TrustBundleResponse {
            roots_der: self.authority.roots_der().to_vec(),
            trust_domain: self.authority.trust_domain().to_string(),
            jwks: self.authority.jwks(clock::now()),
        }))
    }
}

// === impl CallRefusal ===

impl CallRefusal {
    fn reason(&self) -> RefusalReason {
        match self {
            Self::NoCredentials | Self::NoCertificate => RefusalReason::NoCredentials,
            Self::NotBearer => RefusalReason::TokenMalformed,
            Self::Token(refusal) => refusal.reason(),
            Self::Bearer(refusal) => refusal.reason(),
            Self::Peer(_) => RefusalReason::CertificateIdentity,
            Self::CertificateExpired => RefusalReason::CertificateExpired,
            Self::CertificateRevoked => RefusalReason::CertificateRevoked,
            Self::Later(Later::TooOften { .. }) => RefusalReason::TooOften,
            Self::Later(Later::Overloaded { .. }) => RefusalReason::Overloaded,
            Self::Ledger(_) => RefusalReason::Internal,
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
            | RefusalReason::DnsName
            | RefusalReason::Audience => Code::InvalidArgument,
            RefusalReason::NoCredentials
            | RefusalReason::TokenMalformed
            | RefusalReason::TokenForeign
            | RefusalReason::TokenExpired
            | RefusalReason::TokenAudience
            | RefusalReason::TokenInvalid
            | RefusalReason::CertificateExpired
            | RefusalReason::CertificateRevoked => Code::Unauthenticated,
            RefusalReason::RequestName
            | RefusalReason::TrustDomain
            | RefusalReason::TokenReplayed
            | RefusalReason::TokenSharedSingleUse
            | RefusalReason::TokenIdentity
            | RefusalReason::CertificateIdentity => Code::PermissionDenied,
            RefusalReason::TooOften => Code::ResourceExhausted,
            // To try again is right.
            RefusalReason::Overloaded => Code::Unavailable,
            RefusalReason::AuthorityExpired
            | RefusalReason::IssuerUnavailable
            | RefusalReason::KeysUnconfirmed => Code::Unavailable,
            RefusalReason::Internal => Code::Internal,
        };
        // Paths of the server are nobody's business.
        let message = match reason {
            RefusalReason::Internal => "the authority failed; its log says why".to_owned(),
            _ => refusal.to_string(),
        };
        let mut status = Status::new(code, message);
        if let CallRefusal::Later(later) = &refusal {
            let seconds = later.retry_after().into();
            status.metadata_mut().insert("retry-after", seconds);
        }
        if let Ok(value) = reason.as_str().parse() {
            status.metadata_mut().insert("mesh-refusal", value);
        }
        status
    }
}
