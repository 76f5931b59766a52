//! The objects of the configuration, typed, with their places. What a rule of Istio makes of
//! the object alone is done; what depends on other objects is not.

mod content;
mod gateway;
mod gateway_api;
mod ingress;
mod policy;
mod proxy_config;
mod resilience;
mod route;
mod security;
mod service;
mod sidecar;
mod telemetry;
mod workload;

use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_api::v1::Origin;

use crate::yaml::Labels;

pub(crate) use gateway::{
    Certificate, CertificateSource, CredentialName, GatewayObject, GatewayServer, SecretObject,
    ServerHost, ServerProtocol, ServerTls,
};
pub(crate) use gateway_api::{
    ApiBackend, ApiCase, ApiFilters, ApiGateway, ApiRoute, ApiRule, Expression, FromNamespaces,
    GATEWAY_API, GatewayClass, GrantFrom, GrantTo, LabelSelector, Listener, ListenerTls, Operator,
    ParentRef, PathModifier, Reference, ReferenceGrant,
};
pub(crate) use ingress::{
    Backend, BackendPort, Ingress, IngressClass, IngressPath, IngressRule, IngressTls,
};
pub(crate) use policy::{
    Balancing, ClientPolicy, DestinationRule, LocalitySetting, PeerAuthentication, PolicyParts,
    PoolPolicy, SubsetSpec,
};
pub(crate) use proxy_config::ProxyConfigObject;
pub(crate) use resilience::{PolicyTarget, ResiliencePolicy, TargetKind, TargetRef};
pub(crate) use route::{
    ClientFilter, Delegation, ForwardRule, HttpAction, HttpCase, HttpRule, Inherited, Joined,
    L4Case, L4Rule, Lost, PathMatch, Retries, Semantics, Target, VirtualService,
};
pub(crate) use security::{AuthorizationPolicy, Placement, RequestAuthentication, TokenRule};
pub(crate) use service::{
    Endpoint, EntryPort, KubernetesPort, KubernetesService, Near, ServiceEntry, TargetPort,
    WorkloadEntry,
};
pub(crate) use sidecar::{Egress, EgressHost, EgressNamespace, SidecarIngress, SidecarObject};
pub(crate) use telemetry::{
    LogRule, MetricRule, Metrics, MetricsRule, Mode, ProviderName, TagRule, TelemetryObject,
    TraceRule,
};
pub(crate) use workload::{
    EndpointSlice, InboundCapture, KubernetesNode, Pod, SliceEndpoint, SlicePort, locality,
};

/// Kinds that the mesh reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    VirtualService,
    DestinationRule,
    Gateway,
    ServiceEntry,
    WorkloadEntry,
    Sidecar,
    PeerAuthentication,
    AuthorizationPolicy,
    ResiliencePolicy,
    RequestAuthentication,
    ProxyConfig,
    Telemetry,
    Service,
    ServiceAccount,
    Namespace,
    Pod,
    Node,
    EndpointSlice,
    Secret,
    Ingress,
    IngressClass,
    HttpRoute,
    GrpcRoute,
    /// Gateway of the Gateway API.
    ApiGateway,
    GatewayClass,
    ReferenceGrant,
}

/// What names an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ObjectId {
    pub(crate) kind: Kind,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

/// What all objects have.
#[derive(Clone, Debug, Hash, PartialEq)]
pub(crate) struct Meta {
    pub(crate) id: ObjectId,
    pub(crate) labels: Labels,
    pub(crate) annotations: Labels,
    pub(crate) origin: Origin,
}

/// An object of any kind. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) enum Object {
    VirtualService(Arc<VirtualService>),
    DestinationRule(Arc<DestinationRule>),
    Gateway(Arc<GatewayObject>),
    ServiceEntry(Arc<ServiceEntry>),
    WorkloadEntry(Arc<WorkloadEntry>),
    Sidecar(Arc<SidecarObject>),
    PeerAuthentication(Arc<PeerAuthentication>),
    AuthorizationPolicy(Arc<AuthorizationPolicy>),
    ResiliencePolicy(Arc<ResiliencePolicy>),
    RequestAuthentication(Arc<RequestAuthentication>),
    ProxyConfig(Arc<ProxyConfigObject>),
    Telemetry(Arc<TelemetryObject>),
    Service(Arc<KubernetesService>),
    Pod(Arc<Pod>),
    Node(Arc<KubernetesNode>),
    EndpointSlice(Arc<EndpointSlice>),
    Secret(Arc<SecretObject>),
    Ingress(Arc<Ingress>),
    IngressClass(Arc<IngressClass>),
    ApiRoute(Arc<ApiRoute>),
    ApiGateway(Arc<ApiGateway>),
    GatewayClass(Arc<GatewayClass>),
    ReferenceGrant(Arc<ReferenceGrant>),
    /// A ServiceAccount or a Namespace: known by name and labels only.
    Named(Arc<Meta>),
}

/// Namespaces that may see an object (Istio: exportTo).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExportTo {
    /// `*`, and the default.
    All,
    /// These; `.` is the object's own. Empty is `~`: nobody.
    Namespaces(BTreeSet<String>),
}

// === impl Kind ===

impl Kind {
    pub(crate) const ALL: [Self; 26] = [
        Self::VirtualService,
        Self::DestinationRule,
        Self::Gateway,
        Self::ServiceEntry,
        Self::WorkloadEntry,
        Self::Sidecar,
        Self::PeerAuthentication,
        Self::AuthorizationPolicy,
        Self::ResiliencePolicy,
        Self::RequestAuthentication,
        Self::ProxyConfig,
        Self::Telemetry,
        Self::Service,
        Self::ServiceAccount,
        Self::Namespace,
        Self::Pod,
        Self::Node,
        Self::EndpointSlice,
        Self::Secret,
        Self::Ingress,
        Self::IngressClass,
        Self::HttpRoute,
        Self::GrpcRoute,
        Self::ApiGateway,
        Self::GatewayClass,
        Self::ReferenceGrant,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::VirtualService => "VirtualService",
            Self::DestinationRule => "DestinationRule",
            Self::Gateway | Self::ApiGateway => "Gateway",
            Self::ServiceEntry => "ServiceEntry",
            Self::WorkloadEntry => "WorkloadEntry",
            Self::Sidecar => "Sidecar",
            Self::PeerAuthentication => "PeerAuthentication",
            Self::AuthorizationPolicy => "AuthorizationPolicy",
            Self::ResiliencePolicy => "ResiliencePolicy",
            Self::RequestAuthentication => "RequestAuthentication",
            Self::ProxyConfig => "ProxyConfig",
            Self::Telemetry => "Telemetry",
            Self::Service => "Service",
            Self::ServiceAccount => "ServiceAccount",
            Self::Namespace => "Namespace",
            Self::Pod => "Pod",
            Self::Node => "Node",
            Self::EndpointSlice => "EndpointSlice",
            Self::Secret => "Secret",
            Self::Ingress => "Ingress",
            Self::IngressClass => "IngressClass",
            Self::HttpRoute => "HTTPRoute",
            Self::GrpcRoute => "GRPCRoute",
            Self::GatewayClass => "GatewayClass",
            Self::ReferenceGrant => "ReferenceGrant",
        }
    }

    /// Whether Kubernetes itself defines the kind.
    pub(crate) fn is_native(self) -> bool {
        matches!(
            self,
            Self::Service
                | Self::ServiceAccount
                | Self::Namespace
                | Self::Pod
                | Self::Node
                | Self::EndpointSlice
                | Self::Secret
                | Self::Ingress
                | Self::IngressClass
        )
    }

    /// Whether it is written by controllers, and much of it is nothing to the mesh.
    pub(crate) fn is_read_leniently(self) -> bool {
        matches!(
            self,
            Self::Pod
                | Self::Node
                | Self::EndpointSlice
                | Self::Secret
                | Self::Ingress
                | Self::IngressClass
        )
    }

    /// Whether its objects belong to the cluster, not to a namespace.
    pub(crate) fn is_of_cluster(self) -> bool {
        matches!(
            self,
            Self::Namespace | Self::Node | Self::IngressClass | Self::GatewayClass
        )
    }

    /// Whether the Gateway API defines the kind.
    pub(crate) fn is_of_gateway_api(self) -> bool {
        matches!(
            self,
            Self::HttpRoute
                | Self::GrpcRoute
                | Self::ApiGateway
                | Self::GatewayClass
                | Self::ReferenceGrant
        )
    }
}

// === impl Meta ===

impl Meta {
    pub(crate) fn namespace(&self) -> &str {
        &self.id.namespace
    }

    pub(crate) fn name(&self) -> &str {
        &self.id.name
    }

    /// `<namespace>/<name>`, or the name of what is in no namespace.
    pub(crate) fn full_name(&self) -> String {
        if self.id.namespace.is_empty() {
            return self.id.name.clone();
        }
        format!("{}/{}", self.id.namespace, self.id.name)
    }
}

// === impl Object ===

impl Object {
    /// Hash of the content, for kinds of which little is read: what is not read gives no other
    /// hash. Absent for kinds that are read whole.
    pub(crate) fn content(&self) -> Option<[u8; 32]> {
        match self {
            Self::Pod(pod) => Some(content::hash(pod)),
            Self::Node(node) => Some(content::hash(node)),
            Self::EndpointSlice(slice) => Some(content::hash(slice)),
            Self::Named(meta) => Some(content::hash(meta)),
            _ => None,
        }
    }

    pub(crate) fn meta(&self) -> &Meta {
        match self {
            Self::VirtualService(object) => &object.meta,
            Self::DestinationRule(object) => &object.meta,
            Self::Gateway(object) => &object.meta,
            Self::ServiceEntry(object) => &object.meta,
            Self::WorkloadEntry(object) => &object.meta,
            Self::Sidecar(object) => &object.meta,
            Self::PeerAuthentication(object) => &object.meta,
            Self::AuthorizationPolicy(object) => &object.meta,
            Self::ResiliencePolicy(object) => &object.meta,
            Self::RequestAuthentication(object) => &object.meta,
            Self::ProxyConfig(object) => &object.meta,
            Self::Telemetry(object) => &object.meta,
            Self::Service(object) => &object.meta,
            Self::Pod(object) => &object.meta,
            Self::Node(object) => &object.meta,
            Self::EndpointSlice(object) => &object.meta,
            Self::Secret(object) => &object.meta,
            Self::Ingress(object) => &object.meta,
            Self::IngressClass(object) => &object.meta,
            Self::ApiRoute(object) => &object.meta,
            Self::ApiGateway(object) => &object.meta,
            Self::GatewayClass(object) => &object.meta,
            Self::ReferenceGrant(object) => &object.meta,
            Self::Named(meta) => meta,
        }
    }
}

// === impl ExportTo ===

impl ExportTo {
    /// Whether clients in `namespace` see the object.
    pub(crate) fn reaches(&self, namespace: &str) -> bool {
        match self {
            Self::All => true,
            Self::Namespaces(namespaces) => namespaces.contains(namespace),
        }
    }

    /// Whether it is visible wherever `other` is.
    pub(crate) fn includes(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::All, _) => true,
            (Self::Namespaces(_), Self::All) => false,
            (Self::Namespaces(mine), Self::Namespaces(others)) => others.is_subset(mine),
        }
    }

    /// Whether only its own namespace sees it.
    pub(crate) fn is_private(&self, namespace: &str) -> bool {
        matches!(self, Self::Namespaces(only) if only.len() == 1 && only.contains(namespace))
    }
}

/// Whether all of the selector's labels are on a workload. An empty selector matches all.
pub(crate) fn selects(selector: &Labels, labels: &Labels) -> bool {
    selector
        .iter()
        .all(|(name, value)| labels.get(name) == Some(value))
}
