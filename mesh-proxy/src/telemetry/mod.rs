//! Metrics, access log and the live table of edges.
//!
//! Each worker records through its own [`Recorder`]: counters that only it writes and a log
//! buffer that only it fills. A scrape adds the shards up.

mod access_log;
mod edges;
mod histogram;
mod istio;
mod log_writer;
mod record;
mod recorder;
mod resilience;
mod rules;
mod series;
mod shown;
mod spans;
mod stages;
mod tracing_log;
mod troubles;

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use mesh_proxy_core::ir::TelemetryRules;
use prometheus_client::registry::Registry;

use crate::settings::{AccessLog, Settings};

pub use edges::{Edge, EdgePeer, ResponseClass};
pub use log_writer::LogError;
pub use record::{FlowRecord, RequestRecord, TcpRecord};
pub use recorder::{Recorder, TcpCounters};
pub use resilience::{RateResult, Resilience};
pub use rules::{LiveRules, RequestRules, trace_fraction};
pub use spans::SpanExporter;
pub use stages::{
    Listener, ListenerLabel, OpenConnection, ReasonLabel, Stages, TlsLabel, TlsResult, TlsSide,
};
pub use tracing_log::{InvalidLevel, LogLevel, install as install_tracing};
pub use troubles::{Found, Troubles};

use log_writer::LogHub;
use series::Shard;
use spans::SpanQueue;

/// Metrics and access log of one proxy. Cheap to clone.
#[derive(Clone)]
pub struct Telemetry {
    shared: Arc<Hub>,
    /// The proxy's own metrics, `mesh_*`, by stage.
    pub stages: Stages,
    /// What the proxy cannot do now.
    pub troubles: Troubles,
    spans: Option<SpanQueue>,
}

struct Hub {
    registry: Mutex<Registry>,
    shards: Mutex<Vec<Arc<Shard>>>,
    log: LogHub,
    rules: OnceLock<RulesInForce>,
}

/// What Telemetry objects say now.
type RulesInForce = Box<dyn Fn() -> Option<Arc<TelemetryRules>> + Send + Sync>;

// === impl Telemetry ===

impl Telemetry {
    /// Opens the access log and starts its thread.
    ///
    /// # Errors
    /// If the log file cannot be opened.
    pub fn new(log: &AccessLog) -> Result<Self, LogError> {
        let mut registry = Registry::default();
        let stages = Stages::register(&mut registry);
        let log = LogHub::start(log, stages.access_log_dropped.clone())?;
        let shared = Arc::new(Hub {
            registry: Mutex::new(registry),
            shards: Mutex::default(),
            log,
            rules: OnceLock::new(),
        });
        let collector = istio::Collector::new(&shared);
        lock(&shared.registry).register_collector(Box::new(collector));
        Ok(Self {
            shared,
            stages,
            troubles: Troubles::default(),
            spans: None,
        })
    }

    /// Records requests and connections in traces from now on. What is returned sends the spans; run it.
    #[must_use]
    pub fn tracing(&mut self, settings: &Settings) -> SpanExporter {
        let queue = SpanQueue::new(self.stages.spans_dropped.clone());
        self.spans = Some(queue.clone());
        SpanExporter::new(queue, settings, self.stages.spans_exported.clone())
    }

    /// Shows metrics as Telemetry objects want them, from now on. `rules` tells what they say at
    /// the moment; the data path brings what it needs itself.
    pub fn follow(&self, rules: impl Fn() -> Option<Arc<TelemetryRules>> + Send + Sync + 'static) {
        // Of two the first one counts; there is only one store in a proxy.
        let _ = self.shared.rules.set(Box::new(rules));
    }

    /// A worker's own way to record. Call it once on each worker.
    pub fn recorder(&self) -> Recorder {
        let shard = Arc::new(Shard::new(self.stages.series_overflow.clone()));
        lock(&self.shared.shards).push(Arc::clone(&shard));
        Recorder::new(shard, Arc::clone(&self.shared), self.spans.clone())
    }

    /// Adds metrics of a part that not every proxy has.
    pub fn register<T>(&self, metrics: impl FnOnce(&mut Registry) -> T) -> T {
        metrics(&mut lock(&self.shared.registry))
    }

    /// All metrics in the OpenMetrics text format.
    pub fn metrics(&self) -> String {
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &lock(&self.shared.registry));
        text
    }

    /// Who called whom so far, with what result and how fast.
    pub fn edges(&self) -> Vec<Edge> {
        edges::summarise(&self.shared.merged())
    }

    /// Opens the access log file again: after a rotation (SIGUSR1).
    pub fn reopen_log(&self) {
        self.shared.log.reopen();
    }

    /// Writes what is buffered and ends the log's thread.
    pub fn close(&self) {
        self.shared.log.close();
    }
}

// === impl Hub ===

impl Hub {
    /// What Telemetry objects say.
    fn rules(&self) -> Option<Arc<TelemetryRules>> {
        self.rules.get().and_then(|rules| rules())
    }

    fn merged(&self) -> series::Merged {
        series::merge(&lock(&self.shards))
    }
}

/// A poisoned lock here guards counters and lists that are whole at every step.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
