//! Requests of the workload.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use http::header::{EXPECT, HOST, HeaderName};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response};
use mesh_api::{Hostname, ResourceName};
use mesh_proxy_core::Reason;
use mesh_proxy_core::filter::without_port;
use mesh_proxy_core::ir::Protocol;
use mesh_proxy_core::labels::{PeerLabels, Reporter, SecurityPolicy, ServiceLabels};
use mesh_proxy_core::plan::{self, HttpAction, HttpPlan, Step};

use super::{Call, Target, act, decide, tunnel};
use crate::drain::Work;
use crate::http::headers::{X_FORWARDED_PROTO, X_MESH_UNPROCESSED, take_hop_by_hop};
use crate::http::upgrade::OnUpgrade;
use crate::http::{
    Downstream, Exchange, Incoming, ResponseBody, Version, respond, serve as serve_http, upgrade,
};
use crate::net::Stream;
use crate::worker::Worker;

const PROXY_AUTHORIZATION: HeaderName = HeaderName::from_static("proxy-authorization");

/// One HTTP connection of the workload.
struct Connection {
    worker: Rc<Worker>,
    version: Version,
    /// Where the connection was going; `None` on the explicit proxy, where each request says it.
    target: Option<Target>,
    downstream: Downstream,
    // The last authority and what it stands for: requests of one connection nearly always go to
    // the same place.
    known: RefCell<Option<Known>>,
}

struct Known {
    authority: String,
    host: Hostname,
    port: u16,
    name: ResourceName,
}

/// Serves the requests of a connection.
pub(super) async fn serve(
    worker: Rc<Worker>,
    stream: Stream,
    version: Version,
    target: Option<Target>,
) {
    let _hold = worker.hold(Work::Http);
    let connection = Rc::new(Connection {
        version,
        target,
        downstream: downstream(&worker, &stream),
        known: RefCell::default(),
        worker: Rc::clone(&worker),
    });
    let refuse = |parts: &Parts, malformed| {
        let exchange = Exchange::begin(&worker, connection.downstream.clone(), parts);
        respond::malformed(malformed, exchange)
    };
    let handle = |request| Rc::clone(&connection).handle(request);
    let served = serve_http(
        stream,
        version,
        &worker.shared.drain.patient(),
        handle,
        refuse,
    )
    .await;
    if let Err(error) = served {
        tracing::debug!(%error, "connection of the workload ended");
    }
}

fn downstream(worker: &Worker, stream: &Stream) -> Downstream {
    Downstream {
        reporter: Reporter::Source,
        source: Arc::clone(&worker.own_labels),
        destination: PeerLabels::unknown(),
        service: ServiceLabels::unknown(),
        security: SecurityPolicy::Unknown,
        local: stream.local_addr(),
        remote: stream.peer_addr(),
        server_name: "".into(),
    }
}

// === impl Connection ===

impl Connection {
    // What is moved on at once is not kept in the future.
    fn handle(
        self: Rc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Response<ResponseBody>> {
        let received = self.receive(request);
        async move {
            match received {
                Ok((call, name)) => self.forward(call, name).await,
                Err(response) => *response,
            }
        }
    }

    async fn forward(&self, mut call: Box<Call>, name: ResourceName) -> Response<ResponseBody> {
        let shared = &self.worker.shared;
        let planned = decide(shared, |snapshot| {
            plan::outbound_http(
                snapshot,
                &call.host,
                call.port,
                &call.parts,
                &mut *self.worker.rng.borrow_mut(),
            )
        });
        let plan = match planned.await {
            Ok(plan) => plan,
            Err(reason) => return respond::fail(reason, "", call.exchange),
        };
        shared.touch(&name);
        let plan = self.or_by_address(plan, &mut call);
        if call.parts.version == http::Version::HTTP_10 && self.refuses_http10(&name) {
            return respond::fail(Reason::Http10Unsupported, "", call.exchange);
        }
        act(&self.worker, &plan, call).await
    }

    // The request, ready to be planned, and the name of what it is for.
    fn receive(
        self: &Rc<Self>,
        request: Request<Incoming>,
    ) -> Result<(Box<Call>, ResourceName), Box<Response<ResponseBody>>> {
        let (mut parts, incoming) = request.into_parts();
        let mut exchange = Exchange::begin(&self.worker, self.downstream.clone(), &parts);
        if parts.method == Method::CONNECT {
            return Err(Rc::clone(self).connect(parts, exchange).into());
        }
        let hop = take_hop_by_hop(&mut parts.headers);
        for name in [EXPECT, PROXY_AUTHORIZATION, X_MESH_UNPROCESSED] {
            parts.headers.remove(name);
        }
        let Some((host, port, name)) = self.destination(&parts) else {
            return Err(respond::fail(Reason::HostInvalid, "", exchange).into());
        };
        exchange.identify(&mut parts.headers);
        if !parts.headers.contains_key(X_FORWARDED_PROTO) {
            parts
                .headers
                .insert(X_FORWARDED_PROTO, HeaderValue::from_static("http"));
        }
        let original = self.target.as_ref().and_then(|target| target.original);
        let to = (host, port, original);
        Ok((Call::new((parts, incoming), hop, exchange, to), name))
    }

    // Where a request goes: the authority of a proxy request, or the Host at the port that the
    // connection was going to.
    fn destination(&self, parts: &Parts) -> Option<(Hostname, u16, ResourceName)> {
        let authority = match parts.uri.authority() {
            Some(authority) => authority.as_str(),
            None => {
                let mut hosts = parts.headers.get_all(HOST).iter();
                match (hosts.next(), hosts.next()) {
                    (Some(host), None) => host.to_str().ok()?,
                    // RFC 9112 section 3.2: several are as wrong as none.
                    (Some(_), Some(_)) => return None,
                    (None, _) if parts.version == http::Version::HTTP_10 => "",
                    (None, _) => return None,
                }
            }
        };
        if let Some(known) = self
            .known
            .borrow()
            .as_ref()
            .filter(|known| known.authority == authority)
        {
            return Some((known.host.clone(), known.port, known.name.clone()));
        }
        let default = if parts.uri.scheme_str() == Some("https") {
            443
        } else {
            80
        };
        let (host, port) = match (&self.target, authority) {
            (Some(target), "") => (target.host.clone(), target.port),
            (Some(target), authority) => (without_port(authority).parse().ok()?, target.port),
            (None, authority) => split(authority, default)?,
        };
        let name = ResourceName::destination(&host, port);
        let known = Known {
            authority: authority.to_owned(),
            host: host.clone(),
            port,
            name: name.clone(),
        };
        *self.known.borrow_mut() = Some(known);
        Some((host, port, name))
    }

    // A host that nobody declared, on a connection to a declared destination: that is where the
    // request would be passed on to, so that destination's routes take it.
    fn or_by_address(&self, plan: HttpPlan, call: &mut Call) -> HttpPlan {
        let HttpAction::Passthrough { .. } = plan.action else {
            return plan;
        };
        let Some(target) = self.target.as_ref().filter(|one| one.host != call.host) else {
            return plan;
        };
        let snapshot = self.worker.shared.snapshot();
        let name = ResourceName::destination(&target.host, target.port);
        if snapshot.table(&name).is_none_or(|table| table.undeclared) {
            return plan;
        }
        let mut rng = self.worker.rng.borrow_mut();
        let (host, port) = (&target.host, target.port);
        match plan::outbound_http(&snapshot, host, port, &call.parts, &mut *rng) {
            Step::Ready(by_address) => {
                call.host = target.host.clone();
                by_address
            }
            Step::Need(_) => plan,
        }
    }

    // Istio: 426 on ports that are declared as HTTP. A proxy request is the client's own choice.
    fn refuses_http10(&self, name: &ResourceName) -> bool {
        let declared = |protocol: Protocol| protocol.is_http();
        self.target.is_some()
            && self
                .worker
                .shared
                .snapshot()
                .table(name)
                .is_some_and(|table| declared(table.protocol))
    }

    // A tunnel (RFC 9110 section 9.3.6). What comes through it is looked at as if it had been
    // captured.
    fn connect(
        self: Rc<Self>,
        mut parts: Parts,
        exchange: Box<Exchange>,
    ) -> Response<ResponseBody> {
        let wanted = parts
            .uri
            .authority()
            .and_then(|authority| split(authority.as_str(), 443));
        let upgrade = parts.extensions.remove::<OnUpgrade>();
        let (Some((host, port)), Some(upgrade)) = (wanted, upgrade) else {
            return respond::fail(Reason::HostInvalid, "", exchange);
        };
        // HTTP/2 tunnels, and tunnels in tunnels, are not served.
        if self.version == Version::Http2 || self.target.is_some() {
            return respond::fail(
                Reason::DownstreamProtocolError,
                "CONNECT is served on the explicit proxy only",
                exchange,
            );
        }
        // What is carried is recorded by the tunnel itself.
        exchange.forget();
        let original = host
            .as_str()
            .parse()
            .ok()
            .map(|ip| SocketAddr::new(ip, port));
        let target = Target {
            host,
            port,
            original,
        };
        let worker = Rc::clone(&self.worker);
        let hold = worker.hold(Work::Tcp);
        self.worker.tasks.spawn_local(async move {
            let _hold = hold;
            if let Some(stream) = upgrade::stream(upgrade).await {
                Box::pin(tunnel(worker, stream, target)).await;
            }
        });
        Response::new(ResponseBody::silent())
    }
}

fn split(authority: &str, default: u16) -> Option<(Hostname, u16)> {
    let authority = authority.rsplit('@').next()?;
    let host = without_port(authority);
    let port = match authority.get(host.len()..)?.strip_prefix(':') {
        Some(port) => port.parse().ok()?,
        None => default,
    };
    Some((host.parse().ok()?, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorities_are_hosts_and_ports() {
        let cases = [
            ("reviews", Some(("reviews", 80))),
            ("reviews:9080", Some(("reviews", 9080))),
            ("u:p@reviews:9080", Some(("reviews", 9080))),
            ("[::1]:81", Some(("::1", 81))),
            ("[::1]", Some(("::1", 80))),
            ("reviews:99999", None),
            ("a b", None),
            ("", None),
        ];
        for (authority, want) in cases {
            let got = split(authority, 80);
            assert_eq!(
                got.as_ref().map(|(host, port)| (host.as_str(), *port)),
                want,
                "{authority}"
            );
        }
    }
}
