//! Metrics, under Istio's names where Istio has one, so that its dashboards work.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use mesh_api::v1::{ProxyStatus, Severity};
use mesh_ca::{IssueCounters, RefusalReason};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry as Exposition;
use tokio::sync::watch;

use crate::kubernetes::ClusterMetrics;
use crate::publish::Published;
use crate::registry::Registry;

/// The type of what [`Metrics::encode`] writes.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the discovery streams count.
#[derive(Debug)]
pub(crate) struct DiscoveryMetrics {
    pushes: AtomicU64,
    rejects: AtomicU64,
    refused: AtomicU64,
    convergence: Histogram,
}

/// Everything that is exposed.
#[derive(Debug)]
pub(crate) struct Metrics(Exposition);

/// What is read when somebody asks.
pub(crate) struct Sources {
    pub(crate) published: watch::Receiver<Arc<Published>>,
    pub(crate) registry: Registry,
    pub(crate) discovery: Arc<DiscoveryMetrics>,
    /// The authority's counters, if it is in this process.
    pub(crate) issue: Option<Arc<IssueCounters>>,
    /// What the cluster's side counts, if there is a cluster.
    pub(crate) cluster: Option<Arc<ClusterMetrics>>,
}

// === impl DiscoveryMetrics ===

impl DiscoveryMetrics {
    /// All zero.
    pub(crate) fn new() -> Self {
        // Istio's buckets, and finer ones below, since 20 ms is our budget.
        let buckets = [
            0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 3.0, 5.0, 10.0, 20.0, 30.0,
        ];
        Self {
            pushes: AtomicU64::new(0),
            rejects: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            convergence: Histogram::new(buckets),
        }
    }

    /// A response was sent.
    pub(crate) fn count_push(&self) {
        self.pushes.fetch_add(1, Ordering::Relaxed);
    }

    /// A proxy refused a resource.
    pub(crate) fn count_reject(&self) {
        self.rejects.fetch_add(1, Ordering::Relaxed);
    }

    /// A proxy was refused.
    pub(crate) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A proxy runs a revision this long after it was published.
    pub(crate) fn converged(&self, after: Duration) {
        self.convergence.observe(after.as_secs_f64());
    }
}

// === impl Metrics ===

impl Metrics {
    /// Exposes these sources.
    pub(crate) fn new(sources: Sources) -> Self {
        let mut exposition = Exposition::default();
        exposition.register(
            "pilot_proxy_convergence_time",
            "Seconds from the publication of a configuration to its acknowledgement by a proxy",
            sources.discovery.convergence.clone(),
        );
        exposition.register_collector(Box::new(sources));
        Self(exposition)
    }

    /// All of it as OpenMetrics text.
    pub(crate) fn encode(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.0)?;
        Ok(out)
    }
}

// === impl Sources ===

impl Collector for Sources {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let mut writer = Writer(encoder);
        let proxies = self.registry.list().proxies;
        self.encode_discovery(&mut writer, &proxies)?;
        self.encode_configuration(&mut writer)?;
        if let Some(cluster) = &self.cluster {
            cluster.encode(&mut writer)?;
        }
        match &self.issue {
            Some(issue) => encode_issue(&mut writer, issue),
            None => Ok(()),
        }
    }
}

impl Sources {
    fn encode_discovery(&self, writer: &mut Writer<'_>, proxies: &[ProxyStatus]) -> fmt::Result {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let connected = proxies.iter().filter(|proxy| proxy.connected).count() as u64;
        let revision = self.published.borrow().revision;
        let (_, current) = self.registry.count(revision);
        let version = [("version", env!("CARGO_PKG_VERSION"))];
        writer.family(
            "pilot_xds",
            "Proxies connected to this control plane",
            &[(&version, connected)],
        )?;
        let kind = [("type", "mesh")];
        let pushes = load(&self.discovery.pushes);
        writer.istio_count(
            "pilot_xds_pushes",
            "Responses sent to proxies",
            &[(&kind, pushes)],
        )?;
        let rejects = load(&self.discovery.rejects);
        writer.istio_count(
            "pilot_total_xds_rejects",
            "Resources that proxies refused",
            &[(&kind, rejects)],
        )?;
        writer.counter(
            "mesh_discovery_refused",
            "Streams that were refused",
            load(&self.discovery.refused),
        )?;
        writer.family(
            "mesh_discovery_current",
            "Connected proxies that run everything that they need of the newest revision",
            &[(&[], u64::from(current))],
        )
    }

    fn encode_configuration(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let published = self.published.borrow().clone();
        writer.family(
            "mesh_config_revision",
            "Number of the newest revision",
            &[(&[], published.revision)],
        )?;
        let count = |severity| {
            published
                .problems
                .iter()
                .filter(|p| p.severity() == severity)
                .count() as u64
        };
        writer.family(
            "mesh_config_problems",
            "Findings in the configuration",
            &[
                (&[("severity", "error")], count(Severity::Error)),
                (&[("severity", "warning")], count(Severity::Warning)),
                (&[("severity", "info")], count(Severity::Info)),
            ],
        )?;
        let services = published.world.services().count() as u64;
        writer.family(
            "pilot_services",
            "Services known to this control plane",
            &[(&[], services)],
        )?;
        let workloads = published.world.workloads().count() as u64;
        writer.family(
            "mesh_config_workloads",
            "Workloads known to this control plane",
            &[(&[], workloads)],
        )
    }
}

fn encode_issue(writer: &mut Writer<'_>, issue: &IssueCounters) -> fmt::Result {
    let refused: Vec<(RefusalReason, u64)> = issue.refused().collect();
    let sum = |reasons: &[RefusalReason]| -> u64 {
        refused
            .iter()
            .filter(|(reason, _)| reasons.contains(reason))
            .map(|(_, count)| count)
            .sum()
    };
    let all = issue.issued() + sum(&RefusalReason::ALL);
    writer.istio_count(
        "citadel_server_csr_count",
        "Signing requests received",
        &[(&[], all)],
    )?;
    writer.istio_count(
        "citadel_server_success_cert_issuance_count",
        "Certificates issued",
        &[(&[], issue.issued())],
    )?;
    writer.istio_count(
        "citadel_server_csr_parsing_err_count",
        "Signing requests that cannot be read",
        &[(&[], sum(&[RefusalReason::RequestMalformed]))],
    )?;
    writer.istio_count(
        "citadel_server_authentication_failure_count",
        "Callers that could not prove who they are",
        &[(
            &[],
            sum(&[
                RefusalReason::NoCredentials,
                RefusalReason::TokenMalformed,
                RefusalReason::TokenForeign,
                RefusalReason::TokenExpired,
                RefusalReason::TokenReplayed,
                RefusalReason::TokenSharedSingleUse,
                RefusalReason::TokenAudience,
                RefusalReason::TokenInvalid,
                RefusalReason::IssuerUnavailable,
                RefusalReason::CertificateExpired,
            ]),
        )],
    )?;
    writer.istio_count(
        "citadel_server_id_extraction_err_count",
        "Callers whose certificate names no identity",
        &[(
            &[],
            sum(&[
                RefusalReason::CertificateIdentity,
                RefusalReason::TokenIdentity,
            ]),
        )],
    )?;
    let by_reason: Vec<([(&str, &str); 1], u64)> = refused
        .iter()
        .map(|(reason, count)| ([("reason", reason.as_str())], *count))
        .collect();
    writer.counter_of(
        "mesh_ca_refused",
        "Certificates refused, by reason",
        &by_reason,
    )
}

/// Writes metrics with their labels.
pub(crate) struct Writer<'a>(DescriptorEncoder<'a>);

pub(crate) type Sample<'a> = (&'a [(&'a str, &'a str)], u64);

impl Writer<'_> {
    pub(crate) fn family(&mut self, name: &str, help: &str, samples: &[Sample<'_>]) -> fmt::Result {
        self.write(name, help, MetricType::Gauge, samples)
    }

    /// A counter whose name does not end in `_total`, as OpenMetrics wants it, because it is
    /// Istio's. It is of unknown type then.
    pub(crate) fn istio_count(
        &mut self,
        name: &str,
        help: &str,
        samples: &[Sample<'_>],
    ) -> fmt::Result {
        self.write(name, help, MetricType::Unknown, samples)
    }

    pub(crate) fn counter(&mut self, name: &str, help: &str, count: u64) -> fmt::Result {
        let counter = ConstCounter::new(count);
        counter.encode(
            self.0
                .encode_descriptor(name, help, None, MetricType::Counter)?,
        )
    }

    /// A gauge with one label.
    pub(crate) fn family_of(
        &mut self,
        name: &str,
        help: &str,
        samples: &[([(&str, &str); 1], u64)],
    ) -> fmt::Result {
        let samples: Vec<Sample<'_>> = samples
            .iter()
            .map(|(labels, value)| (labels.as_slice(), *value))
            .collect();
        self.write(name, help, MetricType::Gauge, &samples)
    }

    /// A counter with labels, all samples with the same.
    pub(crate) fn counter_of<const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        samples: &[([(&str, &str); N], u64)],
    ) -> fmt::Result {
        let mut encoder = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, count) in samples {
            ConstCounter::new(*count).encode(encoder.encode_family(labels)?)?;
        }
        Ok(())
    }

    /// A gauge in seconds.
    pub(crate) fn seconds(&mut self, name: &str, help: &str, value: Duration) -> fmt::Result {
        let gauge = ConstGauge::new(value.as_secs_f64());
        gauge.encode(
            self.0
                .encode_descriptor(name, help, None, MetricType::Gauge)?,
        )
    }

    fn write(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        samples: &[Sample<'_>],
    ) -> fmt::Result {
        let mut encoder = self.0.encode_descriptor(name, help, None, kind)?;
        for (labels, value) in samples {
            let value = ConstGauge::new(i64::try_from(*value).unwrap_or(i64::MAX));
            if labels.is_empty() {
                // There is only one sample then.
                return value.encode(encoder);
            }
            value.encode(encoder.encode_family(labels)?)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sources")
    }
}
