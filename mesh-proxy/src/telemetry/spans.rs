//! Spans of what is recorded in a trace, and their way to a collector: of requests, and of
//! connections of opaque bytes that a policy decided about.
//!
//! A worker appends a span to a queue when its request or connection has ended. The control thread
//! sends what is there once a second, as OTLP over HTTP. A collector that is slow or away costs
//! spans, which are counted, and never a request.

mod otlp;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use mesh_proxy_core::ir::TraceCollector;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::Notify;

use super::lock;
use crate::net::{ConnectError, Dialer, connect, lookup};
use crate::settings::{Settings, TraceEndpoint};

pub(super) use otlp::Span;

/// What may wait for the collector: some seconds of heavy traffic.
const LONGEST_QUEUE: usize = 8_192;
/// Spans in one message.
const BATCH: usize = 512;
const PERIOD: Duration = Duration::from_secs(1);
const CONNECT: Duration = Duration::from_secs(2);
const ANSWER: Duration = Duration::from_secs(5);
const LAST_CALL: Duration = Duration::from_secs(2);

/// Where workers leave spans.
#[derive(Clone)]
pub(super) struct SpanQueue {
    spans: Arc<Mutex<Vec<Queued>>>,
    filled: Arc<Notify>,
    dropped: Counter,
}

/// A span, and the collector that a Telemetry names for it.
type Queued = (Span, Option<Arc<TraceCollector>>);

/// Takes spans to the collector. Runs on the control thread.
pub struct SpanExporter {
    queue: SpanQueue,
    /// Where spans go for which no Telemetry names a collector.
    endpoint: Option<TraceEndpoint>,
    resource: otlp::Resource,
    dialer: Dialer,
    exported: Counter,
    failing: HashSet<TraceEndpoint>,
}

/// Why spans did not arrive.
#[derive(Debug, thiserror::Error)]
enum ExportError {
    #[error("cannot look up {host}: {source}")]
    Lookup {
        host: String,
        source: std::io::Error,
    },
    #[error("{0} has no address")]
    NoAddress(String),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("no answer: {0}")]
    Http(#[from] hyper::Error),
    #[error("cannot ask: {0}")]
    Request(#[from] http::Error),
    #[error("no answer within {ANSWER:?}")]
    Timeout,
    #[error("the collector answered {0}")]
    Refused(StatusCode),
}

// === impl SpanQueue ===

impl SpanQueue {
    pub(super) fn new(dropped: Counter) -> Self {
        Self {
            spans: Arc::default(),
            filled: Arc::default(),
            dropped,
        }
    }

    /// Keeps a span until it is sent.
    pub(super) fn push(&self, span: Span, collector: Option<&Arc<TraceCollector>>) {
        let mut spans = lock(&self.spans);
        if spans.is_empty() {
            self.filled.notify_one();
        }
        if spans.len() < LONGEST_QUEUE {
            spans.push((span, collector.cloned()));
        } else {
            drop(spans);
            self.dropped.inc();
        }
    }

    fn take(&self) -> Vec<Queued> {
        std::mem::take(&mut *lock(&self.spans))
    }
}

// === impl SpanExporter ===

impl SpanExporter {
    pub(super) fn new(queue: SpanQueue, settings: &Settings, exported: Counter) -> Self {
        let tracing = settings.tracing.as_ref();
        Self {
            queue,
            endpoint: tracing.map(|tracing| tracing.endpoint.clone()),
            resource: otlp::Resource::of(settings),
            dialer: Dialer {
                mark: settings.own_mark,
                source: None,
            },
            exported,
            failing: HashSet::new(),
        }
    }

    /// Sends what is there, once a second at most. Drop it to stop.
    pub async fn run(&mut self) {
        loop {
            self.queue.filled.notified().await;
            tokio::time::sleep(PERIOD).await;
            self.send().await;
        }
    }

    /// Sends the last spans, for two seconds at most.
    pub async fn finish(mut self) {
        if tokio::time::timeout(LAST_CALL, self.send()).await.is_err() {
            tracing::debug!("the last spans did not reach the collector in time");
        }
    }

    async fn send(&mut self) {
        let mut by_collector: HashMap<_, Vec<Span>> = HashMap::new();
        for (span, collector) in self.queue.take() {
            by_collector.entry(collector).or_default().push(span);
        }
        for (collector, spans) in by_collector {
            let endpoint = match &collector {
                Some(named) => Some(TraceEndpoint::from(&**named)),
                None => self.endpoint.clone(),
            };
            match endpoint {
                Some(endpoint) => self.send_to(&endpoint, &spans).await,
                None => {
                    self.queue.dropped.inc_by(spans.len() as u64);
                }
            }
        }
    }

    async fn send_to(&mut self, endpoint: &TraceEndpoint, spans: &[Span]) {
        for batch in spans.chunks(BATCH) {
            match self.export(endpoint, batch).await {
                Ok(()) => {
                    self.exported.inc_by(batch.len() as u64);
                    if self.failing.remove(endpoint) {
                        tracing::info!(collector = %endpoint, "spans arrive again");
                    }
                }
                Err(error) => {
                    // They are not kept: newer ones tell more.
                    self.queue.dropped.inc_by(batch.len() as u64);
                    if self.failing.insert(endpoint.clone()) {
                        tracing::warn!(collector = %endpoint, %error, "spans do not arrive");
                    }
                }
            }
        }
    }

    async fn export(&self, endpoint: &TraceEndpoint, spans: &[Span]) -> Result<(), ExportError> {
        let body = otlp::message(&self.resource, spans);
        let exchange = self.exchange(endpoint, Bytes::from(body));
        let status = tokio::time::timeout(ANSWER, exchange)
            .await
            .map_err(|_| ExportError::Timeout)??;
        if status.is_success() {
            Ok(())
        } else {
            Err(ExportError::Refused(status))
        }
    }

    async fn exchange(
        &self,
        endpoint: &TraceEndpoint,
        body: Bytes,
    ) -> Result<StatusCode, ExportError> {
        let TraceEndpoint { host, port, path } = endpoint;
        let addresses = lookup(host, *port)
            .await
            .map_err(|source| ExportError::Lookup {
                host: host.clone(),
                source,
            })?;
        let address = addresses
            .first()
            .ok_or_else(|| ExportError::NoAddress(host.clone()))?;
        let stream = connect(*address, CONNECT, self.dialer).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(HOST, format!("{host}:{port}"))
            .header(CONTENT_TYPE, "application/json")
            .header(CONTENT_LENGTH, body.len())
            .body(Full::new(body))?;
        let answer = async {
            let response = sender.send_request(request).await?;
            let status = response.status();
            // Read, so that the connection ends well; what it says is of no use.
            let _ = Limited::new(response.into_body(), 64 * 1024)
                .collect()
                .await;
            Ok(status)
        };
        tokio::pin!(answer, connection);
        tokio::select! {
            answer = &mut answer => answer,
            _ = &mut connection => answer.await,
        }
    }
}
