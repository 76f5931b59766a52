//! What the DNS server did.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Counters of the DNS server. Cheap to clone; the clones share their numbers.
#[derive(Clone)]
pub(crate) struct DnsMetrics {
    /// Questions.
    pub(super) queries: Counter,
    /// Those that the mesh answered itself.
    pub(super) answered: Counter,
    /// Those that were passed on.
    pub(super) forwarded: Counter,
    /// Those passed on that no server answered.
    pub(super) failures: Counter,
    /// Those refused because too many were under way.
    pub(super) refused: Counter,
    /// How long the servers of the system took, in seconds.
    pub(super) upstream: Histogram,
}

const SECONDS: [f64; 12] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0,
];

// === impl DnsMetrics ===

impl DnsMetrics {
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            queries: Counter::default(),
            answered: Counter::default(),
            forwarded: Counter::default(),
            failures: Counter::default(),
            refused: Counter::default(),
            upstream: Histogram::new(SECONDS),
        };
        let counters = [
            ("mesh_dns_queries", "DNS questions", &metrics.queries),
            (
                "mesh_dns_answered",
                "DNS questions that the mesh answered",
                &metrics.answered,
            ),
            (
                "mesh_dns_forwarded",
                "DNS questions passed on to the system's servers",
                &metrics.forwarded,
            ),
            (
                "mesh_dns_failures",
                "DNS questions that no server answered",
                &metrics.failures,
            ),
            (
                "mesh_dns_refused",
                "DNS questions refused because too many were under way",
                &metrics.refused,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        registry.register(
            "mesh_dns_upstream_seconds",
            "How long the system's DNS servers took",
            metrics.upstream.clone(),
        );
        metrics
    }
}
