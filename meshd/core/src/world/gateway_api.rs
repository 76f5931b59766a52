//! Routes and gateways of the Kubernetes Gateway API as VirtualServices and Gateways (Istio:
//! pilot/pkg/config/kube/gateway), with a verdict for each pair of route and parent and for each
//! listener.

mod backends;
mod classes;
mod grants;
mod listeners;
mod order;
mod parents;
mod routes;
mod rules;
mod status;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use mesh_api::v1::{Origin, Problem, Severity};

use self::grants::Grants;
use self::listeners::GatewayVerdict;
use self::parents::RouteVerdict;
use super::Inner;
use super::objects::Objects;
use crate::model::{ApiGateway, KubernetesService, ObjectId, SecretObject, VirtualService};
use crate::problem::code;
use crate::yaml::Labels;

/// What became of the objects of the Gateway API that are the mesh's.
#[derive(Debug, Default)]
pub(crate) struct GatewayApi {
    routes: BTreeMap<ObjectId, RouteVerdict>,
    gateways: BTreeMap<ObjectId, GatewayVerdict>,
    /// GatewayClasses, with what of them cannot be done.
    classes: BTreeMap<String, Option<String>>,
}

/// Why something is not as asked for: a reason of the Gateway API, and words.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Trouble {
    reason: &'static str,
    message: String,
}

/// What routes and gateways refer to.
struct Known<'o> {
    domain: &'o str,
    services: HashMap<(&'o str, &'o str), &'o KubernetesService>,
    namespaces: HashMap<&'o str, &'o Labels>,
    secrets: HashMap<(&'o str, &'o str), &'o SecretObject>,
    grants: Grants<'o>,
}

/// Puts what the objects mean among the others, by age.
pub(super) fn link(inner: &mut Inner, objects: &mut Objects, problems: &mut Vec<Problem>) {
    if objects.api_routes.is_empty()
        && objects.api_gateways.is_empty()
        && objects.gateway_classes.is_empty()
    {
        return;
    }
    let known = Known::new(&inner.settings.cluster_domain, objects);
    let mut api = GatewayApi {
        classes: classes::ours(&objects.gateway_classes),
        ..GatewayApi::default()
    };
    let ours: Vec<&Arc<ApiGateway>> = objects
        .api_gateways
        .iter()
        .filter(|gateway| classes::is_served(&gateway.class, &objects.gateway_classes))
        .collect();
    let mut servers = Vec::new();
    for gateway in &ours {
        let (verdict, objects) = listeners::link(gateway, &known, problems);
        servers.extend(objects);
        api.gateways.insert(gateway.meta.id.clone(), verdict);
    }
    let mut routes = routes::Routes::new(&known);
    for (age, route) in &objects.api_routes {
        let verdict = routes.add((*age, route), &mut api.gateways, problems);
        api.routes.insert(route.meta.id.clone(), verdict);
    }
    let made = routes.into_virtual_services();
    merge(objects, made);
    objects.gateways.extend(servers);
    inner.gateway_api = api;
}

/// By age, those that are there before those that are made.
fn merge(objects: &mut Objects, made: Vec<(usize, Arc<VirtualService>)>) {
    let ages = objects.virtual_service_ages.iter().copied();
    let mut all: Vec<(usize, Arc<VirtualService>)> =
        ages.zip(objects.virtual_services.drain(..)).collect();
    all.extend(made);
    all.sort_by_key(|(age, _)| *age);
    objects.virtual_services = all.into_iter().map(|(_, object)| object).collect();
}

fn warn(problems: &mut Vec<Problem>, origin: &Origin, message: String) {
    problems.push(Problem {
        severity: Severity::Warning.into(),
        origin: Some(origin.clone()),
        message,
        code: code::REFERENCED_RESOURCE_NOT_FOUND.to_owned(),
    });
}

// === impl Known ===

impl<'o> Known<'o> {
    fn new(domain: &'o str, objects: &'o Objects) -> Self {
        let services = objects.services.iter();
        let namespaces = objects.namespaces.iter();
        let secrets = objects.secrets.iter();
        Self {
            domain,
            services: services
                .map(|one| ((one.meta.namespace(), one.meta.name()), &**one))
                .collect(),
            namespaces: namespaces.map(|one| (one.name(), &one.labels)).collect(),
            secrets: secrets
                .map(|one| ((one.meta.namespace(), one.meta.name()), &**one))
                .collect(),
            grants: Grants::new(&objects.reference_grants),
        }
    }
}

// === impl Trouble ===

impl Trouble {
    fn new(reason: &'static str, message: String) -> Self {
        Self { reason, message }
    }
}
