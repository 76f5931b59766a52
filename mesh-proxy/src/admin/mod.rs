//! The admin endpoint: what the proxy runs, and a few commands. Over a Unix socket or loopback
//! TCP only, because it has no authentication; see [`HELP`].

mod commands;
mod dump;
mod guard;
mod listen;
mod metrics;

use std::sync::Arc;

use axum::Router;
use axum::middleware;
use axum::routing::{get, post};
use tokio_util::sync::CancellationToken;

use crate::control::{Status, Store};
use crate::drain::DrainSignal;
use crate::identity::{IdentityHandle, RotateHandle};
use crate::readiness::Readiness;
use crate::settings::Settings;
use crate::telemetry::{LogLevel, Telemetry};

pub use listen::{AdminError, AdminListeners};

/// All paths.
pub const HELP: &str = "\
GET  /help              this list
GET  /v1/status         what the proxy is and runs (ProxySelf)
GET  /v1/edges          who called whom, with what result and how fast
POST /v1/explain        what would happen to a request, and why (ExplainRequest); ?direction=inbound for calls to the workload
POST /v1/rotate         renew the certificate now
GET  /config_dump       the configuration in force
GET  /certs             the certificate and the roots
GET  /stats/prometheus  metrics
GET  /metrics           the same
GET  /healthz/ready     200 if the proxy serves, 503 with the reason otherwise
GET  /ready             the same
POST /logging?level=L   change the log level, for example debug or info,mesh_proxy=trace
POST /drain             tell callers to go elsewhere, go on serving those who come
POST /quitquitquit      drain and end
";

/// What the admin endpoint shows and steers.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(crate) settings: Arc<Settings>,
    pub(crate) store: Store,
    pub(crate) identity: IdentityHandle,
    pub(crate) telemetry: Telemetry,
    pub(crate) readiness: Readiness,
    pub(crate) control: Status,
    pub(crate) rotate: RotateHandle,
    pub(crate) drain: DrainSignal,
    pub(crate) quit: CancellationToken,
    pub(crate) log_level: Option<LogLevel>,
}

/// Everything.
pub(crate) fn router(admin: Admin) -> Router {
    Router::new()
        .route("/", get(help))
        .route("/help", get(help))
        .route("/v1/status", get(dump::status))
        .route("/v1/edges", get(dump::edges))
        .route("/v1/explain", post(dump::explain))
        .route("/v1/rotate", post(commands::rotate))
        .route("/config_dump", get(dump::configuration))
        .route("/certs", get(dump::certificates))
        .route("/logging", post(commands::logging))
        .route("/drain", post(commands::drain))
        .route("/quitquitquit", post(commands::quit))
        .merge(metrics::routes())
        .layer(middleware::from_fn(guard::refuse_browsers))
        .with_state(admin)
}

/// Metrics and readiness only: for an address that others can reach.
pub(crate) fn metrics_router(admin: Admin) -> Router {
    metrics::routes().with_state(admin)
}

async fn help() -> &'static str {
    HELP
}

#[cfg(test)]
mod tests;
