//! What the kubelet and Prometheus ask a pod's proxy (Istio: the status server of its agent,
//! 15020, and readiness alone, 15021).
//!
//! | path | |
//! |---|---|
//! | `GET /stats/prometheus`, `/metrics` | the proxy's metrics and the application's |
//! | `GET /app-health/<container>/{livez,readyz,startupz}` | a probe, made in the kubelet's place |
//! | `GET /app-lifecycle/<container>/{prestopz,poststartz}` | a hook, likewise |
//! | `GET /healthz/ready` | 200 if the proxy serves |
//! | `POST /drain`, `POST /quitquitquit` | from the pod itself only |
//!
//! The kubelet cannot probe a workload that takes nothing but mutual TLS, so its probes are
//! rewritten to come here (`sidecar.istio.io/rewriteAppHTTPProbers`).

mod call;
mod exposition;
mod grpc_probe;
mod http_probe;
mod listen;
mod metrics;
mod probe;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::drain::DrainSignal;
use crate::readiness::Readiness;
use crate::settings::Settings;
use crate::telemetry::Telemetry;
use crate::tls::Originator;

pub use listen::{StatusError, StatusListeners};

pub(crate) use call::{Call, exchange, host_field};
pub(crate) use grpc_probe::{frame as health_question, verdict as health_answer};
pub(crate) use metrics::Scraper;

/// What the status server shows and steers.
#[derive(Clone)]
pub(crate) struct PodStatus {
    pub(crate) settings: Arc<Settings>,
    /// The port of the status server: the kubelet names it in its probes.
    pub(crate) own_port: Option<u16>,
    pub(crate) telemetry: Telemetry,
    pub(crate) readiness: Readiness,
    pub(crate) drain: DrainSignal,
    pub(crate) quit: CancellationToken,
    pub(crate) scraper: Arc<Scraper>,
    pub(crate) originator: Arc<Originator>,
}

fn router(status: PodStatus) -> Router {
    Router::new()
        .route("/stats/prometheus", get(metrics::merged))
        .route("/metrics", get(metrics::merged))
        .route("/healthz/ready", get(ready))
        .route("/app-health/{*probe}", get(probe::make))
        .route("/app-lifecycle/{*probe}", get(probe::make))
        .route("/drain", post(drain))
        .route("/quitquitquit", post(quit))
        .with_state(status)
}

/// Readiness alone.
fn readiness_router(status: PodStatus) -> Router {
    Router::new()
        .route("/healthz/ready", get(ready))
        .with_state(status)
}

async fn ready(State(status): State<PodStatus>) -> (StatusCode, String) {
    status.readiness.report()
}

async fn drain(
    State(status): State<PodStatus>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
) -> (StatusCode, &'static str) {
    if !is_from_here(peer) {
        return FORBIDDEN;
    }
    info!("told to drain");
    status.drain.start();
    (StatusCode::OK, "draining\n")
}

async fn quit(
    State(status): State<PodStatus>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
) -> (StatusCode, &'static str) {
    if !is_from_here(peer) {
        return FORBIDDEN;
    }
    info!("told to end");
    status.quit.cancel();
    (StatusCode::OK, "ending\n")
}

const FORBIDDEN: (StatusCode, &str) = (
    StatusCode::FORBIDDEN,
    "only the pod itself may ask for it, at 127.0.0.1\n",
);

fn is_from_here(peer: SocketAddr) -> bool {
    peer.ip().to_canonical().is_loopback()
}

#[cfg(test)]
mod tests;
