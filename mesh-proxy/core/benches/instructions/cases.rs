//! What is counted.

mod balancing;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::Request;
use http::request::Parts;
use mesh_api::v1::LoadBalancer;
use mesh_api::{Hostname, SpiffeId, v1};
use mesh_proxy_core::Snapshot;
use mesh_proxy_core::authz::Caller;
use mesh_proxy_core::balance::{Balancer, Outcome, Want};
use mesh_proxy_core::plan::{self, HttpAction, Step};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::callgrind::counted;
use crate::configuration::{
    denying, gateway, host, inbound, mesh, response, route, service, snapshot, table, workload,
};

/// One thing, at several sizes.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) sizes: &'static [usize],
    /// Whether it is not to grow with its size.
    pub(crate) flat: bool,
    /// How often it is done.
    pub(crate) times: u64,
    pub(crate) run: fn(usize),
}

pub(super) const TIMES: u64 = 100;
const ROUTES: &[usize] = &[1, 10, 100, 1_000];
const POLICIES: &[usize] = &[1, 10, 100];
const HOSTS: &[usize] = &[10, 1_000, 5_000];
const ENDPOINTS: &[usize] = &[3, 100, 5_000];
const SERVICES: &[usize] = &[10, 100, 1_000];

const fn case(name: &'static str, sizes: &'static [usize], run: fn(usize)) -> Case {
    Case {
        name,
        sizes,
        flat: false,
        times: TIMES,
        run,
    }
}

const fn flat(name: &'static str, sizes: &'static [usize], run: fn(usize)) -> Case {
    Case {
        flat: true,
        ..case(name, sizes, run)
    }
}

const fn once(name: &'static str, sizes: &'static [usize], run: fn(usize)) -> Case {
    Case {
        times: 1,
        ..case(name, sizes, run)
    }
}

/// All of them.
pub(crate) const CASES: &[Case] = &[
    case("route: the last of so many routes", ROUTES, last_route),
    flat("route: one of so many hosts", HOSTS, one_host),
    flat("route: one of so many subsets", &[1, 10, 100], one_subset),
    flat("route: a gateway's exact hosts", HOSTS, exact_domains),
    flat("route: a gateway's wildcards", HOSTS, wildcard_domains),
    case(
        "authorization: the last of so many rules",
        ROUTES,
        last_rule,
    ),
    case(
        "authorization: none of so many policies",
        POLICIES,
        |size| no_policy(size, false),
    ),
    case(
        "authorization: the same, without an index",
        POLICIES,
        |size| no_policy(size, true),
    ),
    flat("pick: least request", ENDPOINTS, |size| {
        picks(size, LoadBalancer::LeastRequest, 1);
    }),
    flat("pick: least request, weighted", ENDPOINTS, |size| {
        picks(size, LoadBalancer::LeastRequest, 3);
    }),
    flat("pick: round robin", ENDPOINTS, |size| {
        picks(size, LoadBalancer::RoundRobin, 1);
    }),
    flat("pick: round robin, weighted", ENDPOINTS, |size| {
        picks(size, LoadBalancer::RoundRobin, 3);
    }),
    flat("pick: random", ENDPOINTS, |size| {
        picks(size, LoadBalancer::Random, 1);
    }),
    flat("pick: while one is ejected", ENDPOINTS, picks_with_ejected),
    once("apply: all of so many services", SERVICES, apply_all),
    once(
        "apply: one endpoint among so many services",
        SERVICES,
        apply_one,
    ),
    once(
        "apply: one endpoint among so many of it",
        ENDPOINTS,
        apply_member,
    ),
    once(
        "balance: one endpoint of so many changes",
        ENDPOINTS,
        rebalance,
    ),
    once("balance: one endpoint of so many leaves", ENDPOINTS, leave),
    once(
        "balance: another weight beside others",
        ENDPOINTS,
        balancing::reweigh,
    ),
    once("balance: into panic", ENDPOINTS, balancing::panic),
    flat("pick: on a ring", ENDPOINTS, |size| {
        balancing::picks_by_hash(size, balancing::RING);
    }),
    flat("pick: by a table of Maglev", ENDPOINTS, |size| {
        balancing::picks_by_hash(size, balancing::MAGLEV);
    }),
    once("hash: a ring of so many endpoints", ENDPOINTS, |size| {
        balancing::hash_all(size, balancing::RING);
    }),
    once("hash: a table of Maglev of so many", ENDPOINTS, |size| {
        balancing::hash_all(size, balancing::MAGLEV);
    }),
    once("hash: one endpoint leaves a ring", ENDPOINTS, |size| {
        balancing::hash_one(size, balancing::RING);
    }),
    once(
        "hash: one endpoint leaves a table of Maglev",
        ENDPOINTS,
        |size| {
            balancing::hash_one(size, balancing::MAGLEV);
        },
    ),
    once(
        "hash: the same, in a worker",
        ENDPOINTS,
        balancing::hash_worker,
    ),
    once(
        "health: one endpoint of so many leaves",
        ENDPOINTS,
        balancing::checks,
    ),
];

fn request(path: &str, host: &str) -> Parts {
    let request = Request::builder()
        .method("GET")
        .uri(path)
        .header("host", host)
        .header("user-agent", "curl/8.0")
        .header("accept", "*/*")
        .body(());
    request.expect("a request").into_parts().0
}

fn rng() -> SmallRng {
    SmallRng::seed_from_u64(7)
}

/// A service with a few endpoints and its table.
fn destination(index: usize) -> Vec<v1::Resource> {
    let mut resources = vec![
        service(index, 1, LoadBalancer::LeastRequest),
        table(index, vec![route(index, "/", "")]),
    ];
    resources.extend((0..3).map(|number| workload(index, number, 1)));
    resources
}

fn forwards(snapshot: &Snapshot, path: &str, index: usize) {
    let name = host(index);
    let request = request(path, &name);
    let host: Hostname = name.parse().expect("a host name");
    let mut rng = rng();
    let mut decide = || plan::outbound_http(snapshot, &host, 80, &request, &mut rng);
    let Step::Ready(plan) = decide() else {
        panic!("something is missing");
    };
    assert!(matches!(plan.action, HttpAction::Forward(_)), "{plan:?}");
    counted(|| {
        for _ in 0..TIMES {
            black_box(decide());
        }
    });
}

fn last_route(size: usize) {
    let routes = (0..size).map(|number| route(0, &format!("/api/v{}/", size - number), ""));
    let mut resources = vec![mesh(), service(0, 1, LoadBalancer::LeastRequest)];
    resources.push(table(0, routes.collect()));
    forwards(&snapshot(resources), "/api/v1/books", 0);
}

fn one_host(size: usize) {
    let mut resources = vec![mesh()];
    resources.extend((0..size).flat_map(destination));
    forwards(&snapshot(resources), "/", size / 2);
}

fn one_subset(size: usize) {
    let last = match size {
        1 => String::new(),
        _ => format!("v{}", size - 1),
    };
    let resources = vec![
        mesh(),
        service(0, size, LoadBalancer::LeastRequest),
        table(0, vec![route(0, "/", &last)]),
    ];
    forwards(&snapshot(resources), "/", 0);
}

fn at_gateway(domains: impl Iterator<Item = String>, asked: &str) {
    let mut resources = destination(0);
    resources.extend([mesh(), gateway(domains)]);
    let snapshot = snapshot(resources);
    let request = request("/", asked);
    let mut rng = rng();
    let mut decide = || plan::gateway_http(&snapshot, 80, &request, &mut rng);
    let Step::Ready(plan) = decide() else {
        panic!("something is missing");
    };
    assert!(matches!(plan.action, HttpAction::Forward(_)), "{plan:?}");
    counted(|| {
        for _ in 0..TIMES {
            black_box(decide());
        }
    });
}

fn exact_domains(size: usize) {
    let domains = (0..size).map(|number| format!("shop-{number}.example.com"));
    at_gateway(domains, &format!("shop-{}.example.com", size - 1));
}

fn wildcard_domains(size: usize) {
    let domains = (0..size).map(|number| format!("*.shop-{number}.example.com"));
    at_gateway(domains, &format!("a.shop-{}.example.com", size - 1));
}

fn last_rule(size: usize) {
    let snapshot = snapshot(vec![mesh(), inbound(size)]);
    let identity: SpiffeId = "spiffe://cluster.local/ns/default/sa/caller-0"
        .parse()
        .expect("an identity");
    let caller = Caller {
        identity: Some(&identity),
        source: [10, 0, 0, 1].into(),
        client: [10, 0, 0, 1].into(),
        destination: ([10, 0, 0, 2], 8080).into(),
        sni: None,
    };
    let request = request("/api/books", "service-0:80");
    assert!(plan::inbound_http(&snapshot, &caller, &request).allowed);
    counted(|| {
        for _ in 0..TIMES {
            black_box(plan::inbound_http(&snapshot, &caller, &request));
        }
    });
}

/// Policies that deny something else. `wild`: what they look at begins with a star, and cannot
/// stand in the index.
fn no_policy(size: usize, wild: bool) {
    let snapshot = snapshot(vec![mesh(), denying(size, wild)]);
    let identity: SpiffeId = "spiffe://cluster.local/ns/default/sa/caller-0"
        .parse()
        .expect("an identity");
    let caller = Caller {
        identity: Some(&identity),
        source: [10, 0, 0, 1].into(),
        client: [10, 0, 0, 1].into(),
        destination: ([10, 0, 0, 2], 8080).into(),
        sni: None,
    };
    let request = request("/api/books", "service-0:80");
    let verdict = plan::inbound_http(&snapshot, &caller, &request);
    assert!(verdict.allowed && verdict.by.is_none());
    counted(|| {
        for _ in 0..TIMES {
            black_box(plan::inbound_http(&snapshot, &caller, &request));
        }
    });
}

/// Service 0 with so many endpoints, whose weights go from 1 to `weights`.
fn endpoints(size: usize, balancer: LoadBalancer, weights: u32) -> Vec<v1::Resource> {
    let weight = |number: usize| 1 + u32::try_from(number).unwrap_or_default() % weights;
    let mut resources = vec![mesh(), service(0, 1, balancer)];
    resources.extend((0..size).map(|number| workload(0, number, weight(number))));
    resources
}

fn balancer(resources: Vec<v1::Resource>, now: Instant) -> Balancer {
    let snapshot = snapshot(resources);
    let cluster = snapshot.clusters().next().expect("a cluster");
    Balancer::new(Arc::clone(cluster), now)
}

/// Picks an endpoint, which answers at once.
fn call(balancer: &mut Balancer, now: Instant, rng: &mut SmallRng, outcome: Outcome) {
    let picked = balancer
        .pick(now, rng, Want::default())
        .expect("an endpoint");
    let latency = Some(Duration::from_millis(3));
    balancer.finished(black_box(picked).token, outcome, latency, now);
}

fn calls(balancer: &mut Balancer, now: Instant) {
    let mut rng = rng();
    for _ in 0..TIMES {
        call(balancer, now, &mut rng, Outcome::Success);
    }
    counted(|| {
        for _ in 0..TIMES {
            call(balancer, now, &mut rng, Outcome::Success);
        }
    });
}

fn picks(size: usize, how: LoadBalancer, weights: u32) {
    let now = Instant::now();
    calls(&mut balancer(endpoints(size, how, weights), now), now);
}

fn picks_with_ejected(size: usize) {
    let now = Instant::now();
    let resources = endpoints(size, LoadBalancer::LeastRequest, 1);
    let mut balancer = balancer(resources, now);
    let mut rng = rng();
    let is_ejected = |balancer: &Balancer| balancer.status().iter().any(|one| one.is_ejected);
    while !is_ejected(&balancer) {
        call(&mut balancer, now, &mut rng, Outcome::ConnectFailure);
    }
    calls(&mut balancer, now);
}

fn apply_all(size: usize) {
    let mut resources = vec![mesh()];
    resources.extend((0..size).flat_map(destination));
    let response = response(resources);
    let empty = Snapshot::empty();
    let applied = counted(|| empty.apply(&response));
    assert!(applied.rejected.is_empty());
}

fn applied_change(resources: Vec<v1::Resource>, index: usize) {
    let snapshot = snapshot(resources);
    // Another weight.
    let response = response(vec![workload(index, 1, 9)]);
    let applied = counted(|| snapshot.apply(&response));
    assert_eq!(applied.changed.len(), 1);
}

fn apply_one(size: usize) {
    let mut resources = vec![mesh()];
    resources.extend((0..size).flat_map(destination));
    applied_change(resources, size / 2);
}

fn apply_member(size: usize) {
    applied_change(endpoints(size, LoadBalancer::LeastRequest, 1), 0);
}

fn rebalance(size: usize) {
    let now = Instant::now();
    let snapshot = snapshot(endpoints(size, LoadBalancer::LeastRequest, 1));
    let cluster = snapshot.clusters().next().expect("a cluster");
    let mut balancer = Balancer::new(Arc::clone(cluster), now);
    let next = snapshot.apply(&response(vec![workload(0, 1, 9)])).snapshot;
    let cluster = Arc::clone(next.clusters().next().expect("a cluster"));
    counted(|| balancer.update(cluster, now));
}

fn leave(size: usize) {
    let now = Instant::now();
    let snapshot = snapshot(endpoints(size, LoadBalancer::LeastRequest, 1));
    let cluster = snapshot.clusters().next().expect("a cluster");
    let mut balancer = Balancer::new(Arc::clone(cluster), now);
    let gone = v1::DiscoveryResponse {
        removed: vec![workload(0, 1, 1).name],
        ..response(vec![])
    };
    let next = snapshot.apply(&gone).snapshot;
    let cluster = Arc::clone(next.clusters().next().expect("a cluster"));
    assert_eq!(cluster.endpoints.len(), size - 1);
    counted(|| balancer.update(cluster, now));
}
