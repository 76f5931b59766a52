//! The operator's HTTP interface.

mod authority;
mod coverage;
mod listener;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use mesh_api::v1::{ControlPlaneStatus, ProblemList, ProxyList};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub(crate) use listener::AdminListener;

use crate::identity::Desk;
use crate::kubernetes::{ClusterError, ClusterHandle};
use crate::logging::LogControl;
use crate::metrics::{CONTENT_TYPE, Metrics};
use crate::publish::Published;
use crate::registry::Registry;
use crate::source::LookHandle;

/// Longest that `/v1/wait` waits.
const LONGEST_WAIT: u64 = 600;

/// What the interface shows.
#[derive(Debug)]
pub(crate) struct Admin {
    pub(crate) published: watch::Receiver<Arc<Published>>,
    pub(crate) registry: Registry,
    pub(crate) metrics: Metrics,
    pub(crate) look: Option<LookHandle>,
    pub(crate) cluster: Option<ClusterHandle>,
    pub(crate) log: Option<LogControl>,
    pub(crate) authority: Option<Desk>,
    pub(crate) shutdown: CancellationToken,
}

#[derive(Debug, Deserialize)]
struct WaitQuery {
    revision: Option<u64>,
    timeout: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct LogQuery {
    level: String,
}

type Shared = State<Arc<Admin>>;

/// The interface as a service.
pub(crate) fn router(admin: &Arc<Admin>) -> Router {
    probes()
        .route("/", get(index))
        .route("/v1/status", get(status))
        .route("/v1/proxies", get(proxies))
        .route("/v1/problems", get(problems))
        .route("/v1/services", get(services))
        .route("/v1/coverage", get(coverage::coverage))
        .route("/v1/wait", get(wait))
        .route("/debug/world", get(world))
        .route("/log", post(log))
        .merge(authority::routes())
        .with_state(Arc::clone(admin))
}

/// Metrics and probes only: for listeners that others than the operator reach.
pub(crate) fn monitoring(admin: &Arc<Admin>) -> Router {
    probes()
        .route("/", get(monitoring_index))
        .with_state(Arc::clone(admin))
}

fn probes() -> Router<Arc<Admin>> {
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
}

async fn monitoring_index() -> &'static str {
    "meshd\n\
     GET  /metrics          OpenMetrics\n\
     GET  /healthz /readyz  probes\n"
}

async fn index() -> &'static str {
    "meshd\n\
     GET  /v1/status                       the control plane at a glance\n\
     GET  /v1/proxies                      who is connected, and what they run\n\
     GET  /v1/problems                     what is wrong with the configuration\n\
     GET  /v1/services                     services and what is behind them\n\
     GET  /v1/coverage?namespace=N&workload=W&from=S&unprotected=true  which policy decides about whom\n\
     GET  /v1/wait?revision=N&timeout=S    the status, once every live proxy runs N (newest by default)\n\
     GET  /metrics                         OpenMetrics\n\
     GET  /healthz /readyz                 probes\n\
     GET  /debug/world                     everything in force\n\
     GET  /v1/ca                           the authority, and who holds a rotation up\n\
     POST /v1/ca/rotate, /v1/ca/abort      another root; back to the one before\n\
     POST /v1/ca/forget?name=NAME          wait no longer for who will not come back\n\
     POST /v1/ca/revoke?serial=HEX         put a certificate on the revocation list\n\
     POST /log?level=FILTER                what to log, for example debug or meshd=trace\n"
}

async fn status(State(admin): Shared) -> Json<ControlPlaneStatus> {
    Json(admin.status())
}

async fn proxies(State(admin): Shared) -> Json<ProxyList> {
    Json(admin.registry.list())
}

async fn problems(State(admin): Shared) -> Json<ProblemList> {
    Json(ProblemList {
        problems: admin.published.borrow().problems.clone(),
    })
}

/// Whether proxies may come, and if not, a line for each reason.
async fn ready(State(admin): Shared) -> Response {
    let reasons = match (admin.shutdown.is_cancelled(), &admin.cluster) {
        (true, _) => vec!["stopping".to_owned()],
        (false, Some(cluster)) => cluster.missing(),
        (false, None) => Vec::new(),
    };
    match reasons.is_empty() {
        true => "ok\n".into_response(),
        false => {
            let text = reasons.join("\n") + "\n";
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

/// Answers once every live proxy runs the revision, or with 504 when the time is over. Without a
/// revision: the one with every change of a file, and of an object of the API server, made
/// before the call. With 503 if the API server cannot be asked.
async fn wait(State(admin): Shared, Query(query): Query<WaitQuery>) -> Response {
    let limit = Duration::from_secs(query.timeout.unwrap_or(30).min(LONGEST_WAIT));
    let arrival = async {
        let revision = match query.revision {
            Some(revision) => revision,
            None => {
                if let Some(look) = &admin.look {
                    look.catch_up().await;
                }
                if let Some(cluster) = &admin.cluster {
                    cluster.catch_up().await?;
                }
                admin.published.borrow().revision
            }
        };
        admin.reached(revision).await;
        Ok::<(), ClusterError>(())
    };
    let reached = tokio::select! {
        reached = timeout(limit, arrival) => reached,
        () = admin.shutdown.cancelled() => {
            return (StatusCode::GATEWAY_TIMEOUT, Json(admin.status())).into_response();
        }
    };
    match reached {
        Ok(Ok(())) => Json(admin.status()).into_response(),
        Ok(Err(error)) => (StatusCode::SERVICE_UNAVAILABLE, format!("{error}\n")).into_response(),
        Err(_) => (StatusCode::GATEWAY_TIMEOUT, Json(admin.status())).into_response(),
    }
}

async fn services(State(admin): Shared) -> Json<Value> {
    let world = admin.published.borrow().world.clone();
    let services: Vec<Value> = world
        .services()
        .map(|service| {
            json!({
                "hostname": service.hostname,
                "namespace": service.namespace,
                "addresses": service.addresses,
                "ports": service.ports,
                "external": service.external,
                "workloads": service.workloads,
                "origin": service.origin,
            })
        })
        .collect();
    Json(json!({ "services": services }))
}

async fn world(State(admin): Shared) -> Json<Value> {
    let published = admin.published.borrow().clone();
    let workloads: Vec<Value> = published
        .world
        .workloads()
        .map(|workload| {
            json!({
                "uid": workload.uid,
                "name": workload.name,
                "namespace": workload.namespace,
                "service_account": workload.service_account,
                "identity": workload.identity,
                "labels": workload.labels,
                "address": workload.address,
                "healthy": workload.healthy,
                "services": workload.services,
                "origin": workload.origin,
            })
        })
        .collect();
    let settings = published.world.settings();
    let Json(services) = services(State(admin)).await;
    Json(json!({
        "revision": published.revision,
        "digest": published.digest,
        "trust_domain": settings.trust_domain.as_str(),
        "root_namespace": settings.root_namespace,
        "cluster_domain": settings.cluster_domain,
        "outbound_policy": settings.outbound_policy.as_str_name(),
        "services": services.get("services"),
        "workloads": workloads,
        "problems": published.problems,
    }))
}

async fn metrics(State(admin): Shared) -> Response {
    match admin.metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

async fn log(State(admin): Shared, headers: HeaderMap, Query(query): Query<LogQuery>) -> Response {
    // A page in the operator's browser must not turn the knobs of what listens on localhost.
    if headers.contains_key(header::ORIGIN) {
        return (StatusCode::FORBIDDEN, "not from a web page\n").into_response();
    }
    let Some(control) = &admin.log else {
        return (
            StatusCode::NOT_IMPLEMENTED,
            "this program does not let its log be changed\n",
        )
            .into_response();
    };
    match control.set(&query.level) {
        Ok(()) => format!("logging {}\n", query.level).into_response(),
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

// === impl Admin ===

impl Admin {
    fn status(&self) -> ControlPlaneStatus {
        let published = self.published.borrow().clone();
        self.registry.status(&published)
    }

    /// Waits until the revision is published and every live proxy runs it.
    async fn reached(&self, revision: u64) {
        let mut published = self.published.clone();
        let mut proxies = self.registry.watch();
        loop {
            let newest = published.borrow_and_update().revision;
            proxies.borrow_and_update();
            let (connected, current) = self.registry.count(revision);
            if newest >= revision && connected == current {
                return;
            }
            let changed = tokio::select! {
                changed = published.changed() => changed,
                changed = proxies.changed() => changed,
            };
            if changed.is_err() {
                // The control plane stops; whoever waits is told by its token.
                return std::future::pending().await;
            }
        }
    }
}
