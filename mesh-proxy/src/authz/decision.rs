//! What was decided, by name: in the access log, in metrics and in traces.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use mesh_proxy_core::Reason;
use mesh_proxy_core::authz::{Asked, PolicyRef, Shadow, Verdict};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;

use crate::telemetry::Stages;

/// Counters that one worker keeps at hand.
const MOST_COUNTERS: usize = 4_096;

/// What was decided about a request, and by which policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// The policies in the order in which they spoke.
    pub said: Vec<(Kind, Option<PolicyRef>)>,
}

/// What a policy made of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// It allows.
    Allow,
    /// It denies; without a policy: no ALLOW policy matched.
    Deny,
    /// It is an AUDIT policy.
    Audit,
    /// Its authorizer allows.
    AuthorizerAllow,
    /// Its authorizer denies.
    AuthorizerDeny,
    /// Its authorizer could not be asked, which denies.
    AuthorizerFailed,
    /// Its authorizer could not be asked, which allows.
    AuthorizerFailedOpen,
    /// A token is refused.
    TokenRefused,
    /// A policy that is tried out would allow.
    ShadowAllow,
    /// A policy that is tried out would deny.
    ShadowDeny,
}

/// Labels of the metric of decisions. There are as many as rules in the configuration.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DecisionLabel {
    /// What was decided.
    pub decision: &'static str,
    /// `<namespace>/<name>` of the policy; empty if none matched.
    pub policy: String,
    /// Its rule, from 0.
    pub rule: String,
}

type Key = (Kind, usize, usize);
/// The policy's name, and its counter.
type Held = (Option<Arc<str>>, Counter);

/// A worker's counters by kind, policy and rule. A policy is known by its address, which its
/// entry keeps from being given to another.
#[derive(Default)]
pub(super) struct Counters {
    known: RefCell<HashMap<Key, Held>>,
}

// === impl Kind ===

impl Kind {
    /// Its name in logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::Audit => "audit",
            Self::AuthorizerAllow => "authorizer_allow",
            Self::AuthorizerDeny => "authorizer_deny",
            Self::AuthorizerFailed => "authorizer_failed",
            Self::AuthorizerFailedOpen => "authorizer_failed_open",
            Self::TokenRefused => "token_refused",
            Self::ShadowAllow => "shadow_allow",
            Self::ShadowDeny => "shadow_deny",
        }
    }
}

// === impl Decision ===

impl Decision {
    /// What policies decided; none if there was nothing to say.
    pub fn new(verdict: Verdict) -> Option<Self> {
        let Verdict {
            allowed,
            by,
            audit,
            shadow,
            reason,
        } = verdict;
        let by_policy = by.is_some() || reason == Some(Reason::AuthorizationNotAllowed);
        if !by_policy && audit.is_none() && shadow.is_none() {
            return None;
        }
        let mut said = Vec::with_capacity(3);
        if by_policy {
            said.push((if allowed { Kind::Allow } else { Kind::Deny }, by));
        }
        said.extend(audit.map(|by| (Kind::Audit, Some(by))));
        said.extend(shadow.map(|Shadow { allowed, by }| {
            let kind = if allowed {
                Kind::ShadowAllow
            } else {
                Kind::ShadowDeny
            };
            (kind, by)
        }));
        Some(Self { said })
    }

    pub(super) fn of_token(reason: Reason, policy: Arc<str>) -> Self {
        tracing::debug!(%policy, %reason, "a token is refused");
        let by = PolicyRef {
            name: policy,
            rule: 0,
            origin: None,
        };
        Self {
            said: vec![(Kind::TokenRefused, Some(by))],
        }
    }

    pub(super) fn of_authorizer(asked: Asked, denied: Option<Reason>) -> Self {
        let kind = match denied {
            None => Kind::AuthorizerAllow,
            Some(Reason::ExternalAuthorizationDenied) => Kind::AuthorizerDeny,
            Some(_) => Kind::AuthorizerFailed,
        };
        Self {
            said: vec![(kind, Some(asked.by))],
        }
    }

    /// The failure of its authorizer allows.
    pub(super) fn pass(&mut self) {
        for (kind, _) in &mut self.said {
            *kind = Kind::AuthorizerFailedOpen;
        }
    }

    /// What others said after it.
    pub(super) fn add(&mut self, later: Self) {
        self.said.extend(later.said);
    }
}

impl fmt::Display for Decision {
    /// `deny ns[default]-policy[name]-rule[0]`; several are parted by commas.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for (kind, by) in &self.said {
            write!(f, "{separator}{}", kind.as_str())?;
            if let Some(by) = by {
                write!(f, " {by}")?;
            }
            separator = ", ";
        }
        Ok(())
    }
}

// === impl Counters ===

impl Counters {
    pub(super) fn count(&self, stages: &Stages, decision: &Decision) {
        let mut known = self.known.borrow_mut();
        for (kind, by) in &decision.said {
            let (address, rule) = by
                .as_ref()
                .map_or((0, 0), |by| (by.name.as_ptr().addr(), by.rule));
            if known.len() >= MOST_COUNTERS {
                known.clear();
            }
            let (_, counter) = known.entry((*kind, address, rule)).or_insert_with(|| {
                let name = by.as_ref().map(|by| Arc::clone(&by.name));
                let label = DecisionLabel {
                    decision: kind.as_str(),
                    policy: name.as_deref().unwrap_or_default().to_owned(),
                    rule: by
                        .as_ref()
                        .map(|by| by.rule.to_string())
                        .unwrap_or_default(),
                };
                let counter = stages.decisions.get_or_create(&label).clone();
                (name, counter)
            });
            counter.inc();
        }
    }
}
