//! What is refused, and how the field is named.

use v1::http_route::Action;

use super::*;
use crate::fixtures::{exact, field, prefix, regex};

fn refused(body: Body, name: &str) -> String {
    let applied = Snapshot::empty().apply(&response(1, vec![resource(name, body)]));
    applied
        .rejected
        .first()
        .map(|rejection| rejection.reason.clone())
        .unwrap_or_default()
}

fn route(change: impl Fn(&mut v1::HttpRoute)) -> String {
    let mut route = default_route();
    change(&mut route);
    refused(table(vec![route]).body.unwrap(), "routes/reviews:9080")
}

fn check(got: &str, want: &str) {
    assert!(
        got.starts_with(want) && got.is_empty() == want.is_empty(),
        "got `{got}`, want `{want}`"
    );
    assert!(!got.contains('\n'), "one line: {got}");
}

#[test]
fn matches_are_refused() {
    let cases = [
        (
            v1::HttpMatch {
                uri: prefix("/"),
                ..Default::default()
            },
            "",
        ),
        (
            v1::HttpMatch {
                uri: regex("("),
                ..Default::default()
            },
            "uri.regex: `(` is no usable",
        ),
        (
            v1::HttpMatch {
                headers: vec![field("a b", exact(""))],
                ..Default::default()
            },
            "headers[0].name: ",
        ),
        (
            v1::HttpMatch {
                query_params: vec![field("a", None)],
                ..Default::default()
            },
            "query_params[0].value: is not set",
        ),
    ];
    for (part, want) in cases {
        let got = route(|route| route.matches = vec![v1::HttpMatch::default(), part.clone()]);
        check(
            got.strip_prefix("routes.http[0].matches[1].")
                .unwrap_or(&got),
            want,
        );
    }
}

#[test]
fn destinations_and_retries_are_refused() {
    let many = |weight| vec![destination("a", 1, "", weight); 2];
    let retry = |on: &[&str]| {
        Some(v1::Retry {
            retry_on: on.iter().map(|name| (*name).to_owned()).collect(),
            ..Default::default()
        })
    };
    let to = |destinations| v1::Forward {
        destinations,
        ..Default::default()
    };
    let with_retry = |retry| v1::Forward {
        destinations: many(1),
        retry,
        ..Default::default()
    };
    let cases = [
        (
            to(vec![destination("a/b", 1, "", 1)]),
            "destinations[0].host: ",
        ),
        (
            to(vec![destination("a", 0, "", 1)]),
            "destinations[0].port: 0 is no port",
        ),
        (to(vec![]), "destinations: there is no destination"),
        (to(many(u32::MAX)), "destinations: the weights sum up"),
        (to(many(0)), "destinations: total destination weight = 0"),
        (
            with_retry(retry(&["5xx", "x"])),
            "retry.retry_on[1]: `x` is no retry condition",
        ),
        (with_retry(retry(&["gateway-error", "503"])), ""),
    ];
    for (forward, want) in cases {
        let got = route(|route| route.action = Some(Action::Forward(forward.clone())));
        check(
            got.strip_prefix("routes.http[0].forward.").unwrap_or(&got),
            want,
        );
    }
}

#[test]
fn actions_and_edits_are_refused() {
    let action = |action: Action| route(move |route| route.action = Some(action.clone()));
    let remove = |name: &str| {
        route(|route| {
            let edits = v1::FieldEdits {
                remove: vec![name.to_owned()],
                ..Default::default()
            };
            route.headers = Some(v1::HeaderEdits {
                request: Some(edits),
                response: None,
            });
        })
    };
    let fault = v1::Fault {
        delay_per_million: 1_000_001,
        ..Default::default()
    };
    let cases = [
        (
            remove("host"),
            "headers.request.remove[0]: the host can only be set",
        ),
        (
            remove(":path"),
            "headers.request.remove[0]: `:path` is no header name",
        ),
        (route(|route| route.action = None), "action: is not set"),
        (
            route(|route| route.fault = Some(fault.clone())),
            "fault.delay_per_million: ",
        ),
        (
            action(Action::Redirect(v1::Redirect {
                code: 304,
                ..Default::default()
            })),
            "redirect.code: 304",
        ),
        (
            action(Action::Direct(v1::DirectResponse {
                status: 100,
                body: vec![],
            })),
            "direct.status: 100",
        ),
    ];
    for (got, want) in cases {
        check(got.strip_prefix("routes.http[0].").unwrap_or(&got), want);
    }
}

#[test]
fn a_port_without_policy_is_refused() {
    let mut no_policy = service(REVIEWS, 80, &[]);
    no_policy.subsets[0].policies.clear();
    let reason = refused(Body::Service(no_policy), &format!("service/{REVIEWS}"));
    assert_eq!(reason, "service.subsets[0].policies: port 80 has none");
}
