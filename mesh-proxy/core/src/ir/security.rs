//! What is asked of requests besides authorization policies.

use std::sync::Arc;

use crate::authz::Authorizer;
use crate::jwt::TokenRules;

/// What is asked of requests besides authorization policies.
#[derive(Clone, Debug, Default)]
pub struct RequestChecks {
    /// Which tokens are taken.
    pub tokens: TokenRules,
    /// Whom CUSTOM policies name.
    pub authorizers: Vec<Arc<Authorizer>>,
}

// === impl RequestChecks ===

impl RequestChecks {
    /// An authorizer by name.
    pub fn authorizer(&self, name: &str) -> Option<&Arc<Authorizer>> {
        self.authorizers.iter().find(|known| *known.name == *name)
    }
}
