//! Compiled policies.

use std::sync::Arc;

use http::HeaderName;
use ipnet::IpNet;

use super::PolicyAction;
use super::matcher::{NamespacePattern, PathPattern, Pattern, PrincipalPattern};
use crate::ir::Origin;

/// All the policies of one workload, DENY before ALLOW.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    deny: Vec<Policy>,
    allow: Vec<Policy>,
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
    /// Address of the direct peer.
    pub ip_blocks: Either<IpNet>,
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
    /// `source.namespace`
    SourceNamespace(Either<NamespacePattern>),
    /// `source.principal`
    SourcePrincipal(Either<PrincipalPattern>),
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
        let (deny, allow) = policies
            .into_iter()
            .partition(|policy| policy.action == PolicyAction::Deny);
        Self { deny, allow }
    }

    /// DENY policies.
    pub fn deny(&self) -> &[Policy] {
        &self.deny
    }

    /// ALLOW policies.
    pub fn allow(&self) -> &[Policy] {
        &self.allow
    }

    /// Whether there is no policy: everything is allowed.
    pub fn is_empty(&self) -> bool {
        self.deny.is_empty() && self.allow.is_empty()
    }
}

// === impl Rule ===

impl Rule {
    /// Whether it looks at anything that only HTTP has. On opaque connections such an ALLOW rule
    /// is skipped whole, while a DENY rule drops those fields and so denies more (Istio:
    /// pilot/pkg/security/authz/model, `checkError`).
    pub fn needs_http(&self) -> bool {
        self.to.iter().any(Operation::needs_http) || self.when.iter().any(Condition::needs_http)
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
        matches!(self.test, Test::Header(..))
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
