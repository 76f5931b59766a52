//! Istio's standard metrics, added up from the shards when they are scraped.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, Weak};

use mesh_proxy_core::ir::{Metric, TelemetryRules};
use mesh_proxy_core::labels::{ConnectionLabels, Reporter, RequestLabels, SecurityPolicy};
use prometheus_client::collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelKey, EncodeLabelSet, EncodeLabelValue, LabelSetEncoder,
    NoLabelSet,
};
use prometheus_client::metrics::MetricType;

use super::Hub;
use super::histogram::BucketTotals;
use super::rules::Tags;
use super::series::{RequestTotals, TcpTotals, Totals, group};
use super::shown::{self, LabelList, Labelled};

/// Writes the shards of one [`Hub`].
pub(super) struct Collector {
    // The hub holds the registry that holds this.
    hub: Weak<Hub>,
}

enum Labels<'a> {
    Standard(&'a dyn Labelled),
    Listed(&'a LabelList),
}

// A label set being written, and the first failure.
struct Writer<'e, 'a> {
    encoder: &'e mut LabelSetEncoder<'a>,
    result: fmt::Result,
}

// Which metric, its name and help, and where the numbers are.
type Part<F> = (Metric, &'static str, &'static str, F);
type Histogram = fn(&RequestTotals) -> &BucketTotals;
type Count = fn(&TcpTotals) -> u64;

// The series of one kind of records: as they are, and, where there are rules, with the values that
// these ask for.
struct Series<L, T> {
    plain: HashMap<L, T>,
    tagged: HashMap<(L, Tags), T>,
}

// === impl Collector ===

impl Collector {
    pub(super) fn new(hub: &Arc<Hub>) -> Self {
        Self {
            hub: Arc::downgrade(hub),
        }
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Collector")
    }
}

impl collector::Collector for Collector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Some(hub) = self.hub.upgrade() else {
            return Ok(());
        };
        let merged = hub.merged();
        let rules = hub.rules();
        // The source's proxy does not report the security, so its series differ no more.
        let with_tags = rules.is_some();
        let requests = merged
            .requests
            .into_iter()
            .map(|((mut labels, tags), totals)| {
                hide_security(&mut labels.connection);
                ((labels, tags), totals)
            });
        let connections = merged.tcp.into_iter().map(|((mut labels, tags), totals)| {
            hide_security(&mut labels);
            ((labels, tags), totals)
        });
        let requests = Series::new(requests, with_tags);
        let connections = Series::new(connections, with_tags);
        encode_requests(&mut encoder, &requests, rules.as_deref())?;
        encode_connections(&mut encoder, &connections, rules.as_deref())
    }
}

// === impl Series ===

impl<L: Clone + Eq + Hash, T: Totals + Clone> Series<L, T> {
    fn new(all: impl Iterator<Item = ((L, Tags), T)>, with_tags: bool) -> Self {
        if !with_tags {
            return Self {
                plain: group(all.map(|((labels, _), totals)| (labels, totals))),
                tagged: HashMap::new(),
            };
        }
        let tagged = group(all);
        let plain = tagged
            .iter()
            .map(|((labels, _), totals)| (labels.clone(), totals.clone()));
        Self {
            plain: group(plain),
            tagged,
        }
    }
}

fn hide_security(labels: &mut ConnectionLabels) {
    if labels.reporter == Reporter::Source {
        labels.security = SecurityPolicy::Unknown;
    }
}

fn encode_requests(
    encoder: &mut DescriptorEncoder<'_>,
    requests: &Series<RequestLabels, RequestTotals>,
    rules: Option<&TelemetryRules>,
) -> fmt::Result {
    if requests.plain.is_empty() {
        return Ok(());
    }
    let mut total =
        encoder.encode_descriptor("istio_requests", "Requests", None, MetricType::Counter)?;
    let mut count = |labels: &Labels<'_>, totals: &RequestTotals| {
        total
            .encode_family(labels)?
            .encode_counter::<NoLabelSet, u64, f64>(&totals.total, None)
    };
    each(requests, rules, Metric::RequestCount, &mut count)?;
    let histograms: [Part<Histogram>; 3] = [
        (
            Metric::RequestDuration,
            "istio_request_duration_milliseconds",
            "Duration of requests in milliseconds",
            |t| &t.duration,
        ),
        (
            Metric::RequestSize,
            "istio_request_bytes",
            "Size of request bodies in bytes",
            |t| &t.request_bytes,
        ),
        (
            Metric::ResponseSize,
            "istio_response_bytes",
            "Size of response bodies in bytes",
            |t| &t.response_bytes,
        ),
    ];
    for (metric, name, help, part) in histograms {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        each(requests, rules, metric, &mut |labels, totals| {
            let part = part(totals);
            family
                .encode_family(labels)?
                .encode_histogram::<NoLabelSet>(part.sum, part.count(), &part.buckets(), None)
        })?;
    }
    Ok(())
}

fn encode_connections(
    encoder: &mut DescriptorEncoder<'_>,
    connections: &Series<ConnectionLabels, TcpTotals>,
    rules: Option<&TelemetryRules>,
) -> fmt::Result {
    if connections.plain.is_empty() {
        return Ok(());
    }
    let counters: [Part<Count>; 4] = [
        (
            Metric::TcpOpened,
            "istio_tcp_connections_opened",
            "TCP connections opened",
            |t| t.opened,
        ),
        (
            Metric::TcpClosed,
            "istio_tcp_connections_closed",
            "TCP connections closed",
            |t| t.closed,
        ),
        (
            Metric::TcpReceived,
            "istio_tcp_received_bytes",
            "Bytes received over TCP connections",
            |t| t.received,
        ),
        (
            Metric::TcpSent,
            "istio_tcp_sent_bytes",
            "Bytes sent over TCP connections",
            |t| t.sent,
        ),
    ];
    for (metric, name, help, part) in counters {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        each(connections, rules, metric, &mut |labels, totals| {
            family
                .encode_family(labels)?
                .encode_counter::<NoLabelSet, u64, f64>(&part(totals), None)
        })?;
    }
    Ok(())
}

/// All series of a metric, as rules want them shown.
fn each<L: Labelled, T: Totals>(
    series: &Series<L, T>,
    rules: Option<&TelemetryRules>,
    metric: Metric,
    write: &mut dyn FnMut(&Labels<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    if let Some(changed) = shown::changed(rules, metric, &series.tagged) {
        let mut all = changed.iter();
        return all.try_for_each(|(labels, totals)| write(&Labels::Listed(labels), totals));
    }
    let mut all = series.plain.iter();
    all.try_for_each(|(labels, totals)| write(&Labels::Standard(labels), totals))
}

// === impl label sets ===

impl Writer<'_, '_> {
    fn write(&mut self, name: &str, value: &str) {
        if self.result.is_ok() {
            self.result = self.try_write(name, value);
        }
    }

    fn try_write(&mut self, name: &str, value: &str) -> fmt::Result {
        let mut label = self.encoder.encode_label();
        let mut key = label.encode_label_key()?;
        EncodeLabelKey::encode(&name, &mut key)?;
        let mut text = key.encode_label_value()?;
        EncodeLabelValue::encode(&value, &mut text)?;
        text.finish()
    }
}

impl EncodeLabelSet for Labels<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let mut writer = Writer {
            encoder,
            result: Ok(()),
        };
        match self {
            Self::Standard(labels) => {
                labels.each_label(&mut |name, value| writer.write(name, value));
            }
            Self::Listed(labels) => labels.each(|name, value| writer.write(name, value)),
        }
        writer.result
    }
}
