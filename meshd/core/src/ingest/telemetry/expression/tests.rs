use super::*;

/// The tree in brackets.
fn told(expression: &Expression) -> String {
    match expression.kind.as_ref().unwrap() {
        Kind::Text(text) => format!("{text:?}"),
        Kind::Number(number) => number.to_string(),
        Kind::Truth(truth) => truth.to_string(),
        Kind::Attribute(_) => {
            let attribute = expression_attribute(expression).unwrap();
            let mut known = ATTRIBUTES.iter();
            let (name, _) = known.find(|(_, known)| *known == attribute).unwrap();
            (*name).to_owned()
        }
        Kind::RequestHeader(name) => format!("header:{name}"),
        Kind::Label(name) => format!("label:{name}"),
        Kind::Operation(operation) => {
            let operands: Vec<String> = operation.operands.iter().map(told).collect();
            format!("({:?} {})", operation.operator(), operands.join(" "))
        }
    }
}

#[test]
fn what_is_written_in_telemetry_objects() {
    for (text, want) in [
        ("response.code >= 400", "(GreaterOrEqual response.code 400)"),
        (
            "response.code >= 500 || response.code == 0",
            "(Or (GreaterOrEqual response.code 500) (Equal response.code 0))",
        ),
        (
            "!connection.mtls && request.url_path.contains('v1beta3')",
            "(And (Not connection.mtls) (Contains request.url_path \"v1beta3\"))",
        ),
        (
            "response.code == 200 && request.headers['x-a'] == 'b' && !(request.path.startsWith(\"/healthz\"))",
            "(And (Equal response.code 200) (Equal header:x-a \"b\") (Not (StartsWith request.path \"/healthz\")))",
        ),
        ("request.headers[\"X-Tenant\"]", "header:x-tenant"),
        (
            "'X-Tenant' in request.headers",
            "(IsPresent header:x-tenant)",
        ),
        ("has(request.headers.tenant)", "(IsPresent header:tenant)"),
        (
            "request.method in ['GET', 'HEAD']",
            "(Or (Equal request.method \"GET\") (Equal request.method \"HEAD\"))",
        ),
        (
            "has(response.code) ? string(response.code) : 'none'",
            "(Conditional (IsPresent response.code) (Text response.code) \"none\")",
        ),
        (
            "request.host + ':' + string(destination.port)",
            "(Add request.host \":\" (Text destination.port))",
        ),
        ("upstream_peer.app", "label:destination_app"),
        (
            "filter_state['downstream_peer'].namespace",
            "label:source_workload_namespace",
        ),
        ("downstream_peer.identity", "label:source_principal"),
        (
            "response.flags != 0 && true",
            "(And (NotEqual response.flags 0) true)",
        ),
        (
            "request.path.matches('^/a/[0-9]+$')",
            "(Matches request.path \"^/a/[0-9]+$\")",
        ),
        (r#"r'a\d' == "a\"b\\" "#, r#"(Equal "a\\d" "a\"b\\")"#),
        ("response.code > -1u", "(Greater response.code -1)"),
        ("request.referer", "header:referer"),
        ("'v1'", "\"v1\""),
    ] {
        assert_eq!(told(&parse(text).unwrap()), want, "{text}");
    }
}

#[test]
fn what_is_not_understood_is_named() {
    for (text, want) in [
        ("", "it ends too early"),
        ("response.code >=", "it ends too early"),
        ("response.code 400", "unexpected the number 400"),
        ("(response.code", "it ends too early, expected `)`"),
        (
            "response.size.x",
            "the attribute `response.size.x` is not known",
        ),
        (
            "node.metadata['NAME']",
            "the attribute `node.metadata.NAME` is not known",
        ),
        (
            "upstream_peer.labels['app'].value",
            "the attribute `upstream_peer.labels.app.value` is not known",
        ),
        (
            "upstream_peer.colour",
            "the attribute `upstream_peer.colour` is not known",
        ),
        (
            "request.path.split('/')",
            "the function `split` is not supported",
        ),
        ("request.path.matches('(')", "`(`: "),
        (
            "request.path.matches(request.host)",
            "`matches` takes a text",
        ),
        ("1.5 < 2", "`1` begins no whole number"),
        ("99999999999999999999 > 1", "is too large"),
        ("'a", "a text is not closed"),
        (r"'\x41'", "an escape in a text"),
        ("a % b", "unexpected `%`"),
        ("response.code - 1", "unexpected `-`"),
        (
            "request.headers",
            "the attribute `request.headers` is not known",
        ),
        ("1 in request.headers", "`in` takes a list"),
        ("ä", "unexpected `ä`"),
    ] {
        let error = parse(text).unwrap_err();
        assert!(error.contains(want), "{text}: {error}");
    }
    let deep = format!("{}1{}", "(".repeat(100), ")".repeat(100));
    assert!(parse(&deep).unwrap_err().contains("within each other"));
    let negated = format!("{}true", "!".repeat(1001));
    assert_eq!(told(&parse(&negated).unwrap()), "(Not true)");
    assert!(
        parse(&"a".repeat(LONGEST + 1))
            .unwrap_err()
            .contains("longer")
    );
}

#[test]
fn conditions_are_told_from_values() {
    for (text, want) in [
        ("response.code >= 400", true),
        ("connection.mtls", true),
        ("true", true),
        ("connection.mtls ? response.code > 1 : false", true),
        ("connection.mtls ? 'a' : 'b'", false),
        ("response.code", false),
        ("'a' + 'b'", false),
        ("request.headers['a']", false),
    ] {
        assert_eq!(is_condition(&parse(text).unwrap()), want, "{text}");
    }
}
