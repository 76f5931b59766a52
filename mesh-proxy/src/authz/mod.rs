//! What a request has to pass before it is served: tokens, external authorizers, authorization
//! policies, in this order (Istio: AUTHN, then CUSTOM, DENY and ALLOW).

mod ask;
mod decision;
mod grpc;
mod opaque;
mod question;

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;

use bytes::Bytes;
use http::header::WWW_AUTHENTICATE;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method};
use mesh_proxy_core::authz::{Asked, Caller, Verdict};
use mesh_proxy_core::filter::LocalResponse;
use mesh_proxy_core::jwt::{self, Refused, TokenCache};
use mesh_proxy_core::{Reason, Snapshot, plan};

use crate::clock;
use crate::http::{Exchange, Incoming};
use crate::worker::Worker;

pub use decision::{Decision, DecisionLabel, Kind};
pub(crate) use opaque::{Passed, TcpVerdict};

/// Bytes of verified tokens that one worker remembers.
const REMEMBERED: usize = 1024 * 1024;

/// What a worker keeps for authorization.
pub struct Memory {
    tokens: RefCell<TokenCache>,
    counters: decision::Counters,
}

/// Which side of a proxy a request came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// A sidecar's inbound side.
    Sidecar,
    /// A gateway.
    Gateway,
}

/// Who asks for what, and where.
pub(crate) struct Asker<'a> {
    pub(crate) worker: &'a Rc<Worker>,
    pub(crate) side: Side,
    pub(crate) caller: Caller<'a>,
    /// Address of the caller.
    pub(crate) remote: SocketAddr,
    /// `http` or `https`.
    pub(crate) scheme: &'static str,
}

/// A request that may go on.
pub(crate) struct Admitted {
    /// Its body; what an authorizer got to see of it is still in it.
    pub(crate) incoming: Incoming,
    /// What an authorizer wants the client to get with the answer.
    pub(crate) to_client: HeaderMap,
}

// === impl Memory ===

impl Default for Memory {
    fn default() -> Self {
        Self {
            tokens: RefCell::new(TokenCache::new(REMEMBERED)),
            counters: decision::Counters::default(),
        }
    }
}

// === impl Admitted ===

impl Admitted {
    /// Puts on an answer what an authorizer wants the client to get.
    pub(crate) fn finish(to_client: HeaderMap, headers: &mut HeaderMap) {
        mesh_proxy_core::authz::put(headers, to_client);
    }
}

// === impl Side ===

impl Side {
    fn ask(
        self,
        snapshot: &Snapshot,
        caller: &Caller<'_>,
        parts: Option<&Parts>,
    ) -> impl Iterator<Item = Asked> + use<> {
        let asked = match self {
            Self::Sidecar => plan::inbound_ask(snapshot, caller, parts),
            Self::Gateway => plan::gateway_ask(snapshot, caller, parts),
        };
        asked.into_iter()
    }

    fn decide(self, snapshot: &Snapshot, caller: &Caller<'_>, parts: &Parts) -> Verdict {
        match self {
            Self::Sidecar => plan::inbound_http(snapshot, caller, parts),
            Self::Gateway => plan::gateway_authorize(snapshot, caller, parts),
        }
    }
}

// === impl Asker ===

impl Asker<'_> {
    /// Brings the path into its normal form, and decides. What was decided is noted in the
    /// request's record. An error is the answer to the client.
    pub(crate) async fn check(
        &self,
        parts: &mut Parts,
        incoming: Incoming,
        exchange: &mut Exchange,
    ) -> Result<Admitted, Box<LocalResponse>> {
        // A request for a tunnel has no path that policies could look at, and nobody here makes one
        // for it (Envoy: the same, unless it is told to).
        if parts.method == Method::CONNECT && parts.uri.path_and_query().is_none() {
            return Err(self.refusal(Reason::RouteNotFound, exchange));
        }
        let snapshot = self.worker.shared.snapshot();
        plan::normalise_path(&snapshot, parts);
        self.authenticate(&snapshot, parts, exchange)?;
        let mut admitted = Admitted {
            incoming,
            to_client: HeaderMap::new(),
        };
        let mut asked = self
            .side
            .ask(&snapshot, &self.caller, Some(parts))
            .peekable();
        let verdict = if asked.peek().is_none() {
            self.side.decide(&snapshot, &self.caller, parts)
        } else {
            for asked in asked {
                let answered = self.external(&snapshot, asked, parts, &mut admitted, exchange);
                Box::pin(answered).await?;
            }
            // There may be another configuration by now.
            let snapshot = self.worker.shared.snapshot();
            self.side.decide(&snapshot, &self.caller, parts)
        };
        let (allowed, reason) = (verdict.allowed, verdict.reason);
        self.note(Decision::new(verdict), exchange);
        if allowed {
            return Ok(admitted);
        }
        let reason = reason.unwrap_or(Reason::AuthorizationDenied);
        Err(self.refusal(reason, exchange))
    }

    fn refusal(&self, reason: Reason, exchange: &Exchange) -> Box<LocalResponse> {
        Box::new(crate::http::respond::failure(
            reason,
            "",
            exchange.is_grpc(),
        ))
    }

    fn note(&self, decision: Option<Decision>, exchange: &mut Exchange) {
        let Some(decision) = decision else {
            return;
        };
        let stages = &self.worker.shared.telemetry.stages;
        self.worker.authz.counters.count(stages, &decision);
        match &mut exchange.decision {
            Some(before) => before.add(decision),
            none => *none = Some(Box::new(decision)),
        }
    }

    fn authenticate(
        &self,
        snapshot: &Snapshot,
        parts: &mut Parts,
        exchange: &mut Exchange,
    ) -> Result<(), Box<LocalResponse>> {
        let Some(checks) = plan::request_checks(snapshot) else {
            return Ok(());
        };
        if checks.tokens.is_empty() {
            return Ok(());
        }
        let now = u64::try_from(clock::unix_seconds(clock::wall())).unwrap_or(0);
        let mut cache = self.worker.authz.tokens.borrow_mut();
        let verified = jwt::authenticate(&checks.tokens, parts, now, &mut cache);
        let Err(refused) = verified else {
            return Ok(());
        };
        let Refused { reason, policy } = refused;
        if reason == Reason::JwtKeyUnknown {
            self.worker.shared.key_is_unknown(&policy);
        }
        self.note(Some(Decision::of_token(reason, policy)), exchange);
        let text = Bytes::from_static(words(reason).as_bytes());
        let mut answer = LocalResponse::new(reason, reason.status(), text, exchange.is_grpc());
        answer.headers.insert(WWW_AUTHENTICATE, challenge(parts));
        Err(Box::new(answer))
    }

    /// Asks one external authorizer. The request is edited as it wants.
    async fn external(
        &self,
        snapshot: &Snapshot,
        asked: Asked,
        parts: &mut Parts,
        admitted: &mut Admitted,
        exchange: &mut Exchange,
    ) -> Result<(), Box<LocalResponse>> {
        let checks = plan::request_checks(snapshot);
        let authorizer = checks.and_then(|checks| checks.authorizer(&asked.authorizer));
        let Some(authorizer) = authorizer else {
            let reason = Reason::ExternalAuthorizationFailed;
            self.note(Some(Decision::of_authorizer(asked, Some(reason))), exchange);
            return Err(self.refusal(reason, exchange));
        };
        let answer = ask::ask(self, snapshot, authorizer, parts, &mut admitted.incoming).await;
        match answer {
            ask::Answer::Allowed(edits) => {
                self.note(Some(Decision::of_authorizer(asked, None)), exchange);
                edits.apply(parts, &mut admitted.to_client);
                Ok(())
            }
            ask::Answer::Denied(denied) => {
                let reason = Reason::ExternalAuthorizationDenied;
                self.note(Some(Decision::of_authorizer(asked, Some(reason))), exchange);
                Err(denied.into_response(exchange.is_grpc()))
            }
            ask::Answer::TooLarge => {
                let reason = Reason::ExternalAuthorizationBodyTooLarge;
                self.note(Some(Decision::of_authorizer(asked, Some(reason))), exchange);
                Err(self.refusal(reason, exchange))
            }
            ask::Answer::Gone => {
                let reason = Reason::DownstreamDisconnected;
                Err(self.refusal(reason, exchange))
            }
            ask::Answer::Failed(error) => {
                tracing::debug!(%error, authorizer = %authorizer.name, "an external authorizer cannot be asked");
                let reason = Reason::ExternalAuthorizationFailed;
                let mut decision = Decision::of_authorizer(asked, Some(reason));
                if authorizer.fail_open {
                    decision.pass();
                    self.note(Some(decision), exchange);
                    return Ok(());
                }
                self.note(Some(decision), exchange);
                let mut answer = self.refusal(reason, exchange);
                if !exchange.is_grpc() {
                    answer.status = authorizer.status_on_error;
                }
                Err(answer)
            }
        }
    }
}

// RFC 6750 section 3.
fn challenge(parts: &Parts) -> HeaderValue {
    let host = match parts.uri.authority() {
        Some(authority) => authority.as_str(),
        None => parts
            .headers
            .get(http::header::HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default(),
    };
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-._:[]".contains(letter);
    let realm = if host.chars().all(plain) { host } else { "" };
    HeaderValue::try_from(format!("Bearer realm=\"{realm}\", error=\"invalid_token\""))
        .unwrap_or_else(|_| HeaderValue::from_static("Bearer error=\"invalid_token\""))
}

// Envoy's words where it has some.
fn words(reason: Reason) -> &'static str {
    match reason {
        Reason::JwtMalformed => {
            "Jwt is not in the form of Header.Payload.Signature with two dots and 3 sections"
        }
        Reason::JwtAlgorithmRefused => "Jwt header [alg] is not supported",
        Reason::JwtIssuerUnknown => "Jwt issuer is not configured",
        Reason::JwtAudienceRefused => "Audiences in Jwt are not allowed",
        Reason::JwtExpired => "Jwt is expired",
        Reason::JwtNotYetValid => "Jwt not yet valid",
        Reason::JwtKeyUnknown => "Jwks doesn't have key to match kid or alg from Jwt",
        Reason::JwtKeysUnavailable => "Jwks doesn't have any valid public key",
        Reason::JwtSignatureInvalid => "Jwt verification fails",
        Reason::JwtTooLarge => "Jwt is too long",
        other => other.as_str(),
    }
}
