//! Ejection, affinity and localities, as a DestinationRule asks for them.

use std::collections::BTreeSet;

use mesh_api::v1::{
    ConsistentHash, Forward, HashCookie, LocalityBalancing, OutlierDetection, Protocol, Resolution,
    TrafficPolicy, ZoneAware, consistent_hash::Key, http_route::Action,
};

use crate::config::{Config, Service, forward, retry, route, service};
use crate::peers::{App, Client, NAME};
use crate::proxy::{Proxy, proxy, vacant};

fn broken() -> impl Future<Output = App> {
    App::http(|_| async {
        http::Response::builder()
            .status(500)
            .header(NAME, "broken")
            .body(http_body_util::Full::default())
            .unwrap()
    })
}

const OUTLIERS: OutlierDetection = OutlierDetection {
    consecutive_5xx: 5,
    consecutive_gateway: 0,
    consecutive_local: 5,
    split_local: false,
    interval_ms: 10_000,
    base_ejection_ms: 30_000,
    max_ejection_percent: 100,
    min_health_percent: 0,
    error_statuses: Vec::new(),
};

fn ejecting(outliers: OutlierDetection) -> TrafficPolicy {
    TrafficPolicy {
        outlier_detection: Some(outliers),
        ..Default::default()
    }
}

fn start(service: Service) -> Proxy {
    proxy(Config::default().service(service)).start()
}

#[tokio::test]
async fn trap_23_five_errors_in_a_row_eject() {
    let (bad, good) = (broken().await, App::echo("good").await);
    let proxy = start(
        service("app", 80, Protocol::Http)
            .plain(bad.address)
            .plain(good.address)
            .policy(ejecting(OUTLIERS)),
    );
    let mut client = Client::to(proxy.explicit).await;
    let mut failed = 0;
    for _ in 0..40 {
        let answer = client.get("http://app/").await;
        failed += usize::from(answer.status() == 500);
    }
    assert_eq!(failed, 5, "Istio counts the application's errors, too");
}

#[tokio::test]
async fn a_rule_may_say_which_statuses_eject() {
    let ask = |statuses: &[u32]| {
        let outliers = OutlierDetection {
            error_statuses: statuses.to_vec(),
            ..OUTLIERS
        };
        async move {
            let bad = broken().await;
            let app = service("app", 80, Protocol::Http).plain(bad.address);
            let proxy = start(app.policy(ejecting(outliers)));
            let mut client = Client::to(proxy.explicit).await;
            let mut answers = Vec::new();
            for _ in 0..7 {
                answers.push(client.get("http://app/").await.status());
            }
            answers
        }
    };
    assert_eq!(ask(&[404]).await, [500; 7], "500 is no error here");
    assert_eq!(ask(&[404, 500]).await, [500, 500, 500, 500, 500, 503, 503]);
}

#[tokio::test]
async fn trap_26_the_own_zone_takes_what_it_can() {
    let (near, far) = (App::echo("near").await, App::echo("far").await);
    let ask = |min_cluster_size| {
        let app = service("app", 80, Protocol::Http)
            .plain(near.address)
            .at("us/a/1")
            .plain(far.address)
            .at("us/b/1")
            .policy(TrafficPolicy {
                locality: Some(LocalityBalancing {
                    zone_aware: Some(ZoneAware { min_cluster_size }),
                    ..Default::default()
                }),
                ..Default::default()
            });
        async move {
            let proxy = proxy(Config::default().at("us/a/2").service(app)).start();
            let mut client = Client::to(proxy.explicit).await;
            let mut names = BTreeSet::new();
            for _ in 0..60 {
                let answer = client.get("http://app/").await;
                names.insert(answer.header(NAME).unwrap_or_default().to_owned());
            }
            names.into_iter().collect::<Vec<_>>()
        }
    };
    assert_eq!(ask(2).await, ["near"]);
    assert_eq!(
        ask(3).await,
        ["far", "near"],
        "too few: zones do not matter"
    );
}

#[tokio::test]
async fn trap_23_no_panic_unless_asked_for() {
    let ask = |outliers| async move {
        let bad = broken().await;
        let app = service("app", 80, Protocol::Http).plain(bad.address);
        let proxy = start(app.policy(ejecting(outliers)));
        let mut client = Client::to(proxy.explicit).await;
        for _ in 0..5 {
            assert_eq!(client.get("http://app/").await.status(), 500);
        }
        let answer = client.get("http://app/").await;
        (answer.status(), answer.reason().to_owned())
    };
    assert_eq!(ask(OUTLIERS).await, (503, "no_healthy_endpoint".to_owned()));
    let panics = OutlierDetection {
        min_health_percent: 50,
        ..OUTLIERS
    };
    assert_eq!(ask(panics).await.0, 500);
}

#[tokio::test]
async fn ejected_endpoints_come_back_after_their_time() {
    let bad = broken().await;
    let quick = OutlierDetection {
        interval_ms: 10,
        base_ejection_ms: 20,
        ..OUTLIERS
    };
    let proxy = start(
        service("app", 80, Protocol::Http)
            .plain(bad.address)
            .policy(ejecting(quick)),
    );
    let mut client = Client::to(proxy.explicit).await;
    let mut statuses = BTreeSet::new();
    for _ in 0..5 {
        statuses.insert(client.get("http://app/").await.status());
    }
    assert_eq!(statuses, [500].into());
    crate::peers::within(async {
        while client.get("http://app/").await.status() == 503 {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

fn hashing(key: Key) -> TrafficPolicy {
    TrafficPolicy {
        consistent_hash: Some(ConsistentHash {
            key: Some(key),
            minimum_ring_size: 1024,
            ..Default::default()
        }),
        ..Default::default()
    }
}

async fn three(policy: TrafficPolicy) -> (Vec<App>, Proxy) {
    let mut app = service("app", 80, Protocol::Http).policy(policy);
    let mut apps = Vec::new();
    for name in ["a", "b", "c"] {
        let peer = App::echo(name).await;
        app = app.plain(peer.address);
        apps.push(peer);
    }
    (apps, start(app))
}

#[tokio::test]
async fn trap_25_headers_keep_requests_together() {
    let (_apps, proxy) = three(hashing(Key::Header("x-user".into()))).await;
    let mut client = Client::to(proxy.explicit).await;
    let mut all = BTreeSet::new();
    for user in 0..30 {
        let mut names = BTreeSet::new();
        for _ in 0..3 {
            client
                .send(&format!(
                    "GET http://app/ HTTP/1.1\r\nHost: app\r\nX-User: {user}\r\n\r\n"
                ))
                .await;
            names.insert(client.answer().await.header(NAME).unwrap().to_owned());
        }
        assert_eq!(names.len(), 1, "user {user}");
        all.extend(names);
    }
    assert_eq!(all.len(), 3, "and different users come to different ones");
}

#[tokio::test]
async fn trap_25_cookies_are_given_out_and_heeded() {
    let cookie = HashCookie {
        name: "user".into(),
        path: "/".into(),
        generate: true,
        ttl_seconds: 60,
        ..Default::default()
    };
    let (_apps, proxy) = three(hashing(Key::Cookie(cookie))).await;
    for _ in 0..5 {
        let mut client = Client::to(proxy.explicit).await;
        let first = client.get("http://app/").await;
        let given = first.header("set-cookie").unwrap().to_owned();
        assert!(given.ends_with("; Max-Age=60; Path=/; HttpOnly"), "{given}");
        let pair = given.split(';').next().unwrap();
        for _ in 0..3 {
            client
                .send(&format!(
                    "GET http://app/ HTTP/1.1\r\nHost: app\r\nCookie: {pair}\r\n\r\n"
                ))
                .await;
            let answer = client.answer().await;
            assert_eq!(answer.header(NAME), first.header(NAME));
            assert_eq!(answer.header("set-cookie"), None);
        }
    }
}

#[tokio::test]
async fn trap_25_with_affinity_retries_stay_where_they_are() {
    let (dead, good) = (vacant(), App::echo("good").await);
    let to = Forward {
        retry: Some(retry(1)),
        ..forward("app", 80)
    };
    // Ejection by Istio's rules only: the mesh's own would take the dead one out at once.
    let policy = TrafficPolicy {
        outlier_detection: Some(OutlierDetection {
            consecutive_5xx: 0,
            ..OUTLIERS
        }),
        ..hashing(Key::Header("x-user".into()))
    };
    let app = service("app", 80, Protocol::Http)
        .plain(dead.address)
        .plain(good.address)
        .route(route(Action::Forward(to)))
        .policy(policy);
    let proxy = start(app);
    let mut client = Client::to(proxy.explicit).await;
    let mut statuses = BTreeSet::new();
    for user in 0..20 {
        client
            .send(&format!(
                "GET http://app/ HTTP/1.1\r\nHost: app\r\nX-User: {user}\r\n\r\n"
            ))
            .await;
        statuses.insert(client.answer().await.status());
    }
    assert_eq!(statuses, [200, 503].into());
}

#[tokio::test]
async fn trap_35_names_are_looked_up_late() {
    let app = App::echo("a").await;
    let port = app.address.port();
    let one = service("app", 80, Protocol::Http)
        .named("localhost", port)
        .resolved(Resolution::DnsRoundRobin);
    let proxy = start(one);
    let answer = Client::to(proxy.explicit).await.get("http://app/").await;
    assert_eq!(answer.header(NAME), Some("a"));
    // The name that the client asks for is the endpoint's.
    let any = service("localhost", port, Protocol::Http).resolved(Resolution::DynamicDns);
    let proxy = start(any);
    let url = format!("http://localhost:{port}/");
    let answer = Client::to(proxy.explicit).await.get(&url).await;
    assert_eq!(answer.header(NAME), Some("a"));
}

#[tokio::test]
async fn trap_26_other_localities_take_over() {
    let (near, far) = (App::echo("near").await, App::echo("far").await);
    let dead = vacant();
    let policy = || TrafficPolicy {
        locality: Some(LocalityBalancing::default()),
        ..ejecting(OUTLIERS)
    };
    let ask = |app: Service| async move {
        let proxy = proxy(Config::default().at("us/a/1").service(app.policy(policy()))).start();
        let mut client = Client::to(proxy.explicit).await;
        let mut names = Vec::new();
        for _ in 0..12 {
            let answer = client.get("http://app/").await;
            let name = answer.header(NAME).unwrap_or(answer.reason());
            names.push(name.to_owned());
        }
        names
    };
    let base = || service("app", 80, Protocol::Http);
    let healthy = base()
        .plain(near.address)
        .at("us/a/1")
        .plain(far.address)
        .at("eu/c/1");
    assert_eq!(ask(healthy).await, ["near"; 12]);
    let broken = base()
        .plain(dead.address)
        .at("us/a/1")
        .plain(far.address)
        .at("eu/c/1");
    let names = ask(broken).await;
    // Three tries are repeated elsewhere, then the mesh's reserve of retries is used up.
    let failed = "upstream_connect_failure";
    assert_eq!(
        names[..5],
        ["far", "far", "far", failed, failed],
        "{names:?}"
    );
    assert_eq!(names[5..], ["far"; 7], "{names:?}");
}
