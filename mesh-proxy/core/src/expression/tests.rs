use std::sync::Arc;

use http::{HeaderMap, HeaderValue};
use mesh_api::v1;

use super::*;
use crate::ResponseFlags;
use crate::decode::expression as decoded;
use crate::labels::{PeerSource, Reporter, RequestProtocol, SecurityPolicy, ServiceLabels};

struct Request {
    code: Option<i64>,
    headers: HeaderMap,
    labels: ConnectionLabels,
}

impl Facts for Request {
    fn attribute(&self, attribute: Attribute) -> Option<Value<'_>> {
        match attribute {
            Attribute::RequestPath => Some(Value::text("/healthz?a=b")),
            Attribute::ResponseCode => self.code.map(Value::Number),
            Attribute::ConnectionMtls => Some(Value::Truth(true)),
            _ => None,
        }
    }

    fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    fn labels(&self) -> &ConnectionLabels {
        &self.labels
    }
}

fn request(code: Option<i64>) -> Request {
    let source = PeerSource {
        workload: "web-1",
        ..PeerSource::default()
    };
    let peer = PeerLabels::new(&source, &[("app".to_owned(), "web".to_owned())].into());
    Request {
        code,
        headers: [(
            HeaderName::from_static("x-tenant"),
            HeaderValue::from_static("one"),
        )]
        .into_iter()
        .collect(),
        labels: ConnectionLabels {
            reporter: Reporter::Source,
            source: Arc::new(peer),
            destination: PeerLabels::unknown(),
            service: ServiceLabels::unknown(),
            protocol: RequestProtocol::Http,
            flags: ResponseFlags::NONE,
            security: SecurityPolicy::MutualTls,
        },
    }
}

fn of(kind: v1::expression::Kind) -> v1::Expression {
    v1::Expression { kind: Some(kind) }
}

fn op(operator: v1::Operator, operands: &[v1::Expression]) -> v1::Expression {
    of(v1::expression::Kind::Operation(v1::Operation {
        operator: operator.into(),
        operands: operands.to_vec(),
    }))
}

fn number(number: i64) -> v1::Expression {
    of(v1::expression::Kind::Number(number))
}

fn text(text: &str) -> v1::Expression {
    of(v1::expression::Kind::Text(text.to_owned()))
}

fn header(name: &str) -> v1::Expression {
    of(v1::expression::Kind::RequestHeader(name.to_owned()))
}

fn attribute(attribute: v1::ExpressionAttribute) -> v1::Expression {
    of(v1::expression::Kind::Attribute(attribute.into()))
}

/// As text, `-` without a value.
fn worth(expression: &v1::Expression, facts: &Request) -> String {
    let expression = decoded(expression).unwrap();
    let value = expression.value(facts);
    value.map_or_else(|| "-".to_owned(), |value| value.into_text().into_owned())
}

#[test]
fn values_are_those_of_cel() {
    use v1::ExpressionAttribute as A;
    use v1::Operator as O;
    let facts = request(Some(404));
    let code = attribute(A::ResponseCode);
    let path = attribute(A::RequestPath);
    let is_error = op(O::GreaterOrEqual, &[code.clone(), number(400)]);
    let fine = op(O::Less, &[code.clone(), number(400)]);
    let negated = op(O::Not, &[op(O::Less, &[code.clone(), number(400)])]);
    let missing = op(O::Equal, &[header("x-none"), text("a")]);
    for (expression, want) in [
        (is_error.clone(), "true"),
        (op(O::Less, &[code.clone(), number(404)]), "false"),
        (op(O::LessOrEqual, &[code.clone(), number(404)]), "true"),
        (op(O::Greater, &[code.clone(), number(404)]), "false"),
        (op(O::NotEqual, &[text("a"), text("b")]), "true"),
        (op(O::Equal, &[text("404"), code.clone()]), "-"),
        (fine.clone(), "false"),
        (negated, "true"),
        (op(O::Not, &[text("a")]), "-"),
        (missing.clone(), "-"),
        (op(O::Or, &[missing.clone(), is_error.clone()]), "true"),
        (op(O::And, &[missing.clone(), is_error.clone()]), "-"),
        (op(O::And, &[missing.clone(), fine]), "false"),
        (op(O::IsPresent, &[header("x-none")]), "false"),
        (op(O::IsPresent, &[header("x-tenant")]), "true"),
        (op(O::StartsWith, &[path.clone(), text("/health")]), "true"),
        (op(O::EndsWith, &[path.clone(), text("=b")]), "true"),
        (op(O::Contains, &[path.clone(), text("x")]), "false"),
        (op(O::Matches, &[path.clone(), text("z.a")]), "true"),
        (op(O::Matches, &[path, text("^a")]), "false"),
        (
            op(O::Add, &[text("a"), header("x-tenant"), text("b")]),
            "aoneb",
        ),
        (op(O::Add, &[number(1), number(2)]), "3"),
        (op(O::Add, &[number(i64::MAX), number(2)]), "-"),
        (op(O::Add, &[number(1), text("2")]), "-"),
        (op(O::Text, &[code]), "404"),
        (
            op(O::Conditional, &[is_error, text("bad"), text("good")]),
            "bad",
        ),
        (attribute(A::ConnectionMtls), "true"),
        (
            of(v1::expression::Kind::Label("source_app".to_owned())),
            "web",
        ),
        (
            of(v1::expression::Kind::Label("destination_app".to_owned())),
            "unknown",
        ),
    ] {
        assert_eq!(worth(&expression, &facts), want, "{expression:?}");
    }
}

/// What has no value lets nothing into the log.
#[test]
fn only_what_is_true_holds() {
    let filter = op(
        v1::Operator::GreaterOrEqual,
        &[
            attribute(v1::ExpressionAttribute::ResponseCode),
            number(400),
        ],
    );
    let filter = decoded(&filter).unwrap();
    for (code, want) in [(Some(503), true), (Some(200), false), (None, false)] {
        assert_eq!(filter.holds(&request(code)), want, "{code:?}");
    }
    let number = decoded(&number(1)).unwrap();
    assert!(!number.holds(&request(None)));
}

#[test]
fn header_fields_are_known_beforehand() {
    use v1::Operator as O;
    let both = op(
        O::And,
        &[
            op(O::Equal, &[header("x-a"), text("a")]),
            op(O::IsPresent, &[header("x-b")]),
            op(O::Matches, &[header("x-a"), text("a")]),
        ],
    );
    let mut found = Vec::new();
    decoded(&both).unwrap().headers(&mut found);
    assert_eq!(found, ["x-a", "x-b"]);
}

#[test]
fn what_is_no_expression_is_refused() {
    use v1::Operator as O;
    for bad in [
        v1::Expression::default(),
        op(O::Unspecified, &[]),
        op(O::Not, &[]),
        op(O::And, &[number(1)]),
        op(O::Equal, &[number(1)]),
        op(O::Matches, &[text("a"), text("(")]),
        op(O::Matches, &[text("a"), header("x")]),
        op(O::Conditional, &[number(1), number(2)]),
        header("not a header"),
        attribute(v1::ExpressionAttribute::Unspecified),
        of(v1::expression::Kind::Label("reporter".to_owned())),
    ] {
        assert!(decoded(&bad).is_err(), "{bad:?}");
    }
}
