//! What the data path tells of one request or connection.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use mesh_proxy_core::Reason;
use mesh_proxy_core::ir::TelemetrySide;
use mesh_proxy_core::labels::{ConnectionLabels, RequestLabels};
use mesh_proxy_core::trace::SpanContext;

use super::rules::RequestRules;
use crate::authz::Decision;

/// One HTTP request, whole. Recorded when the response has ended or was cut.
///
/// `labels.connection.security` is how the connection really was secured, on both sides; what
/// Istio's metrics hide at the source is hidden when they are written.
#[derive(Debug, Clone)]
pub struct RequestRecord<'a> {
    /// Who, what, with what result.
    pub labels: &'a RequestLabels,
    /// The part that requests and connections have in common.
    pub flow: FlowRecord<'a>,
    /// From the request sent to the head of the upstream's response.
    pub upstream_service_time: Option<Duration>,
    /// Method.
    pub method: &'a str,
    /// Path and query as received.
    pub path: &'a str,
    /// `HTTP/1.1`, `HTTP/2`.
    pub protocol: &'a str,
    /// `x-forwarded-for`; may be empty.
    pub forwarded_for: &'a str,
    /// `user-agent`; may be empty.
    pub user_agent: &'a str,
    /// `x-request-id`; may be empty.
    pub request_id: &'a str,
    /// Host and port that were asked for.
    pub authority: &'a str,
    /// Its place in a trace, if requests are traced.
    pub span: Option<SpanContext>,
    /// What Telemetry objects say of it, with what they need of its head.
    pub rules: Option<&'a RequestRules>,
}

/// One connection of opaque bytes, whole. Recorded when it has ended.
#[derive(Debug, Clone)]
pub struct TcpRecord<'a> {
    /// Who, and with what result.
    pub labels: &'a ConnectionLabels,
    /// The part that requests and connections have in common.
    pub flow: FlowRecord<'a>,
    /// Its place in a trace, if a policy decided about it and it is recorded.
    pub span: Option<SpanContext>,
}

/// What requests and connections have in common.
#[derive(Debug, Clone)]
pub struct FlowRecord<'a> {
    /// When the request's head was read, or the connection accepted.
    pub start: SystemTime,
    /// From there to the end.
    pub duration: Duration,
    /// Why the proxy answered, refused or gave up; absent for what the upstream answered.
    pub reason: Option<Reason>,
    /// Why the proxy ended the connection; may be empty.
    pub termination: &'a str,
    /// Why TLS or the connection to the upstream failed; may be empty.
    pub upstream_failure: &'a str,
    /// Bytes from the caller; of a request's body without its head.
    pub bytes_received: u64,
    /// Bytes to the caller; of a response's body without its head.
    pub bytes_sent: u64,
    /// Address of the endpoint; may be empty.
    pub upstream_host: &'a str,
    /// Name of the cluster, in Istio's form `outbound|9080|v1|reviews.…`; may be empty.
    pub upstream_cluster: &'a str,
    /// This proxy's address on the connection to the upstream.
    pub upstream_local: Option<SocketAddr>,
    /// Address that the caller connected to.
    pub downstream_local: Option<SocketAddr>,
    /// Address of the caller.
    pub downstream_remote: Option<SocketAddr>,
    /// Server name of the caller's TLS; may be empty.
    pub server_name: &'a str,
    /// Name of the route; may be empty.
    pub route: &'a str,
    /// What policies decided; absent if none had a say.
    pub decision: Option<&'a Decision>,
    /// What Telemetry objects say of it.
    pub telemetry: Option<&'a TelemetrySide>,
}

impl FlowRecord<'_> {
    /// A flow that nothing is known of but its start and duration.
    pub fn new(start: SystemTime, duration: Duration) -> Self {
        Self {
            start,
            duration,
            reason: None,
            termination: "",
            upstream_failure: "",
            bytes_received: 0,
            bytes_sent: 0,
            upstream_host: "",
            upstream_cluster: "",
            upstream_local: None,
            downstream_local: None,
            downstream_remote: None,
            server_name: "",
            route: "",
            decision: None,
            telemetry: None,
        }
    }
}
