//! Opaque bytes between a client and a server, recorded.

use std::cell::Cell;
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mesh_proxy_core::ir::{TelemetryRules, TelemetrySide};
use mesh_proxy_core::labels::{
    ConnectionLabels, PeerLabels, Reporter, RequestProtocol, SecurityPolicy, ServiceLabels,
};
use mesh_proxy_core::trace::{self, SpanContext};
use mesh_proxy_core::{Reason, ResponseFlags};
use tokio::io::AsyncWriteExt as _;

use crate::authz::Decision;
use crate::clock;
use crate::net::{Ending, RelayLimits, RelayMeter, Stream, relay, reset};
use crate::telemetry::{FlowRecord, TcpCounters, TcpRecord, trace_fraction};
use crate::worker::Worker;

/// Silence after which a connection is given up (Envoy's `idle_timeout` of the TCP proxy).
pub const LIMITS: RelayLimits = RelayLimits {
    idle: Duration::from_secs(3600),
    half_closed: Duration::from_secs(600),
};

// Long connections show their bytes in the metrics before they end.
const PROGRESS: Duration = Duration::from_secs(10);

// A client that was told why it is refused has hung up by then.
const FAREWELL: Duration = Duration::from_secs(1);

/// One connection of opaque bytes, from its acceptance to its end.
pub struct Carriage {
    worker: Rc<Worker>,
    start: SystemTime,
    began: Instant,
    rules: Option<Arc<TelemetryRules>>,
    /// Which side this proxy is on.
    pub reporter: Reporter,
    /// Who calls.
    pub source: Arc<PeerLabels>,
    /// Who is called.
    pub destination: Arc<PeerLabels>,
    /// Which service is called.
    pub service: Arc<ServiceLabels>,
    /// How the connection between the proxies is secured.
    pub security: SecurityPolicy,
    /// Address that the caller connected to.
    pub local: Option<SocketAddr>,
    /// Address of the caller.
    pub remote: Option<SocketAddr>,
    /// Server name of the caller's TLS; may be empty.
    pub server_name: String,
    /// Name of the route; may be empty.
    pub route: String,
    /// Name of the cluster; may be empty.
    pub cluster: String,
    /// Address of the endpoint; may be empty.
    pub host: String,
    /// How long it may be silent.
    pub limits: RelayLimits,
    /// What policies decided, last of all.
    pub decision: Rc<Cell<Option<Box<Decision>>>>,
}

/// A connection that counts as open. Dropped before its end is told, it was cut when the time to
/// drain was over.
struct Open {
    carriage: Box<Carriage>,
    labels: ConnectionLabels,
    // Absent once the end was told.
    counters: Option<TcpCounters>,
    meter: RelayMeter,
    upstream_local: Option<SocketAddr>,
}

// === impl Carriage ===

impl Carriage {
    /// Begins with an accepted connection.
    pub fn begin(worker: &Rc<Worker>, reporter: Reporter, client: &Stream) -> Box<Self> {
        // Each of the futures that pass it on would hold all of it.
        Box::new(Self {
            worker: Rc::clone(worker),
            start: clock::wall(),
            began: clock::monotonic(),
            rules: worker.telemetry_rules(),
            reporter,
            source: PeerLabels::unknown(),
            destination: PeerLabels::unknown(),
            service: ServiceLabels::unknown(),
            security: SecurityPolicy::None,
            local: client.local_addr(),
            remote: client.peer_addr(),
            server_name: String::new(),
            route: String::new(),
            cluster: String::new(),
            host: String::new(),
            limits: LIMITS,
            decision: Rc::default(),
        })
    }

    /// It was accepted earlier: what it carries and whether it may was to be found out first.
    pub fn since(&mut self, arrived: Instant) {
        let earlier = self.began.saturating_duration_since(arrived);
        self.start = self.start.checked_sub(earlier).unwrap_or(self.start);
        self.began = arrived;
    }

    /// Carries bytes until the connection ends or `cut` gives a reason to end it.
    pub async fn carry(
        self: Box<Self>,
        mut client: Stream,
        mut server: Stream,
        mut cut: impl Future<Output = Reason> + Unpin,
    ) {
        let mut open = Open::begin(self, ResponseFlags::NONE, server.local_addr());
        let mut cause = None;
        let ending = {
            let (meter, counters) = (&open.meter, &mut open.counters);
            let cancelled = async {
                loop {
                    tokio::select! {
                        reason = &mut cut => {
                            cause = Some(reason);
                            return;
                        }
                        () = tokio::time::sleep(PROGRESS) => {
                            if let Some(counters) = counters {
                                counters.progress(meter.from_client(), meter.from_server());
                            }
                        }
                    }
                }
            };
            relay(
                &mut client,
                &mut server,
                open.carriage.limits,
                meter,
                cancelled,
            )
            .await
        };
        let failure = match &ending {
            Ending::Server(error) => error.to_string(),
            _ => String::new(),
        };
        let (reason, broken) = match ending {
            Ending::Closed => (None, false),
            Ending::Idle => (Some(Reason::IdleTimeout), false),
            Ending::Cancelled => (cause, true),
            Ending::Client(_) => (Some(Reason::DownstreamDisconnected), true),
            Ending::Server(_) => (Some(Reason::UpstreamConnectionClosed), true),
        };
        open.end(reason, &failure);
        if broken {
            // Whoever is still there learns that this was no orderly end.
            reset(client);
            reset(server);
        }
    }

    /// The connection was refused, or no server could be reached: it is reset.
    pub fn refuse(self: Box<Self>, client: Stream, reason: Reason, failure: &str) {
        self.refused(reason, failure);
        reset(client);
    }

    /// The connection was refused and the client was told: it ends in order.
    pub async fn refuse_in_order(self: Box<Self>, mut client: Stream, reason: Reason) {
        self.refused(reason, "");
        let _ = tokio::time::timeout(FAREWELL, async {
            client.shutdown().await?;
            // What the client still sends would make the kernel reset the connection, and the
            // client lose what it was told.
            tokio::io::copy(&mut client, &mut tokio::io::sink()).await
        })
        .await;
    }

    /// The connection was refused. Whoever refuses it tells the client.
    pub fn refused(self: Box<Self>, reason: Reason, failure: &str) {
        tracing::debug!(%reason, failure, remote = ?self.remote, local = ?self.local, "connection refused");
        Open::begin(self, reason.flags(), None).end(Some(reason), failure);
    }

    // Without a decision there is no span: the trace store is not for what nobody asks about.
    fn span(&self, decision: Option<&Decision>) -> Option<SpanContext> {
        decision?;
        let rule = self.telemetry().and_then(|rules| rules.tracing.as_ref());
        let fraction = trace_fraction(rule, self.worker.shared.settings.tracing.as_ref())?;
        trace::root(fraction, &mut *self.worker.rng.borrow_mut())
    }

    fn labels(&self, flags: ResponseFlags) -> ConnectionLabels {
        ConnectionLabels {
            reporter: self.reporter,
            source: Arc::clone(&self.source),
            destination: Arc::clone(&self.destination),
            service: Arc::clone(&self.service),
            protocol: RequestProtocol::Tcp,
            flags,
            security: self.security,
        }
    }

    fn telemetry(&self) -> Option<&TelemetrySide> {
        let rules = self.rules.as_ref()?;
        Some(rules.side(self.reporter))
    }

    fn flow(&self) -> FlowRecord<'_> {
        let duration = clock::monotonic().duration_since(self.began);
        FlowRecord {
            upstream_host: &self.host,
            upstream_cluster: &self.cluster,
            downstream_local: self.local,
            downstream_remote: self.remote,
            server_name: &self.server_name,
            route: &self.route,
            telemetry: self.telemetry(),
            ..FlowRecord::new(self.start, duration)
        }
    }
}

// === impl Open ===

impl Open {
    fn begin(
        carriage: Box<Carriage>,
        flags: ResponseFlags,
        upstream_local: Option<SocketAddr>,
    ) -> Self {
        let labels = carriage.labels(flags);
        Self {
            counters: Some(
                carriage
                    .worker
                    .recorder
                    .tcp_opened(&labels, carriage.telemetry()),
            ),
            labels,
            carriage,
            meter: RelayMeter::default(),
            upstream_local,
        }
    }

    /// Records the connection.
    fn end(&mut self, reason: Option<Reason>, failure: &str) {
        let Some(counters) = self.counters.take() else {
            return;
        };
        let worker = &self.carriage.worker;
        if let Some(reason) = reason {
            worker.shared.telemetry.stages.reason(reason);
        }
        self.labels.flags = reason.map_or(ResponseFlags::NONE, Reason::flags);
        let decision = self.carriage.decision.take();
        let flow = FlowRecord {
            reason,
            decision: decision.as_deref(),
            upstream_failure: failure,
            bytes_received: self.meter.from_client(),
            bytes_sent: self.meter.from_server(),
            upstream_local: self.upstream_local,
            ..self.carriage.flow()
        };
        let record = TcpRecord {
            labels: &self.labels,
            span: self.carriage.span(flow.decision),
            flow,
        };
        worker.recorder.record_tcp(counters, &record);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.end(Some(Reason::Draining), "");
    }
}
