//! Which servers are near enough: `localityLbSetting` of DestinationRules, in all its ways.

use std::collections::BTreeSet;
use std::time::Instant;

use mesh_tests::laptop::LIMIT;

use crate::app::App;
use crate::endpoints::shares;
use crate::{Place, by, host, policy};

/// Where the client is.
const HERE: (&str, &str) = ("MESH_LOCALITY", "us/a/1");

/// Servers are taken out at their first error, and come back soon.
const EJECTING: &str = "outlierDetection: {consecutive5xxErrors: 1, interval: 1s, baseEjectionTime: 1s, maxEjectionPercent: 100}";

/// In turn, so that no server is passed over by chance.
const IN_TURN: &str = "simple: ROUND_ROBIN";

/// Longer than both workers of the proxy need for a turn of all servers.
const TURNS: usize = 20;

async fn apps() -> [App; 4] {
    [
        App::start("a").await,
        App::start("b").await,
        App::start("c").await,
        App::start("d").await,
    ]
}

/// Who answers, of all that do in a row of requests.
async fn answering(place: &Place, url: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for _ in 0..TURNS {
        let answer = place.get(url, &[]).await;
        let ill = answer.status != 200;
        names.insert(if ill { "ill".to_owned() } else { by(&answer) });
    }
    names
}

/// Waits until requests are answered by this server only, and none by one that is ill.
async fn settles(place: &Place, url: &str, want: &str) {
    let deadline = Instant::now() + LIMIT;
    loop {
        let names = answering(place, url).await;
        if names.iter().eq([want]) {
            return;
        }
        assert!(Instant::now() < deadline, "{want}: {names:?}");
    }
}

/// Traffic is with the first of these servers, goes on to the next one whenever a server falls
/// ill, and comes back when all are well.
async fn moves(place: &Place, url: &str, order: [(&App, &str); 4]) {
    let [(_, first), ..] = order;
    assert!(answering(place, url).await.iter().eq([first]), "{url}");
    for (ill, next) in order.iter().zip(order.iter().skip(1)) {
        ill.0.fall_ill(true);
        settles(place, url, next.1).await;
    }
    for (app, _) in order {
        app.fall_ill(false);
    }
    settles(place, url, first).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn localities_get_the_shares_that_are_distributed() {
    let [a, b, c, d] = apps().await;
    let all = [
        (&a, "locality: us/a/1"),
        (&b, "locality: us/a/2"),
        (&c, "locality: us/b/1"),
        (&d, "locality: eu/a/1"),
    ];
    let distribute = |from: &str, to: &str| {
        format!(
            "{{loadBalancer: {{{IN_TURN}, localityLbSetting: {{distribute: [{{from: '{from}', to: {{{to}}}}}]}}}}}}"
        )
    };
    let config = [
        host("shared.example.com", &all),
        policy(
            "shared.example.com",
            &distribute("us/a/*", "'us/a/*': 20, 'us/b/*': 80"),
        ),
        host("elsewhere.example.com", &all),
        policy("elsewhere.example.com", &distribute("eu/*", "us: 100")),
    ]
    .concat();
    let place = Place::start_with(&[HERE], "", &config);
    place.is_sound().await;
    // However many servers are in a locality. A deviation of 6.9, of which this is six.
    let seen = shares(&place, "shared.example.com/", 300).await;
    assert!((198..=282).contains(&seen["c"]), "{seen:?}");
    // The other ones share what is left, each worker in its own turns; nobody goes where nothing
    // is distributed to.
    assert!(seen.keys().eq(["a", "b", "c"]), "{seen:?}");
    assert!(seen["a"].abs_diff(seen["b"]) <= 2, "{seen:?}");
    // What is said for clients of another place.
    let seen = answering(&place, "elsewhere.example.com/").await;
    assert!(seen.iter().eq(["a", "b", "c", "d"]), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn regions_take_over_from_nearer_ones_that_are_ill() {
    let [a, b, c, d] = apps().await;
    let all = [
        (&d, "locality: asia/a/1"),
        (&c, "locality: eu/a/1"),
        (&b, "locality: us/b/1"),
        (&a, "locality: us/a/1"),
    ];
    let near = format!(
        "loadBalancer: {{{IN_TURN}, localityLbSetting: {{failover: [{{from: us, to: eu}}]}}}}"
    );
    let config = [
        host("near.example.com", &all),
        policy("near.example.com", &format!("{{{near}, {EJECTING}}}")),
        // Nobody would notice that a server is ill.
        host("anywhere.example.com", &all),
        policy("anywhere.example.com", &format!("{{{near}}}")),
        // Istio's default for the mesh.
        host("default.example.com", &all),
        policy("default.example.com", &format!("{{{EJECTING}}}")),
        host("off.example.com", &all),
        policy(
            "off.example.com",
            &format!(
                "{{loadBalancer: {{{IN_TURN}, localityLbSetting: {{enabled: false}}}}, {EJECTING}}}"
            ),
        ),
    ]
    .concat();
    let place = Place::start_with(&[HERE], "", &config);
    place.is_sound().await;
    for name in ["anywhere", "off"] {
        let seen = answering(&place, &format!("{name}.example.com/")).await;
        assert!(seen.iter().eq(["a", "b", "c", "d"]), "{name}: {seen:?}");
    }
    assert!(
        answering(&place, "default.example.com/")
            .await
            .iter()
            .eq(["a"])
    );
    let order = [(&a, "a"), (&b, "b"), (&c, "c"), (&d, "d")];
    moves(&place, "near.example.com/", order).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_say_who_takes_over() {
    let [a, b, c, d] = apps().await;
    // The first label that differs decides: what comes after it does not count.
    let config = [
        host(
            "labels.example.com",
            &[
                (&d, "labels: {app: other, version: v1}, locality: us/a/1"),
                (&c, "labels: {app: client, version: v2}, locality: us/a/1"),
                (&b, "labels: {app: client, version: v1}, locality: eu/a/1"),
                (&a, "labels: {app: client, version: v1}, locality: us/b/1"),
            ],
        ),
        policy(
            "labels.example.com",
            &format!("{{loadBalancer: {{{IN_TURN}, localityLbSetting: {{failoverPriority: [app, version=v1, topology.kubernetes.io/region]}}}}, {EJECTING}}}"),
        ),
    ]
    .concat();
    let place = Place::start_with(&[HERE], "", &config);
    place.is_sound().await;
    let order = [(&a, "a"), (&b, "b"), (&c, "c"), (&d, "d")];
    moves(&place, "labels.example.com/", order).await;
}
