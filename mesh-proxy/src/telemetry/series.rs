//! Counters by label set: one shard for each worker, added up when somebody looks.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use mesh_proxy_core::labels::{ConnectionLabels, PeerLabels, RequestLabels, ServiceLabels};
use prometheus_client::metrics::counter::Counter;

use super::histogram::{BucketTotals, Buckets, Latency, LatencyTotals};
use super::lock;
use super::rules::Tags;

/// Label sets of one kind in one worker. Beyond it, records are counted under labels that name
/// nobody: a caller that invents labels must not fill the memory.
pub(super) const MOST_SERIES: usize = 2_000;

/// What one worker has recorded. Only that worker adds series and writes to them.
pub(super) struct Shard {
    requests: Mutex<Vec<Arc<RequestSeries>>>,
    tcp: Mutex<Vec<Arc<TcpSeries>>>,
    overflow: Counter,
}

/// Requests of one label set.
pub(super) struct RequestSeries {
    labels: RequestLabels,
    tags: Tags,
    pub(super) total: AtomicU64,
    pub(super) duration: Buckets,
    pub(super) request_bytes: Buckets,
    pub(super) response_bytes: Buckets,
    pub(super) latency: Latency,
}

/// Connections of one label set.
pub(super) struct TcpSeries {
    labels: ConnectionLabels,
    tags: Tags,
    pub(super) opened: AtomicU64,
    pub(super) closed: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) sent: AtomicU64,
}

/// Numbers of [`RequestSeries`].
#[derive(Clone, Debug, Default)]
pub(super) struct RequestTotals {
    pub(super) total: u64,
    pub(super) duration: BucketTotals,
    pub(super) request_bytes: BucketTotals,
    pub(super) response_bytes: BucketTotals,
    pub(super) latency: LatencyTotals,
}

/// Numbers of [`TcpSeries`].
#[derive(Clone, Debug, Default)]
pub(super) struct TcpTotals {
    pub(super) opened: u64,
    pub(super) closed: u64,
    pub(super) received: u64,
    pub(super) sent: u64,
}

/// All shards added up.
#[derive(Default)]
pub(super) struct Merged {
    pub(super) requests: HashMap<(RequestLabels, Tags), RequestTotals>,
    pub(super) tcp: HashMap<(ConnectionLabels, Tags), TcpTotals>,
}

/// A worker's index of its own series, by a digest of the labels.
pub(super) struct Index<S> {
    by_digest: HashMap<u64, Vec<Arc<S>>>,
    len: usize,
}

/// Numbers that come from more than one place.
pub(super) trait Totals: Default {
    fn add(&mut self, other: &Self);
}

// === impl Shard ===

impl Shard {
    pub(super) fn new(overflow: Counter) -> Self {
        Self {
            requests: Mutex::default(),
            tcp: Mutex::default(),
            overflow,
        }
    }

    pub(super) fn requests(
        &self,
        index: &mut Index<RequestSeries>,
        digest: u64,
        (labels, tags): (&RequestLabels, Tags),
    ) -> Arc<RequestSeries> {
        let is_it = |series: &RequestSeries| series.tags == tags && series.labels == *labels;
        if let Some(series) = index.find(digest, is_it) {
            return series;
        }
        let mut tags = tags;
        let labels = if index.len < MOST_SERIES {
            labels.clone()
        } else {
            tags = None;
            self.overflow.inc();
            let labels = RequestLabels {
                connection: anonymous(&labels.connection),
                ..*labels
            };
            if let Some(series) = index.find(0, |series| series.labels == labels) {
                return series;
            }
            labels
        };
        let digest = if index.len < MOST_SERIES { digest } else { 0 };
        let series = Arc::new(RequestSeries::new(labels, tags));
        lock(&self.requests).push(Arc::clone(&series));
        index.insert(digest, &series);
        series
    }

    pub(super) fn tcp(
        &self,
        index: &mut Index<TcpSeries>,
        digest: u64,
        (labels, tags): (&ConnectionLabels, Tags),
    ) -> Arc<TcpSeries> {
        let is_it = |series: &TcpSeries| series.tags == tags && series.labels == *labels;
        if let Some(series) = index.find(digest, is_it) {
            return series;
        }
        let mut tags = tags;
        let labels = if index.len < MOST_SERIES {
            labels.clone()
        } else {
            tags = None;
            self.overflow.inc();
            let labels = anonymous(labels);
            if let Some(series) = index.find(0, |series| series.labels == labels) {
                return series;
            }
            labels
        };
        let digest = if index.len < MOST_SERIES { digest } else { 0 };
        let series = Arc::new(TcpSeries::new(labels, tags));
        lock(&self.tcp).push(Arc::clone(&series));
        index.insert(digest, &series);
        series
    }
}

// Few values of each of the other labels are possible, so these series are few.
fn anonymous(labels: &ConnectionLabels) -> ConnectionLabels {
    ConnectionLabels {
        source: PeerLabels::unknown(),
        destination: PeerLabels::unknown(),
        service: ServiceLabels::unknown(),
        ..labels.clone()
    }
}

// === impl Index ===

impl<S> Default for Index<S> {
    fn default() -> Self {
        Self {
            by_digest: HashMap::new(),
            len: 0,
        }
    }
}

impl<S> Index<S> {
    fn find(&self, digest: u64, is_it: impl Fn(&S) -> bool) -> Option<Arc<S>> {
        self.by_digest
            .get(&digest)?
            .iter()
            .find(|series| is_it(series))
            .cloned()
    }

    fn insert(&mut self, digest: u64, series: &Arc<S>) {
        self.by_digest
            .entry(digest)
            .or_default()
            .push(Arc::clone(series));
        self.len += 1;
    }
}

// === impl RequestSeries, TcpSeries ===

impl RequestSeries {
    fn new(labels: RequestLabels, tags: Tags) -> Self {
        Self {
            labels,
            tags,
            total: AtomicU64::new(0),
            duration: Buckets::default(),
            request_bytes: Buckets::default(),
            response_bytes: Buckets::default(),
            latency: Latency::default(),
        }
    }

    fn totals(&self) -> RequestTotals {
        let mut totals = RequestTotals {
            total: self.total.load(Ordering::Relaxed),
            ..RequestTotals::default()
        };
        self.duration.add_to(&mut totals.duration);
        self.request_bytes.add_to(&mut totals.request_bytes);
        self.response_bytes.add_to(&mut totals.response_bytes);
        self.latency.add_to(&mut totals.latency);
        totals
    }
}

impl TcpSeries {
    fn new(labels: ConnectionLabels, tags: Tags) -> Self {
        let [opened, closed, received, sent] = [const { AtomicU64::new(0) }; 4];
        Self {
            labels,
            tags,
            opened,
            closed,
            received,
            sent,
        }
    }

    fn totals(&self) -> TcpTotals {
        TcpTotals {
            opened: self.opened.load(Ordering::Relaxed),
            closed: self.closed.load(Ordering::Relaxed),
            received: self.received.load(Ordering::Relaxed),
            sent: self.sent.load(Ordering::Relaxed),
        }
    }
}

// === impl Totals ===

impl Totals for RequestTotals {
    fn add(&mut self, other: &Self) {
        self.total += other.total;
        self.duration.add(&other.duration);
        self.request_bytes.add(&other.request_bytes);
        self.response_bytes.add(&other.response_bytes);
        self.latency.add(&other.latency);
    }
}

impl Totals for TcpTotals {
    fn add(&mut self, other: &Self) {
        self.opened += other.opened;
        self.closed += other.closed;
        self.received += other.received;
        self.sent += other.sent;
    }
}

/// Adds up numbers whose labels became equal.
pub(super) fn group<K: Eq + Hash, T: Totals>(
    items: impl IntoIterator<Item = (K, T)>,
) -> HashMap<K, T> {
    let mut groups = HashMap::new();
    for (key, totals) in items {
        match groups.entry(key) {
            Entry::Vacant(slot) => {
                slot.insert(totals);
            }
            Entry::Occupied(mut slot) => Totals::add(slot.get_mut(), &totals),
        }
    }
    groups
}

/// Adds up all shards.
pub(super) fn merge(shards: &[Arc<Shard>]) -> Merged {
    let mut merged = Merged::default();
    for shard in shards {
        for series in lock(&shard.requests).iter() {
            merged
                .requests
                .entry((series.labels.clone(), series.tags.clone()))
                .or_default()
                .add(&series.totals());
        }
        for series in lock(&shard.tcp).iter() {
            merged
                .tcp
                .entry((series.labels.clone(), series.tags.clone()))
                .or_default()
                .add(&series.totals());
        }
    }
    merged
}
