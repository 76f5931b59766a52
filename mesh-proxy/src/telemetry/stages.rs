//! The proxy's own metrics, `mesh_*`, named after the stages of the data path and the parts of
//! the control side. Labels are closed lists.

use std::sync::atomic::AtomicI64;

use mesh_proxy_core::Reason;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::resilience::Resilience;
use crate::authz::DecisionLabel;

/// Counters of all stages. Cheap to clone; the clones share their numbers.
#[derive(Clone)]
pub struct Stages {
    /// Connections accepted, by listener.
    pub accepted: Family<ListenerLabel, Counter>,
    /// Connections open now, by listener.
    pub open: Family<ListenerLabel, Gauge>,
    /// TLS handshakes by side and result.
    pub handshakes: Family<TlsLabel, Counter>,
    /// Requests and connections that the proxy refused, answered or gave up, by reason.
    pub reasons: Family<ReasonLabel, Counter>,
    /// What policies decided, by policy and rule.
    pub decisions: Family<DecisionLabel, Counter>,
    /// Connections opened to endpoints.
    pub connects: Counter,
    /// Requests sent on a connection that was open already.
    pub reused: Counter,
    /// Tries after the first.
    pub retries: Counter,
    /// Endpoints taken out of the choice.
    pub ejections: Counter,
    /// Requests that waited for configuration on demand.
    pub waits: Counter,
    /// Responses of the control plane that were applied.
    pub applied: Counter,
    /// Resources of the control plane that were refused.
    pub rejected: Counter,
    /// Attempts to reach the control plane.
    pub control_connects: Counter,
    /// Whether the discovery stream is open: 1 or 0.
    pub control_connected: Gauge,
    /// Revision that the proxy runs.
    pub revision: Gauge<i64, AtomicI64>,
    /// Certificates received.
    pub renewals: Counter,
    /// Attempts to get a certificate that failed.
    pub renewal_failures: Counter,
    /// When the certificate expires, seconds since the Unix epoch.
    pub certificate_expiry: Gauge<i64, AtomicI64>,
    /// Lines of the access log that were dropped.
    pub access_log_dropped: Counter,
    /// Spans that reached the collector.
    pub spans_exported: Counter,
    /// Spans that did not.
    pub spans_dropped: Counter,
    /// Records counted under anonymous labels, because there were too many label sets.
    pub series_overflow: Counter,
    /// Limits, protection against overload, and health checks.
    pub resilience: Resilience,
}

/// Label `listener`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ListenerLabel {
    /// Which kind of listener.
    pub listener: Listener,
}

/// Kinds of listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listener {
    /// Explicit proxy.
    Explicit,
    /// Captured outgoing connections.
    Outbound,
    /// Calls to the workload.
    Inbound,
    /// Calls to the workload by HBONE.
    Hbone,
    /// A gateway's port.
    Gateway,
}

/// Labels `side` and `result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TlsLabel {
    /// Which side of the handshake the proxy was on.
    pub side: TlsSide,
    /// What came of it.
    pub result: TlsResult,
}

/// Side of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsSide {
    /// The proxy accepted.
    Server,
    /// The proxy connected to a mesh peer.
    Client,
    /// The proxy connected to a server outside of the mesh.
    Origination,
}

/// Result of a handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsResult {
    /// It succeeded.
    Ok,
    /// It failed.
    Failed,
}

/// Label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ReasonLabel(pub Reason);

macro_rules! label_values {
    ($($type:ident { $($variant:ident => $text:literal),* })*) => {$(
        impl EncodeLabelValue for $type {
            fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> std::fmt::Result {
                let text = match self { $(Self::$variant => $text,)* };
                EncodeLabelValue::encode(&text, encoder)
            }
        }
    )*};
}

label_values! {
    Listener { Explicit => "explicit", Outbound => "outbound", Inbound => "inbound", Hbone => "hbone", Gateway => "gateway" }
    TlsSide { Server => "server", Client => "client", Origination => "origination" }
    TlsResult { Ok => "ok", Failed => "failed" }
}

impl EncodeLabelSet for ReasonLabel {
    fn encode(
        &self,
        encoder: &mut prometheus_client::encoding::LabelSetEncoder<'_>,
    ) -> std::fmt::Result {
        [("reason", self.0.as_str())].encode(encoder)
    }
}

// === impl Stages ===

impl Stages {
    /// Makes and registers them.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let stages = Self::unregistered();
        stages.register_counters(registry);
        stages.resilience.register(registry);
        let connected = &stages.control_connected;
        registry.register(
            "mesh_accept",
            "Connections accepted",
            stages.accepted.clone(),
        );
        registry.register(
            "mesh_accept_open",
            "Connections open now",
            stages.open.clone(),
        );
        registry.register(
            "mesh_tls_handshakes",
            "TLS handshakes",
            stages.handshakes.clone(),
        );
        registry.register(
            "mesh_reasons",
            "What the proxy refused, answered or gave up",
            stages.reasons.clone(),
        );
        registry.register(
            "mesh_authz_decisions",
            "What policies decided",
            stages.decisions.clone(),
        );
        registry.register(
            "mesh_discovery_connected",
            "Whether the stream is open",
            connected.clone(),
        );
        registry.register(
            "mesh_discovery_revision",
            "Revision in force",
            stages.revision.clone(),
        );
        let expiry = stages.certificate_expiry.clone();
        registry.register(
            "mesh_certificate_expiry_seconds",
            "When it expires, in Unix time",
            expiry,
        );
        stages
    }

    fn register_counters(&self, registry: &mut Registry) {
        let counters: [(&str, &str, &Counter); 14] = [
            (
                "mesh_connect",
                "Connections opened to endpoints",
                &self.connects,
            ),
            (
                "mesh_connect_reused",
                "Requests sent on connections already open",
                &self.reused,
            ),
            ("mesh_retry", "Tries after the first", &self.retries),
            (
                "mesh_balance_ejections",
                "Endpoints taken out of the choice",
                &self.ejections,
            ),
            (
                "mesh_demand_waits",
                "Requests that waited for configuration",
                &self.waits,
            ),
            (
                "mesh_discovery_applied",
                "Responses of the control plane applied",
                &self.applied,
            ),
            (
                "mesh_discovery_rejected",
                "Resources of the control plane refused",
                &self.rejected,
            ),
            (
                "mesh_discovery_connects",
                "Attempts to reach the control plane",
                &self.control_connects,
            ),
            (
                "mesh_certificate_renewals",
                "Certificates received",
                &self.renewals,
            ),
            (
                "mesh_certificate_failures",
                "Failed attempts to get a certificate",
                &self.renewal_failures,
            ),
            (
                "mesh_access_log_dropped",
                "Lines of the access log dropped",
                &self.access_log_dropped,
            ),
            (
                "mesh_spans_exported",
                "Spans that reached the collector",
                &self.spans_exported,
            ),
            (
                "mesh_spans_dropped",
                "Spans that did not reach the collector",
                &self.spans_dropped,
            ),
            (
                "mesh_telemetry_overflow",
                "Records under anonymous labels",
                &self.series_overflow,
            ),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
    }

    fn unregistered() -> Self {
        Self {
            accepted: Family::default(),
            open: Family::default(),
            handshakes: Family::default(),
            reasons: Family::default(),
            decisions: Family::default(),
            connects: Counter::default(),
            reused: Counter::default(),
            retries: Counter::default(),
            ejections: Counter::default(),
            waits: Counter::default(),
            applied: Counter::default(),
            rejected: Counter::default(),
            control_connects: Counter::default(),
            control_connected: Gauge::default(),
            revision: Gauge::default(),
            renewals: Counter::default(),
            renewal_failures: Counter::default(),
            certificate_expiry: Gauge::default(),
            access_log_dropped: Counter::default(),
            spans_exported: Counter::default(),
            spans_dropped: Counter::default(),
            series_overflow: Counter::default(),
            resilience: Resilience::default(),
        }
    }

    /// Counts an accepted connection and returns what counts its end.
    pub fn accepted(&self, listener: Listener) -> OpenConnection {
        let label = ListenerLabel { listener };
        self.accepted.get_or_create(&label).inc();
        let open = self.open.get_or_create(&label).clone();
        open.inc();
        OpenConnection(open)
    }

    /// Counts a handshake.
    pub fn handshake(&self, side: TlsSide, result: TlsResult) {
        self.handshakes
            .get_or_create(&TlsLabel { side, result })
            .inc();
    }

    /// Counts something that the proxy refused, answered or gave up.
    pub fn reason(&self, reason: Reason) {
        self.reasons.get_or_create(&ReasonLabel(reason)).inc();
    }
}

/// An open connection. Dropping it counts it as closed.
#[must_use = "the connection counts as closed when this is dropped"]
pub struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}
