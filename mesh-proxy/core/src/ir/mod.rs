//! The run-time model: what the proxy decides with. Matchers are compiled, identifiers are
//! parsed; no protobuf type gets here. Made by [`crate::snapshot::Snapshot::apply`] only.

mod cluster;
mod edit;
mod gateway;
mod inbound;
mod matcher;
mod origin;
mod policy;
mod route;

pub(crate) use cluster::WorkloadAddress;
pub use cluster::{
    Cluster, ClusterId, Endpoint, EndpointAddress, Health, Member, Resolution, Service,
    ServicePort, Subset, Workload,
};
pub use edit::{FieldEdits, HeaderEdits};
pub use gateway::{
    ClientAuth, Credential, Gateway, GatewayHost, GatewayListener, Inside, ListenerId,
    ServerCertificate, ServerTlsFiles, TlsServer, TlsServers, TlsTermination, TlsVersion,
    VirtualHosts,
};
pub use inbound::{Inbound, InboundPort, Mesh, MtlsMode, OutboundPolicy};
pub use matcher::{BadRegex, FullRegex, StringMatch};
pub use origin::Origin;
pub use policy::{ClientTls, LoadBalancer, RetryOn, RetryPolicy, TlsFiles, TrafficPolicy};
pub use route::{
    Abort, Action, Cors, Destination, Destinations, DirectResponse, Fault, FieldMatch, FieldName,
    Forward, HttpMatch, HttpRoute, Invalid, Mirror, Protocol, Redirect, RegexRewrite, Rewrite,
    RouteTable, TcpRoute, TlsRoute,
};
