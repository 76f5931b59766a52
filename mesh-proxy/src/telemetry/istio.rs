//! Istio's standard metrics, added up from the shards when they are scraped.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};

use mesh_proxy_core::labels::{ConnectionLabels, Reporter, RequestLabels, SecurityPolicy};
use prometheus_client::collector;
use prometheus_client::encoding::{
    DescriptorEncoder, EncodeLabelKey, EncodeLabelSet, EncodeLabelValue, LabelSetEncoder,
    NoLabelSet,
};
use prometheus_client::metrics::MetricType;

use super::Hub;
use super::histogram::BucketTotals;
use super::series::{RequestTotals, TcpTotals, group};

/// Writes the shards of one [`Hub`].
pub(super) struct Collector {
    // The hub holds the registry that holds this.
    hub: Weak<Hub>,
}

struct RequestSet<'a>(&'a RequestLabels);
struct ConnectionSet<'a>(&'a ConnectionLabels);

// A label set being written, and the first failure.
struct Writer<'e, 'a> {
    encoder: &'e mut LabelSetEncoder<'a>,
    result: fmt::Result,
}

// Name, help, and where the numbers are.
type Part<F> = (&'static str, &'static str, F);
type Histogram = fn(&RequestTotals) -> &BucketTotals;
type Count = fn(&TcpTotals) -> u64;
type Requests = HashMap<RequestLabels, RequestTotals>;
type Connections = HashMap<ConnectionLabels, TcpTotals>;

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
        // The source's proxy does not report the security, so its series differ no more.
        let requests: Requests = group(merged.requests.into_iter().map(|(mut labels, totals)| {
            hide_security(&mut labels.connection);
            (labels, totals)
        }));
        let connections: Connections = group(merged.tcp.into_iter().map(|(mut labels, totals)| {
            hide_security(&mut labels);
            (labels, totals)
        }));
        encode_requests(&mut encoder, &requests)?;
        encode_connections(&mut encoder, &connections)
    }
}

fn hide_security(labels: &mut ConnectionLabels) {
    if labels.reporter == Reporter::Source {
        labels.security = SecurityPolicy::Unknown;
    }
}

fn encode_requests(encoder: &mut DescriptorEncoder<'_>, requests: &Requests) -> fmt::Result {
    if requests.is_empty() {
        return Ok(());
    }
    let mut total =
        encoder.encode_descriptor("istio_requests", "Requests", None, MetricType::Counter)?;
    for (labels, totals) in requests {
        total
            .encode_family(&RequestSet(labels))?
            .encode_counter::<NoLabelSet, u64, f64>(&totals.total, None)?;
    }
    let histograms: [Part<Histogram>; 3] = [
        (
            "istio_request_duration_milliseconds",
            "Duration of requests in milliseconds",
            |t| &t.duration,
        ),
        (
            "istio_request_bytes",
            "Size of request bodies in bytes",
            |t| &t.request_bytes,
        ),
        (
            "istio_response_bytes",
            "Size of response bodies in bytes",
            |t| &t.response_bytes,
        ),
    ];
    for (name, help, part) in histograms {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, totals) in requests {
            let part = part(totals);
            family
                .encode_family(&RequestSet(labels))?
                .encode_histogram::<NoLabelSet>(part.sum, part.count(), &part.buckets(), None)?;
        }
    }
    Ok(())
}

fn encode_connections(
    encoder: &mut DescriptorEncoder<'_>,
    connections: &Connections,
) -> fmt::Result {
    if connections.is_empty() {
        return Ok(());
    }
    let counters: [Part<Count>; 4] = [
        (
            "istio_tcp_connections_opened",
            "TCP connections opened",
            |t| t.opened,
        ),
        (
            "istio_tcp_connections_closed",
            "TCP connections closed",
            |t| t.closed,
        ),
        (
            "istio_tcp_received_bytes",
            "Bytes received over TCP connections",
            |t| t.received,
        ),
        (
            "istio_tcp_sent_bytes",
            "Bytes sent over TCP connections",
            |t| t.sent,
        ),
    ];
    for (name, help, part) in counters {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
        for (labels, totals) in connections {
            family
                .encode_family(&ConnectionSet(labels))?
                .encode_counter::<NoLabelSet, u64, f64>(&part(totals), None)?;
        }
    }
    Ok(())
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

impl EncodeLabelSet for RequestSet<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let mut writer = Writer {
            encoder,
            result: Ok(()),
        };
        self.0.each(|name, value| writer.write(name, value));
        writer.result
    }
}

impl EncodeLabelSet for ConnectionSet<'_> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        let mut writer = Writer {
            encoder,
            result: Ok(()),
        };
        self.0.each(|name, value| writer.write(name, value));
        writer.result
    }
}
