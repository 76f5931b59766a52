//! What is called.

use super::path::normalise;
use super::*;

#[test]
fn trap_60_http_attributes_on_opaque_connections() {
    let get = || v1::AuthorizationOperation {
        methods: texts(&["GET"]),
        ..Default::default()
    };
    let get_on = |port| v1::AuthorizationOperation {
        ports: vec![port],
        ..get()
    };
    let header = || when(Attribute::RequestHeader, "x", &["1"], &[]);
    let with_ports = |port| {
        to(v1::AuthorizationOperation {
            ports: vec![port],
            ..Default::default()
        })
    };
    let cases = [
        (Action::Allow, vec![to(get())], false),
        (Action::Allow, vec![header()], false),
        (
            Action::Allow,
            vec![to(get_on(9080)), with_ports(9080)],
            true,
        ),
        (Action::Deny, vec![to(get())], false),
        (Action::Deny, vec![header()], false),
        (Action::Deny, vec![to(get_on(9080))], false),
        (Action::Deny, vec![to(get_on(9081))], true),
    ];
    for (action, rules, want) in cases {
        let snapshot = world(vec![policy("a", action, rules.clone())]);
        assert_eq!(tcp_allows(&snapshot, None), want, "{action:?} {rules:?}");
    }
}

/// What ztunnel does with fields that it cannot see holds for all that is carried as bytes, but
/// that a DENY rule of nothing else denies everything: fewer would be let in by a mistake.
#[test]
fn trap_67_bytes_are_decided_by_who_calls_and_where() {
    let other = id("spiffe://cluster.local/ns/default/sa/other");
    let get_by_productpage = || v1::AuthorizationRule {
        to: vec![v1::AuthorizationOperation {
            methods: texts(&["GET"]),
            ..Default::default()
        }],
        ..principals(&["*/sa/productpage"])
    };
    let by_productpage = || principals(&["*/sa/productpage"]);
    let productpage = productpage();
    for (action, rule, of_productpage, of_other) in [
        (Action::Allow, by_productpage(), true, false),
        (Action::Allow, get_by_productpage(), false, false),
        (Action::Deny, by_productpage(), false, true),
        (Action::Deny, get_by_productpage(), false, true),
        (Action::Audit, get_by_productpage(), true, true),
    ] {
        let snapshot = world(vec![policy("a", action, vec![rule])]);
        let allowed = [&productpage, &other].map(|caller| tcp_allows(&snapshot, Some(caller)));
        assert_eq!(allowed, [of_productpage, of_other], "{action:?}");
    }
}

#[test]
fn trap_61_paths_are_normalised() {
    for (path, want) in [
        ("/a/b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/./b/", "/a/b/"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/../../a", "/a"),
        ("/a/%2e%2E/b", "/b"),
        ("/%61%2fb", "/a%2fb"),
        ("/a\\b\\..\\c", "/a/c"),
        ("//a//b", "//a//b"),
        ("/%252e%252e/a", "/%252e%252e/a"),
        ("/a%", "/a%"),
        ("/a%4", "/a%4"),
        ("/%zz", "/%zz"),
        // No sequence that is decoded once more behind the policy comes out.
        ("/%%36%31dmin", "/%2561dmin"),
        ("/%6%31dmin", "/%2561dmin"),
        ("/%%361dmin", "/%2561dmin"),
        ("/%%2fa", "/%%2fa"),
        ("/.hidden", "/.hidden"),
        ("*", "*"),
        ("", ""),
    ] {
        assert_eq!(normalise(path), want, "{path}");
    }
    let snapshot = world(vec![policy("a", Action::Deny, vec![paths(&["/admin*"])])]);
    for path in [
        "/admin",
        "/x/../admin",
        "/%61dmin",
        "/x/%2e%2e/admin?q",
        "/./admin/x",
    ] {
        assert!(!http_allows(&snapshot, None, path, &[]), "{path}");
    }
    assert!(http_allows(&snapshot, None, "/admin/../x", &[]));
    assert!(http_allows(&snapshot, None, "/x?/admin", &[]));
    let mut parts = request("GET", "/x/../admin?q=1", &[]);
    plan::normalise_path(&snapshot, &mut parts);
    assert_eq!(parts.uri, "/admin?q=1");
}

#[test]
fn trap_61_path_templates() {
    for (template, path, want) in [
        ("/foo/{*}", "/foo/bar", true),
        ("/foo/{*}", "/foo/", false),
        ("/foo/{*}", "/foo/bar/baz", false),
        ("/foo/{*}/baz", "/foo/bar/baz", true),
        ("/foo/{**}", "/foo/", true),
        ("/foo/{**}", "/foo/a/b", true),
        ("/foo/{**}", "/foo", false),
        ("/foo/{**}", "/foobar", false),
        ("/{*}/x/{**}", "/a/x/b/c", true),
        ("/foo/{**}/bar", "/foo/a/b/bar", true),
        ("/foo/{**}/bar", "/foo/a/b/baz", false),
        ("/foo/{**}/bar", "/foo/bar", false),
        ("/{**}", "/", true),
    ] {
        assert_eq!(
            PathPattern::new(template).unwrap().matches(path),
            want,
            "{template} {path}"
        );
    }
    for bad in [
        "/{**}/{*}",
        "/a{*}",
        "/{**}x",
        "/{*}{*}",
        "/{**}/{**}",
        "{*}",
        "/{*}/{x}",
        "/{*}/a*",
    ] {
        assert!(PathPattern::new(bad).is_err(), "{bad}");
    }
    assert!(
        PathPattern::new("/{x}").is_ok(),
        "without a placeholder it is a plain path"
    );
}

#[test]
fn trap_66_ports_are_the_workloads() {
    let snapshot = world(vec![policy(
        "a",
        Action::Allow,
        vec![when(Attribute::DestinationPort, "", &["9080"], &[])],
    )]);
    assert!(tcp_allows(&snapshot, None));
    let other = Caller {
        destination: "10.0.0.1:80".parse().unwrap(),
        ..caller(None)
    };
    assert!(!plan::inbound_tcp(&snapshot, &other).allowed);
}

#[test]
fn conditions() {
    let who = productpage();
    let allows = |rule: ProtoRule| {
        http_allows(
            &world(vec![policy("a", Action::Allow, vec![rule])]),
            Some(&who),
            "/",
            &[("x", "abc")],
        )
    };
    assert!(allows(when(Attribute::RequestHeader, "x", &["a*"], &[])));
    assert!(!allows(when(Attribute::RequestHeader, "x", &["A*"], &[])));
    assert!(!allows(when(Attribute::RequestHeader, "y", &["*"], &[])));
    assert!(allows(when(Attribute::RequestHeader, "y", &[], &["*"])));
    assert!(!allows(when(
        Attribute::RequestHeader,
        "x",
        &["a*"],
        &["*c"]
    )));
    assert!(allows(when(
        Attribute::SourceIp,
        "",
        &["10.0.0.0/24"],
        &["10.0.0.8"]
    )));
    assert!(allows(when(Attribute::SourceNamespace, "", &["def*"], &[])));
    assert!(allows(when(
        Attribute::SourcePrincipal,
        "",
        &["cluster.local/ns/default/sa/productpage"],
        &[]
    )));
    assert!(allows(when(
        Attribute::DestinationIp,
        "",
        &["10.0.0.1"],
        &[]
    )));
    assert!(allows(when(
        Attribute::ConnectionSni,
        "",
        &["outbound_.9080_*"],
        &[]
    )));
    assert!(!allows(when(Attribute::ConnectionSni, "", &["other"], &[])));
}

#[test]
fn bad_values_are_refused_with_their_place() {
    let bad = [
        (
            when(Attribute::SourceIp, "", &["10.0.0.0/33"], &[]),
            "inbound.policies[0].rules[0].when[0].values[0]",
        ),
        (
            when(Attribute::DestinationPort, "", &["http"], &[]),
            "inbound.policies[0].rules[0].when[0].values[0]",
        ),
        (
            when(Attribute::Unspecified, "", &[], &[]),
            "inbound.policies[0].rules[0].when[0].attribute",
        ),
        (
            when(Attribute::RequestHeader, "a b", &[], &[]),
            "inbound.policies[0].rules[0].when[0].header",
        ),
        (
            paths(&["/ok", "/{**}/{*}"]),
            "inbound.policies[0].rules[0].to[0].paths[1]",
        ),
    ];
    for (rule, place) in bad {
        let applied = Snapshot::empty().apply(&response(
            1,
            vec![inbound(vec![policy("a", Action::Deny, vec![rule])])],
        ));
        assert!(
            applied.rejected[0]
                .reason
                .starts_with(&format!("{place}: ")),
            "{}",
            applied.rejected[0].reason
        );
        assert!(applied.snapshot.inbound().is_none());
    }
}
