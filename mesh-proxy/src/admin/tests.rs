use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use mesh_proxy_core::Snapshot;
use serde_json::Value;
use tower::ServiceExt;

use super::*;
use crate::drain;
use crate::hand_over::Sockets;
use crate::testing::{DEADLINE, Kept, Plane, inbound, mesh, response};

struct Running {
    admin: Admin,
    _kept: Kept,
    _plane: Plane,
}

impl Running {
    fn start() -> Self {
        let plane = Plane::start();
        let snapshot = Snapshot::empty().apply(&response(
            3,
            vec![mesh(vec![plane.root.der.to_vec()], "1"), inbound()],
        ));
        let kept = Kept::start(&plane, snapshot.snapshot);
        let (drain, listener) = drain::channel();
        let (store, identity) = (kept.store.clone(), kept.identity.clone());
        let admin = Admin {
            readiness: Readiness::new(&kept.settings, store.clone(), identity.clone(), listener),
            settings: Arc::clone(&kept.settings),
            store,
            identity,
            telemetry: kept.telemetry.clone(),
            control: kept.status.clone(),
            rotate: kept.rotate.clone(),
            drain,
            quit: CancellationToken::new(),
            log_level: None,
        };
        Self {
            admin,
            _kept: kept,
            _plane: plane,
        }
    }

    async fn call(&self, method: &str, path: &str, body: &str) -> (StatusCode, String) {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "localhost");
        let request = request
            .header("content-type", "application/json")
            .body(Body::from(body.to_owned()))
            .unwrap();
        let response = router(self.admin.clone()).oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn json(&self, path: &str) -> Value {
        let (status, body) = self.call("GET", path, "").await;
        assert_eq!(status, StatusCode::OK, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }
}

#[tokio::test]
async fn shows_what_it_runs() {
    let running = Running::start();
    tokio::time::timeout(DEADLINE, running.admin.identity.wait())
        .await
        .unwrap()
        .unwrap();
    let status = running.json("/v1/status").await;
    assert_eq!(status["workload"], "default/reviews-v1");
    assert_eq!(status["kind"], "PROXY_KIND_SIDECAR");
    assert_eq!(status["identity"], crate::testing::REVIEWS);
    assert_eq!(status["revision"], "3");
    assert_eq!(status["ready"], true);

    let dump = running.json("/config_dump").await;
    assert_eq!(dump["resources"].as_array().unwrap().len(), 2);
    let certificates = running.json("/certs").await;
    assert_eq!(certificates["identity"], crate::testing::REVIEWS);
    assert!(
        certificates["chain"][0]["pem"]
            .as_str()
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE-----\n")
    );
    assert_eq!(certificates["roots"].as_array().unwrap().len(), 1);
    assert!(!certificates.to_string().contains("PRIVATE"));
    assert_eq!(running.json("/v1/edges").await, Value::Array(vec![]));
    for path in ["/metrics", "/stats/prometheus"] {
        let (status, body) = running.call("GET", path, "").await;
        assert!(
            status.is_success() && body.contains("mesh_discovery_revision"),
            "{body}"
        );
    }
}

#[tokio::test]
async fn help_lists_every_path() {
    let running = Running::start();
    let (_, help) = running.call("GET", "/help", "").await;
    for line in help.lines() {
        let mut words = line.split_whitespace();
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        let path = path.split('?').next().unwrap();
        let (status, _) = running
            .call(if method == "GET" { "OPTIONS" } else { "GET" }, path, "")
            .await;
        assert_eq!(status, StatusCode::METHOD_NOT_ALLOWED, "{line}");
    }
}

#[tokio::test]
async fn readiness_follows_certificate_and_drain() {
    let running = Running::start();
    tokio::time::timeout(DEADLINE, running.admin.readiness.wait())
        .await
        .unwrap();
    for path in ["/ready", "/healthz/ready"] {
        assert_eq!(running.call("GET", path, "").await.0, StatusCode::OK);
    }
    let (status, body) = running.call("POST", "/drain", "").await;
    assert!(
        status.is_success() && body.starts_with("draining"),
        "{body}"
    );
    let (status, body) = running.call("GET", "/ready", "").await;
    assert_eq!(
        (status, body.as_str()),
        (StatusCode::SERVICE_UNAVAILABLE, "not ready: draining\n")
    );
}

#[tokio::test]
async fn commands() {
    let running = Running::start();
    let first = tokio::time::timeout(DEADLINE, running.admin.identity.wait())
        .await
        .unwrap()
        .unwrap();
    let (status, body) = running.call("POST", "/v1/rotate", "").await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_ne!(
        running.admin.identity.current().unwrap().serial(),
        first.serial()
    );
    assert_eq!(
        running.call("POST", "/logging?level=debug", "").await.0,
        StatusCode::NOT_IMPLEMENTED
    );
    assert!(
        running
            .call("POST", "/quitquitquit", "")
            .await
            .0
            .is_success()
    );
    assert!(running.admin.quit.is_cancelled());
}

#[tokio::test]
async fn web_pages_are_refused() {
    let running = Running::start();
    for (header, value) in [("origin", "http://evil.example"), ("host", "evil.example")] {
        let request = Request::builder()
            .uri("/v1/status")
            .header(header, value)
            .body(Body::empty())
            .unwrap();
        let response = router(running.admin.clone())
            .oneshot(request)
            .await
            .unwrap();
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{header}");
    }
}

#[tokio::test]
async fn unix_sockets_are_private_and_replaced() {
    use std::os::unix::fs::PermissionsExt;
    let plane = Plane::start();
    let path = plane.directory.path().join("admin.sock");
    let settings = Settings {
        admin_socket: Some(path.clone()),
        ..plane.settings()
    };
    let first = AdminListeners::bind(&settings, &Sockets::default()).unwrap();
    assert_eq!(
        std::fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert!(
        AdminListeners::bind(&settings, &Sockets::default()).is_err(),
        "another process answers there"
    );
    drop(first);
    AdminListeners::bind(&settings, &Sockets::default()).unwrap();
}
