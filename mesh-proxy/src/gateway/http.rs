//! Requests to a gateway.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use http::header::{CONNECTION, EXPECT, HOST};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use mesh_api::Hostname;
use mesh_proxy_core::authz::Caller;
use mesh_proxy_core::filter::without_port;
use mesh_proxy_core::labels::{PeerLabels, Reporter, SecurityPolicy, ServiceLabels};
use mesh_proxy_core::{Reason, plan};

use super::arrived::Arrived;
use super::xfcc;
use crate::admission::{Gate, Permit, Refused};
use crate::authz::{Admitted, Asker, Side};
use crate::drain::Work;
use crate::http::headers::{
    X_FORWARDED_FOR, X_FORWARDED_PROTO, X_MESH_PEER, X_MESH_UNPROCESSED, take_hop_by_hop,
};
use crate::http::{
    Downstream, Exchange, Incoming, ResponseBody, Version, respond, serve as serve_http,
};
use crate::net::Stream;
use crate::outbound::{Call, act, decide};

/// One HTTP connection to the gateway.
struct Connection {
    arrived: Rc<Arrived>,
    version: Version,
    downstream: Downstream,
    certificate: Option<HeaderValue>,
    gate: Arc<Gate>,
}

/// Serves the requests of a connection.
pub(super) async fn serve(arrived: Rc<Arrived>, stream: Stream, version: Version) {
    let worker = Rc::clone(&arrived.worker);
    let _hold = worker.hold(Work::Http);
    let downstream = Downstream {
        // Istio: gateways report as source.
        reporter: Reporter::Source,
        source: Arc::clone(&worker.own_labels),
        destination: PeerLabels::unknown(),
        service: ServiceLabels::unknown(),
        security: SecurityPolicy::Unknown,
        local: Some(arrived.local),
        remote: Some(arrived.client),
        server_name: arrived.sni().unwrap_or_default().into(),
    };
    let connection = Rc::new(Connection {
        certificate: arrived.forwarded_certificate(),
        gate: worker.shared.admission.gate(arrived.listener.port),
        arrived,
        version,
        downstream,
    });
    let refuse = |parts: &Parts, malformed| {
        let exchange = Exchange::begin(&worker, connection.downstream.clone(), parts);
        respond::malformed(malformed, exchange)
    };
    let handle = |request| {
        let connection = Rc::clone(&connection);
        async move { connection.handle(request).await }
    };
    let served = serve_http(stream, version, &worker.shared.drain, handle, refuse).await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection to the gateway ended");
    }
}

// === impl Connection ===

impl Connection {
    async fn handle(&self, request: Request<Incoming>) -> Response<ResponseBody> {
        let (mut parts, incoming) = request.into_parts();
        let worker = &self.arrived.worker;
        let client = self.client(&parts.headers);
        let mut downstream = self.downstream.clone();
        downstream.remote = Some(client);
        let mut exchange = Exchange::begin(worker, downstream, &parts);
        if self.arrived.must_prove_more() {
            return self.must_come_again(exchange);
        }
        if parts.method == Method::CONNECT {
            return respond::fail(
                Reason::DownstreamProtocolError,
                "CONNECT is not served here",
                exchange,
            );
        }
        if parts.version == http::Version::HTTP_10 {
            return respond::fail(Reason::Http10Unsupported, "", exchange);
        }
        let hop = take_hop_by_hop(&mut parts.headers);
        let Some(host) = host(&parts) else {
            return respond::fail(Reason::HostInvalid, "", exchange);
        };
        self.clean(&mut parts.headers);
        exchange.identify(&mut parts.headers);
        let asker = self.asker(client);
        let admitted = match asker.check(&mut parts, incoming, &mut exchange).await {
            Ok(admitted) => admitted,
            Err(refusal) => return respond::send(*refusal, exchange),
        };
        let incoming = admitted.incoming;
        let permit = match self.admit(&parts, client) {
            Ok(permit) => permit,
            Err(refused) => return refused.answer(exchange),
        };
        let planned = decide(&worker.shared, |snapshot| {
            plan::gateway_http(
                snapshot,
                self.arrived.point(),
                &parts,
                &mut *worker.rng.borrow_mut(),
            )
        });
        let plan = match planned.await {
            Ok(plan) => plan,
            Err(reason) => return respond::fail(reason, "", exchange),
        };
        let to = (host, self.arrived.listener.port, None);
        let call = Call::new((parts, incoming), hop, exchange, to);
        let mut response = act(worker, &plan, call).await;
        Admitted::finish(admitted.to_client, response.headers_mut());
        permit.answered(response.status());
        response
    }

    fn must_come_again(&self, exchange: Box<Exchange>) -> Response<ResponseBody> {
        let mut answer = respond::fail(Reason::TlsSettingsChanged, "", exchange);
        if self.version == Version::Http1 {
            let close = HeaderValue::from_static("close");
            answer.headers_mut().insert(CONNECTION, close);
        }
        answer
    }

    fn clean(&self, headers: &mut HeaderMap) {
        let topology = &self.arrived.topology;
        let scheme = self.arrived.point().scheme();
        let trusts = topology.trusted_proxies > 0;
        sanitise(headers, self.arrived.client.ip(), (scheme, trusts));
        let own = self.certificate.as_ref();
        xfcc::apply(headers, topology.forward_client_cert, own);
    }

    /// Whose request it is: the connection's client, or whom trusted proxies name.
    fn client(&self, headers: &HeaderMap) -> SocketAddr {
        let told = plan::forwarded_client(headers, self.arrived.topology.trusted_proxies);
        told.map_or(self.arrived.client, |ip| SocketAddr::new(ip, 0))
    }

    fn asker(&self, client: SocketAddr) -> Asker<'_> {
        Asker {
            worker: &self.arrived.worker,
            side: Side::Gateway,
            caller: Caller {
                client: client.ip(),
                ..self.arrived.caller()
            },
            remote: client,
            scheme: self.arrived.point().scheme(),
        }
    }

    fn admit(&self, parts: &Parts, client: SocketAddr) -> Result<Permit, Refused> {
        let shared = &self.arrived.worker.shared;
        let snapshot = shared.snapshot();
        let Some(gateway) = snapshot.gateway() else {
            return Ok(Permit::uncounted());
        };
        let admission = &shared.admission;
        let mut asker = self.arrived.asker();
        asker.source = client.ip();
        let asks = (asker, parts);
        admission.request(shared, &gateway.admission, (&self.gate, false), asks)
    }
}

fn host(parts: &Parts) -> Option<Hostname> {
    let authority = match parts.uri.authority() {
        Some(authority) => authority.as_str().rsplit('@').next()?,
        None => {
            let mut hosts = parts.headers.get_all(HOST).iter();
            let host = hosts.next()?;
            // RFC 9112 section 3.2: several are as wrong as none.
            if hosts.next().is_some() {
                return None;
            }
            host.to_str().ok()?
        }
    };
    without_port(authority).parse().ok()
}

// What only proxies of the mesh may say, clients from outside may not. Trusted proxies say by what
// scheme their client came.
fn sanitise(headers: &mut HeaderMap, client: IpAddr, (scheme, trusts): (&'static str, bool)) {
    for name in [EXPECT, X_MESH_PEER, X_MESH_UNPROCESSED] {
        headers.remove(name);
    }
    if !(trusts && headers.contains_key(X_FORWARDED_PROTO)) {
        headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(scheme));
    }
    let client = client.to_canonical().to_string();
    let earlier = headers
        .get_all(X_FORWARDED_FOR)
        .iter()
        .map(HeaderValue::as_bytes);
    let all: Vec<&[u8]> = earlier.chain([client.as_bytes()]).collect();
    if let Ok(value) = HeaderValue::from_bytes(&all.join(&b","[..])) {
        headers.insert(X_FORWARDED_FOR, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_cannot_speak_for_the_mesh() {
        let mut headers = HeaderMap::new();
        for name in ["x-mesh-peer", "x-mesh-unprocessed", "expect"] {
            headers.insert(name, HeaderValue::from_static("1"));
        }
        headers.insert("x-forwarded-for", HeaderValue::from_static("1.1.1.1"));
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        let client = "10.0.0.1".parse().unwrap();
        sanitise(&mut headers, client, ("http", false));
        assert_eq!(headers.len(), 2);
        assert_eq!(headers.get("x-forwarded-for").unwrap(), "1.1.1.1,10.0.0.1");
        assert_eq!(headers.get("x-forwarded-proto").unwrap(), "http");
        // Trusted proxies can.
        headers.insert("x-forwarded-proto", HeaderValue::from_static("https"));
        sanitise(&mut headers, client, ("http", true));
        assert_eq!(headers.get("x-forwarded-proto").unwrap(), "https");
    }
}
