use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, HOST};
use http::{HeaderName, HeaderValue, StatusCode};

use super::*;
use crate::fixtures::{request, rng};
use crate::ir::{
    Abort, Cors, Fault, FieldEdits, HttpMatch, Redirect, RegexRewrite, Rewrite, StringMatch,
};
use crate::reason::{Reason, ResponseFlags};
use crate::route::RequestView;

fn uri_match(uri: Option<StringMatch>) -> HttpMatch {
    HttpMatch {
        name: "".into(),
        uri,
        ignore_uri_case: false,
        scheme: None,
        method: None,
        authority: None,
        headers: vec![],
        without_headers: vec![],
        query_params: vec![],
        origin: None,
    }
}

fn prefix(text: &str) -> Option<StringMatch> {
    Some(StringMatch::Prefix(text.into()))
}

#[test]
fn trap_10_prefix_rewrite() {
    let cases: &[(Option<StringMatch>, &str, &str, &str)] = &[
        (prefix("/api"), "/v2", "/api/x?q=1", "/v2/x?q=1"),
        (prefix("/api/"), "/", "/api/x", "/x"),
        (prefix("/api"), "/", "/api/x", "//x"),
        (prefix("/"), "/v2", "/a", "/v2a"),
        (None, "/v2", "/a", "/v2a"),
        (Some(StringMatch::Exact("/a".into())), "/b", "/a?q", "/b?q"),
        (
            Some(StringMatch::Exact("/a".into())),
            "/b?n=1",
            "/a?q",
            "/b?n=1",
        ),
    ];
    for (uri, new, path, want) in cases {
        let rewrite = Rewrite {
            uri: Some((*new).into()),
            ..Rewrite::default()
        };
        let parts = request("GET", path, &[]);
        let matched = uri_match(uri.clone());
        let got = rewritten_path(Some(&rewrite), Some(&matched), &RequestView::new(&parts))
            .unwrap()
            .unwrap();
        assert_eq!(got.as_str(), *want, "{new} on {path}");
    }
}

#[test]
fn trap_10_regex_rewrite_substitutes_groups_everywhere() {
    let cases = [
        (
            "^/service/([^/]+)(/.*)$",
            r"\2/instance/\1",
            "/service/foo/v1/api?q",
            "/v1/api/instance/foo?q",
        ),
        ("one", "two", "/xxx/one/yyy/one/zzz", "/xxx/two/yyy/two/zzz"),
        (
            "^(.*?)one(.*)$",
            r"\1two\2",
            "/xxx/one/yyy/one/zzz",
            "/xxx/two/yyy/one/zzz",
        ),
        ("(?i)/xxx/", "/yyy/", "/aaa/XxX/bbb", "/aaa/yyy/bbb"),
        ("/none", "/x", "/a", "/a"),
        ("a", r"\\", "/a", r"/\"),
        ("a", "$0", "/a", "/$0"),
    ];
    for (pattern, substitution, path, want) in cases {
        let regex = Some(RegexRewrite::new(pattern, substitution).unwrap());
        let rewrite = Rewrite {
            regex,
            ..Rewrite::default()
        };
        let parts = request("GET", path, &[]);
        let got = rewritten_path(Some(&rewrite), None, &RequestView::new(&parts));
        let Ok(got) = got else {
            assert!(want.contains('\\'), "{pattern}");
            continue;
        };
        assert_eq!(got.unwrap().as_str(), want, "{pattern}");
    }
}

#[test]
fn unrewritten_paths_are_sent_in_normal_form_only_if_they_differ() {
    let parts = request("GET", "/a/../b?q=1", &[]);
    assert_eq!(
        rewritten_path(None, None, &RequestView::new(&parts))
            .unwrap()
            .unwrap()
            .as_str(),
        "/b?q=1"
    );
    let parts = request("GET", "/b?q=1", &[]);
    assert_eq!(
        rewritten_path(None, None, &RequestView::new(&parts)),
        Ok(None)
    );
    let rewrite = Rewrite {
        uri: Some("nowhere".into()),
        ..Rewrite::default()
    };
    assert!(rewritten_path(Some(&rewrite), None, &RequestView::new(&parts)).is_err());
}

fn redirect() -> Redirect {
    Redirect {
        uri: None,
        uri_prefix: None,
        authority: None,
        scheme: None,
        port: None,
        port_from_request: false,
        code: StatusCode::MOVED_PERMANENTLY,
    }
}

/// Rules, the Host that they meet, and the Location for `/a/b?q=1` matched by the prefix `/a`.
fn redirects() -> Vec<(Redirect, &'static str, &'static str)> {
    let some = |text: &str| Some(Box::from(text));
    let port = |port| Redirect {
        port: Some(port),
        ..redirect()
    };
    let https = |port| Redirect {
        scheme: some("https"),
        port,
        ..redirect()
    };
    let uri = |text| Redirect {
        uri: some(text),
        ..redirect()
    };
    let old = "old.example:8080";
    vec![
        (uri("/new"), old, "http://old.example:8080/new?q=1"),
        (uri("/new?x"), old, "http://old.example:8080/new?x"),
        (
            Redirect {
                uri_prefix: some("/new"),
                ..redirect()
            },
            old,
            "http://old.example:8080/new/b?q=1",
        ),
        (
            Redirect {
                authority: some("new.example"),
                ..redirect()
            },
            old,
            "http://new.example/a/b?q=1",
        ),
        (https(None), "old.example:80", "https://old.example/a/b?q=1"),
        (https(Some(443)), old, "https://old.example/a/b?q=1"),
        (https(Some(8443)), old, "https://old.example:8443/a/b?q=1"),
        (port(80), old, "http://old.example/a/b?q=1"),
        (port(81), "[::1]:80", "http://[::1]:81/a/b?q=1"),
        (
            Redirect {
                port_from_request: true,
                ..redirect()
            },
            "old.example",
            "http://old.example:9080/a/b?q=1",
        ),
    ]
}

#[test]
fn trap_10_redirect_locations() {
    for (rule, host, want) in redirects() {
        let parts = request("GET", "/a/b?q=1", &[("host", host)]);
        let matched = uri_match(prefix("/a"));
        assert_eq!(
            location(&rule, Some(&matched), &RequestView::new(&parts), 9080),
            want,
            "{rule:?}"
        );
    }
    let parts = request("GET", "/a?b", &[("host", "x.example:80")]);
    assert_eq!(
        https_location(&RequestView::new(&parts)),
        "https://x.example/a?b"
    );
}

fn edits(remove: &[&str], set: &[(&str, &str)], add: &[(&str, &str)]) -> FieldEdits {
    let pair = |(name, value): &(&str, &str)| {
        (
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_str(value).unwrap(),
        )
    };
    FieldEdits {
        authority: None,
        remove: remove.iter().map(|name| name.parse().unwrap()).collect(),
        set: set.iter().map(pair).collect(),
        add: add.iter().map(pair).collect(),
    }
}

#[test]
fn trap_11_route_edits_come_before_destination_edits() {
    let mut parts = request("GET", "/", &[("a", "1"), ("b", "1"), ("c", "1")]);
    let route = edits(&["a"], &[("b", "route"), ("d", "route")], &[("c", "route")]);
    let destination = edits(&["c"], &[("b", "destination")], &[("a", "destination")]);
    edit_fields(&mut parts.headers, [&route, &destination].into_iter());
    let values = |name: &str| {
        parts
            .headers
            .get_all(name)
            .iter()
            .map(|v| v.to_str().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(values("a"), ["destination"]);
    assert_eq!(values("b"), ["destination"]);
    assert_eq!(values("c"), ["route"], "removals come before all additions");
    assert_eq!(values("d"), ["route"]);
}

#[test]
fn the_authority_is_replaced_wherever_it_stands() {
    let new = HeaderValue::from_static("new:81");
    let mut parts = request("GET", "http://old/a?b", &[("host", "old")]);
    set_authority(&mut parts, &new);
    assert_eq!(
        (parts.uri.to_string().as_str(), &parts.headers[HOST]),
        ("http://new:81/a?b", &new)
    );
    let mut parts = request("GET", "/a", &[]);
    set_authority(&mut parts, &new);
    assert_eq!(
        (parts.uri.to_string().as_str(), &parts.headers[HOST]),
        ("/a", &new)
    );
    let mut parts = request("GET", "http://old/a", &[]);
    parts.version = http::Version::HTTP_2;
    set_authority(&mut parts, &new);
    assert!(parts.headers.is_empty());
    assert_eq!(parts.uri.authority().unwrap(), "new:81");
}

#[test]
fn trap_13_faults_only_for_the_given_share() {
    let fault = |delay, abort| Fault {
        delay_per_million: delay,
        delay: std::time::Duration::from_secs(7),
        abort_per_million: abort,
        abort: Abort::Http(StatusCode::IM_A_TEAPOT),
        origin: None,
    };
    let mut rng = rng();
    let mut count = |fault: &Fault| {
        let draws: Vec<_> = (0..20_000).map(|_| draw_fault(fault, &mut rng)).collect();
        let delays = draws.iter().filter(|draw| draw.delay.is_some()).count();
        (
            delays,
            draws.iter().filter(|draw| draw.abort.is_some()).count(),
        )
    };
    assert_eq!(count(&fault(0, 0)), (0, 0));
    assert_eq!(count(&fault(1_000_000, 1_000_000)), (20_000, 20_000));
    let (delays, aborts) = count(&fault(100_000, 500_000));
    assert!(
        (1800..2200).contains(&delays) && (9700..10_300).contains(&aborts),
        "{delays} {aborts}"
    );
    let all = draw_fault(&fault(1_000_000, 1_000_000), &mut rng);
    let answer = all.response(false).unwrap();
    assert_eq!(
        (answer.status, answer.flags.to_string().as_str()),
        (StatusCode::IM_A_TEAPOT, "DI,FI")
    );
    assert_eq!(answer.headers[REASON_HEADER], "fault_abort");
}

#[test]
fn grpc_clients_get_grpc_statuses() {
    let answer = LocalResponse::failure(Reason::NoHealthyEndpoint, "", true);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["grpc-status"], "14");
    assert_eq!(answer.headers["content-type"], "application/grpc");
    assert!(answer.body.is_empty());
    assert!(answer.flags.contains(ResponseFlags::NO_HEALTHY_UPSTREAM));
    assert_eq!(
        LocalResponse::new(
            Reason::FaultAbort,
            StatusCode::FORBIDDEN,
            "a%\n".into(),
            true
        )
        .headers["grpc-message"],
        "a%25"
    );
    let grpc = |kind: &str| is_grpc(&request("POST", "/", &[("content-type", kind)]).headers);
    assert!(
        grpc("application/grpc") && grpc("application/grpc+proto") && grpc("application/grpc; x")
    );
    assert!(!grpc("application/grpc-web") && !grpc("application/json"));
}

#[test]
fn ports_are_told_from_addresses() {
    let cases = [
        ("a:80", "a"),
        ("a", "a"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
        ("::1", "::1"),
        ("a:x", "a:x"),
        ("a:", "a"),
    ];
    for (authority, want) in cases {
        assert_eq!(without_port(authority), want);
    }
}

fn rules(forward_unmatched: bool) -> Cors {
    Cors {
        allow_origins: vec![StringMatch::Exact("https://good".into())],
        allow_methods: Some(HeaderValue::from_static("GET,PUT")),
        allow_headers: None,
        expose_headers: Some(HeaderValue::from_static("x-a")),
        max_age: Some(HeaderValue::from_static("60")),
        allow_credentials: true,
        forward_unmatched_preflights: forward_unmatched,
    }
}

#[test]
fn cors_answers_preflights_and_marks_responses() {
    let preflight = |origin: &str| {
        request(
            "OPTIONS",
            "/",
            &[("origin", origin), ("access-control-request-method", "PUT")],
        )
    };
    let CorsOutcome::Preflight(answer) = cors(&rules(true), &preflight("https://good")) else {
        panic!("no answer")
    };
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers[ACCESS_CONTROL_ALLOW_ORIGIN], "https://good");
    assert_eq!(answer.headers["access-control-allow-methods"], "GET,PUT");
    assert_eq!(answer.headers["access-control-max-age"], "60");
    assert!(matches!(
        cors(&rules(true), &preflight("https://bad")),
        CorsOutcome::Ignore
    ));
    let CorsOutcome::Preflight(answer) = cors(&rules(false), &preflight("https://bad")) else {
        panic!("no answer")
    };
    assert!(!answer.headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN));
    let CorsOutcome::Grant(grant) = cors(
        &rules(true),
        &request("GET", "/", &[("origin", "https://good")]),
    ) else {
        panic!("no grant")
    };
    let mut headers = http::HeaderMap::new();
    grant.apply(&mut headers);
    assert_eq!(headers["access-control-expose-headers"], "x-a");
    assert_eq!(headers["access-control-allow-credentials"], "true");
    assert!(matches!(
        cors(&rules(true), &request("GET", "/", &[])),
        CorsOutcome::Ignore
    ));
    assert!(matches!(
        cors(
            &rules(true),
            &request("OPTIONS", "/", &[("origin", "https://good")])
        ),
        CorsOutcome::Grant(_)
    ));
}

#[test]
fn with_credentials_a_wildcard_names_what_is_asked_for() {
    let any = || Some(http::HeaderValue::from_static("*"));
    let asked = request(
        "OPTIONS",
        "/",
        &[
            ("origin", "https://good"),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", "x-a, x-b"),
        ],
    );
    for (credentials, want) in [(true, ("PUT", "x-a, x-b")), (false, ("*", "*"))] {
        let rules = Cors {
            allow_methods: any(),
            allow_headers: any(),
            allow_credentials: credentials,
            ..rules(true)
        };
        let CorsOutcome::Preflight(answer) = cors(&rules, &asked) else {
            panic!("no answer")
        };
        let field = |name: &str| answer.headers[name].to_str().unwrap();
        let found = (
            field("access-control-allow-methods"),
            field("access-control-allow-headers"),
        );
        assert_eq!(found, want);
    }
}
