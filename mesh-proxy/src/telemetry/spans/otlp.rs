//! OTLP in JSON (OpenTelemetry protocol specification, "JSON Protobuf Encoding"): identifiers
//! are hexadecimal, 64-bit numbers are strings.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use mesh_proxy_core::Reason;
use mesh_proxy_core::labels::{ConnectionLabels, Reporter, UNKNOWN};
use mesh_proxy_core::trace::{SpanContext, hex};
use serde_json::{Value, json};

use crate::settings::Settings;
use crate::telemetry::record::{FlowRecord, RequestRecord, TcpRecord};
use crate::telemetry::rules::span_tags;

/// A span, as it is sent.
pub(in crate::telemetry) struct Span(Value);

/// Who sends spans.
pub(super) struct Resource(Value);

/// OpenTelemetry's `SpanKind`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Server = 2,
    Client = 3,
}

/// What a span tells beside its times and its place in the trace.
struct Told<'a> {
    name: &'a str,
    kind: Kind,
    failed: bool,
    attributes: Vec<Option<Value>>,
}

// === impl Span ===

impl Span {
    /// What is told of a recorded request.
    pub(in crate::telemetry) fn of_request(
        context: &SpanContext,
        record: &RequestRecord<'_>,
    ) -> Self {
        let connection = &record.labels.connection;
        let status = record.labels.response_code;
        let flow = &record.flow;
        let mut attributes = vec![
            text("http.request.method", record.method),
            text("url.path", without_query(record.path)),
            text("server.address", record.authority),
            text("network.protocol.name", record.protocol),
            text("guid:x-request-id", record.request_id),
            text("user_agent.original", record.user_agent),
            number("http.response.status_code", i64::from(status)),
            number("http.request.body.size", bounded(flow.bytes_received)),
            number("http.response.body.size", bounded(flow.bytes_sent)),
        ];
        if let Some(grpc) = record.labels.grpc_status {
            attributes.push(number("rpc.grpc.status_code", i64::from(grpc)));
        }
        attributes.extend(common(connection, flow));
        let rules = flow.telemetry.and_then(|rules| rules.tracing.as_ref());
        if rules.is_some_and(|rules| rules.without_istio_tags) {
            attributes.retain(|attribute| !is_istio_tag(attribute.as_ref()));
        }
        attributes.extend(span_tags(record).map(|(name, value)| text(name, &value)));
        let kind = match connection.reporter {
            Reporter::Source => Kind::Client,
            Reporter::Destination => Kind::Server,
        };
        let told = Told {
            name: host(connection).unwrap_or(record.authority),
            kind,
            // A server fails by 5xx, a client's request by 4xx, too (OpenTelemetry's HTTP
            // conventions); 0 is a caller that went away.
            failed: status >= 500 || status == 0 || (kind == Kind::Client && status >= 400),
            attributes,
        };
        Self::new(context, flow, told)
    }

    /// What is told of a recorded connection of opaque bytes. This proxy is the server of whoever
    /// opened it, at gateways, too. It failed if this proxy refused or cut it, or one side broke.
    pub(in crate::telemetry) fn of_connection(
        context: &SpanContext,
        record: &TcpRecord<'_>,
    ) -> Self {
        let (connection, flow) = (record.labels, &record.flow);
        let ip = |address: Option<SocketAddr>| address.map(|address| address.ip().to_canonical());
        let shown = |address| ip(address).map_or_else(String::new, |ip| ip.to_string());
        let port = |name, address: Option<SocketAddr>| number(name, i64::from(address?.port()));
        let (client, server) = (flow.downstream_remote, flow.downstream_local);
        let host = host(connection);
        // A sidecar's clients are proxies of the mesh, whose server names are not the client's.
        let asked = match connection.reporter {
            Reporter::Source if !flow.server_name.is_empty() => Some(flow.server_name),
            Reporter::Source | Reporter::Destination => host,
        };
        let family = ip(server).map_or("", |ip| if ip.is_ipv4() { "ipv4" } else { "ipv6" });
        let mut attributes = vec![
            text("network.transport", "tcp"),
            text("network.type", family),
            text("network.local.address", &shown(server)),
            port("network.local.port", server),
            text("client.address", &shown(client)),
            port("client.port", client),
            text("server.address", asked.unwrap_or(&shown(server))),
            port("server.port", server),
        ];
        if let Some(reason) = flow.reason {
            attributes.push(text("error.type", reason.as_str()));
        }
        attributes.extend(common(connection, flow));
        let told = Told {
            name: host.unwrap_or("tcp"),
            kind: Kind::Server,
            failed: flow.reason.is_some(),
            attributes,
        };
        Self::new(context, flow, told)
    }

    fn new(context: &SpanContext, flow: &FlowRecord<'_>, told: Told<'_>) -> Self {
        let end = flow.start + flow.duration;
        let mut span = json!({
            "traceId": hex(&context.trace),
            "spanId": hex(&context.span),
            "name": told.name,
            "kind": told.kind as u8,
            "startTimeUnixNano": nanoseconds(flow.start),
            "endTimeUnixNano": nanoseconds(end),
            "attributes": told.attributes.into_iter().flatten().collect::<Vec<Value>>(),
            "status": { "code": if told.failed { 2 } else { 0 } },
        });
        if let (Some(parent), Some(fields)) = (&context.parent, span.as_object_mut()) {
            fields.insert("parentSpanId".to_owned(), hex(parent).into());
        }
        Self(span)
    }
}

/// What requests and connections have in common: who called whom, and what was decided.
fn common(connection: &ConnectionLabels, flow: &FlowRecord<'_>) -> [Option<Value>; 9] {
    let (source, destination) = (&connection.source, &connection.destination);
    let principal = Some(&*source.principal).filter(|principal| *principal != UNKNOWN);
    let decision = flow.decision.map(ToString::to_string);
    [
        text("upstream_cluster.name", flow.upstream_cluster),
        text("upstream_address", flow.upstream_host),
        text("response_flags", &connection.flags.to_string()),
        text("istio.canonical_service", &destination.canonical_service),
        text("mesh.source", &source.workload),
        text("mesh.source_principal", principal.unwrap_or_default()),
        text("mesh.destination", &destination.workload),
        text("mesh.reason", flow.reason.map_or("", Reason::as_str)),
        text("mesh.authz", &decision.unwrap_or_default()),
    ]
}

/// The service that was called, if it is known.
fn host(connection: &ConnectionLabels) -> Option<&str> {
    Some(&*connection.service.host).filter(|host| !host.is_empty() && *host != UNKNOWN)
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

fn is_istio_tag(attribute: Option<&Value>) -> bool {
    let name = attribute.and_then(|attribute| attribute.get("key")?.as_str());
    name.is_some_and(|name| name.starts_with("istio."))
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
