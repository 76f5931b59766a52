//! Who calls.

use super::*;

#[test]
fn trap_53_empty_rules() {
    let all = || vec![ProtoRule::default()];
    let cases = [
        (vec![], true),
        (vec![policy("a", Action::Allow, vec![])], false),
        (vec![policy("a", Action::Allow, all())], true),
        (vec![policy("a", Action::Deny, vec![])], true),
        (vec![policy("a", Action::Deny, all())], false),
        (
            vec![
                policy("a", Action::Allow, all()),
                policy("b", Action::Deny, all()),
            ],
            false,
        ),
        (
            vec![
                policy("a", Action::Allow, vec![]),
                policy("b", Action::Allow, all()),
            ],
            true,
        ),
    ];
    for (policies, want) in cases {
        let snapshot = world(policies.clone());
        let who = productpage();
        assert_eq!(
            http_allows(&snapshot, Some(&who), "/", &[]),
            want,
            "{policies:?}"
        );
        assert_eq!(tcp_allows(&snapshot, Some(&who)), want, "{policies:?}");
    }
    let empty = Snapshot::empty();
    assert!(
        !tcp_allows(&empty, None),
        "nothing is allowed before the first configuration"
    );
}

#[test]
fn verdicts_name_the_rule() {
    let mut second = principals(&["*/sa/productpage"]);
    second.origin = crate::fixtures::origin(33);
    let snapshot = world(vec![policy(
        "default/p",
        Action::Deny,
        vec![principals(&["nobody"]), second],
    )]);
    let who = productpage();
    let verdict = plan::inbound_tcp(&snapshot, &caller(Some(&who)));
    assert!(!verdict.allowed);
    assert_eq!(verdict.reason, Some(Reason::AuthorizationDenied));
    let by = verdict.by.unwrap();
    assert_eq!(
        (&*by.name, by.rule, by.origin.unwrap().line),
        ("default/p", 1, 33)
    );
    let snapshot = world(vec![policy(
        "default/p",
        Action::Allow,
        vec![principals(&["nobody"])],
    )]);
    assert_eq!(
        plan::inbound_tcp(&snapshot, &caller(Some(&who))).reason,
        Some(Reason::AuthorizationNotAllowed)
    );
}

#[test]
fn trap_55_lists_are_alternatives_and_fields_add_up() {
    let mut rule = principals(&["*/sa/a", "*/sa/productpage"]);
    rule.to = vec![
        v1::AuthorizationOperation {
            methods: texts(&["POST"]),
            ..Default::default()
        },
        v1::AuthorizationOperation {
            methods: texts(&["GET"]),
            ports: vec![9080],
            ..Default::default()
        },
    ];
    let snapshot = world(vec![policy("a", Action::Allow, vec![rule])]);
    let who = productpage();
    assert!(http_allows(&snapshot, Some(&who), "/", &[]));
    let elsewhere = Caller {
        destination: "10.0.0.1:1".parse().unwrap(),
        ..caller(Some(&who))
    };
    assert!(!plan::inbound_http(&snapshot, &elsewhere, &request("GET", "/", &[])).allowed);
    assert!(plan::inbound_http(&snapshot, &elsewhere, &request("POST", "/", &[])).allowed);
}

#[test]
fn trap_55_and_58_plaintext_peers() {
    let source = |source| vec![policy("a", Action::Allow, vec![from(source)])];
    let not_principals = v1::AuthorizationSource {
        not_principals: texts(&["*"]),
        ..Default::default()
    };
    let not_namespaces = v1::AuthorizationSource {
        not_namespaces: texts(&["default"]),
        ..Default::default()
    };
    let any = v1::AuthorizationSource {
        principals: texts(&["*"]),
        ..Default::default()
    };
    let namespaces = v1::AuthorizationSource {
        namespaces: texts(&["*"]),
        ..Default::default()
    };
    for (policies, plain, known) in [
        (source(not_principals), true, false),
        (source(not_namespaces), true, false),
        (source(any), false, true),
        (source(namespaces), false, true),
    ] {
        let snapshot = world(policies.clone());
        assert_eq!(tcp_allows(&snapshot, None), plain, "{policies:?}");
        assert_eq!(
            tcp_allows(&snapshot, Some(&productpage())),
            known,
            "{policies:?}"
        );
    }
}

#[test]
fn trap_56_patterns() {
    for (pattern, value, want) in [
        ("abc", "abc", true),
        ("abc", "abcd", false),
        ("ab*", "abc", true),
        ("ab*", "ab", true),
        ("*bc", "abc", true),
        ("*bc", "bcd", false),
        ("*", "x", true),
        ("*", "", false),
    ] {
        assert_eq!(
            Pattern::new(pattern).matches(value.as_bytes()),
            want,
            "{pattern} {value}"
        );
    }
    for (pattern, value, want) in [
        ("foo", "foo", true),
        ("f*o", "foo", true),
        ("f*o", "fo", true),
        ("foo*foo", "foo", false),
        ("*a*b*", "xaxbx", true),
        ("*a*b*", "xbxax", false),
        ("*", "anything", true),
        ("a*", "ba", false),
    ] {
        assert_eq!(
            NamespacePattern::new(pattern).matches(value),
            want,
            "{pattern} {value}"
        );
    }
    let hosts = |list: &[&str]| {
        let operation = v1::AuthorizationOperation {
            hosts: texts(list),
            ..Default::default()
        };
        world(vec![policy("a", Action::Deny, vec![to(operation)])])
    };
    let denied =
        |list: &[&str], host: &str| !http_allows(&hosts(list), None, "/", &[("host", host)]);
    assert!(denied(&["Reviews.Example"], "reviews.EXAMPLE"));
    assert!(
        denied(&["reviews.example"], "reviews.example:9080"),
        "a port is no way around"
    );
    assert!(denied(&["reviews.example:9080"], "reviews.example:9080"));
    assert!(denied(&["*.example"], "a.example:80") && denied(&["reviews*"], "REVIEWS.x"));
    assert!(!denied(&["reviews.example"], "reviews.example.org"));
}

#[test]
fn trap_57_trust_domains() {
    let allows = |domain: &str, aliases: &[&str], pattern: &str, who: &str| {
        let snapshot = world_of(
            domain,
            aliases,
            vec![policy("a", Action::Allow, vec![principals(&[pattern])])],
        );
        tcp_allows(&snapshot, Some(&id(who)))
    };
    let old = "spiffe://old/ns/a/sa/b";
    let new = "spiffe://new/ns/a/sa/b";
    assert!(
        allows("new", &["old"], "old/ns/a/sa/b", new),
        "a policy of the old name holds for the new one"
    );
    assert!(
        allows("new", &["old"], "new/ns/a/sa/b", old),
        "and the other way"
    );
    assert!(
        allows("new", &[], "cluster.local/ns/a/sa/b", new),
        "cluster.local is the mesh's own"
    );
    assert!(!allows("new", &[], "old/ns/a/sa/b", new));
    assert!(!allows(
        "new",
        &[],
        "cluster.local/ns/a/sa/b",
        "spiffe://cluster.local/ns/a/sa/b"
    ));
    assert!(
        allows("new", &[], "other/ns/a/sa/b", "spiffe://other/ns/a/sa/b"),
        "foreign names are compared as they are"
    );
    assert!(allows("new", &["old"], "old/ns/a/sa/*", new));
    assert!(allows("new", &["old"], "*ld/ns/a/sa/b", new));
    assert!(allows(
        "new",
        &[],
        "*/ns/a/sa/b",
        "spiffe://other/ns/a/sa/b"
    ));
    assert!(
        !allows("new", &[], "spiffe://new/ns/a/sa/b", new),
        "principals are written without the scheme"
    );
}

#[test]
fn trap_59_ip_blocks_are_the_direct_peer() {
    let blocks = |list: &[&str]| {
        let source = v1::AuthorizationSource {
            ip_blocks: texts(list),
            ..Default::default()
        };
        world(vec![policy("a", Action::Allow, vec![from(source)])])
    };
    assert!(tcp_allows(&blocks(&["10.0.0.0/8"]), None));
    assert!(tcp_allows(&blocks(&["10.0.0.9"]), None));
    assert!(!tcp_allows(&blocks(&["10.0.0.8"]), None));
    let mapped = Caller {
        source: "::ffff:10.0.0.9".parse().unwrap(),
        ..caller(None)
    };
    assert!(
        plan::inbound_tcp(&blocks(&["10.0.0.0/8"]), &mapped).allowed,
        "an IPv4 address in IPv6 form is the same"
    );
}

/// `<issuer>/<subject>`, parted by the last slash. Without one a pattern is of the issuer
/// (`prefix*`) or of the subject (`*suffix`), and both have to be there in any case.
#[test]
fn trap_62_principals_of_requests_and_claims() {
    let matches = |pattern: &str, issuer: &str, subject: &str| {
        let mut claims = serde_json::Map::new();
        for (name, value) in [("iss", issuer), ("sub", subject)] {
            if !value.is_empty() {
                claims.insert(name.to_owned(), value.into());
            }
        }
        RequestPrincipalPattern::new(pattern).matches(&Token::new(claims, Vec::new()))
    };
    for (pattern, issuer, subject, want) in [
        ("https://a/b/me", "https://a/b", "me", true),
        ("https://a/b/me", "https://a", "b/me", false),
        ("https://a/*", "https://a", "me", true),
        ("*/me", "https://a/b", "me", true),
        ("https://*", "https://a", "me", false),
        ("iss*", "issuer", "me", true),
        ("iss*", "other", "me", false),
        ("*me", "issuer", "they", false),
        ("*me", "issuer", "not-me", true),
        ("me", "me", "me", false),
        ("*", "issuer", "me", true),
        ("*", "issuer", "", false),
        ("*", "", "me", false),
    ] {
        assert_eq!(
            matches(pattern, issuer, subject),
            want,
            "{pattern} {issuer} {subject}"
        );
    }
    let claims = serde_json::json!({
        "list": ["a", "b"], "scope": "read write", "words": "read write",
        "in": {"ner": {"deep": "x"}}, "number": 1,
    });
    let claims = claims.as_object().unwrap().clone();
    let token = Token::new(claims, vec!["scope".into()]);
    let holds = |names: &[&str], wanted: &str| {
        let names: Vec<Box<str>> = names.iter().map(|name| (*name).into()).collect();
        token.claim_holds(&names, |value| value == wanted)
    };
    for (names, wanted, want) in [
        (&["list"][..], "b", true),
        (&["list"], "c", false),
        (&["scope"], "write", true),
        (&["words"], "write", false),
        (&["words"], "read write", true),
        (&["in", "ner", "deep"], "x", true),
        (&["in", "ner"], "x", false),
        (&["number"], "1", false),
        (&["absent"], "", false),
    ] {
        assert_eq!(holds(names, wanted), want, "{names:?} {wanted}");
    }
}
