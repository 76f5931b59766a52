//! The application as a destination, where a Sidecar says something of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use mesh_api::Hostname;

use crate::ir::{
    ClientTls, Cluster, ClusterId, Endpoint, EndpointAddress, InboundPort, LoadBalancer,
    Resolution, TrafficSettings,
};
use crate::labels::ServiceLabels;

/// Time to connect to the application (Istio's inbound clusters: 10 s).
pub const APP_CONNECT: Duration = Duration::from_secs(10);

/// Whether a port's application is more than an address to call.
pub fn app_is_declared(port: &InboundPort) -> bool {
    port.endpoint.is_some() || port.traffic.is_some() || port.connect_timeout.is_some()
}

/// The application behind a port, with the limits toward it: those of the whole proxy.
/// `captured` is where the connection was going, `own` the workload's addresses. What does not go
/// to a loopback address comes from `source`, where that is how the capture tells the proxy.
pub fn app_cluster(
    port: &InboundPort,
    captured: EndpointAddress,
    own: &[IpAddr],
    source: impl FnOnce(IpAddr) -> Option<IpAddr>,
) -> Option<Cluster> {
    let address = match &port.endpoint {
        Some(endpoint) => endpoint.address(own),
        None => captured,
    };
    let from = match &address {
        EndpointAddress::Ip(to) if !to.ip().is_loopback() => source(to.ip()),
        _ => None,
    };
    let host: Hostname = "inbound".parse().ok()?;
    let traffic = port.traffic.as_ref();
    let name: Arc<str> = address.to_string().into();
    let endpoint = Endpoint {
        source: from,
        ..Endpoint::at(Arc::clone(&name), address)
    };
    Some(Cluster {
        service: Arc::new(ServiceLabels::new(host.as_str(), "", "")),
        id: ClusterId {
            host,
            port: port.port,
            subset: name,
        },
        protocol: port.protocol,
        resolution: Resolution::Static,
        load_balancer: LoadBalancer::RoundRobin,
        connect_timeout: port.connect_timeout.unwrap_or(APP_CONNECT),
        tls: Arc::new(ClientTls::Disable),
        traffic: traffic.map_or_else(|| Arc::new(TrafficSettings::default()), Arc::clone),
        tables: None,
        shares: Arc::default(),
        zones: None,
        mesh_external: true,
        subject_alt_names: Arc::default(),
        mesh_sni: "".into(),
        endpoints: [Arc::new(endpoint)].into_iter().collect(),
        origin: None,
        subset_origin: None,
        policy_origin: None,
    })
}
