//! Changes of single endpoints lead where a balancer that is made anew begins.

use std::collections::BTreeMap;

use mesh_api::v1;
use proptest::prelude::*;

use super::super::*;
use super::start;
use crate::fixtures::{
    REVIEWS, policy, resource, response, rng, service, service_resource, tls, workload,
    workload_resource,
};
use crate::ir::ClusterId;
use crate::snapshot::Snapshot;

const LOCALITIES: [&str; 5] = ["us/a", "us/b", "us/b/x", "eu/a", ""];

/// What becomes of an endpoint.
#[derive(Clone, Debug)]
enum Step {
    Set {
        number: usize,
        weight: u32,
        locality: usize,
        version: bool,
        healthy: bool,
    },
    Remove(usize),
    /// By the detector, by checks.
    Out(Vec<usize>, Vec<usize>),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let number = 0..12_usize;
    let few = || prop::collection::vec(0..12_usize, 0..6);
    let set = (
        number.clone(),
        prop::sample::select(vec![1_u32, 1, 1, 3, 8]),
        0..LOCALITIES.len(),
        any::<bool>(),
        prop::bool::weighted(0.8),
    );
    let step = prop_oneof![
        6 => set.prop_map(|(number, weight, locality, version, healthy)| Step::Set {
            number, weight, locality, version, healthy,
        }),
        2 => number.prop_map(Step::Remove),
        2 => (few(), few()).prop_map(|(ejected, down)| Step::Out(ejected, down)),
    ];
    prop::collection::vec(step, 1..60)
}

/// What the policies of this test differ in.
#[derive(Clone, Copy, Debug)]
enum Way {
    Plain,
    Detected,
    Near,
    Distributed,
    Zones,
}

fn traffic(way: Way) -> v1::TrafficPolicy {
    let mut policy = policy(v1::LoadBalancer::RoundRobin, tls(v1::ClientTlsMode::Auto));
    match way {
        Way::Plain => {}
        Way::Detected => {
            policy.outlier_detection = Some(v1::OutlierDetection {
                consecutive_5xx: 5,
                interval_ms: 1,
                base_ejection_ms: 1,
                max_ejection_percent: 100,
                min_health_percent: 50,
                ..Default::default()
            });
        }
        Way::Near => policy.locality = Some(v1::LocalityBalancing::default()),
        Way::Distributed => {
            let share = |locality: &str, percent| v1::LocalityShare {
                locality: locality.to_owned(),
                percent,
            };
            policy.locality = Some(v1::LocalityBalancing {
                distribute: vec![v1::LocalityShares {
                    from: "us".to_owned(),
                    to: vec![share("us", 80), share("eu", 20)],
                }],
                ..Default::default()
            });
        }
        Way::Zones => {
            policy.locality = Some(v1::LocalityBalancing {
                zone_aware: Some(v1::ZoneAware {
                    min_cluster_size: 3,
                }),
                ..Default::default()
            });
        }
    }
    policy
}

fn uid(number: usize) -> Arc<str> {
    format!("default/w{number}").into()
}

fn base(way: Way) -> Vec<v1::Resource> {
    let mut reviews = service(REVIEWS, 9080, &["v1"]);
    for subset in &mut reviews.subsets {
        subset.policies[0].policy = Some(traffic(way));
    }
    let inbound = v1::Inbound {
        workload: "default/client".to_owned(),
        default_mtls: v1::MtlsMode::Permissive.into(),
        place: Some(v1::Place {
            locality: "us/a".to_owned(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let body = v1::resource::Body::Inbound(inbound);
    vec![service_resource(reviews), resource("inbound/self", body)]
}

fn cluster<'a>(snapshot: &'a Snapshot, subset: &str) -> &'a Arc<Cluster> {
    let id = ClusterId {
        host: REVIEWS.parse().unwrap(),
        port: 9080,
        subset: subset.into(),
    };
    snapshot.cluster(&id).unwrap()
}

/// The levels, with uids in place of numbers and in order.
fn picture(balancer: &Balancer) -> Vec<String> {
    let uid = |slot: usize| balancer.slots.get(slot).unwrap().endpoint.uid.to_string();
    balancer.levels.picture(uid)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn changes_lead_where_all_at_once_leads(
        way in prop::sample::select(vec![Way::Plain, Way::Detected, Way::Near, Way::Distributed, Way::Zones]),
        steps in steps(),
    ) {
        let mut held: BTreeMap<String, v1::Resource> = BTreeMap::new();
        let mut snapshot = Snapshot::empty().apply(&response(1, base(way))).snapshot;
        let now = start();
        let mut balancer = Balancer::new(Arc::clone(cluster(&snapshot, "")), now);
        let (mut ejected, mut down): (Vec<Arc<str>>, Vec<Arc<str>>) = Default::default();
        for step in steps {
            let mut change = response(2, vec![]);
            match step {
                Step::Set { number, weight, locality, version, healthy } => {
                    let name = format!("w{number}");
                    let version = if version { "v1" } else { "v2" };
                    let address = format!("10.0.0.{number}");
                    let mut workload = workload(&name, version, &address, (REVIEWS, 9080, 9080));
                    workload.weight = weight;
                    workload.locality = LOCALITIES[locality].to_owned();
                    if !healthy {
                        workload.health = v1::Health::Unhealthy.into();
                    }
                    let resource = workload_resource(workload);
                    held.insert(resource.name.clone(), resource.clone());
                    change.upsert.push(resource);
                }
                Step::Remove(number) => {
                    let name = format!("workload/default/w{number}");
                    held.remove(&name);
                    change.removed.push(name);
                }
                Step::Out(one, other) => {
                    ejected = one.into_iter().map(uid).collect();
                    down = other.into_iter().map(uid).collect();
                }
            }
            snapshot = snapshot.apply(&change).snapshot;
            balancer.update(Arc::clone(cluster(&snapshot, "")), now);
            balancer.eject(&ejected);
            balancer.mark_down(&down);

            let all = base(way).into_iter().chain(held.values().cloned()).collect();
            let anew = Snapshot::empty().apply(&response(2, all)).snapshot;
            let whole = |snapshot: &Snapshot, subset: &str| {
                let cluster = cluster(snapshot, subset);
                cluster.endpoints.iter().map(|one| {
                    // Zones are numbered as they come.
                    let zones = cluster.zones.as_ref().filter(|_| one.priority == 0);
                    let zone = zones.map(|zones| Arc::clone(&zones.names[one.group as usize]));
                    let group = if zone.is_some() { 0 } else { one.group };
                    (zone, Endpoint { group, ..Endpoint::clone(one) })
                }).collect::<Vec<_>>()
            };
            prop_assert_eq!(whole(&snapshot, ""), whole(&anew, ""));
            prop_assert_eq!(whole(&snapshot, "v1"), whole(&anew, "v1"));
            let mut fresh = Balancer::new(Arc::clone(cluster(&snapshot, "")), now);
            fresh.eject(&ejected);
            fresh.mark_down(&down);
            prop_assert_eq!(picture(&balancer), picture(&fresh));
        }
    }
}

fn numbered(count: usize) -> Vec<v1::Resource> {
    let one = |number| {
        let address = format!("10.0.{}.{}", number / 250, number % 250);
        let name = format!("w{number}");
        workload_resource(workload(&name, "v1", &address, (REVIEWS, 9080, 9080)))
    };
    (0..count).map(one).collect()
}

#[test]
fn turns_stay_fair_while_endpoints_come_and_go() {
    let all = base(Way::Plain).into_iter().chain(numbered(20)).collect();
    let mut snapshot = Snapshot::empty().apply(&response(1, all)).snapshot;
    let now = start();
    let mut balancer = Balancer::new(Arc::clone(cluster(&snapshot, "")), now);
    let mut rng = rng();
    let mut counts: BTreeMap<Arc<str>, u32> = BTreeMap::new();
    for round in 0..200_usize {
        // Number 19 leaves in every other round, and comes back; the others stay.
        let mut change = response(2, vec![]);
        if round % 2 == 0 {
            change.removed.push("workload/default/w19".to_owned());
        } else {
            change.upsert.push(numbered(20).remove(19));
        }
        snapshot = snapshot.apply(&change).snapshot;
        balancer.update(Arc::clone(cluster(&snapshot, "")), now);
        for _ in 0..7 {
            let picked = balancer.pick(now, &mut rng, Want::default()).unwrap();
            *counts.entry(Arc::clone(&picked.endpoint.uid)).or_default() += 1;
            balancer.finished(picked.token, Outcome::Success, None, now);
        }
    }
    counts.remove(&uid(19));
    let (least, most) = (
        counts.values().min().unwrap(),
        counts.values().max().unwrap(),
    );
    assert!(most - least <= 2, "{counts:?}");
}

#[test]
fn a_change_of_one_leaves_the_others_alone() {
    let all = base(Way::Plain).into_iter().chain(numbered(1000)).collect();
    let before = Snapshot::empty().apply(&response(1, all)).snapshot;
    let mut moved = workload("w500", "v1", "10.1.0.1", (REVIEWS, 9080, 9080));
    moved.weight = 1;
    let change = response(2, vec![workload_resource(moved)]);
    let after = before.apply(&change).snapshot;
    let (old, new) = (cluster(&before, ""), cluster(&after, ""));
    let mut changed = Vec::new();
    new.endpoints.changes_since(&old.endpoints, |old, new| {
        changed.push((
            old.unwrap().uid.to_string(),
            new.unwrap().address.to_string(),
        ));
    });
    assert_eq!(
        changed,
        [("default/w500".to_owned(), "10.1.0.1:9080".to_owned())]
    );
    assert!(!old.frame().frames(&Cluster {
        connect_timeout: Duration::ZERO,
        ..Cluster::clone(new)
    }));
    assert!(old.frame().frames(new), "only endpoints are different");
}
