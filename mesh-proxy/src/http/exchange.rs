//! What is told of a request when it has ended.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::header::{HOST, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Uri, Version};
use mesh_proxy_core::filter::is_grpc;
use mesh_proxy_core::labels::{
    ConnectionLabels, PeerLabels, Reporter, RequestLabels, RequestProtocol, SecurityPolicy,
    ServiceLabels,
};
use mesh_proxy_core::trace::{self, SpanContext};
use mesh_proxy_core::{Reason, ResponseFlags};

use super::BodySource;
use super::headers::{X_FORWARDED_FOR, X_REQUEST_ID, ensure_request_id};
use crate::authz::Decision;
use crate::clock;
use crate::telemetry::{FlowRecord, RequestRecord, RequestRules, trace_fraction};
use crate::worker::Worker;

/// What all requests of one connection have in common.
#[derive(Clone)]
pub struct Downstream {
    /// Which side this proxy is on.
    pub reporter: Reporter,
    /// Who calls.
    pub source: Arc<PeerLabels>,
    /// Who is called, as far as it is known before a route is.
    pub destination: Arc<PeerLabels>,
    /// The service that is called, as far as it is known before a route is.
    pub service: Arc<ServiceLabels>,
    /// How the connection between the proxies is secured.
    pub security: SecurityPolicy,
    /// Address that the caller connected to.
    pub local: Option<SocketAddr>,
    /// Address of the caller.
    pub remote: Option<SocketAddr>,
    /// Server name of the caller's TLS; may be empty.
    pub server_name: Rc<str>,
}

/// One request, from its head to the end of its response. It is recorded when it is
/// [finished](Self::finish), or dropped because the client is gone.
pub struct Exchange {
    worker: Rc<Worker>,
    /// Which connection it came on, and who calls.
    pub downstream: Downstream,
    start: SystemTime,
    began: Instant,
    method: Method,
    uri: Uri,
    version: Version,
    authority: Option<HeaderValue>,
    forwarded_for: Option<HeaderValue>,
    user_agent: Option<HeaderValue>,
    request_id: Option<HeaderValue>,
    span: Option<SpanContext>,
    // Of Telemetry objects; absent without any.
    rules: Option<Box<RequestRules>>,
    grpc: bool,
    flags: ResponseFlags,
    reason: Option<Reason>,
    status: u16,
    grpc_status: Option<u32>,
    sent: u64,
    body: Option<BodySource>,
    received: u64,
    /// Where it went.
    pub upstream: UpstreamFacts,
    /// What policies decided; absent if none had a say.
    pub decision: Option<Box<Decision>>,
    finished: bool,
}

/// Where a request went.
#[derive(Default)]
pub struct UpstreamFacts {
    /// Name of the route.
    pub route: Option<Arc<str>>,
    /// Name of the cluster, in Istio's form.
    pub cluster: Option<Rc<str>>,
    /// Address of the endpoint.
    pub host: Option<Rc<str>>,
    /// This proxy's address on the connection.
    pub local: Option<SocketAddr>,
    /// From the request sent to the head of the response.
    pub service_time: Option<Duration>,
    /// Why the connection failed.
    pub failure: Option<String>,
}

// === impl Exchange ===

impl Exchange {
    /// Begins with a request's head.
    pub fn begin(worker: &Rc<Worker>, downstream: Downstream, parts: &Parts) -> Box<Self> {
        let headers = &parts.headers;
        let rules = worker.telemetry_rules();
        let rules = rules.map(|rules| RequestRules::new(rules, downstream.reporter, headers));
        Box::new(Self {
            worker: Rc::clone(worker),
            rules: rules.map(Box::new),
            downstream,
            start: clock::wall(),
            began: clock::monotonic(),
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            version: parts.version,
            authority: headers.get(HOST).cloned(),
            forwarded_for: headers.get(X_FORWARDED_FOR).cloned(),
            user_agent: headers.get(USER_AGENT).cloned(),
            request_id: headers.get(X_REQUEST_ID).cloned(),
            span: None,
            grpc: is_grpc(headers),
            flags: ResponseFlags::NONE,
            reason: None,
            status: 0,
            grpc_status: None,
            sent: 0,
            body: None,
            received: 0,
            upstream: UpstreamFacts::default(),
            decision: None,
            finished: false,
        })
    }

    /// Whether the request is gRPC, by its content type.
    pub fn is_grpc(&self) -> bool {
        self.grpc
    }

    /// Version that the client speaks.
    pub fn version(&self) -> Version {
        self.version
    }

    /// When the request came.
    pub fn began(&self) -> Instant {
        self.began
    }

    /// Identifies the request, in logs and, if requests are traced, in its trace, and tells the
    /// next hop.
    pub fn identify(&mut self, headers: &mut HeaderMap) {
        let mut rng = self.worker.rng.borrow_mut();
        ensure_request_id(headers, &mut *rng);
        self.request_id = headers.get(X_REQUEST_ID).cloned();
        let rule = self.rules.as_ref();
        let rule = rule.and_then(|rules| rules.side().tracing.as_ref());
        let fraction = trace_fraction(rule, self.worker.shared.settings.tracing.as_ref());
        let tells = rule.is_none_or(|rule| !rule.without_propagation);
        self.span = fraction.map(|fraction| match tells {
            true => trace::begin(headers, fraction, &mut *rng),
            false => trace::join(headers, fraction, &mut *rng),
        });
    }

    /// The body whose bytes count as received.
    pub fn set_body(&mut self, body: BodySource) {
        self.body = Some(body);
    }

    /// Bytes that were carried after an upgrade.
    pub fn add_carried(&mut self, received: u64, sent: u64) {
        self.received += received;
        self.sent += sent;
    }

    /// Adds a flag.
    pub fn flag(&mut self, flags: ResponseFlags) {
        self.flags = self.flags.with(flags);
    }

    /// The proxy gives up for this reason.
    pub fn fail(&mut self, reason: Reason) {
        self.reason = Some(reason);
        self.flag(reason.flags());
    }

    /// The reason of a response that the proxy makes up, without its flags.
    pub fn set_reason(&mut self, reason: Reason) {
        self.reason = Some(reason);
    }

    /// The response's head.
    pub fn head(&mut self, status: u16, headers: &HeaderMap) {
        self.status = status;
        if self.grpc {
            self.trailers(headers);
        }
    }

    /// The response's trailers, or what stands for them.
    pub fn trailers(&mut self, trailers: &HeaderMap) {
        let status = trailers
            .get("grpc-status")
            .and_then(|value| value.to_str().ok());
        if let Some(code) = status.and_then(|text| text.parse().ok()) {
            self.grpc_status = Some(code);
        }
    }

    /// Bytes of the response's body.
    pub fn sent(&mut self, count: usize) {
        self.sent += count as u64;
    }

    /// The response has ended: records.
    pub fn finish(mut self: Box<Self>) {
        self.record();
    }

    /// Somebody else tells what becomes of the request.
    pub fn forget(mut self: Box<Self>) {
        self.finished = true;
    }

    fn record(&mut self) {
        self.finished = true;
        let labels = RequestLabels {
            connection: ConnectionLabels {
                reporter: self.downstream.reporter,
                source: Arc::clone(&self.downstream.source),
                destination: Arc::clone(&self.downstream.destination),
                service: Arc::clone(&self.downstream.service),
                protocol: if self.grpc {
                    RequestProtocol::Grpc
                } else {
                    RequestProtocol::Http
                },
                flags: self.flags,
                security: self.downstream.security,
            },
            response_code: self.status,
            grpc_status: self.grpc_status,
        };
        let duration = clock::monotonic().duration_since(self.began);
        let flow = FlowRecord {
            reason: self.reason,
            upstream_failure: self.upstream.failure.as_deref().unwrap_or_default(),
            bytes_received: self.received + self.body.as_ref().map_or(0, BodySource::received),
            bytes_sent: self.sent,
            upstream_host: self.upstream.host.as_deref().unwrap_or_default(),
            upstream_cluster: self.upstream.cluster.as_deref().unwrap_or_default(),
            upstream_local: self.upstream.local,
            downstream_local: self.downstream.local,
            downstream_remote: self.downstream.remote,
            server_name: &self.downstream.server_name,
            route: self.upstream.route.as_deref().unwrap_or_default(),
            decision: self.decision.as_deref(),
            telemetry: self.rules.as_deref().map(RequestRules::side),
            ..FlowRecord::new(self.start, duration)
        };
        if let Some(reason) = self.reason {
            self.worker.shared.telemetry.stages.reason(reason);
        }
        self.worker.recorder.record_request(&RequestRecord {
            labels: &labels,
            flow,
            upstream_service_time: self.upstream.service_time,
            method: self.method.as_str(),
            path: self
                .uri
                .path_and_query()
                .map_or(self.uri.path(), |path| path.as_str()),
            protocol: version_name(self.version),
            forwarded_for: as_text(self.forwarded_for.as_ref()),
            user_agent: as_text(self.user_agent.as_ref()),
            request_id: as_text(self.request_id.as_ref()),
            span: self.span,
            rules: self.rules.as_deref(),
            authority: self
                .uri
                .authority()
                .map_or_else(|| as_text(self.authority.as_ref()), |a| a.as_str()),
        });
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if !self.finished {
            self.flag(ResponseFlags::DOWNSTREAM_CONNECTION_TERMINATION);
            self.reason.get_or_insert(Reason::DownstreamDisconnected);
            self.record();
        }
    }
}

// A header with bytes beyond ASCII is left out of the log.
fn as_text(value: Option<&HeaderValue>) -> &str {
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn version_name(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}
