//! The HTTPS server.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::Listener;
use futures_util::StreamExt as _;
use mesh_ca::listen::BoundAddress;
use mesh_ca::tls::{Incoming, TlsConnection};
use tokio::time::timeout;

use super::injection::Injector;
use super::metrics::WebhookMetrics;
use super::review::{self, Verdict};
use super::validation;

/// Kubernetes stores up to 1.5 MiB and allows requests twice of it; an update holds two objects.
const LARGEST_BODY: usize = 6 * 1024 * 1024;
/// As long as the API server waits at most by default.
const LONGEST: Duration = Duration::from_secs(10);

/// What the handlers need.
#[derive(Clone)]
pub(super) struct Webhooks {
    pub(super) injector: Injector,
    pub(super) metrics: Arc<WebhookMetrics>,
}

/// Serves until `stop`, and then what is under way.
pub(super) async fn serve(
    incoming: Incoming,
    address: BoundAddress,
    webhooks: Webhooks,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let listener = TlsListener { incoming, address };
    let serving = axum::serve(listener, router(webhooks)).with_graceful_shutdown(stop);
    if let Err(error) = serving.await {
        tracing::error!(%error, "the webhooks are not served any more");
    }
}

pub(super) fn router(webhooks: Webhooks) -> Router {
    Router::new()
        .route("/inject", post(inject))
        .route("/inject/{*path}", post(inject))
        .route("/validate", post(validate))
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(from_fn(in_time))
        .with_state(webhooks)
}

async fn inject(
    State(webhooks): State<Webhooks>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    answer(&headers, &body, |request| {
        let (verdict, counted) = webhooks.injector.review(request, uri.path());
        webhooks.metrics.count_injection(counted);
        verdict
    })
}

async fn validate(State(webhooks): State<Webhooks>, headers: HeaderMap, body: Bytes) -> Response {
    answer(&headers, &body, |request| {
        let verdict = validation::review(request, &webhooks.injector.published().world);
        webhooks.metrics.count_validation(verdict.refusal.is_none());
        verdict
    })
}

fn answer(
    headers: &HeaderMap,
    body: &[u8],
    decide: impl FnOnce(&review::Request) -> Verdict,
) -> Response {
    let is_json = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.split(';').next() == Some("application/json"));
    if !is_json {
        let text = "send application/json\n";
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response();
    }
    let request = match review::read(body) {
        Ok(request) => request,
        Err(error) => return (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    };
    match review::write(&request.uid, &decide(&request)) {
        Ok(answer) => ([(header::CONTENT_TYPE, "application/json")], answer).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")).into_response(),
    }
}

/// A body that does not come must not hold a task for ever.
async fn in_time(request: Request, next: Next) -> Response {
    match timeout(LONGEST, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the request took too long\n").into_response(),
    }
}

/// Lets axum serve on connections whose handshake is done.
struct TlsListener {
    incoming: Incoming,
    address: BoundAddress,
}

// === impl TlsListener ===

impl Listener for TlsListener {
    type Io = TlsConnection;
    type Addr = BoundAddress;

    async fn accept(&mut self) -> (TlsConnection, BoundAddress) {
        loop {
            if let Some(Ok(connection)) = self.incoming.next().await {
                return (connection, self.address.clone());
            }
        }
    }

    fn local_addr(&self) -> io::Result<BoundAddress> {
        Ok(self.address.clone())
    }
}
