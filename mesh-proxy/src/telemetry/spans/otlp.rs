//! OTLP in JSON (OpenTelemetry protocol specification, "JSON Protobuf Encoding"): identifiers
//! are hexadecimal, 64-bit numbers are strings.

use std::time::{Duration, SystemTime};

use mesh_proxy_core::trace::{SpanContext, hex};
use serde_json::{Value, json};

use super::kind;
use crate::settings::Settings;
use crate::telemetry::record::RequestRecord;

/// A span, as it is sent.
pub(super) struct Span(Value);

/// Who sends spans.
pub(super) struct Resource(Value);

// === impl Span ===

impl Span {
    pub(super) fn new(context: &SpanContext, record: &RequestRecord<'_>) -> Self {
        let connection = &record.labels.connection;
        let host = &connection.service.host;
        let name = match host.as_ref() {
            "" | "unknown" => record.authority,
            host => host,
        };
        let status = record.labels.response_code;
        let grpc = record.labels.grpc_status;
        let mut attributes = vec![
            text("http.request.method", record.method),
            text("url.path", without_query(record.path)),
            text("server.address", record.authority),
            text("network.protocol.name", record.protocol),
            text("guid:x-request-id", record.request_id),
            text("user_agent.original", record.user_agent),
            text("upstream_cluster.name", record.flow.upstream_cluster),
            text("upstream_address", record.flow.upstream_host),
            text("response_flags", &connection.flags.to_string()),
            text(
                "istio.canonical_service",
                &connection.destination.canonical_service,
            ),
            text("mesh.source", &connection.source.workload),
            text("mesh.destination", &connection.destination.workload),
            number("http.response.status_code", i64::from(status)),
            number(
                "http.request.body.size",
                bounded(record.flow.bytes_received),
            ),
            number("http.response.body.size", bounded(record.flow.bytes_sent)),
        ];
        if let Some(reason) = record.flow.reason {
            attributes.push(text("mesh.reason", reason.as_str()));
        }
        if let Some(decision) = record.flow.decision {
            attributes.push(text("mesh.authz", &decision.to_string()));
        }
        if let Some(grpc) = grpc {
            attributes.push(number("rpc.grpc.status_code", i64::from(grpc)));
        }
        // A server fails by 5xx, a client's request by 4xx, too (OpenTelemetry's HTTP
        // conventions); 0 is a caller that went away.
        let client = kind(connection.reporter) == 3;
        let failed = status >= 500 || status == 0 || (client && status >= 400);
        let end = record.flow.start + record.flow.duration;
        let mut span = json!({
            "traceId": hex(&context.trace),
            "spanId": hex(&context.span),
            "name": name,
            "kind": kind(connection.reporter),
            "startTimeUnixNano": nanoseconds(record.flow.start),
            "endTimeUnixNano": nanoseconds(end),
            "attributes": attributes.into_iter().flatten().collect::<Vec<Value>>(),
            "status": { "code": if failed { 2 } else { 0 } },
        });
        if let (Some(parent), Some(fields)) = (&context.parent, span.as_object_mut()) {
            fields.insert("parentSpanId".to_owned(), hex(parent).into());
        }
        Self(span)
    }
}

// === impl Resource ===

impl Resource {
    /// Istio names services of traces `<canonical name>.<namespace>`.
    pub(super) fn of(settings: &Settings) -> Self {
        let label = |name: &str| settings.labels.get(name).map(String::as_str);
        let workload = &settings.workload;
        let service = label("service.istio.io/canonical-name")
            .or_else(|| label("app.kubernetes.io/name"))
            .or_else(|| label("app"))
            .unwrap_or(workload.name());
        let version = label("service.istio.io/canonical-revision")
            .or_else(|| label("app.kubernetes.io/version"))
            .or_else(|| label("version"))
            .unwrap_or_default();
        let attributes = [
            text(
                "service.name",
                &format!("{service}.{}", workload.namespace()),
            ),
            text("service.namespace", workload.namespace()),
            text("service.instance.id", workload.name()),
            text("service.version", version),
            text("k8s.cluster.name", &settings.cluster),
        ];
        Self(json!({ "attributes": attributes.into_iter().flatten().collect::<Vec<Value>>() }))
    }
}

/// An `ExportTraceServiceRequest`.
pub(super) fn message(resource: &Resource, spans: &[Span]) -> Vec<u8> {
    let spans: Vec<&Value> = spans.iter().map(|span| &span.0).collect();
    json!({
        "resourceSpans": [{
            "resource": resource.0,
            "scopeSpans": [{
                "scope": { "name": "mesh-proxy", "version": env!("CARGO_PKG_VERSION") },
                "spans": spans,
            }],
        }],
    })
    .to_string()
    .into_bytes()
}

fn text(key: &str, value: &str) -> Option<Value> {
    (!value.is_empty()).then(|| json!({ "key": key, "value": { "stringValue": value } }))
}

fn number(key: &str, value: i64) -> Option<Value> {
    Some(json!({ "key": key, "value": { "intValue": value.to_string() } }))
}

fn bounded(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

// Queries hold what belongs in no trace.
fn without_query(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

fn nanoseconds(time: SystemTime) -> String {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_nanos()
        .to_string()
}
