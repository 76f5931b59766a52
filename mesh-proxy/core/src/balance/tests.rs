mod growth;
mod policies;

use std::collections::BTreeMap;

use mesh_api::v1;
use proptest::prelude::*;

use http::StatusCode;

use super::*;
use crate::fixtures::{
    REVIEWS, policy, response, rng, service, service_resource, tls, workload, workload_resource,
};
use crate::ir::ClusterId;
use crate::snapshot::Snapshot;

/// A cluster with an endpoint for each weight.
fn cluster_with(balancer: v1::LoadBalancer, weights: &[u32]) -> Arc<Cluster> {
    let mut reviews = service(REVIEWS, 9080, &[]);
    reviews.subsets[0].policies[0].policy = Some(policy(balancer, tls(v1::ClientTlsMode::Auto)));
    let mut upsert = vec![service_resource(reviews)];
    for (n, weight) in weights.iter().enumerate() {
        let mut workload = workload(
            &format!("w{n}"),
            "v1",
            &format!("10.0.0.{n}"),
            (REVIEWS, 9080, 9080),
        );
        workload.weight = *weight;
        upsert.push(workload_resource(workload));
    }
    let snapshot = Snapshot::empty().apply(&response(1, upsert)).snapshot;
    let id = ClusterId {
        host: REVIEWS.parse().unwrap(),
        port: 9080,
        subset: "".into(),
    };
    Arc::clone(snapshot.cluster(&id).unwrap())
}

fn balancer(kind: v1::LoadBalancer, weights: &[u32]) -> Balancer {
    Balancer::new(cluster_with(kind, weights), Instant::now())
}

const KINDS: [v1::LoadBalancer; 3] = [
    v1::LoadBalancer::LeastRequest,
    v1::LoadBalancer::RoundRobin,
    v1::LoadBalancer::Random,
];
fn without(exclude: &[Arc<str>]) -> Want<'_> {
    Want {
        exclude,
        ..Want::default()
    }
}

/// Some moment.
fn start() -> Instant {
    Instant::now()
}

const MS: Duration = Duration::from_millis(1);

/// Picks and finishes; who was picked how often.
fn counts(balancer: &mut Balancer, picks: u32, outcome: Outcome) -> BTreeMap<String, u32> {
    let now = Instant::now();
    let mut rng = rng();
    let mut counts = BTreeMap::new();
    for _ in 0..picks {
        let picked = balancer.pick(now, &mut rng, Want::default()).unwrap();
        *counts.entry(picked.endpoint.uid.to_string()).or_default() += 1;
        balancer.finished(picked.token, outcome, Some(MS), now);
    }
    counts
}

#[test]
fn traffic_follows_the_weights() {
    for kind in KINDS {
        let counts = counts(&mut balancer(kind, &[1, 2, 5]), 16_000, Outcome::Success);
        for (uid, weight) in [
            ("default/w0", 1.0),
            ("default/w1", 2.0),
            ("default/w2", 5.0),
        ] {
            let share = f64::from(counts[uid]) / 16_000.0;
            assert!(
                (share - weight / 8.0).abs() < 0.02,
                "{kind:?} {uid} {share}"
            );
        }
        let counts = self::counts(&mut balancer(kind, &[3, 3, 3, 3]), 8_000, Outcome::Success);
        assert!(
            counts.values().all(|count| (1700..2300).contains(count)),
            "{kind:?} {counts:?}"
        );
    }
}

#[test]
fn round_robin_goes_round() {
    let mut balancer = balancer(v1::LoadBalancer::RoundRobin, &[1, 1, 1]);
    let now = Instant::now();
    let mut rng = rng();
    let order: Vec<_> = (0..6)
        .map(|_| {
            balancer
                .pick(now, &mut rng, Want::default())
                .unwrap()
                .endpoint
                .uid
                .to_string()
        })
        .collect();
    assert_eq!(
        order,
        [
            "default/w0",
            "default/w1",
            "default/w2",
            "default/w0",
            "default/w1",
            "default/w2"
        ]
    );
}

#[test]
fn least_request_prefers_the_faster_and_the_less_busy() {
    let mut balancer = balancer(v1::LoadBalancer::LeastRequest, &[1, 1]);
    let now = Instant::now();
    let mut rng = rng();
    // Both have something under way, then one turns out to be slow.
    for _ in 0..20 {
        let picked = balancer.pick(now, &mut rng, Want::default()).unwrap();
        let latency = if &*picked.endpoint.uid == "default/w0" {
            100 * MS
        } else {
            MS
        };
        balancer.finished(picked.token, Outcome::Success, Some(latency), now);
    }
    let slow = counts(&mut balancer, 1000, Outcome::Success)
        .get("default/w0")
        .copied()
        .unwrap_or_default();
    assert_eq!(slow, 0);
    let held: Vec<_> = (0..300)
        .map(|_| balancer.pick(now, &mut rng, Want::default()).unwrap())
        .collect();
    let slow = held
        .iter()
        .filter(|picked| &*picked.endpoint.uid == "default/w0")
        .count();
    assert!((1..60).contains(&slow), "load counts, too: {slow} of 300");
}

#[test]
fn a_slightly_slower_version_keeps_its_share() {
    let mut balancer = balancer(v1::LoadBalancer::LeastRequest, &[1, 1]);
    let now = Instant::now();
    let mut rng = rng();
    let mut slower = 0;
    for _ in 0..1000 {
        let picked = balancer.pick(now, &mut rng, Want::default()).unwrap();
        let is_slower = &*picked.endpoint.uid == "default/w0";
        slower += u32::from(is_slower);
        let latency = if is_slower { 6 * MS } else { MS };
        balancer.finished(picked.token, Outcome::Success, Some(latency), now);
    }
    assert!((330..500).contains(&slower), "{slower} of 1000");
}

#[test]
fn what_failed_is_ejected_and_probed() {
    let mut balancer = balancer(v1::LoadBalancer::Random, &[1, 1, 1]);
    let start = Instant::now();
    let mut rng = rng();
    let fail = |balancer: &mut Balancer, now, rng: &mut _| {
        for _ in 0..200 {
            let picked = balancer.pick(now, rng, Want::default()).unwrap();
            let bad = &*picked.endpoint.uid == "default/w1";
            balancer.finished(
                picked.token,
                if bad {
                    Outcome::ConnectFailure
                } else {
                    Outcome::Success
                },
                Some(MS),
                now,
            );
        }
    };
    fail(&mut balancer, start, &mut rng);
    assert_eq!(
        balancer
            .status()
            .iter()
            .filter(|status| status.is_ejected)
            .count(),
        1
    );
    assert!(!counts(&mut balancer, 500, Outcome::Success).contains_key("default/w1"));
    let later = start + Duration::from_secs(1);
    let probe = balancer.pick(later, &mut rng, Want::default()).unwrap();
    assert!(probe.is_probe && &*probe.endpoint.uid == "default/w1");
    let second = balancer.pick(later, &mut rng, Want::default()).unwrap();
    assert!(!second.is_probe, "one probe at a time");
    balancer.finished(probe.token, Outcome::Success, Some(MS), later);
    assert!(balancer.status().iter().all(|status| !status.is_ejected));
}

#[test]
fn if_all_are_ejected_all_are_used() {
    for kind in KINDS {
        let mut balancer = balancer(kind, &[1, 1]);
        let _ = counts(&mut balancer, 50, Outcome::ConnectFailure);
        assert!(balancer.status().iter().all(|status| status.is_ejected));
        assert_eq!(
            counts(&mut balancer, 100, Outcome::ConnectFailure).len(),
            2,
            "{kind:?}"
        );
    }
}

#[test]
fn retries_go_elsewhere_if_there_is_an_elsewhere() {
    let now = Instant::now();
    for kind in KINDS {
        let mut balancer = balancer(kind, &[1, 1, 4]);
        let mut rng = rng();
        let exclude: Vec<Arc<str>> = vec!["default/w0".into(), "default/w2".into()];
        for _ in 0..100 {
            let picked = balancer.pick(now, &mut rng, without(&exclude)).unwrap();
            assert_eq!(&*picked.endpoint.uid, "default/w1");
            balancer.finished(picked.token, Outcome::Success, Some(MS), now);
        }
        let all: Vec<Arc<str>> = (0..3).map(|n| format!("default/w{n}").into()).collect();
        assert!(
            balancer.pick(now, &mut rng, without(&all)).is_ok(),
            "tried before is better than nothing"
        );
    }
}

#[test]
fn a_retry_finds_an_endpoint_that_is_back_before_its_rest_is_over() {
    let now = Instant::now();
    for kind in KINDS {
        let mut balancer = balancer(kind, &[1, 1]);
        let mut rng = rng();
        let [gone, other]: [Arc<str>; 2] = ["default/w0".into(), "default/w1".into()];
        let without_other = std::slice::from_ref(&other);
        for _ in 0..2 {
            let picked = balancer.pick(now, &mut rng, without(without_other));
            let picked = picked.unwrap();
            assert_eq!(picked.endpoint.uid, gone);
            balancer.finished(picked.token, Outcome::ConnectFailure, None, now);
        }
        let first = balancer.pick(now, &mut rng, Want::default()).unwrap();
        assert_eq!(first.endpoint.uid, other, "{kind:?}: the one that is left");
        balancer.finished(first.token, Outcome::ConnectFailure, None, now);
        for (outcome, ejected) in [(Outcome::ConnectFailure, true), (Outcome::Success, false)] {
            let again = balancer.pick(now, &mut rng, without(without_other));
            let again = again.unwrap();
            assert_eq!(
                again.endpoint.uid, gone,
                "{kind:?}: nothing better is known"
            );
            balancer.finished(again.token, outcome, Some(MS), now);
            let status = balancer.status();
            let status = status.iter().find(|one| one.endpoint.uid == gone);
            assert_eq!(status.unwrap().is_ejected, ejected, "{kind:?}");
        }
    }
}

#[test]
fn updates_keep_what_is_known() {
    let mut balancer = balancer(v1::LoadBalancer::Random, &[1, 1]);
    let now = Instant::now();
    let mut rng = rng();
    let held = balancer.pick(now, &mut rng, Want::default()).unwrap();
    balancer.update(cluster_with(v1::LoadBalancer::Random, &[1, 1, 1]), now);
    assert_eq!(
        balancer
            .status()
            .iter()
            .map(|status| status.outstanding)
            .sum::<u32>(),
        1
    );
    balancer.finished(held.token, Outcome::Success, Some(MS), now);
    assert_eq!(
        balancer
            .status()
            .iter()
            .map(|status| status.outstanding)
            .sum::<u32>(),
        0
    );
    let held = balancer.pick(now, &mut rng, Want::default()).unwrap();
    balancer.update(cluster_with(v1::LoadBalancer::Random, &[]), now);
    balancer.finished(held.token, Outcome::Success, Some(MS), now);
    assert_eq!(
        balancer.pick(now, &mut rng, Want::default()).unwrap_err(),
        NoEndpoint
    );
}

#[test]
fn statuses_and_outcomes() {
    for (status, want) in [
        (200, Outcome::Success),
        (500, Outcome::ServerError),
        (503, Outcome::GatewayError),
        (429, Outcome::Overloaded),
    ] {
        assert_eq!(
            Outcome::of_status(StatusCode::from_u16(status).unwrap()),
            want
        );
    }
}

#[test]
fn trap_75_unready_endpoints_get_nothing_even_if_nobody_is_ready() {
    let upsert = |unready: &[&str]| {
        let mut upsert = vec![service_resource(service(REVIEWS, 9080, &[]))];
        for name in ["a", "b"] {
            let mut workload = workload(name, "v1", "10.0.0.1", (REVIEWS, 9080, 9080));
            if unready.contains(&name) {
                workload.health = v1::Health::Unhealthy.into();
            }
            upsert.push(workload_resource(workload));
        }
        upsert
    };
    let id = ClusterId {
        host: REVIEWS.parse().unwrap(),
        port: 9080,
        subset: "".into(),
    };
    let first = Snapshot::empty()
        .apply(&response(1, upsert(&["a"])))
        .snapshot;
    let mut balancer = Balancer::new(Arc::clone(first.cluster(&id).unwrap()), start());
    assert_eq!(balancer.cluster().endpoints.len(), 2, "they are known");
    let found = counts(&mut balancer, 50, Outcome::Success);
    assert!(found.keys().eq(["default/b"]), "{found:?}");
    let none = first.apply(&response(2, upsert(&["a", "b"]))).snapshot;
    balancer.update(Arc::clone(none.cluster(&id).unwrap()), start());
    let picked = balancer.pick(start(), &mut rng(), Want::default());
    assert_eq!(picked.unwrap_err(), NoEndpoint);
    balancer.update(Arc::clone(first.cluster(&id).unwrap()), start());
    assert!(balancer.pick(start(), &mut rng(), Want::default()).is_ok());
}

#[test]
fn a_rule_may_say_which_statuses_are_errors() {
    for (status, errors, want) in [
        (404, &[404, 503][..], Outcome::ServerError),
        (503, &[404, 503], Outcome::ServerError),
        (500, &[404], Outcome::Success),
        (429, &[404], Outcome::Overloaded),
        (429, &[429], Outcome::ServerError),
        (503, &[], Outcome::GatewayError),
        (404, &[], Outcome::Success),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let found = Outcome::of_status(status).judged(status, errors);
        assert_eq!(found, want, "{status} {errors:?}");
    }
}

#[test]
fn grpc_says_for_itself_how_it_went() {
    for (status, grpc, want) in [
        (200, "0", Outcome::Success),
        (200, "5", Outcome::Success),
        (200, "14", Outcome::GatewayError),
        (200, "13", Outcome::ServerError),
        (200, "8", Outcome::Overloaded),
        (503, "0", Outcome::GatewayError),
    ] {
        let mut headers = http::HeaderMap::new();
        headers.insert("grpc-status", http::HeaderValue::from_static(grpc));
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(
            Outcome::of_response(status, &headers),
            want,
            "{status} {grpc}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn an_ejected_endpoint_is_only_probed_while_a_healthy_one_exists(
        kind in proptest::sample::select(KINDS.to_vec()),
        weights in proptest::collection::vec(1..5_u32, 1..6),
        steps in proptest::collection::vec((0..7_u8, 0..1500_u64, any::<bool>(), any::<bool>()), 1..300),
    ) {
        let mut balancer = balancer(kind, &weights);
        let mut now = Instant::now();
        let mut rng = rng();
        let mut held = Vec::new();
        let mut last: Option<Arc<str>> = None;
        for (outcome, pause, exclude, keep) in steps {
            now += Duration::from_millis(pause);
            let before: BTreeMap<_, _> =
                balancer.status().into_iter().map(|status| (status.endpoint.uid.clone(), status.is_ejected)).collect();
            let exclude: Vec<_> = last.iter().filter(|_| exclude).cloned().collect();
            let picked = balancer.pick(now, &mut rng, without(&exclude)).unwrap();
            let healthy = before.iter().any(|(uid, ejected)| !ejected && !exclude.contains(uid));
            prop_assert!(!before[&picked.endpoint.uid] || picked.is_probe || !healthy);
            let other = before.keys().any(|uid| !exclude.contains(uid));
            prop_assert!(!other || !exclude.contains(&picked.endpoint.uid));
            last = Some(Arc::clone(&picked.endpoint.uid));
            held.push(picked.token);
            if keep {
                continue;
            }
            let outcome = [
                Outcome::Success, Outcome::GatewayError, Outcome::ConnectFailure, Outcome::Reset, Outcome::Timeout,
                Outcome::Overloaded, Outcome::Cancelled,
            ][usize::from(outcome)];
            for token in held.drain(..) {
                balancer.finished(token, outcome, Some(MS), now);
            }
        }
        let under_way: u32 = balancer.status().iter().map(|status| status.outstanding).sum();
        prop_assert_eq!(under_way as usize, held.len());
    }
}
