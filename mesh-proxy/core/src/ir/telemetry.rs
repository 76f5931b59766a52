//! What the proxy reports, as Telemetry objects say.

use std::sync::Arc;

use http::HeaderName;

use crate::expression::Expression;
use crate::labels::Reporter;

/// What is reported of each side. By default as the proxy was started.
#[derive(Clone, Debug, Default)]
pub struct TelemetryRules {
    /// Of calls that the workload makes, and of all that goes through a gateway.
    pub client: TelemetrySide,
    /// Of calls to the workload.
    pub server: TelemetrySide,
}

/// What is reported of one side.
#[derive(Clone, Debug, Default)]
pub struct TelemetrySide {
    /// What differs from the standard metrics.
    pub metrics: MetricRules,
    /// Values of labels that are to be found for each request, each once.
    pub request_tags: Vec<TagValue>,
    /// The same for each connection of opaque bytes.
    pub connection_tags: Vec<TagValue>,
    /// The rule of the log; absent: as the proxy was started.
    pub log: Option<LogRule>,
    /// How requests are traced; absent: as the proxy was started.
    pub tracing: Option<TraceRule>,
    /// Header fields of requests that anything of this looks at.
    pub headers: Vec<HeaderName>,
}

/// What differs from the standard metrics, by metric.
#[derive(Clone, Debug, Default)]
pub struct MetricRules([Option<MetricRule>; 8]);

/// One of Istio's standard metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// `istio_requests_total`
    RequestCount,
    /// `istio_request_duration_milliseconds`
    RequestDuration,
    /// `istio_request_bytes`
    RequestSize,
    /// `istio_response_bytes`
    ResponseSize,
    /// `istio_tcp_connections_opened_total`
    TcpOpened,
    /// `istio_tcp_connections_closed_total`
    TcpClosed,
    /// `istio_tcp_sent_bytes_total`
    TcpSent,
    /// `istio_tcp_received_bytes_total`
    TcpReceived,
}

/// What differs from one metric.
#[derive(Clone, Debug, Default)]
pub struct MetricRule {
    /// It is not shown.
    pub disabled: bool,
    /// Labels by name: the text of the [`TagValue`] that they have, or (absent) that they are left
    /// out.
    pub tags: Vec<(Arc<str>, Option<Arc<str>>)>,
}

/// A value that is found for each request or connection.
#[derive(Clone, Debug)]
pub struct TagValue {
    /// As it was written: equal texts are equal values.
    pub source: Arc<str>,
    /// The same, parsed.
    pub expression: Expression,
}

/// Whether there is a log, and of what.
#[derive(Clone, Debug)]
pub struct LogRule {
    /// Nothing is logged.
    pub disabled: bool,
    /// Only that for which this holds.
    pub filter: Option<Expression>,
}

/// How requests are traced.
#[derive(Clone, Debug)]
pub struct TraceRule {
    /// No spans, and trace headers pass untouched.
    pub disabled: bool,
    /// Of 1, how many of the traces that begin here are recorded; absent: as the proxy was
    /// started.
    pub fraction: Option<f64>,
    /// Further attributes of spans.
    pub tags: Vec<SpanTag>,
    /// Spans are without the attributes `istio.*`.
    pub without_istio_tags: bool,
    /// Trace headers are read and not written.
    pub without_propagation: bool,
    /// Where spans go; absent: as the proxy was started.
    pub collector: Option<Arc<TraceCollector>>,
}

/// An attribute of spans.
#[derive(Clone, Debug)]
pub struct SpanTag {
    /// Its name.
    pub name: Box<str>,
    /// Where its value comes from.
    pub from: SpanTagSource,
    /// The value where there is none; empty leaves the attribute out.
    pub default: Box<str>,
}

/// Where the value of an attribute comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SpanTagSource {
    /// This text.
    Literal(Box<str>),
    /// A variable of the proxy's environment.
    Environment(Box<str>),
    /// A header field of the request.
    Header(HeaderName),
}

/// A collector of OTLP over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TraceCollector {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path of the request.
    pub path: String,
}

// === impl TelemetryRules ===

impl TelemetryRules {
    /// What holds for those who report as this.
    pub fn side(&self, reporter: Reporter) -> &TelemetrySide {
        match reporter {
            Reporter::Source => &self.client,
            Reporter::Destination => &self.server,
        }
    }
}

// === impl MetricRules ===

impl MetricRules {
    /// What differs from a metric.
    pub fn of(&self, metric: Metric) -> Option<&MetricRule> {
        self.0.get(metric as usize)?.as_ref()
    }

    /// Sets what differs from a metric.
    pub fn set(&mut self, metric: Metric, rule: MetricRule) {
        if let Some(place) = self.0.get_mut(metric as usize) {
            *place = Some(rule);
        }
    }
}

// === impl Metric ===

impl Metric {
    /// Whether it counts requests, not connections.
    pub fn is_of_requests(self) -> bool {
        match self {
            Self::RequestCount | Self::RequestDuration | Self::RequestSize | Self::ResponseSize => {
                true
            }
            Self::TcpOpened | Self::TcpClosed | Self::TcpSent | Self::TcpReceived => false,
        }
    }
}
