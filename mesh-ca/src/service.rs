//! `mesh.v1.CertificateService`.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use mesh_api::SpiffeId;
use mesh_api::istio_auth::istio_certificate_service_server::IstioCertificateServiceServer;
use mesh_api::v1;
use mesh_api::v1::certificate_service_server::{CertificateService, CertificateServiceServer};
use tonic::{Code, Request, Response, Status};

use crate::admission::{Admission, AdmissionOptions, Lane, Later};
use crate::authority::Authority;
use crate::bearer::{BearerAuthenticator, BearerRefusal};
use crate::clock;
use crate::counters::{IssueCounters, RefusalReason};
use crate::issue::{self, Issue, Issued, Refusal};
use crate::istio::IstioCertificates;
use crate::ledger::{IssuedLeaf, Ledger};
use crate::peer::{PeerCertificates, PeerIdentityError};
use crate::renewal::ServerName;
use crate::storage::FileError;
use crate::tokens::{self, CheckedToken, JoinTokens, TokenRefusal};

mod jwt;

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

enum Caller {
    Token {
        token: CheckedToken,
        identity: SpiffeId,
    },
    Bearer {
        identity: SpiffeId,
        workload: Option<String>,
    },
    Certificate {
        identity: SpiffeId,
        serial: String,
    },
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
        csr_der: Vec<u8>,
        ttl: Option<Duration>,
    ) -> Result<Certified, Status> {
        let mut asking = None;
        match self.serve(request, csr_der, ttl, &mut asking).await {
            Ok(certified) => {
                self.counters.count_issued();
                Ok(certified)
            }
            Err(refusal) => Err(self.refuse("certificate", refusal, asking.as_ref())),
        }
    }

    /// Counts a refusal, and tells and writes it down.
    fn refuse(&self, what: &str, refusal: CallRefusal, asking: Option<&SpiffeId>) -> Status {
        let reason = refusal.reason();
        self.counters.count_refused(reason);
        tracing::warn!(reason = reason.as_str(), "refused a {what}: {refusal}");
        let detail = refusal.to_string();
        self.ledger
            .refused(reason.as_str(), &detail, asking, clock::now());
        refusal.into()
    }

    async fn serve<T: Sync>(
        &self,
        request: &Request<T>,
        csr_der: Vec<u8>,
        ttl: Option<Duration>,
        asking: &mut Option<SpiffeId>,
    ) -> Result<Certified, CallRefusal> {
        let now = clock::now();
        let caller = self.authenticate(request, now).await?;
        *asking = Some(caller.identity().clone());
        let turn = self
            .admission
            .enter(self.key(&caller), caller.lane())
            .await?;
        let issue = Issue {
            identity: caller.identity().clone(),
            csr_der,
            ttl,
            dns_names: self.dns_names(caller.identity()),
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

    /// What a caller asks as: the workload if that is known, not all that share its service
    /// account; and the same however often it renews.
    fn key(&self, caller: &Caller) -> String {
        match caller {
            Caller::Token { token, .. } => token.claims().workload.to_string(),
            Caller::Bearer {
                workload: Some(workload),
                ..
            } => workload.clone(),
            Caller::Bearer { identity, .. } => identity.to_string(),
            Caller::Certificate { serial, .. } => self.ledger.lineage(serial),
        }
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

    async fn authenticate<T: Sync>(
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
            return self.bearer(token.trim(), now).await;
        }
        let peer = request
            .extensions()
            .get::<PeerCertificates>()
            .filter(|peer| !peer.is_empty());
        let peer = peer.ok_or(CallRefusal::NoCredentials)?;
        let (identity, not_after) = peer.identity()?;
        // The connection may be older than its certificate's end.
        if not_after <= now {
            return Err(CallRefusal::CertificateExpired);
        }
        let serial = peer.serial()?;
        if self.authority.is_revoked(&serial) {
            return Err(CallRefusal::CertificateRevoked);
        }
        Ok(Caller::Certificate { identity, serial })
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

#[tonic::async_trait]
impl CertificateService for CertificateAuthority {
    async fn sign(
        &self,
        request: Request<v1::SignRequest>,
    ) -> Result<Response<v1::SignResponse>, Status> {
        let wish = request.get_ref();
        let ttl = (wish.ttl_seconds > 0).then(|| Duration::from_secs(wish.ttl_seconds));
        let csr_der = wish.csr_der.clone();
        let certified = self.certify(&request, csr_der, ttl).await?;
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

// === impl Caller ===

impl Caller {
    fn identity(&self) -> &SpiffeId {
        match self {
            Self::Token { identity, .. }
            | Self::Bearer { identity, .. }
            | Self::Certificate { identity, .. } => identity,
        }
    }

    /// What is known of the workload, for the log.
    fn workload(&self) -> Option<String> {
        match self {
            Self::Token { token, .. } => Some(token.claims().workload.to_string()),
            Self::Bearer { workload, .. } => workload.clone(),
            Self::Certificate { .. } => None,
        }
    }

    /// Who shows a certificate has one, and so time.
    fn lane(&self) -> Lane {
        match self {
            Self::Token { .. } | Self::Bearer { .. } => Lane::First,
            Self::Certificate { .. } => Lane::Renewal,
        }
    }

    /// For the record.
    fn kind(&self) -> &'static str {
        match self {
            Self::Token { .. } => "token",
            Self::Bearer { .. } => "bearer",
            Self::Certificate { .. } => "certificate",
        }
    }

    /// The certificate that it asks with.
    fn previous(&self) -> Option<String> {
        match self {
            Self::Certificate { serial, .. } => Some(serial.clone()),
            Self::Token { .. } | Self::Bearer { .. } => None,
        }
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
