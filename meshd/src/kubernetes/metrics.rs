//! What the cluster's side of a control plane counts.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::requests::ApiRequests;
use super::webhook::WebhookMetrics;
use crate::metrics::Writer;

/// Counters and states, by kind (its plural name).
#[derive(Debug, Default)]
pub(crate) struct ClusterMetrics {
    kinds: Mutex<BTreeMap<&'static str, KindMetrics>>,
    first_sync: Mutex<Option<Duration>>,
    leads: AtomicBool,
    written: AtomicU64,
    unwritten: AtomicU64,
    requests: Arc<ApiRequests>,
    /// What the webhooks count.
    pub(crate) webhook: Arc<WebhookMetrics>,
}

#[derive(Debug, Default)]
struct KindMetrics {
    /// By watch: some kinds have several.
    objects: BTreeMap<usize, u64>,
    lists: u64,
    failures: u64,
}

// === impl ClusterMetrics ===

impl ClusterMetrics {
    /// All zero, with what a client counts.
    pub(crate) fn new(requests: Arc<ApiRequests>) -> Self {
        Self {
            requests,
            ..Self::default()
        }
    }

    /// How many objects of a kind one of its watches knows.
    pub(crate) fn objects(&self, watch: usize, kind: &'static str, count: usize) {
        let mut kinds = lock(&self.kinds);
        let kind = kinds.entry(kind).or_default();
        kind.objects.insert(watch, count as u64);
    }

    /// A watch has listed everything, at its start or because it lost its place.
    pub(crate) fn listed(&self, kind: &'static str) {
        lock(&self.kinds).entry(kind).or_default().lists += 1;
    }

    /// A watch has failed.
    pub(crate) fn failed(&self, kind: &'static str) {
        lock(&self.kinds).entry(kind).or_default().failures += 1;
    }

    /// The first load took this long.
    pub(crate) fn synced(&self, took: Duration) {
        *lock(&self.first_sync) = Some(took);
    }

    /// Whether this replica leads.
    pub(crate) fn leads(&self, leads: bool) {
        self.leads.store(leads, Ordering::Relaxed);
    }

    /// The status of an object was written, or could not be.
    pub(crate) fn wrote_status(&self, success: bool) {
        let counter = match success {
            true => &self.written,
            false => &self.unwritten,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Writes all of it.
    pub(crate) fn encode(&self, writer: &mut Writer<'_>) -> fmt::Result {
        self.webhook.encode(writer)?;
        self.requests.encode(writer)?;
        {
            let kinds = lock(&self.kinds);
            let by_kind = |value: fn(&KindMetrics) -> u64| -> Vec<([(&str, &str); 1], u64)> {
                let values = kinds.iter();
                values
                    .map(|(kind, metrics)| ([("kind", *kind)], value(metrics)))
                    .collect()
            };
            writer.family_of(
                "mesh_kubernetes_objects",
                "Objects of the API server that mean something to the mesh",
                &by_kind(|metrics| metrics.objects.values().sum()),
            )?;
            writer.counter_of(
                "mesh_kubernetes_lists",
                "Times that all objects of a kind were listed",
                &by_kind(|metrics| metrics.lists),
            )?;
            writer.counter_of(
                "mesh_kubernetes_watch_failures",
                "Times that watching a kind failed",
                &by_kind(|metrics| metrics.failures),
            )?;
        }
        if let Some(took) = *lock(&self.first_sync) {
            writer.seconds(
                "mesh_kubernetes_first_sync_seconds",
                "How long it took until everything on the API server was known",
                took,
            )?;
        }
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        writer.family(
            "mesh_leader",
            "Whether this replica leads and writes status",
            &[(&[], u64::from(self.leads.load(Ordering::Relaxed)))],
        )?;
        writer.counter_of(
            "mesh_kubernetes_status_writes",
            "Writes of the status of objects",
            &[
                ([("result", "success")], load(&self.written)),
                ([("result", "failure")], load(&self.unwritten)),
            ],
        )
    }
}

/// What is counted stays right even if a thread that counted panicked.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
