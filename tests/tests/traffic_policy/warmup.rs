//! Servers that join others get little at first.

use std::time::Instant;

use mesh_tests::laptop::LIMIT;

use crate::app::App;
use crate::endpoints::shares;
use crate::{Place, host, policy};

/// One worker: who is new to it joins those that it knows.
const ONE: (&str, &str) = ("MESH_CONCURRENCY", "1");

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_joins_others_gets_less_at_first() {
    let apps = [
        App::start("a").await,
        App::start("b").await,
        App::start("new").await,
    ];
    let hosts = [
        (
            "slow.example.com",
            ", warmup: {duration: 1h, minimumPercent: 20}",
        ),
        ("quick.example.com", ", warmupDurationSecs: 1s"),
        ("plain.example.com", ""),
    ];
    let with = |count: usize| {
        let all: Vec<_> = apps.iter().take(count).map(|app| (app, "")).collect();
        hosts.map(|(name, _)| host(name, &all)).concat()
    };
    let policies = hosts.map(|(name, how)| {
        let in_turn = format!("{{loadBalancer: {{simple: ROUND_ROBIN{how}}}}}");
        policy(name, &in_turn)
    });
    let policies = policies.concat();
    let place = Place::start_with(&[ONE], "", &(with(2) + &policies));
    place.is_sound().await;
    // The first ones have nobody to join.
    for (name, _) in hosts {
        let seen = shares(&place, &format!("{name}/"), 20).await;
        assert!(seen.values().eq(&[10, 10]), "{name}: {seen:?}");
    }
    let text = with(3) + &policies;
    place.mesh.apply("test.yaml", Some(&text)).await.unwrap();
    let seen = shares(&place, "plain.example.com/", 300).await;
    assert!(seen.values().all(|share| *share == 100), "{seen:?}");
    // It takes a fifth of its turns, of which there are 136: 27 with a deviation of 4.7, and one
    // at least but for once in 10^13 times. It grows to more only after twelve minutes.
    let seen = shares(&place, "slow.example.com/", 300).await;
    assert!((1..=55).contains(&seen["new"]), "{seen:?}");
    let deadline = Instant::now() + LIMIT;
    loop {
        let seen = shares(&place, "quick.example.com/", 30).await;
        if seen.values().eq(&[10, 10, 10]) {
            break;
        }
        assert!(Instant::now() < deadline, "{seen:?}");
    }
}
