//! Standard metrics as Telemetry objects want them shown. Nothing of it is done when something is
//! counted: labels that are left out and metrics that are off cost nothing but at a scrape.

use std::collections::HashMap;
use std::sync::Arc;

use mesh_proxy_core::ir::{Metric, MetricRule, TelemetryRules};
use mesh_proxy_core::labels::{ConnectionLabels, Reporter, RequestLabels, UNKNOWN};

use super::rules::Tags;
use super::series::Totals;

/// Labels as they are shown.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(super) struct LabelList(Vec<(Name, Box<str>)>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    Standard(&'static str),
    Added(Arc<str>),
}

/// A label set of a standard metric.
pub(super) trait Labelled {
    fn connection(&self) -> &ConnectionLabels;
    fn each_label(&self, write: &mut dyn FnMut(&'static str, &str));
}

impl Labelled for RequestLabels {
    fn connection(&self) -> &ConnectionLabels {
        &self.connection
    }

    fn each_label(&self, write: &mut dyn FnMut(&'static str, &str)) {
        self.each(write);
    }
}

impl Labelled for ConnectionLabels {
    fn connection(&self) -> &ConnectionLabels {
        self
    }

    fn each_label(&self, write: &mut dyn FnMut(&'static str, &str)) {
        self.each(write);
    }
}

/// The series of a metric where rules change it; nothing where none does.
pub(super) fn changed<L: Labelled, T: Totals>(
    rules: Option<&TelemetryRules>,
    metric: Metric,
    all: &HashMap<(L, Tags), T>,
) -> Option<HashMap<LabelList, T>> {
    let rules = rules?;
    let of = |reporter| rules.side(reporter).metrics.of(metric);
    let sides = [Reporter::Source, Reporter::Destination];
    if sides.into_iter().all(|reporter| of(reporter).is_none()) {
        return None;
    }
    let mut groups: HashMap<LabelList, T> = HashMap::new();
    for ((labels, tags), totals) in all {
        let rule = of(labels.connection().reporter);
        if !rule.is_some_and(|rule| rule.disabled) {
            let list = LabelList::new(labels, tags, rule);
            groups.entry(list).or_default().add(totals);
        }
    }
    Some(groups)
}

// === impl LabelList ===

impl LabelList {
    fn new(labels: &impl Labelled, tags: &Tags, rule: Option<&MetricRule>) -> Self {
        let rules = rule.map_or(&[][..], |rule| &rule.tags);
        let value = |source: &str| {
            let known = tags.as_ref().and_then(|tags| tags.get(source));
            // What was counted before the rule came has no value.
            known.unwrap_or(UNKNOWN).into()
        };
        let mut list = Vec::new();
        labels.each_label(&mut |name, text| {
            let rule = rules.iter().find(|(changed, _)| **changed == *name);
            let shown = match rule {
                None => text.into(),
                Some((_, None)) => return,
                Some((_, Some(source))) => value(source),
            };
            list.push((Name::Standard(name), shown));
        });
        for (name, source) in rules {
            let is_there = list.iter().any(|(known, _)| known.as_str() == &**name);
            if let Some(source) = source.as_ref().filter(|_| !is_there) {
                list.push((Name::Added(Arc::clone(name)), value(source)));
            }
        }
        Self(list)
    }

    /// Calls `write` with each label's name and value.
    pub(super) fn each(&self, mut write: impl FnMut(&str, &str)) {
        for (name, value) in &self.0 {
            write(name.as_str(), value);
        }
    }
}

// === impl Name ===

impl Name {
    fn as_str(&self) -> &str {
        match self {
            Self::Standard(name) => name,
            Self::Added(name) => name,
        }
    }
}
