//! A worker's way to record.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use mesh_proxy_core::expression::Expression;
use mesh_proxy_core::ir::{TelemetrySide, TraceCollector};
use mesh_proxy_core::labels::{ConnectionLabels, PeerLabels, RequestLabels, ServiceLabels};

use super::Hub;
use super::access_log;
use super::histogram::bump;
use super::log_writer::LogProducer;
use super::record::{RequestRecord, TcpRecord};
use super::rules::{Known, TagSet, Tags};
use super::series::{Index, RequestSeries, Shard, TcpSeries};
use super::spans::{Span, SpanQueue};

/// Records for one worker: not shared between threads, never blocks on another.
pub struct Recorder {
    shard: Arc<Shard>,
    hub: Arc<Hub>,
    log: Option<LogProducer>,
    // That of a proxy which was started without one, once a Telemetry object wants it.
    wanted_log: OnceCell<Option<LogProducer>>,
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
    pub(super) fn new(shard: Arc<Shard>, hub: Arc<Hub>, spans: Option<SpanQueue>) -> Self {
        Self {
            shard,
            log: hub.log.producer(),
            wanted_log: OnceCell::new(),
            hub,
            spans,
            state: RefCell::default(),
        }
    }

    /// Records a request: metrics, edge and access log.
    pub fn record_request(&self, record: &RequestRecord<'_>) {
        let rules = record.flow.telemetry;
        let known = Known::of_request(record);
        let tags = rules.and_then(|rules| TagSet::of(&rules.request_tags, &known));
        let series = self.request_series(record.labels, tags);
        bump(&series.total, 1);
        series
            .duration
            .observe(record.flow.duration.as_secs_f64() * 1_000.0);
        series
            .request_bytes
            .observe(bytes(record.flow.bytes_received));
        series.response_bytes.observe(bytes(record.flow.bytes_sent));
        series.latency.observe(record.flow.duration);
        if let Some(log) = self.log(rules, &known) {
            log.write(|line, format| access_log::request(line, format, record));
        }
        if let (Some(spans), Some(context)) = (&self.spans, &record.span)
            && context.sampled
        {
            spans.push(Span::of_request(context, record), collector(rules));
        }
    }

    /// Records that a connection was opened.
    pub fn tcp_opened(
        &self,
        labels: &ConnectionLabels,
        rules: Option<&TelemetrySide>,
    ) -> TcpCounters {
        let series = self.tcp_series(labels, rules);
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
        let rules = record.flow.telemetry;
        bump(&self.tcp_series(record.labels, rules).closed, 1);
        if let Some(log) = self.log(rules, &Known::of_connection(record)) {
            log.write(|line, format| access_log::tcp(line, format, record));
        }
        if let (Some(spans), Some(context)) = (&self.spans, &record.span) {
            let collector = collector(record.flow.telemetry);
            spans.push(Span::of_connection(context, record), collector);
        }
    }

    /// The log, if this is to stand in it.
    fn log(&self, rules: Option<&TelemetrySide>, known: &Known<'_>) -> Option<&LogProducer> {
        let Some(rule) = rules.and_then(|rules| rules.log.as_ref()) else {
            return self.log.as_ref();
        };
        let passes = |filter: &Expression| filter.holds(known);
        if rule.disabled || !rule.filter.as_ref().is_none_or(passes) {
            return None;
        }
        let wanted = || self.hub.log.on_demand();
        self.log
            .as_ref()
            .or_else(|| self.wanted_log.get_or_init(wanted).as_ref())
    }

    fn request_series(&self, labels: &RequestLabels, tags: Tags) -> Arc<RequestSeries> {
        let mut state = self.state.borrow_mut();
        let digest = state.digest(
            &labels.connection,
            (labels.response_code, labels.grpc_status),
        );
        let digest = with_tags(digest, &tags);
        self.shard
            .requests(&mut state.requests, digest, (labels, tags))
    }

    fn tcp_series(
        &self,
        labels: &ConnectionLabels,
        rules: Option<&TelemetrySide>,
    ) -> Arc<TcpSeries> {
        let known = Known::of_labels(labels);
        let tags = rules.and_then(|rules| TagSet::of(&rules.connection_tags, &known));
        let mut state = self.state.borrow_mut();
        let digest = with_tags(state.digest(labels, ()), &tags);
        self.shard.tcp(&mut state.tcp, digest, (labels, tags))
    }
}

/// The digest of labels with the values that Telemetry objects ask for, if they do.
fn with_tags(digest: u64, tags: &Tags) -> u64 {
    let Some(tags) = tags else {
        return digest;
    };
    let mut hasher = DefaultHasher::new();
    (digest, tags).hash(&mut hasher);
    hasher.finish()
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

/// The collector that a Telemetry names for spans.
fn collector(rules: Option<&TelemetrySide>) -> Option<&Arc<TraceCollector>> {
    rules?.tracing.as_ref()?.collector.as_ref()
}
