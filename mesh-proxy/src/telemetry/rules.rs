//! What Telemetry objects say, on its way to the data path, and what they ask of a record.

use std::borrow::Cow;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue};
use mesh_proxy_core::expression::{Attribute, Facts, Value};
use mesh_proxy_core::ir::{
    SpanTag, SpanTagSource, TagValue, TelemetryRules, TelemetrySide, TraceRule,
};
use mesh_proxy_core::labels::{ConnectionLabels, Reporter, SecurityPolicy, UNKNOWN};
use tokio::sync::watch;

use super::record::{FlowRecord, RequestRecord, TcpRecord};
use crate::settings::{DEFAULT_FRACTION, Tracing};

/// One worker's view of the rules in force. As long as the snapshot is the same, looking costs one
/// load of a number.
pub struct LiveRules {
    epoch: watch::Receiver<u64>,
    rules: Option<Arc<TelemetryRules>>,
}

/// The rules for one request, and what they need of its head.
#[derive(Debug)]
pub struct RequestRules {
    rules: Arc<TelemetryRules>,
    reporter: Reporter,
    // In the order of the side's header fields.
    headers: Box<[Option<HeaderValue>]>,
}

/// Values of labels that Telemetry objects ask for, by the texts that ask; absent without any.
pub(super) type Tags = Option<Arc<TagSet>>;

/// Bytes of a label's value. Requests bring it: what a caller invents must not fill the memory.
const LONGEST_TAG: usize = 256;

/// See [`Tags`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct TagSet(Vec<(Arc<str>, Box<str>)>);

/// What is known of a request or connection.
pub(super) struct Known<'a> {
    labels: &'a ConnectionLabels,
    flow: Option<&'a FlowRecord<'a>>,
    request: Option<&'a RequestRecord<'a>>,
}

/// Of 1, how many traces that begin here are recorded, by a Telemetry and by the proxy's own
/// settings; `None` if nothing is traced, or if nobody takes what is.
pub fn trace_fraction(rule: Option<&TraceRule>, own: Option<&Tracing>) -> Option<f64> {
    let Some(rule) = rule else {
        return Some(own?.fraction);
    };
    if rule.disabled || (own.is_none() && rule.collector.is_none()) {
        return None;
    }
    let fraction = rule.fraction.or_else(|| Some(own?.fraction));
    Some(fraction.unwrap_or(DEFAULT_FRACTION))
}

// === impl LiveRules ===

impl LiveRules {
    /// `epoch` changes after every switch of the snapshot.
    pub fn new(mut epoch: watch::Receiver<u64>) -> Self {
        epoch.mark_changed();
        Self { epoch, rules: None }
    }

    /// The rules in force; `load` is asked where they may be others than before.
    pub fn current(
        &mut self,
        load: impl FnOnce() -> Option<Arc<TelemetryRules>>,
    ) -> Option<Arc<TelemetryRules>> {
        if self.epoch.has_changed().unwrap_or(false) {
            // First, so that what changes meanwhile is seen next time.
            self.epoch.mark_unchanged();
            self.rules = load();
        }
        self.rules.clone()
    }
}

// === impl RequestRules ===

impl RequestRules {
    /// Keeps what is needed of a request's head.
    pub fn new(rules: Arc<TelemetryRules>, reporter: Reporter, headers: &HeaderMap) -> Self {
        let wanted = rules.side(reporter).headers.iter();
        Self {
            headers: wanted.map(|name| headers.get(name).cloned()).collect(),
            rules,
            reporter,
        }
    }

    /// The rules.
    pub fn side(&self) -> &TelemetrySide {
        self.rules.side(self.reporter)
    }

    fn header(&self, name: &HeaderName) -> Option<&str> {
        let mut wanted = self.side().headers.iter().zip(&self.headers);
        let (_, value) = wanted.find(|(wanted, _)| *wanted == name)?;
        value.as_ref()?.to_str().ok()
    }
}

// === impl TagSet ===

impl TagSet {
    pub(super) fn of(tags: &[TagValue], known: &Known<'_>) -> Tags {
        if tags.is_empty() {
            return None;
        }
        let values = tags.iter().map(|tag| {
            let value = tag.expression.value(known);
            let text = value.map_or(Cow::Borrowed(UNKNOWN), Value::into_text);
            let end = text.floor_char_boundary(LONGEST_TAG);
            let text = text.get(..end).unwrap_or_default();
            (Arc::clone(&tag.source), text.into())
        });
        Some(Arc::new(Self(values.collect())))
    }

    /// The value that a text asked for.
    pub(super) fn get(&self, source: &str) -> Option<&str> {
        let mut values = self.0.iter();
        let found = values.find(|(known, _)| **known == *source);
        found.map(|(_, value)| &**value)
    }
}

// === impl Known ===

impl<'a> Known<'a> {
    pub(super) fn of_request(record: &'a RequestRecord<'a>) -> Self {
        Self {
            labels: &record.labels.connection,
            flow: Some(&record.flow),
            request: Some(record),
        }
    }

    pub(super) fn of_connection(record: &'a TcpRecord<'a>) -> Self {
        Self {
            flow: Some(&record.flow),
            ..Self::of_labels(record.labels)
        }
    }

    /// Of a connection that may still be open: the same at its beginning and at its end.
    pub(super) fn of_labels(labels: &'a ConnectionLabels) -> Self {
        Self {
            labels,
            flow: None,
            request: None,
        }
    }
}

impl Facts for Known<'_> {
    fn attribute(&self, attribute: Attribute) -> Option<Value<'_>> {
        let (labels, flow, request) = (self.labels, self.flow, self.request);
        match attribute {
            Attribute::RequestHost => text(request?.authority),
            Attribute::RequestMethod => text(request?.method),
            Attribute::RequestPath => text(request?.path),
            Attribute::RequestUrlPath => text(request?.path.split('?').next()?),
            Attribute::RequestQuery => {
                let query = request?.path.split_once('?');
                Some(Value::text(query.map_or("", |(_, query)| query)))
            }
            Attribute::RequestProtocol => text(request?.protocol),
            Attribute::RequestId => text(request?.request_id),
            Attribute::RequestUserAgent => text(request?.user_agent),
            Attribute::RequestSize => number(request?.flow.bytes_received),
            Attribute::ResponseCode => {
                let code = request?.labels.response_code;
                (code > 0).then_some(Value::Number(code.into()))
            }
            Attribute::ResponseCodeDetails => {
                let details = flow?.reason.map(mesh_proxy_core::Reason::as_str);
                let answered = request.map(|_| "via_upstream");
                text(details.or(answered)?)
            }
            Attribute::ResponseFlags => Some(Value::Number(labels.flags.envoy_bits())),
            Attribute::ResponseGrpcStatus => number(request?.labels.grpc_status?.into()),
            Attribute::ResponseSize => number(request?.flow.bytes_sent),
            Attribute::ConnectionMtls => {
                Some(Value::Truth(labels.security == SecurityPolicy::MutualTls))
            }
            Attribute::RequestedServerName => text(flow?.server_name),
            Attribute::SourceAddress => shown(flow?.downstream_remote?),
            Attribute::SourcePort => number(flow?.downstream_remote?.port().into()),
            Attribute::DestinationAddress => shown(flow?.downstream_local?),
            Attribute::DestinationPort => number(flow?.downstream_local?.port().into()),
            Attribute::UpstreamAddress => text(flow?.upstream_host),
            Attribute::UpstreamFailure => text(flow?.upstream_failure),
            Attribute::ClusterName => text(flow?.upstream_cluster),
            Attribute::RouteName => text(flow?.route),
        }
    }

    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.request?.rules?.header(name)
    }

    fn labels(&self) -> &ConnectionLabels {
        self.labels
    }
}

fn text(text: &str) -> Option<Value<'_>> {
    (!text.is_empty()).then(|| Value::text(text))
}

fn number(number: u64) -> Option<Value<'static>> {
    i64::try_from(number).ok().map(Value::Number)
}

fn shown(address: std::net::SocketAddr) -> Option<Value<'static>> {
    Some(Value::Text(Cow::Owned(address.to_string())))
}

/// Further attributes of a request's span: names and values.
pub(super) fn span_tags<'a>(
    record: &'a RequestRecord<'a>,
) -> impl Iterator<Item = (&'a str, Cow<'a, str>)> {
    let rules = record.rules;
    let tracing = rules.and_then(|rules| rules.side().tracing.as_ref());
    let tags = tracing.into_iter().flat_map(|tracing| &tracing.tags);
    tags.filter_map(move |tag| Some((&*tag.name, span_tag(tag, rules?)?)))
}

fn span_tag<'a>(tag: &'a SpanTag, rules: &'a RequestRules) -> Option<Cow<'a, str>> {
    let found = match &tag.from {
        SpanTagSource::Literal(text) => Some(Cow::Borrowed(&**text)),
        SpanTagSource::Environment(name) => std::env::var(&**name).ok().map(Cow::Owned),
        SpanTagSource::Header(name) => rules.header(name).map(Cow::Borrowed),
    };
    let default = || Some(Cow::Borrowed(&*tag.default)).filter(|text| !text.is_empty());
    found.or_else(default)
}
