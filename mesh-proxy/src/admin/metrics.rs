//! Metrics and readiness.

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;

use super::Admin;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

pub(super) fn routes() -> Router<Admin> {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/stats/prometheus", get(metrics))
        .route("/ready", get(ready))
        .route("/healthz/ready", get(ready))
}

async fn metrics(State(admin): State<Admin>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, OPEN_METRICS)],
        admin.telemetry.metrics(),
    )
}

async fn ready(State(admin): State<Admin>) -> (StatusCode, String) {
    admin.readiness.report()
}
