//! Telemetry objects to what one proxy reports.
//!
//! The levels are those of `world/telemetries.rs`; rules that stand later count more, each section
//! in its own way: metrics are joined metric by metric, a log has one rule, tracing is joined
//! field by field.

use std::collections::{BTreeMap, BTreeSet};

use mesh_api::v1::{
    AccessLogRule, MetricOverride, TagOverride, Telemetry, TelemetryMetric, TelemetrySide,
    TracingRule,
};

use super::View;
use crate::model::{
    LogRule, MetricRule, Metrics, MetricsRule, ProviderName, TagRule, TelemetryObject, TraceRule,
};
use crate::settings::{TelemetryProvider, TelemetrySettings};

/// Istio's name of the access log, where the mesh configuration does not name another.
const OWN_LOG: &str = "envoy";

const METRICS: [TelemetryMetric; 8] = [
    TelemetryMetric::RequestCount,
    TelemetryMetric::RequestDuration,
    TelemetryMetric::RequestSize,
    TelemetryMetric::ResponseSize,
    TelemetryMetric::TcpOpenedConnections,
    TelemetryMetric::TcpClosedConnections,
    TelemetryMetric::TcpSentBytes,
    TelemetryMetric::TcpReceivedBytes,
];

/// A side of a proxy.
#[derive(Clone, Copy)]
enum Side {
    Client,
    Server,
}

/// What is gathered of one metric.
#[derive(Clone, Default)]
struct Gathered {
    disabled: bool,
    tags: BTreeMap<String, TagRule>,
}

// === impl View ===

impl View<'_> {
    /// What Telemetry objects say of this proxy; nothing if they say nothing.
    pub(super) fn telemetry(&self) -> Option<Telemetry> {
        let world = self.world;
        let client = (self.namespace(), &*self.labels);
        let levels = world.telemetries.of(client, &world.settings.root_namespace);
        merge(&levels, &world.settings.telemetry)
    }
}

fn merge(levels: &[&TelemetryObject], settings: &TelemetrySettings) -> Option<Telemetry> {
    let side = |side| {
        let made = TelemetrySide {
            metrics: metrics(levels, settings, side),
            access_log: access_log(levels, settings, side),
            tracing: tracing(levels, settings, side),
        };
        Some(made).filter(|made| *made != TelemetrySide::default())
    };
    let telemetry = Telemetry {
        client: side(Side::Client),
        server: side(Side::Server),
    };
    Some(telemetry).filter(|telemetry| *telemetry != Telemetry::default())
}

impl Side {
    fn has(self, mode: crate::model::Mode) -> bool {
        match self {
            Self::Client => mode.is_client(),
            Self::Server => mode.is_server(),
        }
    }
}

fn names(providers: &[ProviderName]) -> Vec<&str> {
    let names = providers.iter().map(|provider| provider.name.as_str());
    names.collect()
}

fn texts(names: &[String]) -> Vec<&str> {
    names.iter().map(String::as_str).collect()
}

/// What differs from the standard metrics (Istio: mergeMetrics). There is one who takes them: the
/// scraper. Where it is not among those that are named last, there are none.
fn metrics(
    levels: &[&TelemetryObject],
    settings: &TelemetrySettings,
    side: Side,
) -> Vec<MetricOverride> {
    let rules: Vec<&MetricsRule> = levels.iter().flat_map(|level| &level.metrics).collect();
    let mut named = rules.iter().rev().map(|rule| names(&rule.providers));
    let in_scope = named
        .find(|names| !names.is_empty())
        .unwrap_or_else(|| texts(&settings.metrics));
    let is_scraper = |name: &&str| settings.provider(name) == Some(&TelemetryProvider::Prometheus);
    let Some(scraper) = in_scope.iter().copied().find(is_scraper) else {
        return disabled();
    };
    let mut gathered: BTreeMap<TelemetryMetric, Gathered> = BTreeMap::new();
    let mut parents = texts(&settings.metrics);
    let mut all_disabled = false;
    for rule in rules {
        if !rule.providers.is_empty() {
            parents = names(&rule.providers);
        }
        if !parents.contains(&scraper) {
            continue;
        }
        for one in rule.overrides.iter().filter(|one| side.has(one.mode)) {
            if one.metrics == Metrics::All && one.disabled == Some(true) {
                all_disabled = true;
                continue;
            }
            // Whoever says something of metrics wants them.
            all_disabled = false;
            gather(one, &mut gathered);
        }
    }
    if all_disabled {
        return disabled();
    }
    gathered
        .into_iter()
        .map(|(metric, gathered)| MetricOverride {
            metric: metric.into(),
            disabled: gathered.disabled,
            tags: gathered.tags.into_iter().map(tag).collect(),
        })
        .filter(|made| made.disabled || !made.tags.is_empty())
        .collect()
}

fn gather(rule: &MetricRule, gathered: &mut BTreeMap<TelemetryMetric, Gathered>) {
    let which = match &rule.metrics {
        Metrics::All => &METRICS[..],
        Metrics::One(metric) => std::slice::from_ref(metric),
        Metrics::None => &[],
    };
    for metric in which {
        let known = gathered.entry(*metric).or_default();
        known.disabled = rule.disabled.unwrap_or(known.disabled);
        let tags = rule.tags.iter();
        known
            .tags
            .extend(tags.map(|(name, tag)| (name.clone(), tag.clone())));
    }
}

fn disabled() -> Vec<MetricOverride> {
    let all = METRICS.map(|metric| MetricOverride {
        metric: metric.into(),
        disabled: true,
        tags: Vec::new(),
    });
    all.into()
}

fn tag((name, rule): (String, TagRule)) -> TagOverride {
    let value = match rule {
        TagRule::Remove => None,
        TagRule::Upsert(value) => Some(value),
    };
    TagOverride { name, value }
}

/// The rule of the access log (Istio: mergeLogs); nothing leaves it as the proxy was started.
///
/// A filter without providers holds for those that are inherited, as the field is documented;
/// Istio's code leaves it out there.
fn access_log(
    levels: &[&TelemetryObject],
    settings: &TelemetrySettings,
    side: Side,
) -> Option<AccessLogRule> {
    let is_log = |name: &&str| settings.provider(name) == Some(&TelemetryProvider::FileLog);
    let defaults = texts(&settings.access_logging);
    let levels: Vec<&[LogRule]> = levels
        .iter()
        .map(|level| level.access_logs.as_slice())
        .filter(|rules| !rules.is_empty())
        .collect();
    if levels.is_empty() {
        return defaults.iter().any(is_log).then(AccessLogRule::default);
    }
    let mut named = levels.iter().rev().map(|rules| {
        let rules = rules.iter().filter(|rule| side.has(rule.mode));
        let names: BTreeSet<&str> = rules.flat_map(|rule| names(&rule.providers)).collect();
        names
    });
    let named = named.find(|names| !names.is_empty());
    let mut in_scope = named.unwrap_or_else(|| defaults.iter().copied().collect());
    if in_scope.is_empty() {
        in_scope.insert(OWN_LOG);
    }
    let mut parents = defaults;
    let mut found: BTreeMap<&str, AccessLogRule> = BTreeMap::new();
    for rule in levels.into_iter().flatten() {
        if !rule.providers.is_empty() {
            parents = names(&rule.providers);
        } else if parents.is_empty() && rule.disabled.is_some() {
            // Nobody is named, but what is meant is plain.
            parents = vec![OWN_LOG];
        }
        if !side.has(rule.mode) {
            continue;
        }
        for name in parents.iter().filter(|name| in_scope.contains(*name)) {
            let made = AccessLogRule {
                disabled: rule.disabled == Some(true),
                filter: rule.filter.clone(),
            };
            found.insert(name, made);
        }
    }
    found.retain(|name, _| is_log(name));
    let enabled = found.values().find(|rule| !rule.disabled).cloned();
    enabled
        .or_else(|| found.pop_first().map(|(_, rule)| rule))
        .map(|rule| AccessLogRule {
            filter: rule.filter.filter(|_| !rule.disabled),
            ..rule
        })
}

/// How requests are traced (Istio: Telemetries.Tracing); nothing leaves it as the proxy was
/// started.
fn tracing(
    levels: &[&TelemetryObject],
    settings: &TelemetrySettings,
    side: Side,
) -> Option<TracingRule> {
    let rules = levels.iter().flat_map(|level| &level.tracing);
    let rules: Vec<&TraceRule> = rules.filter(|rule| side.has(rule.mode)).collect();
    if rules.is_empty() && settings.tracing.is_empty() {
        return None;
    }
    let mut made = TracingRule::default();
    let mut provider = settings.tracing.first().map(String::as_str);
    for rule in rules {
        if let Some(first) = rule.providers.first() {
            provider = Some(&first.name);
        }
        made.disabled = rule.disabled.unwrap_or(made.disabled);
        made.sampling = rule.sampling.or(made.sampling);
        if let Some(tags) = &rule.tags {
            made.tags.clone_from(tags);
        }
        if let Some(istio) = rule.istio_tags {
            made.without_istio_tags = !istio;
        }
        let propagation = rule.without_propagation;
        made.without_propagation = propagation.unwrap_or(made.without_propagation);
    }
    if let Some(TelemetryProvider::Collector(collector)) =
        provider.and_then(|name| settings.provider(name))
    {
        made.collector = Some(collector.clone());
    }
    Some(made).filter(|made| *made != TracingRule::default())
}
