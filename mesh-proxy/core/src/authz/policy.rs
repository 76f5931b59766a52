//! Compiled policies.

use std::sync::Arc;

use http::HeaderName;
use ipnet::IpNet;

use super::PolicyAction;
use super::matcher::{NamespacePattern, PathPattern, Pattern, PrincipalPattern};
use super::rule_set::RuleSet;
use super::token::{RequestPrincipalPattern, TrustDomainPattern};
use crate::ir::Origin;

/// All the policies of one workload, by what they do.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    // By the authorizer that they name.
    custom: Vec<(Arc<str>, RuleSet)>,
    deny: RuleSet,
    audit: RuleSet,
    allow: RuleSet,
    dry_deny: RuleSet,
    dry_allow: RuleSet,
}

/// One policy (Istio: AuthorizationPolicy).
#[derive(Clone, Debug)]
pub struct Policy {
    /// `<namespace>/<name>`.
    pub name: Arc<str>,
    /// What a match means.
    pub action: PolicyAction,
    /// Any of these. None: the policy matches nothing.
    pub rules: Vec<Rule>,
    /// Place in the configuration.
    pub origin: Option<Arc<Origin>>,
    /// It decides nothing; what it would do is told.
    pub dry_run: bool,
    /// Name of the external authorizer of a CUSTOM policy.
    pub authorizer: Option<Arc<str>>,
}

/// Any of the sources, and any of the operations, and all of the conditions.
#[derive(Clone, Debug, Default)]
pub struct Rule {
    /// Who; empty is anyone.
    pub from: Vec<Source>,
    /// What; empty is anything.
    pub to: Vec<Operation>,
    /// Further conditions.
    pub when: Vec<Condition>,
    /// Place in the configuration.
    pub origin: Option<Arc<Origin>>,
}

/// Any of the values, and none of the others (Istio: a field and its `not` field). Empty lists
/// say nothing.
#[derive(Clone, Debug)]
pub struct Either<T> {
    /// Any of these.
    pub any: Vec<T>,
    /// None of these.
    pub none: Vec<T>,
}

/// Who calls: all fields must hold.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Identities without `spiffe://`.
    pub principals: Either<PrincipalPattern>,
    /// Namespaces of the identity.
    pub namespaces: Either<NamespacePattern>,
    /// `<namespace>/<service account>` of the identity.
    pub accounts: Either<Box<str>>,
    /// Trust domains of the identity.
    pub trust_domains: Either<TrustDomainPattern>,
    /// Address of the direct peer.
    pub ip_blocks: Either<IpNet>,
    /// Address of the client.
    pub remote_ip_blocks: Either<IpNet>,
    /// Issuer and subject of the request's token. HTTP.
    pub request_principals: Either<RequestPrincipalPattern>,
}

/// What is called: all fields must hold.
#[derive(Clone, Debug, Default)]
pub struct Operation {
    /// Hosts, without regard to case. HTTP.
    pub hosts: Either<Pattern>,
    /// Workload ports.
    pub ports: Either<u16>,
    /// Methods. HTTP.
    pub methods: Either<Pattern>,
    /// Paths. HTTP.
    pub paths: Either<PathPattern>,
}

/// A further condition (Istio: Condition).
#[derive(Clone, Debug)]
pub struct Condition {
    /// The key as Istio writes it, for explanations.
    pub key: Box<str>,
    /// What is compared with what.
    pub test: Test,
}

/// An attribute and the values to compare it with.
#[derive(Clone, Debug)]
pub enum Test {
    /// `request.headers[name]`. HTTP.
    Header(HeaderName, Either<Pattern>),
    /// `source.ip`
    SourceIp(Either<IpNet>),
    /// `remote.ip`
    RemoteIp(Either<IpNet>),
    /// `source.namespace`
    SourceNamespace(Either<NamespacePattern>),
    /// `source.principal`
    SourcePrincipal(Either<PrincipalPattern>),
    /// `source.serviceAccount`
    SourceAccount(Either<Box<str>>),
    /// `source.trustDomain`
    SourceTrustDomain(Either<TrustDomainPattern>),
    /// `request.auth.principal`. HTTP.
    RequestPrincipal(Either<RequestPrincipalPattern>),
    /// `request.auth.audiences`. HTTP.
    RequestAudiences(Either<Pattern>),
    /// `request.auth.presenter`. HTTP.
    RequestPresenter(Either<Pattern>),
    /// `request.auth.claims[name][name]`. HTTP.
    RequestClaim(Vec<Box<str>>, Either<Pattern>),
    /// `destination.ip`
    DestinationIp(Either<IpNet>),
    /// `destination.port`
    DestinationPort(Either<u16>),
    /// `connection.sni`
    ConnectionSni(Either<Pattern>),
}

// === impl PolicySet ===

impl PolicySet {
    /// Sorts by action; the order inside an action stays.
    pub fn new(policies: Vec<Policy>) -> Self {
        let mut lists: [Vec<Policy>; 5] = Default::default();
        let mut custom: Vec<(Arc<str>, Vec<Policy>)> = Vec::new();
        for policy in policies {
            let [deny, audit, allow, dry_deny, dry_allow] = &mut lists;
            match (policy.action, policy.dry_run) {
                (PolicyAction::Deny, false) => deny.push(policy),
                (PolicyAction::Allow, false) => allow.push(policy),
                (PolicyAction::Deny, true) => dry_deny.push(policy),
                (PolicyAction::Allow, true) => dry_allow.push(policy),
                (PolicyAction::Audit, _) => audit.push(policy),
                (PolicyAction::Custom, _) => {
                    let name = policy.authorizer.clone().unwrap_or_default();
                    match custom.iter_mut().find(|(known, _)| *known == name) {
                        Some((_, list)) => list.push(policy),
                        None => custom.push((name, vec![policy])),
                    }
                }
            }
        }
        // Istio: in order of the providers' names.
        custom.sort_by(|(a, _), (b, _)| a.cmp(b));
        let [deny, audit, allow, dry_deny, dry_allow] = lists.map(RuleSet::new);
        Self {
            custom: custom
                .into_iter()
                .map(|(name, list)| (name, RuleSet::new(list)))
                .collect(),
            deny,
            audit,
            allow,
            dry_deny,
            dry_allow,
        }
    }

    /// CUSTOM policies by the authorizer that they name.
    pub fn custom(&self) -> &[(Arc<str>, RuleSet)] {
        &self.custom
    }

    /// DENY policies.
    pub fn deny(&self) -> &RuleSet {
        &self.deny
    }

    /// AUDIT policies.
    pub fn audit(&self) -> &RuleSet {
        &self.audit
    }

    /// ALLOW policies.
    pub fn allow(&self) -> &RuleSet {
        &self.allow
    }

    /// DENY policies that are tried out.
    pub fn dry_deny(&self) -> &RuleSet {
        &self.dry_deny
    }

    /// ALLOW policies that are tried out.
    pub fn dry_allow(&self) -> &RuleSet {
        &self.dry_allow
    }

    /// Whether any policy is tried out.
    pub fn is_tried(&self) -> bool {
        !(self.dry_deny.is_empty() && self.dry_allow.is_empty())
    }

    /// Whether there is no policy: everything is allowed.
    pub fn is_empty(&self) -> bool {
        self.custom.is_empty()
            && self.deny.is_empty()
            && self.audit.is_empty()
            && self.allow.is_empty()
            && !self.is_tried()
    }
}

// === impl Rule ===

impl Rule {
    /// Whether it looks at anything that only HTTP has. On opaque connections such an ALLOW rule
    /// is skipped whole, while other rules drop those fields and so match more (Istio:
    /// pilot/pkg/security/authz/model, `checkError`).
    pub fn needs_http(&self) -> bool {
        self.from.iter().any(Source::needs_http)
            || self.to.iter().any(Operation::needs_http)
            || self.when.iter().any(Condition::needs_http)
    }
}

// === impl Source ===

impl Source {
    /// Whether a field is set that only HTTP has.
    pub fn needs_http(&self) -> bool {
        !self.request_principals.is_empty()
    }
}

// === impl Operation ===

impl Operation {
    /// Whether a field is set that only HTTP has.
    pub fn needs_http(&self) -> bool {
        !(self.hosts.is_empty() && self.methods.is_empty() && self.paths.is_empty())
    }
}

// === impl Condition ===

impl Condition {
    /// Whether it looks at something that only HTTP has.
    pub fn needs_http(&self) -> bool {
        matches!(
            self.test,
            Test::Header(..)
                | Test::RequestPrincipal(_)
                | Test::RequestAudiences(_)
                | Test::RequestPresenter(_)
                | Test::RequestClaim(..)
        )
    }
}

// === impl Either ===

impl<T> Default for Either<T> {
    fn default() -> Self {
        Self {
            any: Vec::new(),
            none: Vec::new(),
        }
    }
}

impl<T> Either<T> {
    /// Whether neither list says anything.
    pub fn is_empty(&self) -> bool {
        self.any.is_empty() && self.none.is_empty()
    }

    /// Whether one of `any` (if there are any) and none of `none` holds.
    pub fn holds(&self, matches: impl Fn(&T) -> bool) -> bool {
        (self.any.is_empty() || self.any.iter().any(&matches)) && !self.none.iter().any(&matches)
    }
}
