//! Connections of opaque bytes against all policies, those with external authorizers included.

use smallvec::SmallVec;

use super::{ask, authorize, inbound_connection, request_checks};
use crate::authz::{Asked, Caller, Observe, PolicySet, Verdict};
use crate::ir::Protocol;
use crate::reason::Reason;
use crate::snapshot::Snapshot;

/// What becomes of a connection of opaque bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpaqueVerdict {
    /// Authorizers over gRPC that have to let it pass, too.
    pub asked: SmallVec<[Asked; 1]>,
    /// A CUSTOM policy selects it whose authorizer cannot be asked about it, which denies.
    pub unasked: Option<Asked>,
    /// What is decided if those that are asked allow.
    pub verdict: Verdict,
}

/// Whether a sidecar's workload may get a connection of opaque bytes, and whom to ask before.
/// Authorizers that speak HTTP cannot be asked about one and are passed over where the port is
/// declared to carry no HTTP (Istio: the same); where it is not, bytes that are no HTTP are no way
/// around one, which denies.
pub fn inbound_opaque(snapshot: &Snapshot, caller: &Caller<'_>) -> OpaqueVerdict {
    let policies = snapshot.inbound().map(|inbound| &inbound.policies);
    let is_declared = declares_opaque(snapshot, caller);
    opaque(snapshot, (policies, is_declared), caller, &mut ())
}

/// The same of a gateway, whose servers say what they carry.
pub fn gateway_opaque(snapshot: &Snapshot, caller: &Caller<'_>) -> OpaqueVerdict {
    let policies = snapshot.gateway().map(|gateway| &gateway.policies);
    opaque(snapshot, (policies, true), caller, &mut ())
}

/// Whether the port that was called is declared to carry no HTTP.
pub(crate) fn declares_opaque(snapshot: &Snapshot, caller: &Caller<'_>) -> bool {
    inbound_connection(snapshot, caller.destination.port())
        .is_some_and(|port| matches!(port.protocol, Protocol::Tcp | Protocol::Tls))
}

pub(crate) fn opaque(
    snapshot: &Snapshot,
    (policies, is_declared): (Option<&PolicySet>, bool),
    caller: &Caller<'_>,
    observe: &mut impl Observe,
) -> OpaqueVerdict {
    let checks = request_checks(snapshot);
    let mut asked = SmallVec::new();
    let mut unasked = None;
    for one in ask(snapshot, policies, caller, None, observe) {
        match checks.and_then(|checks| checks.authorizer(&one.authorizer)) {
            Some(known) if known.http.is_none() => asked.push(one),
            Some(_) if is_declared => {}
            _ => {
                unasked.get_or_insert(one);
            }
        }
    }
    let verdict = match &unasked {
        Some(one) => Verdict::denied(Reason::ExternalAuthorizationFailed, Some(one.by.clone())),
        None => authorize(snapshot, policies, caller, None, observe),
    };
    OpaqueVerdict {
        asked,
        unasked,
        verdict,
    }
}
