//! Destinations that nobody declared, where the mesh lets them pass (Istio: ALLOW_ANY): no
//! timeout, no retry, plain.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use mesh_api::Hostname;
use mesh_proxy_core::Reason;
use mesh_proxy_core::ir::EndpointAddress;
use mesh_proxy_core::labels::{PeerLabels, SecurityPolicy, ServiceLabels};

use super::Call;
use crate::clock;
use crate::http::headers::{X_MESH_PEER, X_MESH_UNPROCESSED};
use crate::http::{BodySource, ResponseBody, Version, respond};
use crate::upstream::{Delivery, Failed, Origin, Sending, Tracking};
use crate::worker::Worker;

/// Istio's name of the cluster of such destinations.
pub(super) const CLUSTER: &str = "PassthroughCluster";

/// Time to connect (Istio's PassthroughCluster: 10 s).
pub(super) const CONNECT: Duration = Duration::from_secs(10);

/// Where such a destination is: where the connection was going, or what the client wrote.
pub(super) fn address(host: &Hostname, port: u16, original: Option<SocketAddr>) -> EndpointAddress {
    if let Some(original) = original {
        return EndpointAddress::Ip(original);
    }
    match host.as_str().parse() {
        Ok(ip) => EndpointAddress::Ip(SocketAddr::new(ip, port)),
        Err(_) => EndpointAddress::Name {
            host: host.clone(),
            port,
        },
    }
}

/// Sends a request there.
pub(super) async fn http(
    worker: &Rc<Worker>,
    host: &Hostname,
    port: u16,
    mut call: Box<Call>,
) -> Response<ResponseBody> {
    call.exchange.downstream.service = Arc::new(ServiceLabels::passthrough(host.as_str()));
    call.exchange.downstream.destination = PeerLabels::unknown();
    call.exchange.downstream.security = SecurityPolicy::None;
    call.exchange.upstream.cluster = Some(CLUSTER.into());
    let address = address(host, port, call.original);
    call.exchange.upstream.host = Some(address.to_string().into());
    call.parts.headers.remove(X_MESH_PEER);
    let pool = worker.upstreams.direct_pool(&address);
    let sending = Sending {
        worker,
        pool: &pool,
        origin: Origin::Direct(&address, CONNECT),
        version: if call.upgrade.is_some() {
            Version::Http1
        } else {
            call.client
        },
        repeatable: call.parts.method.is_idempotent() && call.upgrade.is_none(),
        head: &call.parts,
        body: call.body.as_ref(),
        hop: &call.hop,
    };
    let sent_at = clock::monotonic();
    match sending.send().await {
        Ok(answer) => {
            call.exchange.upstream.service_time = Some(clock::monotonic().duration_since(sent_at));
            call.exchange.upstream.local = answer.lease.local;
            let Call {
                exchange, upgrade, ..
            } = *call;
            let delivery = Delivery {
                exchange,
                upgrade,
                tracking: Tracking::none(),
                deadline: None,
            };
            delivery.respond(worker, answer, |parts| {
                parts.headers.remove(X_MESH_UNPROCESSED);
            })
        }
        Err(failed) => fail(failed, call),
    }
}

fn fail(failed: Failed, call: Box<Call>) -> Response<ResponseBody> {
    let mut exchange = call.exchange;
    let (reason, detail) = match failed {
        Failed::Send(_) if call.body.as_ref().is_some_and(BodySource::client_failed) => {
            (Reason::DownstreamDisconnected, String::new())
        }
        Failed::Send(failed) => (failed.reason(), failed.error.to_string()),
        Failed::Dial(error) => (error.reason(), error.to_string()),
    };
    exchange.upstream.failure = Some(detail).filter(|detail| !detail.is_empty());
    respond::fail(reason, "", exchange)
}
