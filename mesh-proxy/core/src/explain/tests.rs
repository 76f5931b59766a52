use mesh_api::v1::{self, http_route, resource::Body};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::*;
use crate::fixtures::{
    REVIEWS, client, destination, exact, field, forward, mesh, origin, prefix, present, regex,
    resource, response, reviews, snapshot,
};
use crate::plan::{self, HttpAction, Step};

fn ask(path: &str, headers: &[(&str, &str)]) -> ExplainRequest {
    ExplainRequest {
        host: "reviews".into(),
        port: 9080,
        path: path.into(),
        headers: headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        ..Default::default()
    }
}

fn jason() -> Vec<v1::HttpRoute> {
    let part = v1::HttpMatch {
        uri: prefix("/reviews"),
        headers: vec![field("end-user", exact("jason"))],
        origin: origin(12),
        ..Default::default()
    };
    let split = vec![
        destination(REVIEWS, 9080, "v1", 3),
        destination(REVIEWS, 9080, "v2", 1),
    ];
    vec![
        forward(vec![part], vec![destination(REVIEWS, 9080, "v2", 1)]),
        forward(vec![], split),
    ]
}

#[test]
fn tells_why_each_route_lost_and_which_one_won() {
    let snapshot = snapshot(reviews(jason()));
    let report = explain_outbound(
        &snapshot,
        &client(),
        &ask("/reviews/0", &[("end-user", "anna")]),
    )
    .unwrap();
    let outbound = report.outbound.unwrap();
    assert_eq!(outbound.resource, "routes/reviews:9080");
    assert_eq!(outbound.host.as_deref(), Some(REVIEWS));
    assert_eq!(outbound.tried.len(), 2);
    let failed = outbound.tried[0].matches[0].failed.as_ref().unwrap();
    assert_eq!(
        (
            failed.condition.as_str(),
            failed.wanted.as_str(),
            failed.actual.as_deref()
        ),
        ("headers[end-user]", "exact `jason`", Some("anna"))
    );
    assert!(outbound.tried[1].matched && outbound.tried[1].matches.is_empty());
    let shares: Vec<_> = outbound
        .destinations
        .iter()
        .map(|to| (to.cluster.as_str(), to.percent))
        .collect();
    assert_eq!(
        shares,
        [
            ("outbound|9080|v1|reviews.default.svc.cluster.local", 75.0),
            ("outbound|9080|v2|reviews.default.svc.cluster.local", 25.0)
        ]
    );
    assert_eq!(
        outbound.destinations[0]
            .subset_origin
            .as_ref()
            .unwrap()
            .line,
        100
    );
    let endpoint = &outbound.destinations[0].endpoints[0];
    assert_eq!(
        (endpoint.address.as_str(), endpoint.tls.as_str()),
        ("10.0.0.1:9081", "mesh")
    );
    assert_eq!(outbound.drawn, None);
    let report =
        explain_outbound(&snapshot, &client(), &ask("/x", &[("end-user", "jason")])).unwrap();
    let failed = report.outbound.unwrap().tried[0].matches[0]
        .failed
        .clone()
        .unwrap();
    assert_eq!(
        (failed.condition.as_str(), failed.actual.as_deref()),
        ("uri", Some("/x"))
    );
}

#[test]
fn missing_resources_and_bad_questions() {
    let empty = Snapshot::empty();
    let report = explain(&empty, &client(), &ask("/", &[])).unwrap();
    assert_eq!(
        (report.missing.as_deref(), report.outbound),
        (Some("routes/reviews:9080"), None)
    );
    let inbound = ExplainRequest {
        direction: Direction::Inbound,
        ..ask("/", &[])
    };
    assert_eq!(
        explain(&empty, &client(), &inbound)
            .unwrap()
            .missing
            .as_deref(),
        Some("inbound/self")
    );
    let gateway = ExplainRequest {
        direction: Direction::Gateway,
        ..ask("/", &[])
    };
    assert_eq!(
        explain(&empty, &client(), &gateway)
            .unwrap()
            .missing
            .as_deref(),
        Some("gateway/self")
    );
    for bad in [
        ExplainRequest {
            host: "a b".into(),
            ..Default::default()
        },
        ask("no path", &[]),
        ask("/", &[("a b", "")]),
        ExplainRequest {
            method: "G T".into(),
            ..ask("/", &[])
        },
    ] {
        assert!(
            explain(&snapshot(reviews(vec![])), &client(), &bad).is_err(),
            "{bad:?}"
        );
    }
}

/// A STRICT port, with policies for three callers.
fn guarded() -> v1::Inbound {
    let rule = |principal: &str| v1::AuthorizationRule {
        from: vec![v1::AuthorizationSource {
            principals: vec![principal.into()],
            ..Default::default()
        }],
        origin: origin(20),
        ..Default::default()
    };
    let policy = |name: &str, action: v1::AuthorizationAction, rules| v1::AuthorizationPolicy {
        name: name.into(),
        action: action.into(),
        rules,
        origin: origin(9),
        ..Default::default()
    };
    v1::Inbound {
        workload: "default/reviews-v1".into(),
        ports: vec![v1::InboundPort {
            port: 9080,
            protocol: v1::Protocol::Http.into(),
            mtls: v1::MtlsMode::Strict.into(),
            mtls_origin: origin(3),
            service: REVIEWS.into(),
            service_port: 80,
            ..Default::default()
        }],
        default_mtls: v1::MtlsMode::Permissive.into(),
        policies: vec![
            policy(
                "default/allow",
                v1::AuthorizationAction::Allow,
                vec![rule("*/sa/other"), rule("*/sa/productpage")],
            ),
            policy(
                "default/deny",
                v1::AuthorizationAction::Deny,
                vec![rule("*/sa/evil")],
            ),
            policy("default/none", v1::AuthorizationAction::Deny, vec![]),
        ],
        ..Default::default()
    }
}

#[test]
fn inbound_policies_are_told_in_order() {
    let snapshot = snapshot(vec![
        mesh(v1::OutboundPolicy::AllowAny),
        resource("inbound/self", Body::Inbound(guarded())),
    ]);
    let mut question = ExplainRequest {
        direction: Direction::Inbound,
        port: 9080,
        source_identity: Some("spiffe://cluster.local/ns/default/sa/productpage".into()),
        ..Default::default()
    };
    let told = explain(&snapshot, &client(), &question)
        .unwrap()
        .inbound
        .unwrap();
    assert_eq!(
        (
            told.mtls.as_str(),
            told.mtls_origin.unwrap().line,
            told.transport.as_str()
        ),
        ("STRICT", 3, "terminate")
    );
    let order: Vec<_> = told
        .policies
        .iter()
        .map(|policy| (policy.name.as_str(), policy.matched))
        .collect();
    assert_eq!(
        order,
        [
            ("default/deny", false),
            ("default/none", false),
            ("default/allow", true)
        ]
    );
    assert_eq!(
        told.policies[2].rules[0].why,
        "no source in `from` is the caller"
    );
    assert_eq!(
        (
            told.verdict.allowed,
            told.verdict.policy.as_deref(),
            told.verdict.rule
        ),
        (true, Some("default/allow"), Some(1))
    );
    assert_eq!(told.verdict.origin.unwrap().line, 20);
    question.source_identity = None;
    let told = explain(&snapshot, &client(), &question)
        .unwrap()
        .inbound
        .unwrap();
    assert_eq!(
        (told.transport.as_str(), told.verdict.allowed),
        ("refuse", false)
    );
    assert_eq!(told.verdict.reason.as_deref(), Some("plaintext_refused"));
    question.source_identity = Some("nonsense".into());
    assert!(explain(&snapshot, &client(), &question).is_err());
}

#[test]
fn nobody_makes_tunnels() {
    let mut resources = reviews(jason());
    resources.push(resource("inbound/self", Body::Inbound(guarded())));
    let snapshot = snapshot(resources);
    let question = ExplainRequest {
        method: "CONNECT".into(),
        source_identity: Some("spiffe://cluster.local/ns/default/sa/productpage".into()),
        ..ask("/", &[])
    };
    let told = explain(&snapshot, &client(), &question).unwrap();
    let outbound = told.outbound.unwrap();
    assert_eq!(
        (outbound.action.as_str(), outbound.status),
        ("respond", Some(400))
    );
    assert_eq!(
        outbound.reason.as_deref(),
        Some("downstream_protocol_error")
    );
    // Whose proxies it could have reached is told, so that they can be asked.
    assert!(!outbound.destinations.is_empty());
    let question = ExplainRequest {
        direction: Direction::Inbound,
        ..question
    };
    let told = explain(&snapshot, &client(), &question).unwrap();
    let verdict = told.inbound.unwrap().verdict;
    assert_eq!(
        (verdict.allowed, verdict.reason.as_deref()),
        (false, Some("route_not_found"))
    );
}

#[test]
fn reports_round_trip_as_json() {
    let mut route = jason();
    route[1].fault = Some(v1::Fault {
        abort_per_million: 500_000,
        abort_http: 503,
        delay_ms: 7000,
        delay_per_million: 1,
        origin: origin(5),
        ..Default::default()
    });
    let question = ExplainRequest {
        seed: Some(3),
        ..ask("/reviews", &[])
    };
    let report = explain(&snapshot(reviews(route)), &client(), &question).unwrap();
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(
        serde_json::from_str::<ExplainReport>(&text).unwrap(),
        report
    );
    assert_eq!(report.outbound.unwrap().fault.unwrap().abort, "HTTP 503");
    let short: ExplainRequest = serde_json::from_str(r#"{"host":"reviews","port":9080}"#).unwrap();
    assert_eq!((short.method.as_str(), short.path.as_str()), ("GET", "/"));
    assert!(serde_json::from_str::<ExplainRequest>(r#"{"hots":"x"}"#).is_err());
}

fn arbitrary_string() -> impl Strategy<Value = v1::StringMatch> {
    prop_oneof![
        "[ab]{0,2}".prop_map(|text| exact(&text)),
        "/[ab]{0,2}".prop_map(|text| exact(&text)),
        "/[ab]{0,2}".prop_map(|text| prefix(&text)),
        Just(regex("/?[ab]*")),
        Just(present()),
    ]
    .prop_map(Option::unwrap)
}

fn arbitrary_match() -> impl Strategy<Value = v1::HttpMatch> {
    let optional = || proptest::option::weighted(0.4, arbitrary_string());
    let fields = || proptest::collection::vec(("[xy]", arbitrary_string()), 0..2);
    (
        optional(),
        any::<bool>(),
        proptest::option::weighted(0.2, Just(exact("GET").unwrap())),
        fields(),
        fields(),
        fields(),
    )
        .prop_map(|(uri, ignore_uri_case, method, headers, without, query)| {
            let fields = |list: Vec<(String, v1::StringMatch)>| {
                list.into_iter()
                    .map(|(name, value)| field(&name, Some(value)))
                    .collect()
            };
            v1::HttpMatch {
                uri,
                ignore_uri_case,
                method,
                headers: fields(headers),
                without_headers: fields(without),
                query_params: fields(query),
                ..Default::default()
            }
        })
}

fn arbitrary_route() -> impl Strategy<Value = v1::HttpRoute> {
    let to = proptest::collection::vec(("(v1|v2|gone)?", 1..5_u32), 1..4);
    let forwards =
        (to, proptest::option::of("/[ab]{0,2}"), 0..1_000_001_u32).prop_map(|(to, uri, share)| {
            let destinations = to
                .iter()
                .map(|(subset, weight)| destination(REVIEWS, 9080, subset, *weight))
                .collect();
            http_route::Action::Forward(v1::Forward {
                destinations,
                rewrite: uri.map(|uri| v1::Rewrite {
                    uri,
                    authority: "rewritten".into(),
                    ..Default::default()
                }),
                mirrors: vec![v1::Mirror {
                    destination: Some(destination(REVIEWS, 9080, "v1", 0)),
                    per_million: share,
                }],
                ..Default::default()
            })
        });
    let action = prop_oneof![
        4 => forwards,
        1 => Just(http_route::Action::Redirect(v1::Redirect { uri_prefix: "/new".into(), ..Default::default() })),
        1 => Just(http_route::Action::Direct(v1::DirectResponse { status: 201, body: vec![] })),
    ];
    let fault = proptest::option::weighted(0.2, 0..1_000_001_u32);
    (
        proptest::collection::vec(arbitrary_match(), 0..3),
        action,
        fault,
    )
        .prop_map(|(matches, action, fault)| v1::HttpRoute {
            matches,
            action: Some(action),
            fault: fault.map(|share| v1::Fault {
                abort_per_million: share,
                abort_http: 418,
                ..Default::default()
            }),
            ..Default::default()
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]

    #[test]
    fn explains_what_is_planned(
        routes in proptest::collection::vec(arbitrary_route(), 0..5),
        path in "/[abAB]{0,3}(\\?[xy]=[ab]?)?",
        method in "GET|PUT",
        headers in proptest::collection::vec(("[xy]", "/?[ab]{0,2}"), 0..3),
        seed in any::<u64>(),
    ) {
        let snapshot = crate::snapshot::Snapshot::empty().apply(&response(1, reviews(routes))).snapshot;
        let question = ExplainRequest { method, headers, seed: Some(seed), ..ask(&path, &[]) };
        let told = explain(&snapshot, &client(), &question).unwrap().outbound.unwrap();

        let parts = question.parts().unwrap();
        let mut rng = SmallRng::seed_from_u64(seed);
        let host = "reviews".parse().unwrap();
        let Step::Ready(plan) = plan::outbound_http(&snapshot, &host, 9080, &parts, &mut rng) else { panic!("missing") };

        let matched = told.tried.iter().filter(|route| route.matched).count();
        prop_assert_eq!(matched, usize::from(plan.route.is_some()));
        prop_assert!(told.tried.iter().rev().skip(1).all(|route| !route.matched), "only the last one can win");
        for route in &told.tried {
            let wins = route.matches.iter().filter(|tried| tried.failed.is_none()).count();
            prop_assert!(wins <= 1 && (route.matched || wins == 0));
        }
        if let Some(route) = &plan.route {
            let table = snapshot.table(&"routes/reviews:9080".parse().unwrap()).unwrap();
            let index = table.http.iter().position(|known| std::sync::Arc::ptr_eq(known, route)).unwrap();
            prop_assert_eq!(told.tried.len(), index + 1);
        }
        match &plan.action {
            HttpAction::Forward(forward) => {
                prop_assert_eq!(told.action.as_str(), "forward");
                prop_assert_eq!(told.drawn, Some(forward.cluster.id.to_string()));
                let mut sent = parts.clone();
                plan::apply_request(forward, &mut sent);
                prop_assert_eq!(told.sent_path.unwrap(), sent.uri.path_and_query().unwrap().to_string());
            }
            HttpAction::Respond(answer) => {
                prop_assert_eq!(told.action.as_str(), "respond");
                prop_assert_eq!(told.status, Some(answer.status.as_u16()));
                prop_assert_eq!(told.reason, Some(answer.reason.to_string()));
            }
            HttpAction::Passthrough { .. } => prop_assert!(false, "the destination is declared"),
        }
        let percent: f64 = told.destinations.iter().map(|to| to.percent).sum();
        prop_assert!(told.destinations.is_empty() || (percent - 100.0).abs() < 1e-6);
    }
}
