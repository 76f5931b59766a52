//! A worker's way to record.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use mesh_proxy_core::labels::{ConnectionLabels, PeerLabels, RequestLabels, ServiceLabels};

use super::access_log;
use super::histogram::bump;
use super::log_writer::LogProducer;
use super::record::{RequestRecord, TcpRecord};
use super::series::{Index, RequestSeries, Shard, TcpSeries};
use super::spans::{Span, SpanQueue};

/// Records for one worker: not shared between threads, never blocks on another.
pub struct Recorder {
    shard: Arc<Shard>,
    log: Option<LogProducer>,
    spans: Option<SpanQueue>,
    state: RefCell<State>,
}

/// Counters of a connection that is still open, so that long connections show their bytes
/// before they end. Give back to [`Recorder::record_tcp`] at the end.
#[must_use = "the connection is counted as closed by Recorder::record_tcp"]
pub struct TcpCounters {
    series: Arc<TcpSeries>,
    received: u64,
    sent: u64,
}

#[derive(Default)]
struct State {
    requests: Index<RequestSeries>,
    tcp: Index<TcpSeries>,
    peers: Digests<PeerLabels>,
    services: Digests<ServiceLabels>,
}

// Digests of label sets by address. Each entry holds its `Arc`, so that the address stays its.
struct Digests<T> {
    known: HashMap<usize, (Arc<T>, u64)>,
}

const MOST_DIGESTS: usize = 4_096;

// === impl Recorder ===

impl Recorder {
    pub(super) fn new(
        shard: Arc<Shard>,
        log: Option<LogProducer>,
        spans: Option<SpanQueue>,
    ) -> Self {
        Self {
            shard,
            log,
            spans,
            state: RefCell::default(),
        }
    }

    /// Records a request: metrics, edge and access log.
    pub fn record_request(&self, record: &RequestRecord<'_>) {
        let series = self.request_series(record.labels);
        bump(&series.total, 1);
        series
            .duration
            .observe(record.flow.duration.as_secs_f64() * 1_000.0);
        series
            .request_bytes
            .observe(bytes(record.flow.bytes_received));
        series.response_bytes.observe(bytes(record.flow.bytes_sent));
        series.latency.observe(record.flow.duration);
        if let Some(log) = &self.log {
            log.write(|line, format| access_log::request(line, format, record));
        }
        if let (Some(spans), Some(context)) = (&self.spans, &record.span)
            && context.sampled
        {
            spans.push(Span::of_request(context, record));
        }
    }

    /// Records that a connection was opened.
    pub fn tcp_opened(&self, labels: &ConnectionLabels) -> TcpCounters {
        let series = self.tcp_series(labels);
        bump(&series.opened, 1);
        TcpCounters {
            series,
            received: 0,
            sent: 0,
        }
    }

    /// Records that a connection has ended: what was not counted yet, the access log and its span,
    /// if it has one. The flags of the end may differ from those of the beginning.
    pub fn record_tcp(&self, counters: TcpCounters, record: &TcpRecord<'_>) {
        let mut counters = counters;
        counters.progress(record.flow.bytes_received, record.flow.bytes_sent);
        bump(&self.tcp_series(record.labels).closed, 1);
        if let Some(log) = &self.log {
            log.write(|line, format| access_log::tcp(line, format, record));
        }
        if let (Some(spans), Some(context)) = (&self.spans, &record.span) {
            spans.push(Span::of_connection(context, record));
        }
    }

    fn request_series(&self, labels: &RequestLabels) -> Arc<RequestSeries> {
        let mut state = self.state.borrow_mut();
        let digest = state.digest(
            &labels.connection,
            (labels.response_code, labels.grpc_status),
        );
        self.shard.requests(&mut state.requests, digest, labels)
    }

    fn tcp_series(&self, labels: &ConnectionLabels) -> Arc<TcpSeries> {
        let mut state = self.state.borrow_mut();
        let digest = state.digest(labels, ());
        self.shard.tcp(&mut state.tcp, digest, labels)
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a sum of bytes need not be exact beyond 2^53"
)]
fn bytes(count: u64) -> f64 {
    count as f64
}

// === impl TcpCounters ===

impl TcpCounters {
    /// Sets the bytes since the connection was opened. Call it now and then while it runs, on
    /// the worker that opened it.
    pub fn progress(&mut self, received: u64, sent: u64) {
        bump(
            &self.series.received,
            received.saturating_sub(self.received),
        );
        bump(&self.series.sent, sent.saturating_sub(self.sent));
        self.received = received;
        self.sent = sent;
    }
}

// === impl State ===

impl State {
    fn digest(&mut self, labels: &ConnectionLabels, rest: impl Hash) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.peers.of(&labels.source).hash(&mut hasher);
        self.peers.of(&labels.destination).hash(&mut hasher);
        self.services.of(&labels.service).hash(&mut hasher);
        (
            labels.reporter,
            labels.protocol,
            labels.flags,
            labels.security,
            rest,
        )
            .hash(&mut hasher);
        hasher.finish()
    }
}

// === impl Digests ===

impl<T> Default for Digests<T> {
    fn default() -> Self {
        Self {
            known: HashMap::new(),
        }
    }
}

impl<T: Hash> Digests<T> {
    fn of(&mut self, labels: &Arc<T>) -> u64 {
        let address = Arc::as_ptr(labels).addr();
        if let Some((_, digest)) = self.known.get(&address) {
            return *digest;
        }
        let mut hasher = DefaultHasher::new();
        labels.hash(&mut hasher);
        let digest = hasher.finish();
        if self.known.len() >= MOST_DIGESTS {
            self.known.clear();
        }
        self.known.insert(address, (Arc::clone(labels), digest));
        digest
    }
}
