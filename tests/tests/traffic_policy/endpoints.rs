//! Which server takes a request: affinity, subsets, shares, ejection, health checks, limits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use mesh_tests::laptop::LIMIT;

use crate::app::App;
use crate::{Place, by, header, host, object, policy, refused, routes, served};

async fn apps() -> [App; 3] {
    [
        App::start("a").await,
        App::start("b").await,
        App::start("c").await,
    ]
}

/// How many of so many requests each server takes.
pub(crate) async fn shares(place: &Place, url: &str, times: usize) -> BTreeMap<String, usize> {
    let mut shares = BTreeMap::new();
    for _ in 0..times {
        let answer = place.get(url, &[]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        *shares.entry(by(&answer)).or_default() += 1;
    }
    shares
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_stay_together_by_what_the_policy_hashes() {
    let apps = apps().await;
    let all: Vec<_> = apps.iter().map(|app| (app, "")).collect();
    let mut config = String::new();
    for (name, hash) in [
        ("header.example.com", "httpHeaderName: x-user"),
        (
            "query.example.com",
            "httpQueryParameterName: user, ringHash: {minimumRingSize: 64}",
        ),
        (
            "cookie.example.com",
            "httpCookie: {name: user, ttl: 60s}, maglev: {tableSize: 251}",
        ),
        ("source.example.com", "useSourceIp: true, maglev: {}"),
    ] {
        config += &host(name, &all);
        config += &policy(
            name,
            &format!("{{loadBalancer: {{consistentHash: {{{hash}}}}}}}"),
        );
    }
    let place = Place::start("", &config);
    place.is_sound().await;
    let mut by_header = BTreeSet::new();
    let mut by_query = BTreeSet::new();
    for user in 0..20 {
        let user = user.to_string();
        let mut answers = BTreeSet::new();
        let mut others = BTreeSet::new();
        for _ in 0..3 {
            let answer = place.get("header.example.com/", &[("x-user", &user)]).await;
            answers.insert(by(&answer));
            let answer = place
                .get(&format!("query.example.com/?user={user}"), &[])
                .await;
            others.insert(by(&answer));
        }
        assert_eq!((answers.len(), others.len()), (1, 1), "{user}");
        by_header.append(&mut answers);
        by_query.append(&mut others);
    }
    // Twenty users miss one of three servers once in thousands of times, and their hashes are
    // always the same.
    assert!(
        by_header.len() > 1 && by_query.len() > 1,
        "{by_header:?} {by_query:?}"
    );
    assert_eq!(shares(&place, "source.example.com/", 10).await.len(), 1);

    let first = place.get("cookie.example.com/", &[]).await;
    let cookie = header(&first, "set-cookie");
    let (pair, rest) = cookie.split_once(';').unwrap();
    assert!(
        pair.starts_with("user=") && rest.contains("Max-Age=60"),
        "{cookie}"
    );
    for _ in 0..10 {
        let again = place.get("cookie.example.com/", &[("cookie", pair)]).await;
        assert_eq!(
            (by(&again), header(&again, "set-cookie")),
            (by(&first), String::new())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subsets_and_weights_share_traffic() {
    let [a, b, c] = apps().await;
    let (v1, v2) = ("labels: {version: v1}", "labels: {version: v2}");
    let subsets = "subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]";
    let config = [
        host("subsets.example.com", &[(&a, v1), (&b, v2), (&c, v2)]),
        object(
            "DestinationRule",
            "subsets.example.com",
            &format!("{{host: subsets.example.com, trafficPolicy: {{loadBalancer: {{simple: ROUND_ROBIN}}}}, {subsets}}}"),
        ),
        routes(
            "subsets.example.com",
            "
  - match: [{headers: {end-user: {exact: jason}}}]
    route: [{destination: {host: subsets.example.com, subset: v1}}]
  - match: [{uri: {prefix: /split}}]
    route:
    - {destination: {host: subsets.example.com, subset: v1}, weight: 75}
    - {destination: {host: subsets.example.com, subset: v2}, weight: 25}
  - route: [{destination: {host: subsets.example.com, subset: v2}}]",
        ),
        // In turn, by weight.
        host("turns.example.com", &[(&a, "weight: 3"), (&b, "weight: 1")]),
        policy("turns.example.com", "{loadBalancer: {simple: ROUND_ROBIN}}"),
    ]
    .concat();
    let place = Place::start("", &config);
    place.is_sound().await;
    let jason = place
        .get("subsets.example.com/", &[("end-user", "jason")])
        .await;
    assert_eq!(by(&jason), "a");
    let v2 = shares(&place, "subsets.example.com/", 20).await;
    assert!(
        v2.keys().eq(["b", "c"]) && v2["b"].abs_diff(v2["c"]) <= 2,
        "{v2:?}"
    );
    // 75 of 100 with a deviation of 4.4: eight of them is never.
    let split = shares(&place, "subsets.example.com/split", 100).await;
    assert!((40..=98).contains(&split["a"]), "{split:?}");
    let turns = shares(&place, "turns.example.com/", 40).await;
    // Each worker of the proxy has its own turns.
    assert!(turns["a"].abs_diff(30) <= 4, "{turns:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_that_fail_or_are_sick_get_nothing() {
    let [a, b, c] = apps().await;
    let config = [
        host("ejected.example.com", &[(&a, "")]),
        policy(
            "ejected.example.com",
            "{outlierDetection: {consecutive5xxErrors: 2, interval: 1s, baseEjectionTime: 300s, maxEjectionPercent: 100}}",
        ),
        host("checked.example.com", &[(&b, ""), (&c, "")]),
        "---
apiVersion: mesh.dev/v1alpha1
kind: ResiliencePolicy
metadata: {name: checks}
spec:
  targetRefs: [{group: networking.istio.io, kind: ServiceEntry, name: checked-example-com}]
  healthCheck: {http: {path: /healthz}, interval: 1s, unhealthyThreshold: 1, healthyThreshold: 1}
"
        .to_owned(),
    ]
    .concat();
    let place = Place::start("", &config);
    place.is_sound().await;
    for want in [
        refused(500, ""),
        refused(500, ""),
        refused(503, "no_healthy_endpoint"),
    ] {
        assert_eq!(place.outcome("ejected.example.com/fail/9/500").await, want);
    }
    assert_eq!(shares(&place, "checked.example.com/", 20).await.len(), 2);
    for (ill, want) in [(true, 1), (false, 2)] {
        c.fall_ill(ill);
        let deadline = Instant::now() + LIMIT;
        loop {
            let mut seen = BTreeSet::new();
            for _ in 0..20 {
                seen.insert(by(&place.get("checked.example.com/", &[]).await));
            }
            if seen.len() == want {
                break;
            }
            assert!(Instant::now() < deadline, "{seen:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_of_the_pool_are_those_of_the_policy() {
    let app = App::start("app").await;
    let config = host("app.example.com", &[(&app, "")])
        + &policy(
            "app.example.com",
            "{connectionPool: {http: {http2MaxRequests: 1}}}",
        );
    let place = Place::start("", &config);
    place.is_sound().await;
    let held = place.outcome("app.example.com/held");
    let others = async {
        app.has_seen("/held", 1).await;
        let seen = place.outcome("app.example.com/").await;
        app.release();
        seen
    };
    let (held, other) = tokio::join!(held, others);
    assert_eq!((held, other), (served(), refused(503, "too_many_requests")));
    assert_eq!(place.outcome("app.example.com/").await, served());
}
