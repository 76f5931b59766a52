//! What a connection of opaque bytes has to pass.
//!
//! There is no request to look at, and so no token. Authorizers over gRPC are asked once for each
//! connection; those over HTTP cannot be, and are passed over where the port is declared to carry
//! no HTTP (Istio: the same). Where it is not declared, bytes that are no HTTP are no way around
//! one.

use std::cell::RefCell;
use std::sync::Arc;

use mesh_proxy_core::authz::{Asked, Caller};
use mesh_proxy_core::plan::{self, OpaqueVerdict};
use mesh_proxy_core::{Reason, Snapshot};

use super::ask::{self, Answer};
use super::{Asker, Decision, Side};
use crate::worker::Worker;

/// What is decided about a connection.
#[derive(Debug)]
pub(crate) struct TcpVerdict {
    denied: Option<Reason>,
    // Authorizers have to be asked before.
    open: bool,
    decision: Option<Decision>,
}

/// Authorizers that have let one connection pass. They are not asked again for it, also if the
/// policies change.
#[derive(Default)]
pub(crate) struct Passed {
    /// Their names, and whether they were told an identity.
    by: RefCell<Vec<(Arc<str>, bool)>>,
    /// What they said, until it is told.
    said: RefCell<Option<Decision>>,
}

// === impl Passed ===

impl Passed {
    fn has(&self, name: &Arc<str>, caller: &Caller<'_>) -> bool {
        let identified = caller.identity.is_some();
        let by = self.by.borrow();
        by.iter()
            .any(|(by, told)| by == name && *told == identified)
    }

    fn add(&self, caller: &Caller<'_>, name: Arc<str>, decision: Decision) {
        self.by.borrow_mut().push((name, caller.identity.is_some()));
        match &mut *self.said.borrow_mut() {
            Some(said) => said.add(decision),
            none => *none = Some(decision),
        }
    }
}

// === impl Side ===

impl Side {
    /// Decides without asking anybody.
    pub(crate) fn decide_tcp(
        self,
        snapshot: &Snapshot,
        caller: &Caller<'_>,
        passed: &Passed,
    ) -> TcpVerdict {
        let OpaqueVerdict {
            asked,
            unasked,
            verdict,
        } = self.opaque(snapshot, caller);
        if let Some(unasked) = unasked {
            return TcpVerdict::failed(unasked);
        }
        let denied =
            (!verdict.allowed).then(|| verdict.reason.unwrap_or(Reason::AuthorizationDenied));
        let mut asked = asked.into_iter();
        TcpVerdict {
            denied,
            open: asked.any(|asked| !passed.has(&asked.authorizer, caller)),
            decision: Decision::new(verdict),
        }
    }

    fn opaque(self, snapshot: &Snapshot, caller: &Caller<'_>) -> OpaqueVerdict {
        match self {
            Self::Sidecar => plan::inbound_opaque(snapshot, caller),
            Self::Gateway => plan::gateway_opaque(snapshot, caller),
        }
    }
}

// === impl TcpVerdict ===

impl TcpVerdict {
    fn failed(asked: Asked) -> Self {
        Self::refused(asked, Reason::ExternalAuthorizationFailed)
    }

    fn refused(asked: Asked, reason: Reason) -> Self {
        Self {
            denied: Some(reason),
            open: false,
            decision: Some(Decision::of_authorizer(asked, Some(reason))),
        }
    }

    /// An error says why it may not go on.
    pub(crate) fn allowed(&self) -> Result<(), Reason> {
        match self.denied {
            None if self.open => Err(Reason::ExternalAuthorizationFailed),
            None => Ok(()),
            Some(reason) => Err(reason),
        }
    }

    /// Whether all that is missing, if anything is, is the word of authorizers.
    pub(crate) fn may_pass(&self) -> bool {
        self.denied.is_none()
    }

    /// Counts what was decided, and gives it for the record of the connection.
    pub(crate) fn counted(self, worker: &Worker, passed: &Passed) -> Option<Box<Decision>> {
        let decision = match (passed.said.take(), self.decision) {
            (Some(mut said), Some(decision)) => {
                said.add(decision);
                said
            }
            (Some(said), None) => said,
            (None, decision) => decision?,
        };
        let stages = &worker.shared.telemetry.stages;
        worker.authz.counters.count(stages, &decision);
        Some(Box::new(decision))
    }
}

// === impl Asker ===

impl Asker<'_> {
    /// Asks the authorizers that have not let the connection pass yet, and decides. None is asked
    /// if the policies deny already what they know.
    pub(crate) async fn check_tcp(&self, passed: &Passed) -> TcpVerdict {
        loop {
            let snapshot = self.worker.shared.snapshot();
            let verdict = self.side.decide_tcp(&snapshot, &self.caller, passed);
            if !(verdict.open && verdict.may_pass()) {
                return verdict;
            }
            for asked in self.side.opaque(&snapshot, &self.caller).asked {
                if let Err(refused) = self.connection_passes(&snapshot, asked, passed).await {
                    return refused;
                }
            }
            // There may be another configuration by now, which names others.
        }
    }

    async fn connection_passes(
        &self,
        snapshot: &Snapshot,
        asked: Asked,
        passed: &Passed,
    ) -> Result<(), TcpVerdict> {
        if passed.has(&asked.authorizer, &self.caller) {
            return Ok(());
        }
        let checks = plan::request_checks(snapshot);
        let authorizer = checks.and_then(|checks| checks.authorizer(&asked.authorizer));
        let Some(authorizer) = authorizer else {
            return Err(TcpVerdict::failed(asked));
        };
        let answered = Box::pin(ask::about_connection(self, snapshot, authorizer)).await;
        let name = Arc::clone(&asked.authorizer);
        let decision = match answered {
            Answer::Allowed(_) => Decision::of_authorizer(asked, None),
            Answer::Failed(error) => {
                tracing::debug!(%error, authorizer = %name, "an external authorizer cannot be asked");
                if !authorizer.fail_open {
                    return Err(TcpVerdict::failed(asked));
                }
                let reason = Reason::ExternalAuthorizationFailed;
                let mut decision = Decision::of_authorizer(asked, Some(reason));
                decision.pass();
                decision
            }
            Answer::Denied(_) | Answer::TooLarge | Answer::Gone => {
                let reason = Reason::ExternalAuthorizationDenied;
                return Err(TcpVerdict::refused(asked, reason));
            }
        };
        passed.add(&self.caller, name, decision);
        Ok(())
    }
}
