//! Expressions of Telemetry: what is common of CEL over Envoy's attributes.
//!
//! Istio passes the text on to Envoy, which evaluates it. Here it is parsed once, and proxies get
//! a tree. What is not understood is refused with the reason, so that its author hears of it.

mod words;

use mesh_api::v1::{Expression, ExpressionAttribute, Operation, Operator, expression::Kind};
use regex::Regex;

use words::{Token, tokens};

/// Bytes of an expression.
const LONGEST: usize = 4096;
/// Parts within parts. Each is two messages of a resource, of which protobuf's decoders take a
/// hundred within each other.
const DEEPEST: usize = 24;

/// Envoy's attributes (docs: arch_overview/advanced/attributes) that proxies know.
const ATTRIBUTES: &[(&str, ExpressionAttribute)] = {
    use ExpressionAttribute as A;
    &[
        ("request.host", A::RequestHost),
        ("request.method", A::RequestMethod),
        ("request.path", A::RequestPath),
        ("request.url_path", A::RequestUrlPath),
        ("request.query", A::RequestQuery),
        ("request.protocol", A::RequestProtocol),
        ("request.id", A::RequestId),
        ("request.useragent", A::RequestUserAgent),
        ("request.size", A::RequestSize),
        ("response.code", A::ResponseCode),
        ("response.code_details", A::ResponseCodeDetails),
        ("response.flags", A::ResponseFlags),
        ("response.grpc_status", A::ResponseGrpcStatus),
        ("response.size", A::ResponseSize),
        ("connection.mtls", A::ConnectionMtls),
        (
            "connection.requested_server_name",
            A::ConnectionRequestedServerName,
        ),
        ("source.address", A::SourceAddress),
        ("source.port", A::SourcePort),
        ("destination.address", A::DestinationAddress),
        ("destination.port", A::DestinationPort),
        ("upstream.address", A::UpstreamAddress),
        (
            "upstream.transport_failure_reason",
            A::UpstreamTransportFailureReason,
        ),
        ("xds.cluster_name", A::ClusterName),
        ("xds.route_name", A::RouteName),
    ]
};

/// What Istio's peers are in labels (Istio's proxy: metadata_object.h).
const PEER_FIELDS: [(&str, &str); 8] = [
    ("workload", "workload"),
    ("namespace", "workload_namespace"),
    ("cluster", "cluster"),
    ("service", "canonical_service"),
    ("revision", "canonical_revision"),
    ("app", "app"),
    ("version", "version"),
    ("identity", "principal"),
];

struct Parser {
    tokens: std::iter::Peekable<std::vec::IntoIter<Token>>,
    depth: usize,
}

/// What may still become an attribute, or is a whole.
enum Term {
    Path(Vec<String>),
    Whole(Expression),
}

type Parsed<T = Expression> = Result<T, String>;

/// Parses an expression.
///
/// # Errors
/// With the reason, if it is none, or of a form that is not supported.
pub(super) fn parse(text: &str) -> Parsed {
    if text.len() > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    let mut parser = Parser {
        tokens: tokens(text)?.into_iter().peekable(),
        depth: 0,
    };
    let whole = parser.expression()?;
    match parser.tokens.next() {
        None if depth(&whole) > DEEPEST => Err(too_deep()),
        None => Ok(whole),
        Some(token) => Err(format!("unexpected {token}")),
    }
}

fn depth(expression: &Expression) -> usize {
    let inner = match &expression.kind {
        Some(Kind::Operation(operation)) => operation.operands.iter().map(depth).max(),
        _ => None,
    };
    1 + inner.unwrap_or_default()
}

fn too_deep() -> String {
    format!("more than {DEEPEST} parts stand within each other")
}

/// Whether its value is true or false, if it has one.
pub(super) fn is_condition(expression: &Expression) -> bool {
    match &expression.kind {
        Some(Kind::Truth(_)) => true,
        Some(Kind::Attribute(_)) => expression_attribute(expression)
            .is_some_and(|attribute| attribute == ExpressionAttribute::ConnectionMtls),
        Some(Kind::Operation(operation)) => match operation.operator() {
            Operator::Add | Operator::Text | Operator::Unspecified => false,
            Operator::Conditional => operation.operands.iter().skip(1).all(is_condition),
            _ => true,
        },
        _ => false,
    }
}

fn expression_attribute(expression: &Expression) -> Option<ExpressionAttribute> {
    match expression.kind {
        Some(Kind::Attribute(number)) => ExpressionAttribute::try_from(number).ok(),
        _ => None,
    }
}

// === impl Parser ===

impl Parser {
    fn expression(&mut self) -> Parsed {
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(too_deep());
        }
        let condition = self.either()?;
        let whole = if self.takes("?") {
            let yes = self.expression()?;
            self.expect(":")?;
            let no = self.expression()?;
            operation(Operator::Conditional, [condition, yes, no])
        } else {
            condition
        };
        self.depth -= 1;
        Ok(whole)
    }

    fn either(&mut self) -> Parsed {
        self.several("||", Operator::Or, Self::both)
    }

    fn both(&mut self) -> Parsed {
        self.several("&&", Operator::And, Self::relation)
    }

    /// Parts with a sign between them.
    fn several(&mut self, sign: &str, operator: Operator, part: fn(&mut Self) -> Parsed) -> Parsed {
        let first = part(self)?;
        let mut parts = vec![first];
        while self.takes(sign) {
            parts.push(part(self)?);
        }
        match (parts.len(), parts.pop()) {
            (1, Some(only)) => Ok(only),
            (_, last) => Ok(operation(operator, parts.into_iter().chain(last))),
        }
    }

    fn relation(&mut self) -> Parsed {
        const SIGNS: [(&str, Operator); 6] = [
            ("==", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        let left = self.sum()?;
        for (sign, operator) in SIGNS {
            if self.takes(sign) {
                let right = self.sum()?;
                return Ok(operation(operator, [whole(left)?, whole(right)?]));
            }
        }
        if self.takes("in") {
            return self.member(left);
        }
        whole(left)
    }

    /// `'x' in request.headers`, `x in ['a', 'b']`.
    fn member(&mut self, left: Term) -> Parsed {
        if !self.takes("[") {
            let right = self.sum()?;
            let (Term::Path(path), Term::Whole(Expression { kind })) = (right, left) else {
                return Err("`in` takes a list, or a text and request.headers".to_owned());
            };
            return match (kind, is_headers(&path)) {
                (Some(Kind::Text(name)), true) => Ok(is_present(header(&name))),
                _ => Err("`in` takes a list, or a text and request.headers".to_owned()),
            };
        }
        let left = whole(left)?;
        let mut cases = Vec::new();
        while !self.takes("]") {
            if !cases.is_empty() {
                self.expect(",")?;
            }
            let right = self.expression()?;
            cases.push(operation(Operator::Equal, [left.clone(), right]));
        }
        match cases.len() {
            0 => Ok(of(Kind::Truth(false))),
            1 => Ok(cases.swap_remove(0)),
            _ => Ok(operation(Operator::Or, cases)),
        }
    }

    fn sum(&mut self) -> Parsed<Term> {
        let first = self.unary()?;
        if !self.takes("+") {
            return Ok(first);
        }
        let mut parts = vec![whole(first)?, whole(self.unary()?)?];
        while self.takes("+") {
            parts.push(whole(self.unary()?)?);
        }
        Ok(Term::Whole(operation(Operator::Add, parts)))
    }

    fn unary(&mut self) -> Parsed<Term> {
        let mut negations = 0_usize;
        while self.takes("!") {
            negations += 1;
        }
        let term = self.postfix()?;
        if negations == 0 {
            return Ok(term);
        }
        let inner = whole(term)?;
        Ok(Term::Whole(if negations % 2 == 1 {
            operation(Operator::Not, [inner])
        } else {
            inner
        }))
    }

    fn postfix(&mut self) -> Parsed<Term> {
        let mut term = self.primary()?;
        loop {
            if self.takes(".") {
                let name = self.name()?;
                term = if self.takes("(") {
                    Term::Whole(self.method(term, &name)?)
                } else {
                    extended(term, name)?
                };
            } else if self.takes("[") {
                let Some(Token::Text(key)) = self.tokens.next() else {
                    return Err("a text is expected between [ and ]".to_owned());
                };
                self.expect("]")?;
                term = extended(term, key)?;
            } else {
                return Ok(term);
            }
        }
    }

    fn primary(&mut self) -> Parsed<Term> {
        match self.tokens.next() {
            Some(Token::Text(text)) => Ok(Term::Whole(of(Kind::Text(text)))),
            Some(Token::Number(number)) => Ok(Term::Whole(of(Kind::Number(number)))),
            Some(Token::Name(name)) => match name.as_str() {
                "true" => Ok(Term::Whole(of(Kind::Truth(true)))),
                "false" => Ok(Term::Whole(of(Kind::Truth(false)))),
                "has" | "string" if self.takes("(") => self.function(&name),
                _ => Ok(Term::Path(vec![name])),
            },
            Some(Token::Sign("(")) => {
                let inner = self.expression()?;
                self.expect(")")?;
                Ok(Term::Whole(inner))
            }
            Some(token) => Err(format!("unexpected {token}")),
            None => Err("it ends too early".to_owned()),
        }
    }

    fn function(&mut self, name: &str) -> Parsed<Term> {
        let argument = self.expression()?;
        self.expect(")")?;
        Ok(Term::Whole(match name {
            "has" => is_present(argument),
            _ => operation(Operator::Text, [argument]),
        }))
    }

    /// A function of a text, with one argument.
    fn method(&mut self, of_what: Term, name: &str) -> Parsed {
        let operator = match name {
            "startsWith" => Operator::StartsWith,
            "endsWith" => Operator::EndsWith,
            "contains" => Operator::Contains,
            "matches" => Operator::Matches,
            _ => return Err(format!("the function `{name}` is not supported")),
        };
        let argument = self.expression()?;
        self.expect(")")?;
        if operator == Operator::Matches {
            let Some(Kind::Text(pattern)) = &argument.kind else {
                return Err("`matches` takes a text that is written there".to_owned());
            };
            Regex::new(pattern).map_err(|error| format!("`{pattern}`: {error}"))?;
        }
        Ok(operation(operator, [whole(of_what)?, argument]))
    }

    fn name(&mut self) -> Parsed<String> {
        match self.tokens.next() {
            Some(Token::Name(name)) => Ok(name),
            Some(token) => Err(format!("unexpected {token}, expected a name")),
            None => Err("it ends too early".to_owned()),
        }
    }

    fn takes(&mut self, sign: &str) -> bool {
        let is_it = |token: &Token| match token {
            Token::Sign(found) => *found == sign,
            Token::Name(name) => sign == "in" && name == sign,
            _ => false,
        };
        self.tokens.next_if(is_it).is_some()
    }

    fn expect(&mut self, sign: &str) -> Parsed<()> {
        if self.takes(sign) {
            return Ok(());
        }
        Err(match self.tokens.peek() {
            Some(token) => format!("unexpected {token}, expected `{sign}`"),
            None => format!("it ends too early, expected `{sign}`"),
        })
    }
}

fn of(kind: Kind) -> Expression {
    Expression { kind: Some(kind) }
}

fn operation(operator: Operator, operands: impl IntoIterator<Item = Expression>) -> Expression {
    of(Kind::Operation(Operation {
        operator: operator.into(),
        operands: operands.into_iter().collect(),
    }))
}

fn is_present(part: Expression) -> Expression {
    operation(Operator::IsPresent, [part])
}

fn header(name: &str) -> Expression {
    of(Kind::RequestHeader(name.to_ascii_lowercase()))
}

fn is_headers(path: &[String]) -> bool {
    path == ["request", "headers"]
}

fn extended(term: Term, name: String) -> Parsed<Term> {
    match term {
        Term::Path(mut path) => {
            path.push(name);
            Ok(Term::Path(path))
        }
        Term::Whole(_) => Err(format!("`{name}` is no part of what stands before it")),
    }
}

/// What a path names.
fn whole(term: Term) -> Parsed {
    let path = match term {
        Term::Whole(expression) => return Ok(expression),
        Term::Path(path) => path,
    };
    if let [start @ .., name] = path.as_slice()
        && is_headers(start)
    {
        return Ok(header(name));
    }
    let unknown = || format!("the attribute `{}` is not known", path.join("."));
    let peer = match path.as_slice() {
        [state, peer, field] if state == "filter_state" => Some((peer, field)),
        [peer, field] => Some((peer, field)),
        _ => None,
    };
    let side = peer.and_then(|(peer, _)| match peer.as_str() {
        "downstream_peer" => Some("source"),
        "upstream_peer" => Some("destination"),
        _ => None,
    });
    if let (Some(side), Some((_, field))) = (side, peer) {
        let mut fields = PEER_FIELDS.iter();
        let found = fields.find(|(name, _)| name == field);
        let (_, label) = found.ok_or_else(unknown)?;
        return Ok(of(Kind::Label(format!("{side}_{label}"))));
    }
    let name = path.join(".");
    if name == "request.referer" {
        return Ok(header("referer"));
    }
    let mut known = ATTRIBUTES.iter();
    let found = known.find(|(known, _)| *known == name);
    let (_, attribute) = found.ok_or_else(unknown)?;
    Ok(of(Kind::Attribute((*attribute).into())))
}

#[cfg(test)]
mod tests;
