//! The live table: who called whom, with what result and how fast.

use std::collections::BTreeMap;

use mesh_proxy_core::labels::{
    ConnectionLabels, PeerLabels, Reporter, RequestProtocol, SecurityPolicy,
};
use serde::{Deserialize, Serialize};

use super::histogram::LatencyTotals;
use super::series::Merged;

/// Calls of one kind between two workloads since the proxy started, as `GET /v1/edges` gives
/// them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Edge {
    /// `source` or `destination`: which side this proxy saw it from.
    pub reporter: String,
    /// The caller.
    pub source: EdgePeer,
    /// The called workload; `unknown` if none was reached.
    pub destination: EdgePeer,
    /// Host name of the called service.
    pub destination_service: String,
    /// `http`, `grpc` or `tcp`.
    pub protocol: String,
    /// Class of the result.
    pub response: ResponseClass,
    /// Whether the connection between the proxies was the mesh's mutual TLS.
    pub mutual_tls: bool,
    /// Requests, or connections of opaque bytes.
    pub count: u64,
    /// Median duration in milliseconds; 0 for opaque bytes.
    pub p50_ms: f64,
    /// Duration in milliseconds that 99 of 100 do not exceed; 0 for opaque bytes.
    pub p99_ms: f64,
    /// Bytes from the caller, opaque bytes only.
    pub bytes_received: u64,
    /// Bytes to the caller, opaque bytes only.
    pub bytes_sent: u64,
}

/// One end of an edge.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EdgePeer {
    /// Name of the workload.
    pub workload: String,
    /// Its namespace.
    pub namespace: String,
    /// Label `version`.
    pub version: String,
    /// Its identity.
    pub principal: String,
}

/// Class of a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ResponseClass {
    /// Opaque bytes without fault.
    #[serde(rename = "tcp")]
    Tcp,
    /// 1xx.
    #[serde(rename = "1xx")]
    Informational,
    /// 2xx.
    #[serde(rename = "2xx")]
    Success,
    /// 3xx.
    #[serde(rename = "3xx")]
    Redirection,
    /// 4xx.
    #[serde(rename = "4xx")]
    ClientError,
    /// 5xx.
    #[serde(rename = "5xx")]
    ServerError,
    /// No answer, or a connection that was refused or broken.
    #[serde(rename = "failed")]
    Failed,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    reporter: &'static str,
    source: EdgePeer,
    destination_service: String,
    destination: EdgePeer,
    protocol: &'static str,
    response: ResponseClass,
    mutual_tls: bool,
}

#[derive(Default)]
struct Sum {
    count: u64,
    latency: LatencyTotals,
    received: u64,
    sent: u64,
}

/// Sorted by caller, service, workload and result.
pub(super) fn summarise(merged: &Merged) -> Vec<Edge> {
    let mut sums: BTreeMap<Key, Sum> = BTreeMap::new();
    for ((labels, _), totals) in &merged.requests {
        let sum = sums
            .entry(key(&labels.connection, class(labels.response_code)))
            .or_default();
        sum.count += totals.total;
        sum.latency.add(&totals.latency);
    }
    for ((labels, _), totals) in &merged.tcp {
        let class = if labels.flags.is_empty() {
            ResponseClass::Tcp
        } else {
            ResponseClass::Failed
        };
        let sum = sums.entry(key(labels, class)).or_default();
        // A connection may be opened under other flags than it is closed under.
        sum.count += totals.opened;
        sum.received += totals.received;
        sum.sent += totals.sent;
    }
    sums.retain(|_, sum| sum.count > 0);
    sums.into_iter().map(|(key, sum)| edge(key, &sum)).collect()
}

fn class(code: u16) -> ResponseClass {
    match code {
        100..=199 => ResponseClass::Informational,
        200..=299 => ResponseClass::Success,
        300..=399 => ResponseClass::Redirection,
        400..=499 => ResponseClass::ClientError,
        500..=599 => ResponseClass::ServerError,
        _ => ResponseClass::Failed,
    }
}

fn key(labels: &ConnectionLabels, response: ResponseClass) -> Key {
    Key {
        reporter: Reporter::as_str(labels.reporter),
        source: peer(&labels.source),
        destination_service: labels.service.host.to_string(),
        destination: peer(&labels.destination),
        protocol: RequestProtocol::as_str(labels.protocol),
        response,
        mutual_tls: labels.security == SecurityPolicy::MutualTls,
    }
}

fn peer(labels: &PeerLabels) -> EdgePeer {
    EdgePeer {
        workload: labels.workload.to_string(),
        namespace: labels.namespace.to_string(),
        version: labels.version.to_string(),
        principal: labels.principal.to_string(),
    }
}

fn edge(key: Key, sum: &Sum) -> Edge {
    Edge {
        reporter: key.reporter.to_owned(),
        source: key.source,
        destination: key.destination,
        destination_service: key.destination_service,
        protocol: key.protocol.to_owned(),
        response: key.response,
        mutual_tls: key.mutual_tls,
        count: sum.count,
        p50_ms: sum.latency.percentile(0.5),
        p99_ms: sum.latency.percentile(0.99),
        bytes_received: sum.received,
        bytes_sent: sum.sent,
    }
}
