//! Inbound requests and connections.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::Method;
use http::request::Parts;
use mesh_api::{ResourceName, SpiffeId};
use smallvec::SmallVec;

use super::admission::{self, Asks};
use super::outbound::head;
use super::report::{
    AskedReport, AuthorizationReport, ExplainReport, ExplainRequest, InboundReport, InvalidRequest,
    PolicyReport, RuleReport, ShadowReport, VerdictReport,
};
use crate::authz::{
    Asked, Caller, Observe, Policy, PolicyRef, PolicySet, Token, Unmatched, Verdict,
};
use crate::detect::{ClientHello, Detected};
use crate::ir::Protocol;
use crate::labels::ClientInfo;
use crate::plan::{self, Accept};
use crate::reason::Reason;
use crate::snapshot::Snapshot;

/// Explains whether the workload accepts a request or connection. `own` is the proxy's own
/// workload; the caller stands in the request.
///
/// # Errors
/// If the question is malformed. A resource that is missing is no error: the report names it.
pub fn explain_inbound(
    snapshot: &Snapshot,
    own: &ClientInfo,
    request: &ExplainRequest,
) -> Result<ExplainReport, InvalidRequest> {
    let mut report = head(snapshot, own);
    let (Some(inbound), Some(port)) = (
        snapshot.inbound(),
        plan::inbound_connection(snapshot, request.port),
    ) else {
        report.missing = Some(ResourceName::Inbound.to_string());
        return Ok(report);
    };
    let identity: Option<SpiffeId> = match &request.source_identity {
        None => None,
        Some(text) => Some(
            text.parse()
                .map_err(|error| InvalidRequest(format!("{error}")))?,
        ),
    };
    let carries_bytes = request.tcp || matches!(port.protocol, Protocol::Tcp | Protocol::Tls);
    let parts = if carries_bytes {
        None
    } else {
        Some(with_token(request)?)
    };
    let any = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let caller = Caller {
        identity: identity.as_ref(),
        source: request.source_ip.unwrap_or(any),
        client: request.source_ip.unwrap_or(any),
        destination: SocketAddr::new(request.destination_ip.unwrap_or(any), request.port),
        sni: request.sni.as_deref(),
    };
    let detected = match (&identity, &parts) {
        (Some(_), _) => {
            let alpn = plan::alpn::MESH_TCP
                .iter()
                .map(|protocol| protocol.to_vec())
                .collect();
            Detected::Tls(ClientHello {
                sni: request.sni.clone(),
                alpn,
            })
        }
        (None, Some(_)) => Detected::Http1,
        (None, None) => Detected::Opaque,
    };
    let accept = plan::inbound_transport(port.mtls, &detected);
    let mut recorder = Recorder::default();
    let mut asked = SmallVec::new();
    let verdict = match accept {
        Accept::Refuse(reason) => Verdict::denied(reason, None),
        // Policies are not asked: there is no path that they could look at.
        _ if parts.as_ref().is_some_and(is_tunnel) => Verdict::denied(Reason::RouteNotFound, None),
        _ => {
            let is_declared = plan::declares_opaque(snapshot, &caller);
            let policies = (Some(&inbound.policies), is_declared);
            let decided = decide(snapshot, policies, &caller, (parts.as_ref(), &mut recorder));
            asked = decided.0;
            decided.1
        }
    };
    report.inbound = Some(InboundReport {
        port: port.port,
        protocol: port.protocol.to_string(),
        service: port.service.map(|(host, port)| format!("{host}:{port}")),
        mtls: port.mtls.as_str().to_owned(),
        mtls_origin: port.mtls_origin.as_deref().cloned(),
        transport: transport(accept).to_owned(),
        policies: recorder.policies,
        asked: asked.iter().map(told_asked).collect(),
        verdict: tell(&verdict),
        admission: admission::tell(
            &inbound.admission,
            Asks {
                identity: identity.as_ref(),
                source: caller.source,
                port: request.port,
                request: parts.as_ref(),
            },
        ),
    });
    Ok(report)
}

/// Which authorizers are asked, and what is decided if they allow; one that cannot be asked
/// denies. The flag says whether opaque bytes are declared.
fn decide(
    snapshot: &Snapshot,
    (policies, is_declared): (Option<&PolicySet>, bool),
    caller: &Caller<'_>,
    (parts, recorder): (Option<&Parts>, &mut Recorder),
) -> (SmallVec<[Asked; 1]>, Verdict) {
    let Some(parts) = parts else {
        let decided = plan::opaque(snapshot, (policies, is_declared), caller, recorder);
        return (decided.asked, decided.verdict);
    };
    let asked = plan::ask(snapshot, policies, caller, Some(parts), recorder);
    let checks = plan::request_checks(snapshot);
    let cannot_be_asked = asked.iter().find(|asked| {
        let authorizer = checks.and_then(|checks| checks.authorizer(&asked.authorizer));
        authorizer.is_none_or(|known| known.cluster.is_err() && !known.fail_open)
    });
    let verdict = match cannot_be_asked {
        Some(asked) => Verdict::denied(Reason::ExternalAuthorizationFailed, Some(asked.by.clone())),
        None => plan::authorize(snapshot, policies, caller, Some(parts), recorder),
    };
    (asked, verdict)
}

/// What the policies of a gateway decide.
pub(super) fn at_gateway(
    snapshot: &Snapshot,
    caller: &Caller<'_>,
    parts: Option<&Parts>,
) -> AuthorizationReport {
    let mut recorder = Recorder::default();
    let policies = snapshot.gateway().map(|gateway| &gateway.policies);
    let (asked, verdict) = decide(snapshot, (policies, true), caller, (parts, &mut recorder));
    AuthorizationReport {
        policies: recorder.policies,
        asked: asked.iter().map(told_asked).collect(),
        verdict: tell(&verdict),
    }
}

/// The request with the token that it is said to have.
pub(super) fn with_token(request: &ExplainRequest) -> Result<Parts, InvalidRequest> {
    let mut parts = request.parts()?;
    if let Some(claims) = &request.claims {
        let token = Token::new(claims.clone(), Vec::new());
        parts.extensions.insert(Arc::new(token));
    }
    Ok(parts)
}

/// Whether it asks for a tunnel, which no workload and no gateway makes.
pub(super) fn is_tunnel(parts: &Parts) -> bool {
    parts.method == Method::CONNECT
}

fn transport(accept: Accept) -> &'static str {
    match accept {
        Accept::Terminate => "terminate",
        Accept::Plaintext => "plaintext",
        Accept::Passthrough => "passthrough",
        Accept::Refuse(_) => "refuse",
    }
}

fn told_asked(asked: &Asked) -> AskedReport {
    AskedReport {
        authorizer: asked.authorizer.to_string(),
        policy: asked.by.name.to_string(),
        rule: asked.by.rule,
        origin: asked.by.origin.as_deref().cloned(),
    }
}

fn tell(verdict: &Verdict) -> VerdictReport {
    let by = verdict.by.as_ref();
    VerdictReport {
        allowed: verdict.allowed,
        policy: by.map(|by| by.name.to_string()),
        rule: by.map(|by| by.rule),
        origin: by.and_then(|by| by.origin.as_deref().cloned()),
        audit: verdict.audit.as_ref().map(PolicyRef::to_string),
        shadow: verdict.shadow.as_ref().map(|shadow| ShadowReport {
            allowed: shadow.allowed,
            policy: shadow.by.as_ref().map(|by| by.name.to_string()),
            rule: shadow.by.as_ref().map(|by| by.rule),
        }),
        reason: verdict.reason.map(Reason::as_str).map(str::to_owned),
    }
}

/// Writes down which policies were looked at.
#[derive(Default)]
struct Recorder {
    policies: Vec<PolicyReport>,
}

// === impl Recorder ===

impl Recorder {
    fn open(&mut self, policy: &Policy) {
        self.policies.push(PolicyReport {
            name: policy.name.to_string(),
            action: policy.action.as_str().to_owned(),
            dry_run: policy.dry_run,
            origin: policy.origin.as_deref().cloned(),
            matched: false,
            rules: Vec::new(),
        });
    }
}

impl Observe for Recorder {
    const SEES: bool = true;

    fn rule(&mut self, policy: &Policy, index: usize, outcome: Result<(), Unmatched>) {
        // The first rule of a policy opens its entry.
        if index == 0 {
            self.open(policy);
        }
        let rule = policy.rules.get(index);
        let why = match outcome {
            Ok(()) => String::new(),
            Err(Unmatched::From) => "no source in `from` is the caller".to_owned(),
            Err(Unmatched::To) => "no operation in `to` is this one".to_owned(),
            Err(Unmatched::When(number)) => {
                let condition = rule.and_then(|rule| rule.when.get(number));
                format!(
                    "the condition on `{}` does not hold",
                    condition.map_or("", |condition| &condition.key)
                )
            }
            Err(Unmatched::NeedsHttp) => {
                "it allows something of HTTP, and this is no HTTP".to_owned()
            }
        };
        let Some(entry) = self.policies.last_mut() else {
            return;
        };
        entry.matched |= outcome.is_ok();
        entry.rules.push(RuleReport {
            index,
            origin: rule.and_then(|rule| rule.origin.as_deref().cloned()),
            matched: outcome.is_ok(),
            why,
        });
    }

    fn empty(&mut self, policy: &Policy) {
        self.open(policy);
    }
}
