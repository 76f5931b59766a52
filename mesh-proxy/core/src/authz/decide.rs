//! The decision.

use std::sync::Arc;

use smallvec::SmallVec;

use super::policy::{Condition, Operation, Policy, PolicySet, Rule, Source, Test};
use super::rule_set::RuleSet;
use super::{
    Asked, Caller, Either, Pattern, PolicyAction, PolicyRef, RequestAttributes, Shadow, Verdict,
};
use crate::ir::Mesh;
use crate::reason::Reason;

/// Sees each rule that was looked at. `()` sees nothing, for the hot path.
pub trait Observe {
    /// Whether it wants to see those rules, too, that an index leaves out.
    const SEES: bool;
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

/// Which external authorizers are to be asked about a request, or about a connection if there is
/// no request: each that a matching CUSTOM policy names, in order of their names.
pub fn ask(
    policies: &PolicySet,
    mesh: &Mesh,
    caller: &Caller<'_>,
    request: Option<&RequestAttributes<'_>>,
    observe: &mut impl Observe,
) -> SmallVec<[Asked; 1]> {
    let attributes = Attributes {
        mesh,
        caller,
        request,
    };
    let matching = policies.custom().iter().filter_map(|(name, set)| {
        first(set, &attributes, observe).map(|by| Asked {
            authorizer: Arc::clone(name),
            by,
        })
    });
    matching.collect()
}

/// Decides about a request, or about a connection if there is no request. What external
/// authorizers say comes before: see [`ask`].
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
    let denied = first(policies.deny(), &attributes, observe);
    let audit = first(policies.audit(), &attributes, observe);
    let mut verdict = match denied {
        Some(by) => Verdict::denied(Reason::AuthorizationDenied, Some(by)),
        None => match first(policies.allow(), &attributes, observe) {
            Some(by) => Verdict::allowed(Some(by)),
            None if policies.allow().is_empty() => Verdict::allowed(None),
            None => Verdict::denied(Reason::AuthorizationNotAllowed, None),
        },
    };
    verdict.audit = audit;
    if policies.is_tried() {
        verdict.shadow = Some(try_out(policies, &attributes, &verdict, observe));
    }
    verdict
}

/// What would be decided if the policies that are tried out were in force with the others.
fn try_out(
    policies: &PolicySet,
    attributes: &Attributes<'_>,
    verdict: &Verdict,
    observe: &mut impl Observe,
) -> Shadow {
    if let Some(by) = first(policies.dry_deny(), attributes, observe) {
        return Shadow {
            allowed: false,
            by: Some(by),
        };
    }
    let tried = first(policies.dry_allow(), attributes, observe);
    let (allowed, by) = match verdict.reason {
        // Denied by a policy in force: no other one allows it.
        Some(Reason::AuthorizationDenied) => (false, verdict.by.clone()),
        // Nobody allowed it yet.
        Some(_) => (tried.is_some(), tried),
        None if verdict.by.is_some() => (true, verdict.by.clone()),
        // There was nobody who had to allow it.
        None => (policies.dry_allow().is_empty() || tried.is_some(), tried),
    };
    Shadow { allowed, by }
}

struct Attributes<'a> {
    mesh: &'a Mesh,
    caller: &'a Caller<'a>,
    request: Option<&'a RequestAttributes<'a>>,
}

fn first<O: Observe>(
    set: &RuleSet,
    attributes: &Attributes<'_>,
    observe: &mut O,
) -> Option<PolicyRef> {
    if set.is_empty() {
        return None;
    }
    if let (false, Some(request)) = (O::SEES, attributes.request) {
        let mut candidates = set.candidates(attributes.caller, request);
        let found =
            candidates.find(|(policy, _, rule)| attributes.rule(rule, policy.action).is_ok());
        return found.map(|(policy, index, rule)| reference(policy, index, rule));
    }
    for policy in set.policies() {
        if policy.rules.is_empty() {
            observe.empty(policy);
        }
        for (index, rule) in policy.rules.iter().enumerate() {
            let outcome = attributes.rule(rule, policy.action);
            observe.rule(policy, index, outcome);
            if outcome.is_ok() {
                return Some(reference(policy, index, rule));
            }
        }
    }
    None
}

fn reference(policy: &Policy, rule: usize, found: &Rule) -> PolicyRef {
    PolicyRef {
        name: Arc::clone(&policy.name),
        rule,
        origin: found.origin.clone().or_else(|| policy.origin.clone()),
    }
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

    // Without a request only rules that do not allow get here: what HTTP alone has is dropped.
    fn source(&self, source: &Source) -> bool {
        let ip = self.caller.source.to_canonical();
        source.principals.holds(|pattern| self.principal(pattern))
            && source.namespaces.holds(|pattern| self.namespace(pattern))
            && source.accounts.holds(|account| self.account(account))
            && source.trust_domains.holds(|pattern| self.domain(pattern))
            && source.ip_blocks.holds(|block| block.contains(&ip))
            && (source.remote_ip_blocks.is_empty() || self.client(&source.remote_ip_blocks))
            && self.request.is_none_or(|request| {
                source
                    .request_principals
                    .holds(|pattern| request.token.is_some_and(|token| pattern.matches(token)))
            })
    }

    fn operation(&self, operation: &Operation) -> bool {
        let port = self.caller.destination.port();
        operation.ports.holds(|wanted| *wanted == port)
            && self.request.is_none_or(|request| {
                operation
                    .methods
                    .holds(|pattern| pattern.matches(request.method.as_bytes()))
                    && operation
                        .paths
                        .holds(|pattern| pattern.matches(request.path))
                    && operation
                        .hosts
                        .holds(|pattern| pattern.matches_host(request.host))
            })
    }

    fn condition(&self, condition: &Condition) -> bool {
        let destination = self.caller.destination;
        match &condition.test {
            Test::SourceIp(blocks) => {
                let ip = self.caller.source.to_canonical();
                blocks.holds(|block| block.contains(&ip))
            }
            Test::RemoteIp(blocks) => self.client(blocks),
            Test::SourceNamespace(patterns) => patterns.holds(|pattern| self.namespace(pattern)),
            Test::SourcePrincipal(patterns) => patterns.holds(|pattern| self.principal(pattern)),
            Test::SourceAccount(accounts) => accounts.holds(|account| self.account(account)),
            Test::SourceTrustDomain(patterns) => patterns.holds(|pattern| self.domain(pattern)),
            Test::DestinationIp(blocks) => {
                blocks.holds(|block| block.contains(&destination.ip().to_canonical()))
            }
            Test::DestinationPort(ports) => ports.holds(|port| *port == destination.port()),
            Test::ConnectionSni(patterns) => patterns.holds(|pattern| {
                self.caller
                    .sni
                    .is_some_and(|sni| pattern.matches(sni.as_bytes()))
            }),
            of_request => self
                .request
                .is_none_or(|request| asks_of_request(of_request, request)),
        }
    }

    fn client(&self, blocks: &Either<ipnet::IpNet>) -> bool {
        let client = self.request.and_then(|request| request.client);
        let ip = client.unwrap_or(self.caller.client).to_canonical();
        blocks.holds(|block| block.contains(&ip))
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

    fn account(&self, account: &str) -> bool {
        let parts = account.split_once('/');
        self.caller.identity.is_some_and(|identity| {
            parts == Some((identity.namespace(), identity.service_account()))
        })
    }

    fn domain(&self, pattern: &super::TrustDomainPattern) -> bool {
        self.caller
            .identity
            .is_some_and(|identity| pattern.matches(identity, self.mesh))
    }
}

// What only requests have.
fn asks_of_request(test: &Test, request: &RequestAttributes<'_>) -> bool {
    let token = request.token;
    let text = |patterns: &Either<Pattern>, value: Option<&str>| {
        patterns.holds(|pattern| value.is_some_and(|value| pattern.matches(value.as_bytes())))
    };
    match test {
        Test::Header(name, values) => crate::route::with_field(request.headers, name, |value| {
            values.holds(|pattern| value.is_some_and(|value| pattern.matches(value)))
        }),
        Test::RequestPrincipal(patterns) => {
            patterns.holds(|pattern| token.is_some_and(|token| pattern.matches(token)))
        }
        Test::RequestAudiences(patterns) => patterns.holds(|pattern| {
            token.is_some_and(|token| {
                token.audience_holds(|value| pattern.matches(value.as_bytes()))
            })
        }),
        Test::RequestPresenter(patterns) => text(patterns, token.map(super::Token::presenter)),
        Test::RequestClaim(names, patterns) => patterns.holds(|pattern| {
            token.is_some_and(|token| {
                token.claim_holds(names, |value| pattern.matches(value.as_bytes()))
            })
        }),
        _ => false,
    }
}

// === impl Observe ===

impl Observe for () {
    const SEES: bool = false;
    fn rule(&mut self, _: &Policy, _: usize, _: Result<(), Unmatched>) {}
    fn empty(&mut self, _: &Policy) {}
}
