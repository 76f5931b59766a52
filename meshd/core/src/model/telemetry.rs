//! Telemetry.

use std::collections::BTreeMap;

use mesh_api::v1::{Expression, Origin, SpanTag, TagValue, TelemetryMetric};

use super::{Meta, Placement};

/// A Telemetry: what proxies report.
#[derive(Debug)]
pub(crate) struct TelemetryObject {
    pub(crate) meta: Meta,
    /// Without selector and targets it holds for the namespace, in the root namespace for the
    /// mesh.
    pub(crate) placement: Placement,
    pub(crate) metrics: Vec<MetricsRule>,
    pub(crate) access_logs: Vec<LogRule>,
    pub(crate) tracing: Vec<TraceRule>,
}

/// Which side of a proxy (Istio: WorkloadMode).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    #[default]
    ClientAndServer,
    Client,
    Server,
}

/// Who takes what is reported, by the name in the mesh configuration.
#[derive(Debug)]
pub(crate) struct ProviderName {
    pub(crate) name: String,
    pub(crate) origin: Origin,
}

/// One of `metrics`.
#[derive(Debug)]
pub(crate) struct MetricsRule {
    /// None inherits.
    pub(crate) providers: Vec<ProviderName>,
    pub(crate) overrides: Vec<MetricRule>,
}

/// One of `overrides`.
#[derive(Debug)]
pub(crate) struct MetricRule {
    pub(crate) mode: Mode,
    pub(crate) metrics: Metrics,
    /// Absent inherits.
    pub(crate) disabled: Option<bool>,
    pub(crate) tags: BTreeMap<String, TagRule>,
}

/// Metrics of an override.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Metrics {
    All,
    One(TelemetryMetric),
    /// One that proxies do not have.
    None,
}

/// What becomes of a label.
#[derive(Clone, Debug)]
pub(crate) enum TagRule {
    Remove,
    Upsert(TagValue),
}

/// One of `accessLogging`.
#[derive(Debug)]
pub(crate) struct LogRule {
    pub(crate) mode: Mode,
    /// None inherits.
    pub(crate) providers: Vec<ProviderName>,
    /// Place of the rule.
    pub(crate) origin: Origin,
    pub(crate) disabled: Option<bool>,
    pub(crate) filter: Option<Expression>,
}

/// One of `tracing`.
#[derive(Debug)]
pub(crate) struct TraceRule {
    pub(crate) mode: Mode,
    /// None inherits. The first one counts.
    pub(crate) providers: Vec<ProviderName>,
    /// Per cent. Absent inherits, as all that follows.
    pub(crate) sampling: Option<f64>,
    pub(crate) disabled: Option<bool>,
    /// All of them at once: they are not joined with those of the levels above.
    pub(crate) tags: Option<Vec<SpanTag>>,
    pub(crate) istio_tags: Option<bool>,
    pub(crate) without_propagation: Option<bool>,
}

// === impl Mode ===

impl Mode {
    pub(crate) fn is_client(self) -> bool {
        self != Self::Server
    }

    pub(crate) fn is_server(self) -> bool {
        self != Self::Client
    }
}
