//! Requests of a sidecar.

use super::*;
use crate::fixtures::{exact, prefix, regex, response, table};

/// The plan for a request when there is this one route.
fn on_route(route: v1::HttpRoute, uri: &str, headers: &[(&str, &str)]) -> HttpPlan {
    plan_of(
        &snapshot(reviews(vec![route])),
        &request("GET", uri, headers),
    )
}

fn with_forward(change: impl FnOnce(&mut v1::Forward)) -> v1::HttpRoute {
    let mut route = default_route();
    if let Some(http_route::Action::Forward(forward)) = &mut route.action {
        change(forward);
    }
    route
}

#[test]
fn what_is_missing_is_named() {
    let empty = Snapshot::empty();
    let parts = request("GET", "/", &[]);
    let need = |name: &str, port| match outbound_http(&empty, &host(name), port, &parts, &mut rng())
    {
        Step::Need(name) => name.to_string(),
        Step::Ready(plan) => panic!("{plan:?}"),
    };
    assert_eq!(need("Reviews", 9080), "routes/reviews:9080");
    assert_eq!(need("10.0.0.1", 80), "address/10.0.0.1:80");
    let Step::Need(name) = gateway_http(&empty, 80, &parts, &mut rng()) else {
        panic!("decided")
    };
    assert_eq!(name, ResourceName::Gateway);
    let mapped = "[::ffff:10.0.0.1]:80".parse().unwrap();
    let Step::Need(name) = outbound_address(&empty, mapped) else {
        panic!("decided")
    };
    assert_eq!(name.to_string(), "address/10.0.0.1:80");
    assert!(inbound_connection(&empty, 80).is_none());
}

#[test]
fn forwards_with_all_that_the_route_says() {
    let route = with_forward(|forward| {
        let retry_on = vec!["5xx".into(), "503".into()];
        forward.timeout_ms = 1500;
        forward.retry = Some(v1::Retry {
            attempts: 2,
            retry_on,
            ..Default::default()
        });
        let to = |subset| Some(destination(REVIEWS, 9080, subset, 0));
        forward.mirrors = vec![
            v1::Mirror {
                destination: to("v1"),
                per_million: 1_000_000,
            },
            v1::Mirror {
                destination: to("v2"),
                per_million: 0,
            },
            v1::Mirror {
                destination: to("gone"),
                per_million: 1_000_000,
            },
        ];
    });
    let plan = on_route(route, "/", &[]);
    let forward = forwarded(&plan);
    assert_eq!(forward.timeout, Some(Duration::from_millis(1500)));
    let retry = forward.retry.as_ref().unwrap();
    assert_eq!(
        (retry.attempts, retry.status_codes.as_slice()),
        (2, &[503][..])
    );
    assert_eq!(retry.backoff_max, Duration::from_millis(250));
    let mirrors: Vec<_> = forward
        .mirrors
        .iter()
        .map(|mirror| &*mirror.id.subset)
        .collect();
    assert_eq!(mirrors, ["v1"]);
    assert_eq!(
        plan.origin().unwrap().to_string(),
        "mesh.yaml:10 (VirtualService default/reviews)"
    );
}

#[test]
fn trap_08_no_timeout_and_no_retry_unless_said() {
    let plan = on_route(default_route(), "/", &[]);
    assert_eq!(forwarded(&plan).timeout, None);
    assert!(forwarded(&plan).retry.is_none());
}

#[test]
fn trap_12_unknown_services_and_subsets_answer_503() {
    let unknown = [
        ("nobody.example", 80, ""),
        (REVIEWS, 9080, "v9"),
        (REVIEWS, 1, ""),
    ];
    for (host, port, subset) in unknown {
        let plan = on_route(
            forward(vec![], vec![destination(host, port, subset, 1)]),
            "/",
            &[],
        );
        let answer = answered(&plan);
        assert_eq!(
            (answer.status.as_u16(), answer.reason),
            (503, Reason::ClusterNotFound)
        );
        assert_eq!(answer.flags.to_string(), "NC");
    }
}

#[test]
fn no_route_answers_404_and_invalid_ones_their_status() {
    let only = v1::HttpMatch {
        uri: exact("/x"),
        ..Default::default()
    };
    let plan = on_route(
        forward(vec![only], vec![destination(REVIEWS, 9080, "", 1)]),
        "/y",
        &[],
    );
    assert_eq!(answered(&plan).status, 404);
    assert_eq!(answered(&plan).headers["x-mesh-reason"], "route_not_found");
    let invalid = v1::InvalidAction {
        status: 500,
        message: "no such delegate".into(),
    };
    let route = v1::HttpRoute {
        action: Some(http_route::Action::Invalid(invalid)),
        ..Default::default()
    };
    let plan = on_route(route.clone(), "/", &[]);
    assert_eq!(
        (answered(&plan).status.as_u16(), answered(&plan).reason),
        (500, Reason::RouteInvalid)
    );
    let plan = on_route(route, "/", &[("content-type", "application/grpc")]);
    assert_eq!(answered(&plan).headers["grpc-status"], "2");
}

fn response_set(name: &str, value: &str) -> v1::HeaderEdits {
    let set = vec![v1::Field {
        name: name.into(),
        value: value.into(),
    }];
    v1::HeaderEdits {
        request: None,
        response: Some(v1::FieldEdits {
            set,
            ..Default::default()
        }),
    }
}

#[test]
fn redirects_and_direct_answers_carry_the_routes_edits() {
    let headers = Some(response_set("x-by", "mesh"));
    let redirect = http_route::Action::Redirect(v1::Redirect {
        uri: "/new".into(),
        ..Default::default()
    });
    let route = v1::HttpRoute {
        action: Some(redirect),
        headers: headers.clone(),
        ..Default::default()
    };
    let plan = on_route(route, "/old?q", &[("host", "reviews:9080")]);
    let answer = answered(&plan);
    assert_eq!(answer.status, 301, "Istio's default");
    assert_eq!(answer.headers["location"], "http://reviews:9080/new?q");
    assert_eq!(answer.headers["x-by"], "mesh");
    let direct = http_route::Action::Direct(v1::DirectResponse {
        status: 418,
        body: b"tea".to_vec(),
    });
    let route = v1::HttpRoute {
        action: Some(direct),
        headers,
        ..Default::default()
    };
    let plan = on_route(route, "/", &[]);
    assert_eq!(
        (answered(&plan).status.as_u16(), &answered(&plan).body[..]),
        (418, &b"tea"[..])
    );
    assert_eq!(answered(&plan).reason, Reason::DirectResponse);
}

fn request_set(name: &str, value: &str) -> v1::HeaderEdits {
    let set = vec![v1::Field {
        name: name.into(),
        value: value.into(),
    }];
    v1::HeaderEdits {
        request: Some(v1::FieldEdits {
            set,
            ..Default::default()
        }),
        response: None,
    }
}

#[test]
fn trap_11_who_sets_the_authority() {
    let sent = |rewrite: Option<&str>, route: Option<&str>, to: Option<&str>| {
        let mut http = with_forward(|forward| {
            let rewrite = rewrite.map(str::to_owned);
            forward.rewrite = rewrite.map(|authority| v1::Rewrite {
                authority,
                ..Default::default()
            });
            forward.destinations[0].headers = to.map(|authority| request_set("host", authority));
        });
        http.headers = route.map(|authority| request_set(":authority", authority));
        let mut parts = request("GET", "/", &[("host", "reviews")]);
        let plan = plan_of(&snapshot(reviews(vec![http])), &parts);
        apply_request(forwarded(&plan), &mut parts);
        parts.headers["host"].to_str().unwrap().to_owned()
    };
    assert_eq!(sent(None, None, None), "reviews", "the Host stays as it is");
    assert_eq!(sent(None, None, Some("to")), "to");
    assert_eq!(sent(None, Some("route"), Some("to")), "route");
    assert_eq!(sent(Some("rewrite"), Some("route"), Some("to")), "rewrite");
}

#[test]
fn trap_10_rewrites_are_applied_to_what_was_matched() {
    let sent = |uri: Option<v1::StringMatch>, to: &str, path: &str| {
        let mut route = with_forward(|forward| {
            forward.rewrite = Some(v1::Rewrite {
                uri: to.into(),
                ..Default::default()
            });
        });
        route.matches = vec![v1::HttpMatch {
            uri,
            ..Default::default()
        }];
        let mut parts = request("GET", path, &[("host", "reviews")]);
        let plan = plan_of(&snapshot(reviews(vec![route])), &parts);
        apply_request(forwarded(&plan), &mut parts);
        parts.uri.to_string()
    };
    assert_eq!(sent(prefix("/api"), "/v2", "/api/x?q"), "/v2/x?q");
    assert_eq!(sent(exact("/api"), "/v2", "/api?q"), "/v2?q");
    assert_eq!(sent(regex("/a.*"), "/v2", "/api/x"), "/v2");
    assert_eq!(sent(prefix("/api"), "/v2", "/x/../api/y"), "/v2/y");
}

fn cors() -> Option<v1::Cors> {
    Some(v1::Cors {
        allow_origins: vec![exact("https://o").unwrap()],
        ..Default::default()
    })
}

#[test]
fn responses_get_edits_of_route_and_destination_and_cors() {
    let mut route = with_forward(|forward| {
        forward.destinations[0].headers = Some(response_set("x-a", "destination"));
    });
    route.headers = Some(response_set("x-a", "route"));
    route.cors = cors();
    let plan = on_route(route, "/", &[("origin", "https://o")]);
    let mut parts = ::http::Response::new(()).into_parts().0;
    apply_response(&plan, &mut parts);
    assert_eq!(parts.headers["x-a"], "destination");
    assert_eq!(parts.headers["access-control-allow-origin"], "https://o");
}

#[test]
fn preflights_meet_no_faults() {
    let mut route = default_route();
    route.cors = cors();
    route.fault = Some(v1::Fault {
        abort_per_million: 1_000_000,
        abort_http: 500,
        ..Default::default()
    });
    let snapshot = snapshot(reviews(vec![route]));
    let headers = [
        ("origin", "https://o"),
        ("access-control-request-method", "GET"),
    ];
    let plan = plan_of(&snapshot, &request("OPTIONS", "/", &headers));
    assert_eq!(plan.fault, FaultDecision::default());
    assert_eq!(answered(&plan).reason, Reason::CorsPreflight);
    let plan = plan_of(&snapshot, &request("GET", "/", &[]));
    assert_eq!(plan.fault.response(false).unwrap().status, 500);
}

#[test]
fn a_change_of_routes_is_one_switch() {
    let before = snapshot(reviews(vec![default_route()]));
    let to_v2 = forward(vec![], vec![destination(REVIEWS, 9080, "v2", 1)]);
    let after = before
        .apply(&response(2, vec![table(vec![to_v2])]))
        .snapshot;
    let subset = |snapshot: &Snapshot| {
        let plan = plan_of(snapshot, &request("GET", "/", &[]));
        forwarded(&plan).cluster.id.subset.to_string()
    };
    assert_eq!(
        (subset(&before), subset(&after)),
        (String::new(), "v2".to_owned())
    );
}
