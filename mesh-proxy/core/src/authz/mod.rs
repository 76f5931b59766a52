//! Who may do what (Istio: AuthorizationPolicy).
//!
//! CUSTOM policies come first: they name external authorizers, see [`ask`]. Then DENY, then
//! ALLOW: any deny wins; with at least one ALLOW policy, what none allows is denied. AUDIT
//! policies and those that are tried out (dry-run) decide nothing and are told with the
//! decision. See [`decide`].

mod authorizer;
mod decide;
mod guard;
mod matcher;
pub mod path;
mod policy;
mod rule_set;
mod token;

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mesh_api::SpiffeId;

use crate::ir::Origin;
use crate::reason::Reason;

pub use authorizer::{Authorizer, BodyLimit, HeaderPattern, HttpQuestion, put};
pub use decide::{Observe, Unmatched, ask, decide};
pub use matcher::{
    BadTemplate, NamespacePattern, PathPattern, Pattern, PrincipalPattern, Template,
};
pub use policy::{Condition, Either, Operation, Policy, PolicySet, Rule, Source, Test};
pub use rule_set::RuleSet;
pub use token::{RequestPrincipalPattern, Token, TrustDomainPattern};

/// Who is at the other end of an accepted connection, and where it was accepted.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The identity that its certificate proved; absent on plain text and on TLS that is passed
    /// through.
    pub identity: Option<&'a SpiffeId>,
    /// Address of the direct peer (Istio: `source.ip`, `ipBlocks`).
    pub source: IpAddr,
    /// Address of the client, if a PROXY header told it; else that of the peer (Istio:
    /// `remote.ip`, `remoteIpBlocks`).
    pub client: IpAddr,
    /// Address and port that it connected to. The port is the workload's (Istio:
    /// `destination.port`).
    pub destination: SocketAddr,
    /// Server name of its ClientHello (Istio: `connection.sni`).
    pub sni: Option<&'a str>,
}

/// The parts of a request that policies look at.
#[derive(Clone, Copy, Debug)]
pub struct RequestAttributes<'a> {
    /// Host or `:authority`, as sent.
    pub host: &'a str,
    /// Method.
    pub method: &'a str,
    /// Path without the query, in normal form.
    pub path: &'a str,
    /// Header fields.
    pub headers: &'a http::HeaderMap,
    /// Address of the client as trusted proxies tell; absent: that of the caller.
    pub client: Option<IpAddr>,
    /// Its token, verified; absent if it has none.
    pub token: Option<&'a Token>,
}

/// The answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may go on.
    pub allowed: bool,
    /// The rule that decided; absent if no policy matched.
    pub by: Option<PolicyRef>,
    /// Why it was denied; absent if allowed.
    pub reason: Option<Reason>,
    /// The AUDIT policy that matched.
    pub audit: Option<PolicyRef>,
    /// What policies that are tried out would make of it; absent if there are none.
    pub shadow: Option<Shadow>,
}

/// What would be decided if policies that are tried out were in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shadow {
    /// Whether it might go on.
    pub allowed: bool,
    /// The rule that would decide; absent if no policy matched.
    pub by: Option<PolicyRef>,
}

/// An external authorizer that has to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Its name.
    pub authorizer: Arc<str>,
    /// The rule that says so.
    pub by: PolicyRef,
}

/// One rule of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRef {
    /// `<namespace>/<name>` of the policy.
    pub name: Arc<str>,
    /// Which of its rules, from 0.
    pub rule: usize,
    /// Place of the rule, or of the policy.
    pub origin: Option<Arc<Origin>>,
}

/// What a match means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PolicyAction {
    /// Allowed.
    Allow,
    /// Denied.
    Deny,
    /// Told, and no more.
    Audit,
    /// An external authorizer is asked.
    Custom,
}

// === impl Verdict ===

impl Verdict {
    /// It may go on.
    pub const fn allowed(by: Option<PolicyRef>) -> Self {
        Self {
            allowed: true,
            by,
            reason: None,
            audit: None,
            shadow: None,
        }
    }

    /// It may not.
    pub const fn denied(reason: Reason, by: Option<PolicyRef>) -> Self {
        Self {
            allowed: false,
            by,
            reason: Some(reason),
            audit: None,
            shadow: None,
        }
    }
}

// === impl PolicyRef ===

impl fmt::Display for PolicyRef {
    /// In Istio's form, `ns[default]-policy[name]-rule[0]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (namespace, name) = self.name.split_once('/').unwrap_or(("", &self.name));
        write!(f, "ns[{namespace}]-policy[{name}]-rule[{}]", self.rule)
    }
}

// === impl PolicyAction ===

impl PolicyAction {
    /// Istio's name of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Deny => "DENY",
            Self::Audit => "AUDIT",
            Self::Custom => "CUSTOM",
        }
    }
}

#[cfg(test)]
mod tests;
