//! Telemetry (Istio: telemetry/v1alpha1/telemetry.proto).

mod expression;

use std::collections::BTreeMap;

use mesh_api::v1::{
    Expression, Severity, SpanTag, TagValue, TelemetryMetric, span_tag::From as TagFrom,
};

use super::placement;
use crate::model::{
    LogRule, Meta, MetricRule, Metrics, MetricsRule, Mode, Placement, ProviderName, TagRule,
    TelemetryObject, TraceRule,
};
use crate::yaml::{Fields, Node, Place, Report, Value, Word};

/// A metric of the enumeration, as proxies know it, with its name behind `istio_`.
type Metric = (&'static str, &'static str, Option<TelemetryMetric>);

/// Istio's metrics by both of their names (Istio: metricToPrometheusMetric).
const METRICS: [Metric; 10] = {
    use TelemetryMetric as M;
    [
        ("REQUEST_COUNT", "requests_total", Some(M::RequestCount)),
        (
            "REQUEST_DURATION",
            "request_duration_milliseconds",
            Some(M::RequestDuration),
        ),
        ("REQUEST_SIZE", "request_bytes", Some(M::RequestSize)),
        ("RESPONSE_SIZE", "response_bytes", Some(M::ResponseSize)),
        (
            "TCP_OPENED_CONNECTIONS",
            "tcp_connections_opened_total",
            Some(M::TcpOpenedConnections),
        ),
        (
            "TCP_CLOSED_CONNECTIONS",
            "tcp_connections_closed_total",
            Some(M::TcpClosedConnections),
        ),
        (
            "TCP_SENT_BYTES",
            "tcp_sent_bytes_total",
            Some(M::TcpSentBytes),
        ),
        (
            "TCP_RECEIVED_BYTES",
            "tcp_received_bytes_total",
            Some(M::TcpReceivedBytes),
        ),
        ("GRPC_REQUEST_MESSAGES", "request_messages_total", None),
        ("GRPC_RESPONSE_MESSAGES", "response_messages_total", None),
    ]
};

/// One without a spec: it says nothing, but takes its level's place.
pub(super) fn empty(meta: Meta) -> TelemetryObject {
    TelemetryObject {
        meta,
        placement: Placement::default(),
        metrics: Vec::new(),
        access_logs: Vec::new(),
        tracing: Vec::new(),
    }
}

/// Reads the spec (Istio: ValidateTelemetry).
pub(super) fn read(meta: Meta, spec: &mut Fields<'_>, r: &mut Report) -> TelemetryObject {
    let placement = placement::read(spec, meta.namespace(), r);
    let metrics = spec.children("metrics", r);
    let metrics = metrics.into_iter().map(|rule| metrics_rule(rule, r));
    let metrics = metrics.collect();
    let logs = spec.children("accessLogging", r);
    let access_logs = logs.into_iter().map(|rule| log_rule(rule, r)).collect();
    let tracing = spec.children("tracing", r);
    if let Some(second) = tracing.get(1) {
        r.warn(
            second.place(),
            "multiple tracing is not currently supported",
        );
    }
    let tracing = tracing.into_iter().map(|rule| trace_rule(rule, r));
    let tracing = tracing.collect();
    TelemetryObject {
        meta,
        placement,
        metrics,
        access_logs,
        tracing,
    }
}

/// `providers`.
fn providers(rule: &mut Fields<'_>, r: &mut Report) -> Vec<ProviderName> {
    let mut names = Vec::new();
    for mut provider in rule.children("providers", r) {
        let place = provider.place();
        match provider
            .word("name", r)
            .filter(|word| !word.text.is_empty())
        {
            Some(Word { text, place }) => names.push(ProviderName {
                name: text,
                origin: r.at(place),
            }),
            None => r.error(place, "providers.name may not be empty"),
        }
        provider.close(r);
    }
    names
}

fn mode(fields: &mut Fields<'_>, r: &mut Report) -> Mode {
    const MODES: &[(&str, Mode)] = &[
        ("CLIENT_AND_SERVER", Mode::ClientAndServer),
        ("CLIENT", Mode::Client),
        ("SERVER", Mode::Server),
    ];
    let mode = fields.choice("mode", MODES, r);
    mode.map(|(mode, _)| mode).unwrap_or_default()
}

/// `match` that holds a mode only.
fn matched(rule: &mut Fields<'_>, r: &mut Report) -> Mode {
    let Some(mut matched) = rule.child("match", r) else {
        return Mode::default();
    };
    let mode = mode(&mut matched, r);
    matched.close(r);
    mode
}

fn without_effect(fields: &Fields<'_>, (name, node): (&str, &Node), why: &str, r: &mut Report) {
    let text = format!("{}: it has no effect: {why}", fields.path(name));
    r.push(Severity::Warning, node.place, text, "unsupported");
}

fn metrics_rule(mut rule: Fields<'_>, r: &mut Report) -> MetricsRule {
    let providers = providers(&mut rule, r);
    if let Some(node) = rule.get("reportingInterval") {
        let why = "metrics are as they are when they are scraped";
        without_effect(&rule, ("reportingInterval", node), why, r);
    }
    let overrides = rule.children("overrides", r);
    let overrides = overrides.into_iter().map(|one| metric_rule(one, r));
    let overrides = overrides.collect();
    rule.close(r);
    MetricsRule {
        providers,
        overrides,
    }
}

fn metric_rule(mut rule: Fields<'_>, r: &mut Report) -> MetricRule {
    let (mut metrics, mut side) = (Metrics::All, Mode::default());
    if let Some(mut matched) = rule.child("match", r) {
        side = mode(&mut matched, r);
        metrics = which(&mut matched, r);
        matched.close(r);
    }
    let disabled = rule.boolean("disabled", r);
    let path = rule.path("tagOverrides");
    let mut tags = BTreeMap::new();
    for (name, node) in rule.entries("tagOverrides", r) {
        if !is_label(&name.text) {
            let text = format!(
                "{path}: `{}` is no name of a label; it has no effect",
                name.text
            );
            r.warn(name.place, text);
            continue;
        }
        if node.value == Value::Null {
            r.error(node.place, "tagOverrides may not be null");
        } else if let Some(fields) = Fields::open(node, &format!("{path}.{}", name.text), r) {
            tags.extend(tag(fields, r).map(|tag| (name.text, tag)));
        }
    }
    rule.close(r);
    MetricRule {
        mode: side,
        metrics,
        disabled,
        tags,
    }
}

/// A name that Prometheus takes (its data model: `[a-zA-Z_][a-zA-Z0-9_]*`), and keeps for nothing of
/// its own.
fn is_label(name: &str) -> bool {
    let is_first = |c: char| c.is_ascii_alphabetic() || c == '_';
    !matches!(name, "le" | "quantile")
        && !name.starts_with("__")
        && name.starts_with(is_first)
        && name.chars().all(|c| is_first(c) || c.is_ascii_digit())
}

/// `metric` or `customMetric`; both absent is all.
fn which(matched: &mut Fields<'_>, r: &mut Report) -> Metrics {
    const ALL: (&str, Metrics) = ("ALL_METRICS", Metrics::All);
    let place = matched.place();
    let known = METRICS.map(|(name, _, metric)| (name, metric.map_or(Metrics::None, Metrics::One)));
    let choices: Vec<(&str, Metrics)> = std::iter::once(ALL).chain(known).collect();
    let metric = matched.choice("metric", &choices, r);
    let has_custom = matched.get("customMetric").is_some();
    let custom = matched.word("customMetric", r).filter(|_| has_custom);
    match (metric, custom) {
        (Some(_), Some(_)) => {
            r.error(place, "only one of metric or customMetric can be set");
            Metrics::None
        }
        (None, None) => Metrics::All,
        (Some((metric, place)), None) => {
            if metric == Metrics::None {
                let text = "proxies do not count the messages of gRPC: this has no effect";
                r.push(Severity::Warning, place, text.to_owned(), "unsupported");
            }
            metric
        }
        (None, Some(Word { text, place })) => {
            if text.is_empty() {
                r.error(place, "customMetric may not be empty");
            }
            let name = text.strip_prefix("istio_").unwrap_or(&text);
            let mut metrics = METRICS.iter();
            let found = metrics.find_map(|(_, known, metric)| metric.filter(|_| *known == name));
            if found.is_none() {
                let text = format!("customMetric: proxies have no metric `{text}`");
                r.push(Severity::Warning, place, text, "unsupported");
            }
            found.map_or(Metrics::None, Metrics::One)
        }
    }
}

/// One of `tagOverrides`; nothing if its value is not understood: the label stays as it was.
fn tag(mut fields: Fields<'_>, r: &mut Report) -> Option<TagRule> {
    let place = fields.place();
    let remove = fields.choice("operation", &[("UPSERT", false), ("REMOVE", true)], r);
    let value = fields.word("value", r).filter(|word| !word.text.is_empty());
    let path = fields.path("value");
    fields.close(r);
    match (remove.is_some_and(|(remove, _)| remove), value) {
        (true, None) => Some(TagRule::Remove),
        (true, Some(value)) => {
            let text = "tagOverrides.value may only be set when operation is UPSERT";
            r.error(value.place, text);
            None
        }
        (false, None) => {
            let text = "tagOverrides.value must be set when operation is UPSERT";
            r.error(place, text);
            None
        }
        (false, Some(value)) => {
            let expression = parsed(&path, &value, "the label stays as it was", r)?;
            Some(TagRule::Upsert(TagValue {
                source: value.text,
                expression: Some(expression),
            }))
        }
    }
}

/// An expression; nothing with a problem if it is not understood.
fn parsed(path: &str, word: &Word, consequence: &str, r: &mut Report) -> Option<Expression> {
    let parsed = expression::parse(&word.text);
    match parsed {
        Ok(expression) => Some(expression),
        Err(why) => {
            let text = format!("{path}: `{}`: {why}; {consequence}", word.text);
            r.push(Severity::Warning, word.place, text, "unsupported");
            None
        }
    }
}

fn log_rule(mut rule: Fields<'_>, r: &mut Report) -> LogRule {
    const UNFILTERED: &str = "nothing is filtered";
    let origin = r.at(rule.place());
    let mode = matched(&mut rule, r);
    let providers = providers(&mut rule, r);
    let disabled = rule.boolean("disabled", r);
    let mut filter = None;
    if let Some(mut fields) = rule.child("filter", r) {
        let path = fields.path("expression");
        let word = fields.word("expression", r);
        fields.close(r);
        if let Some(word) = word.filter(|word| !word.text.is_empty()) {
            filter = parsed(&path, &word, UNFILTERED, r);
            if filter
                .as_ref()
                .is_some_and(|filter| !expression::is_condition(filter))
            {
                let text = format!(
                    "{path}: `{}` is neither true nor false; {UNFILTERED}",
                    word.text
                );
                r.push(Severity::Warning, word.place, text, "unsupported");
                filter = None;
            }
        }
    }
    rule.close(r);
    LogRule {
        mode,
        providers,
        origin,
        disabled,
        filter,
    }
}

fn trace_rule(mut rule: Fields<'_>, r: &mut Report) -> TraceRule {
    let mode = matched(&mut rule, r);
    let place = rule.place();
    let providers = providers(&mut rule, r);
    if providers.len() > 1 {
        r.warn(place, "multiple providers is not currently supported");
    }
    let sampling = rule.fraction("randomSamplingPercentage", r);
    if let Some((percent, place)) = sampling
        && !(0.0..=100.0).contains(&percent)
    {
        r.error(
            place,
            "randomSamplingPercentage must be in range [0.0, 100.0]",
        );
    }
    // Here the decision travels in the trace headers only, as with `false`.
    if let Some(node) = rule.get("useRequestIdForTraceSampling")
        && rule.boolean("useRequestIdForTraceSampling", r) == Some(true)
    {
        let why = "whether a trace is recorded stands in its headers, not in x-request-id";
        without_effect(&rule, ("useRequestIdForTraceSampling", node), why, r);
    }
    let disabled = rule.boolean("disableSpanReporting", r);
    let tags = span_tags(&mut rule, r);
    let istio_tags = rule.boolean("enableIstioTags", r);
    let without_propagation = rule.boolean("disableContextPropagation", r);
    rule.close(r);
    TraceRule {
        mode,
        providers,
        sampling: sampling.map(|(percent, _)| percent),
        disabled,
        tags,
        istio_tags,
        without_propagation,
    }
}

fn span_tags(rule: &mut Fields<'_>, r: &mut Report) -> Option<Vec<SpanTag>> {
    const NAME: &str = "customTags";
    rule.get(NAME)?;
    let path = rule.path(NAME);
    let mut tags = Vec::new();
    for (name, node) in rule.entries(NAME, r) {
        if name.text.is_empty() {
            r.error(name.place, "tag name may not be empty");
        } else if node.value == Value::Null {
            let text = format!("tag '{}' may not have a nil value", name.text);
            r.error(node.place, text);
        } else if let Some(fields) = Fields::open(node, &format!("{path}.{}", name.text), r) {
            tags.extend(span_tag(name.text, fields, r));
        }
    }
    tags.sort_by(|one, other| one.name.cmp(&other.name));
    Some(tags)
}

fn span_tag(name: String, mut fields: Fields<'_>, r: &mut Report) -> Option<SpanTag> {
    let place = fields.place();
    let mut from = None;
    let mut default_value = String::new();
    let mut kinds = 0;
    for (kind, field) in [
        ("literal", "value"),
        ("environment", "name"),
        ("header", "name"),
    ] {
        let Some(mut source) = fields.child(kind, r) else {
            continue;
        };
        kinds += 1;
        let text = source.text(field, r);
        if text.is_empty() {
            let what = if kind == "literal" { "value" } else { "name" };
            r.error(
                source.place(),
                format!("{kind} tag {what} may not be empty"),
            );
        }
        if kind != "literal" {
            default_value = source.text("defaultValue", r);
        }
        source.close(r);
        from = Some(match kind {
            "literal" => TagFrom::Literal(text),
            "environment" => TagFrom::Environment(text),
            _ => TagFrom::Header(header_name(&text, place, r)),
        });
    }
    if let Some(node) = fields.get("formatter") {
        let why =
            "Envoy's formats of spans are not supported; write a literal, environment or header";
        without_effect(&fields, ("formatter", node), why, r);
        kinds += 1;
    }
    fields.close(r);
    if kinds > 1 {
        let text = format!(
            "tag '{name}': only one of literal, environment, header or formatter can be set"
        );
        r.error(place, text);
    }
    Some(SpanTag {
        name,
        default_value,
        from: Some(from?),
    })
}

/// A name of a header field in lower case (RFC 9110, section 5.1).
fn header_name(name: &str, place: Place, r: &mut Report) -> String {
    let is_token = |c: u8| c.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&c);
    if !name.bytes().all(is_token) {
        r.error(place, format!("`{name}` is no name of a header field"));
    }
    name.to_ascii_lowercase()
}
