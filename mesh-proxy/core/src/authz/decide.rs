//! The decision.

use super::policy::{Condition, Operation, Policy, PolicySet, Rule, Source, Test};
use super::{Caller, PolicyAction, PolicyRef, RequestAttributes, Verdict};
use crate::ir::Mesh;
use crate::reason::Reason;

/// Sees each rule that was looked at. `()` sees nothing, for the hot path.
pub trait Observe {
    /// A rule matched or did not.
    fn rule(&mut self, policy: &Policy, index: usize, outcome: Result<(), Unmatched>);
    /// A policy without rules was passed over.
    fn empty(&mut self, policy: &Policy);
}

/// Why a rule does not match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unmatched {
    /// None of its sources is the caller.
    From,
    /// None of its operations is this one.
    To,
    /// A condition, by number from 0, does not hold.
    When(usize),
    /// It allows something of HTTP, and this is not HTTP.
    NeedsHttp,
}

/// Decides about a request, or about a connection if there is no request.
///
/// `mesh` says which trust domains are the mesh's own.
pub fn decide(
    policies: &PolicySet,
    mesh: &Mesh,
    caller: &Caller<'_>,
    request: Option<&RequestAttributes<'_>>,
    observe: &mut impl Observe,
) -> Verdict {
    let attributes = Attributes {
        mesh,
        caller,
        request,
    };
    if let Some(by) = first(policies.deny(), &attributes, observe) {
        return Verdict {
            allowed: false,
            by: Some(by),
            reason: Some(Reason::AuthorizationDenied),
        };
    }
    if policies.allow().is_empty() {
        return Verdict {
            allowed: true,
            by: None,
            reason: None,
        };
    }
    match first(policies.allow(), &attributes, observe) {
        Some(by) => Verdict {
            allowed: true,
            by: Some(by),
            reason: None,
        },
        None => Verdict {
            allowed: false,
            by: None,
            reason: Some(Reason::AuthorizationNotAllowed),
        },
    }
}

struct Attributes<'a> {
    mesh: &'a Mesh,
    caller: &'a Caller<'a>,
    request: Option<&'a RequestAttributes<'a>>,
}

fn first(
    policies: &[Policy],
    attributes: &Attributes<'_>,
    observe: &mut impl Observe,
) -> Option<PolicyRef> {
    for policy in policies {
        if policy.rules.is_empty() {
            observe.empty(policy);
        }
        for (index, rule) in policy.rules.iter().enumerate() {
            let outcome = attributes.rule(rule, policy.action);
            observe.rule(policy, index, outcome);
            if outcome.is_ok() {
                let origin = rule.origin.clone().or_else(|| policy.origin.clone());
                return Some(PolicyRef {
                    name: policy.name.clone(),
                    rule: index,
                    origin,
                });
            }
        }
    }
    None
}

// === impl Attributes ===

impl Attributes<'_> {
    fn rule(&self, rule: &Rule, action: PolicyAction) -> Result<(), Unmatched> {
        if self.request.is_none() && action == PolicyAction::Allow && rule.needs_http() {
            return Err(Unmatched::NeedsHttp);
        }
        if !rule.from.is_empty() && !rule.from.iter().any(|source| self.source(source)) {
            return Err(Unmatched::From);
        }
        if !rule.to.is_empty() && !rule.to.iter().any(|operation| self.operation(operation)) {
            return Err(Unmatched::To);
        }
        match rule
            .when
            .iter()
            .position(|condition| !self.condition(condition))
        {
            Some(index) => Err(Unmatched::When(index)),
            None => Ok(()),
        }
    }

    fn source(&self, source: &Source) -> bool {
        let ip = self.caller.source.to_canonical();
        source.principals.holds(|pattern| self.principal(pattern))
            && source.namespaces.holds(|pattern| self.namespace(pattern))
            && source.ip_blocks.holds(|block| block.contains(&ip))
    }

    // Without a request only DENY rules get here: what HTTP alone has is dropped.
    fn operation(&self, operation: &Operation) -> bool {
        let port = self.caller.destination.port();
        operation.ports.holds(|wanted| *wanted == port)
            && self.request.is_none_or(|request| {
                operation
                    .hosts
                    .holds(|pattern| pattern.matches_host(request.host))
                    && operation
                        .methods
                        .holds(|pattern| pattern.matches(request.method.as_bytes()))
                    && operation
                        .paths
                        .holds(|pattern| pattern.matches(request.path))
            })
    }

    fn condition(&self, condition: &Condition) -> bool {
        let destination = self.caller.destination;
        match &condition.test {
            Test::Header(name, values) => self.request.is_none_or(|request| {
                crate::route::with_field(request.headers, name, |value| {
                    values.holds(|pattern| value.is_some_and(|value| pattern.matches(value)))
                })
            }),
            Test::SourceIp(blocks) => {
                let ip = self.caller.source.to_canonical();
                blocks.holds(|block| block.contains(&ip))
            }
            Test::SourceNamespace(patterns) => patterns.holds(|pattern| self.namespace(pattern)),
            Test::SourcePrincipal(patterns) => patterns.holds(|pattern| self.principal(pattern)),
            Test::DestinationIp(blocks) => {
                blocks.holds(|block| block.contains(&destination.ip().to_canonical()))
            }
            Test::DestinationPort(ports) => ports.holds(|port| *port == destination.port()),
            Test::ConnectionSni(patterns) => patterns.holds(|pattern| {
                self.caller
                    .sni
                    .is_some_and(|sni| pattern.matches(sni.as_bytes()))
            }),
        }
    }

    fn principal(&self, pattern: &super::PrincipalPattern) -> bool {
        self.caller
            .identity
            .is_some_and(|identity| pattern.matches(identity, self.mesh))
    }

    fn namespace(&self, pattern: &super::NamespacePattern) -> bool {
        self.caller
            .identity
            .is_some_and(|identity| pattern.matches(identity.namespace()))
    }
}

// === impl Observe ===

impl Observe for () {
    fn rule(&mut self, _: &Policy, _: usize, _: Result<(), Unmatched>) {}
    fn empty(&mut self, _: &Policy) {}
}
