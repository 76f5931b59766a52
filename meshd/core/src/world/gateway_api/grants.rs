//! What objects of one namespace may refer to in another (Gateway API: ReferenceGrant).

use std::collections::HashMap;
use std::sync::Arc;

use crate::model::{GATEWAY_API, Kind, ReferenceGrant};

/// ReferenceGrants by their namespace, which is that of what is referred to.
pub(super) struct Grants<'o> {
    by_namespace: HashMap<&'o str, Vec<&'o ReferenceGrant>>,
}

// === impl Grants ===

impl<'o> Grants<'o> {
    pub(super) fn new(grants: &'o [Arc<ReferenceGrant>]) -> Self {
        let mut by_namespace: HashMap<&str, Vec<&ReferenceGrant>> = HashMap::new();
        for grant in grants {
            let namespace = grant.meta.namespace();
            by_namespace.entry(namespace).or_default().push(grant);
        }
        Self { by_namespace }
    }

    /// Whether objects of a kind of the Gateway API in namespace `from` may refer to a core
    /// object of another namespace.
    pub(super) fn allow(
        &self,
        (kind, from): (Kind, &str),
        (to_kind, namespace, name): (&str, &str, &str),
    ) -> bool {
        let grants = self.by_namespace.get(namespace);
        grants.into_iter().flatten().any(|grant| {
            let from_here = grant.from.iter().any(|one| {
                one.group == GATEWAY_API && one.kind == kind.name() && one.namespace == from
            });
            let to_it = grant.to.iter().any(|one| {
                one.group.is_empty()
                    && one.kind == to_kind
                    && one.name.as_deref().is_none_or(|only| only == name)
            });
            from_here && to_it
        })
    }
}
