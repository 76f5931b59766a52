//! Affinity, warm-up, priorities and shares, as policies ask for them.

use std::collections::{BTreeMap, BTreeSet};

use mesh_api::v1;
use proptest::prelude::*;

use super::super::*;
use super::start;
use crate::fixtures::{
    REVIEWS, policy, response, rng, service, service_resource, tls, workload, workload_resource,
};
use crate::ir::ClusterId;
use crate::snapshot::Snapshot;

/// Endpoints by name, with locality and weight; the client is in `us/a/1`.
fn cluster(edit: impl FnOnce(&mut v1::TrafficPolicy), endpoints: &[(&str, &str)]) -> Arc<Cluster> {
    seen_from("us/a/1", edit, endpoints)
}

fn seen_from(
    client: &str,
    edit: impl FnOnce(&mut v1::TrafficPolicy),
    endpoints: &[(&str, &str)],
) -> Arc<Cluster> {
    let mut reviews = service(REVIEWS, 9080, &[]);
    let auto = tls(v1::ClientTlsMode::Auto);
    let mut policy = policy(v1::LoadBalancer::LeastRequest, auto);
    edit(&mut policy);
    reviews.subsets[0].policies[0].policy = Some(policy);
    let mut upsert = vec![service_resource(reviews)];
    for (n, (name, locality)) in endpoints.iter().enumerate() {
        let address = format!("10.0.0.{n}");
        let mut workload = workload(name, "v1", &address, (REVIEWS, 9080, 9080));
        workload.locality = (*locality).to_owned();
        workload.node = format!("node-{name}");
        upsert.push(workload_resource(workload));
    }
    let inbound = v1::Inbound {
        workload: "default/client".to_owned(),
        default_mtls: v1::MtlsMode::Permissive.into(),
        place: Some(v1::Place {
            locality: client.to_owned(),
            node: "node-a".to_owned(),
            labels: [("version".to_owned(), "v1".to_owned())].into(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let body = v1::resource::Body::Inbound(inbound);
    upsert.push(crate::fixtures::resource("inbound/self", body));
    let applied = Snapshot::empty().apply(&response(1, upsert));
    assert_eq!(applied.rejected, []);
    let id = ClusterId {
        host: REVIEWS.parse().unwrap(),
        port: 9080,
        subset: "".into(),
    };
    Arc::clone(applied.snapshot.cluster(&id).unwrap())
}

fn hashing(maglev: u32) -> impl FnOnce(&mut v1::TrafficPolicy) {
    move |policy| {
        policy.consistent_hash = Some(v1::ConsistentHash {
            key: Some(v1::consistent_hash::Key::SourceIp(true)),
            maglev_table_size: maglev,
            minimum_ring_size: if maglev == 0 { 1024 } else { 0 },
        });
    }
}

const NAMES: [(&str, &str); 5] = [("a", ""), ("b", ""), ("c", ""), ("d", ""), ("e", "")];

fn with_hash(balancer: &mut Balancer, hash: u64, now: Instant) -> (String, Token) {
    let want = Want {
        hash: Some(hash),
        ..Want::default()
    };
    let picked = balancer.pick(now, &mut rng(), want).unwrap();
    (picked.endpoint.uid.to_string(), picked.token)
}

#[test]
fn trap_25_a_hash_stays_with_its_endpoint_and_retries_with_it() {
    let now = start();
    for kind in [0, 251] {
        let found = cluster(hashing(kind), &NAMES);
        let (mut one, mut other) = (
            Balancer::new(Arc::clone(&found), now),
            Balancer::new(found, now),
        );
        let mut all = BTreeSet::new();
        for n in 0..200_u64 {
            let hash = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let (uid, _) = with_hash(&mut one, hash, now);
            assert_eq!(uid, with_hash(&mut other, hash, now).0, "any worker");
            let tried: Vec<Arc<str>> = vec![uid.as_str().into()];
            let want = Want {
                exclude: &tried,
                hash: Some(hash),
            };
            let again = one.pick(now, &mut rng(), want).unwrap();
            assert_eq!(*again.endpoint.uid, uid, "previous hosts are not left out");
            all.insert(uid);
        }
        assert_eq!(all.len(), 5);
    }
}

#[test]
fn a_hash_moves_only_while_its_endpoint_is_ejected() {
    let start = start();
    let mut balancer = Balancer::new(cluster(hashing(0), &NAMES), start);
    let hashes: Vec<u64> = (0..300_u64)
        .map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15))
        .collect();
    let places = |balancer: &mut Balancer, now| -> Vec<String> {
        let mut places = Vec::new();
        for hash in &hashes {
            let (uid, token) = with_hash(balancer, *hash, now);
            balancer.finished(token, Outcome::Success, None, now);
            places.push(uid);
        }
        places
    };
    let before = places(&mut balancer, start);
    let (bad, _) = with_hash(&mut balancer, hashes[0], start);
    for _ in 0..2 {
        let (_, token) = with_hash(&mut balancer, hashes[0], start);
        balancer.finished(token, Outcome::ConnectFailure, None, start);
    }
    let during = places(&mut balancer, start);
    for (old, new) in before.iter().zip(&during) {
        assert!(old == new || *old == bad, "{old} became {new}");
        assert_ne!(*new, bad);
    }
    let taken: BTreeSet<&String> = before
        .iter()
        .zip(&during)
        .filter(|(old, _)| **old == bad)
        .map(|(_, new)| new)
        .collect();
    assert!(taken.len() > 2, "its share is spread: {taken:?}");
}

fn shares(balancer: &mut Balancer, now: Instant, picks: u32) -> BTreeMap<String, f64> {
    let mut rng = rng();
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    for _ in 0..picks {
        let picked = balancer.pick(now, &mut rng, Want::default()).unwrap();
        let name = picked
            .endpoint
            .uid
            .trim_start_matches("default/")
            .to_owned();
        *counts.entry(name).or_default() += 1.0 / f64::from(picks);
        balancer.finished(picked.token, Outcome::Success, None, now);
    }
    counts
}

#[test]
fn new_endpoints_warm_up() {
    for kind in [v1::LoadBalancer::RoundRobin, v1::LoadBalancer::LeastRequest] {
        let edit = |policy: &mut v1::TrafficPolicy| {
            policy.load_balancer = kind.into();
            policy.warmup = Some(v1::Warmup {
                duration_ms: 100_000,
                minimum_percent: 10.0,
                aggression: 1.0,
            });
        };
        let start = start();
        let mut balancer = Balancer::new(cluster(edit, &NAMES[..2]), start);
        let all = shares(&mut balancer, start, 1000);
        assert!(
            (all["a"] - 0.5).abs() < 0.1,
            "the first ones are warm: {all:?}"
        );
        balancer.update(cluster(edit, &NAMES[..3]), start);
        let at = |seconds| start + Duration::from_secs(seconds);
        for (seconds, low, high) in [(0, 0.01, 0.09), (50, 0.14, 0.27), (100, 0.28, 0.38)] {
            let share = shares(&mut balancer, at(seconds), 4000)["c"];
            assert!(
                (low..high).contains(&share),
                "{kind:?} after {seconds} s: {share}"
            );
        }
    }
}

const PLACES: [(&str, &str); 5] = [
    ("a", "us/a/1"),
    ("b", "us/a/2"),
    ("c", "us/b/1"),
    ("d", "eu/a/1"),
    ("e", "asia/a/1"),
];

fn priorities(locality: v1::LocalityBalancing) -> Vec<u32> {
    priorities_from("us/a/1", locality)
}

fn priorities_from(client: &str, locality: v1::LocalityBalancing) -> Vec<u32> {
    let edit = |policy: &mut v1::TrafficPolicy| policy.locality = Some(locality);
    let found = seen_from(client, edit, &PLACES);
    found
        .endpoints
        .iter()
        .map(|endpoint| endpoint.priority)
        .collect()
}

#[test]
fn trap_26_priorities() {
    let failover = |from: &str, to: &str| {
        vec![v1::RegionFailover {
            from: from.to_owned(),
            to: to.to_owned(),
        }]
    };
    let by = |labels: &[&str], failover| v1::LocalityBalancing {
        failover_priority: labels.iter().map(|label| (*label).to_owned()).collect(),
        failover,
        ..Default::default()
    };
    assert_eq!(
        priorities(by(&[], vec![])),
        [0, 1, 2, 3, 3],
        "subzone, zone, region, the rest"
    );
    assert_eq!(
        priorities(by(&[], failover("us", "asia"))),
        [0, 1, 2, 4, 3],
        "the region that takes over comes before others"
    );
    assert_eq!(
        priorities(by(
            &[
                "topology.kubernetes.io/region",
                "topology.kubernetes.io/zone"
            ],
            vec![]
        )),
        [0, 0, 1, 2, 2]
    );
    assert_eq!(
        priorities(by(&["kubernetes.io/hostname"], vec![])),
        [0, 1, 1, 1, 1]
    );
    assert_eq!(
        priorities(by(&["version=v2", "topology.kubernetes.io/zone"], vec![])),
        [2, 2, 2, 2, 2],
        "only labels up to the first that differs count"
    );
    assert_eq!(
        priorities(by(&["version"], failover("us", "asia"))),
        [0, 1, 2, 4, 3],
        "both compose"
    );
    assert_eq!(
        priorities_from("", by(&["kubernetes.io/hostname"], vec![])),
        [0, 1, 1, 1, 1],
        "labels count for who does not know where it is"
    );
    assert_eq!(priorities_from("", by(&[], vec![])), [0; 5]);
    let nowhere = cluster(|_| {}, &PLACES);
    assert!(
        nowhere
            .endpoints
            .iter()
            .all(|endpoint| endpoint.priority == 0)
    );
}

#[test]
fn trap_26_lower_priorities_take_what_higher_ones_cannot() {
    let found = cluster(
        |policy| policy.locality = Some(v1::LocalityBalancing::default()),
        &[
            ("a", "us/a/1"),
            ("b", "us/a/1"),
            ("c", "eu/c/1"),
            ("d", "eu/c/1"),
        ],
    );
    let now = start();
    let mut balancer = Balancer::new(found, now);
    let all = shares(&mut balancer, now, 1000);
    assert_eq!(all.len(), 2, "near ones only: {all:?}");
    let mut rng = rng();
    let fail = |balancer: &mut Balancer, rng: &mut _, name: &str| {
        while balancer
            .status()
            .iter()
            .any(|status| status.endpoint.uid.ends_with(name) && !status.is_ejected)
        {
            let picked = balancer.pick(now, rng, Want::default()).unwrap();
            let outcome = match picked.endpoint.uid.ends_with(name) {
                true => Outcome::ConnectFailure,
                false => Outcome::Success,
            };
            balancer.finished(picked.token, outcome, None, now);
        }
    };
    fail(&mut balancer, &mut rng, "/a");
    let half = shares(&mut balancer, now, 4000);
    // Half of two is healthy: 70 of 100 stay (Envoy's factor of 1.4).
    assert!((half["b"] - 0.7).abs() < 0.05, "{half:?}");
    fail(&mut balancer, &mut rng, "/b");
    let far = shares(&mut balancer, now, 1000);
    assert_eq!(far.len(), 2);
    assert!(far.contains_key("c") && far.contains_key("d"), "{far:?}");
}

#[test]
fn trap_26_traffic_is_distributed() {
    let to = |locality: &str, percent| v1::LocalityShare {
        locality: locality.to_owned(),
        percent,
    };
    let found = cluster(
        |policy| {
            policy.locality = Some(v1::LocalityBalancing {
                distribute: vec![
                    v1::LocalityShares {
                        from: "eu".to_owned(),
                        to: vec![to("*", 100)],
                    },
                    v1::LocalityShares {
                        from: "us/a/*".to_owned(),
                        to: vec![to("us/*", 70), to("eu", 30)],
                    },
                ],
                ..Default::default()
            });
        },
        &PLACES,
    );
    assert_eq!(found.endpoints.len(), 4, "elsewhere gets nothing");
    let now = start();
    let all = shares(&mut Balancer::new(found, now), now, 6000);
    assert!((all["d"] - 0.3).abs() < 0.03, "{all:?}");
    for name in ["a", "b", "c"] {
        assert!((all[name] - 0.7 / 3.0).abs() < 0.03, "{all:?}");
    }
}

#[test]
fn trap_26_zones_keep_what_they_can_take() {
    let zones = |failover| v1::LocalityBalancing {
        zone_aware: Some(v1::ZoneAware {
            min_cluster_size: 4,
        }),
        failover,
        ..Default::default()
    };
    let to_asia = vec![v1::RegionFailover {
        from: "us".to_owned(),
        to: "asia".to_owned(),
    }];
    assert_eq!(
        priorities(zones(vec![])),
        [0, 0, 0, 2, 2],
        "the own region, then the rest"
    );
    assert_eq!(priorities(zones(to_asia)), [0, 0, 0, 2, 1]);
    let now = start();
    let split = |places: &[(&str, &str)]| {
        let found = cluster(|policy| policy.locality = Some(zones(vec![])), places);
        shares(&mut Balancer::new(found, now), now, 6000)
    };
    // One of four endpoints for half of the clients: half of what they send leaves the zone.
    let few = split(&[
        ("a", "us/a/1"),
        ("b", "us/b/1"),
        ("c", "us/b/2"),
        ("d", "us/b/3"),
        ("e", "eu/a/1"),
    ]);
    assert!((few["a"] - 0.5).abs() < 0.05, "{few:?}");
    assert!(!few.contains_key("e"), "{few:?}");
    let enough = split(&[
        ("a", "us/a/1"),
        ("b", "us/a/2"),
        ("c", "us/b/1"),
        ("d", "us/b/2"),
    ]);
    assert_eq!(enough.len(), 2, "{enough:?}");
    assert!(enough.contains_key("a") && enough.contains_key("b"));
    let small = split(&PLACES);
    assert_eq!(
        small.len(),
        3,
        "too few for zones, not for regions: {small:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_a_detector_ejects_gets_nothing(
        ejected in proptest::collection::btree_set(0..5_usize, 0..6),
        percent in prop::sample::select(vec![0_u32, 50, 100]),
        kind in prop::sample::select(vec![v1::LoadBalancer::LeastRequest, v1::LoadBalancer::RoundRobin, v1::LoadBalancer::Random]),
    ) {
        let found = cluster(
            |policy| {
                policy.load_balancer = kind.into();
                policy.outlier_detection = Some(v1::OutlierDetection {
                    consecutive_5xx: 5,
                    interval_ms: 1,
                    base_ejection_ms: 1,
                    max_ejection_percent: 100,
                    min_health_percent: percent,
                    ..Default::default()
                });
            },
            &NAMES,
        );
        let now = start();
        let mut balancer = Balancer::new(Arc::clone(&found), now);
        let out: BTreeSet<Arc<str>> = ejected.iter().map(|n| Arc::clone(&found.endpoints.iter().nth(*n).unwrap().uid)).collect();
        balancer.eject(&out);
        let healthy = 5 - out.len();
        let void = (healthy * 100) < (percent as usize) * 5 && healthy * 140 < 500;
        let mut rng = rng();
        for _ in 0..50 {
            match balancer.pick(now, &mut rng, Want::default()) {
                Ok(picked) => prop_assert!(void || !out.contains(&picked.endpoint.uid)),
                Err(NoEndpoint) => prop_assert!(healthy == 0 && !void),
            }
        }
    }
}
