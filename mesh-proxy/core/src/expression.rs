//! Expressions of Telemetry (Istio: the Common Expression Language over Envoy's attributes),
//! evaluated against what is known of a request or connection.
//!
//! A part that has no value makes a whole without one, as an error does in CEL; `&&` and `||` may
//! be decided by their other parts.

use std::borrow::Cow;
use std::cmp::Ordering;

use http::HeaderName;
use regex::Regex;

use crate::labels::{ConnectionLabels, PeerLabels};

/// A parsed expression.
#[derive(Clone, Debug)]
pub enum Expression {
    /// This text.
    Text(Box<str>),
    /// This number.
    Number(i64),
    /// This truth.
    Truth(bool),
    /// An attribute.
    Attribute(Attribute),
    /// A header field of the request.
    Header(HeaderName),
    /// A label of a peer.
    Label(PeerLabel),
    /// All of these.
    And(Vec<Expression>),
    /// Any of these.
    Or(Vec<Expression>),
    /// The opposite.
    Not(Box<Expression>),
    /// Two compared.
    Compare(Comparison, Box<[Expression; 2]>),
    /// The sum of numbers, or texts in a row.
    Add(Vec<Expression>),
    /// Two texts compared.
    Part(TextPart, Box<[Expression; 2]>),
    /// Whether the expression is found in a text.
    Matches(Box<Expression>, Regex),
    /// A truth, the value if it holds, the value if not.
    Conditional(Box<[Expression; 3]>),
    /// Whether it has a value.
    IsPresent(Box<Expression>),
    /// Anything as text.
    ToText(Box<Expression>),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
}

/// Where a text is looked for in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextPart {
    /// At the beginning.
    Start,
    /// At the end.
    End,
    /// Anywhere.
    Anywhere,
}

/// Envoy's attributes (docs: arch_overview/advanced/attributes), as far as they are known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attribute {
    /// `request.host`
    RequestHost,
    /// `request.method`
    RequestMethod,
    /// `request.path`: with the query.
    RequestPath,
    /// `request.url_path`: without it.
    RequestUrlPath,
    /// `request.query`
    RequestQuery,
    /// `request.protocol`
    RequestProtocol,
    /// `request.id`
    RequestId,
    /// `request.useragent`
    RequestUserAgent,
    /// `request.size`: bytes of the body.
    RequestSize,
    /// `response.code`
    ResponseCode,
    /// `response.code_details`
    ResponseCodeDetails,
    /// `response.flags`: Envoy's bits.
    ResponseFlags,
    /// `response.grpc_status`
    ResponseGrpcStatus,
    /// `response.size`: bytes of the body.
    ResponseSize,
    /// `connection.mtls`
    ConnectionMtls,
    /// `connection.requested_server_name`
    RequestedServerName,
    /// `source.address`
    SourceAddress,
    /// `source.port`
    SourcePort,
    /// `destination.address`
    DestinationAddress,
    /// `destination.port`
    DestinationPort,
    /// `upstream.address`
    UpstreamAddress,
    /// `upstream.transport_failure_reason`
    UpstreamFailure,
    /// `xds.cluster_name`
    ClusterName,
    /// `xds.route_name`
    RouteName,
}

/// A label of one side, such as `source_workload`.
#[derive(Clone, Copy, Debug)]
pub struct PeerLabel {
    /// Of the server, not of the client.
    destination: bool,
    field: fn(&PeerLabels) -> &str,
}

/// What an expression is worth.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// A text.
    Text(Cow<'a, str>),
    /// A number.
    Number(i64),
    /// A truth.
    Truth(bool),
}

/// What is known of a request or connection.
pub trait Facts {
    /// The value of an attribute.
    fn attribute(&self, attribute: Attribute) -> Option<Value<'_>>;
    /// A header field of the request, one of those that were to be kept.
    fn header(&self, name: &HeaderName) -> Option<&str>;
    /// The labels.
    fn labels(&self) -> &ConnectionLabels;
}

// === impl Expression ===

impl Expression {
    /// Its value.
    pub fn value<'a>(&'a self, facts: &'a impl Facts) -> Option<Value<'a>> {
        Some(match self {
            Self::Text(text) => Value::text(text),
            Self::Number(number) => Value::Number(*number),
            Self::Truth(truth) => Value::Truth(*truth),
            Self::Attribute(attribute) => facts.attribute(*attribute)?,
            Self::Header(name) => Value::text(facts.header(name)?),
            Self::Label(label) => Value::text(label.of(facts.labels())),
            Self::And(parts) => Value::Truth(decided(parts, facts, false)?),
            Self::Or(parts) => Value::Truth(decided(parts, facts, true)?),
            Self::Not(part) => Value::Truth(!part.truth(facts)?),
            Self::Compare(how, parts) => {
                let [left, right] = &**parts;
                Value::Truth(how.holds(&left.value(facts)?, &right.value(facts)?)?)
            }
            Self::Add(parts) => sum(parts, facts)?,
            Self::Part(part, operands) => {
                let [whole, wanted] = &**operands;
                let (whole, wanted) = (whole.text(facts)?, wanted.text(facts)?);
                Value::Truth(match part {
                    TextPart::Start => whole.starts_with(&*wanted),
                    TextPart::End => whole.ends_with(&*wanted),
                    TextPart::Anywhere => whole.contains(&*wanted),
                })
            }
            Self::Matches(whole, regex) => Value::Truth(regex.is_match(&whole.text(facts)?)),
            Self::Conditional(parts) => {
                let [condition, yes, no] = &**parts;
                let chosen = if condition.truth(facts)? { yes } else { no };
                chosen.value(facts)?
            }
            Self::IsPresent(part) => Value::Truth(part.value(facts).is_some()),
            Self::ToText(part) => Value::Text(part.value(facts)?.into_text()),
        })
    }

    /// Whether it is true. What has no value, or is no truth, is not (Envoy's access log filter
    /// `envoy.access_loggers.extension_filters.cel`).
    pub fn holds(&self, facts: &impl Facts) -> bool {
        self.truth(facts) == Some(true)
    }

    /// Header fields of the request that it looks at.
    pub fn headers(&self, found: &mut Vec<HeaderName>) {
        match self {
            Self::Header(name) => {
                if !found.contains(name) {
                    found.push(name.clone());
                }
            }
            Self::And(parts) | Self::Or(parts) | Self::Add(parts) => {
                parts.iter().for_each(|part| part.headers(found));
            }
            Self::Compare(_, parts) | Self::Part(_, parts) => {
                parts.iter().for_each(|part| part.headers(found));
            }
            Self::Conditional(parts) => parts.iter().for_each(|part| part.headers(found)),
            Self::Not(part)
            | Self::Matches(part, _)
            | Self::IsPresent(part)
            | Self::ToText(part) => part.headers(found),
            Self::Text(_)
            | Self::Number(_)
            | Self::Truth(_)
            | Self::Attribute(_)
            | Self::Label(_) => {}
        }
    }

    fn truth(&self, facts: &impl Facts) -> Option<bool> {
        match self.value(facts)? {
            Value::Truth(truth) => Some(truth),
            Value::Text(_) | Value::Number(_) => None,
        }
    }

    fn text<'a>(&'a self, facts: &'a impl Facts) -> Option<Cow<'a, str>> {
        match self.value(facts)? {
            Value::Text(text) => Some(text),
            Value::Truth(_) | Value::Number(_) => None,
        }
    }
}

/// One part that is `decisive` decides, whatever the others are.
fn decided(parts: &[Expression], facts: &impl Facts, decisive: bool) -> Option<bool> {
    let mut whole = Some(!decisive);
    for part in parts {
        match part.truth(facts) {
            Some(truth) if truth == decisive => return Some(decisive),
            Some(_) => {}
            None => whole = None,
        }
    }
    whole
}

fn sum<'a>(parts: &'a [Expression], facts: &'a impl Facts) -> Option<Value<'a>> {
    let mut whole: Option<Value<'a>> = None;
    for part in parts {
        let part = part.value(facts)?;
        whole = Some(match (whole, part) {
            (None, part) => part,
            (Some(Value::Text(start)), Value::Text(end)) => {
                Value::Text(Cow::Owned(start.into_owned() + &end))
            }
            (Some(Value::Number(one)), Value::Number(other)) => {
                Value::Number(one.checked_add(other)?)
            }
            _ => return None,
        });
    }
    whole
}

// === impl Comparison ===

impl Comparison {
    fn holds(self, left: &Value<'_>, right: &Value<'_>) -> Option<bool> {
        let order = match (left, right) {
            (Value::Text(left), Value::Text(right)) => left.cmp(right),
            (Value::Number(left), Value::Number(right)) => left.cmp(right),
            (Value::Truth(left), Value::Truth(right)) => left.cmp(right),
            _ => return None,
        };
        Some(match self {
            Self::Equal => order == Ordering::Equal,
            Self::NotEqual => order != Ordering::Equal,
            Self::Less => order == Ordering::Less,
            Self::LessOrEqual => order != Ordering::Greater,
            Self::Greater => order == Ordering::Greater,
            Self::GreaterOrEqual => order != Ordering::Less,
        })
    }
}

// === impl PeerLabel ===

impl PeerLabel {
    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        let (destination, rest) = match name.strip_prefix("destination_") {
            Some(rest) => (true, rest),
            None => (false, name.strip_prefix("source_")?),
        };
        let field: fn(&PeerLabels) -> &str = match rest {
            "workload" => |peer| &peer.workload,
            "workload_namespace" => |peer| &peer.namespace,
            "principal" => |peer| &peer.principal,
            "app" => |peer| &peer.app,
            "version" => |peer| &peer.version,
            "cluster" => |peer| &peer.cluster,
            "canonical_service" => |peer| &peer.canonical_service,
            "canonical_revision" => |peer| &peer.canonical_revision,
            _ => return None,
        };
        Some(Self { destination, field })
    }

    fn of(self, labels: &ConnectionLabels) -> &str {
        let peer = match self.destination {
            true => &labels.destination,
            false => &labels.source,
        };
        (self.field)(peer)
    }
}

// === impl Value ===

impl<'a> Value<'a> {
    /// A text that is there.
    pub fn text(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }

    /// As text, for labels.
    pub fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::Text(text) => text,
            Self::Number(number) => Cow::Owned(number.to_string()),
            Self::Truth(truth) => Cow::Borrowed(if truth { "true" } else { "false" }),
        }
    }
}

#[cfg(test)]
mod tests;
