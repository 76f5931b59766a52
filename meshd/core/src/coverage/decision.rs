//! What the policies of a workload make of one kind of call.

use mesh_api::v1::{AuthorizationAction, ExternalAuthorizer};
use serde::{Deserialize, Serialize};

use super::truth::{Call, Truth};
use crate::model::AuthorizationPolicy;

/// What becomes of calls of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CoverageVerdict {
    /// No proxy sees them: whatever policies say, they arrive.
    Unenforced,
    /// No policy decides: they arrive.
    Unprotected,
    /// A policy allows all of them.
    Allowed,
    /// Some arrive and some do not: it depends on the request, or on an authorizer.
    Depends,
    /// None arrives.
    Denied,
}

/// What a port carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Carries {
    /// Requests.
    Http,
    /// Opaque bytes.
    Opaque,
    /// Either: nobody declares what.
    Either,
    /// Requests for some of a gateway's servers, opaque bytes for others.
    Split,
    /// Opaque bytes where requests are declared: TLS that is not the mesh's.
    Hidden,
}

/// What policies say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) verdict: CoverageVerdict,
    /// Which policy, by which of its rules, and how often. Those that cannot say anything are
    /// left out, but for ALLOW policies that deny by matching nothing.
    pub(crate) said: Vec<Said>,
}

/// What one policy says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Said {
    /// By its place in the list.
    pub(crate) policy: usize,
    /// Absent if none of its rules matches.
    pub(crate) rule: Option<usize>,
    pub(crate) holds: Truth,
}

/// Decides about calls; `carries` takes the place of what the call says of HTTP.
pub(crate) fn decide(
    policies: &[&AuthorizationPolicy],
    authorizers: &[ExternalAuthorizer],
    call: Call<'_>,
    carries: Carries,
) -> Decision {
    decide_by(strongest, policies, authorizers, (call, carries))
}

/// The same; `strongest` says which rule of a policy matches most often.
pub(crate) fn decide_by(
    strongest: impl Fn(&AuthorizationPolicy, Call<'_>) -> Strongest,
    policies: &[&AuthorizationPolicy],
    authorizers: &[ExternalAuthorizer],
    (call, carries): (Call<'_>, Carries),
) -> Decision {
    let as_http = |http: bool| {
        let call = Call { http, ..call };
        let undeclared = !matches!(carries, Carries::Opaque | Carries::Split);
        once(&strongest, policies, authorizers, (call, undeclared))
    };
    match carries {
        Carries::Http => as_http(true),
        Carries::Opaque | Carries::Hidden => as_http(false),
        Carries::Either | Carries::Split => join(&as_http(true), &as_http(false)),
    }
}

fn once(
    strongest: &impl Fn(&AuthorizationPolicy, Call<'_>) -> Strongest,
    policies: &[&AuthorizationPolicy],
    authorizers: &[ExternalAuthorizer],
    (call, undeclared): (Call<'_>, bool),
) -> Decision {
    let (mut deny, mut asked) = (Truth::Never, Truth::Never);
    let mut allow = None;
    let mut said = Vec::new();
    let mut silent = Vec::new();
    for (index, policy) in policies.iter().enumerate() {
        let (rule, holds) = strongest(policy, call);
        let one = Said {
            policy: index,
            rule,
            holds,
        };
        if policy.dry_run {
            said.extend((holds > Truth::Never).then_some(one));
            continue;
        }
        match policy.action {
            AuthorizationAction::Deny => deny = deny.max(holds),
            AuthorizationAction::Custom => {
                let known = authorizers.iter().find(|one| one.name == policy.provider);
                match effect(known, call.http, undeclared) {
                    Effect::Denies => deny = deny.max(holds),
                    Effect::Asks => asked = asked.max(holds),
                    Effect::Nothing => continue,
                }
            }
            AuthorizationAction::Allow => {
                allow = allow.max(Some(holds));
                if holds == Truth::Never {
                    silent.push(one);
                }
            }
            AuthorizationAction::Audit | AuthorizationAction::Unspecified => {}
        }
        said.extend((holds > Truth::Never).then_some(one));
    }
    let verdict = verdict(deny, asked, allow);
    if verdict == CoverageVerdict::Denied && deny < Truth::Always {
        said.extend(silent);
    }
    Decision { verdict, said }
}

/// Every denial wins; with ALLOW policies what none allows is denied.
fn verdict(deny: Truth, asked: Truth, allow: Option<Truth>) -> CoverageVerdict {
    match (deny.max(asked), allow) {
        _ if deny == Truth::Always => CoverageVerdict::Denied,
        (_, Some(Truth::Never)) => CoverageVerdict::Denied,
        (Truth::Never, Some(Truth::Always)) => CoverageVerdict::Allowed,
        (Truth::Never, None) => CoverageVerdict::Unprotected,
        _ => CoverageVerdict::Depends,
    }
}

/// What a CUSTOM policy does to what it selects.
enum Effect {
    Denies,
    Asks,
    Nothing,
}

/// Authorizers over gRPC are asked about opaque bytes, too; those over HTTP are passed over where
/// the port is declared to carry no HTTP (Istio: the same).
fn effect(known: Option<&ExternalAuthorizer>, http: bool, undeclared: bool) -> Effect {
    match known {
        None => Effect::Denies,
        Some(known) if http || known.grpc => match (known.unusable.is_empty(), known.fail_open) {
            (true, _) => Effect::Asks,
            (false, true) => Effect::Nothing,
            (false, false) => Effect::Denies,
        },
        Some(_) if undeclared => Effect::Denies,
        Some(_) => Effect::Nothing,
    }
}

/// A rule, and how often it matches.
pub(crate) type Strongest = (Option<usize>, Truth);

/// The first rule of those that match most often.
pub(crate) fn strongest(policy: &AuthorizationPolicy, call: Call<'_>) -> Strongest {
    let mut best = (None, Truth::Never);
    for (index, rule) in policy.rules.iter().enumerate() {
        let holds = call.rule(rule, policy.action);
        if holds > best.1 {
            best = (Some(index), holds);
        }
    }
    best
}

/// What holds of two kinds of calls together.
fn join(one: &Decision, other: &Decision) -> Decision {
    let verdict = if one.verdict == other.verdict {
        one.verdict
    } else {
        CoverageVerdict::Depends
    };
    let mut said = one.said.clone();
    for theirs in &other.said {
        match said.iter_mut().find(|ours| ours.policy == theirs.policy) {
            Some(ours) if ours.holds != theirs.holds => {
                ours.rule = ours.rule.or(theirs.rule);
                ours.holds = Truth::Sometimes;
            }
            Some(_) => {}
            None => said.push(Said {
                holds: theirs.holds.min(Truth::Sometimes),
                ..*theirs
            }),
        }
    }
    for ours in &mut said {
        if !other.said.iter().any(|theirs| theirs.policy == ours.policy) {
            ours.holds = ours.holds.min(Truth::Sometimes);
        }
    }
    said.sort_by_key(|said| said.policy);
    Decision { verdict, said }
}
