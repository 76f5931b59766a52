//! Active health checks of endpoints.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::Response;
use http_body_util::Full;
use mesh_api::v1::health_check::Probe;
use mesh_api::v1::{
    GrpcProbe, HealthCheck, HttpProbe, MtlsMode, OutlierDetection, Protocol, StatusRange, TcpProbe,
    TrafficPolicy,
};

use crate::config::{Config, service};
use crate::peers::{App, Client, NAME, until, within};
use crate::proxy::{PORT, Proxy, proxy, vacant};

/// Well as long as it is told to be; answers other requests in any case.
struct Patient {
    app: App,
    well: Arc<AtomicBool>,
    checks: Arc<AtomicUsize>,
}

async fn patient(name: &'static str) -> Patient {
    let well = Arc::new(AtomicBool::new(true));
    let checks = Arc::new(AtomicUsize::new(0));
    let (state, count) = (Arc::clone(&well), Arc::clone(&checks));
    let app = App::http(move |request| {
        let (well, checks) = (Arc::clone(&state), Arc::clone(&count));
        async move {
            let mut status = 200;
            if request.uri().path() == "/healthz" {
                assert_eq!(request.headers()["host"], "checked.local");
                checks.fetch_add(1, Ordering::Relaxed);
                status = if well.load(Ordering::Relaxed) {
                    204
                } else {
                    500
                };
            }
            Response::builder()
                .status(status)
                .header(NAME, name)
                .body(Full::default())
                .unwrap()
        }
    })
    .await;
    Patient { app, well, checks }
}

fn check(probe: Probe) -> HealthCheck {
    HealthCheck {
        policy: "default/checks".to_owned(),
        probe: Some(probe),
        interval_ms: 10,
        timeout_ms: 2000,
        jitter_percent: 10,
        unhealthy_threshold: 2,
        healthy_threshold: 2,
        ..Default::default()
    }
}

fn http() -> Probe {
    Probe::Http(HttpProbe {
        path: "/healthz".to_owned(),
        host: "checked.local".to_owned(),
        expected: vec![StatusRange { from: 200, to: 204 }],
        method: String::new(),
    })
}

fn checking(check: HealthCheck) -> TrafficPolicy {
    TrafficPolicy {
        health_check: Some(check),
        ..Default::default()
    }
}

/// Asks until the names of those who answer are these.
async fn answers_become(proxy: &Proxy, wanted: &[&str]) {
    let mut client = Client::to(proxy.explicit).await;
    within(async {
        loop {
            let mut names = Vec::new();
            for _ in 0..8 {
                let answer = client.get("http://app/").await;
                let name = answer.header(NAME).unwrap_or_default().to_owned();
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            names.sort();
            if names == wanted {
                return;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn the_sick_get_nothing_until_they_are_well() {
    let (one, two) = (patient("one").await, patient("two").await);
    let app = service("app", 80, Protocol::Http)
        .plain(one.app.address)
        .plain(two.app.address)
        .policy(checking(check(http())));
    let proxy = proxy(Config::default().service(app)).start();
    assert_eq!(one.checks.load(Ordering::Relaxed), 0, "nobody calls it yet");
    answers_become(&proxy, &["one", "two"]).await;
    two.well.store(false, Ordering::Relaxed);
    answers_become(&proxy, &["one"]).await;
    let down = || {
        proxy
            .telemetry
            .metrics()
            .contains("mesh_health_check_down 1")
    };
    until(down).await;
    two.well.store(true, Ordering::Relaxed);
    answers_become(&proxy, &["one", "two"]).await;
    until(|| {
        proxy
            .telemetry
            .metrics()
            .contains("mesh_health_check_down 0")
    })
    .await;
    let metrics = proxy.telemetry.metrics();
    assert!(metrics.contains("mesh_health_checks_total{result=\"failed\"}"));
    // If all are sick, all are used: a guess beats certain failure.
    one.well.store(false, Ordering::Relaxed);
    two.well.store(false, Ordering::Relaxed);
    until(|| {
        proxy
            .telemetry
            .metrics()
            .contains("mesh_health_check_down 2")
    })
    .await;
    answers_become(&proxy, &["one", "two"]).await;
}

#[tokio::test]
async fn with_outlier_detection_there_is_no_panic() {
    let one = patient("one").await;
    let app = service("app", 80, Protocol::Http)
        .plain(one.app.address)
        .policy(TrafficPolicy {
            outlier_detection: Some(OutlierDetection {
                consecutive_5xx: 5,
                interval_ms: 10_000,
                base_ejection_ms: 30_000,
                max_ejection_percent: 10,
                ..Default::default()
            }),
            ..checking(check(http()))
        });
    let proxy = proxy(Config::default().service(app)).start();
    answers_become(&proxy, &["one"]).await;
    one.well.store(false, Ordering::Relaxed);
    let mut client = Client::to(proxy.explicit).await;
    within(async {
        while client.get("http://app/").await.reason() != "no_healthy_endpoint" {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_connection_may_be_enough() {
    let (one, gone) = (patient("one").await, vacant());
    let app = service("app", 80, Protocol::Http)
        .plain(one.app.address)
        .plain(gone.address)
        .policy(checking(check(Probe::Tcp(TcpProbe {}))));
    let proxy = proxy(Config::default().service(app)).start();
    answers_become(&proxy, &["one"]).await;
    until(|| {
        proxy
            .telemetry
            .metrics()
            .contains("mesh_health_check_down 1")
    })
    .await;
    assert_eq!(one.checks.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn grpc_servers_are_asked_in_their_own_way() {
    // One that answers and knows nothing of gRPC is not well.
    let other = App::echo_http2("no-grpc").await;
    let app = service("app", 80, Protocol::Grpc)
        .plain(other.address)
        .policy(checking(check(Probe::Grpc(GrpcProbe::default()))));
    let proxy = proxy(Config::default().service(app)).start();
    let mut client = Client::to(proxy.explicit).await;
    assert_eq!(client.get("http://app/").await.status(), 200);
    until(|| {
        proxy
            .telemetry
            .metrics()
            .contains("mesh_health_check_down 1")
    })
    .await;
}

#[tokio::test]
async fn checks_go_over_mutual_tls_to_where_requests_go() {
    let one = patient("one").await;
    let inbound = Config::default().inbound(PORT, Protocol::Http, MtlsMode::Strict);
    let server = proxy(inbound)
        .account("server")
        .app(one.app.address)
        .start();
    let app = service("app", 80, Protocol::Http)
        .mesh(server.served(), "server")
        .policy(checking(check(http())));
    let client = proxy(Config::default().service(app))
        .account("client")
        .start();
    answers_become(&client, &["one"]).await;
    until(|| one.checks.load(Ordering::Relaxed) > 2).await;
    one.well.store(false, Ordering::Relaxed);
    until(|| {
        client
            .telemetry
            .metrics()
            .contains("mesh_health_check_down 1")
    })
    .await;
}
