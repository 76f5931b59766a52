//! Faults and mirrors, also for a share of the requests.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::app::App;
use crate::{Place, host, refused, routes, served};

const TO_APP: &str = "route: [{destination: {host: app.example.com}}]";

/// So many requests that a half of them, plus or minus a quarter of them all, is five times the
/// deviation away from what chance does.
const MANY: usize = 100;

fn is_a_half(count: usize) -> bool {
    (MANY / 4..=MANY * 3 / 4).contains(&count)
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_and_mirrors_are_those_of_the_route() {
    let (app, shadow) = (App::start("app").await, App::start("shadow").await);
    let mirror = |value: u32| {
        format!(
            "mirrors: [{{destination: {{host: shadow.example.com}}, percentage: {{value: {value}}}}}]"
        )
    };
    let (always, never) = (mirror(100), mirror(0));
    let rules = format!(
        "
  - {{match: [{{uri: {{prefix: /abort}}}}], fault: {{abort: {{httpStatus: 555, percentage: {{value: 100}}}}}}, {TO_APP}}}
  - {{match: [{{uri: {{prefix: /delay}}}}], fault: {{delay: {{fixedDelay: 300ms, percentage: {{value: 100}}}}}}, {TO_APP}}}
  - {{match: [{{uri: {{prefix: /both}}}}], fault: {{delay: {{fixedDelay: 300ms, percentage: {{value: 100}}}}, abort: {{httpStatus: 418, percentage: {{value: 100}}}}}}, {TO_APP}}}
  - {{match: [{{uri: {{prefix: /grpc}}}}], fault: {{abort: {{grpcStatus: UNAVAILABLE, percentage: {{value: 100}}}}}}, {TO_APP}}}
  - {{match: [{{uri: {{prefix: /never}}}}], fault: {{abort: {{httpStatus: 555}}, delay: {{fixedDelay: 600s}}}}, {TO_APP}}}
  - {{match: [{{uri: {{prefix: /copied}}}}], {always}, {TO_APP}}}
  - {{match: [{{uri: {{prefix: /older}}}}], mirror: {{host: shadow.example.com}}, mirrorPercentage: {{value: 100}}, {TO_APP}}}
  - {{match: [{{uri: {{prefix: /plain}}}}], mirror: {{host: shadow.example.com}}, {TO_APP}}}
  - {{match: [{{uri: {{prefix: /alone}}}}], {never}, {TO_APP}}}"
    );
    let config = [
        host("app.example.com", &[(&app, "")]),
        host("shadow.example.com", &[(&shadow, "")]),
        routes("app.example.com", &rules),
    ]
    .concat();
    let place = Place::start("", &config);
    place.is_sound().await;
    for (path, want, flags) in [
        ("/abort", refused(555, "fault_abort"), "FI"),
        ("/delay", served(), "DI"),
        ("/both", refused(418, "fault_abort"), "DI,FI"),
        ("/never", served(), "-"),
        ("/alone", served(), "-"),
        ("/copied", served(), "-"),
        ("/older", served(), "-"),
        ("/plain", served(), "-"),
    ] {
        let began = Instant::now();
        let seen = place.outcome(&format!("app.example.com{path}")).await;
        assert_eq!(seen, want, "{path}");
        assert_eq!(place.flags(path).await, flags, "{path}");
        let delayed = began.elapsed() >= Duration::from_millis(300);
        assert!(delayed || !flags.contains("DI"), "{path}");
    }
    let grpc = [("content-type", "application/grpc")];
    let answer = place.call("POST", "app.example.com/grpc", &grpc).await;
    assert_eq!(crate::header(&answer, "grpc-status"), "14", "{answer:?}");
    // What is answered at once reaches no server, and the copies reach theirs.
    assert_eq!((app.count("/abort"), app.count("/both")), (0, 0));
    for path in ["/copied", "/older", "/plain"] {
        shadow.has_seen(path, 1).await;
        let host = &shadow.seen(path)[0].headers["host"];
        assert_eq!(host, "app.example.com-shadow", "{path}");
    }
    assert_eq!((app.count("/copied"), shadow.count("/alone")), (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn shares_of_the_requests_are_delayed_aborted_and_copied() {
    let (app, shadow) = (App::start("app").await, App::start("shadow").await);
    let rules = format!(
        "
  - {{match: [{{uri: {{prefix: /abort}}}}], fault: {{abort: {{httpStatus: 555, percentage: {{value: 50}}}}}}, {TO_APP}}}
  - {{match: [{{uri: {{prefix: /delay}}}}], fault: {{delay: {{fixedDelay: 1ms, percentage: {{value: 50}}}}}}, {TO_APP}}}
  - {{match: [{{uri: {{prefix: /copied}}}}], mirrors: [{{destination: {{host: shadow.example.com}}, percentage: {{value: 50}}}}], {TO_APP}}}"
    );
    let config = [
        host("app.example.com", &[(&app, "")]),
        host("shadow.example.com", &[(&shadow, "")]),
        routes("app.example.com", &rules),
    ]
    .concat();
    let place = Place::start("", &config);
    place.is_sound().await;
    let mut aborted = 0;
    for _ in 0..MANY {
        match place.outcome("app.example.com/abort").await {
            (555, reason) if reason == "fault_abort" => aborted += 1,
            other => assert_eq!(other, served()),
        }
    }
    assert!(is_a_half(aborted), "{aborted}");
    assert_eq!(app.count("/abort"), MANY - aborted);
    for path in ["/delay", "/copied"] {
        for _ in 0..MANY {
            let seen = place.outcome(&format!("app.example.com{path}")).await;
            assert_eq!(seen, served(), "{path}");
        }
    }
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for flags in place.log("/delay", MANY).await {
        *counts.entry(flags).or_default() += 1;
    }
    assert!(
        is_a_half(counts["DI"]) && counts["DI"] + counts["-"] == MANY,
        "{counts:?}"
    );
    // The last copies may still be on their way.
    shadow.has_seen("/copied", MANY / 4).await;
    assert!(shadow.count("/copied") <= MANY * 3 / 4);
    assert_eq!(app.count("/copied"), MANY);
}
