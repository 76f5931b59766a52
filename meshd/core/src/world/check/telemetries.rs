//! Telemetry objects that get in each other's way (IST0159, IST0160), and providers that are of no
//! use (IST0157).

use std::collections::HashMap;

use super::super::objects::Objects;
use super::Findings;
use super::policies::selector;
use crate::model::{ProviderName, TelemetryObject, selects};
use crate::problem::code;
use crate::settings::TelemetryProvider;

/// What a provider is named for.
#[derive(Clone, Copy)]
enum Purpose {
    Metrics,
    Log,
    Tracing,
}

pub(super) fn check(found: &mut Findings<'_>, objects: &Objects) {
    let mut wide: HashMap<&str, &TelemetryObject> = HashMap::new();
    for (index, object) in objects.telemetries.iter().enumerate() {
        let namespace = object.meta.namespace();
        selector(found, &object.meta, &object.placement.selector);
        if !object.placement.is_wide() {
            let older = objects.telemetries.iter().take(index);
            overlap(found, older.map(AsRef::as_ref), object);
        } else if let Some(first) = wide.get(namespace) {
            let message = format!(
                "The Telemetries {} and {} have no workload selector; the older one holds",
                first.meta.full_name(),
                object.meta.full_name()
            );
            let code = code::TELEMETRIES_WITHOUT_SELECTORS;
            found.warn(&object.meta.origin, code, message);
        } else {
            wide.insert(namespace, object);
        }
        providers(found, object);
    }
}

/// Whether a workload is selected by an older one, too.
fn overlap<'a>(
    found: &mut Findings<'_>,
    mut older: impl Iterator<Item = &'a TelemetryObject>,
    object: &TelemetryObject,
) {
    let namespace = object.meta.namespace();
    let mine = &object.placement.selector;
    let clash = older.find(|other| {
        let theirs = &other.placement.selector;
        other.meta.namespace() == namespace
            && !mine.is_empty()
            && !theirs.is_empty()
            && found.world.workloads.iter().any(|workload| {
                workload.namespace == namespace
                    && selects(mine, &workload.labels)
                    && selects(theirs, &workload.labels)
            })
    });
    if let Some(other) = clash {
        let message = format!(
            "The Telemetries {} and {} select the same workloads; what the younger one says counts more",
            other.meta.full_name(),
            object.meta.full_name()
        );
        let code = code::CONFLICTING_TELEMETRY_SELECTORS;
        found.warn(&object.meta.origin, code, message);
    }
}

fn providers(found: &mut Findings<'_>, object: &TelemetryObject) {
    for rule in &object.metrics {
        named(found, &rule.providers, Purpose::Metrics);
    }
    for rule in &object.access_logs {
        named(found, &rule.providers, Purpose::Log);
        let inherits = !found.world.settings.telemetry.access_logging.is_empty();
        if rule.providers.is_empty() && rule.disabled.is_none() && !inherits {
            let message = format!(
                "The Telemetry {} in namespace \"{}\" with empty providers will be ignored, unless one of a wider level names them; write `providers: [{{name: envoy}}]`",
                object.meta.name(),
                object.meta.namespace()
            );
            found.warn(&rule.origin, code::INVALID_TELEMETRY_PROVIDER, message);
        }
    }
    for rule in &object.tracing {
        named(found, &rule.providers, Purpose::Tracing);
    }
}

fn named(found: &mut Findings<'_>, providers: &[ProviderName], purpose: Purpose) {
    for ProviderName { name, origin } in providers {
        let known = found.world.settings.telemetry.provider(name);
        let why = match (purpose, known) {
            (Purpose::Metrics, Some(TelemetryProvider::Prometheus))
            | (Purpose::Log, Some(TelemetryProvider::FileLog))
            | (Purpose::Tracing, Some(TelemetryProvider::Collector(_))) => continue,
            (_, None) => "no extensionProvider of the mesh configuration has this name".to_owned(),
            (_, Some(TelemetryProvider::Unusable(why))) => why.clone(),
            (_, Some(_)) => "it is for something else".to_owned(),
        };
        let (what, consequence) = match purpose {
            Purpose::Metrics => (
                "metrics",
                "without a provider of Prometheus there are no metrics",
            ),
            Purpose::Log => ("accessLogging", "the log is as if it were not named"),
            Purpose::Tracing => (
                "tracing",
                "spans go where proxies were started to send them",
            ),
        };
        let message = format!("{what}: the provider `{name}` cannot be used: {why}; {consequence}");
        found.warn(origin, code::INVALID_TELEMETRY_PROVIDER, message);
    }
}
