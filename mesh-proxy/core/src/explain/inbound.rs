//! Inbound requests and connections.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mesh_api::{ResourceName, SpiffeId};

use super::outbound::head;
use super::report::{
    ExplainReport, ExplainRequest, InboundReport, InvalidRequest, PolicyReport, RuleReport,
    VerdictReport,
};
use crate::authz::{Caller, Observe, Policy, PolicyAction, Unmatched, Verdict};
use crate::detect::{ClientHello, Detected};
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
    let parts = if request.tcp {
        None
    } else {
        Some(request.parts()?)
    };
    let any = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let caller = Caller {
        identity: identity.as_ref(),
        source: request.source_ip.unwrap_or(any),
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
    let verdict = match accept {
        Accept::Refuse(reason) => Verdict {
            allowed: false,
            by: None,
            reason: Some(reason),
        },
        _ => plan::authorize(
            snapshot,
            Some(&inbound.policies),
            &caller,
            parts.as_ref(),
            &mut recorder,
        ),
    };
    report.inbound = Some(InboundReport {
        port: port.port,
        protocol: port.protocol.to_string(),
        service: port.service.map(|(host, port)| format!("{host}:{port}")),
        mtls: port.mtls.as_str().to_owned(),
        mtls_origin: port.mtls_origin.as_deref().cloned(),
        transport: transport(accept).to_owned(),
        policies: recorder.policies,
        verdict: tell(&verdict),
    });
    Ok(report)
}

fn transport(accept: Accept) -> &'static str {
    match accept {
        Accept::Terminate => "terminate",
        Accept::Plaintext => "plaintext",
        Accept::Passthrough => "passthrough",
        Accept::Refuse(_) => "refuse",
    }
}

fn tell(verdict: &Verdict) -> VerdictReport {
    let by = verdict.by.as_ref();
    VerdictReport {
        allowed: verdict.allowed,
        policy: by.map(|by| by.name.to_string()),
        rule: by.map(|by| by.rule),
        origin: by.and_then(|by| by.origin.as_deref().cloned()),
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
            action: match policy.action {
                PolicyAction::Allow => "ALLOW",
                PolicyAction::Deny => "DENY",
            }
            .to_owned(),
            origin: policy.origin.as_deref().cloned(),
            matched: false,
            rules: Vec::new(),
        });
    }
}

impl Observe for Recorder {
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
