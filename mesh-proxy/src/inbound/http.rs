//! HTTP requests to the application.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use http::header::EXPECT;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response};
use mesh_proxy_core::ir::{self, MtlsMode, Protocol};
use mesh_proxy_core::labels::{PeerLabels, Reporter, ServiceLabels};
use mesh_proxy_core::plan;
use mesh_proxy_core::{Reason, Snapshot};

use super::{Inbound, cluster_name, security, trusts, xfcc};
use crate::admission::{Gate, Permit, Refused};
use crate::authz::{Admitted, Asker, Side};
use crate::drain::Work;
use crate::http::headers::{X_FORWARDED_PROTO, X_MESH_PEER, X_MESH_UNPROCESSED, take_hop_by_hop};
use crate::http::{
    Downstream, Exchange, Incoming, ResponseBody, Version, respond, serve as serve_http,
};
use crate::net::Stream;
use crate::tls::PeerInfo;
use crate::upstream::{AppCall, AppWay, call_app};
use crate::worker::Worker;

/// One HTTP connection of a caller.
struct Connection {
    inbound: Rc<Inbound>,
    peer: Option<Rc<PeerInfo>>,
    labels: Labels,
    way: RefCell<Way>,
    xfcc: Option<HeaderValue>,
    cluster: Rc<str>,
    // The caller's labels, and the header that told them: requests of one connection nearly
    // always come from one workload.
    source: RefCell<(Option<HeaderValue>, Arc<PeerLabels>)>,
    server_name: Rc<str>,
    gate: Arc<Gate>,
}

/// How requests get to the application, and what says so.
struct Way {
    configuration: Option<Arc<ir::Inbound>>,
    way: AppWay,
    // The application's address.
    app: Rc<str>,
}

/// What metrics say of the called workload and its service.
pub(super) struct Labels {
    pub(super) destination: Arc<PeerLabels>,
    pub(super) service: Arc<ServiceLabels>,
}

/// Serves the requests of a connection. `peer` is who its certificate says.
pub(super) async fn serve(
    inbound: Rc<Inbound>,
    stream: Stream,
    version: Version,
    peer: Option<Rc<PeerInfo>>,
) {
    let worker = Rc::clone(&inbound.worker);
    let _hold = worker.hold(Work::Http);
    let port = inbound.destination.port();
    let server_name = peer
        .as_ref()
        .and_then(|peer| peer.server_name.as_deref())
        .unwrap_or_default()
        .into();
    let own = worker.shared.identity.current();
    let connection = Rc::new(Connection {
        labels: Labels::of(&worker, port),
        gate: worker.shared.admission.gate(port),
        way: RefCell::new(Way::of(&inbound, &worker.shared.snapshot())),
        xfcc: xfcc::element(own.as_ref().map(|own| own.id()), peer.as_deref()),
        cluster: cluster_name(port).into(),
        source: RefCell::new((None, inbound.source_labels(peer.as_deref(), None))),
        inbound,
        peer,
        server_name,
    });
    let refuse = |parts: &Parts, malformed| {
        let exchange = Exchange::begin(&worker, connection.downstream(None), parts);
        respond::malformed(malformed, exchange)
    };
    let handle = |request| Rc::clone(&connection).handle(request);
    let served = serve_http(stream, version, &worker.shared.drain, handle, refuse).await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection of a caller ended");
    }
}

// === impl Labels ===

impl Labels {
    pub(super) fn of(worker: &Worker, port: u16) -> Self {
        let snapshot = worker.shared.snapshot();
        let inbound = snapshot.inbound();
        let service = inbound
            .and_then(|inbound| inbound.ports.get(&port))
            .and_then(|port| port.service.as_ref());
        Self {
            destination: inbound.map_or_else(
                || Arc::clone(&worker.own_labels),
                |inbound| Arc::clone(&inbound.labels),
            ),
            service: service.map_or_else(ServiceLabels::unknown, |(host, _)| {
                Arc::new(ServiceLabels::new(host.as_str(), "", ""))
            }),
        }
    }
}

// === impl Way ===

impl Way {
    fn of(inbound: &Inbound, snapshot: &Snapshot) -> Self {
        let port = inbound.destination.port();
        let app = inbound.app.declared(&inbound.worker, snapshot, port);
        Self {
            configuration: snapshot.inbound().cloned(),
            app: app.name().into(),
            way: app.way(&inbound.worker),
        }
    }
}

// === impl Connection ===

impl Connection {
    // Callers keep their connections for long: limits that change hold for what comes on those
    // that are open, too.
    fn way(&self, snapshot: &Snapshot) -> (AppWay, Rc<str>) {
        let mut way = self.way.borrow_mut();
        let is_current = match (&way.configuration, snapshot.inbound()) {
            (Some(known), Some(now)) => Arc::ptr_eq(known, now),
            (known, now) => known.is_none() && now.is_none(),
        };
        if !is_current {
            *way = Way::of(&self.inbound, snapshot);
        }
        (way.way.clone(), Rc::clone(&way.app))
    }

    // What is moved on at once is not kept in the future.
    fn handle(
        self: Rc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<ResponseBody>> {
        let snapshot = self.inbound.worker.shared.snapshot();
        let received = self.receive(request, &snapshot);
        async move {
            match received {
                Ok(call) => self.pass(snapshot, call).await,
                Err(response) => *response,
            }
        }
    }

    async fn pass(
        &self,
        snapshot: Arc<Snapshot>,
        mut call: Box<AppCall>,
    ) -> Response<ResponseBody> {
        let worker = &self.inbound.worker;
        let incoming = std::mem::replace(&mut call.incoming, Incoming::Empty);
        let asked = {
            let asker = self.asker();
            let asked = asker.check(&mut call.parts, incoming, &mut call.exchange);
            asked.await
        };
        let to_client = match asked {
            Ok(admitted) => {
                call.incoming = admitted.incoming;
                admitted.to_client
            }
            Err(refusal) => return respond::send(*refusal, call.exchange),
        };
        let permit = match self.admit(&snapshot, &call.parts) {
            Ok(permit) => permit,
            Err(refused) => return refused.answer(call.exchange),
        };
        self.finish_head(&mut call.parts.headers);
        let mut response = call_app(worker, call).await;
        Admitted::finish(to_client, response.headers_mut());
        permit.answered(response.status());
        response
    }

    // The request, ready to be asked about.
    fn receive(
        &self,
        request: Request<Incoming>,
        snapshot: &Snapshot,
    ) -> Result<Box<AppCall>, Box<Response<ResponseBody>>> {
        let (mut parts, incoming) = request.into_parts();
        let told = parts.headers.remove(X_MESH_PEER);
        let mut exchange = Exchange::begin(&self.inbound.worker, self.downstream(told), &parts);
        exchange.upstream.cluster = Some(Rc::clone(&self.cluster));
        let hop = take_hop_by_hop(&mut parts.headers);
        // What is refused is in the trace, too, and external authorizers are told of it.
        exchange.identify(&mut parts.headers);
        let (way, app) = self.way(snapshot);
        exchange.upstream.host = Some(app);
        let protocol = self.protocol(snapshot);
        if parts.version == http::Version::HTTP_10 && protocol.is_http() {
            return Err(respond::fail(Reason::Http10Unsupported, "", exchange).into());
        }
        if let Err(reason) = self.transport(snapshot) {
            return Err(respond::fail(reason, "", exchange).into());
        }
        Ok(Box::new(AppCall {
            way,
            version: Self::app_version(protocol, &parts),
            parts,
            incoming,
            hop,
            exchange,
        }))
    }

    fn finish_head(&self, headers: &mut HeaderMap) {
        // This proxy answers it itself, when it reads the body.
        headers.remove(EXPECT);
        headers.remove(X_MESH_UNPROCESSED);
        xfcc::append(headers, self.xfcc.as_ref());
        if !headers.contains_key(X_FORWARDED_PROTO) {
            let secure = self.peer.is_some() || self.inbound.over_tls.get();
            let scheme = if secure { "https" } else { "http" };
            headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
        }
    }

    fn admit(&self, snapshot: &Snapshot, parts: &Parts) -> Result<Permit, Refused> {
        let shared = &self.inbound.worker.shared;
        let Some(inbound) = snapshot.inbound() else {
            return Ok(Permit::uncounted());
        };
        let asker = self.inbound.asker(self.peer.as_deref());
        let admission = &shared.admission;
        let asks = (asker, parts);
        admission.request(shared, &inbound.admission, (&self.gate, true), asks)
    }

    fn asker(&self) -> Asker<'_> {
        Asker {
            worker: &self.inbound.worker,
            side: Side::Sidecar,
            caller: self.inbound.caller(self.peer.as_deref()),
            remote: self.inbound.remote,
            scheme: if self.peer.is_some() { "https" } else { "http" },
        }
    }

    fn transport(&self, snapshot: &Snapshot) -> Result<(), Reason> {
        let mode = plan::inbound_connection(snapshot, self.inbound.destination.port())
            .map(|port| port.mtls);
        // The mode may have changed since the connection was accepted.
        match (mode, &self.peer) {
            (None, _) => return Err(Reason::NotConfigured),
            (Some(MtlsMode::Strict), None) => return Err(Reason::PlaintextRefused),
            (Some(MtlsMode::Disable), Some(_)) if !self.inbound.is_tunnel() => {
                return Err(Reason::MutualTlsDisabled);
            }
            _ => {}
        }
        if !trusts(snapshot, self.peer.as_deref()) {
            return Err(Reason::TlsSettingsChanged);
        }
        Ok(())
    }

    fn protocol(&self, snapshot: &Snapshot) -> Protocol {
        let ports = snapshot.inbound().map(|inbound| &inbound.ports);
        ports
            .and_then(|ports| ports.get(&self.inbound.destination.port()))
            .map_or(Protocol::Auto, |port| port.protocol)
    }

    // Istio: a declared protocol says what the application speaks; otherwise what the caller does.
    fn app_version(protocol: Protocol, parts: &Parts) -> Version {
        match protocol {
            Protocol::Http2 | Protocol::Grpc => Version::Http2,
            Protocol::Http if !mesh_proxy_core::filter::is_grpc(&parts.headers) => Version::Http1,
            _ => Version::of(parts.version),
        }
    }

    fn downstream(&self, told: Option<HeaderValue>) -> Downstream {
        let mut source = self.source.borrow_mut();
        if told.is_some() && source.0 != told {
            source.1 = self
                .inbound
                .source_labels(self.peer.as_deref(), told.as_ref());
            source.0 = told;
        }
        Downstream {
            reporter: Reporter::Destination,
            source: Arc::clone(&source.1),
            destination: Arc::clone(&self.labels.destination),
            service: Arc::clone(&self.labels.service),
            security: security(self.peer.as_deref()),
            local: Some(self.inbound.local),
            remote: Some(self.inbound.remote),
            server_name: Rc::clone(&self.server_name),
        }
    }
}
