//! Affinity, health checks, and what changes of weights and of health cost.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mesh_api::v1::{self, LoadBalancer};
use mesh_proxy_core::Snapshot;
use mesh_proxy_core::balance::{Balancer, Checks, Outcome, Want};
use mesh_proxy_core::ir::{Cluster, HealthCheck, Probe};

use super::{TIMES, rng};
use crate::callgrind::counted;
use crate::configuration::{mesh, policy, response, service_with, snapshot, workload};

/// Size of a ring, and of a table of Maglev: one of both is 0.
pub(super) type Table = (u64, u32);
pub(super) const RING: Table = (1024, 0);
pub(super) const MAGLEV: Table = (0, 65_537);

fn with_policy(size: usize, change: impl Fn(&mut v1::TrafficPolicy)) -> Snapshot {
    let mut policy = policy(LoadBalancer::LeastRequest);
    change(&mut policy);
    let mut resources = vec![mesh(), service_with(0, 1, &policy)];
    resources.extend((0..size).map(|number| workload(0, number, 1)));
    snapshot(resources)
}

fn cluster(snapshot: &Snapshot) -> Arc<Cluster> {
    Arc::clone(snapshot.clusters().next().expect("a cluster"))
}

fn gone() -> v1::DiscoveryResponse {
    v1::DiscoveryResponse {
        removed: vec![workload(0, 1, 1).name],
        ..response(vec![])
    }
}

fn hashed(size: usize, (ring, maglev): Table) -> Snapshot {
    with_policy(size, |policy| {
        policy.consistent_hash = Some(v1::ConsistentHash {
            minimum_ring_size: ring,
            maglev_table_size: maglev,
            key: Some(v1::consistent_hash::Key::SourceIp(true)),
        });
    })
}

pub(super) fn picks_by_hash(size: usize, table: Table) {
    let now = Instant::now();
    let mut balancer = Balancer::new(cluster(&hashed(size, table)), now);
    let mut rng = rng();
    let mut call = |number: u64| {
        let want = Want {
            hash: Some((number % TIMES).wrapping_mul(0x9E37_79B1_85EB_CA87)),
            ..Want::default()
        };
        let picked = balancer.pick(now, &mut rng, want).expect("an endpoint");
        let latency = Some(Duration::from_millis(3));
        balancer.finished(black_box(picked).token, Outcome::Success, latency, now);
    };
    (0..TIMES).for_each(&mut call);
    counted(|| (0..TIMES).for_each(&mut call));
}

pub(super) fn hash_all(size: usize, table: Table) {
    let cluster = cluster(&hashed(size, table));
    let made = counted(|| mesh_proxy_core::ir::HashTables::of(&cluster, &cluster.endpoints, None));
    assert!(made.is_some());
}

pub(super) fn hash_one(size: usize, table: Table) {
    let snapshot = hashed(size, table);
    let gone = gone();
    let applied = counted(|| snapshot.apply(&gone));
    assert_eq!(cluster(&applied.snapshot).endpoints.len(), size - 1);
}

pub(super) fn hash_worker(size: usize) {
    let now = Instant::now();
    let snapshot = hashed(size, RING);
    let mut balancer = Balancer::new(cluster(&snapshot), now);
    let next = cluster(&snapshot.apply(&gone()).snapshot);
    counted(|| balancer.update(next, now));
}

/// Weights are different already.
pub(super) fn reweigh(size: usize) {
    let now = Instant::now();
    let first = with_policy(size, |_| {});
    let second = first.apply(&response(vec![workload(0, 0, 5)])).snapshot;
    let third = second.apply(&response(vec![workload(0, 1, 9)])).snapshot;
    let mut balancer = Balancer::new(cluster(&second), now);
    let next = cluster(&third);
    counted(|| balancer.update(next, now));
}

/// All but one are out; the last one follows.
pub(super) fn panic(size: usize) {
    let now = Instant::now();
    let cluster = cluster(&with_policy(size, |_| {}));
    let mut balancer = Balancer::new(Arc::clone(&cluster), now);
    let uids: Vec<_> = cluster
        .endpoints
        .iter()
        .map(|one| Arc::clone(&one.uid))
        .collect();
    balancer.mark_down(uids.iter().skip(1));
    counted(|| balancer.mark_down(&uids));
}

/// What the worker that checks does once a second, if one endpoint has left.
pub(super) fn checks(size: usize) {
    let (now, mut rng) = (Instant::now(), rng());
    let snapshot = with_policy(size, |_| {});
    let check = Arc::new(HealthCheck {
        policy: "default/check".into(),
        origin: None,
        probe: Probe::Tcp,
        interval: Duration::from_secs(10),
        timeout: Duration::from_secs(1),
        jitter_percent: 0,
        unhealthy_threshold: 3,
        healthy_threshold: 2,
    });
    let mut checks = Checks::new(Arc::clone(&check));
    checks.update(&check, &cluster(&snapshot), now, &mut rng);
    let next = cluster(&snapshot.apply(&gone()).snapshot);
    counted(|| {
        checks.update(&check, &next, now, &mut rng);
        black_box(checks.due(now));
        black_box(checks.next_due());
    });
}
