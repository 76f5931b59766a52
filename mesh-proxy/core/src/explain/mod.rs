//! The decisions of [`plan`](crate::plan), told: what was looked at, what decided, and where in
//! the configuration that stands. The same functions run, with an observer that writes down.

mod admission;
mod gateway;
mod inbound;
mod outbound;
mod recorder;
mod report;
mod traffic;

pub use gateway::explain_gateway;
pub use inbound::explain_inbound;
pub use outbound::explain_outbound;
pub use report::{
    AdmissionReport, AskedReport, AuthorizationReport, ConditionReport, DestinationReport,
    Direction, EndpointReport, ExplainReport, ExplainRequest, FaultReport, InboundReport,
    InvalidRequest, MirrorReport, OutboundReport, PolicyReport, RetryReport, RouteReport,
    RuleReport, TlsReport, TriedMatch, VerdictReport,
};

use crate::labels::ClientInfo;
use crate::snapshot::Snapshot;

/// Explains what the request asks about. `own` is the proxy's own workload.
///
/// # Errors
/// If the question is malformed. A resource that is missing is no error: the report names it.
pub fn explain(
    snapshot: &Snapshot,
    own: &ClientInfo,
    request: &ExplainRequest,
) -> Result<ExplainReport, InvalidRequest> {
    match request.direction {
        Direction::Outbound => explain_outbound(snapshot, own, request),
        Direction::Inbound => explain_inbound(snapshot, own, request),
        Direction::Gateway => explain_gateway(snapshot, own, request),
    }
}

#[cfg(test)]
mod tests;
