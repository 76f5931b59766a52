//! The objects of all files in order of age, each name once.

use std::collections::HashMap;
use std::sync::Arc;

use mesh_api::v1::{Problem, Severity};

use crate::ingest::Entry;
use crate::model::{
    ApiGateway, ApiRoute, AuthorizationPolicy, DestinationRule, EndpointSlice, GatewayClass,
    GatewayObject, Ingress, IngressClass, Kind, KubernetesNode, KubernetesService, Meta, Object,
    ObjectId, PeerAuthentication, Pod, ProxyConfigObject, ReferenceGrant, RequestAuthentication,
    ResiliencePolicy, SecretObject, ServiceEntry, SidecarObject, TelemetryObject, VirtualService,
    WorkloadEntry,
};

/// Objects by kind.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) virtual_services: Vec<Arc<VirtualService>>,
    /// Places of the VirtualServices among all objects, in order of age; empty if nothing has to
    /// be put among them.
    pub(super) virtual_service_ages: Vec<usize>,
    pub(super) destination_rules: Vec<Arc<DestinationRule>>,
    pub(super) gateways: Vec<Arc<GatewayObject>>,
    pub(super) service_entries: Vec<Arc<ServiceEntry>>,
    pub(super) workload_entries: Vec<Arc<WorkloadEntry>>,
    pub(super) sidecars: Vec<Arc<SidecarObject>>,
    pub(super) peer_authentications: Vec<Arc<PeerAuthentication>>,
    pub(super) authorization_policies: Vec<Arc<AuthorizationPolicy>>,
    pub(super) resilience_policies: Vec<Arc<ResiliencePolicy>>,
    pub(super) request_authentications: Vec<Arc<RequestAuthentication>>,
    pub(super) proxy_configs: Vec<Arc<ProxyConfigObject>>,
    pub(super) telemetries: Vec<Arc<TelemetryObject>>,
    pub(super) services: Vec<Arc<KubernetesService>>,
    pub(super) pods: Vec<Arc<Pod>>,
    pub(super) nodes: Vec<Arc<KubernetesNode>>,
    pub(super) endpoint_slices: Vec<Arc<EndpointSlice>>,
    pub(super) namespaces: Vec<Arc<Meta>>,
    pub(super) secrets: Vec<Arc<SecretObject>>,
    pub(super) ingresses: Vec<Arc<Ingress>>,
    pub(super) ingress_classes: Vec<Arc<IngressClass>>,
    /// HTTPRoutes and GRPCRoutes with their places among all objects.
    pub(super) api_routes: Vec<(usize, Arc<ApiRoute>)>,
    pub(super) api_gateways: Vec<Arc<ApiGateway>>,
    pub(super) gateway_classes: Vec<Arc<GatewayClass>>,
    pub(super) reference_grants: Vec<Arc<ReferenceGrant>>,
}

/// All entries in order of age.
pub(crate) struct Entries<'a> {
    /// Of files. A name may be there more than once.
    pub(crate) files: Vec<&'a Entry>,
    /// Of an API server, where each name is there once.
    pub(crate) objects: Vec<&'a Entry>,
}

// === impl Entries ===

impl<'a> Entries<'a> {
    pub(super) fn all(&self) -> impl Iterator<Item = &'a Entry> {
        self.files.iter().chain(&self.objects).copied()
    }
}

/// Sorts the entries by kind. The first of a name stays; a service that a tool derived gives
/// way to one that somebody wrote.
pub(super) fn collect(entries: &Entries<'_>, problems: &mut Vec<Problem>) -> Objects {
    let mut order: Vec<&Object> = Vec::with_capacity(entries.files.len() + entries.objects.len());
    let mut seen: HashMap<&ObjectId, usize> = HashMap::new();
    for (place, entry) in entries.all().enumerate() {
        let object = &entry.object;
        if object.meta().id.kind == Kind::ServiceAccount {
            continue;
        }
        let id = &object.meta().id;
        let Some(&at) = seen.get(id).filter(|_| !seen.is_empty()) else {
            if place < entries.files.len() {
                seen.insert(id, order.len());
            }
            order.push(object);
            continue;
        };
        let Some(held) = order.get_mut(at) else {
            continue;
        };
        match (is_derived(held), is_derived(object)) {
            (true, false) => *held = object,
            (false, true) => {}
            // Labels in one of them are as good as in the other.
            _ if id.kind == Kind::Namespace => {}
            _ => problems.push(duplicate(held, object)),
        }
    }
    let mut objects = Objects::default();
    for (age, object) in order.into_iter().enumerate() {
        match object {
            Object::VirtualService(object) => {
                objects.virtual_services.push(Arc::clone(object));
                objects.virtual_service_ages.push(age);
            }
            Object::ApiRoute(object) => objects.api_routes.push((age, Arc::clone(object))),
            Object::ApiGateway(object) => objects.api_gateways.push(Arc::clone(object)),
            Object::GatewayClass(object) => objects.gateway_classes.push(Arc::clone(object)),
            Object::ReferenceGrant(object) => objects.reference_grants.push(Arc::clone(object)),
            Object::DestinationRule(object) => objects.destination_rules.push(Arc::clone(object)),
            Object::Gateway(object) => objects.gateways.push(Arc::clone(object)),
            Object::ServiceEntry(object) => objects.service_entries.push(Arc::clone(object)),
            Object::WorkloadEntry(object) => objects.workload_entries.push(Arc::clone(object)),
            Object::Sidecar(object) => objects.sidecars.push(Arc::clone(object)),
            Object::PeerAuthentication(object) => {
                objects.peer_authentications.push(Arc::clone(object));
            }
            Object::AuthorizationPolicy(object) => {
                objects.authorization_policies.push(Arc::clone(object));
            }
            Object::RequestAuthentication(object) => {
                objects.request_authentications.push(Arc::clone(object));
            }
            Object::ProxyConfig(object) => objects.proxy_configs.push(Arc::clone(object)),
            Object::Telemetry(object) => objects.telemetries.push(Arc::clone(object)),
            Object::ResiliencePolicy(object) => {
                objects.resilience_policies.push(Arc::clone(object));
            }
            Object::Service(object) => objects.services.push(Arc::clone(object)),
            Object::Pod(object) => objects.pods.push(Arc::clone(object)),
            Object::Node(object) => objects.nodes.push(Arc::clone(object)),
            Object::EndpointSlice(object) => objects.endpoint_slices.push(Arc::clone(object)),
            Object::Secret(object) => objects.secrets.push(Arc::clone(object)),
            Object::Ingress(object) => objects.ingresses.push(Arc::clone(object)),
            Object::IngressClass(object) => objects.ingress_classes.push(Arc::clone(object)),
            Object::Named(object) => objects.namespaces.push(Arc::clone(object)),
        }
    }
    objects
}

fn is_derived(object: &Object) -> bool {
    matches!(object, Object::Service(service) if service.derived)
}

fn duplicate(held: &Object, object: &Object) -> Problem {
    let meta = object.meta();
    let place = &held.meta().origin;
    Problem {
        severity: Severity::Error.into(),
        origin: Some(meta.origin.clone()),
        message: format!(
            "duplicate {}: {} is declared at {}:{} already",
            meta.id.kind.name(),
            meta.full_name(),
            place.source,
            place.line
        ),
        code: "duplicate".to_owned(),
    }
}
