//! What the proxy reports.

use std::sync::Arc;

use mesh_api::v1;
use regex::RegexBuilder;

use super::route::header_name;
use super::{At, DecodeError, Kind, Result, each, invalid, port, required};
use crate::expression::{Attribute, Comparison, Expression, PeerLabel, TextPart};
use crate::ir::{
    LogRule, Metric, MetricRule, SpanTag, SpanTagSource, TagValue, TelemetryRules, TelemetrySide,
    TraceCollector, TraceRule,
};

/// Bound on the size of one compiled regular expression, in bytes.
const SIZE_LIMIT: usize = 1 << 20;

pub(super) fn rules(proto: Option<&v1::Telemetry>) -> Result<Option<Arc<TelemetryRules>>> {
    let Some(proto) = proto else {
        return Ok(None);
    };
    let of = |proto: Option<&v1::TelemetrySide>| proto.map(side).transpose();
    Ok(Some(Arc::new(TelemetryRules {
        client: of(proto.client.as_ref()).at("client")?.unwrap_or_default(),
        server: of(proto.server.as_ref()).at("server")?.unwrap_or_default(),
    })))
}

fn side(proto: &v1::TelemetrySide) -> Result<TelemetrySide> {
    let mut made = TelemetrySide::default();
    for (index, proto) in proto.metrics.iter().enumerate() {
        metric(proto, &mut made).at_index("metrics", index)?;
    }
    let log = proto.access_log.as_ref().map(log_rule);
    made.log = log.transpose().at("access_log")?;
    let tracing = proto.tracing.as_ref().map(trace_rule);
    made.tracing = tracing.transpose().at("tracing")?;
    let tags = made.request_tags.iter().chain(&made.connection_tags);
    let filter = made.log.iter().filter_map(|log| log.filter.as_ref());
    for expression in tags.map(|tag| &tag.expression).chain(filter) {
        expression.headers(&mut made.headers);
    }
    for tag in made.tracing.iter().flat_map(|tracing| &tracing.tags) {
        if let SpanTagSource::Header(name) = &tag.from
            && !made.headers.contains(name)
        {
            made.headers.push(name.clone());
        }
    }
    Ok(made)
}

fn metric(proto: &v1::MetricOverride, side: &mut TelemetrySide) -> Result<()> {
    use v1::TelemetryMetric as Wire;
    let metric = match Wire::try_from(proto.metric) {
        Ok(Wire::RequestCount) => Metric::RequestCount,
        Ok(Wire::RequestDuration) => Metric::RequestDuration,
        Ok(Wire::RequestSize) => Metric::RequestSize,
        Ok(Wire::ResponseSize) => Metric::ResponseSize,
        Ok(Wire::TcpOpenedConnections) => Metric::TcpOpened,
        Ok(Wire::TcpClosedConnections) => Metric::TcpClosed,
        Ok(Wire::TcpSentBytes) => Metric::TcpSent,
        Ok(Wire::TcpReceivedBytes) => Metric::TcpReceived,
        Ok(Wire::Unspecified) | Err(_) => {
            return Err(Kind::UnknownEnum(proto.metric).into()).at("metric");
        }
    };
    let mut rule = MetricRule {
        disabled: proto.disabled,
        tags: Vec::new(),
    };
    let values = if metric.is_of_requests() {
        &mut side.request_tags
    } else {
        &mut side.connection_tags
    };
    for (index, tag) in proto.tags.iter().enumerate() {
        let name = label_name(&tag.name).at("name").at_index("tags", index)?;
        let Some(value) = &tag.value else {
            rule.tags.push((name, None));
            continue;
        };
        let known = values.iter().find(|known| *known.source == *value.source);
        let source = match known {
            Some(known) => Arc::clone(&known.source),
            None => {
                let made = TagValue {
                    source: value.source.as_str().into(),
                    expression: some(value.expression.as_ref())
                        .at("value")
                        .at_index("tags", index)?,
                };
                let source = Arc::clone(&made.source);
                values.push(made);
                source
            }
        };
        rule.tags.push((name, Some(source)));
    }
    side.metrics.set(metric, rule);
    Ok(())
}

/// A name that Prometheus takes: others would make the whole page unreadable.
fn label_name(name: &str) -> Result<Arc<str>> {
    let mut letters = name.bytes();
    let first = letters.next();
    let is_first = |c: u8| c.is_ascii_alphabetic() || c == b'_';
    if first.is_some_and(is_first) && letters.all(|c| is_first(c) || c.is_ascii_digit()) {
        return Ok(name.into());
    }
    Err(invalid(format_args!("`{name}` is no name of a label")))
}

fn log_rule(proto: &v1::AccessLogRule) -> Result<LogRule> {
    let filter = proto.filter.as_ref().map(expression);
    Ok(LogRule {
        disabled: proto.disabled,
        filter: filter.transpose().at("filter")?,
    })
}

fn trace_rule(proto: &v1::TracingRule) -> Result<TraceRule> {
    if proto
        .sampling
        .is_some_and(|percent| !(0.0..=100.0).contains(&percent))
    {
        return Err(invalid("is from 0 to 100")).at("sampling");
    }
    let collector = proto.collector.as_ref().map(|proto| {
        Ok(Arc::new(TraceCollector {
            host: proto.host.clone(),
            port: port(proto.port).at("port")?,
            path: match proto.path.as_str() {
                "" => "/v1/traces".to_owned(),
                path => path.to_owned(),
            },
        }))
    });
    Ok(TraceRule {
        disabled: proto.disabled,
        fraction: proto.sampling.map(|percent| percent / 100.0),
        tags: each("tags", &proto.tags, span_tag)?,
        without_istio_tags: proto.without_istio_tags,
        without_propagation: proto.without_propagation,
        collector: collector.transpose().at("collector")?,
    })
}

fn span_tag(proto: &v1::SpanTag) -> Result<SpanTag> {
    use v1::span_tag::From;
    let from = match required(proto.from.as_ref()).at("from")? {
        From::Literal(text) => SpanTagSource::Literal(text.as_str().into()),
        From::Environment(name) => SpanTagSource::Environment(name.as_str().into()),
        From::Header(name) => SpanTagSource::Header(header_name(name).at("header")?),
    };
    Ok(SpanTag {
        name: proto.name.as_str().into(),
        from,
        default: proto.default_value.as_str().into(),
    })
}

fn some(proto: Option<&v1::Expression>) -> Result<Expression> {
    expression(required(proto)?)
}

pub(crate) fn expression(proto: &v1::Expression) -> Result<Expression> {
    use v1::expression::Kind as Wire;
    Ok(match required(proto.kind.as_ref())? {
        Wire::Text(text) => Expression::Text(text.as_str().into()),
        Wire::Number(number) => Expression::Number(*number),
        Wire::Truth(truth) => Expression::Truth(*truth),
        Wire::Attribute(number) => Expression::Attribute(attribute(*number)?),
        Wire::RequestHeader(name) => Expression::Header(header_name(name)?),
        Wire::Label(name) => Expression::Label(
            PeerLabel::named(name)
                .ok_or_else(|| invalid(format_args!("`{name}` is no label of a peer")))?,
        ),
        Wire::Operation(proto) => operation(proto)?,
    })
}

fn attribute(number: i32) -> Result<Attribute> {
    use v1::ExpressionAttribute as Wire;
    Ok(match Wire::try_from(number) {
        Ok(Wire::RequestHost) => Attribute::RequestHost,
        Ok(Wire::RequestMethod) => Attribute::RequestMethod,
        Ok(Wire::RequestPath) => Attribute::RequestPath,
        Ok(Wire::RequestUrlPath) => Attribute::RequestUrlPath,
        Ok(Wire::RequestQuery) => Attribute::RequestQuery,
        Ok(Wire::RequestProtocol) => Attribute::RequestProtocol,
        Ok(Wire::RequestId) => Attribute::RequestId,
        Ok(Wire::RequestUserAgent) => Attribute::RequestUserAgent,
        Ok(Wire::RequestSize) => Attribute::RequestSize,
        Ok(Wire::ResponseCode) => Attribute::ResponseCode,
        Ok(Wire::ResponseCodeDetails) => Attribute::ResponseCodeDetails,
        Ok(Wire::ResponseFlags) => Attribute::ResponseFlags,
        Ok(Wire::ResponseGrpcStatus) => Attribute::ResponseGrpcStatus,
        Ok(Wire::ResponseSize) => Attribute::ResponseSize,
        Ok(Wire::ConnectionMtls) => Attribute::ConnectionMtls,
        Ok(Wire::ConnectionRequestedServerName) => Attribute::RequestedServerName,
        Ok(Wire::SourceAddress) => Attribute::SourceAddress,
        Ok(Wire::SourcePort) => Attribute::SourcePort,
        Ok(Wire::DestinationAddress) => Attribute::DestinationAddress,
        Ok(Wire::DestinationPort) => Attribute::DestinationPort,
        Ok(Wire::UpstreamAddress) => Attribute::UpstreamAddress,
        Ok(Wire::UpstreamTransportFailureReason) => Attribute::UpstreamFailure,
        Ok(Wire::ClusterName) => Attribute::ClusterName,
        Ok(Wire::RouteName) => Attribute::RouteName,
        Ok(Wire::Unspecified) | Err(_) => return Err(Kind::UnknownEnum(number).into()),
    })
}

fn operation(proto: &v1::Operation) -> Result<Expression> {
    use v1::Operator as Wire;
    let operator = match Wire::try_from(proto.operator) {
        Ok(Wire::Unspecified) | Err(_) => {
            return Err(Kind::UnknownEnum(proto.operator).into()).at("operator");
        }
        Ok(operator) => operator,
    };
    let parts = each("operands", &proto.operands, expression)?;
    let compare = |how, parts| Ok(Expression::Compare(how, exactly(parts)?));
    let part = |part, parts| Ok(Expression::Part(part, exactly(parts)?));
    match operator {
        Wire::And | Wire::Or | Wire::Add if parts.len() < 2 => Err(count()),
        Wire::And => Ok(Expression::And(parts)),
        Wire::Or => Ok(Expression::Or(parts)),
        Wire::Add => Ok(Expression::Add(parts)),
        Wire::Not => Ok(Expression::Not(only(parts)?)),
        Wire::Equal => compare(Comparison::Equal, parts),
        Wire::NotEqual => compare(Comparison::NotEqual, parts),
        Wire::Less => compare(Comparison::Less, parts),
        Wire::LessOrEqual => compare(Comparison::LessOrEqual, parts),
        Wire::Greater => compare(Comparison::Greater, parts),
        Wire::GreaterOrEqual => compare(Comparison::GreaterOrEqual, parts),
        Wire::StartsWith => part(TextPart::Start, parts),
        Wire::EndsWith => part(TextPart::End, parts),
        Wire::Contains => part(TextPart::Anywhere, parts),
        Wire::Matches => {
            let [whole, pattern] = *exactly(parts)?;
            let Expression::Text(pattern) = pattern else {
                return Err(invalid("the regular expression is no text"));
            };
            let mut regex = RegexBuilder::new(&pattern);
            let regex = regex.size_limit(SIZE_LIMIT).build().map_err(invalid)?;
            Ok(Expression::Matches(Box::new(whole), regex))
        }
        Wire::Conditional => Ok(Expression::Conditional(exactly(parts)?)),
        Wire::IsPresent => Ok(Expression::IsPresent(only(parts)?)),
        Wire::Text => Ok(Expression::ToText(only(parts)?)),
        Wire::Unspecified => Err(Kind::UnknownEnum(proto.operator).into()),
    }
}

fn count() -> DecodeError {
    invalid("the operator takes another number of operands")
}

fn exactly<const N: usize>(parts: Vec<Expression>) -> Result<Box<[Expression; N]>> {
    Box::<[Expression; N]>::try_from(parts).map_err(|_| count())
}

fn only(parts: Vec<Expression>) -> Result<Box<Expression>> {
    let [only] = *exactly::<1>(parts)?;
    Ok(Box::new(only))
}
