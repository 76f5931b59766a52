//! Who may do what (Istio: AuthorizationPolicy).
//!
//! DENY policies come first, then ALLOW: any deny wins; with at least one ALLOW policy, what
//! none allows is denied. See [`decide`].

mod decide;
mod matcher;
pub mod path;
mod policy;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use mesh_api::SpiffeId;

use crate::ir::Origin;
use crate::reason::Reason;

pub use decide::{Observe, Unmatched, decide};
pub use matcher::{
    BadTemplate, NamespacePattern, PathPattern, Pattern, PrincipalPattern, Template,
};
pub use policy::{Condition, Either, Operation, Policy, PolicySet, Rule, Source, Test};

/// Who is at the other end of an accepted connection, and where it was accepted.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'a> {
    /// The identity that its certificate proved; absent on plain text and on TLS that is passed
    /// through.
    pub identity: Option<&'a SpiffeId>,
    /// Address of the direct peer (Istio: `source.ip`, `ipBlocks`).
    pub source: IpAddr,
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
    /// Path without the query, normalised by [`path::normalise`].
    pub path: &'a str,
    /// Header fields.
    pub headers: &'a http::HeaderMap,
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
}

#[cfg(test)]
mod tests;
