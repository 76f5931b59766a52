use std::collections::BTreeMap;

use mesh_api::v1;

use super::*;
use crate::fixtures::{
    REVIEWS, destination, exact, field, forward, prefix, present, regex, request, reviews, rng,
    snapshot,
};
use crate::ir::{Action, HttpRoute};

fn compile(routes: Vec<v1::HttpRoute>) -> Vec<Arc<HttpRoute>> {
    let snapshot = snapshot(reviews(routes));
    snapshot
        .table(&"routes/reviews:9080".parse().unwrap())
        .unwrap()
        .http
        .clone()
}

fn one(part: v1::HttpMatch) -> HttpMatch {
    compile(vec![forward(
        vec![part],
        vec![destination(REVIEWS, 9080, "", 1)],
    )])[0]
        .matches[0]
        .clone()
}

/// Method, target, header fields, and what comes of them.
type Case<'a> = (
    &'a str,
    &'a str,
    &'a [(&'a str, &'a str)],
    Result<(), Mismatch>,
);

fn check(part: v1::HttpMatch, cases: &[Case<'_>]) {
    let part = one(part);
    for (method, uri, headers, want) in cases {
        let parts = request(method, uri, headers);
        assert_eq!(
            matches(&part, &RequestView::new(&parts)),
            *want,
            "{method} {uri} {headers:?}"
        );
    }
}

#[test]
fn trap_09_prefix_is_a_byte_prefix() {
    let part = v1::HttpMatch {
        uri: prefix("/foo"),
        ..Default::default()
    };
    check(
        part,
        &[
            ("GET", "/foobar", &[], Ok(())),
            ("GET", "/foo?x", &[], Ok(())),
            ("GET", "/fo", &[], Err(Mismatch::Uri)),
        ],
    );
}

#[test]
fn trap_09_presence_is_not_the_empty_string() {
    let part = v1::HttpMatch {
        headers: vec![field("x", present())],
        ..Default::default()
    };
    check(
        part,
        &[
            ("GET", "/", &[("x", "")], Ok(())),
            ("GET", "/", &[("x", "1")], Ok(())),
            ("GET", "/", &[], Err(Mismatch::Header(0))),
        ],
    );
    let part = v1::HttpMatch {
        headers: vec![field("x", exact(""))],
        ..Default::default()
    };
    check(
        part,
        &[
            ("GET", "/", &[("x", "")], Ok(())),
            ("GET", "/", &[("x", "1")], Err(Mismatch::Header(0))),
        ],
    );
}

#[test]
fn trap_09_regex_is_a_full_match() {
    let part = v1::HttpMatch {
        uri: regex("/v[12]"),
        ..Default::default()
    };
    check(
        part,
        &[
            ("GET", "/v1", &[], Ok(())),
            ("GET", "/v1/x", &[], Err(Mismatch::Uri)),
            ("GET", "/x/v1", &[], Err(Mismatch::Uri)),
        ],
    );
}

#[test]
fn case_matters_except_for_paths_on_demand() {
    let part = v1::HttpMatch {
        uri: exact("/Foo"),
        ignore_uri_case: true,
        method: exact("GET"),
        ..Default::default()
    };
    check(
        part,
        &[
            ("GET", "/fOO", &[], Ok(())),
            ("get", "/foo", &[], Err(Mismatch::Method)),
        ],
    );
    let part = v1::HttpMatch {
        uri: exact("/Foo"),
        authority: exact("Reviews"),
        ..Default::default()
    };
    check(
        part,
        &[
            ("GET", "/Foo", &[("host", "Reviews")], Ok(())),
            (
                "GET",
                "/Foo",
                &[("host", "reviews")],
                Err(Mismatch::Authority),
            ),
            ("GET", "/foo", &[("host", "Reviews")], Err(Mismatch::Uri)),
        ],
    );
}

#[test]
fn without_headers_pass_when_absent() {
    let part = v1::HttpMatch {
        without_headers: vec![field("x", prefix("a"))],
        ..Default::default()
    };
    check(
        part,
        &[
            ("GET", "/", &[], Ok(())),
            ("GET", "/", &[("x", "b")], Ok(())),
            ("GET", "/", &[("x", "ab")], Err(Mismatch::WithoutHeader(0))),
        ],
    );
}

#[test]
fn several_values_compare_joined() {
    let part = v1::HttpMatch {
        headers: vec![field("x", exact("a,b"))],
        ..Default::default()
    };
    check(
        part,
        &[
            ("GET", "/", &[("x", "a"), ("x", "b")], Ok(())),
            ("GET", "/", &[("x", "a")], Err(Mismatch::Header(0))),
        ],
    );
}

#[test]
fn pseudo_headers_and_the_target_authority() {
    let headers = vec![
        field(":method", exact("PUT")),
        field("host", exact("real:80")),
        field(":path", exact("/a?b=c")),
    ];
    let part = v1::HttpMatch {
        headers,
        scheme: exact("https"),
        ..Default::default()
    };
    check(
        part,
        &[
            ("PUT", "https://real:80/a?b=c", &[("host", "other")], Ok(())),
            ("PUT", "https://user@real:80/a?b=c", &[], Ok(())),
            (
                "PUT",
                "/a?b=c",
                &[("host", "real:80")],
                Err(Mismatch::Scheme),
            ),
            (
                "GET",
                "https://real:80/a?b=c",
                &[],
                Err(Mismatch::Header(0)),
            ),
        ],
    );
}

#[test]
fn query_parameters_compare_raw_and_the_first_counts() {
    let part = v1::HttpMatch {
        query_params: vec![field("q", exact("a%20b"))],
        ..Default::default()
    };
    check(
        part,
        &[
            ("GET", "/?q=a%20b", &[], Ok(())),
            ("GET", "/?x=1&q=a%20b&q=c", &[], Ok(())),
            ("GET", "/?q=c&q=a%20b", &[], Err(Mismatch::QueryParam(0))),
            ("GET", "/?q=a+b", &[], Err(Mismatch::QueryParam(0))),
            ("GET", "/", &[], Err(Mismatch::QueryParam(0))),
        ],
    );
    let part = v1::HttpMatch {
        query_params: vec![field("q", present())],
        ..Default::default()
    };
    check(
        part,
        &[
            ("GET", "/?q", &[], Ok(())),
            ("GET", "/?Q", &[], Err(Mismatch::QueryParam(0))),
        ],
    );
}

#[test]
fn paths_are_compared_in_normal_form() {
    let part = v1::HttpMatch {
        uri: prefix("/admin"),
        ..Default::default()
    };
    check(
        part,
        &[
            ("GET", "/x/../admin", &[], Ok(())),
            ("GET", "/%61dmin", &[], Ok(())),
            ("GET", "/admin/../x", &[], Err(Mismatch::Uri)),
        ],
    );
}

#[test]
fn trap_03_the_first_route_wins_and_matches_are_alternatives() {
    let to = |subset| vec![destination(REVIEWS, 9080, subset, 1)];
    let jason = v1::HttpMatch {
        headers: vec![field("end-user", exact("jason"))],
        ..Default::default()
    };
    let root = v1::HttpMatch {
        uri: exact("/"),
        ..Default::default()
    };
    let routes = compile(vec![
        forward(vec![jason, root], to("v2")),
        forward(vec![], to("v1")),
        forward(vec![], to("")),
    ]);
    let subset = |uri: &str, headers: &[(&str, &str)]| {
        let parts = request("GET", uri, headers);
        let selected = select(&routes, &RequestView::new(&parts), &mut ()).unwrap();
        let Action::Forward(forward) = &selected.route.action else {
            panic!("no forward")
        };
        (
            forward
                .destinations
                .iter()
                .next()
                .unwrap()
                .cluster
                .subset
                .to_string(),
            selected.matched,
        )
    };
    assert_eq!(
        subset("/x", &[("end-user", "jason")]),
        ("v2".to_owned(), Some(0))
    );
    assert_eq!(subset("/", &[]), ("v2".to_owned(), Some(1)));
    assert_eq!(subset("/x", &[]), ("v1".to_owned(), None));
}

fn pick_counts(weights: &[(&str, u32)], draws: u32) -> BTreeMap<String, u32> {
    let to = weights
        .iter()
        .map(|(subset, weight)| destination(REVIEWS, 9080, subset, *weight))
        .collect();
    let routes = compile(vec![forward(vec![], to)]);
    let Action::Forward(forward) = &routes[0].action else {
        panic!("no forward")
    };
    let mut rng = rng();
    let mut counts = BTreeMap::new();
    for _ in 0..draws {
        let picked = pick(&forward.destinations, &mut rng).unwrap();
        *counts.entry(picked.cluster.subset.to_string()).or_default() += 1;
    }
    counts
}

#[test]
fn trap_07_weights_are_relative() {
    let counts = pick_counts(&[("v1", 1), ("v2", 3)], 100_000);
    let share = f64::from(counts["v2"]) / 100_000.0;
    assert!((share - 0.75).abs() < 0.01, "{share}");
    assert_eq!(
        pick_counts(&[("v1", 0)], 10)["v1"],
        10,
        "a single one takes all, whatever its weight"
    );
    assert!(!pick_counts(&[("v1", 0), ("v2", 1)], 1000).contains_key("v1"));
}

#[test]
fn trap_71_a_lost_share_goes_to_no_destination() {
    let routes = |weights: &[u32], lost: u32| {
        let to = weights
            .iter()
            .map(|weight| destination(REVIEWS, 9080, "", *weight))
            .collect();
        let mut route = forward(vec![], to);
        if let Some(v1::http_route::Action::Forward(forward)) = &mut route.action {
            forward.invalid = Some(v1::InvalidShare {
                weight: lost,
                action: Some(v1::InvalidAction {
                    status: 500,
                    message: "gone".into(),
                }),
            });
        }
        compile(vec![route])
    };
    // A single destination does not take what is lost.
    for (weights, lost, want) in [(&[1][..], 3, 0.25), (&[1, 1], 2, 0.5)] {
        let routes = routes(weights, lost);
        let Action::Forward(forward) = &routes[0].action else {
            panic!("no forward")
        };
        let mut rng = rng();
        let sent = (0..100_000).filter(|_| pick(&forward.destinations, &mut rng).is_some());
        let share = sent.count() as f64 / 100_000.0;
        assert!((share - want).abs() < 0.01, "{share}");
        let invalid = forward.invalid.as_ref().unwrap();
        assert_eq!(
            (invalid.status.as_u16(), &*invalid.message),
            (500, "gone"),
            "the answer to the rest"
        );
    }
}
