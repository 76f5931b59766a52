//! The proxy's metrics and the application's in one answer (Istio: enablePrometheusMerge).

use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use http::Method;
use http::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;

use super::PodStatus;
use super::call::{self, Call, CallError, LOOPBACK, application};
use super::exposition::{self, Format, Scraped};
use crate::net::Dialer;
use crate::settings::AppMetrics;

/// Bounds scrapes of the application, and counts those that failed.
pub(crate) struct Scraper {
    permits: Semaphore,
    failures: Counter,
}

const SCRAPE_TIMEOUT: HeaderName = HeaderName::from_static("x-prometheus-scrape-timeout-seconds");
const LONGEST: usize = 10 * 1024 * 1024;
// Each may hold an answer of the longest size.
const MOST_SCRAPES: usize = 4;
const TIMEOUT: Duration = Duration::from_secs(5);
const SHORTEST_TIMEOUT: f64 = 0.1;
const LONGEST_TIMEOUT: f64 = 60.0;
// Of the scraper's time; the rest is for the proxy's own metrics.
const SHARE: f64 = 0.8;
const TROUBLE: &str = "application metrics";

// === impl Scraper ===

impl Scraper {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let failures = Counter::default();
        registry.register(
            "mesh_app_scrape_failures",
            "Scrapes of the application's metrics that failed",
            failures.clone(),
        );
        Self {
            permits: Semaphore::new(MOST_SCRAPES),
            failures,
        }
    }
}

/// The metrics of both. If the application does not give its own, the proxy's are served alone.
pub(super) async fn merged(State(status): State<PodStatus>, headers: HeaderMap) -> Response {
    let accepts = Format::accepted(headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()));
    let scraped = match &status.settings.pod.app_metrics {
        None => None,
        Some(metrics) => scrape(&status, metrics, &headers, accepts).await,
    };
    let (format, body) = exposition::merge(&status.telemetry.metrics(), scraped, accepts);
    let kind = HeaderValue::from_static(format.content_type());
    (StatusCode::OK, [(CONTENT_TYPE, kind)], body).into_response()
}

async fn scrape(
    status: &PodStatus,
    metrics: &AppMetrics,
    headers: &HeaderMap,
    accepts: Format,
) -> Option<Scraped> {
    let timeout = timeout(headers);
    let result = tokio::time::timeout(timeout, attempt(status, metrics, headers, accepts)).await;
    let troubles = &status.telemetry.troubles;
    match result.unwrap_or(Err(CallError::Timeout(timeout))) {
        Ok(scraped) => {
            troubles.over(TROUBLE);
            Some(scraped)
        }
        Err(error) => {
            status.scraper.failures.inc();
            let text = format!(
                "the application's metrics at port {}{} cannot be had: {error}",
                metrics.port, metrics.path
            );
            if troubles.note(TROUBLE, &text) {
                tracing::warn!("{text}");
            }
            None
        }
    }
}

fn timeout(headers: &HeaderMap) -> Duration {
    let asked = headers
        .get(SCRAPE_TIMEOUT)
        .and_then(|value| value.to_str().ok()?.parse::<f64>().ok())
        .filter(|seconds| seconds.is_finite());
    asked.map_or(TIMEOUT, |seconds| {
        Duration::from_secs_f64((seconds * SHARE).clamp(SHORTEST_TIMEOUT, LONGEST_TIMEOUT))
    })
}

async fn attempt(
    status: &PodStatus,
    metrics: &AppMetrics,
    asked: &HeaderMap,
    accepts: Format,
) -> Result<Scraped, CallError> {
    // Never closed.
    let _permit = status.scraper.permits.acquire().await;
    let mut headers = HeaderMap::new();
    for name in [USER_AGENT, SCRAPE_TIMEOUT] {
        if let Some(value) = asked.get(&name) {
            headers.insert(name, value.clone());
        }
    }
    headers.insert(ACCEPT, HeaderValue::from_static(accepts.accept()));
    if let Ok(host) = HeaderValue::try_from(format!("localhost:{}", metrics.port)) {
        headers.insert(HOST, host);
    }
    let call = Call {
        method: Method::GET,
        path: metrics.path.clone(),
        headers,
        limit: LONGEST,
    };
    let (parts, body) = ask(status, metrics, &call).await?;
    if parts.status != StatusCode::OK {
        return Err(CallError::Request(format!("{}", parts.status)));
    }
    let kind = parts
        .headers
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok());
    let format = Format::of_content_type(kind)
        .ok_or_else(|| CallError::Request(kind.unwrap_or_default().to_owned()))?;
    Ok(Scraped {
        format,
        text: String::from_utf8_lossy(&body).into_owned(),
    })
}

/// An application that listens on one of its addresses only is found there.
async fn ask(
    status: &PodStatus,
    metrics: &AppMetrics,
    call: &Call,
) -> Result<(http::response::Parts, bytes::Bytes), CallError> {
    let settings = &status.settings;
    let local = Dialer {
        mark: settings.own_mark,
        source: None,
    };
    let mut last = None;
    let places = LOOPBACK.map(|ip| (ip, local));
    for (ip, dialer) in places.into_iter().chain([application(settings)]) {
        let tls = metrics.tls.then_some(&*status.originator);
        match call::call((ip, metrics.port).into(), dialer, tls, call).await {
            Err(error @ CallError::Connect(_)) => last = last.or(Some(error)),
            result => return result,
        }
    }
    Err(last.unwrap_or_else(|| CallError::Request(call.path.clone())))
}
