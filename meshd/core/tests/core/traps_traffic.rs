//! Istio's traps in limits, ejection, affinity and localities; numbers as in the table of exact
//! semantics.

use mesh_api::v1::consistent_hash::Key;
use mesh_api::v1::{
    ConnectionPool, HashCookie, LocalityBalancing, OutlierDetection, ProxyProtocol, RetryBudget,
    TrafficPolicy, ZoneAware,
};

use crate::mesh::{self, good, problems, service, sidecar, world};

fn rule(policy: &str) -> String {
    format!(
        "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {{ name: rule }}\nspec:\n  host: multi\n  subsets: [{{ name: s, labels: {{ app: multi }} }}]\n  trafficPolicy: {policy}\n"
    )
}

fn policy_of(text: &str, subset: &str, port: u32) -> TrafficPolicy {
    let world = good(text);
    let found = service(
        &world,
        &sidecar(&world, "default/client", &[]),
        "routes/multi:80",
        "multi.default.svc.cluster.local",
    );
    mesh::policy(&found, subset, port)
}

fn policy(spec: &str) -> TrafficPolicy {
    policy_of(&rule(spec), "s", 80)
}

fn errors(spec: &str) -> Vec<String> {
    problems(&world(&rule(spec)))
}

fn refused(spec: &str, why: &str) {
    let found = errors(spec);
    assert!(
        found.iter().any(|line| line.contains(why)),
        "{spec}: {found:#?}"
    );
}

#[test]
fn limits_reach_the_proxy() {
    let found = policy(
        "{ connectionPool: {
            tcp: { maxConnections: 1, connectTimeout: 30ms, maxConnectionDuration: 2m, idleTimeout: 3m, tcpKeepalive: { probes: 4, time: 5s, interval: 1500ms } },
            http: { http1MaxPendingRequests: 6, http2MaxRequests: 7, maxRetries: 8, maxRequestsPerConnection: 9, maxConcurrentStreams: 10, idleTimeout: 11s, h2UpgradePolicy: UPGRADE, http2KeepAlive: { interval: 12s, timeout: 13s } } },
          retryBudget: { percent: 12.5 } }",
    );
    assert_eq!(found.connect_timeout_ms, 30);
    let pool = found.connection_pool.unwrap();
    assert_eq!(
        pool,
        ConnectionPool {
            max_connections: 1,
            max_connection_duration_ms: 120_000,
            tcp_idle_timeout_ms: 180_000,
            tcp_keepalive: pool.tcp_keepalive,
            max_pending_requests: 6,
            max_requests: 7,
            max_retries: 8,
            max_requests_per_connection: 9,
            max_concurrent_streams: 10,
            http_idle_timeout_ms: 11_000,
            upgrade_to_http2: true,
            http2_keepalive: pool.http2_keepalive,
            ..ConnectionPool::default()
        }
    );
    let probes = pool.tcp_keepalive.unwrap();
    assert_eq!(
        (probes.probes, probes.time_seconds, probes.interval_seconds),
        (4, 5, 2)
    );
    let pings = pool.http2_keepalive.unwrap();
    assert_eq!((pings.interval_ms, pings.timeout_ms), (12_000, 13_000));
    let budget = found.retry_budget.unwrap();
    assert_eq!((budget.percent, budget.min_retry_concurrency), (12.5, 3));
    let forever = policy("{ connectionPool: { tcp: { idleTimeout: 0s } } }");
    assert!(forever.connection_pool.unwrap().tcp_idle_forever);
    let zero = policy("{ connectionPool: { tcp: { maxConnections: 0 } } }");
    assert_eq!(zero.connection_pool, None, "0 is no limit");
    refused(
        "{ connectionPool: { http: { useClientProtocol: true, h2UpgradePolicy: UPGRADE } } }",
        "use client protocol must not be true",
    );
    refused(
        "{ connectionPool: { tcp: { maxConnections: -1 } } }",
        "maxConnections",
    );
}

#[test]
fn trap_21_retry_budgets_hold_for_all_ports() {
    let text = rule(
        "{ retryBudget: { percent: 50 }, outlierDetection: {}, portLevelSettings: [{ port: { number: 9000 }, connectionPool: { tcp: { maxConnections: 5 } } }] }",
    );
    for subset in ["", "s"] {
        let plain = policy_of(&text, subset, 80);
        assert!(plain.outlier_detection.is_some() && plain.connection_pool.is_none());
        let replaced = policy_of(&text, subset, 9000);
        assert!(replaced.outlier_detection.is_none());
        assert_eq!(replaced.connection_pool.unwrap().max_connections, 5);
        let budget = RetryBudget {
            percent: 50.0,
            min_retry_concurrency: 3,
        };
        assert_eq!(
            (plain.retry_budget, replaced.retry_budget),
            (Some(budget), Some(budget))
        );
    }
}

#[test]
fn trap_23_ejection_is_off_without_the_block_and_has_defaults_with_it() {
    let defaults = OutlierDetection {
        consecutive_5xx: 5,
        consecutive_gateway: 0,
        consecutive_local: 5,
        split_local: false,
        interval_ms: 10_000,
        base_ejection_ms: 30_000,
        max_ejection_percent: 10,
        min_health_percent: 0,
        ..OutlierDetection::default()
    };
    assert_eq!(
        policy("{ loadBalancer: { simple: RANDOM } }").outlier_detection,
        None
    );
    assert_eq!(
        policy("{ outlierDetection: {} }").outlier_detection,
        Some(defaults)
    );
    assert_eq!(
        policy(
            "{ outlierDetection: { consecutive5xxErrors: 0, consecutiveGatewayErrors: 3, splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 2, interval: 1s, baseEjectionTime: 2s, maxEjectionPercent: 100, minHealthPercent: 40, outlierDetectionHttpErrorCodes: [503, 429, 503] } }"
        )
        .outlier_detection,
        Some(OutlierDetection {
            consecutive_5xx: 0,
            consecutive_gateway: 3,
            consecutive_local: 2,
            split_local: true,
            interval_ms: 1_000,
            base_ejection_ms: 2_000,
            max_ejection_percent: 100,
            min_health_percent: 40,
            error_statuses: vec![429, 503],
        })
    );
    refused(
        "{ outlierDetection: { consecutiveLocalOriginFailures: 2 } }",
        "split external local origin errors is set to false",
    );
    refused(
        "{ outlierDetection: { outlierDetectionHttpErrorCodes: [200, 99] } }",
        "outlierDetectionHttpErrorCodes: a status is a number in the range 100..599",
    );
    refused(
        "{ outlierDetection: { maxEjectionPercent: 101 } }",
        "range 0..100",
    );
}

#[test]
fn trap_25_affinity() {
    let hash = |spec: &str| {
        policy(&format!("{{ loadBalancer: {{ consistentHash: {spec} }} }}"))
            .consistent_hash
            .unwrap()
    };
    let header = hash("{ httpHeaderName: X-User }");
    assert_eq!(header.key, Some(Key::Header("x-user".to_owned())));
    assert_eq!(
        (header.minimum_ring_size, header.maglev_table_size),
        (1024, 0)
    );
    let maglev = hash("{ useSourceIp: true, maglev: {} }");
    assert_eq!(maglev.key, Some(Key::SourceIp(true)));
    assert_eq!(maglev.maglev_table_size, 65_537);
    let cookie = |ttl: &str| {
        let text = format!("{{ httpCookie: {{ name: user, path: /x{ttl} }} }}");
        match hash(&text).key {
            Some(Key::Cookie(HashCookie {
                generate,
                ttl_seconds,
                ..
            })) => (generate, ttl_seconds),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(cookie(""), (false, 0), "only clients that have one");
    assert_eq!(cookie(", ttl: 0s"), (true, 0), "for the session");
    assert_eq!(cookie(", ttl: 60s"), (true, 60));
    refused(
        "{ loadBalancer: { simple: RANDOM, consistentHash: { useSourceIp: true } } }",
        "only one of simple and consistentHash",
    );
    refused(
        "{ loadBalancer: { consistentHash: { useSourceIp: true, httpHeaderName: x } } }",
        "exactly one of",
    );
    refused(
        "{ loadBalancer: { consistentHash: { useSourceIp: true, maglev: { tableSize: 65536 } } } }",
        "no prime number",
    );
    let subset = format!(
        "{}  subsets:\n  - name: s\n    labels: {{ app: multi }}\n    trafficPolicy: {{ loadBalancer: {{ simple: RANDOM }} }}\n",
        rule("{ loadBalancer: { consistentHash: { useSourceIp: true } } }")
            .replace("  subsets: [{ name: s, labels: { app: multi } }]\n", "")
    );
    assert!(policy_of(&subset, "", 80).consistent_hash.is_some());
    assert_eq!(policy_of(&subset, "s", 80).consistent_hash, None);
}

#[test]
fn trap_26_locality_needs_ejection_and_rules_agree() {
    let locality = |spec: &str| policy(spec).locality;
    assert_eq!(locality("{ loadBalancer: { simple: RANDOM } }"), None);
    assert_eq!(
        locality("{ outlierDetection: {} }"),
        Some(LocalityBalancing::default()),
        "the mesh's default counts as soon as there is ejection"
    );
    assert_eq!(
        locality(
            "{ outlierDetection: {}, loadBalancer: { localityLbSetting: { enabled: false } } }"
        ),
        None
    );
    let spec = |rest: &str| format!("{{ loadBalancer: {{ localityLbSetting: {rest} }} }}");
    let failover = spec("{ failover: [{ from: us, to: eu }] }");
    assert_eq!(
        locality(&failover),
        None,
        "nobody would notice that it is needed"
    );
    refused(&failover, "outlier detection policy must be provided");
    let distribute = spec(
        "{ distribute: [{ from: us/*, to: { 'us/a/*': 80, 'us/b/*': 20 } }, { from: '*', to: { eu: 100 } }] }",
    );
    let shares = locality(&distribute).unwrap().distribute;
    assert_eq!(shares.len(), 2);
    assert_eq!(
        (shares[0].to[0].locality.as_str(), shares[0].to[0].percent),
        ("us/a/*", 80)
    );
    for (rest, why) in [
        (
            "{ distribute: [{ from: us, to: { us: 100 } }], failover: [{ from: us, to: eu }] }",
            "can not simultaneously specify 'distribute' and 'failover'",
        ),
        ("{ distribute: [{ from: us, to: { us: 99 } }] }", "!= 100"),
        (
            "{ failover: [{ from: us, to: eu }], failoverPriority: [topology.kubernetes.io/region] }",
            "label of topology when 'failover' is set",
        ),
        (
            "{ failover: [{ from: us, to: us }] }",
            "must specify different regions",
        ),
    ] {
        refused(&spec(rest), why);
    }
    let both = format!(
        "{{ outlierDetection: {{}}, {}",
        spec("{ failover: [{ from: us, to: eu }], failoverPriority: [version] }")
            .trim_start_matches('{')
    );
    assert_eq!(
        locality(&both).unwrap().failover_priority,
        ["version"],
        "other labels compose"
    );
}

#[test]
fn trap_26_zones_need_no_ejection_and_go_with_no_other_setting() {
    let spec = |rest: &str| format!("{{ loadBalancer: {{ zoneAwareLbSetting: {rest} }} }}");
    let zones = |rest: &str| policy(&spec(rest)).locality;
    let of = |size| {
        let zone_aware = Some(ZoneAware {
            min_cluster_size: size,
        });
        LocalityBalancing {
            zone_aware,
            ..LocalityBalancing::default()
        }
    };
    assert_eq!(zones("{}"), Some(of(6)), "on, from Envoy's number on");
    assert_eq!(zones("{ enabled: true, minClusterSize: 2 }"), Some(of(2)));
    assert_eq!(zones("{ enabled: false }"), None);
    let regions = zones("{ failover: [{ from: us, to: eu }], failoverPriority: [version] }");
    let regions = regions.unwrap();
    assert_eq!(regions.failover[0].to, "eu");
    assert_eq!(regions.failover_priority, ["version"]);
    for (rest, why) in [
        ("{ minClusterSize: 0 }", "must be at least 1"),
        (
            "{ failoverPriority: [topology.kubernetes.io/zone] }",
            "must not use topology label 'topology.kubernetes.io/zone'",
        ),
        (
            "{ failover: [{ from: us, to: us }] }",
            "must specify different regions",
        ),
        ("{ failover: [{ from: us, to: eu/a }] }", "contain / or *"),
        ("{ distribute: [] }", "unknown field"),
        (
            "{ failover: [{ from: us, to: eu }] }",
            "outlier detection policy must be provided",
        ),
    ] {
        refused(&spec(rest), why);
    }
    refused(
        "{ loadBalancer: { zoneAwareLbSetting: {}, localityLbSetting: {} } }",
        "only one of localityLbSetting and zoneAwareLbSetting",
    );
}

#[test]
fn what_a_policy_says_in_vain_is_told() {
    for (spec, why) in [
        (
            "{ retryBudget: { percent: 20, budgetInterval: 10s } }",
            "budgetInterval: `budgetInterval` is not supported yet; the share is one of the requests under way",
        ),
        (
            "{ loadBalancer: { backendUtilization: { weightUpdatePeriod: 1s } } }",
            "backendUtilization: `backendUtilization` is not supported yet; endpoints are chosen by latency and load",
        ),
        (
            "{ outlierDetection: { consecutiveErrors: 5 } }",
            "Istio does not heed it either",
        ),
    ] {
        let found = problems(&good(&rule(spec)));
        let told = |line: &&String| line.contains(": warning: ") && line.contains(why);
        assert!(found.iter().any(|line| told(&line)), "{found:#?}");
    }
}

#[test]
fn trap_26_services_may_prefer_near_endpoints() {
    let text = "---\napiVersion: v1\nkind: Service\nmetadata: { name: near, annotations: { networking.istio.io/traffic-distribution: PreferClose } }\nspec: { selector: { app: a }, ports: [{ name: http, port: 80 }] }\n---\napiVersion: v1\nkind: Service\nmetadata: { name: node }\nspec: { selector: { app: a }, trafficDistribution: PreferSameNode, ports: [{ name: http, port: 80 }] }\n";
    let world = good(text);
    let of = |name: &str| {
        let found = service(
            &world,
            &sidecar(&world, "default/client", &[]),
            &format!("routes/{name}:80"),
            &format!("{name}.default.svc.cluster.local"),
        );
        mesh::policy(&found, "", 80)
            .locality
            .unwrap()
            .failover_priority
    };
    assert_eq!(
        of("near"),
        [
            "topology.istio.io/network",
            "topology.kubernetes.io/region",
            "topology.kubernetes.io/zone"
        ]
    );
    assert_eq!(of("node").last().unwrap(), "kubernetes.io/hostname");
}

#[test]
fn warm_up_is_for_balancers_that_weigh() {
    let warmup = |balancer: &str, rest: &str| {
        policy(&format!(
            "{{ loadBalancer: {{ simple: {balancer}, {rest} }} }}"
        ))
        .warmup
    };
    let set = warmup(
        "ROUND_ROBIN",
        "warmup: { duration: 30s, minimumPercent: 20, aggression: 2 }",
    );
    let set = set.unwrap();
    assert_eq!(
        (set.duration_ms, set.minimum_percent, set.aggression),
        (30_000, 20.0, 2.0)
    );
    let legacy = warmup("LEAST_REQUEST", "warmupDurationSecs: 5s").unwrap();
    assert_eq!(
        (
            legacy.duration_ms,
            legacy.minimum_percent,
            legacy.aggression
        ),
        (5_000, 10.0, 1.0)
    );
    assert_eq!(warmup("RANDOM", "warmup: { duration: 30s }"), None);
}

#[test]
fn proxies_are_told_where_they_are() {
    let world = good(
        "---\napiVersion: networking.istio.io/v1\nkind: WorkloadEntry\nmetadata: { name: here }\nspec: { address: 10.0.0.9, locality: us/a/1, labels: { app: here } }\n",
    );
    let place = mesh::inbound(&world, "default/here").place.unwrap();
    assert_eq!(
        (place.locality.as_str(), place.node.as_str()),
        ("us/a/1", "")
    );
    assert_eq!(place.labels["app"], "here");
    let nowhere = mesh::inbound(&world, "default/client").place.unwrap();
    assert_eq!(nowhere.locality, "");
}

#[test]
fn headers_and_tunnels_hold_for_all_ports() {
    let text = rule(
        "{ proxyProtocol: { version: V2 }, tunnel: { targetHost: x.example.com, targetPort: 443 }, portLevelSettings: [{ port: { number: 9000 }, connectionPool: { tcp: { maxConnections: 5 } } }] }",
    );
    for port in [80, 9000] {
        let found = policy_of(&text, "", port);
        assert_eq!(found.proxy_protocol(), ProxyProtocol::V2);
        let tunnel = found.tunnel.unwrap();
        assert_eq!((tunnel.host.as_str(), tunnel.port), ("x.example.com", 443));
    }
    assert_eq!(
        policy("{ proxyProtocol: {} }").proxy_protocol(),
        ProxyProtocol::V1
    );
    for (protocol, post) in [("CONNECT", false), ("POST", true)] {
        let text =
            format!("{{ tunnel: {{ protocol: {protocol}, targetHost: x, targetPort: 1 }} }}");
        assert_eq!(policy(&text).tunnel.unwrap().post, post);
    }
    refused(
        "{ tunnel: { protocol: GET, targetHost: x, targetPort: 1 } }",
        "tunnel protocol must be \"CONNECT\" or \"POST\"",
    );
    refused(
        "{ tunnel: { targetHost: x } }",
        "targetHost and targetPort are required",
    );
}
