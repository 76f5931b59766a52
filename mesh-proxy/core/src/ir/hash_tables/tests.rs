use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::fixtures::{self, REVIEWS};
use crate::ir::{HashKey, HashPolicy, TrafficSettings};

const RING: HashTableKind = HashTableKind::Ring { minimum_size: 1024 };
const MAGLEV: HashTableKind = HashTableKind::Maglev { size: 65_537 };

/// A cluster without endpoints, with affinity.
fn cluster(kind: HashTableKind, shares: &[u32]) -> Cluster {
    let service = fixtures::service(REVIEWS, 9080, &[]);
    let snapshot = fixtures::snapshot(vec![fixtures::service_resource(service)]);
    let cluster = Cluster::clone(snapshot.clusters().next().unwrap());
    let hash = Some(HashPolicy {
        key: HashKey::SourceIp,
        table: kind,
    });
    Cluster {
        traffic: Arc::new(TrafficSettings {
            hash,
            ..TrafficSettings::default()
        }),
        shares: shares.into(),
        ..cluster
    }
}

fn endpoint(number: usize, weight: u32, priority: u32, group: u32) -> Arc<Endpoint> {
    let address = format!("10.0.0.{number}:80").parse().unwrap();
    let uid = format!("w{number:04}").into();
    Arc::new(Endpoint {
        weight,
        priority,
        group,
        ..Endpoint::at(uid, EndpointAddress::Ip(address))
    })
}

fn endpoints(weights: &[u32]) -> Endpoints {
    let each = weights.iter().enumerate();
    each.map(|(number, weight)| endpoint(number, *weight, 0, 0))
        .collect()
}

fn tables(kind: HashTableKind, weights: &[u32]) -> Arc<HashTables> {
    HashTables::of(&cluster(kind, &[]), &endpoints(weights), None).unwrap()
}

/// What the entries of each level lead to.
fn picture(tables: &HashTables) -> Vec<(u32, Vec<(u64, &str)>)> {
    let uid = |number: u32| &*tables.member(number).unwrap().seed.uid;
    let level = |(priority, table): &(u32, Table)| {
        let entries = match table {
            Table::Ring(points) => points.iter().map(|(at, n)| (*at, uid(*n))).collect(),
            Table::Maglev(table) => (0..).zip(table).map(|(at, n)| (at, uid(*n))).collect(),
        };
        (*priority, entries)
    };
    tables.levels.iter().map(level).collect()
}

/// How many entries each has, of the first level.
fn counts(tables: &HashTables) -> Vec<usize> {
    let mut counts = BTreeMap::new();
    for (_, uid) in &picture(tables)[0].1 {
        *counts.entry(uid.to_string()).or_default() += 1;
    }
    counts.into_values().collect()
}

fn first(tables: &HashTables, hash: u64) -> Option<&str> {
    tables.find(0, hash).next().map(|(_, uid)| uid)
}

#[test]
fn tables_follow_the_weights_and_have_their_size() {
    assert_eq!(counts(&tables(RING, &[1, 1, 2])), [256, 256, 512]);
    let odd = counts(&tables(RING, &[1, 1, 1]));
    assert_eq!(odd, [342, 342, 342], "no less than 1024 points");
    let counts = counts(&tables(MAGLEV, &[1, 1, 2]));
    assert_eq!(counts.iter().sum::<usize>(), 65_537);
    assert!(counts[2].abs_diff(32_768) < 10, "{counts:?}");
}

#[test]
fn points_are_those_of_ketama() {
    let ring = tables(HashTableKind::Ring { minimum_size: 3 }, &[1]);
    let mut want: Vec<u64> = (0..3)
        .map(|n| xxh64(format!("10.0.0.0:80_{n}").as_bytes(), 0))
        .collect();
    want.sort_unstable();
    let points: Vec<u64> = picture(&ring)[0].1.iter().map(|(at, _)| *at).collect();
    assert_eq!(points, want);
}

#[test]
fn one_endpoint_less_moves_only_its_own_share() {
    for kind in [RING, MAGLEV] {
        let (all, fewer) = (tables(kind, &[1; 10]), tables(kind, &[1; 9]));
        let moved = (0..10_000_u64)
            .map(|n| xxh64(&n.to_le_bytes(), 0))
            .filter(|hash| first(&all, *hash) != first(&fewer, *hash))
            .count();
        assert!((700..1700).contains(&moved), "{kind:?}: {moved} of 10000");
    }
}

#[test]
fn walks_come_by_everyone() {
    for kind in [
        HashTableKind::Ring { minimum_size: 16 },
        HashTableKind::Maglev { size: 251 },
    ] {
        let tables = tables(kind, &[1; 5]);
        let mut seen: Vec<&str> = tables.find(0, u64::MAX).map(|(_, uid)| uid).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, ["w0000", "w0001", "w0002", "w0003", "w0004"]);
        assert_eq!(self::tables(kind, &[]).find(0, 7).next(), None);
    }
}

#[test]
fn distributed_traffic_stays_distributed() {
    // Three endpoints where 80 % goes, one where 20 % does.
    let near = (0..3).map(|number| endpoint(number, 1, 0, 0));
    let endpoints: Endpoints = near.chain([endpoint(3, 5, 0, 1)]).collect();
    for (kind, all) in [(RING, 1024.0), (MAGLEV, 65_537.0)] {
        let tables = HashTables::of(&cluster(kind, &[80, 20]), &endpoints, None).unwrap();
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let share = counts(&tables)[3] as f64 / all;
        assert!((share - 0.2).abs() < 0.01, "{kind:?}: {share}");
    }
}

#[test]
fn what_does_not_matter_changes_nothing() {
    let (cluster, before) = (cluster(RING, &[]), endpoints(&[1, 2]));
    let tables = HashTables::of(&cluster, &before, None);
    let known = Cluster {
        tables: tables.clone(),
        endpoints: before.clone(),
        ..cluster.clone()
    };
    let mut after = before.clone();
    after.insert(Arc::new(Endpoint {
        locality: "us/a".into(),
        ..Endpoint::clone(before.first().unwrap())
    }));
    let next = HashTables::of(&cluster, &after, Some(&known));
    assert!(Arc::ptr_eq(&tables.unwrap(), &next.unwrap()));
}

/// What becomes of an endpoint.
#[derive(Clone, Debug)]
enum Step {
    Set(usize, u32, u32, bool),
    Remove(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let weight = prop::sample::select(vec![1_u32, 1, 1, 3, 8]);
    let set = (0..8_usize, weight, 0..2_u32, prop::bool::weighted(0.8));
    let step = prop_oneof![
        3 => set.prop_map(|(n, weight, priority, healthy)| Step::Set(n, weight, priority, healthy)),
        1 => (0..8_usize).prop_map(Step::Remove),
    ];
    prop::collection::vec(step, 1..30)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn changes_lead_where_all_at_once_leads(
        kind in prop::sample::select(vec![
            HashTableKind::Ring { minimum_size: 16 },
            HashTableKind::Ring { minimum_size: 256 },
            HashTableKind::Maglev { size: 251 },
        ]),
        distributed in any::<bool>(),
        steps in steps(),
    ) {
        let shares: &[u32] = if distributed { &[70, 30] } else { &[] };
        let mut cluster = cluster(kind, shares);
        for step in steps {
            let mut endpoints = cluster.endpoints.clone();
            match step {
                Step::Remove(number) => {
                    endpoints.remove(&format!("w{number:04}"));
                }
                Step::Set(number, weight, level, healthy) => {
                    // Groups take the place of priorities where traffic is distributed.
                    let (priority, group) = if distributed { (0, level) } else { (level, 0) };
                    let health = if healthy { Health::Healthy } else { Health::Unhealthy };
                    let endpoint = endpoint(number, weight, priority, group);
                    endpoints.insert(Arc::new(Endpoint { health, ..Endpoint::clone(&endpoint) }));
                }
            }
            let tables = HashTables::of(&cluster, &endpoints, Some(&cluster)).unwrap();
            let anew = HashTables::of(&cluster, &endpoints, None).unwrap();
            prop_assert_eq!(picture(&tables), picture(&anew));
            cluster = Cluster { tables: Some(tables), endpoints, ..cluster };
        }
    }
}
