//! Rows: sources with the same outcome together.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use mesh_api::v1::{AuthorizationAction, MtlsMode, Origin};
use serde::{Deserialize, Serialize};

use super::decision::{CoverageVerdict, Decision, Said};
use super::destination::{Destination, DestinationPort, Enforcer};
use super::source::{Source, Transport};
use super::truth::Truth;
use crate::model::AuthorizationPolicy;
use crate::world::Inner;

/// How a source without an identity is called.
const NOBODY: &str = "(no identity)";
/// The same, at gateways.
const OUTSIDE: &str = "(outside)";

/// What becomes of the calls of some sources to a port of a destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CoverageRow {
    /// Identities without `spiffe://`; `(no identity)` for whoever proves none, and `(outside)`
    /// for the clients of a gateway. Sorted. A source that may come in several ways (by another
    /// service, or by a subset with TLS settings of its own) has a row for each.
    pub sources: Vec<String>,
    /// All identities of the mesh, and those without one, are in `sources`.
    pub any_source: bool,
    /// `<namespace>/<name>` of the workload.
    pub destination: String,
    /// How many workloads of that name are alike.
    pub instances: usize,
    /// `sidecar`, `gateway` or `none`.
    pub proxy: String,
    /// The workload's port; absent for all that nobody declared.
    pub port: Option<u32>,
    /// What it is declared to carry.
    pub protocol: String,
    /// Service in front of it, `<host>:<port>`; may be empty.
    pub service: String,
    /// How calls arrive.
    pub transport: Transport,
    /// Mode of PeerAuthentication that holds; empty at gateways and without a proxy.
    pub mtls_mode: String,
    /// `<namespace>/<name>` of the PeerAuthentication; empty if none says so.
    pub mtls_policy: String,
    /// What becomes of them.
    pub verdict: CoverageVerdict,
    /// The policies that decide, and those that are tried out or told beside them.
    pub policies: Vec<CoveragePolicy>,
    /// What no policy says; may be empty.
    pub because: String,
}

/// What one policy says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CoveragePolicy {
    /// `<namespace>/<name>`.
    pub name: String,
    /// `ALLOW`, `DENY`, `AUDIT` or `CUSTOM`.
    pub action: String,
    /// The provider of a CUSTOM policy; else empty.
    pub provider: String,
    /// It is only tried out.
    pub dry_run: bool,
    /// The rule that matches first among those that match most, from 0; absent if none does.
    pub rule: Option<usize>,
    /// How much of what arrives matches.
    pub holds: Holds,
    /// Where it stands: `<file>:<line>`; empty if unknown.
    pub origin: String,
}

/// How much of something matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Holds {
    /// Nothing.
    Never,
    /// Some.
    Sometimes,
    /// All.
    Always,
}

/// What becomes of the calls of one source.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Outcome {
    pub(super) transport: Transport,
    pub(super) decision: Decision,
    pub(super) because: &'static str,
}

// === impl Outcome ===

impl Outcome {
    fn plain(transport: Transport, verdict: CoverageVerdict, because: &'static str) -> Self {
        let said = Vec::new();
        Self {
            transport,
            decision: Decision { verdict, said },
            because,
        }
    }

    pub(super) fn unenforced(because: &'static str) -> Self {
        Self::plain(Transport::Plaintext, CoverageVerdict::Unenforced, because)
    }

    pub(super) fn refused(strict: bool) -> Self {
        let because = if strict {
            "only mutual TLS is accepted"
        } else {
            "mutual TLS is off"
        };
        Self::plain(Transport::Refused, CoverageVerdict::Denied, because)
    }
}

/// Puts sources with equal outcomes into one row.
pub(super) fn rows<'w>(
    inner: &Inner,
    destination: &Destination<'_>,
    policies: &[&AuthorizationPolicy],
    (number, port): (Option<u32>, &DestinationPort),
    outcomes: impl Iterator<Item = (Source<'w>, Outcome)>,
) -> Vec<CoverageRow> {
    let mut groups: Vec<(Outcome, Vec<String>)> = Vec::new();
    let nobody = match destination.proxy {
        Enforcer::Gateway => OUTSIDE,
        Enforcer::Sidecar | Enforcer::Nobody => NOBODY,
    };
    let mut all = BTreeSet::new();
    for (source, outcome) in outcomes {
        let name = source
            .workload
            .map_or(nobody, |client| client.identity.principal());
        all.insert(name);
        match groups.iter_mut().find(|(known, _)| *known == outcome) {
            Some((_, names)) => names.push(name.to_owned()),
            None => groups.push((outcome, vec![name.to_owned()])),
        }
    }
    let all = all.len();
    let front = port.front().and_then(|(service, number)| {
        let service = inner.services.get(service)?;
        Some(format!("{}:{number}", service.host))
    });
    let (mode, mtls_policy) = mode(destination, number);
    let group = |(outcome, mut sources): (Outcome, Vec<String>)| {
        sources.sort();
        sources.dedup();
        let said = outcome.decision.said.iter();
        let policies: Vec<CoveragePolicy> = said
            .filter_map(|said| Some(told(policies.get(said.policy)?, *said)))
            .collect();
        CoverageRow {
            any_source: sources.len() == all,
            sources,
            destination: destination.full_name(),
            instances: destination.instances,
            proxy: match destination.proxy {
                Enforcer::Sidecar => "sidecar",
                Enforcer::Gateway => "gateway",
                Enforcer::Nobody => "none",
            }
            .to_owned(),
            port: number,
            protocol: port.protocol.to_owned(),
            service: front.clone().unwrap_or_default(),
            transport: outcome.transport,
            mtls_mode: mode.to_owned(),
            mtls_policy: mtls_policy.clone(),
            verdict: outcome.decision.verdict,
            because: because(&outcome, &policies),
            policies,
        }
    };
    groups.into_iter().map(group).collect()
}

fn mode(destination: &Destination<'_>, number: Option<u32>) -> (&'static str, String) {
    if destination.proxy != Enforcer::Sidecar {
        return ("", String::new());
    }
    let mtls = &destination.mtls;
    let (mode, origin) = number.map_or_else(
        || (mtls.mode, mtls.origin.clone()),
        |number| mtls.at(number),
    );
    let mode = match mode {
        MtlsMode::Strict => "STRICT",
        MtlsMode::Disable => "DISABLE",
        MtlsMode::Permissive | MtlsMode::Unspecified => "PERMISSIVE",
    };
    let named = |origin: Origin| format!("{}/{}", origin.namespace, origin.name);
    (mode, origin.map(named).unwrap_or_default())
}

fn because(outcome: &Outcome, policies: &[CoveragePolicy]) -> String {
    let by_none = outcome.decision.verdict == CoverageVerdict::Denied
        && outcome.transport != Transport::Refused
        && !policies.iter().any(|policy| {
            !policy.dry_run && policy.holds == Holds::Always && policy.action != "ALLOW"
        });
    match (by_none, outcome.because) {
        (true, "") => "no ALLOW policy matches".to_owned(),
        (true, because) => format!("no ALLOW policy matches; {because}"),
        (false, because) => because.to_owned(),
    }
}

fn told(policy: &AuthorizationPolicy, said: Said) -> CoveragePolicy {
    let rule = said.rule.and_then(|rule| policy.rules.get(rule));
    let origin = rule.and_then(|rule| rule.origin.as_ref());
    let origin = origin.unwrap_or(&policy.meta.origin);
    CoveragePolicy {
        name: policy.meta.full_name(),
        action: match policy.action {
            AuthorizationAction::Deny => "DENY",
            AuthorizationAction::Audit => "AUDIT",
            AuthorizationAction::Custom => "CUSTOM",
            AuthorizationAction::Allow | AuthorizationAction::Unspecified => "ALLOW",
        }
        .to_owned(),
        provider: policy.provider.clone(),
        dry_run: policy.dry_run,
        rule: said.rule,
        holds: match said.holds {
            Truth::Never => Holds::Never,
            Truth::Sometimes => Holds::Sometimes,
            Truth::Always => Holds::Always,
        },
        origin: if origin.line == 0 {
            String::new()
        } else {
            format!("{}:{}", origin.source, origin.line)
        },
    }
}

// === impl CoverageRow ===

impl CoverageRow {
    /// Whether nothing decides about these calls: there is no policy, or no proxy.
    pub fn is_unprotected(&self) -> bool {
        matches!(
            self.verdict,
            CoverageVerdict::Unprotected | CoverageVerdict::Unenforced
        )
    }

    /// Whether anything of these calls arrives without TLS.
    pub fn is_plaintext(&self) -> bool {
        self.transport == Transport::Plaintext && self.verdict != CoverageVerdict::Denied
    }

    /// By destination, port (undeclared ones last), and source.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let key = |row: &Self| (row.destination.clone(), row.port.is_none(), row.port);
        key(self)
            .cmp(&key(other))
            .then_with(|| self.sources.cmp(&other.sources))
    }
}
