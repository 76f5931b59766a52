//! The decisions of [`plan`](crate::plan), told: what was looked at, what decided, and where in
//! the configuration that stands. The same functions run, with an observer that writes down.

mod inbound;
mod outbound;
mod report;

pub use inbound::explain_inbound;
pub use outbound::{explain_gateway, explain_outbound};
pub use report::{
    ConditionReport, DestinationReport, EndpointReport, ExplainReport, ExplainRequest, FaultReport, InboundReport,
    InvalidRequest, MirrorReport, OutboundReport, PolicyReport, RetryReport, RouteReport, RuleReport, TriedMatch,
    VerdictReport,
};

#[cfg(test)]
mod tests;
