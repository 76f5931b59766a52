//! Certificates of servers in this process.

use std::sync::Arc;
use std::time::SystemTime;

use super::Authority;
use crate::clock;
use crate::issue::{Issue, Issued, Refusal};
use crate::ledger::{self, IssuedLeaf, Ledger};

// === impl Authority ===

impl Authority {
    /// Writes certificates of servers in this process down here, from now on.
    pub fn record_in(&self, ledger: &Arc<Ledger>) {
        // The first one stays.
        let _ = self.ledger.set(Arc::clone(ledger));
    }

    /// [`Self::issue`] for a server in this process.
    pub(crate) fn issue_own(&self, request: &Issue, now: SystemTime) -> Result<Issued, Refusal> {
        let issued = self.issue_leaf(request, now)?;
        if let Some(ledger) = self.ledger.get() {
            let leaf = IssuedLeaf {
                serial: issued.serial.clone(),
                identity: request.identity.clone(),
                workload: None,
                previous: None,
                root: issued.root,
                not_after: clock::unix_seconds(issued.not_after),
            };
            ledger
                .issued(ledger::OWN, leaf, now)
                .map_err(|_| Refusal::Internal)?;
        }
        Ok(issued)
    }
}
