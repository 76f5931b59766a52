//! Metrics of limits, of protection against overload and of health checks.

use std::sync::Arc;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Counters of all policies. Cheap to clone; the clones share their numbers.
#[derive(Clone, Default)]
pub struct Resilience {
    rates: Family<RateLabel, Counter>,
    overloads: Family<ShadowLabel, Counter>,
    checks: Family<CheckLabel, Counter>,
    /// Endpoints that health checks hold to be down.
    pub down: Gauge,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RateLabel {
    policy: Text,
    limit: Text,
    result: RateResult,
}

// Shared with the configuration: their number is that of the limits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Text(Arc<str>);

/// What became of somebody who fell under a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RateResult {
    /// Let in.
    Allowed,
    /// Refused.
    Refused,
    /// Would have been refused.
    Shadow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShadowLabel {
    result: RateResult,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CheckLabel {
    result: CheckResult,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum CheckResult {
    Ok,
    Failed,
}

impl EncodeLabelValue for Text {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        EncodeLabelValue::encode(&&*self.0, encoder)
    }
}

impl EncodeLabelValue for RateResult {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        let text = match self {
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::Shadow => "shadow",
        };
        EncodeLabelValue::encode(&text, encoder)
    }
}

impl EncodeLabelValue for CheckResult {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
        let text = match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
        };
        EncodeLabelValue::encode(&text, encoder)
    }
}

// === impl Resilience ===

impl Resilience {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "mesh_rate_limit",
            "Requests and connections that fell under a limit",
            self.rates.clone(),
        );
        registry.register(
            "mesh_overload",
            "Requests refused because the server had too much to do",
            self.overloads.clone(),
        );
        registry.register(
            "mesh_health_checks",
            "Active health checks of endpoints",
            self.checks.clone(),
        );
        registry.register(
            "mesh_health_check_down",
            "Endpoints that are out by active health checks",
            self.down.clone(),
        );
    }

    /// The counter of a limit.
    pub fn rate(&self, policy: &Arc<str>, limit: &Arc<str>, result: RateResult) -> Counter {
        let label = RateLabel {
            policy: Text(Arc::clone(policy)),
            limit: Text(Arc::clone(limit)),
            result,
        };
        self.rates.get_or_create(&label).clone()
    }

    /// Counts a request that was, or would have been, refused for overload.
    pub fn overloaded(&self, shadow: bool) {
        let result = if shadow {
            RateResult::Shadow
        } else {
            RateResult::Refused
        };
        self.overloads.get_or_create(&ShadowLabel { result }).inc();
    }

    /// Counts a health check.
    pub fn checked(&self, good: bool) {
        let result = if good {
            CheckResult::Ok
        } else {
            CheckResult::Failed
        };
        self.checks.get_or_create(&CheckLabel { result }).inc();
    }
}
