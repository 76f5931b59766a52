//! HTTP routes.

use std::collections::BTreeSet;
use std::sync::Arc;

use mesh_api::Hostname;
use mesh_api::v1::http_route::Action;
use mesh_api::v1::string_match::Kind;
use mesh_api::v1::{
    Destination, Forward, HeaderEdits, HttpMatch, HttpRoute, InvalidAction, InvalidShare, Mirror,
    ProxyKind, Retry,
};

use super::target::Resolved;
use super::{DEFAULT_RETRY_ON, View};
use crate::ingest::MESH;
use crate::model::{
    ClientFilter, ForwardRule, HttpAction, HttpRule, Lost, Retries, Semantics, VirtualService,
    selects,
};
use crate::world::ServiceRecord;

/// Status for a destination that does not exist, as Envoy answers for an absent cluster.
const NO_DESTINATION: u32 = 503;
/// The same for routes of the Gateway API (HTTPRouteRule.backendRefs).
const INVALID_BACKEND: u32 = 500;

/// Where a route table is used: what decides the static parts of matches.
pub(super) struct Place<'a> {
    /// `mesh`, or names of the gateways that serve the host.
    pub(super) gateways: &'a [String],
    /// Port that the client calls.
    pub(super) port: u16,
}

// === impl View ===

impl View<'_> {
    /// Routes of a host for sidecars. The first VirtualService that has a route for this client
    /// and port gives them all (Istio does not merge); a service without one gets the default.
    pub(super) fn mesh_http(
        &self,
        host: &Hostname,
        service: Option<&ServiceRecord>,
        port: u16,
    ) -> Vec<HttpRoute> {
        let gateways = [MESH.to_owned()];
        let place = Place {
            gateways: &gateways,
            port,
        };
        for object in self.mesh_objects(host) {
            let routes = self.http_routes(object, &place);
            if !routes.is_empty() {
                return routes;
            }
        }
        service
            .map(|service| default_route(service, u32::from(port)))
            .into_iter()
            .collect()
    }

    /// VirtualServices that speak of a host to this proxy. Those for sidecars mean nothing to a
    /// gateway.
    pub(super) fn mesh_objects(&self, host: &Hostname) -> Vec<&Arc<VirtualService>> {
        match self.scope.kind() {
            ProxyKind::Sidecar => {
                let mut objects = self.world.mesh_routes(host.as_str(), self.namespace());
                objects.retain(|object| self.imports_routes(object));
                objects
            }
            ProxyKind::Gateway | ProxyKind::Unspecified => Vec::new(),
        }
    }

    /// Routes of one VirtualService, up to the first that takes everything.
    pub(super) fn http_routes(&self, object: &VirtualService, place: &Place<'_>) -> Vec<HttpRoute> {
        let mut routes = Vec::new();
        for rule in &object.http {
            let mut matches: Vec<HttpMatch> = Vec::new();
            let mut all = rule.cases.is_empty();
            for case in &rule.cases {
                if !self.concerns(&case.filter, place) {
                    continue;
                }
                matches.push(case.wire.clone());
                if takes_all(&case.wire) {
                    all = true;
                    break;
                }
            }
            if matches.is_empty() && !rule.cases.is_empty() {
                continue;
            }
            let route = self.http_route(rule, matches, object, place.port);
            routes.push(HttpRoute {
                rate_limits: self.route_limits(object, rule),
                ..route
            });
            if all {
                break;
            }
        }
        routes
    }

    /// Whether a match concerns this client (Istio: sourceMatchHTTP): a match that names
    /// gateways does not look at labels.
    pub(super) fn concerns(&self, filter: &ClientFilter, place: &Place<'_>) -> bool {
        if filter.port != 0 && filter.port != u32::from(place.port) {
            return false;
        }
        if !filter.gateways.is_empty() {
            return filter
                .gateways
                .iter()
                .any(|gateway| place.gateways.contains(gateway));
        }
        selects(&filter.source_labels, &self.labels)
            && (filter.source_namespace.is_empty() || filter.source_namespace == self.namespace())
    }

    fn http_route(
        &self,
        rule: &HttpRule,
        matches: Vec<HttpMatch>,
        object: &VirtualService,
        port: u16,
    ) -> HttpRoute {
        let name = match matches.as_slice() {
            [only] if !only.name.is_empty() => format!("{}.{}", rule.name, only.name),
            _ => rule.name.clone(),
        };
        let action = match &rule.action {
            HttpAction::Redirect(redirect) => Action::Redirect(redirect.clone()),
            HttpAction::Direct(direct) => Action::Direct(direct.clone()),
            HttpAction::Invalid(invalid) => Action::Invalid(invalid.clone()),
            HttpAction::Forward(forward) => self.forward(rule, forward, (object, port)),
            HttpAction::Delegate(to) => {
                invalid(object.semantics, format!("{} delegates nothing", to.name))
            }
        };
        HttpRoute {
            name,
            origin: Some(rule.origin.clone()),
            matches,
            action: Some(action),
            fault: rule
                .fault
                .clone()
                .filter(|fault| fault.delay_per_million > 0 || fault.abort_per_million > 0),
            cors: rule.cors.clone(),
            headers: rule
                .headers
                .clone()
                .filter(|edits| *edits != HeaderEdits::default()),
            rate_limits: Vec::new(),
        }
    }

    fn forward(
        &self,
        rule: &HttpRule,
        forward: &ForwardRule,
        (object, port): (&VirtualService, u16),
    ) -> Action {
        let namespace = object.meta.namespace();
        let resolved = match object.semantics {
            Semantics::Istio => self.resolve_all(&forward.targets, namespace, port),
            Semantics::GatewayApi => self.resolve_each(&forward.targets, namespace, port),
        };
        // A share that cannot be delivered fails; it does not fall to the others.
        if resolved.iter().all(|resolved| resolved.trouble.is_some()) {
            let lost = forward.lost.iter().map(|lost| lost.why.clone());
            let missing = resolved.into_iter();
            let missing = missing.filter_map(|resolved| resolved.trouble);
            let why: Vec<String> = lost.chain(missing).collect();
            return invalid(object.semantics, why.join("; "));
        }
        let (mut destinations, lost) = shares(forward, resolved, object.semantics);
        if let [only] = destinations.as_mut_slice()
            && sets_host(rule.headers.as_ref())
        {
            drop_host(only);
        }
        let mirrors = forward
            .mirrors
            .iter()
            .map(|(target, per_million)| (self.resolve(target, namespace, port), *per_million))
            .filter(|(resolved, _)| resolved.trouble.is_none())
            .map(|(resolved, per_million)| Mirror {
                destination: Some(Destination {
                    weight: 100,
                    ..resolved.destination
                }),
                per_million,
            })
            .collect();
        let retry = match &forward.retries {
            Retries::Default => Some(Retry {
                per_try_timeout_ms: forward.per_try_timeout_ms,
                ..default_retry()
            }),
            Retries::Off => None,
            Retries::Policy(policy) => Some(policy.clone()),
        };
        Action::Forward(Forward {
            destinations,
            rewrite: forward.rewrite.clone(),
            timeout_ms: forward.timeout_ms.unwrap_or(0),
            retry,
            mirrors,
            invalid: lost,
        })
    }
}

/// The destinations, and the share of those that do not exist. Istio sends to them all the same,
/// and finds no cluster; in the Gateway API they are answered with 500.
fn shares(
    forward: &ForwardRule,
    resolved: Vec<Resolved>,
    semantics: Semantics,
) -> (Vec<Destination>, Option<InvalidShare>) {
    let mut destinations = Vec::new();
    let mut lost = forward.lost.clone();
    for one in resolved {
        match one.trouble {
            Some(why) if semantics == Semantics::GatewayApi => lost.push(Lost {
                weight: one.destination.weight,
                why,
            }),
            _ => destinations.push(one.destination),
        }
    }
    let weight = lost.iter().map(|lost| lost.weight).sum();
    let why: Vec<&str> = lost.iter().map(|lost| lost.why.as_str()).collect();
    let share = InvalidShare {
        weight,
        action: Some(InvalidAction {
            status: INVALID_BACKEND,
            message: why.join("; "),
        }),
    };
    (destinations, Some(share).filter(|share| share.weight > 0))
}

fn invalid(semantics: Semantics, message: String) -> Action {
    Action::Invalid(InvalidAction {
        status: match semantics {
            Semantics::Istio => NO_DESTINATION,
            Semantics::GatewayApi => INVALID_BACKEND,
        },
        message,
    })
}

/// The route of a service that no VirtualService speaks of.
pub(super) fn default_route(service: &ServiceRecord, port: u32) -> HttpRoute {
    let destination = Destination {
        host: service.host.to_string(),
        port,
        weight: 100,
        ..Destination::default()
    };
    let forward = Forward {
        destinations: vec![destination],
        retry: Some(default_retry()),
        ..Forward::default()
    };
    HttpRoute {
        name: "default".to_owned(),
        action: Some(Action::Forward(forward)),
        ..HttpRoute::default()
    }
}

/// Istio's default retries: two more tries, on endpoints not tried before, when it is certain
/// that nothing was done or the server says so.
fn default_retry() -> Retry {
    Retry {
        attempts: 2,
        retry_on: DEFAULT_RETRY_ON
            .iter()
            .map(|&condition| condition.to_owned())
            .collect(),
        backoff_base_ms: 25,
        backoff_max_ms: 250,
        ..Retry::default()
    }
}

/// Whether a match takes every request (Istio: IsCatchAllRoute).
pub(super) fn takes_all(case: &HttpMatch) -> bool {
    let path = match case.uri.as_ref().and_then(|uri| uri.kind.as_ref()) {
        None => true,
        Some(Kind::Prefix(prefix)) => prefix == "/" || prefix.is_empty(),
        Some(Kind::Regex(regex)) => regex == ".*",
        Some(Kind::Present(_)) => true,
        Some(Kind::Exact(_)) => false,
    };
    path && case.scheme.is_none()
        && case.method.is_none()
        && case.authority.is_none()
        && case.headers.is_empty()
        && case.without_headers.is_empty()
        && case.query_params.is_empty()
}

fn is_host(name: &str) -> bool {
    name == "host" || name == ":authority"
}

fn sets_host(edits: Option<&HeaderEdits>) -> bool {
    edits
        .and_then(|edits| edits.request.as_ref())
        .is_some_and(|request| request.set.iter().any(|field| is_host(&field.name)))
}

/// The route's own Host wins over that of its only destination.
fn drop_host(destination: &mut Destination) {
    if let Some(request) = destination
        .headers
        .as_mut()
        .and_then(|edits| edits.request.as_mut())
    {
        request.set.retain(|field| !is_host(&field.name));
    }
}

/// Adds the hosts that a route sends to.
pub(super) fn hosts_of(route: &HttpRoute, hosts: &mut BTreeSet<Hostname>) {
    if let Some(Action::Forward(forward)) = &route.action {
        let mirrored = forward
            .mirrors
            .iter()
            .filter_map(|mirror| mirror.destination.as_ref());
        hosts.extend(
            forward
                .destinations
                .iter()
                .chain(mirrored)
                .filter_map(|destination| destination.host.parse().ok()),
        );
    }
}

/// Puts routes that take everything behind the others, which keep their order (Istio:
/// SortVHostRoutes). There each match is a route: what else leads to one that takes everything
/// stays where it is.
pub(super) fn catch_alls_last(routes: Vec<HttpRoute>) -> Vec<HttpRoute> {
    let (mut some, mut all) = (Vec::new(), Vec::new());
    for mut route in routes {
        let rest: Vec<HttpMatch> = route
            .matches
            .extract_if(.., |case| takes_all(case))
            .collect();
        if rest.is_empty() && !route.matches.is_empty() {
            some.push(route);
            continue;
        }
        if !route.matches.is_empty() {
            some.push(route.clone());
        }
        route.matches = rest;
        all.push(route);
    }
    some.append(&mut all);
    some
}
