//! The run-time model: what the proxy decides with. Matchers are compiled, identifiers are
//! parsed; no protobuf type gets here. Made by [`crate::snapshot::Snapshot::apply`] only.

mod admission;
mod cluster;
mod edit;
mod endpoints;
mod gateway;
mod hash_tables;
mod inbound;
mod matcher;
mod origin;
mod policy;
mod route;
mod security;
mod sidecar;
mod telemetry;
mod topology;
mod traffic;
mod xxh64;

pub use admission::{
    Admission, HealthCheck, OverloadPolicy, Probe, Rate, RateKey, RateLimit, Subject,
};
pub(crate) use cluster::WorkloadAddress;
pub use cluster::{
    Cluster, ClusterId, Endpoint, EndpointAddress, Health, Member, Resolution, Service,
    ServicePort, Subset, Workload, Zones,
};
pub use edit::{FieldEdits, HeaderEdits};
pub use endpoints::Endpoints;
pub use gateway::{
    ClientAuth, Credential, Gateway, GatewayHost, GatewayListener, Inside, ListenerId,
    ServerCertificate, ServerTlsFiles, TlsServer, TlsServers, TlsTermination, TlsVersion,
    VirtualHosts,
};
pub use hash_tables::HashTables;
pub use inbound::{Inbound, InboundPort, Mesh, MtlsMode, OutboundPolicy, TrustBundle};
pub use matcher::{BadRegex, FullRegex, StringMatch};
pub use origin::Origin;
pub use policy::{
    ClientTls, LoadBalancer, RetryOn, RetryPolicy, TlsFiles, TrafficPolicy, TrafficSettings,
};
pub use route::{
    Abort, Action, Cors, Destination, Destinations, DirectResponse, Fault, FieldMatch, FieldName,
    Forward, HttpMatch, HttpRoute, Invalid, Mirror, Protocol, Redirect, RegexRewrite, Rewrite,
    RouteTable, TcpRoute, TlsRoute,
};
pub use security::RequestChecks;
pub use sidecar::{AppEndpoint, AppPort, EgressBind, EgressListener, InboundListener};
pub use telemetry::{
    LogRule, Metric, MetricRule, MetricRules, SpanTag, SpanTagSource, TagValue, TelemetryRules,
    TelemetrySide, TraceCollector, TraceRule,
};
pub use topology::{CertificateField, ForwardClientCert, GatewayTopology};
pub use traffic::{
    HashCookie, HashKey, HashPolicy, HashTableKind, Http2Keepalive, HttpUpgrade, LocalityPolicy,
    LocalityShares, OutlierPolicy, Place, PoolLimits, PoolSettings, ProxyProtocol, RetryShare,
    TcpKeepalive, Tunnel, Warmup,
};
pub(crate) use xxh64::xxh64;
